/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview writes: who wrote this? */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cmds/cmds.h"
#include "cmds/jobs.h"
#include "query/query.h"
#include "replay/subject.h"
#include "replay/writes.h"

static const char usage[] =
	"usage: dejaview writes [OPTION]... RECORDING.dejaview PLACE\n"
	"\n"
	"Who wrote this? Lists the writes to a place in the guest's memory, the newest first: when (instruction\n"
	"count), by which function and thread, the value before and after. The recording is replayed in\n"
	"segments from the end backwards, until a write is found.\n"
	"\n"
	"PLACE is SYMBOL, SYMBOL+OFFSET or 0xADDRESS, with ':BYTES' behind it or without (then it is 8, or the\n"
	"symbol's size if that is less). It is looked up at one moment (--before), in the page tables in use\n"
	"then; from there on the physical memory behind it is watched, so that writes by another mapping of the\n"
	"same page count, too. What no instruction of the CPU wrote (a device's DMA, say) is said as such.\n"
	"\n"
	"      --before ICOUNT    writes before this instruction count (default: the recording's end)\n"
	"      --from ICOUNT      ... and from this one on\n"
	"      --all              all of them, not the newest alone\n"
	"  -n, --count N          the newest N\n"
	"      --thread TID       look PLACE up as this thread sees it: for addresses of user space\n"
	"  -j, --jobs N           segments replayed at a time (default: one for each CPU, fewer where memory is short)\n"
	"      --json             one JSON object a line, for programs\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"      --quiet            no progress\n";

#define MAX_SHOWN_WRITES UINT64_MAX

struct search {
	struct dv_subject subject;
	uint64_t from_icount, before_icount, wanted, found;
	uint32_t bytes;
	unsigned jobs; /* 0: one for each CPU */
	int32_t thread; /* -1: any */
	struct dv_query *query; /* opened when a name is wanted that only the trace has */
	bool no_query;
	int percent; /* last shown */
	bool as_json, quiet, shown_progress;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* ---- showing ---- */

static void clear_progress(struct search *s)
{
	if (s->shown_progress)
		fputs("\r\033[K", stderr);
	s->shown_progress = false;
}

static bool on_load(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct search *s = context;

	if (!s->quiet && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[Kdejaview writes: opening the trace for names, %d %%",
			total_bytes ? (int)(done_bytes * 100 / total_bytes) : 0);
		s->shown_progress = true;
	}
	return !interrupted;
}

/* The trace's innermost open call, for code that the kernel's symbols do not name. */
static const char *function_by_trace(struct search *s, uint64_t icount)
{
	struct dv_query_options options = {.progress = on_load, .context = s};
	uint32_t function;

	if (!s->query && !s->no_query) {
		struct dv_error *err = dv_query_open(s->subject.recording->folder, &options, &s->query);

		s->no_query = err;
		dv_error_destroy(err);
		clear_progress(s);
	}
	if (!s->query)
		return NULL;
	function = dv_query_function_at(s->query, 0, icount);
	return function == DV_QUERY_NONE ? NULL : dv_query_function(s->query, function)->slice_name;
}

struct writer {
	const struct dv_trace_thread *thread; /* NULL: not known */
	const char *function;		      /* NULL: not known */
	uint64_t offset;
	bool has_offset;
};

static struct writer find_writer(struct search *s, const struct dv_write *w)
{
	struct writer writer = {.thread = dv_subject_thread_at(&s->subject, w->icount)};
	const struct dv_symbol *symbol = dv_subject_function_at(&s->subject, w->rip, &writer.offset);

	writer.has_offset = symbol;
	writer.function = symbol ? symbol->name : function_by_trace(s, w->icount);
	return writer;
}

static void print_json(struct search *s, const struct dv_write *w, const char *before, const char *after)
{
	json_t *json = json_pack("{s:b, s:I, s:I, s:i, s:i, s:s, s:s}", "by_cpu", w->by_cpu, "icount",
				 (json_int_t)w->icount, "until_icount", (json_int_t)w->until_icount, "offset",
				 (int)w->offset, "bytes", (int)w->size_bytes, "before", before, "after", after);

	if (w->by_cpu) {
		struct writer by = find_writer(s, w);
		char rip[24], vaddr[24];

		snprintf(rip, sizeof(rip), "0x%" PRIx64, w->rip);
		snprintf(vaddr, sizeof(vaddr), "0x%" PRIx64, w->vaddr);
		json_object_set_new(json, "rip", json_string(rip));
		json_object_set_new(json, "vaddr", json_string(vaddr));
		json_object_set_new(json, "function", by.function ? json_string(by.function) : json_null());
		json_object_set_new(json, "function_offset",
				    by.has_offset ? json_integer((json_int_t)by.offset) : json_null());
		json_object_set_new(json, "tid", by.thread ? json_integer(by.thread->tid) : json_null());
		json_object_set_new(json, "comm", by.thread ? json_string(by.thread->comm) : json_null());
	}
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static void print_text(struct search *s, const struct dv_write *w, const char *before, const char *after)
{
	struct writer by;

	if (!w->by_cpu) {
		printf("%" PRIu64 "..%" PRIu64 "  %s -> %s  by no instruction: a device, or before the guest ran\n",
		       w->icount, w->until_icount, before, after);
		return;
	}
	by = find_writer(s, w);
	printf("%" PRIu64 "  %s -> %s  ", w->icount, before, after);
	if (by.has_offset)
		printf("%s+0x%" PRIx64, by.function, by.offset);
	else
		printf("%s%s0x%" PRIx64, by.function ? by.function : "", by.function ? " at " : "", w->rip);
	if (by.thread)
		printf("  %s (%" PRId32 ")", by.thread->comm, by.thread->tid);
	if (w->size_bytes != s->bytes)
		printf(w->size_bytes > 1 ? "  bytes %" PRIu32 " to %" PRIu32 : "  byte %" PRIu32, w->offset,
		       w->offset + w->size_bytes - 1);
	putchar('\n');
}

static bool on_write(void *context, const struct dv_write *w)
{
	_cleanup_buf_ struct dv_buf before = DV_BUF_INIT, after = DV_BUF_INIT;
	struct search *s = context;

	dv_write_print_change(w, s->bytes, &before, &after);
	dv_buf_append(&before, "", 1);
	dv_buf_append(&after, "", 1);
	if (before.failed || after.failed)
		return false;
	clear_progress(s);
	if (s->as_json)
		print_json(s, w, (const char *)before.data, (const char *)after.data);
	else
		print_text(s, w, (const char *)before.data, (const char *)after.data);
	fflush(stdout);
	return ++s->found < s->wanted && !interrupted;
}

static bool progress(void *context, uint64_t done_icount, uint64_t total_icount)
{
	struct search *s = context;
	int percent = total_icount ? (int)(done_icount * 100 / total_icount) : 0;

	if (!s->quiet && isatty(STDERR_FILENO) && percent != s->percent) {
		fprintf(stderr, "\rdejaview writes: %d %% of the recording looked at", percent);
		s->shown_progress = true;
		s->percent = percent;
	}
	return !interrupted;
}

/* ---- the search ---- */

static struct dv_error *search(struct search *s, const char *place)
{
	_cleanup_checkpoints_ struct dv_checkpoints checkpoints = {0};
	uint64_t end = dv_recording_common_icount(s->subject.recording);
	struct dv_writes_search search = {.from_icount = s->from_icount, .checkpoints = &checkpoints, .write = on_write,
					  .qemu = s->subject.qemu, .progress = progress, .context = s};

	DV_TRY(dv_writes_resolve(&s->subject, place, 0, &search.vaddr, &s->bytes));
	if (!s->before_icount || s->before_icount > end)
		s->before_icount = end;
	search.bytes = s->bytes;
	search.to_icount = s->before_icount;
	if (s->thread >= 0)
		DV_TRY(dv_subject_thread_ran_before(&s->subject, s->thread, s->before_icount, &search.moment_icount));
	DV_TRY(dv_checkpoints_open(s->subject.recording, &checkpoints));
	if (!checkpoints.len && !s->quiet)
		fprintf(stderr, "dejaview writes: without checkpoints all is replayed; 'dejaview checkpoint %s' makes them\n",
			s->subject.recording->folder);
	if (checkpoints.len)
		search.jobs = dv_jobs_choose("writes", s->subject.recording, s->jobs, s->quiet);
	DV_TRY(dv_writes_find(s->subject.recording, &search));
	clear_progress(s);
	if (!s->found && !s->as_json)
		printf("nothing wrote to %s before %" PRIu64 "\n", place, s->before_icount);
	return NULL;
}

static bool parse_count(const char *text, uint64_t *ret)
{
	char *end;

	*ret = strtoull(text, &end, 0);
	return end != text && !*end && *text != '-' && *ret > 0;
}

int dv_cmd_writes(int argc, char **argv)
{
	enum { BEFORE = 256, FROM, ALL, THREAD, JSON, IMAGE, QEMU, QUIET };
	static const struct option options[] = {
		{"before", required_argument, NULL, BEFORE}, {"from", required_argument, NULL, FROM},
		{"all", no_argument, NULL, ALL},
		{"count", required_argument, NULL, 'n'}, {"thread", required_argument, NULL, THREAD},
		{"jobs", required_argument, NULL, 'j'}, {"json", no_argument, NULL, JSON}, {"image", required_argument, NULL, IMAGE},
		{"qemu", required_argument, NULL, QEMU}, {"quiet", no_argument, NULL, QUIET},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct sigaction action = {.sa_handler = interrupt};
	struct dv_subject_options subject = {0};
	struct search s = {.wanted = 1, .thread = -1, .percent = -1};
	uint64_t tid = 0;
	bool good = true;
	struct dv_error *err;
	int c;

	while (good && (c = getopt_long(argc, argv, "n:j:h", options, NULL)) != -1) {
		switch (c) {
		case BEFORE: good = parse_count(optarg, &s.before_icount); break;
		case FROM: good = parse_count(optarg, &s.from_icount); break;
		case ALL: s.wanted = MAX_SHOWN_WRITES; break;
		case 'n': good = parse_count(optarg, &s.wanted); break;
		case THREAD:
			good = parse_count(optarg, &tid) && tid <= INT32_MAX;
			s.thread = (int32_t)tid;
			break;
		case 'j': good = dv_jobs_parse("writes", optarg, &s.jobs); break;
		case JSON: s.as_json = true; break;
		case IMAGE:
			good = subject.images_len < DV_SUBJECT_MAX_IMAGES;
			if (good)
				subject.images[subject.images_len++] = optarg;
			break;
		case QEMU: subject.qemu = optarg; break;
		case QUIET: s.quiet = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: good = false;
		}
	}
	if (!good || argc - optind != 2) {
		fputs(good ? usage : "Try 'dejaview writes --help'.\n", stderr);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	subject.folder = argv[optind];
	err = dv_subject_init(&subject, &s.subject);
	if (!err)
		err = search(&s, argv[optind + 1]);
	clear_progress(&s);
	dv_query_close(s.query);
	dv_subject_deinit(&s.subject);
	return dv_cmd_report("writes", err);
}
