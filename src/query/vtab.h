/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtual tables: what tables.def speaks of. Private to src/query. */
#ifndef DV_QUERY_VTAB_H
#define DV_QUERY_VTAB_H

#include <sqlite3.h>
#include <stdatomic.h>
#include "query/query_private.h"

/* What a column shows of a row. The values of a source's own rows are its own business. */
enum value {
	VALUE_NULL, VALUE_ZERO, ROW,
	ARG_1, ARG_2, ARG_3, ARG_4,
	SLICE_ID, SLICE_TS, SLICE_DUR, SLICE_TRACK, SLICE_CATEGORY, SLICE_NAME, SLICE_DEPTH, SLICE_PARENT, SLICE_ARGS,
	SLICE_THREAD_TS, SLICE_CPU, SLICE_UTID, SLICE_TID, SLICE_THREAD_NAME, SLICE_IS_MAIN, SLICE_UPID, SLICE_PID,
	SLICE_PROCESS_NAME, SLICE_TRACK_NAME, SLICE_KIND, SLICE_FUNCTION, SLICE_OWN, SLICE_RECURSIVE,
	THREAD_TID, THREAD_NAME, THREAD_START, THREAD_END, THREAD_UPID, THREAD_IS_MAIN, THREAD_IS_IDLE,
	THREAD_IS_KERNEL, THREAD_CREATOR, THREAD_EXIT_CODE, THREAD_CPU,
	PROCESS_PID, PROCESS_NAME, PROCESS_START, PROCESS_END, PROCESS_PARENT, PROCESS_CMDLINE,
	TRACK_NAME, TRACK_TYPE, TRACK_PARENT, TRACK_ARGS, TRACK_UTID, TRACK_UPID, TRACK_UNIT,
	SCHED_TS, SCHED_DUR, SCHED_CPU, SCHED_UTID, SCHED_END_STATE, SCHED_PRIORITY, SCHED_TS_END,
	STATE_TS, STATE_DUR, STATE_CPU, STATE_UTID, STATE_WAKER, STATE_WAKER_ROW, STATE_INTERRUPT, STATE_STATE,
	ARGS_SET, ARGS_FLAT_KEY, ARGS_KEY, ARGS_INT, ARGS_STRING, ARGS_REAL, ARGS_TYPE, ARGS_DISPLAY,
	FLOW_FROM, FLOW_TO,
	COUNTER_TS, COUNTER_TRACK, COUNTER_VALUE,
	CLOCK_TS, CLOCK_CLOCK, CLOCK_NAME, CLOCK_VALUE, CLOCK_SNAPSHOT,
	METADATA_NAME, METADATA_KEY_TYPE, METADATA_INT, METADATA_STR,
	STATS_NAME, STATS_SEVERITY, STATS_SOURCE, STATS_VALUE, STATS_DESCRIPTION,
	BOUNDS_START, BOUNDS_END,
	FUNCTION_NAME, FUNCTION_SLICE_NAME, FUNCTION_MODULE, FUNCTION_ADDRESS, FUNCTION_SIZE, FUNCTION_FILE,
	FUNCTION_LINE, FUNCTION_SPACE, FUNCTION_NUMBER, FUNCTION_MNEMONIC, FUNCTION_CALLS,
	STAT_FUNCTION, STAT_NAME, STAT_MODULE, STAT_CALLS, STAT_OWN, STAT_TOTAL, STAT_ELAPSED, STAT_MIN, STAT_MAX,
	NODE_PARENT, NODE_DEPTH, NODE_NAME, NODE_FUNCTION, NODE_CALLS, NODE_OWN, NODE_TOTAL,
	CELL_DEPTH, CELL_TS, CELL_DUR, CELL_SLICE, CELL_NAME, CELL_COUNT,
	CONSOLE_ICOUNT, CONSOLE_UTID, CONSOLE_THREAD, CONSOLE_SOURCE, CONSOLE_LEVEL, CONSOLE_TEXT,
	MAPPING_UPID, MAPPING_START, MAPPING_END, MAPPING_OFFSET, MAPPING_PATH, MAPPING_BUILD_ID, MAPPING_TS, MAPPING_END_TS,
	MODULE_NAME, MODULE_BASE, MODULE_SIZE, MODULE_BUILD_ID, MODULE_TS, MODULE_END_TS,
	DOC_TABLE, DOC_ARGUMENTS, DOC_TABLE_DOC, DOC_COLUMN, DOC_COLUMN_TYPE, DOC_COLUMN_DOC,
};

enum source {
	/* Rows are slices. */
	SOURCE_SLICES, SOURCE_THREAD_SLICES, SOURCE_INSTANTS, SOURCE_ANCESTORS, SOURCE_DESCENDANTS, SOURCE_STACK_AT,
	/* Rows are those of an array. */
	SOURCE_THREADS, SOURCE_PROCESSES, SOURCE_TRACKS, SOURCE_THREAD_TRACKS, SOURCE_PROCESS_TRACKS,
	SOURCE_COUNTER_TRACKS, SOURCE_THREAD_COUNTERS, SOURCE_PROCESS_COUNTERS, SOURCE_SCHED, SOURCE_STATES,
	SOURCE_CPUS, SOURCE_ARGS, SOURCE_FLOWS, SOURCE_COUNTERS,
	SOURCE_CLOCKS, SOURCE_METADATA, SOURCE_STATS, SOURCE_BOUNDS, SOURCE_FUNCTIONS, SOURCE_CONSOLE, SOURCE_MAPPINGS,
	SOURCE_MODULES, SOURCE_DV_TABLES, SOURCE_DV_COLUMNS,
	/* Rows are made for the arguments. */
	SOURCE_FUNCTION_STATS, SOURCE_FLAMEGRAPH, SOURCE_CALLERS, SOURCE_CALLEES, SOURCE_TIMELINE,
	SOURCES,
};

#define MAX_ARGS 4

struct table_def {
	const struct dv_sql_table_doc *doc;
	const uint8_t *values; /* enum value, by column */
	int columns;
	enum source source;
};
extern const struct table_def table_defs[];
extern const size_t table_def_count;

struct dv_sql {
	sqlite3 *db;
	const struct dv_query *q;
	atomic_bool interrupted;
	uint64_t rows_read;
	dv_sql_progress_fn progress;
	void *progress_context;
	unsigned progress_ms, timeout_ms;
	uint64_t started_ns, asked_ns; /* of the running statement; 0: none runs */
	enum { STOP_NONE, STOP_CANCELLED, STOP_TIMEOUT } stop;
	int error_offset;
};
/* Whether the running statement must stop; asks the clock and the progress function. */
bool sql_must_stop(struct dv_sql *sql);

struct table {
	sqlite3_vtab base;
	const struct table_def *def;
	struct dv_sql *sql;
	const struct dv_query *q;
};

/* A constraint that xBestIndex took: its operator, what column, and its value. */
struct constraint {
	unsigned char op; /* SQLITE_INDEX_CONSTRAINT_* */
	uint8_t value;
	sqlite3_value *is;
};

#define ORDER_REVERSE 1
#define ORDER_BY_NAME 2

struct cursor {
	sqlite3_vtab_cursor base;
	struct table *table;
	uint64_t row, end; /* of a source's rows; going down: row + 1 is what is left */
	bool reverse;
	int64_t args[MAX_ARGS]; /* as given; meaningless where has_arg is not set */
	bool has_arg[MAX_ARGS];
	char *text_arg; /* the first argument, when it is a text; sqlite3_free() */

	/* Slices: row indexes ids, or is the id itself. */
	const uint32_t *ids; /* NULL: all */
	uint32_t *own_ids;   /* free(); NULL: ids is another's */
	uint32_t first_id, end_id, track, parent, first_depth, last_depth, utid;
	uint64_t least_dur, most_dur;
	uint64_t *functions; /* a bit for each that is wanted; free(); NULL: all */
	bool check;	     /* some of the above is to be looked at, slice by slice */

	/* What was made for the arguments; free(). */
	struct dv_query_function_stats *stats;
	struct dv_query_tree_node *nodes;
	struct dv_query_timeline *cells;
};

/* What a kind of source does. */
struct source_ops {
	void (*plan)(struct table *t, sqlite3_index_info *info);	/* NULL: only arguments and rows */
	int (*filter)(struct cursor *c, int order, const struct constraint *constraints, int count);
	int (*next)(struct cursor *c); /* moves to the first row at or after c->row that is wanted */
	void (*column)(sqlite3_context *ctx, struct cursor *c, enum value value);
};
extern const struct source_ops slice_ops, row_ops, made_ops;
void slice_column(sqlite3_context *ctx, struct cursor *cursor, enum value value);
void row_column(sqlite3_context *ctx, struct cursor *cursor, enum value value);

/* The slice that a cursor over slices is at. */
static inline uint32_t slice_of(const struct cursor *c)
{
	uint64_t row = c->reverse ? c->row - 1 : c->row;

	return c->ids ? c->ids[row] : (uint32_t)row;
}

/* Takes a constraint into the plan: the filter will get it. */
void plan_take(struct table *t, sqlite3_index_info *info, int constraint);
/* The value that a constraint is about. */
enum value constraint_value(const struct table *t, const sqlite3_index_info *info, int constraint);
/* Sets the vtab's error and returns SQLITE_ERROR (or what the error's code stands for). */
int table_error(struct table *t, struct dv_error *err);
int table_errorf(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

void result_string(sqlite3_context *ctx, const char *string);
void result_row(sqlite3_context *ctx, uint32_t row); /* DV_QUERY_NONE: NULL */
void result_dur(sqlite3_context *ctx, uint64_t dur);

/* Lazily made, the same for all connections. NULL when out of memory. */
const struct by_function *query_by_function(const struct dv_query *q);
const struct states *query_states(const struct dv_query *q);
/* By ts: indexes of spells. */
const uint32_t *query_sched_by_ts(const struct dv_query *q);

/* All slices, by function; those of a function in order. */
struct by_function {
	uint32_t *ids, *first; /* first: by function, one more at the end */
};

struct states {
	const struct state_row *v;
	size_t n;
};

/* Functions [*ret_first, *ret_end) with that slice_name, else the first with that plain name; false: none. */
bool functions_named(const struct dv_query *q, const char *name, uint32_t *ret_first, uint32_t *ret_end);
/* As dv_query_tree(), for functions [function, function_end). */
struct dv_error *query_tree(const struct dv_query *q, enum dv_query_tree_kind kind, uint32_t function,
			    uint32_t function_end, const struct dv_query_area *area, uint32_t max_depth,
			    uint32_t max_nodes, const volatile bool *cancel, struct dv_query_tree_node **ret,
			    size_t *ret_len);

#endif
