/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview seek: takes a replay to moments of a recording, and says where the guest stands there. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/io.h"
#include "cmds/cmds.h"
#include "guest/arch.h"
#include "guest/linux.h"
#include "guest/slide.h"
#include "qemu/probe.h"
#include "replay/seek.h"
#include "symbols/kernel.h"
#include "trace/reader.h"

static const char usage[] =
	"usage: dejaview seek [OPTION]... RECORDING.dejaview ICOUNT[@ADDRESS]...\n"
	"\n"
	"Replays the recording up to the instruction count ICOUNT and says where the guest stands: the next\n"
	"instruction's address and symbol, the thread, and the calls that are open there, outermost first.\n"
	"\n"
	"An interrupt costs no instruction: at its count the guest stands first on what is interrupted and\n"
	"then on the handler. A bare ICOUNT means the side where the trace has a call or a handler start at it,\n"
	"else before the interrupt; ICOUNT@ADDRESS means the side where the guest stands on ADDRESS.\n"
	"\n"
	"      --stdin            more moments from standard input, one a line\n"
	"      --json             one JSON object a line, for programs\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"\n"
	"Several moments are sought in the order given, each from the nearest checkpoint (dejaview checkpoint).\n";

#define MAX_MOMENTS 100000
#define MAX_LINE 128
#define SLIDE_PAGE_BYTES 4096
#define SLIDE_PIECE_BYTES 32
#define SHOW_EVERY_ICOUNT 10000000

struct moment {
	uint64_t icount, rip;
	struct dv_buf slices; /* of struct dv_trace_slice: those that hold icount, of any thread */
};

struct seeker {
	struct dv_recording *recording;
	struct dv_trace_reader *trace; /* NULL: none */
	struct dv_kernel *kernel;      /* NULL: none */
	struct dv_linux linux_;
	bool has_linux, has_slide;
	uint64_t slide;
	struct moment *moments;
	size_t len;
	size_t *by_icount; /* indexes of moments */
	bool as_json, shown_progress;
	uint64_t target_icount, shown_icount;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool on_progress(void *context, uint64_t icount)
{
	struct seeker *s = context;

	if (icount / SHOW_EVERY_ICOUNT != s->shown_icount / SHOW_EVERY_ICOUNT && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[Kdejaview seek: at %" PRIu64 " M of %" PRIu64 " M instructions", icount / 1000000,
			s->target_icount / 1000000);
		s->shown_progress = true;
		s->shown_icount = icount;
	}
	return !interrupted;
}

static void clear_progress(struct seeker *s)
{
	if (s->shown_progress)
		fputs("\r\033[K", stderr);
	s->shown_progress = false;
}

static bool add_moment(struct seeker *s, const char *text)
{
	struct moment m = {.rip = DV_NO_RIP};
	struct moment *more;
	char *end;

	m.icount = strtoull(text, &end, 0);
	if (end != text && *end == '@') {
		text = end + 1;
		m.rip = strtoull(text, &end, 0);
	}
	if (end == text || (*end && *end != '\n') || s->len >= MAX_MOMENTS)
		return false;
	more = realloc(s->moments, (s->len + 1) * sizeof(*more));
	if (!more)
		return false;
	s->moments = more;
	s->moments[s->len++] = m;
	return true;
}

/* Keeps a slice with each moment it holds. */
static bool note_slice(void *context, const struct dv_trace_slice *slice)
{
	struct seeker *s = context;
	size_t low = 0, high = s->len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->moments[s->by_icount[mid]].icount < slice->start_icount)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < s->len; low++) {
		struct moment *m = &s->moments[s->by_icount[low]];

		if (m->icount > slice->end_icount || (m->icount == slice->end_icount && !slice->is_open &&
						      m->icount != slice->start_icount))
			break;
		dv_buf_append(&m->slices, slice, sizeof(*slice));
	}
	return true;
}

static int compare_moments(const void *a, const void *b, void *context)
{
	const struct moment *moments = context;
	uint64_t x = moments[*(const size_t *)a].icount, y = moments[*(const size_t *)b].icount;

	return x < y ? -1 : x > y;
}

static int compare_depths(const void *a, const void *b)
{
	const struct dv_trace_slice *x = a, *y = b;

	return x->depth < y->depth ? -1 : x->depth > y->depth;
}

static size_t slice_count(const struct moment *m)
{
	return m->slices.len / sizeof(struct dv_trace_slice);
}

static const struct dv_trace_slice *slice_at(const struct moment *m, size_t i)
{
	return (const struct dv_trace_slice *)(const void *)m->slices.data + i;
}

/* Where a bare icount should stand, by the trace: on the outermost call that starts there. */
static void expect(struct seeker *s, struct moment *m)
{
	for (int events = 0; events < 2 && m->rip == DV_NO_RIP; events++) {
		for (size_t i = 0; i < slice_count(m) && m->rip == DV_NO_RIP; i++) {
			const struct dv_trace_slice *slice = slice_at(m, i);
			bool is_event = slice->kind == DV_SLICE_INTERRUPT || slice->kind == DV_SLICE_EXCEPTION;

			if (slice->start_icount == m->icount && is_event == (events == 1))
				dv_trace_reader_entry_vaddr(s->trace, slice->function, slice->thread_id,
							    m->icount, &m->rip);
		}
	}
}

static struct dv_error *look_into_trace(struct seeker *s)
{
	const struct dv_trace_metadata *metadata;

	if (!s->trace)
		return NULL;
	metadata = dv_trace_reader_metadata(s->trace);
	if (metadata->clock != DV_TRACE_CLOCK_ICOUNT)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "the trace's timestamps are no instruction counts");
	for (size_t i = 0; i < metadata->note_count; i++) {
		if (strcmp(metadata->notes[i].key, "kaslr_slide"))
			continue;
		s->slide = strtoull(metadata->notes[i].value, NULL, 0);
		s->has_slide = true;
	}
	s->by_icount = calloc(s->len, sizeof(*s->by_icount));
	if (!s->by_icount)
		return dv_error_no_memory();
	for (size_t i = 0; i < s->len; i++)
		s->by_icount[i] = i;
	qsort_r(s->by_icount, s->len, sizeof(*s->by_icount), compare_moments, s->moments);
	DV_TRY(dv_trace_reader_slices(s->trace, note_slice, s));
	for (size_t i = 0; i < s->len; i++) {
		struct moment *m = &s->moments[i];

		if (m->slices.failed)
			return dv_error_no_memory();
		if (slice_count(m))
			qsort(m->slices.data, slice_count(m), sizeof(struct dv_trace_slice), compare_depths);
		if (metadata->exact)
			expect(s, m);
	}
	return NULL;
}

/* Names are a help, not a need: without them the address is said. */
static void open_kernel(struct seeker *s)
{
	struct dv_error *err = dv_recording_open_kernel(s->recording, &s->kernel);

	if (err)
		fprintf(stderr, "dejaview seek: no symbols: %s\n", err->message);
	dv_error_destroy(err);
	if (s->kernel) {
		err = dv_linux_init(&s->linux_, s->kernel);
		s->has_linux = !err;
		dv_error_destroy(err);
	}
}

/* Without a trace: some piece of the code around tells, one that was not patched when the kernel booted. */
static void find_slide(struct seeker *s, struct dv_replay *replay, const struct dv_where *where)
{
	const struct dv_arch *arch = dv_arch_find(s->recording->plan->arch);
	uint64_t page = where->registers.rip & ~(uint64_t)(SLIDE_PAGE_BYTES - 1);
	uint8_t code[SLIDE_PAGE_BYTES];
	struct dv_error *err;

	if (s->has_slide || !s->kernel || !arch || where->registers.rip < arch->kernel_min ||
	    where->registers.rip >= arch->kernel_max)
		return;
	err = dv_gdb_read_memory(replay->gdb, page, code, sizeof(code));
	for (size_t at = 0; !err && !s->has_slide && at + SLIDE_PIECE_BYTES <= sizeof(code); at += SLIDE_PIECE_BYTES / 2)
		s->has_slide = dv_slide_match(s->kernel, arch, page + at, code + at, SLIDE_PIECE_BYTES, &s->slide);
	dv_error_destroy(err);
}

static const struct dv_symbol *symbol_at(const struct seeker *s, uint64_t rip, uint64_t *ret_offset)
{
	const struct dv_symbol *symbol = NULL;

	if (s->kernel && s->has_slide)
		symbol = dv_symtab_function_at(dv_kernel_symtab(s->kernel), rip - s->slide);
	if (symbol)
		*ret_offset = rip - s->slide - symbol->vaddr;
	return symbol;
}

static const struct dv_trace_thread *thread_by_trace(const struct seeker *s, uint64_t icount)
{
	const struct dv_trace_switch *last = s->trace ? dv_trace_reader_switch_at(s->trace, icount) : NULL;

	return last ? dv_trace_reader_thread(s->trace, last->next_id) : NULL;
}

/* By the guest's own memory, which is always right; false where it is not mapped (user space, boot). */
static bool thread_by_guest(const struct seeker *s, struct dv_replay *replay, const struct dv_where *where,
			    struct dv_task *ret)
{
	struct dv_guest_memory memory = dv_gdb_memory(replay->gdb);
	uint64_t task, base = where->registers.gs_base;

	/* In user space, and on the first instructions of an entry, the kernel's base is in the other one. */
	if (!(base >> 63))
		base = where->registers.kernel_gs_base;
	return s->has_linux && (base >> 63) && dv_linux_read_current(&s->linux_, &memory, base, &task) &&
	       dv_linux_read_task(&s->linux_, &memory, task, ret);
}

static void print_slices(const struct seeker *s, const struct moment *m, uint64_t thread_id, json_t *to)
{
	static const char *const kinds[] = {"call", "tail call", "interrupt", "exception", "system call"};

	for (size_t i = 0; i < slice_count(m); i++) {
		const struct dv_trace_slice *slice = slice_at(m, i);
		const struct dv_trace_reader_function *f = dv_trace_reader_function(s->trace, slice->function);
		const char *kind = slice->kind < DV_ARRAY_SIZE(kinds) ? kinds[slice->kind] : "?";

		if (slice->thread_id != thread_id)
			continue;
		if (to)
			json_array_append_new(to, json_pack("{s:s, s:s, s:I, s:i}", "function", f->is.name, "kind", kind,
							    "start", (json_int_t)slice->start_icount, "depth",
							    (int)slice->depth));
		else
			printf("  %*s%s%s%s%s since %" PRIu64 "\n", (int)slice->depth, "", f->is.name,
			       slice->kind ? " (" : "", slice->kind ? kind : "", slice->kind ? ")" : "",
			       slice->start_icount);
	}
}

static void print_where(const struct seeker *s, struct dv_replay *replay, const struct moment *m,
			const struct dv_where *where)
{
	const struct dv_trace_thread *traced = thread_by_trace(s, m->icount);
	uint64_t rip = where->registers.rip, offset = 0;
	const struct dv_symbol *symbol = symbol_at(s, rip, &offset);
	struct dv_task task = {0};
	bool known = thread_by_guest(s, replay, where, &task);
	const char *comm = known ? task.comm : traced ? traced->comm : NULL;
	int tid = known ? task.tid : traced ? traced->tid : 0;

	if (s->as_json) {
		char hex[24];
		json_t *json, *slices = json_array();

		snprintf(hex, sizeof(hex), "0x%" PRIx64, rip);
		if (traced)
			print_slices(s, m, traced->id, slices);
		json = json_pack("{s:I, s:s, s:b, s:s?, s:I, s:s?, s:i, s:o}", "icount", (json_int_t)where->icount, "rip",
				 hex, "kernel", where->is_kernel, "symbol", symbol ? symbol->name : NULL, "offset",
				 (json_int_t)offset, "comm", comm, "tid", tid, "slices", slices);
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
	} else {
		printf("icount %" PRIu64 ": 0x%" PRIx64, where->icount, rip);
		if (symbol)
			printf(offset ? " %s+0x%" PRIx64 : " %s", symbol->name, offset);
		else
			printf(where->is_kernel ? "" : " (user space)");
		if (comm)
			printf(", thread %d (%s)", tid, comm);
		putchar('\n');
		if (traced)
			print_slices(s, m, traced->id, NULL);
	}
	fflush(stdout);
}

static struct dv_error *seek(struct seeker *s, const char *folder, const char *qemu)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_replay_ struct dv_replay replay = {.machine = DV_MACHINE_INIT};
	_cleanup_free_ char *trace = dv_path_join(folder, DV_RECORDING_TRACE);

	DV_TRY(dv_qemu_probe(qemu ?: s->recording->plan->binary, &version));
	DV_TRY(dv_recording_check(s->recording, version.text));
	if (trace && !access(trace, R_OK))
		DV_TRY(dv_trace_reader_open(trace, &s->trace));
	DV_TRY(look_into_trace(s));
	open_kernel(s);
	DV_TRY(dv_replay_open(s->recording, qemu, &replay));
	if (!replay.checkpoints.len && isatty(STDERR_FILENO) && !s->recording->plan->cannot_restore)
		fprintf(stderr, "dejaview seek: without checkpoints all up to there is replayed; 'dejaview checkpoint %s' makes them\n",
			folder);
	replay.moves.go_on = on_progress;
	replay.moves.context = s;
	for (size_t i = 0; i < s->len; i++) {
		struct dv_where where;
		struct dv_error *err;

		s->target_icount = s->moments[i].icount;
		err = dv_replay_seek(&replay, s->moments[i].icount, s->moments[i].rip, &where);
		clear_progress(s);
		DV_TRY(err);
		find_slide(s, &replay, &where);
		print_where(s, &replay, &s->moments[i], &where);
	}
	return NULL;
}

static void seeker_deinit(struct seeker *s)
{
	for (size_t i = 0; i < s->len; i++)
		dv_buf_deinit(&s->moments[i].slices);
	free(s->moments);
	free(s->by_icount);
	dv_trace_reader_close(s->trace);
	dv_kernel_destroy(s->kernel);
	dv_recording_destroy(s->recording);
}

static bool take_moments(struct seeker *s, int argc, char **argv, bool from_stdin)
{
	char line[MAX_LINE];

	for (int i = 0; i < argc; i++) {
		if (!add_moment(s, argv[i])) {
			fprintf(stderr, "dejaview seek: '%s' is no ICOUNT[@ADDRESS]\n", argv[i]);
			return false;
		}
	}
	while (from_stdin && fgets(line, sizeof(line), stdin)) {
		if (*line != '\n' && !add_moment(s, line)) {
			fprintf(stderr, "dejaview seek: '%.*s' is no ICOUNT[@ADDRESS]\n", (int)strcspn(line, "\n"), line);
			return false;
		}
	}
	return true;
}

int dv_cmd_seek(int argc, char **argv)
{
	enum { IMAGE = 256, QEMU, STDIN, JSON };
	struct sigaction action = {.sa_handler = interrupt};
	static const struct option options[] = {
		{"image", required_argument, NULL, IMAGE}, {"qemu", required_argument, NULL, QEMU},
		{"stdin", no_argument, NULL, STDIN}, {"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, 'h'}, {0}};
	const char *qemu = NULL, *images[16], *folder;
	struct seeker s = {0};
	struct dv_error *err;
	size_t images_len = 0;
	bool from_stdin = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case IMAGE:
			if (images_len < DV_ARRAY_SIZE(images))
				images[images_len++] = optarg;
			break;
		case QEMU: qemu = optarg; break;
		case STDIN: from_stdin = true; break;
		case JSON: s.as_json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs("Try 'dejaview seek --help'.\n", stderr); return 2;
		}
	}
	if (argc - optind < 2 - from_stdin) {
		fputs(usage, stderr);
		return 2;
	}
	folder = argv[optind];
	if (!take_moments(&s, argc - optind - 1, argv + optind + 1, from_stdin)) {
		seeker_deinit(&s);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	err = dv_recording_open(folder, &s.recording);
	if (!err)
		err = dv_recording_repair(s.recording);
	for (size_t i = 0; i < images_len && !err; i++)
		err = dv_recording_set_image(s.recording, images[i]);
	if (!err)
		err = seek(&s, folder, qemu);
	seeker_deinit(&s);
	return dv_cmd_report("seek", err);
}
