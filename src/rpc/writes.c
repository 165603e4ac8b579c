/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Who wrote this?": replays of its own, beside the one that clients share. */
#include <inttypes.h>
#include <string.h>
#include "replay/checkpoints.h"
#include "replay/writes.h"
#include "rpc/private.h"

#define MAX_WRITES 200 /* the newest */
#define NO_THREAD UINT64_MAX

struct find {
	struct job *job;
	struct dv_subject subject;
	struct dv_error *err; /* of sending */
	uint64_t vaddr;
	uint32_t bytes; /* that are watched */
	uint64_t told_permille;
	json_int_t found;
};

static json_t *hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

/* By the kernel's symbols; by the trace for modules and user space. */
static const char *writer_of(const struct find *s, const struct dv_write *w)
{
	const struct dv_query *q = s->job->rpc->query;
	const struct dv_symbol *symbol;
	uint32_t function;

	if (!w->by_cpu)
		return "(no instruction: a device, or the loader)";
	symbol = dv_subject_function_at(&s->subject, w->rip, &(uint64_t){0});
	if (symbol)
		return symbol->name;
	function = dv_query_function_at(q, 0, w->icount);
	return function == DV_QUERY_NONE ? NULL : dv_query_function(q, function)->slice_name;
}

/* Takes the text. */
static void set_text(json_t *json, const char *name, struct dv_buf *text)
{
	_cleanup_free_ char *string = dv_buf_steal_string(text);

	if (string)
		set_member(json, name, dv_json_text(string));
}

static bool on_write(void *context, const struct dv_write *w)
{
	struct find *s = context;
	const struct dv_query *q = s->job->rpc->query;
	_cleanup_buf_ struct dv_buf before = DV_BUF_INIT, after = DV_BUF_INIT;
	uint32_t utid = w->by_cpu ? dv_query_running_at(q, 0, w->icount) : DV_QUERY_NONE;
	const char *function = writer_of(s, w);
	uint32_t len = w->size_bytes < 8 ? w->size_bytes : 8;
	uint64_t value = 0;
	json_t *json;

	memcpy(&value, w->after + w->offset, len);
	json = json_pack("{s:I, s:o, s:I, s:o}", "icount", (json_int_t)w->icount, "address", hex(s->vaddr + w->offset),
			 "size", (json_int_t)w->size_bytes, "value", hex(value));
	if (utid != DV_QUERY_NONE)
		set_member(json, "utid", json_integer(utid));
	if (function)
		set_member(json, "function", dv_json_text(function));
	dv_write_print_change(w, s->bytes, &before, &after);
	set_text(json, "before", &before);
	set_text(json, "after", &after);
	s->err = job_part(s->job, json_pack("{s:[o]}", "writes", json));
	return ++s->found < MAX_WRITES && !s->err && !job_is_cancelled(s->job);
}

static bool on_progress(void *context, uint64_t done_icount, uint64_t total_icount)
{
	struct find *s = context;

	return job_replayed(s->job, done_icount, total_icount, "looking for writes, from the end backwards",
			    &s->told_permille);
}

bool job_replayed(struct job *job, uint64_t done_icount, uint64_t total_icount, const char *what,
		  uint64_t *told_permille)
{
	uint64_t permille = total_icount ? done_icount * 1000 / total_icount : 0;

	if (permille != *told_permille)
		job_progress(job, (double)done_icount, (double)total_icount, what);
	*told_permille = permille;
	return !job_is_cancelled(job);
}

static struct dv_error *find(struct find *s, const char *place)
{
	_cleanup_checkpoints_ struct dv_checkpoints checkpoints = {0};
	struct dv_writes_search search = {.from_icount = param_count(s->job, "from", 0), .checkpoints = &checkpoints,
					  .write = on_write, .progress = on_progress, .context = s};
	uint64_t end = dv_recording_common_icount(s->subject.recording);
	uint64_t tid = param_count(s->job, "thread", NO_THREAD);

	DV_TRY(dv_writes_resolve(&s->subject, place, param_count(s->job, "size", 0), &search.vaddr, &search.bytes));
	s->vaddr = search.vaddr;
	s->bytes = search.bytes;
	search.to_icount = param_count(s->job, "to", end);
	if (search.to_icount > end)
		search.to_icount = end;
	search.qemu = s->subject.qemu;
	if (tid != NO_THREAD && tid > INT32_MAX)
		return dv_error_new(DV_ERROR_INVALID, "params: thread: there is no thread %" PRIu64, tid);
	if (tid != NO_THREAD)
		DV_TRY(dv_subject_thread_ran_before(&s->subject, (int32_t)tid, search.to_icount, &search.moment_icount));
	DV_TRY(dv_checkpoints_open(s->subject.recording, &checkpoints));
	return dv_writes_find(s->subject.recording, &search);
}

struct dv_error *job_subject(const struct job *job, struct dv_subject *ret)
{
	const struct dv_recording *recording = job->rpc->recording;

	if (!recording)
		return dv_error_new(DV_ERROR_NOT_FOUND, "this is a trace without its recording: only a recording replays");
	if (recording->is_live)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s is still being recorded", recording->folder);
	return dv_subject_init(&(struct dv_subject_options){.folder = recording->folder}, ret);
}

HANDLER(handle_writes)
{
	const char *address = param_string(job, "address"), *symbol = param_string(job, "symbol");
	struct find s = {.job = job};
	struct dv_error *err;

	if (!address == !symbol)
		return dv_error_new(DV_ERROR_INVALID, "give either an address or a symbol");
	DV_TRY(job_subject(job, &s.subject));
	err = find(&s, address ? address : symbol);
	dv_subject_deinit(&s.subject);
	if (s.err) {
		dv_error_destroy(err);
		return s.err;
	}
	if (job_is_cancelled(job) && !err)
		return job_cancelled(job);
	if (!err)
		*ret = json_pack("{s:I}", "total", s.found);
	return err;
}
