/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the columns of tables of an array's rows show, by their source: see vtab_rows.c. */
#include <string.h>
#include "query/vtab.h"

static void icount_or_null(sqlite3_context *ctx, uint64_t icount)
{
	if (icount != UINT64_MAX)
		sqlite3_result_int64(ctx, (sqlite3_int64)icount);
}

static void thread_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	const struct thread_row *t = &c->threads[row];

	switch (value) {
	case THREAD_TID:
		sqlite3_result_int64(ctx, t->tid);
		break;
	case THREAD_NAME:
		result_string(ctx, column_string(c, t->name));
		break;
	case THREAD_START:
		icount_or_null(ctx, t->start);
		break;
	case THREAD_END:
		icount_or_null(ctx, t->end);
		break;
	case THREAD_UPID:
		result_row(ctx, t->upid);
		break;
	case THREAD_IS_MAIN:
		if (t->upid != DV_QUERY_NONE)
			sqlite3_result_int(ctx, t->is_main);
		break;
	case THREAD_IS_IDLE:
		sqlite3_result_int(ctx, t->is_idle);
		break;
	case THREAD_CREATOR:
		result_row(ctx, t->creator);
		break;
	case THREAD_EXIT_CODE:
		if (t->end != UINT64_MAX && c->is_dejaview)
			sqlite3_result_int(ctx, t->exit_code);
		break;
	case THREAD_IS_KERNEL:
		sqlite3_result_int(ctx, t->is_kernel);
		break;
	default:
		sqlite3_result_int64(ctx, (sqlite3_int64)t->cpu);
	}
}

static void process_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	const struct process_row *p = &c->processes[row];

	switch (value) {
	case PROCESS_PID:
		sqlite3_result_int64(ctx, p->pid);
		break;
	case PROCESS_NAME:
		result_string(ctx, column_string(c, p->name));
		break;
	case PROCESS_START:
		icount_or_null(ctx, p->start);
		break;
	case PROCESS_END:
		icount_or_null(ctx, p->end);
		break;
	case PROCESS_CMDLINE:
		result_string(ctx, column_string(c, p->cmdline));
		break;
	default:
		result_row(ctx, p->parent);
	}
}

static void track_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	static const char *const types[] = {"thread_execution", "process_track_event", "global_track_event"};
	static const char *const counter_types[] = {"thread_counter_track_event", "process_counter_track_event",
						    "global_counter_track_event"};
	const struct track_row *t = &c->tracks[row];
	bool is_named_thread = t->type == DV_TRACK_THREAD && t->name && !c->is_dejaview;

	switch (value) {
	case TRACK_NAME:
		result_string(ctx, column_string(c, t->name));
		break;
	case TRACK_TYPE:
		result_string(ctx, t->is_counter ? counter_types[t->type] : is_named_thread ? "thread_track_event" :
											      types[t->type]);
		break;
	case TRACK_PARENT:
		result_row(ctx, t->parent);
		break;
	case TRACK_ARGS:
		result_row(ctx, t->arg_set ? t->arg_set - 1 : DV_QUERY_NONE);
		break;
	case TRACK_UTID:
		result_row(ctx, t->utid);
		break;
	case TRACK_UPID:
		result_row(ctx, t->upid);
		break;
	default:
		result_string(ctx, column_string(c, t->counter_unit));
	}
}

static void sched_column(sqlite3_context *ctx, const struct dv_query *q, uint64_t row, enum value value)
{
	const struct spell_row *s = &q->c.spells[query_sched_by_ts(q)[row]];

	switch (value) {
	case SCHED_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->start);
		break;
	case SCHED_DUR:
		result_dur(ctx, s->is_open ? DV_QUERY_OPEN : s->end - s->start);
		break;
	case SCHED_CPU:
		sqlite3_result_int64(ctx, s->cpu);
		break;
	case SCHED_UTID:
		sqlite3_result_int64(ctx, s->utid);
		break;
	case SCHED_END_STATE:
		result_string(ctx, column_string(&q->c, s->end_state));
		break;
	case SCHED_PRIORITY:
		if (s->priority || !q->c.is_dejaview)
			sqlite3_result_int64(ctx, (int32_t)s->priority);
		break;
	default:
		sqlite3_result_int64(ctx, (sqlite3_int64)(s->is_open ? s->start - 1 : s->end));
	}
}

static void state_column(sqlite3_context *ctx, const struct dv_query *q, uint64_t row, enum value value)
{
	const struct state_row *s = &query_states(q)->v[row];

	switch (value) {
	case STATE_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->start);
		break;
	case STATE_DUR:
		result_dur(ctx, s->end == UINT64_MAX ? DV_QUERY_OPEN : s->end - s->start);
		break;
	case STATE_CPU:
		result_row(ctx, s->cpu);
		break;
	case STATE_UTID:
		sqlite3_result_int64(ctx, s->utid);
		break;
	case STATE_WAKER:
		result_row(ctx, s->waker);
		break;
	case STATE_WAKER_ROW:
		result_row(ctx, s->waker_row);
		break;
	case STATE_INTERRUPT:
		result_row(ctx, s->in_interrupt);
		break;
	default:
		result_string(ctx, s->cpu != DV_QUERY_NONE ? "Running" : s->state ? q->c.strings + s->state : q->c.is_dejaview ? "S" : NULL);
	}
}

static void args_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	static const char *const types[] = {"null", "int", "uint", "real", "string", "bool", "pointer"};
	const struct args_row *a = &c->args[row];
	bool is_int = a->type != ARG_REAL && a->type != ARG_STRING && a->type != ARG_NULL;
	double real;
	char *text;

	memcpy(&real, &a->value, sizeof(real));
	switch (value) {
	case ARGS_SET:
		sqlite3_result_int64(ctx, a->set);
		break;
	case ARGS_FLAT_KEY:
		result_string(ctx, column_string(c, a->flat_key));
		break;
	case ARGS_KEY:
		result_string(ctx, column_string(c, a->key));
		break;
	case ARGS_INT:
		if (is_int)
			sqlite3_result_int64(ctx, (sqlite3_int64)a->value);
		break;
	case ARGS_STRING:
		if (a->type == ARG_STRING)
			result_string(ctx, c->strings + a->value);
		break;
	case ARGS_REAL:
		if (a->type == ARG_REAL)
			sqlite3_result_double(ctx, real);
		break;
	case ARGS_TYPE:
		result_string(ctx, types[a->type <= ARG_POINTER ? a->type : 0]);
		break;
	default:
		if (a->type == ARG_STRING) {
			result_string(ctx, c->strings + a->value);
			break;
		}
		text = a->type == ARG_REAL    ? sqlite3_mprintf("%.15g", real) :
		       a->type == ARG_BOOL    ? sqlite3_mprintf("%s", a->value ? "true" : "false") :
		       a->type == ARG_POINTER ? sqlite3_mprintf("0x%llx", (unsigned long long)a->value) :
		       a->type == ARG_UINT    ? sqlite3_mprintf("%llu", (unsigned long long)a->value) :
		       a->type == ARG_INT     ? sqlite3_mprintf("%lld", (long long)a->value) :
						NULL;
		sqlite3_result_text(ctx, text, -1, sqlite3_free);
	}
}

static void event_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	double real;

	switch (value) {
	case FLOW_FROM:
		result_row(ctx, c->flows[row].from);
		break;
	case FLOW_TO:
		result_row(ctx, c->flows[row].to);
		break;
	case COUNTER_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)c->counters[row].ts);
		break;
	case COUNTER_TRACK:
		sqlite3_result_int64(ctx, c->counters[row].track);
		break;
	case COUNTER_VALUE:
		memcpy(&real, &c->counters[row].value_bits, sizeof(real));
		sqlite3_result_double(ctx, real);
		break;
	case CLOCK_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)c->clocks[row].ts);
		break;
	case CLOCK_CLOCK:
		sqlite3_result_int64(ctx, c->clocks[row].id);
		break;
	case CLOCK_NAME:
		result_string(ctx, column_string(c, c->clocks[row].name));
		break;
	case CLOCK_VALUE:
		sqlite3_result_int64(ctx, c->clocks[row].value);
		break;
	default:
		sqlite3_result_int64(ctx, c->clocks[row].snapshot);
	}
}

static void metadata_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	const char *text = column_string(c, c->metadata[row].value);
	bool is_number = text && *text && strlen(text) < 19 && strspn(text, "0123456789") == strlen(text);

	if (value == METADATA_NAME)
		result_string(ctx, column_string(c, c->metadata[row].name));
	else if (value == METADATA_KEY_TYPE)
		result_string(ctx, "single");
	else if (value == METADATA_INT && is_number)
		sqlite3_result_int64(ctx, strtoll(text, NULL, 10));
	else if (value == METADATA_STR && !is_number)
		result_string(ctx, text);
}

static void stats_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	static const char *const severities[] = {"info", "data_loss", "error"}, *const sources[] = {"trace", "analysis"};
	const struct trace_stat_row *s = &c->trace_stats[row];

	switch (value) {
	case STATS_NAME:
		result_string(ctx, column_string(c, s->name));
		break;
	case STATS_SEVERITY:
		result_string(ctx, severities[s->severity % 3]);
		break;
	case STATS_SOURCE:
		result_string(ctx, sources[s->source % 2]);
		break;
	case STATS_VALUE:
		sqlite3_result_int64(ctx, s->value);
		break;
	default:
		result_string(ctx, s->severity ? c->damage : NULL);
	}
}

static void function_column(sqlite3_context *ctx, const struct dv_query *q, uint64_t row, enum value value)
{
	static const char *const spaces[] = {"kernel", "module", "user", "firmware"};
	const struct dv_query_function *f = &q->functions[row];

	switch (value) {
	case FUNCTION_NAME:
		result_string(ctx, f->name);
		break;
	case FUNCTION_SLICE_NAME:
		result_string(ctx, f->slice_name);
		break;
	case FUNCTION_MODULE:
		result_string(ctx, f->module);
		break;
	case FUNCTION_ADDRESS:
		if (q->c.is_dejaview)
			sqlite3_result_int64(ctx, (sqlite3_int64)f->vaddr);
		break;
	case FUNCTION_SIZE:
		if (f->size)
			sqlite3_result_int64(ctx, (sqlite3_int64)f->size);
		break;
	case FUNCTION_FILE:
		result_string(ctx, f->file);
		break;
	case FUNCTION_LINE:
		if (f->line)
			sqlite3_result_int64(ctx, f->line);
		break;
	case FUNCTION_NUMBER:
		result_row(ctx, f->number);
		break;
	case FUNCTION_MNEMONIC:
		result_string(ctx, f->mnemonic);
		break;
	case FUNCTION_SPACE:
		if (q->c.is_dejaview && f->space < DV_ARRAY_SIZE(spaces))
			result_string(ctx, spaces[f->space]);
		break;
	default:
		sqlite3_result_int64(ctx, (sqlite3_int64)q->c.stats[row].calls);
	}
}

static void console_column(sqlite3_context *ctx, const struct dv_query *q, uint64_t row, enum value value)
{
	const struct dv_query_console_line *line = &q->console[row];

	switch (value) {
	case CONSOLE_ICOUNT:
		sqlite3_result_int64(ctx, (sqlite3_int64)line->icount);
		break;
	case CONSOLE_UTID:
		result_row(ctx, line->utid);
		break;
	case CONSOLE_THREAD:
		result_string(ctx, line->utid == DV_QUERY_NONE ? NULL : q->threads[line->utid].name);
		break;
	case CONSOLE_SOURCE:
		result_string(ctx, line->source);
		break;
	case CONSOLE_LEVEL:
		if (line->level != 255)
			sqlite3_result_int(ctx, line->level);
		break;
	default:
		result_string(ctx, line->text);
	}
}

static void place_column(sqlite3_context *ctx, const struct columns *c, uint64_t row, enum value value)
{
	const struct mapping_row *map = value < MODULE_NAME ? &c->mappings[row] : NULL;
	const struct module_row *module = value < MODULE_NAME ? NULL : &c->modules[row];

	switch (value) {
	case MAPPING_UPID:
		result_row(ctx, map->upid);
		break;
	case MAPPING_START:
		sqlite3_result_int64(ctx, (sqlite3_int64)map->start);
		break;
	case MAPPING_END:
		sqlite3_result_int64(ctx, (sqlite3_int64)map->end);
		break;
	case MAPPING_OFFSET:
		sqlite3_result_int64(ctx, (sqlite3_int64)map->offset);
		break;
	case MAPPING_PATH:
		result_string(ctx, column_string(c, map->path));
		break;
	case MAPPING_BUILD_ID:
		result_string(ctx, column_string(c, map->build_id));
		break;
	case MAPPING_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)map->icount);
		break;
	case MAPPING_END_TS:
		icount_or_null(ctx, map->to_icount);
		break;
	case MODULE_NAME:
		result_string(ctx, column_string(c, module->name));
		break;
	case MODULE_BASE:
		sqlite3_result_int64(ctx, (sqlite3_int64)module->base);
		break;
	case MODULE_SIZE:
		sqlite3_result_int64(ctx, (sqlite3_int64)module->size);
		break;
	case MODULE_BUILD_ID:
		result_string(ctx, column_string(c, module->build_id));
		break;
	case MODULE_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)module->icount);
		break;
	default:
		icount_or_null(ctx, module->to_icount);
	}
}

static void doc_column(sqlite3_context *ctx, enum source source, uint64_t row, enum value value)
{
	const struct table_def *def = &table_defs[0];
	const struct dv_sql_column_doc *column;

	if (source == SOURCE_DV_TABLES) {
		def += row;
		row = 0;
	}
	while (row >= (uint64_t)def->columns)
		row -= (uint64_t)(def++)->columns;
	column = &def->doc->columns[row];
	switch (value) {
	case DOC_TABLE:
		result_string(ctx, def->doc->name);
		break;
	case DOC_ARGUMENTS:
		result_string(ctx, def->doc->arguments);
		break;
	case DOC_TABLE_DOC:
		result_string(ctx, def->doc->doc);
		break;
	case DOC_COLUMN:
		result_string(ctx, column->name);
		break;
	case DOC_COLUMN_TYPE:
		result_string(ctx, column->type);
		break;
	default:
		result_string(ctx, column->doc);
	}
}

void row_column(sqlite3_context *ctx, struct cursor *cursor, enum value value)
{
	const struct dv_query *q = cursor->table->q;
	uint64_t row = cursor->row;

	if (value == ROW)
		sqlite3_result_int64(ctx, (sqlite3_int64)row);
	else if (value <= THREAD_CPU)
		thread_column(ctx, &q->c, row, value);
	else if (value <= PROCESS_CMDLINE)
		process_column(ctx, &q->c, row, value);
	else if (value <= TRACK_UNIT)
		track_column(ctx, &q->c, row, value);
	else if (value <= SCHED_TS_END)
		sched_column(ctx, q, row, value);
	else if (value <= STATE_STATE)
		state_column(ctx, q, row, value);
	else if (value <= ARGS_DISPLAY)
		args_column(ctx, &q->c, row, value);
	else if (value <= CLOCK_SNAPSHOT)
		event_column(ctx, &q->c, row, value);
	else if (value <= METADATA_STR)
		metadata_column(ctx, &q->c, row, value);
	else if (value <= STATS_DESCRIPTION)
		stats_column(ctx, &q->c, row, value);
	else if (value == BOUNDS_START || value == BOUNDS_END)
		sqlite3_result_int64(ctx, (sqlite3_int64)(value == BOUNDS_START ? q->c.first_icount : q->c.last_icount));
	else if (value <= FUNCTION_CALLS)
		function_column(ctx, q, row, value);
	else if (value >= CONSOLE_ICOUNT && value <= CONSOLE_TEXT)
		console_column(ctx, q, row, value);
	else if (value >= MAPPING_UPID && value <= MODULE_END_TS)
		place_column(ctx, &q->c, row, value);
	else if (value >= DOC_TABLE)
		doc_column(ctx, cursor->table->def->source, row, value);
}
