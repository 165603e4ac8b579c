/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables whose rows are those of an array. */
#include "query/vtab.h"

static size_t column_docs(void)
{
	size_t count = 0;

	for (size_t i = 0; i < table_def_count; i++)
		count += (size_t)table_defs[i].columns;
	return count;
}

static uint64_t row_count(const struct table *t)
{
	const struct columns *c = &t->q->c;
	const struct states *states;

	switch (t->def->source) {
	case SOURCE_THREADS:
		return c->n_threads;
	case SOURCE_PROCESSES:
		return c->n_processes;
	case SOURCE_TRACKS:
	case SOURCE_THREAD_TRACKS:
	case SOURCE_PROCESS_TRACKS:
	case SOURCE_COUNTER_TRACKS:
	case SOURCE_THREAD_COUNTERS:
	case SOURCE_PROCESS_COUNTERS:
		return c->n_tracks;
	case SOURCE_SCHED:
		return query_sched_by_ts(t->q) ? c->n_spells : 0;
	case SOURCE_STATES:
		states = query_states(t->q);
		return states ? states->n : 0;
	case SOURCE_CPUS:
		return c->cpus;
	case SOURCE_ARGS:
		return c->n_args;
	case SOURCE_FLOWS:
		return c->n_flows;
	case SOURCE_COUNTERS:
		return c->n_counters;
	case SOURCE_CLOCKS:
		return c->n_clocks;
	case SOURCE_METADATA:
		return c->n_metadata;
	case SOURCE_STATS:
		return c->n_trace_stats;
	case SOURCE_BOUNDS:
		return 1;
	case SOURCE_FUNCTIONS:
		return c->n_functions;
	case SOURCE_CONSOLE:
		return c->n_console;
	case SOURCE_MAPPINGS:
		return c->n_mappings;
	case SOURCE_MODULES:
		return c->n_modules;
	case SOURCE_DV_TABLES:
		return table_def_count;
	case SOURCE_DV_COLUMNS:
		return column_docs();
	default:
		return 0;
	}
}

/* What a constraint may be looked up by. */
static bool is_key(enum value value)
{
	return value == ROW || value == ARGS_SET || value == TRACK_UTID;
}

static void plan(struct table *t, sqlite3_index_info *info)
{
	double rows = (double)row_count(t) + 1;

	for (int i = 0; i < info->nConstraint; i++) {
		enum value value = constraint_value(t, info, i);

		if (!info->aConstraint[i].usable || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ || !is_key(value))
			continue;
		plan_take(t, info, i);
		rows = value == ARGS_SET ? 8 : 1;
		break;
	}
	info->estimatedRows = (sqlite3_int64)rows;
	info->estimatedCost = rows;
	if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn >= 0 && t->def->values[info->aOrderBy[0].iColumn] == ROW &&
	    !info->aOrderBy[0].desc)
		info->orderByConsumed = 1;
}

static void take_args_set(struct cursor *c, int64_t set)
{
	const struct columns *columns = &c->table->q->c;
	uint64_t low = 0, high = columns->n_args;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if ((int64_t)columns->args[middle].set < set)
			low = middle + 1;
		else
			high = middle;
	}
	c->row = low;
	for (c->end = low; c->end < columns->n_args && (int64_t)columns->args[c->end].set == set; c->end++)
		;
}

static int filter(struct cursor *c, int order, const struct constraint *constraints, int count)
{
	const struct columns *columns = &c->table->q->c;

	c->end = row_count(c->table);
	for (int i = 0; i < count; i++) {
		int64_t is = sqlite3_value_int64(constraints[i].is);

		if (sqlite3_value_type(constraints[i].is) == SQLITE_NULL) {
			c->end = 0;
		} else if (sqlite3_value_type(constraints[i].is) != SQLITE_INTEGER) {
			continue;
		} else if (constraints[i].value == ARGS_SET) {
			take_args_set(c, is);
		} else if (constraints[i].value == ROW) {
			c->row = is >= 0 && is < (int64_t)c->end ? (uint64_t)is : c->end;
			c->end = c->row + (c->row < c->end);
		} else if (columns->is_dejaview) { /* each thread has one track */
			uint32_t track = is >= 0 && is < (int64_t)columns->n_threads ? columns->threads[is].track :
											 DV_QUERY_NONE;

			c->row = track == DV_QUERY_NONE ? c->end : track;
			c->end = c->row + (c->row < c->end);
		}
	}
	return SQLITE_OK;
}

static bool is_of_table(const struct cursor *c)
{
	const struct track_row *track = &c->table->q->c.tracks[c->row];

	switch (c->table->def->source) {
	case SOURCE_TRACKS:
		return true;
	case SOURCE_THREAD_TRACKS:
		return track->type == DV_TRACK_THREAD && !track->is_counter;
	case SOURCE_PROCESS_TRACKS:
		return track->type == DV_TRACK_PROCESS && !track->is_counter;
	case SOURCE_COUNTER_TRACKS:
		return track->is_counter;
	case SOURCE_THREAD_COUNTERS:
		return track->type == DV_TRACK_THREAD && track->is_counter;
	case SOURCE_PROCESS_COUNTERS:
		return track->type == DV_TRACK_PROCESS && track->is_counter;
	default:
		return true;
	}
}

static int next(struct cursor *c)
{
	while (c->row < c->end && !is_of_table(c))
		c->row++;
	return SQLITE_OK;
}

const struct source_ops row_ops = {plan, filter, next, row_column};
