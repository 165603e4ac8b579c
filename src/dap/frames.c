/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads, stacks, variables. What runs is gdb's: its frames, locals, registers. The other threads of the
 * guest are shown by the trace, which knows their stacks exactly but not their registers.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

#define TRACE_FRAME_BASE (1 << 24) /* frame ids: gdb's levels from 1 on; from here on slices' ids */
#define MAX_THREADS 4096u
#define REGISTERS_SHOWN 24 /* the general ones come first */

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

static json_t *source_of(const json_t *frame)
{
	const char *path = dap_string(frame, "fullname") ?: dap_string(frame, "file");
	const char *name = path ? strrchr(path, '/') : NULL;

	return path ? json_pack("{s:s, s:s}", "name", name ? name + 1 : path, "path", path) : NULL;
}

static json_t *cpu_frame(const json_t *frame)
{
	const char *address = dap_string(frame, "addr") ?: "0x0", *function = dap_string(frame, "func");
	const char *line = dap_string(frame, "line");
	json_t *source = source_of(frame);
	json_t *json = json_pack("{s:i, s:s, s:i, s:i, s:s}", "id", 1 + atoi(dap_string(frame, "level") ?: "0"), "name",
				 function ? function : address, "line", line ? atoi(line) : 0, "column", 0,
				 "instructionPointerReference", address);

	if (source && line)
		json_object_set_new(json, "source", source);
	else
		json_decref(source);
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
		json_object_set_new(json, "source", json_pack("{s:s, s:s}", "name", f->file, "path", f->file));
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

/* ---- scopes and variables ---- */

static int64_t add_handle(struct adapter *a, const struct handle *handle)
{
	struct handle *more = realloc(a->handles, (a->handles_len + 1) * sizeof(*more));

	if (!more)
		return 0;
	a->handles = more;
	a->handles[a->handles_len++] = *handle;
	return (int64_t)a->handles_len; /* references begin at 1 */
}

static void add_scope(json_t *scopes, const char *name, const char *hint, int64_t reference, bool expensive)
{
	json_t *scope = json_pack("{s:s, s:I, s:b}", "name", name, "variablesReference", (json_int_t)reference, "expensive",
				  expensive);

	if (hint)
		json_object_set_new(scope, "presentationHint", json_string(hint));
	json_array_append_new(scopes, scope);
}

struct dv_error *dap_scopes(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t frame = dap_integer(arguments, "frameId", 0);
	json_t *scopes = json_array();

	json_object_set_new(body, "scopes", scopes);
	if (frame >= TRACE_FRAME_BASE) {
		struct handle handle = {.kind = HANDLE_SLICE, .slice = (uint32_t)(frame - TRACE_FRAME_BASE)};

		add_scope(scopes, "Call", NULL, add_handle(a, &handle), false);
	} else if (frame > 0) {
		struct handle locals = {.kind = HANDLE_LOCALS, .frame = (int)frame - 1};
		struct handle registers = {.kind = HANDLE_REGISTERS, .frame = (int)frame - 1};

		add_scope(scopes, "Locals", "locals", add_handle(a, &locals), false);
		add_scope(scopes, "Registers", "registers", add_handle(a, &registers), true);
	}
	return NULL;
}

static void add_variable(json_t *variables, const char *name, const char *value, const char *type, int64_t reference)
{
	json_t *variable = json_pack("{s:s, s:s, s:I}", "name", name, "value", value, "variablesReference",
				     (json_int_t)reference);

	if (type)
		json_object_set_new(variable, "type", json_string(type));
	json_object_set_new(variable, "evaluateName", json_string(name));
	json_array_append_new(variables, variable);
}

/* A reference to what is in a variable object of gdb's; 0 when nothing is. */
static int64_t reference_to(struct adapter *a, const json_t *object)
{
	struct handle handle = {.kind = HANDLE_CHILDREN};
	const char *name = dap_string(object, "name");

	if (!name || atoi(dap_string(object, "numchild") ?: "0") == 0 || strlen(name) >= sizeof(handle.variable))
		return 0;
	snprintf(handle.variable, sizeof(handle.variable), "%s", name);
	return add_handle(a, &handle);
}

/* A variable with its value; what has parts gets a variable object. */
static void add_local(struct adapter *a, json_t *variables, const json_t *local, int frame)
{
	const char *name = dap_string(local, "name") ?: "?", *value = dap_string(local, "value");
	const char *type = dap_string(local, "type");
	json_t *object = NULL;
	struct dv_error *err = NULL;

	if (!value || strchr(type ?: "", '*'))
		err = dap_mi(a, &object, "-var-create --thread 1 --frame %d - * %s", frame, name);
	add_variable(variables, name, value ?: dap_string(object, "value") ?: "?", type, object ? reference_to(a, object) : 0);
	dv_error_destroy(err);
	json_decref(object);
}

static struct dv_error *locals(struct adapter *a, int frame, json_t *variables)
{
	json_t *answer = NULL, *local;
	size_t i;

	DV_TRY(dap_mi(a, &answer, "-stack-list-variables --thread 1 --frame %d --simple-values", frame));
	json_array_foreach(json_object_get(answer, "variables"), i, local)
		add_local(a, variables, local, frame);
	json_decref(answer);
	return NULL;
}

static struct dv_error *registers(struct adapter *a, int frame, json_t *variables)
{
	json_t *names = NULL, *values = NULL, *value;
	struct dv_error *err;
	size_t i;

	DV_TRY(dap_mi(a, &names, "-data-list-register-names"));
	err = dap_mi(a, &values, "-data-list-register-values --thread 1 --frame %d --skip-unavailable x", frame);
	json_array_foreach(json_object_get(values, "register-values"), i, value) {
		size_t number = (size_t)atoi(dap_string(value, "number") ?: "0");
		const char *name = json_string_value(json_array_get(json_object_get(names, "register-names"), number));

		if (name && *name && number < REGISTERS_SHOWN)
			add_variable(variables, name, dap_string(value, "value") ?: "?", NULL, 0);
	}
	json_decref(names);
	json_decref(values);
	return err;
}

static struct dv_error *children(struct adapter *a, const char *variable, json_t *variables)
{
	json_t *answer = NULL, *child;
	size_t i;

	DV_TRY(dap_mi(a, &answer, "-var-list-children --all-values %s 0 1000", variable));
	json_array_foreach(json_object_get(answer, "children"), i, child)
		add_variable(variables, dap_string(child, "exp") ?: "?", dap_string(child, "value") ?: "",
			     dap_string(child, "type"), reference_to(a, child));
	json_decref(answer);
	return NULL;
}

static void add_number(json_t *variables, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	add_variable(variables, name, text, NULL, 0);
}

static void slice_facts(struct adapter *a, uint32_t id, json_t *variables)
{
	struct dv_query_slice slice;

	if (!a->target.query || !dv_query_slice(a->target.query, id, &slice))
		return;
	add_number(variables, "start icount", slice.start_icount);
	if (slice.dur_icount != DV_QUERY_OPEN)
		add_number(variables, "end icount", slice.start_icount + slice.dur_icount);
	add_number(variables, "depth", slice.depth);
	add_number(variables, "own instructions", slice.own_icount);
}

struct dv_error *dap_variables(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t reference = dap_integer(arguments, "variablesReference", 0);
	json_t *variables = json_array();
	struct handle handle;

	json_object_set_new(body, "variables", variables);
	if (reference < 1 || (size_t)reference > a->handles_len)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the guest has moved since: ask for the variables again");
	handle = a->handles[reference - 1];
	switch (handle.kind) {
	case HANDLE_LOCALS: return locals(a, handle.frame, variables);
	case HANDLE_REGISTERS: return registers(a, handle.frame, variables);
	case HANDLE_CHILDREN: return children(a, handle.variable, variables);
	case HANDLE_SLICE: slice_facts(a, handle.slice, variables); return NULL;
	}
	return NULL;
}

/* ---- evaluate ---- */

/* A line typed into the debug console: gdb's own command line. */
static struct dv_error *run_typed(struct adapter *a, const char *line, json_t *body)
{
	struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char *quoted = dv_mi_quote(line), *printed = NULL;
	struct dv_error *err;

	if (!quoted)
		return dv_error_no_memory();
	pthread_mutex_lock(&a->lock);
	a->capture = &text;
	pthread_mutex_unlock(&a->lock);
	err = dap_mi(a, NULL, "-interpreter-exec console %s", quoted);
	pthread_mutex_lock(&a->lock);
	a->capture = NULL;
	pthread_mutex_unlock(&a->lock);
	printed = dv_buf_steal_string(&text);
	json_object_set_new(body, "result", json_string(printed ?: "") ?: json_string("?"));
	json_object_set_new(body, "variablesReference", json_integer(0));
	return err;
}

struct dv_error *dap_evaluate(struct adapter *a, const json_t *arguments, json_t *body)
{
	const char *expression = dap_string(arguments, "expression"), *context = dap_string(arguments, "context");
	int64_t frame = dap_integer(arguments, "frameId", 1);
	_cleanup_free_ char *quoted = NULL;
	json_t *object = NULL;

	if (!expression)
		return dv_error_new(DV_ERROR_INVALID, "evaluate needs an expression");
	if (context && !strcmp(context, "repl"))
		return run_typed(a, expression, body);
	if (frame < 1 || frame >= TRACE_FRAME_BASE)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "that thread does not run now: its registers are not known");
	quoted = dv_mi_quote(expression);
	if (!quoted)
		return dv_error_no_memory();
	DV_TRY(dap_mi(a, &object, "-var-create --thread 1 --frame %d - * %s", (int)frame - 1, quoted));
	json_object_set_new(body, "result", json_string(dap_string(object, "value") ?: ""));
	if (dap_string(object, "type"))
		json_object_set_new(body, "type", json_string(dap_string(object, "type")));
	json_object_set_new(body, "variablesReference", json_integer(reference_to(a, object)));
	json_decref(object);
	return NULL;
}
