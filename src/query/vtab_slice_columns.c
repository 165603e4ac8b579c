/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the columns of tables of slices show: see vtab_slices.c. */
#include "query/vtab.h"

static const char *category_of(const struct columns *c, uint32_t id)
{
	static const char *const kinds[] = {NULL, "tail call", "interrupt", "exception", "syscall"};
	uint8_t kind = slice_kind(c, id);

	if (!c->is_dejaview)
		return column_string(c, c->functions[slice_function(c, id)].category);
	return kind < DV_ARRAY_SIZE(kinds) ? kinds[kind] : NULL;
}

static uint32_t args_of(const struct columns *c, uint32_t id)
{
	size_t low = 0, high = c->n_slice_args;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->slice_args[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->n_slice_args && c->slice_args[low].id == id ? c->slice_args[low].set : DV_QUERY_NONE;
}

/* What is known by the slice's thread and process. */
static void thread_column(sqlite3_context *ctx, const struct dv_query *q, uint32_t id, enum value value)
{
	const struct track_row *track = &q->c.tracks[q->c.track[id]];
	const struct dv_query_thread *thread = track->utid == DV_QUERY_NONE ? NULL : &q->threads[track->utid];
	uint32_t upid = thread ? thread->upid : track->upid;

	switch (value) {
	case SLICE_UTID:
		result_row(ctx, track->utid);
		break;
	case SLICE_TID:
		if (thread)
			sqlite3_result_int64(ctx, thread->tid);
		break;
	case SLICE_THREAD_NAME:
		result_string(ctx, thread ? thread->name : NULL);
		break;
	case SLICE_IS_MAIN:
		if (thread)
			sqlite3_result_int(ctx, thread->is_main);
		break;
	case SLICE_UPID:
		result_row(ctx, upid);
		break;
	case SLICE_PID:
		if (upid != DV_QUERY_NONE)
			sqlite3_result_int64(ctx, q->processes[upid].pid);
		break;
	case SLICE_PROCESS_NAME:
		result_string(ctx, upid != DV_QUERY_NONE ? column_string(&q->c, q->c.processes[upid].name) : NULL);
		break;
	case SLICE_TRACK_NAME:
		result_string(ctx, column_string(&q->c, track->name));
		break;
	default:
		break;
	}
}

static void name_column(sqlite3_context *ctx, const struct dv_query *q, uint32_t function)
{
	const struct function_row *row = &q->c.functions[function];

	if (row->slice_name)
		sqlite3_result_text(ctx, q->c.strings + row->slice_name, -1, SQLITE_STATIC);
	else
		sqlite3_result_null(ctx);
}

static void own_column(sqlite3_context *ctx, const struct dv_query *q, uint32_t id, enum value value)
{
	static const char *const kinds[] = {"call", "tail call", "interrupt", "exception", "syscall"};
	const struct columns *c = &q->c;
	uint32_t utid = c->tracks[c->track[id]].utid;

	switch (value) {
	case SLICE_KIND:
		result_string(ctx, slice_kind(c, id) < DV_ARRAY_SIZE(kinds) ? kinds[slice_kind(c, id)] : NULL);
		break;
	case SLICE_FUNCTION:
		sqlite3_result_int64(ctx, slice_function(c, id));
		break;
	case SLICE_OWN:
		sqlite3_result_int64(ctx, (sqlite3_int64)slice_own(c, id));
		break;
	case SLICE_RECURSIVE:
		sqlite3_result_int(ctx, !!(c->call[id] & CALL_RECURSIVE));
		break;
	case SLICE_THREAD_TS:
		if (c->is_dejaview && utid != DV_QUERY_NONE)
			sqlite3_result_int64(ctx, (sqlite3_int64)thread_cpu_until(c, utid, slice_start(c, id)));
		break;
	default:
		thread_column(ctx, q, id, value);
	}
}

void slice_column(sqlite3_context *ctx, struct cursor *cursor, enum value value)
{
	const struct dv_query *q = cursor->table->q;
	const struct columns *c = &q->c;
	uint32_t id = slice_of(cursor);

	switch (value) {
	case SLICE_ID:
		sqlite3_result_int64(ctx, id);
		break;
	case SLICE_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)slice_start(c, id));
		break;
	case SLICE_DUR:
		result_dur(ctx, slice_dur(c, id));
		break;
	case SLICE_TRACK:
		sqlite3_result_int64(ctx, c->track[id]);
		break;
	case SLICE_NAME:
		name_column(ctx, q, slice_function(c, id));
		break;
	case SLICE_DEPTH:
		sqlite3_result_int(ctx, c->depth[id]);
		break;
	case SLICE_PARENT:
		result_row(ctx, c->parent[id]);
		break;
	case SLICE_CATEGORY:
		result_string(ctx, category_of(c, id));
		break;
	case SLICE_ARGS:
		result_row(ctx, args_of(c, id));
		break;
	case SLICE_CPU:
		if (c->is_dejaview)
			sqlite3_result_int64(ctx, (sqlite3_int64)slice_cpu(c, id));
		break;
	default:
		own_column(ctx, q, id, value);
	}
}
