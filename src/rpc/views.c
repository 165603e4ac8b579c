/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers that answer with binary frames: what a viewer draws. */
#include <string.h>
#include "rpc/private.h"

#define MAX_TRACKS 256
#define MAX_BUCKETS (1u << 20)
#define MAX_CELLS (64u << 20) /* buckets of all tracks: 256 MB */
#define MAX_ROWS 4000000 /* of a frame: some 130 MB */
#define TREE_NODES 100000

static struct dv_error *count_result(uint64_t rows, const char *name, json_t **ret)
{
	*ret = json_pack("{s:I}", name, (json_int_t)rows);
	return NULL;
}

/* [from, to) of the request; to: the trace's end and all unless given. */
static struct dv_error *area_of(const struct job *job, uint64_t *ret_from, uint64_t *ret_to)
{
	*ret_from = param_count(job, "from", 0);
	*ret_to = param_count(job, "to", UINT64_MAX);
	if (*ret_from > *ret_to)
		return dv_error_new(DV_ERROR_INVALID, "params: from %llu lies behind to %llu",
				    (unsigned long long)*ret_from, (unsigned long long)*ret_to);
	return NULL;
}

static struct dv_error *check_rows(struct job *job, size_t rows)
{
	if (rows <= MAX_ROWS)
		return NULL;
	job->error_code = DV_RPC_ERROR_CODE_TOO_LARGE;
	job_hint(job, "ask for a smaller area or a wider bucket");
	return dv_error_new(DV_ERROR_INVALID, "%zu rows; at most %d are sent at a time", rows, MAX_ROWS);
}

static struct dv_error *check_track(const struct dv_query *q, uint64_t track)
{
	if (track < dv_query_info(q)->tracks)
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND, "there is no track %llu", (unsigned long long)track);
}

static void copy_f64(double *to, const uint64_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] == DV_QUERY_OPEN ? -1.0 : (double)from[i];
}

static struct dv_error *send_frame(struct job *job, const struct dv_buf *buf)
{
	return buf->failed ? dv_error_no_memory() : job_send(job, false, buf->data, buf->len);
}

/* timeline */

static struct dv_error *timeline_frame(struct job *job, uint32_t track, uint64_t from, uint64_t to, uint64_t *rows)
{
	static const uint8_t widths[] = DV_FRAME_TIMELINE_COLUMNS;
	const struct dv_query *q = job->rpc->query;
	_cleanup_free_ struct dv_query_timeline *timeline = NULL;
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct dv_rpc_frame frame = {DV_FRAME_TIMELINE, .request = job->id, .track = track, .base_icount = (double)from,
				 .extra = dv_query_track(q, track)->depths};
	void *columns[DV_ARRAY_SIZE(widths)];
	size_t n;

	DV_TRY(dv_query_timeline(q, track, from, to, param_count(job, "bucket", 0),
				 (uint32_t)param_count(job, "maxDepth", 0), &timeline));
	n = timeline->len;
	DV_TRY(check_rows(job, n));
	frame.rows = (uint32_t)n;
	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	if (n) {
		copy_f64(columns[0], timeline->start_icount, n);
		copy_f64(columns[1], timeline->dur_icount, n);
		memcpy(columns[2], timeline->id, n * sizeof(uint32_t));
		memcpy(columns[3], timeline->function, n * sizeof(uint32_t));
		memcpy(columns[4], timeline->count, n * sizeof(uint32_t));
		memcpy(columns[5], timeline->depth, n * sizeof(uint16_t));
		memcpy(columns[6], timeline->kind, n);
	}
	*rows += n;
	return send_frame(job, &buf);
}

HANDLER(handle_timeline)
{
	const json_t *tracks = json_object_get(job->params, "tracks");
	uint64_t from, to, rows = 0;

	DV_TRY(area_of(job, &from, &to));
	if (json_array_size(tracks) > MAX_TRACKS)
		return dv_error_new(DV_ERROR_INVALID, "params: tracks: %zu of them; at most %d",
				    json_array_size(tracks), MAX_TRACKS);
	for (size_t i = 0; i < json_array_size(tracks); i++)
		DV_TRY(check_track(job->rpc->query, (uint64_t)json_integer_value(json_array_get(tracks, i))));
	for (size_t i = 0; i < json_array_size(tracks); i++)
		DV_TRY(timeline_frame(job, (uint32_t)json_integer_value(json_array_get(tracks, i)), from, to, &rows));
	return count_result(rows, "rows", ret);
}

HANDLER(handle_sched)
{
	static const uint8_t widths[] = DV_FRAME_SCHED_COLUMNS;
	_cleanup_free_ struct dv_query_sched *sched = NULL;
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	uint32_t cpu = (uint32_t)param_count(job, "cpu", DV_QUERY_NONE);
	struct dv_rpc_frame frame = {DV_FRAME_SCHED, .request = job->id, .track = cpu};
	void *columns[DV_ARRAY_SIZE(widths)];
	uint64_t from, to;
	size_t n;

	DV_TRY(area_of(job, &from, &to));
	DV_TRY(dv_query_sched_timeline(job->rpc->query, cpu, (uint32_t)param_count(job, "utid", DV_QUERY_NONE), from,
				       to, param_count(job, "bucket", 0), &sched));
	n = sched->len;
	DV_TRY(check_rows(job, n));
	frame.rows = (uint32_t)n;
	frame.base_icount = (double)from;
	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	if (n) {
		copy_f64(columns[0], sched->start_icount, n);
		copy_f64(columns[1], sched->dur_icount, n);
		memcpy(columns[2], sched->utid, n * sizeof(uint32_t));
		memcpy(columns[3], sched->cpu, n * sizeof(uint32_t));
		memcpy(columns[4], sched->count, n * sizeof(uint32_t));
	}
	DV_TRY(send_frame(job, &buf));
	return count_result(n, "rows", ret);
}

/* search */

static struct dv_error *search_frame(struct job *job, const struct search *search, uint32_t track, uint64_t from,
				     const uint32_t *counts, size_t buckets)
{
	static const uint8_t widths[] = DV_FRAME_SEARCH_COLUMNS;
	struct dv_rpc_frame frame = {DV_FRAME_SEARCH, .request = job->id, .track = track, .base_icount = (double)from};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	void *columns[DV_ARRAY_SIZE(widths)];
	uint32_t *numbers, *matches;
	uint64_t all = dv_query_search_count(search->search, track);
	size_t n = 0;

	for (size_t i = 0; i < buckets; i++)
		frame.rows += counts[i] != 0;
	frame.extra = (uint32_t)all;
	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	numbers = columns[0];
	matches = columns[1];
	for (size_t i = 0; i < buckets; i++) {
		if (counts[i]) {
			numbers[n] = (uint32_t)i;
			matches[n++] = counts[i];
		}
	}
	return send_frame(job, &buf);
}

static struct dv_error *search_frames(struct job *job, const struct search *search)
{
	const struct dv_query *q = job->rpc->query;
	uint64_t from, to, bucket = param_count(job, "bucket", 0), buckets, last = dv_query_info(q)->last_icount;
	uint32_t tracks = dv_query_info(q)->tracks;
	_cleanup_free_ uint32_t *counts = NULL;

	DV_TRY(area_of(job, &from, &to));
	if (to > last + 1)
		to = last + 1;
	if (from > to)
		from = to;
	if (!bucket)
		bucket = 1;
	buckets = (to - from + bucket - 1) / bucket;
	if (buckets > MAX_BUCKETS || buckets * tracks > MAX_CELLS)
		return dv_error_new(DV_ERROR_INVALID, "params: %llu buckets of %u tracks are too many",
				    (unsigned long long)buckets, tracks);
	counts = calloc(buckets * tracks + 1, sizeof(*counts));
	if (!counts)
		return dv_error_no_memory();
	dv_query_search_grid(search->search, from, bucket, counts, buckets);
	for (uint32_t track = 0; track < tracks; track++) {
		if (job_is_cancelled(job))
			return job_cancelled(job);
		if (dv_query_search_count(search->search, track))
			DV_TRY(search_frame(job, search, track, from, counts + track * buckets, buckets));
	}
	return NULL;
}

HANDLER(handle_search)
{
	struct search *search;
	struct dv_error *err;

	DV_TRY(search_get(job->rpc, param_string(job, "glob"), param_bool(job, "matchCase"), &search));
	err = search_frames(job, search);
	if (!err)
		*ret = json_pack("{s:I, s:I}", "matches",
				 (json_int_t)dv_query_search_count(search->search, DV_QUERY_ALL_TRACKS), "functions",
				 (json_int_t)dv_query_search_functions(search->search));
	search_put(job->rpc, search);
	return err;
}

/* trees and statistics */

static struct dv_error *query_area(const struct job *job, struct dv_query_area *ret)
{
	*ret = DV_QUERY_WHOLE;
	DV_TRY(area_of(job, &ret->from_icount, &ret->to_icount));
	ret->utid = (uint32_t)param_count(job, "utid", DV_QUERY_NONE);
	ret->upid = (uint32_t)param_count(job, "upid", DV_QUERY_NONE);
	return NULL;
}

static struct dv_error *tree_frame(struct job *job, const struct dv_query_tree_node *nodes, size_t n, uint64_t from)
{
	static const uint8_t widths[] = DV_FRAME_TREE_COLUMNS;
	struct dv_rpc_frame frame = {DV_FRAME_TREE, .request = job->id, .rows = (uint32_t)n, .base_icount = (double)from};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	void *columns[DV_ARRAY_SIZE(widths)];

	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	for (size_t i = 0; i < n; i++) {
		((double *)columns[0])[i] = (double)nodes[i].total_icount;
		((double *)columns[1])[i] = (double)nodes[i].own_icount;
		((double *)columns[2])[i] = (double)nodes[i].calls;
		((uint32_t *)columns[3])[i] = nodes[i].parent;
		((uint32_t *)columns[4])[i] = nodes[i].next;
		((uint32_t *)columns[5])[i] = nodes[i].function;
		((uint32_t *)columns[6])[i] = nodes[i].depth;
	}
	return send_frame(job, &buf);
}

static struct dv_error *send_tree(struct job *job, enum dv_query_tree_kind kind, json_t **ret)
{
	_cleanup_free_ struct dv_query_tree_node *nodes = NULL;
	uint64_t function = param_count(job, "function", 0), most = param_count(job, "maxNodes", TREE_NODES);
	struct dv_query_area area;
	size_t n;

	DV_TRY(query_area(job, &area));
	if (function >= dv_query_info(job->rpc->query)->functions)
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no function %llu", (unsigned long long)function);
	if (!most || most > MAX_ROWS)
		return dv_error_new(DV_ERROR_INVALID, "params: maxNodes: from 1 to %d", MAX_ROWS);
	DV_TRY(dv_query_tree(job->rpc->query, kind, (uint32_t)function, &area,
			     (uint32_t)param_count(job, "maxDepth", DV_QUERY_MAX_DEPTH), (uint32_t)most, &job->cancel,
			     &nodes, &n));
	DV_TRY(tree_frame(job, nodes, n, area.from_icount));
	return count_result(n, "nodes", ret);
}

HANDLER(handle_flamegraph)
{
	return send_tree(job, DV_TREE_FLAMEGRAPH, ret);
}

HANDLER(handle_callers)
{
	return send_tree(job, DV_TREE_CALLERS, ret);
}

HANDLER(handle_callees)
{
	return send_tree(job, DV_TREE_CALLEES, ret);
}

HANDLER(handle_function_stats)
{
	static const uint8_t widths[] = DV_FRAME_FUNCTION_STATS_COLUMNS;
	struct dv_rpc_frame frame = {DV_FRAME_FUNCTION_STATS, .request = job->id};
	_cleanup_free_ struct dv_query_function_stats *stats = NULL;
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	void *columns[DV_ARRAY_SIZE(widths)];
	struct dv_query_area area;
	size_t n;

	DV_TRY(query_area(job, &area));
	DV_TRY(dv_query_function_stats(job->rpc->query, &area, &job->cancel, &stats, &n));
	frame.rows = (uint32_t)n;
	frame.base_icount = (double)area.from_icount;
	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	for (size_t i = 0; i < n; i++) {
		((double *)columns[0])[i] = (double)stats[i].own_icount;
		((double *)columns[1])[i] = (double)stats[i].total_icount;
		((double *)columns[2])[i] = (double)stats[i].calls;
		((double *)columns[3])[i] = (double)stats[i].min_icount;
		((double *)columns[4])[i] = (double)stats[i].max_icount;
		((double *)columns[5])[i] = (double)stats[i].elapsed_icount;
		((uint32_t *)columns[6])[i] = stats[i].function;
	}
	DV_TRY(send_frame(job, &buf));
	return count_result(n, "rows", ret);
}
