/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads and stacks. What runs is gdb's: its frames. The other threads of the guest are shown by the trace,
 * which knows their stacks exactly but not their registers.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dap/private.h"

#define MAX_THREADS 4096u

static uint64_t icount_now(struct adapter *a)
{
	struct dv_timeline_now now;

	dv_timeline_now(a->target.timeline, &now);
	return now.where.icount;
}

/* ---- threads ---- */

static bool is_alive(const struct dv_query_thread *thread, uint64_t icount)
{
	return !thread->is_idle && thread->slices && thread->track != DV_QUERY_NONE &&
	       (thread->start_icount == UINT64_MAX || thread->start_icount <= icount) &&
	       (thread->end_icount == UINT64_MAX || thread->end_icount > icount);
}

static void add_thread(json_t *threads, int id, const char *name, int64_t tid, const char *more)
{
	char text[64];

	snprintf(text, sizeof(text), "%.32s (%" PRId64 ")%s", name, tid, more);
	json_array_append_new(threads, json_pack("{s:i, s:s}", "id", id, "name", text));
}

struct dv_error *dap_threads(struct adapter *a, const json_t *arguments, json_t *body)
{
	const struct dv_query *q = a->target.query;
	json_t *threads = json_array();
	uint64_t icount;
	uint32_t running;

	json_object_set_new(body, "threads", threads);
	if (!a->is_open || !q) {
		json_array_append_new(threads, json_pack("{s:i, s:s}", "id", CPU_THREAD, "name", "CPU"));
		return NULL;
	}
	icount = icount_now(a);
	running = dv_query_running_at(q, 0, icount);
	if (running == DV_QUERY_NONE)
		json_array_append_new(threads, json_pack("{s:i, s:s}", "id", CPU_THREAD, "name", "CPU"));
	else
		add_thread(threads, CPU_THREAD, dv_query_thread(q, running)->name, dv_query_thread(q, running)->tid,
			   ", runs");
	for (uint32_t utid = 0; utid < dv_query_info(q)->threads && json_array_size(threads) < MAX_THREADS; utid++) {
		const struct dv_query_thread *thread = dv_query_thread(q, utid);

		if (utid != running && is_alive(thread, icount))
			add_thread(threads, FIRST_TRACE_THREAD + (int)utid, thread->name, thread->tid, "");
	}
	return NULL;
}

/* ---- stacks ---- */

/* Without a path where the file is not here: editors would open an empty one of that name. */
static json_t *source_at(const char *path)
{
	const char *name = strrchr(path, '/');
	json_t *source = json_pack("{s:s}", "name", name ? name + 1 : path);

	if (*path == '/' && !access(path, R_OK))
		json_object_set_new(source, "path", json_string(path));
	else
		json_object_set_new(source, "presentationHint", json_string("deemphasize"));
	return source;
}

static json_t *cpu_frame(const json_t *frame)
{
	const char *address = dap_string(frame, "addr") ?: "0x0", *function = dap_string(frame, "func");
	const char *line = dap_string(frame, "line");
	const char *path = dap_string(frame, "fullname") ?: dap_string(frame, "file");
	json_t *json = json_pack("{s:i, s:s, s:i, s:i, s:s}", "id", 1 + atoi(dap_string(frame, "level") ?: "0"), "name",
				 function ? function : address, "line", line ? atoi(line) : 0, "column", 0,
				 "instructionPointerReference", address);

	if (path && line)
		json_object_set_new(json, "source", source_at(path));
	return json;
}

static struct dv_error *cpu_stack(struct adapter *a, int start, int levels, json_t *body)
{
	json_t *answer = NULL, *frames = json_array(), *frame;
	struct dv_error *err;
	size_t i;

	json_object_set_new(body, "stackFrames", frames);
	if (levels <= 0 || levels > MAX_FRAMES)
		levels = MAX_FRAMES;
	err = dap_mi(a, &answer, "-stack-list-frames %d %d", start, start + levels - 1);
	if (err)
		return err;
	json_array_foreach(json_object_get(answer, "stack"), i, frame)
		json_array_append_new(frames, cpu_frame(frame));
	if ((int)json_array_size(frames) < levels)
		json_object_set_new(body, "totalFrames", json_integer(start + (json_int_t)json_array_size(frames)));
	json_decref(answer);
	return NULL;
}

static json_t *trace_frame(const struct dv_query *q, uint32_t id)
{
	const struct dv_query_function *f;
	struct dv_query_slice slice;
	json_t *json;
	char address[24];

	if (!dv_query_slice(q, id, &slice))
		return NULL;
	f = dv_query_function(q, slice.function);
	snprintf(address, sizeof(address), "0x%" PRIx64, f->vaddr);
	json = json_pack("{s:I, s:s, s:i, s:i, s:s, s:s}", "id", (json_int_t)TRACE_FRAME_BASE + id, "name", f->slice_name,
			 "line", (int)f->line, "column", 0, "presentationHint", "subtle", "instructionPointerReference",
			 address);
	if (f->file)
		json_object_set_new(json, "source", source_at(f->file));
	return json;
}

/* A thread that does not run: what is open of it, the innermost first. */
static struct dv_error *trace_stack(struct adapter *a, uint32_t utid, int start, int levels, json_t *body)
{
	const struct dv_query *q = a->target.query;
	_cleanup_free_ uint32_t *ids = calloc(MAX_FRAMES, sizeof(*ids));
	json_t *frames = json_array();
	size_t len;

	json_object_set_new(body, "stackFrames", frames);
	if (!ids)
		return dv_error_no_memory();
	if (!q || utid >= dv_query_info(q)->threads)
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no such thread");
	len = dv_query_stack_at(q, dv_query_thread(q, utid)->track, icount_now(a), ids, MAX_FRAMES);
	len = len < MAX_FRAMES ? len : MAX_FRAMES;
	for (size_t i = (size_t)start; i < len && (levels <= 0 || i < (size_t)start + (size_t)levels); i++) {
		json_t *frame = trace_frame(q, ids[len - 1 - i]);

		if (frame)
			json_array_append_new(frames, frame);
	}
	json_object_set_new(body, "totalFrames", json_integer((json_int_t)len));
	return NULL;
}

struct dv_error *dap_stack_trace(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t thread = dap_integer(arguments, "threadId", CPU_THREAD);
	int64_t start = dap_integer(arguments, "startFrame", 0), levels = dap_integer(arguments, "levels", 0);

	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "nothing is being debugged yet");
	if (start < 0 || start > MAX_FRAMES || levels > MAX_FRAMES)
		return dv_error_new(DV_ERROR_INVALID, "up to %d frames are shown", MAX_FRAMES);
	if (thread == CPU_THREAD)
		return cpu_stack(a, (int)start, (int)levels, body);
	return trace_stack(a, (uint32_t)(thread - FIRST_TRACE_THREAD), (int)start, (int)levels, body);
}
