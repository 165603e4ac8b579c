/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers that answer with JSON: single calls, threads, functions, the console. */
#include <string.h>
#include "base/map.h"
#include "rpc/private.h"

#define CHILDREN 100

static struct dv_error *no_slice(uint64_t id)
{
	return dv_error_new(DV_ERROR_NOT_FOUND, "there is no slice %llu", (unsigned long long)id);
}

/* The slice that a request names by `id`. */
static struct dv_error *slice_of(const struct job *job, struct dv_query_slice *ret)
{
	uint64_t id = param_count(job, "id", DV_QUERY_NONE);

	if (id >= DV_QUERY_NONE || !dv_query_slice(job->rpc->query, (uint32_t)id, ret))
		return no_slice(id);
	return NULL;
}

/* hello, threads */

static json_t *capabilities(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < DV_RPC_METHODS; i++)
		if (dv_rpc_handler_of(&dv_rpc_methods[i]))
			json_array_append_new(list, json_string(dv_rpc_methods[i].name));
	return list;
}

static json_t *describe_command(char *const *command)
{
	json_t *list = json_array();

	for (; command && *command; command++)
		json_array_append_new(list, dv_json_text(*command));
	return list;
}

static json_t *describe_recording(const struct dv_recording *recording)
{
	bool replays = !recording->is_live && strcmp(dv_recording_state(recording), "recording") != 0;
	json_t *json = json_pack("{s:o, s:b, s:I, s:o}", "path", dv_json_text(recording->folder), "replays", replays, "to",
				 (json_int_t)dv_recording_common_icount(recording), "command",
				 describe_command(recording->plan->command));

	if (!replays)
		set_member(json, "whyNot", json_string(recording->is_live ? "it is still being recorded" :
				   "its recorder was killed: 'dejaview info' repairs it"));
	return json;
}

HANDLER(handle_hello)
{
	struct dv_rpc *rpc = job->rpc;
	bool is_ready;

	pthread_mutex_lock(&rpc->lock);
	*ret = dv_rpc_state_json(rpc);
	is_ready = rpc->state == DV_RPC_STATE_READY;
	pthread_mutex_unlock(&rpc->lock);
	set_member(*ret, "daemon", json_string(rpc->options.version));
	set_member(*ret, "protocol", json_integer(DV_RPC_VERSION));
	set_member(*ret, "capabilities", capabilities());
	set_member(*ret, "limits", json_pack("{s:I, s:i, s:I}", "messageBytes", (json_int_t)rpc->options.max_message_bytes,
					     "requests", DV_RPC_MAX_REQUESTS, "querySeconds",
					     (json_int_t)rpc->options.query_seconds));
	if (is_ready)
		set_member(*ret, "trace", describe_trace(rpc->query));
	if (rpc->recording)
		set_member(*ret, "recording", describe_recording(rpc->recording));
	return NULL;
}

HANDLER(handle_threads)
{
	const struct dv_query *q = job->rpc->query;
	const struct dv_query_info *info = dv_query_info(q);
	json_t *threads = json_array(), *processes = json_array(), *tracks = json_array();

	for (uint32_t i = 0; i < info->threads; i++)
		json_array_append_new(threads, describe_thread(q, i));
	for (uint32_t i = 0; i < info->processes; i++)
		json_array_append_new(processes, describe_process(q, i));
	for (uint32_t i = 0; i < info->tracks; i++)
		json_array_append_new(tracks, describe_track(q, i));
	*ret = json_pack("{s:o, s:o, s:o}", "threads", threads, "processes", processes, "tracks", tracks);
	return NULL;
}

/* slices */

/* What its direct children are, in new memory. */
static struct dv_error *children_of(const struct dv_query *q, uint32_t id, uint32_t **ret, size_t *ret_len)
{
	size_t len = dv_query_children(q, id, NULL, 0);
	uint32_t *ids = malloc((len + 1) * sizeof(*ids));

	if (!ids)
		return dv_error_no_memory();
	dv_query_children(q, id, ids, len);
	*ret = ids;
	*ret_len = len;
	return NULL;
}

/* Arguments of a slice, as the table args has them. */
static struct dv_error *args_of(struct job *job, uint32_t id, json_t **ret)
{
	_cleanup_(dv_sql_finalizep) struct dv_sql_statement *st = NULL;
	struct dv_sql *sql;
	struct dv_error *err;
	bool row = true;

	DV_TRY(job_sql_open(job, &sql));
	*ret = json_array();
	err = dv_sql_prepare(sql, "select key, display_value from args where arg_set_id = "
				  "(select arg_set_id from slice where id = ?1)", &st, NULL);
	if (!err)
		err = dv_sql_bind_integer(st, 1, id);
	while (!err && row) {
		err = dv_sql_step(st, &row);
		if (!err && row) {
			struct dv_sql_value key = dv_sql_column(st, 0), value = dv_sql_column(st, 1);

			json_array_append_new(*ret, json_pack("{s:o, s:o}", "name", dv_json_text(key.text ? key.text : ""),
							      "value", dv_json_text(value.text ? value.text : "")));
		}
	}
	dv_sql_finalize(dv_steal(st));
	job_sql_close(job, sql);
	if (err) {
		json_decref(*ret);
		*ret = NULL;
	}
	return err;
}

static struct dv_error *slice_at_place(const struct dv_query *q, const json_t *place, struct dv_query_slice *ret)
{
	const json_t *tid = json_object_get(place, "tid");
	int64_t depth = json_integer_value(json_object_get(place, "depth"));
	uint64_t start = (uint64_t)json_integer_value(json_object_get(place, "start"));
	uint32_t id = dv_query_slice_by_tid(q, start, tid ? json_integer_value(tid) : -1,
					    depth >= 0 && depth <= DV_QUERY_MAX_DEPTH ? (uint32_t)depth : UINT32_MAX);

	if (!dv_query_slice(q, id, ret))
		return dv_error_new(DV_ERROR_NOT_FOUND, "no call of that thread begins at %llu in this trace",
				    (unsigned long long)start);
	return NULL;
}

HANDLER(handle_slice)
{
	const struct dv_query *q = job->rpc->query;
	const json_t *key = json_object_get(job->params, "key"), *place = json_object_get(job->params, "place");
	struct dv_query_slice slice;
	json_t *args;

	if (key) {
		uint64_t start = (uint64_t)json_integer_value(json_object_get(key, "start"));
		uint64_t utid = (uint64_t)json_integer_value(json_object_get(key, "utid"));
		int64_t depth = json_integer_value(json_object_get(key, "depth"));
		uint32_t id = DV_QUERY_NONE;

		if (utid < dv_query_info(q)->threads && depth >= 0 && depth <= DV_QUERY_MAX_DEPTH)
			id = dv_query_slice_by_key(q, start, (uint32_t)utid, (uint32_t)depth);
		if (id == DV_QUERY_NONE || !dv_query_slice(q, id, &slice))
			return dv_error_new(DV_ERROR_NOT_FOUND, "thread %llu begins no slice of depth %lld at %llu",
					    (unsigned long long)utid, (long long)depth, (unsigned long long)start);
	} else if (place) {
		DV_TRY(slice_at_place(q, place, &slice));
	} else {
		DV_TRY(slice_of(job, &slice));
	}
	DV_TRY(args_of(job, slice.id, &args));
	*ret = json_pack("{s:o, s:o, s:I, s:o}", "slice", describe_slice(q, slice.id), "function",
			 describe_function(q, slice.function), "children",
			 (json_int_t)dv_query_children(q, slice.id, NULL, 0), "args", args);
	set_member(*ret, "parent", describe_slice(q, slice.parent));
	if (slice.utid != DV_QUERY_NONE)
		set_member(*ret, "thread", describe_thread(q, slice.utid));
	return NULL;
}

static json_t *slices_of(const struct dv_query *q, const uint32_t *ids, size_t len)
{
	json_t *list = json_array();

	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, describe_slice(q, ids[i]));
	return json_pack("{s:o}", "slices", list);
}

HANDLER(handle_ancestors)
{
	struct dv_query_slice slice;
	_cleanup_free_ uint32_t *ids = NULL;
	size_t len;

	DV_TRY(slice_of(job, &slice));
	ids = malloc((slice.depth + 1) * sizeof(*ids));
	if (!ids)
		return dv_error_no_memory();
	len = dv_query_ancestors(job->rpc->query, slice.id, ids, slice.depth + 1);
	*ret = slices_of(job->rpc->query, ids, len);
	return NULL;
}

struct cost {
	uint64_t calls, total_icount, own_icount;
	uint32_t row; /* a function's or a slice's */
};

static int compare_costs(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	if (x->total_icount != y->total_icount)
		return x->total_icount < y->total_icount ? 1 : -1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Adds up the slices by function. Returns how many functions. */
static struct dv_error *add_up(const struct job *job, const uint32_t *ids, struct cost *singles, size_t len,
			       struct cost *functions, size_t *ret_len)
{
	_cleanup_(dv_map_deinit) struct dv_map map = DV_MAP_INIT;
	struct dv_query_slice slice;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint64_t *at;

		if (job_is_cancelled(job) || !dv_query_slice(job->rpc->query, ids[i], &slice))
			return job_cancelled((struct job *)job);
		singles[i] = (struct cost){1, slice.cpu_icount, slice.own_icount, ids[i]};
		at = dv_map_put(&map, slice.function);
		if (!at)
			return dv_error_no_memory();
		if (!*at) {
			functions[n] = (struct cost){.row = slice.function};
			*at = ++n;
		}
		functions[*at - 1].calls++;
		functions[*at - 1].total_icount += slice.cpu_icount;
		functions[*at - 1].own_icount += slice.own_icount;
	}
	*ret_len = n;
	return NULL;
}

HANDLER(handle_children)
{
	const struct dv_query *q = job->rpc->query;
	uint64_t limit = param_count(job, "limit", CHILDREN);
	_cleanup_free_ struct cost *singles = NULL, *functions = NULL;
	_cleanup_free_ uint32_t *ids = NULL;
	json_t *by_function = NULL, *dearest = NULL;
	struct dv_query_slice slice;
	size_t len, function_count = 0;

	DV_TRY(slice_of(job, &slice));
	DV_TRY(children_of(q, slice.id, &ids, &len));
	singles = calloc(len + 1, sizeof(*singles));
	functions = calloc(len + 1, sizeof(*functions));
	if (!singles || !functions)
		return dv_error_no_memory();
	DV_TRY(add_up(job, ids, singles, len, functions, &function_count));
	qsort(singles, len, sizeof(*singles), compare_costs);
	qsort(functions, function_count, sizeof(*functions), compare_costs);
	by_function = json_array();
	for (size_t i = 0; i < function_count && i < limit; i++)
		json_array_append_new(by_function, json_pack("{s:I, s:o, s:I, s:I, s:I}", "function",
			(json_int_t)functions[i].row, "name", dv_json_text(dv_query_function(q, functions[i].row)->slice_name),
			"calls", (json_int_t)functions[i].calls, "total", (json_int_t)functions[i].total_icount, "own",
			(json_int_t)functions[i].own_icount));
	dearest = json_array();
	for (size_t i = 0; i < len && i < limit; i++)
		json_array_append_new(dearest, describe_slice(q, singles[i].row));
	*ret = json_pack("{s:o, s:o}", "functions", by_function, "slices", dearest);
	return NULL;
}
