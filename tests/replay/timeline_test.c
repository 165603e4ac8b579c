/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeline_test RECORDING [STEPS]: a timeline on a real recording. Steps forward and back, breakpoints and
 * watchpoints in both directions, the ends, and QEMUs that are killed, halted or told to stop in the middle of
 * a move. What is expected comes from going forward, or from the trace.
 */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/io.h"
#include "replay/timeline.h"
#include "trace/reader.h"

#define MAX_STATES 100000

static int tests, failures;

#define CHECK(what, cond)                                                                        \
	do {                                                                                     \
		bool good_ = (cond);                                                             \
		printf("%sok %d - %s\n", good_ ? "" : "not ", ++tests, what);                    \
		failures += !good_;                                                              \
		fflush(stdout);                                                                  \
	} while (0)

struct state {
	uint64_t icount, rip;
};

struct fixture {
	struct dv_recording *recording;
	struct dv_timeline *timeline;
	uint64_t end;
	/* A function of the kernel that is called now and then, by the trace. */
	uint64_t vaddr, calls[4];
	size_t calls_len;
	struct state *forward;
	uint64_t steps;
};

/* The error's text is a test's diagnosis. */
static bool do_it(struct fixture *f, enum dv_timeline_verb verb, uint64_t icount, struct dv_timeline_now *ret)
{
	struct dv_timeline_command command = {.verb = verb, .icount = icount, .rip = DV_NO_RIP};
	struct dv_error *err = dv_timeline_do(f->timeline, &command, ret);

	if (err)
		printf("# %s\n", err->message);
	dv_error_destroy(err);
	return !err;
}

static bool stands(const struct dv_timeline_now *now, struct state at)
{
	if (now->where.icount == at.icount && now->where.registers.rip == at.rip)
		return true;
	printf("# stands at %" PRIu64 " 0x%" PRIx64 ", expected %" PRIu64 " 0x%" PRIx64 "\n", now->where.icount,
	       now->where.registers.rip, at.icount, at.rip);
	return false;
}

static struct state state_of(const struct dv_timeline_now *now)
{
	return (struct state){now->where.icount, now->where.registers.rip};
}

/* Forward from an icount, then back: the same states in opposite order. */
static bool there_and_back(struct fixture *f, uint64_t icount, uint64_t steps)
{
	struct dv_timeline_now now;
	bool good = do_it(f, DV_TIMELINE_SEEK, icount, &now);

	f->forward[0] = state_of(&now);
	for (uint64_t i = 1; i <= steps && good; i++) {
		good = do_it(f, DV_TIMELINE_STEP, 0, &now) && now.why == DV_WHY_STEP;
		f->forward[i] = state_of(&now);
	}
	for (uint64_t i = steps; i > 0 && good; i--)
		good = do_it(f, DV_TIMELINE_STEP_BACK, 0, &now) && stands(&now, f->forward[i - 1]);
	return good;
}

static void test_steps(struct fixture *f)
{
	struct dv_timeline_now now;

	CHECK("steps back are steps forward reversed, in the kernel", there_and_back(f, f->calls[1] - 20, f->steps));
	CHECK("... and in early boot", there_and_back(f, 1000000, f->steps / 10));
	CHECK("the beginning is reached", do_it(f, DV_TIMELINE_SEEK, 1, &now) && do_it(f, DV_TIMELINE_STEP_BACK, 0, &now) &&
						  now.where.icount == 0);
	CHECK("... and nothing is before it", do_it(f, DV_TIMELINE_STEP_BACK, 0, &now) && now.why == DV_WHY_BEGIN);
}

static bool set_point(struct fixture *f, enum dv_break_kind kind, uint64_t vaddr, uint64_t bytes, bool set)
{
	struct dv_error *err = dv_timeline_break(f->timeline, kind, vaddr, bytes, set);

	dv_error_destroy(err);
	return !err;
}

static void test_breakpoints(struct fixture *f)
{
	struct dv_timeline_now now;
	bool good = do_it(f, DV_TIMELINE_SEEK, f->calls[0] - 100, &now);

	set_point(f, DV_BREAK_EXECUTE, f->vaddr, 1, true);
	for (size_t i = 0; i < f->calls_len && good; i++)
		good = do_it(f, DV_TIMELINE_CONTINUE, 0, &now) && now.why == DV_WHY_BREAKPOINT &&
		       stands(&now, (struct state){f->calls[i], f->vaddr});
	CHECK("a breakpoint stops at each call that the trace has", good);
	for (size_t i = f->calls_len - 1; i > 0 && good; i--)
		good = do_it(f, DV_TIMELINE_REVERSE_CONTINUE, 0, &now) && now.why == DV_WHY_BREAKPOINT &&
		       stands(&now, (struct state){f->calls[i - 1], f->vaddr});
	CHECK("... and backward at the same, the other way round", good);
	set_point(f, DV_BREAK_EXECUTE, f->vaddr, 1, false);
}

/* Watches the return address that a call leaves on the stack: the call itself wrote it. */
static void test_watchpoints(struct fixture *f)
{
	struct dv_timeline_now now, before, after;
	uint64_t slot, was = 0, is = 0;
	struct dv_error *err;
	bool good = do_it(f, DV_TIMELINE_SEEK, f->calls[1], &now);

	after = now;
	slot = now.where.registers.gpr[7];
	good = good && do_it(f, DV_TIMELINE_STEP_BACK, 0, &before);
	err = dv_timeline_read_memory(f->timeline, slot, &was, sizeof(was));
	good = good && !err;
	dv_error_destroy(err);
	good = good && do_it(f, DV_TIMELINE_STEP, 0, &now) && stands(&now, state_of(&after));
	err = dv_timeline_read_memory(f->timeline, slot, &is, sizeof(is));
	good = good && !err;
	dv_error_destroy(err);
	set_point(f, DV_BREAK_WRITE, slot, 8, true);
	good = good && do_it(f, DV_TIMELINE_SEEK, f->calls[1] + 3, &now);
	CHECK("a watchpoint stops backward, before the write",
	      good && do_it(f, DV_TIMELINE_REVERSE_CONTINUE, 0, &now) && now.why == DV_WHY_WATCHPOINT &&
		      now.address == slot && stands(&now, state_of(&before)));
	CHECK("... with the old and the new value",
	      now.value_bytes == 8 && now.old_value == was && now.new_value == is);
	CHECK("and forward, after it", do_it(f, DV_TIMELINE_CONTINUE, 0, &now) && now.why == DV_WHY_WATCHPOINT &&
					       now.address == slot && stands(&now, state_of(&after)));
	CHECK("... with both values", now.value_bytes == 8 && now.old_value == was && now.new_value == is);
	set_point(f, DV_BREAK_WRITE, slot, 8, false);
}

static void test_ends(struct fixture *f)
{
	struct dv_timeline_now now;

	CHECK("the end is a place", do_it(f, DV_TIMELINE_SEEK_END, 0, &now) && now.why == DV_WHY_END &&
					    now.where.icount == f->end);
	CHECK("nothing goes on from there", do_it(f, DV_TIMELINE_CONTINUE, 0, &now) && now.why == DV_WHY_END &&
						    do_it(f, DV_TIMELINE_STEP, 0, &now) && now.why == DV_WHY_END);
	CHECK("one can go back", do_it(f, DV_TIMELINE_STEP_BACK, 0, &now) && now.why == DV_WHY_STEP &&
					 now.where.icount <= f->end);
	CHECK("a continue comes to the end again", do_it(f, DV_TIMELINE_CONTINUE, 0, &now) && now.why == DV_WHY_END &&
							   now.where.icount == f->end);
	CHECK("with no breakpoint, back is to the beginning",
	      do_it(f, DV_TIMELINE_REVERSE_CONTINUE, 0, &now) && now.why == DV_WHY_BEGIN && now.where.icount == 0);
	printf("# a place past the end is refused:\n");
	CHECK("past the end is no place", !do_it(f, DV_TIMELINE_SEEK, UINT64_MAX / 2, &now));
}

/* Our own QEMU, by its parent. */
static pid_t find_qemu(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (proc && (entry = readdir(proc)) && !found) {
		_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
		char path[300], name[64];
		int pid = 0, parent = 0;
		struct dv_error *err;

		if (*entry->d_name < '1' || *entry->d_name > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		err = dv_read_file(path, 4096, &text);
		dv_error_destroy(err);
		dv_buf_append(&text, "", 1);
		if (!err && sscanf((char *)text.data, "%d (%63[^)]) %*c %d", &pid, name, &parent) == 3 &&
		    parent == getpid() && !strncmp(name, "qemu-system", 11))
			found = pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

struct troubler {
	struct fixture *f;
	int signal; /* 0: interrupt the timeline instead */
	uint64_t icount, from_icount;
	pid_t pid;
};

/* Once the seek is well under way. */
static void *trouble(void *context)
{
	struct troubler *t = context;
	struct dv_timeline_now now;

	do {
		dv_timeline_now(t->f->timeline, &now);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	} while (now.state != DV_TIMELINE_SEEKING || now.target_icount != t->icount ||
		 now.where.icount < t->from_icount);
	if (t->signal)
		kill(t->pid, t->signal);
	else
		dv_timeline_interrupt(t->f->timeline);
	return NULL;
}

static bool troubled_seek(struct fixture *f, int signal, uint64_t icount, uint64_t from_icount,
			  struct dv_timeline_now *now)
{
	struct troubler troubler = {f, signal, icount, from_icount, find_qemu()};
	pthread_t thread;
	bool good;

	do_it(f, DV_TIMELINE_SEEK, 0, now);
	pthread_create(&thread, NULL, trouble, &troubler);
	good = do_it(f, DV_TIMELINE_SEEK, icount, now);
	pthread_join(thread, NULL);
	return good;
}

static bool notes_say(struct fixture *f, const char *what)
{
	_cleanup_free_ char *notes = dv_timeline_notes(f->timeline);
	bool said = notes && strstr(notes, what);

	if (!said)
		printf("# notes: %s\n", notes ?: "");
	return said;
}

static struct dv_error *test_trouble(struct fixture *f)
{
	struct dv_timeline_options bare = {.no_checkpoints = true};
	struct state at = {f->calls[2], f->vaddr};
	struct dv_timeline_now now;

	CHECK("a QEMU that is killed in mid-seek is replaced", troubled_seek(f, SIGKILL, at.icount, 0, &now) && stands(&now, at));
	CHECK("... and that is said", notes_say(f, "on the way to icount"));
	CHECK("a QEMU that hangs is replaced", troubled_seek(f, SIGSTOP, at.icount, 0, &now) && stands(&now, at));
	dv_timeline_destroy(f->timeline); /* without checkpoints the way is long enough */
	f->timeline = NULL;
	DV_TRY(dv_timeline_create(f->recording, &bare, &f->timeline));
	printf("# a seek is cancelled:\n");
	CHECK("a seek can be cancelled", !troubled_seek(f, 0, at.icount, 1000000, &now));
	dv_timeline_now(f->timeline, &now);
	CHECK("... and ends on the way", now.state == DV_TIMELINE_STOPPED && now.why == DV_WHY_INTERRUPT &&
						 now.where.icount > 0 && now.where.icount < at.icount);
	CHECK("... from where one can go on", do_it(f, DV_TIMELINE_SEEK, at.icount, &now) && stands(&now, at));
	kill(find_qemu(), SIGKILL);
	CHECK("a QEMU that is killed while it stands is replaced", do_it(f, DV_TIMELINE_STEP, 0, &now) &&
									   now.where.icount >= at.icount);
	return NULL;
}

/* A kernel function with a few calls, not too near to each other. */
static struct dv_error *choose_function(struct fixture *f, const char *folder)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *reader = NULL;
	_cleanup_free_ char *path = dv_path_join(folder, DV_RECORDING_TRACE);

	DV_TRY(dv_trace_reader_open(path, &reader));
	for (size_t i = 0; i < dv_trace_reader_block_count(reader); i++) {
		const struct dv_trace_event *events;
		size_t count;

		DV_TRY(dv_trace_reader_read_block(reader, i, &events, &count));
		for (size_t k = 0; k < count; k++) {
			const struct dv_trace_function *is;

			if (events[k].type != DV_TRACE_BEGIN || events[k].kind != DV_SLICE_CALL)
				continue;
			is = &dv_trace_reader_function(reader, events[k].function)->is;
			if (strcmp(is->name, "do_filp_open") || f->calls_len == DV_ARRAY_SIZE(f->calls))
				continue;
			f->vaddr = is->vaddr;
			f->calls[f->calls_len++] = events[k].icount;
		}
		if (f->calls_len == DV_ARRAY_SIZE(f->calls))
			return NULL;
	}
	return dv_error_new(DV_ERROR_NOT_FOUND, "%s: do_filp_open is not called often enough", path);
}

static struct dv_error *run(struct fixture *f, const char *folder)
{
	struct dv_timeline_options options = {.no_background = true, .stuck_ms = 5000};

	DV_TRY(dv_recording_open(folder, &f->recording));
	DV_TRY(choose_function(f, folder));
	f->end = dv_recording_common_icount(f->recording);
	f->forward = calloc(MAX_STATES, sizeof(*f->forward));
	DV_TRY(dv_timeline_create(f->recording, &options, &f->timeline));
	test_steps(f);
	test_breakpoints(f);
	test_watchpoints(f);
	test_ends(f);
	return test_trouble(f);
}

int main(int argc, char **argv)
{
	struct fixture f = {.steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 50};
	struct dv_error *err;

	if (argc < 2 || f.steps >= MAX_STATES) {
		fputs("usage: timeline_test RECORDING [STEPS]\n", stderr);
		return 2;
	}
	err = run(&f, argv[1]);
	if (err)
		fprintf(stderr, "timeline_test: %s\n", err->message);
	failures += err != NULL;
	dv_error_destroy(err);
	dv_timeline_destroy(f.timeline);
	CHECK("no QEMU is left", !find_qemu());
	printf("1..%d\n", tests);
	dv_recording_destroy(f.recording);
	free(f.forward);
	return failures ? 1 : 0;
}
