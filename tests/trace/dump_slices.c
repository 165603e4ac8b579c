/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a trace as our reader sees it, to be compared with Perfetto, in lines of fields separated by tabs:
 *	--slices [TID]	start, tid, depth, dur, category, thread's name, name; of threads from TID on
 *	--switches	icount, cpu, next tid
 *	--console	icount, tid, source, level, text
 *	--threads	tid, name, start, end, pid, parent's pid as Perfetto must have them; exit code, creator's tid
 *	--commands	pid, start, command line of each process that Perfetto must have one of
 *	--entries	name, number, mnemonic of each entry to the kernel that has a number
 * --make FILE writes a synthetic trace instead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trace/reader.h"
#include "trace/writer.h"

static void print_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 ? '?' : *text);
}

struct print {
	struct dv_trace_reader *r;
	int32_t first_tid;
};

static bool print_slice(void *context, const struct dv_trace_slice *s)
{
	static const char *const kinds[DV_SLICE_KINDS] = DV_SLICE_KIND_NAMES;
	struct print *print = context;
	struct dv_trace_reader *r = print->r;
	const struct dv_trace_thread *thread = dv_trace_reader_thread(r, s->thread_id);

	if (thread && thread->tid < print->first_tid)
		return true;
	printf("%" PRIu64 "\t%d\t%u\t%" PRId64 "\t%s\t", s->start_icount, thread ? dv_trace_thread_tid(thread) : -1,
	       s->depth, s->is_open ? -1 : (int64_t)(s->end_icount - s->start_icount),
	       s->kind == DV_SLICE_CALL ? "" : kinds[s->kind]);
	print_text(thread ? thread->comm : "");
	putchar('\t');
	print_text(dv_trace_reader_function(r, s->function)->is.name);
	putchar('\n');
	return true;
}

static void print_switches(struct dv_trace_reader *r)
{
	const struct dv_trace_switch *s = dv_trace_reader_switches(r);

	for (size_t i = 0; i < dv_trace_reader_switch_count(r); i++) {
		const struct dv_trace_thread *next = dv_trace_reader_thread(r, s[i].next_id);

		printf("%" PRIu64 "\t%u\t%d\n", s[i].icount, s[i].cpu,
		       next && next->tid ? dv_trace_thread_tid(next) : 0);
	}
}

static void print_console(struct dv_trace_reader *r)
{
	static const char *const sources[DV_CONSOLE_SOURCES] = DV_CONSOLE_SOURCE_NAMES;
	const struct dv_console_line *line = dv_trace_reader_console_lines(r);

	for (size_t i = 0; i < dv_trace_reader_console_line_count(r); i++, line++) {
		const struct dv_trace_thread *thread = dv_trace_reader_thread(r, line->thread_id);

		printf("%" PRIu64 "\t%d\t%s\t%d\t", line->icount, thread ? dv_trace_thread_tid(thread) : -1,
		       sources[line->source], line->level);
		print_text(line->text);
		putchar('\n');
	}
}

/* A trace with all that is special: held-back begins, renames, reused pids, open slices, two CPUs. */
static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static char name[32];

	snprintf(name, sizeof(name), "function_%" PRIu64, key);
	*ret = (struct dv_trace_function){.name = name, .vaddr = 0xffffffff81000000 + key * 64};
}

static void declare(struct dv_trace_writer *w, uint64_t icount, uint64_t id, int32_t tid, int32_t tgid,
		    bool is_kernel, const char *comm)
{
	struct dv_trace_thread thread = {.id = id, .tid = tid, .tgid = tgid, .is_kernel = is_kernel};

	snprintf(thread.comm, sizeof(thread.comm), "%s", comm);
	dv_trace_writer_thread(w, icount, &thread);
}

/* Kernel threads are kthreadd's, idle ones (and what runs before the kernel) of a process of their own. */
static int32_t process_of(const struct dv_trace_thread *t)
{
	if (t->tid <= 0 || t->tgid <= 0 || t->tid >= DV_TRACE_FIRST_SYNTHETIC_TID)
		return DV_TRACE_FIRST_SYNTHETIC_TID;
	return t->is_kernel ? 2 : t->tgid;
}

/* The parent of a process is known when its leader was seen to begin. */
static int32_t parent_of(const struct dv_trace_reader *r, const struct dv_trace_thread *t)
{
	int32_t pid = process_of(t);

	for (size_t i = 0; i < dv_trace_reader_thread_state_count(r); i++) {
		const struct dv_trace_thread *leader = &dv_trace_reader_thread_state(r, i)->thread;
		const struct dv_trace_thread *creator = dv_trace_reader_thread(r, leader->creator_id);

		if (leader->tid == pid && process_of(leader) == pid && leader->start_icount && creator &&
		    (leader->id == t->id || t->tid != pid))
			return process_of(creator);
	}
	return 0;
}

static void print_optional(uint64_t number)
{
	if (number)
		printf("%" PRIu64, number);
	putchar('\t');
}

/* A leader ends with the last of its threads there. Which are of its process, and not of the next one with
 * that pid, is told by when they began. */
static uint64_t end_of(const struct dv_trace_reader *r, const struct dv_trace_thread *leader)
{
	uint64_t end = leader->exit_icount, next = UINT64_MAX;

	if (!end || leader->tid != process_of(leader))
		return end;
	for (size_t i = 0; i < dv_trace_reader_thread_state_count(r); i++) {
		const struct dv_trace_thread *t = &dv_trace_reader_thread_state(r, i)->thread;

		if (t->tid == leader->tid && t->start_icount > leader->start_icount && t->start_icount < next)
			next = t->start_icount;
	}
	for (size_t i = 0; i < dv_trace_reader_thread_state_count(r); i++) {
		const struct dv_trace_thread *t =
			dv_trace_reader_thread(r, dv_trace_reader_thread_state(r, i)->thread.id);

		if (process_of(t) != leader->tid || t->start_icount <= leader->start_icount || t->start_icount >= next)
			continue;
		if (!t->exit_icount)
			return 0;
		if (t->exit_icount > end)
			end = t->exit_icount;
	}
	return end;
}

static bool is_seen_before(const struct dv_trace_reader *r, size_t state)
{
	uint64_t id = dv_trace_reader_thread_state(r, state)->thread.id;

	for (size_t i = 0; i < state; i++) {
		if (dv_trace_reader_thread_state(r, i)->thread.id == id)
			return true;
	}
	return false;
}

static void print_threads(struct dv_trace_reader *r)
{
	for (size_t i = 0; i < dv_trace_reader_thread_state_count(r); i++) {
		const struct dv_trace_thread *t = &dv_trace_reader_thread_state(r, i)->thread;

		if (is_seen_before(r, i))
			continue;
		t = dv_trace_reader_thread(r, t->id);
		printf("%d\t%s\t", dv_trace_thread_tid(t), t->comm);
		print_optional(t->start_icount);
		print_optional(end_of(r, t));
		printf("%d\t", process_of(t));
		if (parent_of(r, t))
			printf("%d", parent_of(r, t));
		printf("\t%d\t", t->exit_code);
		if (dv_trace_reader_thread(r, t->creator_id))
			printf("%d", dv_trace_thread_tid(dv_trace_reader_thread(r, t->creator_id)));
		putchar('\n');
	}
}

/* The newest of each process that was seen to be made. */
static void print_commands(struct dv_trace_reader *r)
{
	size_t count = dv_trace_reader_command_count(r);
	const struct dv_trace_command *commands = dv_trace_reader_commands(r);

	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_thread *t = dv_trace_reader_thread(r, commands[i].thread_id);
		bool is_newest = true;

		for (size_t k = i + 1; k < count; k++)
			is_newest = is_newest && commands[k].thread_id != commands[i].thread_id;
		if (!is_newest || !t || t->tid != process_of(t) || !t->start_icount ||
		    !dv_trace_reader_thread(r, t->creator_id))
			continue;
		printf("%d\t%" PRIu64 "\t", t->tid, t->start_icount);
		print_text(commands[i].text);
		putchar('\n');
	}
}

static struct dv_error *print_entries(struct dv_trace_reader *r)
{
	for (size_t b = 0; b < dv_trace_reader_block_count(r); b++) {
		const struct dv_trace_event *events;
		size_t count;

		DV_TRY(dv_trace_reader_read_block(r, b, &events, &count));
	}
	for (uint32_t i = 0; i < dv_trace_reader_function_count(r); i++) {
		const struct dv_trace_function *f = &dv_trace_reader_function(r, i)->is;

		if (f->has_number)
			printf("%s\t%u\t%s\n", f->name, f->number, f->mnemonic ? f->mnemonic : "");
	}
	return NULL;
}

static void print_something(struct dv_trace_writer *w, uint64_t icount, uint64_t thread, uint64_t random)
{
	char text[64];
	struct dv_console_line line = {
		.icount = icount,
		.thread_id = thread,
		.source = (enum dv_console_source)(random >> 20 & 0xff) % DV_CONSOLE_SOURCES,
		.level = DV_CONSOLE_NO_LEVEL,
		.text = text,
	};

	if (line.source == DV_CONSOLE_PRINTK)
		line.level = (int)(random >> 30 & 7);
	text[0] = 0; /* an empty line now and then */
	if (random >> 35 & 1)
		snprintf(text, sizeof(text), "\x1b[1mline %u\tw\xc3\xb6rd \xff", (unsigned)icount);
	dv_trace_writer_console(w, &line);
}

#define COMMAND(w, icount, id, arguments) dv_trace_writer_command(w, icount, id, arguments, sizeof(arguments) - 1)

/*
 * A process that is forked, makes a thread, execs and exits; its pid comes again; one that never runs; one whose
 * maker is gone when it execs.
 */
static void live(struct dv_trace_writer *w, uint64_t icount, uint32_t step)
{
	static struct dv_trace_thread leader = {.id = 22, .tid = 300, .tgid = 300, .creator_id = 4, .comm = "worker"};
	static struct dv_trace_thread second = {.id = 23, .tid = 301, .tgid = 300, .creator_id = 22, .comm = "second"};
	static struct dv_trace_thread kernel = {.id = 24, .tid = 50, .tgid = 50, .creator_id = 2, .comm = "kworker/0:0",
						.is_kernel = true};
	static struct dv_trace_thread orphan = {.id = 26, .tid = 310, .tgid = 310, .creator_id = 25, .comm = "worker"};
	static struct dv_trace_thread again = {.id = 25, .tid = 300, .tgid = 300, .creator_id = 5, .comm = "worker"};
	struct dv_trace_thread *thread = step == 0 || step == 3 ? &leader : step == 1 || step == 4 ? &second :
					 step == 5 ? &again : &kernel;

	if (step == 6) {
		again.exit_icount = icount;
		dv_trace_writer_thread(w, icount, &again);
		COMMAND(w, icount + 10, 26, "/usr/bin/orphan\0of 310");
		return;
	}
	if (thread->start_icount) {
		thread->exit_icount = icount;
	} else {
		thread->start_icount = icount;
	}
	dv_trace_writer_thread(w, icount, thread);
	if (step == 2) { /* exec */
		strcpy(leader.comm, "ls");
		dv_trace_writer_thread(w, icount, &leader);
		COMMAND(w, icount, 22, "/bin/ls\0-l\0\0w\xc3\xb6rd \xff");
	}
	if (step == 5) {
		orphan.start_icount = icount + 10;
		dv_trace_writer_thread(w, icount + 10, &orphan);
		COMMAND(w, icount + 10000, 25, "sh\0-c\0exec worker");
		COMMAND(w, icount + 20000, 25, "worker"); /* the name stays */
	}
}

static struct dv_error *make(const char *path)
{
	struct dv_trace_options options = {.path = path, .exact = true, .describe = describe};
	uint64_t icount = 1000, random = 1, before = 0;
	struct dv_trace_writer *w;
	uint32_t depth[22] = {0};

	DV_TRY(dv_trace_writer_create(&options, &w));
	declare(w, 0, 1, 0, 0, false, "swapper/0");
	declare(w, 0, 2, 2, 2, true, "kthreadd");
	declare(w, 0, 3, 15, 15, true, "ksoftirqd/0");
	for (uint32_t id = 4; id <= 12; id++)
		declare(w, 0, id, 100 + (int32_t)id, 100 + (int32_t)id / 4 * 4, false, "worker");
	for (uint32_t i = 0; i < 300000; i++) {
		/* Threads 4 to 12, then 13 to 21 with the same tids. */
		uint64_t pick = i / 4000 % 12, thread = pick < 3 || i < 150000 ? 1 + pick : 10 + pick;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		if (random >> 54 == 5)
			print_something(w, icount, thread, random);
		icount += random >> 56 & 31;
		if (i % 4000 == 0) {
			dv_trace_writer_switch(w, icount, 0, before, thread);
			before = thread;
		}
		for (uint32_t id = 13; i == 149999 && id <= 21; id++)
			declare(w, icount, id, 91 + (int32_t)id, 100 + ((int32_t)id - 9) / 4 * 4, false, "reused");
		if (i % 50000 == 49999) {
			declare(w, icount, i < 150000 ? 5 : 14, 105, 104, false, i % 100000 == 49999 ? "bash" : "ls");
			icount += 6000000000;
		}
		if (random >> 33 & 1 && depth[thread] < 40) {
			dv_trace_writer_begin(w, thread, i % 4000 > 2 ? icount - (random >> 60 == 7) : icount,
					      random >> 40 & 1023,
					      random >> 50 & 15 ? DV_SLICE_CALL : random >> 54 & 3);
			depth[thread]++;
		} else {
			dv_trace_writer_end(w, thread, icount);
			depth[thread] -= depth[thread] > 0;
		}
		if (i % 20000 == 10000 && i < 150000)
			live(w, icount, i / 20000);
		if (i % 70000 == 69999)
			dv_trace_writer_flush(w);
	}
	return dv_trace_writer_finish(w, icount);
}

static struct dv_error *run(int argc, char **argv)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct print print = {.first_tid = argc == 4 ? atoi(argv[3]) : INT32_MIN};

	if (argc != 3 && argc != 4)
		return dv_error_new(DV_ERROR_INVALID, "usage: dump-slices "
				    "--slices|--switches|--console|--threads|--commands|--entries|--make FILE [TID]");
	if (!strcmp(argv[1], "--make"))
		return make(argv[2]);
	DV_TRY(dv_trace_reader_open(argv[2], &r));
	print.r = r;
	if (!strcmp(argv[1], "--switches"))
		print_switches(r);
	else if (!strcmp(argv[1], "--console"))
		print_console(r);
	else if (!strcmp(argv[1], "--threads"))
		print_threads(r);
	else if (!strcmp(argv[1], "--commands"))
		print_commands(r);
	else if (!strcmp(argv[1], "--entries"))
		DV_TRY(print_entries(r));
	else
		DV_TRY(dv_trace_reader_slices(r, print_slice, &print));
	if (dv_trace_reader_damage(r))
		fprintf(stderr, "dump-slices: %s\n", dv_trace_reader_damage(r)->message);
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = run(argc, argv);

	if (err)
		fprintf(stderr, "dump-slices: %s\n", err->message);
	return err != NULL;
}
