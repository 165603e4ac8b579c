/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments on demand: calls of a function, looked at by replays beside the one that clients share. */
#include <inttypes.h>
#include <string.h>
#include "replay/calls.h"
#include "rpc/private.h"

#define CALLS 500	/* unless told */
#define MAX_CALLS 10000
#define PART_CALLS 100	/* in one message */

struct fetch {
	struct job *job;
	struct dv_subject subject;
	struct dv_prototype prototype; /* no returned.type: not known */
	const struct dv_btf *btf;
	struct dv_query_slice *slices; /* by start, as calls */
	struct dv_call *calls;
	size_t len, missing;
	struct dv_error *err; /* of sending */
	uint64_t told_permille;
};

static void fetch_deinit(struct fetch *f)
{
	dv_prototype_deinit(&f->prototype);
	free(f->slices);
	free(f->calls);
	dv_subject_deinit(&f->subject);
}

/* Takes the text. */
static json_t *variable(const char *name, const char *type, struct dv_buf *text)
{
	_cleanup_free_ char *value = dv_buf_steal_string(text);
	json_t *json = json_pack("{s:o, s:o}", "name", dv_json_text(name), "value", dv_json_text(value ? value : ""));

	if (type)
		set_member(json, "type", dv_json_text(type));
	return json;
}

/* Without a prototype: the registers that arguments are in, by their place. */
static json_t *describe_registers(const struct dv_call *call)
{
	json_t *list = json_array();
	char name[24];

	for (size_t i = 0; i < DV_CAPTURE_ARGUMENTS; i++) {
		_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

		snprintf(name, sizeof(name), "argument %zu", i + 1);
		dv_buf_printf(&text, "0x%" PRIx64, call->entry.arguments[i]);
		json_array_append_new(list, variable(name, NULL, &text));
	}
	return list;
}

static json_t *describe_arguments(const struct fetch *f, const struct dv_call *call)
{
	json_t *list;

	if (!f->prototype.returned.type)
		return describe_registers(call);
	list = json_array();
	for (size_t i = 0; i < f->prototype.len; i++) {
		const struct dv_parameter *is = &f->prototype.parameters[i];
		_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

		dv_call_print_argument(call, &f->prototype, i, f->btf, &text);
		json_array_append_new(list, variable(is->name, is->type, &text));
	}
	return list;
}

static json_t *describe_result(const struct fetch *f, const struct dv_call *call)
{
	const struct dv_parameter *is = &f->prototype.returned;
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	if (!is->type)
		dv_buf_printf(&text, "0x%" PRIx64, call->value);
	else if (is->form != DV_VALUE_VOID)
		dv_value_print(is, call->value, f->btf, NULL, &text);
	return is->type && is->form == DV_VALUE_VOID ? NULL : variable("return value", is->type, &text);
}

static json_t *describe_call(const struct fetch *f, size_t i)
{
	const struct dv_query *q = f->job->rpc->query;
	const struct dv_query_slice *slice = &f->slices[i];
	const struct dv_call *call = &f->calls[i];
	json_t *json = json_pack("{s:I, s:I, s:o, s:o, s:b}", "slice", (json_int_t)slice->id, "icount",
				 (json_int_t)call->start_icount, "function",
				 dv_json_text(dv_query_function(q, slice->function)->slice_name), "arguments",
				 describe_arguments(f, call), "returned", call->has_value);

	if (slice->utid != DV_QUERY_NONE)
		set_member(json, "utid", json_integer(slice->utid));
	if (call->has_value)
		set_member(json, "result", describe_result(f, call));
	return json;
}

static void send_part(struct fetch *f, json_t *list)
{
	if (!f->err && json_array_size(list))
		f->err = job_part(f->job, json_pack("{s:O}", "calls", list));
	json_array_clear(list);
}

static void on_ready(void *context, const struct dv_call *calls, size_t len)
{
	struct fetch *f = context;
	size_t first = (size_t)(calls - f->calls);
	json_t *list = json_array();

	for (size_t i = first; i < first + len && !f->err; i++) {
		if (!f->calls[i].has_arguments) {
			f->missing++;
			continue;
		}
		json_array_append_new(list, describe_call(f, i));
		if (json_array_size(list) == PART_CALLS)
			send_part(f, list);
	}
	send_part(f, list);
	json_decref(list);
}

static bool on_progress(void *context, uint64_t done_icount, uint64_t total_icount)
{
	struct fetch *f = context;

	return job_replayed(f->job, done_icount, total_icount, "replaying to the calls", &f->told_permille);
}

/* A module's functions are not in the kernel's own type information, where another may have their name. */
static void find_prototype(struct fetch *f, const struct dv_query_function *function)
{
	f->btf = f->subject.kernel ? dv_kernel_btf(f->subject.kernel) : NULL;
	if (f->btf && !function->module)
		dv_error_destroy(dv_prototype_from_btf(f->btf, function->name, &f->prototype));
}

static struct dv_error *tell_prototype(struct fetch *f, const char *function)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (!f->prototype.returned.type)
		return NULL;
	dv_prototype_print(&f->prototype, function, &buf);
	text = dv_buf_steal_string(&buf);
	if (!text)
		return dv_error_no_memory();
	return job_part(f->job, json_pack("{s:o, s:[]}", "prototype", dv_json_text(text), "calls"));
}

/* One more than the limit, so as to know whether it cuts. */
static struct dv_error *find_calls(struct fetch *f, const uint32_t *functions, size_t functions_len, uint64_t limit,
				   bool *ret_cut)
{
	uint64_t end = dv_recording_common_icount(f->subject.recording), to = param_count(f->job, "to", end);

	DV_TRY(dv_query_calls_of(f->job->rpc->query, functions, functions_len, param_count(f->job, "from", 0),
				 to < end ? to : end, limit + 1, &f->slices, &f->len));
	*ret_cut = f->len > limit;
	f->len -= *ret_cut;
	f->calls = calloc(f->len + 1, sizeof(*f->calls));
	if (!f->calls)
		return dv_error_no_memory();
	for (size_t i = 0; i < f->len; i++) {
		f->calls[i].start_icount = f->slices[i].start_icount;
		f->calls[i].first_icount = dv_query_first_instruction(f->job->rpc->query, f->slices[i].id);
		f->calls[i].end_icount = f->slices[i].dur_icount == DV_QUERY_OPEN
						 ? UINT64_MAX
						 : f->slices[i].start_icount + f->slices[i].dur_icount;
	}
	return NULL;
}

static struct dv_error *fetch(struct fetch *f, const char *name, uint64_t limit, json_t **ret)
{
	_cleanup_checkpoints_ struct dv_checkpoints checkpoints = {0};
	const struct dv_query *q = f->job->rpc->query;
	struct dv_calls_function where[DV_CALLS_MAX_FUNCTIONS];
	uint32_t functions[DV_CALLS_MAX_FUNCTIONS];
	struct dv_calls calls = {.checkpoints = &checkpoints, .qemu = f->subject.qemu, .functions = where,
				 .ready = on_ready, .progress = on_progress, .context = f};
	bool is_cut;

	DV_TRY(dv_query_functions(q, name, functions, DV_CALLS_MAX_FUNCTIONS, &calls.functions_len));
	find_prototype(f, dv_query_function(q, functions[0]));
	for (size_t i = 0; i < calls.functions_len; i++)
		where[i] = (struct dv_calls_function){dv_query_function(q, functions[i])->vaddr,
						      dv_calls_strings_mask(&f->prototype)};
	DV_TRY(find_calls(f, functions, calls.functions_len, limit, &is_cut));
	DV_TRY(tell_prototype(f, dv_query_function(q, functions[0])->name));
	DV_TRY(dv_checkpoints_open(f->subject.recording, &checkpoints));
	calls.calls = f->calls;
	calls.calls_len = f->len;
	DV_TRY(dv_calls_fetch(f->subject.recording, &calls));
	*ret = json_pack("{s:I, s:b, s:I}", "total", (json_int_t)(f->len - f->missing), "truncated", is_cut, "missing",
			 (json_int_t)f->missing);
	return NULL;
}

HANDLER(handle_calls)
{
	uint64_t limit = param_count(job, "limit", CALLS);
	struct fetch f = {.job = job};
	struct dv_error *err;

	if (!limit || limit > MAX_CALLS)
		return dv_error_new(DV_ERROR_INVALID, "limit: 1 to %d calls at a time", MAX_CALLS);
	DV_TRY(job_subject(job, &f.subject));
	err = fetch(&f, param_string(job, "function"), limit, ret);
	fetch_deinit(&f);
	if (!err && job_is_cancelled(job))
		err = job_cancelled(job);
	if (f.err) {
		dv_error_destroy(err);
		err = f.err;
	}
	if (err) {
		json_decref(*ret);
		*ret = NULL;
	}
	return err;
}
