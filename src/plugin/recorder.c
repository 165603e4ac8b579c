/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The writer thread: see recorder.h. */
#include "plugin/command.h"
#include "plugin/entries.h"
#include "plugin/lines.h"
#include "plugin/recorder.h"
#include "plugin/spool.h"
#include "plugin/spool_drain.h"
#include "plugin/user_jumps.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/thread.h"
#include "symbols/dynamic.h"
#include "trace/status.h"

/* A block is written at least this often, so that a killed QEMU loses less than a second. */
#define FLUSH_INTERVAL_NS 400000000ull

struct dv_recorder {
	struct dv_ring ring;
	struct dv_names names;
	struct dv_lines lines;
	struct dv_callgraph *callgraph;
	struct dv_trace_writer *writer;
	struct dv_trace_status *status; /* a mapped page, or NULL */
	const struct dv_plugin_options *options;
	bool is_over; /* what comes from the ring belongs to the next segment */
	struct dv_map dynamic_files; /* device and inode of those whose dynamic symbols came */
	uint64_t last_icount;
	uint64_t last_flush_ns;
	struct dv_callgraph_counts noted; /* in the trace */
	pthread_t thread;
	struct dv_error *error;
};

struct dv_ring *dv_recorder_ring(struct dv_recorder *recorder)
{
	return &recorder->ring;
}

/* ---- frames to the trace ---- */

static void sink_thread(void *context, uint64_t icount, const struct dv_trace_thread *thread)
{
	dv_trace_writer_thread(((struct dv_recorder *)context)->writer, icount, thread);
}

static void sink_begin(void *context, uint64_t thread_id, uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	dv_trace_writer_begin(((struct dv_recorder *)context)->writer, thread_id, icount, key, kind);
}

static void sink_end(void *context, uint64_t thread_id, uint64_t icount)
{
	dv_trace_writer_end(((struct dv_recorder *)context)->writer, thread_id, icount);
}

static void sink_switched(void *context, uint64_t icount, unsigned cpu, uint64_t prev_id, uint64_t next_id)
{
	dv_trace_writer_switch(((struct dv_recorder *)context)->writer, icount, cpu, prev_id, next_id);
}

/* A segment's sites are those of another process, which has its own answers; when they come, nothing is taken from
 * the ring here any more. */
static void settle(void *context, uint64_t site)
{
	(void)context;
	dv_user_jumps_settle(site);
}

static void sink_print(void *context, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print)
{
	dv_lines_add(&((struct dv_recorder *)context)->lines, icount, thread_id, print);
}

static void sink_command(void *context, uint64_t icount, uint64_t thread_id, const struct dv_event_command *command)
{
	dv_trace_writer_command(((struct dv_recorder *)context)->writer, icount, thread_id, command->text, command->len);
}

static void emit_line(void *context, const struct dv_console_line *line)
{
	dv_trace_writer_console(((struct dv_recorder *)context)->writer, line);
}

/* ---- the thread ---- */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void update_status(struct dv_recorder *r)
{
	struct dv_callgraph_counts counts = dv_callgraph_counts(r->callgraph);
	struct dv_trace_totals totals = dv_trace_writer_totals(r->writer);
	struct dv_trace_status *status = r->status;

	if (!status)
		return;
	dv_trace_status_set(&status->icount, r->last_icount);
	dv_trace_status_set(&status->calls, counts.calls);
	dv_trace_status_set(&status->events, totals.begins + totals.ends + totals.switches);
	dv_trace_status_set(&status->threads, counts.threads);
	dv_trace_status_set(&status->trace_bytes, totals.file_bytes);
}

static void note_count(struct dv_recorder *r, const char *key, uint64_t *known, uint64_t count)
{
	char text[24];

	if (count == *known)
		return;
	*known = count;
	snprintf(text, sizeof(text), "%" PRIu64, count);
	dv_trace_writer_note(r->writer, key, text);
}

/* How sound the stacks are: what is new since the last block. */
static void note_counts(struct dv_recorder *r)
{
	struct dv_callgraph_counts counts = dv_callgraph_counts(r->callgraph), *noted = &r->noted;

	note_count(r, "returns", &noted->returns, counts.returns);
	note_count(r, "early_returns", &noted->early_returns, counts.early_returns);
	note_count(r, "outer_returns", &noted->outer_returns, counts.outer_returns);
	note_count(r, "made_returns", &noted->made_returns, counts.made_returns);
	note_count(r, "unmatched_returns", &noted->unmatched_returns, counts.unmatched_returns);
	note_count(r, "stale_frames", &noted->stale_frames, counts.stale_frames);
	note_count(r, "dropped_frames", &noted->dropped_frames, counts.dropped_frames);
}

static void on_symbols(struct dv_recorder *r, const struct dv_event *e)
{
	char text[32];

	/* A block gives a function one name: what comes from here on is in another one. */
	dv_trace_writer_flush(r->writer);
	r->names.slide_known = e->b;
	r->names.slide = e->a;
	snprintf(text, sizeof(text), "0x%" PRIx64, e->a);
	dv_trace_writer_note(r->writer, e->b ? "kaslr_slide" : "kernel_mismatch", e->b ? text : "1");
}

static void on_module(struct dv_recorder *r, const struct dv_event *e)
{
	const struct dv_event_module *event = (const struct dv_event_module *)(uintptr_t)e->a;
	struct dv_module_code *code = event->code;
	struct dv_trace_module_change change = {.icount = dv_event_icount(e), .is_gone = event->is_gone};

	if (event->is_gone)
		code = dv_module_list_get(&r->names.modules, event->module_vaddr);
	if (!code)
		return;
	dv_trace_writer_flush(r->writer);
	change.name = code->name;
	change.build_id = code->build_id[0] ? code->build_id : NULL;
	change.base_vaddr = code->base_vaddr;
	change.size_bytes = code->size_bytes;
	change.init_vaddr = code->init_vaddr;
	change.init_size_bytes = code->init_size_bytes;
	dv_trace_writer_module(r->writer, &change);
	if (event->is_gone) {
		dv_module_lines_forget(&r->names.module_lines, code);
		dv_module_list_remove(&r->names.modules, event->module_vaddr);
	} else {
		dv_module_list_add(&r->names.modules, code);
	}
}

/* Each segment's tracer reads a file's dynamic symbols when it first can: the first ones stand. */
static void drop_known_dynamic(struct dv_recorder *r, struct dv_event_mapping *info)
{
	for (size_t i = 0; i < info->count; i++) {
		struct dv_mapping *m = &info->mappings[i];
		uint64_t *known = m->dynamic ? dv_map_put(&r->dynamic_files, dv_mapping_file_key(m)) : NULL;

		if (known && *known)
			dv_dynamic_destroy(dv_steal(m->dynamic));
		else if (known)
			*known = 1;
	}
}

static void on_names(struct dv_recorder *r, const struct dv_event *e)
{
	switch (dv_event_kind(e)) {
	case DV_EVENT_SYMBOLS:
		on_symbols(r, e);
		break;
	case DV_EVENT_MODULE:
		on_module(r, e);
		break;
	default:
		drop_known_dynamic(r, (struct dv_event_mapping *)(uintptr_t)e->a);
		if (r->names.spaces)
			dv_spaces_apply(r->names.spaces, dv_event_icount(e),
					(const struct dv_event_mapping *)(uintptr_t)e->a, r->writer);
	}
}

/* Names change between two events: what comes before is resolved by the old ones. */
static void feed(struct dv_recorder *r, const struct dv_event *events, size_t count)
{
	size_t from = 0;

	for (size_t i = 0; i < count; i++) {
		if (__builtin_expect(dv_event_kind(&events[i]) < DV_EVENT_SYMBOLS, 1))
			continue;
		dv_callgraph_feed(r->callgraph, events + from, i - from);
		on_names(r, &events[i]);
		from = i;
	}
	dv_callgraph_feed(r->callgraph, events + from, count - from);
}

static void flush_sometimes(struct dv_recorder *r)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	if (now - r->last_flush_ns < FLUSH_INTERVAL_NS)
		return;
	r->last_flush_ns = now;
	note_counts(r);
	dv_trace_writer_flush(r->writer);
	update_status(r);
	if (r->status)
		dv_trace_status_set(&r->status->writer_cpu_ns, now_ns(CLOCK_THREAD_CPUTIME_ID));
}

static void take(struct dv_recorder *r, const struct dv_event *events, size_t count)
{
	size_t end = r->is_over ? 0 : count;

	/* As in spooler.c: up to the first event that the next segment begins with. */
	if (!r->is_over && r->options->to != UINT64_MAX) {
		for (end = 0; end < count && dv_event_icount(&events[end]) < r->options->to;)
			end++;
		r->is_over = end < count;
	}
	if (end) {
		feed(r, events, end);
		r->last_icount = dv_event_icount(&events[end - 1]);
	}
	for (size_t i = end; i < count; i++)
		dv_spool_free_payload(&events[i]);
}

static void take_spooled(void *context, const struct dv_event *events, size_t count)
{
	struct dv_recorder *r = context;

	if (count) {
		feed(r, events, count);
		r->last_icount = dv_event_icount(&events[count - 1]);
	}
	flush_sometimes(r);
}

/* The other segments' events, as they come. */
static void take_over(struct dv_recorder *r)
{
	for (const char *const *path = r->options->then; *path && !r->error; path++) {
		struct dv_spool_source source = {.path = *path, .take = take_spooled, .context = r,
						 .slide = r->names.slide};

		r->error = dv_spool_drain(&source);
	}
}

static void *run(void *context)
{
	struct dv_recorder *r = context;
	const struct dv_event *events;
	size_t count;

	while (!r->is_over && dv_ring_wait(&r->ring, &events, &count)) {
		if (count) {
			take(r, events, count);
			dv_ring_release(&r->ring, count);
		}
		flush_sometimes(r);
	}
	if (r->is_over && r->status)
		dv_trace_status_set(&r->status->over, 1);
	/* Nobody takes from the ring any more: what is produced goes nowhere. */
	dv_ring_close(&r->ring);
	while (dv_ring_wait(&r->ring, &events, &count)) {
		take(r, events, count);
		dv_ring_release(&r->ring, count);
	}
	take_over(r);
	return NULL;
}

/* ---- setting up ---- */

static struct dv_error *open_writer(struct dv_recorder *r, const struct dv_recorder_setup *setup)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char **argv = dv_own_command(&text);
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	struct dv_trace_options options = {
		.path = setup->options->out,
		.clock = setup->clock,
		.exact = !setup->inexact_reason,
		.exact_reason = setup->inexact_reason,
		.command = argv,
		.directory = cwd,
		/* The other segments' events are taken in when this one's CPU has nothing else to do. */
		.encodes_apart = setup->options->then[0],
		.describe = dv_names_describe,
		.describe_context = &r->names,
	};

	if (setup->kernel) {
		options.kernel_banner = dv_kernel_banner(setup->kernel);
		options.kernel_build_id = dv_kernel_build_id(setup->kernel);
	}
	return dv_trace_writer_create(&options, &r->writer);
}

static struct dv_error *open_callgraph(struct dv_recorder *r, const struct dv_plugin_options *options)
{
	struct dv_callgraph_options cg = {
		.resolve = dv_names_resolve,
		.function_at = dv_names_function_at,
		.resolve_user = dv_names_resolve_user,
		.settle = settle,
		.find_space = dv_names_find_space,
		.resolve_context = &r->names,
		.sink = {sink_thread, sink_begin, sink_end, sink_switched, sink_print, sink_command, r},
		.filter = {
			.min_insns = options->min_insns,
			.max_depth = options->max_depth,
			.during = options->during,
			.from_start_target = options->starting_from != NULL,
		},
	};

	return dv_callgraph_create(&cg, &r->callgraph);
}

static void close_names(struct dv_recorder *r)
{
	dv_names_close(&r->names);
	dv_map_deinit(&r->dynamic_files);
}

static void destroy(struct dv_recorder *r)
{
	close_names(r);
	dv_callgraph_destroy(r->callgraph);
	dv_lines_deinit(&r->lines);
	dv_trace_writer_destroy(r->writer);
	dv_trace_status_unmap(r->status);
	if (r->ring.events)
		dv_ring_deinit(&r->ring);
	free(r);
}

static struct dv_error *open_all(struct dv_recorder *r, const struct dv_recorder_setup *setup)
{
	DV_TRY(dv_ring_init(&r->ring));
	DV_TRY(open_writer(r, setup));
	/* Without the kernel's layouts nothing is told of user space. */
	if (setup->follows_user_space)
		DV_TRY(dv_names_open_files(&r->names, setup->initrd));
	dv_lines_init(&r->lines, emit_line, r);
	DV_TRY(open_callgraph(r, setup->options));
	if (setup->options->status) {
		DV_TRY(dv_trace_status_map(setup->options->status, &r->status));
		dv_trace_status_publish(r->status);
	}
	return NULL;
}

struct dv_error *dv_recorder_create(const struct dv_recorder_setup *setup, struct dv_recorder **ret)
{
	struct dv_recorder *r = calloc(1, sizeof(*r));
	struct dv_error *err;

	if (!r)
		return dv_error_no_memory();
	r->options = setup->options;
	r->names = (struct dv_names){.arch = setup->arch, .kernel = setup->kernel, .options = setup->options};
	r->names.sources = setup->sources;
	r->names.module_lines.debug_files = setup->debug_files;
	if (setup->kernel)
		r->names.stub_bytes = dv_entry_stub_bytes(setup->arch, setup->kernel);
	err = open_all(r, setup);
	if (!err)
		err = dv_thread_start(&r->thread, "dejaview", run, r);
	if (err) {
		destroy(r);
		return err;
	}
	*ret = r;
	return NULL;
}

struct dv_error *dv_recorder_finish(struct dv_recorder *r)
{
	struct dv_trace_status *status = r->status;
	struct dv_error *err;

	dv_ring_close(&r->ring);
	pthread_join(r->thread, NULL);
	dv_callgraph_finish(r->callgraph, r->last_icount);
	dv_lines_flush(&r->lines);
	dv_lines_deinit(&r->lines);
	note_counts(r);
	update_status(r);
	if (r->names.files)
		dv_user_files_finish(r->names.files, r->writer);
	err = dv_trace_writer_finish(dv_steal(r->writer), r->last_icount);
	if (r->error) {
		dv_error_destroy(err);
		err = dv_steal(r->error);
	}
	close_names(r);
	if (status)
		dv_trace_status_set(err ? &status->failed : &status->finished, 1);
	/* The ring stays: a vCPU may still be writing into it while QEMU exits. */
	dv_callgraph_destroy(r->callgraph);
	dv_trace_status_unmap(status);
	return err;
}
