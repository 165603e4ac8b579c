/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections and statements. Nothing can be written but views and temporary tables in memory. */
#include <string.h>
#include <time.h>
#include "query/suggest.h"
#include "query/vtab.h"

#define OPS_BETWEEN_LOOKS 2000 /* of SQLite's machine: some ten microseconds */
#define DEFAULT_PROGRESS_MS 100

extern const sqlite3_module dv_module;

struct dv_sql_statement {
	struct dv_sql *sql;
	sqlite3_stmt *stmt;
	bool started;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool sql_must_stop(struct dv_sql *sql)
{
	uint64_t now, every = sql->progress_ms ? sql->progress_ms : DEFAULT_PROGRESS_MS;

	if (sql->stop)
		return true;
	if (atomic_load_explicit(&sql->interrupted, memory_order_relaxed))
		sql->stop = STOP_CANCELLED;
	if (sql->stop || (!sql->timeout_ms && !sql->progress))
		return sql->stop;
	now = now_ns();
	if (sql->timeout_ms && now - sql->started_ns > sql->timeout_ms * 1000000ull)
		sql->stop = STOP_TIMEOUT;
	if (!sql->stop && sql->progress && now - sql->asked_ns > every * 1000000ull) {
		sql->asked_ns = now;
		if (!sql->progress(sql->progress_context, sql->rows_read))
			sql->stop = STOP_CANCELLED;
	}
	return sql->stop;
}

static int look(void *context)
{
	return sql_must_stop(context);
}

/* Only reading, and what lives in memory. */
static int authorize(void *context, int action, const char *a, const char *b, const char *database, const char *trigger)
{
	switch (action) {
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		return SQLITE_DENY;
	case SQLITE_FUNCTION:
		return b && !sqlite3_stricmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		/* What may be looked at; temp_store_directory and others say where files go. */
		return a && (!sqlite3_stricmp(a, "table_info") || !sqlite3_stricmp(a, "table_xinfo") ||
			     !sqlite3_stricmp(a, "table_list") || !sqlite3_stricmp(a, "function_list") ||
			     !sqlite3_stricmp(a, "module_list") || !sqlite3_stricmp(a, "compile_options") ||
			     !sqlite3_stricmp(a, "case_sensitive_like")) ?
			       SQLITE_OK :
			       SQLITE_DENY;
	default:
		return SQLITE_OK;
	}
}

static struct dv_error *open_error(struct dv_sql *sql)
{
	return dv_error_new(DV_ERROR_INVALID, "SQLite: %s", sql->db ? sqlite3_errmsg(sql->db) : "no memory");
}

struct dv_error *dv_sql_open(const struct dv_query *q, struct dv_sql **ret)
{
	_cleanup_(dv_sql_closep) struct dv_sql *sql = calloc(1, sizeof(*sql));

	if (!sql)
		return dv_error_no_memory();
	sql->q = q;
	sql->error_offset = -1;
	if (sqlite3_open_v2(":memory:", &sql->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return open_error(sql);
	/* Sorters and temporary tables in memory: SQLite would else write files. */
	if (sqlite3_exec(sql->db, "pragma temp_store = memory; pragma trusted_schema = on", NULL, NULL, NULL))
		return open_error(sql);
	for (size_t i = 0; i < table_def_count; i++) {
		if (sqlite3_create_module_v2(sql->db, table_defs[i].doc->name, &dv_module, sql, NULL))
			return open_error(sql);
	}
	sqlite3_set_authorizer(sql->db, authorize, sql);
	sqlite3_progress_handler(sql->db, OPS_BETWEEN_LOOKS, look, sql);
	*ret = dv_steal(sql);
	return NULL;
}

void dv_sql_close(struct dv_sql *sql)
{
	if (!sql)
		return;
	sqlite3_close_v2(sql->db);
	free(sql);
}

void dv_sql_set_progress(struct dv_sql *sql, dv_sql_progress_fn progress, void *context, unsigned every_ms)
{
	sql->progress = progress;
	sql->progress_context = context;
	sql->progress_ms = every_ms;
}

void dv_sql_set_timeout(struct dv_sql *sql, unsigned ms)
{
	sql->timeout_ms = ms;
}

void dv_sql_set_memory_limit(struct dv_sql *sql, uint64_t bytes)
{
	sqlite3_hard_heap_limit64((sqlite3_int64)bytes);
}

void dv_sql_interrupt(struct dv_sql *sql)
{
	atomic_store(&sql->interrupted, true);
	sqlite3_interrupt(sql->db);
}

/* statement: NULL while it runs. */
static struct dv_error *sql_error(struct dv_sql *sql, int rc, const char *statement)
{
	if (rc == SQLITE_NOMEM)
		return dv_error_no_memory();
	if (sql->stop == STOP_TIMEOUT)
		return dv_error_new(DV_ERROR_TIMEOUT, "the query ran longer than %g s", sql->timeout_ms / 1000.0);
	if (rc == SQLITE_INTERRUPT)
		return dv_error_new(DV_ERROR_CANCELLED, "the query was cancelled");
	if (statement)
		return suggest_error(sqlite3_errmsg(sql->db), statement);
	return dv_error_new(DV_ERROR_INVALID, "%s", sqlite3_errmsg(sql->db));
}

struct dv_error *dv_sql_prepare(struct dv_sql *sql, const char *text, struct dv_sql_statement **ret,
				const char **ret_tail)
{
	struct dv_sql_statement *st = calloc(1, sizeof(*st));
	const char *tail = text;
	int rc;

	if (!st)
		return dv_error_no_memory();
	sql->error_offset = -1;
	atomic_store(&sql->interrupted, false);
	sql->stop = STOP_NONE;
	sql->started_ns = sql->asked_ns = now_ns();
	rc = sqlite3_prepare_v2(sql->db, text, -1, &st->stmt, &tail);
	if (rc) {
		free(st);
		sql->error_offset = sqlite3_error_offset(sql->db);
		return sql_error(sql, rc, text);
	}
	if (ret_tail)
		*ret_tail = tail;
	if (!st->stmt) {
		free(st);
		*ret = NULL;
		return NULL;
	}
	st->sql = sql;
	*ret = st;
	return NULL;
}

int dv_sql_error_offset(const struct dv_sql *sql)
{
	return sql->error_offset;
}

void dv_sql_finalize(struct dv_sql_statement *st)
{
	if (!st)
		return;
	sqlite3_finalize(st->stmt);
	free(st);
}

struct dv_error *dv_sql_step(struct dv_sql_statement *st, bool *ret_row)
{
	struct dv_sql *sql = st->sql;
	int rc;

	if (!st->started) {
		st->started = true;
		sql->rows_read = 0;
		sql->stop = STOP_NONE;
		sql->started_ns = sql->asked_ns = now_ns();
	}
	rc = sqlite3_step(st->stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return sql_error(sql, rc, NULL);
	*ret_row = rc == SQLITE_ROW;
	return NULL;
}

int dv_sql_column_count(const struct dv_sql_statement *st)
{
	return sqlite3_column_count(st->stmt);
}

const char *dv_sql_column_name(const struct dv_sql_statement *st, int column)
{
	const char *name = sqlite3_column_name(st->stmt, column);

	return name ? name : "";
}

const char *dv_sql_text(const struct dv_sql_statement *st)
{
	return sqlite3_sql(st->stmt);
}

struct dv_sql_value dv_sql_column(struct dv_sql_statement *st, int column)
{
	struct dv_sql_value value = {.type = DV_SQL_NULL};

	switch (sqlite3_column_type(st->stmt, column)) {
	case SQLITE_INTEGER:
		value.type = DV_SQL_INTEGER;
		value.integer = sqlite3_column_int64(st->stmt, column);
		value.real = (double)value.integer;
		break;
	case SQLITE_FLOAT:
		value.type = DV_SQL_REAL;
		value.real = sqlite3_column_double(st->stmt, column);
		break;
	case SQLITE_TEXT:
		value.type = DV_SQL_TEXT;
		value.text = (const char *)sqlite3_column_text(st->stmt, column);
		value.len = (size_t)sqlite3_column_bytes(st->stmt, column);
		break;
	case SQLITE_BLOB:
		value.type = DV_SQL_BLOB;
		value.text = sqlite3_column_blob(st->stmt, column);
		value.len = (size_t)sqlite3_column_bytes(st->stmt, column);
		break;
	}
	return value;
}

struct dv_error *dv_sql_bind_integer(struct dv_sql_statement *st, int index, int64_t value)
{
	int rc = sqlite3_bind_int64(st->stmt, index, value);

	return rc ? sql_error(st->sql, rc, NULL) : NULL;
}

struct dv_error *dv_sql_bind_text(struct dv_sql_statement *st, int index, const char *text)
{
	int rc = sqlite3_bind_text(st->stmt, index, text, -1, SQLITE_TRANSIENT);

	return rc ? sql_error(st->sql, rc, NULL) : NULL;
}
