/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handler: SQL, with rows in parts as they come. */
#include <string.h>
#include "rpc/private.h"

#define PART_BYTES (256u << 10)
#define PART_MS 200 /* rows wait no longer than that for others */
#define PROGRESS_MS 250

struct answer {
	struct job *job;
	struct dv_buf buf;
	uint64_t rows, limit;
	uint64_t sent_ms;
	bool is_open; /* buf holds the beginning of a part */
};

static void append_value(struct dv_buf *to, const struct dv_sql_value *value)
{
	switch (value->type) {
	case DV_SQL_NULL:
		dv_buf_append(to, "null", 4);
		break;
	case DV_SQL_INTEGER:
		if (value->integer > DV_RPC_INT_MAX || value->integer < -DV_RPC_INT_MAX)
			dv_buf_printf(to, "\"%lld\"", (long long)value->integer);
		else
			dv_buf_printf(to, "%lld", (long long)value->integer);
		break;
	case DV_SQL_REAL:
		dv_json_append_real(to, value->real);
		break;
	case DV_SQL_TEXT:
		dv_json_append_string(to, value->text, value->len);
		break;
	case DV_SQL_BLOB:
		dv_buf_printf(to, "{\"blob\":\"");
		for (size_t i = 0; i < value->len; i++)
			dv_buf_printf(to, "%02x", (unsigned char)value->text[i]);
		dv_buf_printf(to, "\"}");
	}
}

static void open_part(struct answer *a)
{
	dv_buf_clear(&a->buf);
	dv_buf_printf(&a->buf, "{\"id\":%u,\"part\":{", a->job->id);
	a->is_open = true;
}

static struct dv_error *close_part(struct answer *a)
{
	if (!a->is_open)
		return NULL;
	dv_buf_printf(&a->buf, "]}}");
	a->is_open = false;
	a->sent_ms = dv_rpc_now_ms();
	return a->buf.failed ? dv_error_no_memory() : job_send(a->job, true, a->buf.data, a->buf.len);
}

static void append_columns(struct answer *a, const struct dv_sql_statement *st)
{
	open_part(a);
	dv_buf_printf(&a->buf, "\"columns\":[");
	for (int i = 0; i < dv_sql_column_count(st); i++) {
		const char *name = dv_sql_column_name(st, i);

		dv_buf_printf(&a->buf, i ? "," : "");
		dv_json_append_string(&a->buf, name, strlen(name));
	}
	dv_buf_printf(&a->buf, "],\"rows\":[");
}

static struct dv_error *append_row(struct answer *a, struct dv_sql_statement *st, bool *is_first)
{
	if (!a->is_open) {
		open_part(a);
		dv_buf_printf(&a->buf, "\"rows\":[");
		*is_first = true;
	}
	dv_buf_printf(&a->buf, *is_first ? "[" : ",[");
	*is_first = false;
	for (int i = 0; i < dv_sql_column_count(st); i++) {
		struct dv_sql_value value = dv_sql_column(st, i);

		dv_buf_printf(&a->buf, i ? "," : "");
		append_value(&a->buf, &value);
	}
	dv_buf_append(&a->buf, "]", 1);
	a->rows++;
	if (a->buf.len > PART_BYTES || dv_rpc_now_ms() - a->sent_ms > PART_MS)
		return close_part(a);
	return NULL;
}

/* One statement. A new list of columns begins a new answer, so that the last statement's is what stays. */
static struct dv_error *run_statement(struct answer *a, struct dv_sql_statement *st, bool *ret_truncated)
{
	bool row = true, is_first = true;

	if (dv_sql_column_count(st)) {
		append_columns(a, st);
		a->rows = 0;
	}
	*ret_truncated = false;
	for (;;) {
		DV_TRY(dv_sql_step(st, &row));
		if (!row)
			break;
		if (a->rows >= a->limit) {
			*ret_truncated = true;
			break;
		}
		DV_TRY(append_row(a, st, &is_first));
	}
	return close_part(a);
}

static bool on_progress(void *context, uint64_t rows_read)
{
	struct answer *a = context;

	job_progress(a->job, (double)rows_read, 0, "rows read");
	return !job_is_cancelled(a->job);
}

static struct dv_error *run_all(struct answer *a, struct dv_sql *sql, const char *text, bool *ret_truncated)
{
	while (*text) {
		_cleanup_(dv_sql_finalizep) struct dv_sql_statement *st = NULL;
		struct dv_error *err = dv_sql_prepare(sql, text, &st, &text);

		if (err) {
			int at = dv_sql_error_offset(sql);

			if (at >= 0)
				job_hint(a->job, "at byte %d: %.60s", at, strnlen(text, (size_t)at) == (size_t)at ? text + at : "");
			return err;
		}
		if (st)
			DV_TRY(run_statement(a, st, ret_truncated));
	}
	return NULL;
}

HANDLER(handle_query)
{
	uint64_t start_ms = dv_rpc_now_ms();
	struct answer a = {.job = job, .limit = param_count(job, "limit", DV_RPC_MAX_ROWS), .sent_ms = start_ms};
	const json_t *timeout = json_object_get(job->params, "timeout");
	double seconds = json_number_value(timeout);
	bool truncated = false;
	struct dv_error *err;
	struct dv_sql *sql;

	DV_TRY(job_sql_open(job, &sql));
	/* The daemon's own limit holds besides. */
	if (timeout && seconds > 0 && seconds < 4e6)
		dv_sql_set_timeout(sql, (unsigned)(seconds * 1000) + 1);
	dv_sql_set_progress(sql, on_progress, &a, PROGRESS_MS);
	err = run_all(&a, sql, param_string(job, "sql"), &truncated);
	job_sql_close(job, sql);
	dv_buf_deinit(&a.buf);
	if (!err)
		*ret = json_pack("{s:I, s:b, s:f}", "rows", (json_int_t)a.rows, "truncated", truncated, "seconds",
				 (double)(dv_rpc_now_ms() - start_ms) / 1000);
	else if (err->code == DV_ERROR_INVALID)
		job->error_code = DV_RPC_ERROR_CODE_SQL;
	return err;
}
