/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers that go from call to call of a function or a pattern; the stack at a moment. */
#include <string.h>
#include "rpc/private.h"

#define CANCEL_EVERY 65536 /* slices between two looks at whether it is still wanted */

/* The next match from id on, that is of function unless it is DV_QUERY_NONE. */
static struct dv_error *walk(struct job *job, const struct search *search, uint32_t track, uint32_t id, bool forward,
			     uint32_t function, uint32_t *ret)
{
	struct dv_query_slice slice;

	for (uint64_t n = 0;; n++) {
		id = forward ? dv_query_search_next(search->search, track, id) :
			       dv_query_search_prev(search->search, track, id);
		if (id == DV_QUERY_NONE || function == DV_QUERY_NONE)
			break;
		if (dv_query_slice(job->rpc->query, id, &slice) && slice.function == function)
			break;
		if (!forward && !id) {
			id = DV_QUERY_NONE;
			break;
		}
		id += forward ? 1 : -1u;
		if (n % CANCEL_EVERY == 0 && job_is_cancelled(job))
			return job_cancelled(job);
	}
	*ret = id;
	return NULL;
}

static bool goes_forward(const struct job *job)
{
	return dv_rpc_enum_index(json_object_get(job->params, "direction"), dv_rpc_direction_names,
				 DV_ARRAY_SIZE(dv_rpc_direction_names)) == DV_RPC_DIRECTION_NEXT;
}

static json_t *slice_or_none(const struct dv_query *q, uint32_t id)
{
	json_t *json = json_object();

	set_member(json, "slice", describe_slice(q, id));
	return json;
}

/* Where to begin; false when there is nothing that way. */
static bool first_id(const struct job *job, bool forward, uint32_t *ret)
{
	uint64_t id = param_count(job, "id", DV_QUERY_NONE);
	uint32_t slices = dv_query_info(job->rpc->query)->slices;

	if (id < slices)
		id += forward ? 1 : -1ull;
	else
		id = dv_query_id_at(job->rpc->query, param_count(job, "icount", 0) + !forward) - (uint64_t)!forward;
	*ret = (uint32_t)id;
	return id < slices;
}

HANDLER(handle_search_next)
{
	uint64_t track = param_count(job, "track", DV_QUERY_ALL_TRACKS);
	bool forward = goes_forward(job);
	struct dv_error *err = NULL;
	struct search *search;
	uint32_t id;

	if (track >= dv_query_info(job->rpc->query)->tracks && track != DV_QUERY_ALL_TRACKS)
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no track %llu", (unsigned long long)track);
	DV_TRY(search_get(job->rpc, param_string(job, "glob"), param_bool(job, "matchCase"), &search));
	if (!first_id(job, forward, &id))
		id = DV_QUERY_NONE;
	else
		err = walk(job, search, (uint32_t)track, id, forward, DV_QUERY_NONE, &id);
	if (!err) {
		*ret = slice_or_none(job->rpc->query, id);
		if (id != DV_QUERY_NONE)
			set_member(*ret, "index", json_integer((json_int_t)dv_query_search_rank(search->search, id)));
	}
	search_put(job->rpc, search);
	return err;
}

HANDLER(handle_neighbour)
{
	const struct dv_query *q = job->rpc->query;
	bool forward = goes_forward(job);
	struct dv_query_slice slice;
	struct dv_error *err = NULL;
	struct search *search;
	uint32_t id;

	if (!dv_query_slice(q, (uint32_t)param_count(job, "id", 0), &slice))
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no slice %llu",
				    (unsigned long long)param_count(job, "id", 0));
	DV_TRY(search_function(job->rpc, slice.function, &search));
	if (!first_id(job, forward, &id))
		id = DV_QUERY_NONE;
	else
		err = walk(job, search, param_bool(job, "sameTrack") ? slice.track : DV_QUERY_ALL_TRACKS, id, forward,
			   slice.function, &id);
	if (!err)
		*ret = slice_or_none(q, id);
	search_put(job->rpc, search);
	return err;
}

/* histogram */

struct durations {
	uint64_t *values, open;
	size_t len;
};

static struct dv_error *collect(struct job *job, const struct search *search, uint32_t function, struct durations *ret)
{
	uint64_t most = dv_query_search_count(search->search, DV_QUERY_ALL_TRACKS);
	struct dv_query_slice slice;
	uint32_t id = 0;

	ret->values = malloc((most + 1) * sizeof(*ret->values));
	if (!ret->values)
		return dv_error_no_memory();
	while (ret->len + ret->open < most) {
		DV_TRY(walk(job, search, DV_QUERY_ALL_TRACKS, id, true, function, &id));
		if (id == DV_QUERY_NONE || !dv_query_slice(job->rpc->query, id, &slice))
			break;
		if (slice.dur_icount == DV_QUERY_OPEN)
			ret->open++;
		else
			ret->values[ret->len++] = slice.dur_icount;
		if (++id >= dv_query_info(job->rpc->query)->slices)
			break;
		if (job_is_cancelled(job))
			return job_cancelled(job);
	}
	return NULL;
}

static int compare_values(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* values are sorted. Bins: 0, 1, [2, 4), [4, 8) ... from the first to the last that has some. */
static json_t *bins(const uint64_t *values, size_t len)
{
	json_t *list = json_array();
	uint64_t from = 0, to = 1;

	for (size_t i = 0; i < len; from = to, to *= 2) {
		size_t begin = i;

		while (i < len && values[i] < to)
			i++;
		if (i > begin || begin)
			json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "from", (json_int_t)from, "to",
							      (json_int_t)to, "calls", (json_int_t)(i - begin)));
	}
	return list;
}

static json_t *describe_durations(struct durations *d)
{
	double sum = 0;

	qsort(d->values, d->len, sizeof(*d->values), compare_values);
	for (size_t i = 0; i < d->len; i++)
		sum += (double)d->values[i];
#define AT(percent) (json_int_t)(d->len ? d->values[(d->len - 1) * (percent) / 100] : 0)
	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:o}", "calls", (json_int_t)d->len, "open",
			 (json_int_t)d->open, "min", AT(0), "max", AT(100), "mean", d->len ? sum / (double)d->len : 0.0,
			 "median", AT(50), "p90", AT(90), "p99", AT(99), "bins", bins(d->values, d->len));
#undef AT
}

HANDLER(handle_histogram)
{
	uint64_t function = param_count(job, "function", 0);
	struct durations durations = {0};
	struct search *search;
	struct dv_error *err;

	if (function >= dv_query_info(job->rpc->query)->functions)
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no function %llu", (unsigned long long)function);
	DV_TRY(search_function(job->rpc, (uint32_t)function, &search));
	err = collect(job, search, (uint32_t)function, &durations);
	if (!err)
		*ret = describe_durations(&durations);
	free(durations.values);
	search_put(job->rpc, search);
	return err;
}

HANDLER(handle_stack_at)
{
	const struct dv_query *q = job->rpc->query;
	uint64_t track = param_count(job, "track", DV_QUERY_NONE), icount = param_count(job, "icount", 0);
	_cleanup_free_ uint32_t *ids = malloc((DV_QUERY_MAX_DEPTH + 1) * sizeof(*ids));
	json_t *list;
	uint32_t utid;
	size_t len;

	if (!ids)
		return dv_error_no_memory();
	if (track == DV_QUERY_NONE) {
		utid = dv_query_running_at(q, 0, icount);
		if (utid != DV_QUERY_NONE)
			track = dv_query_thread(q, utid)->track;
	} else if (track >= dv_query_info(q)->tracks) {
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no track %llu", (unsigned long long)track);
	} else {
		utid = dv_query_track(q, (uint32_t)track)->utid;
	}
	len = track == DV_QUERY_NONE ? 0 : dv_query_stack_at(q, (uint32_t)track, icount, ids, DV_QUERY_MAX_DEPTH + 1);
	list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, describe_slice(q, ids[i]));
	*ret = json_pack("{s:o}", "slices", list);
	if (utid != DV_QUERY_NONE)
		set_member(*ret, "utid", json_integer(utid));
	return NULL;
}
