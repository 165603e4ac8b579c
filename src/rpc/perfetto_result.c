/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QueryResult: column_names 1, error 2, batch 3, statement_count 4, statement_with_output_count 5,
 * last_statement_sql 6. A CellsBatch: cells 1 (types, packed), varint_cells 2 (packed), float64_cells 3
 * (packed), blob_cells 4, string_cells 5 (each with its NUL), is_last_batch 6. (Perfetto's
 * protos/perfetto/trace_processor/trace_processor.proto, v48)
 */
#include "rpc/perfetto_result.h"
#include <string.h>
#include "base/proto.h"

enum cell { CELL_NULL = 1, CELL_VARINT = 2, CELL_FLOAT64 = 3, CELL_STRING = 4, CELL_BLOB = 5 };
#define MAX_BLOB_BYTES (16u << 20)

struct batch {
	struct dv_buf types, varints, floats, strings, blobs;
	size_t cells;
};

static size_t batch_bytes(const struct batch *b)
{
	return b->types.len + b->varints.len + b->floats.len + b->strings.len + b->blobs.len;
}

static void batch_clear(struct batch *b)
{
	dv_buf_clear(&b->types);
	dv_buf_clear(&b->varints);
	dv_buf_clear(&b->floats);
	dv_buf_clear(&b->strings);
	dv_buf_clear(&b->blobs);
	b->cells = 0;
}

static void batch_deinit(struct batch *b)
{
	dv_buf_deinit(&b->types);
	dv_buf_deinit(&b->varints);
	dv_buf_deinit(&b->floats);
	dv_buf_deinit(&b->strings);
	dv_buf_deinit(&b->blobs);
}

static void add_cell(struct batch *b, const struct dv_sql_value *value)
{
	enum cell type = CELL_NULL;

	switch (value->type) {
	case DV_SQL_NULL:
		break;
	case DV_SQL_INTEGER:
		type = CELL_VARINT;
		dv_buf_varint(&b->varints, (uint64_t)value->integer);
		break;
	case DV_SQL_REAL:
		type = CELL_FLOAT64;
		dv_buf_append(&b->floats, &value->real, sizeof(value->real));
		break;
	case DV_SQL_TEXT:
		type = CELL_STRING;
		/* A NUL inside would shift all that follow. */
		dv_buf_append(&b->strings, value->text, strnlen(value->text, value->len));
		dv_buf_append(&b->strings, "", 1);
		break;
	case DV_SQL_BLOB:
		type = CELL_BLOB;
		proto_bytes(&b->blobs, 4, value->text, value->len);
	}
	dv_buf_append(&b->types, &(uint8_t){type}, 1);
	b->cells++;
}

static void write_packed(struct dv_buf *to, uint32_t field, const struct dv_buf *values)
{
	if (values->len)
		proto_bytes(to, field, values->data, values->len);
}

static void write_batch(struct dv_buf *to, const struct batch *b, bool is_last)
{
	size_t mark = proto_open(to, 3);

	write_packed(to, 1, &b->types);
	write_packed(to, 2, &b->varints);
	write_packed(to, 3, &b->floats);
	dv_buf_append(to, b->blobs.data, b->blobs.len);
	write_packed(to, 5, &b->strings);
	if (is_last)
		proto_uint(to, 6, 1);
	proto_close(to, mark);
}

void perfetto_error_result(struct dv_buf *to, const char *message)
{
	static const struct batch none;

	proto_string(to, 2, *message ? message : "unknown error");
	write_batch(to, &none, true);
}

struct answer {
	struct dv_buf message;
	struct batch batch;
	uint32_t statements, with_output;
	char *last_sql;
	perfetto_send_fn send;
	void *context;
};

static struct dv_error *send_batch(struct answer *a, bool is_last)
{
	write_batch(&a->message, &a->batch, is_last);
	if (is_last) {
		proto_uint(&a->message, 4, a->statements);
		proto_uint(&a->message, 5, a->with_output);
		proto_string(&a->message, 6, a->last_sql);
	}
	if (a->message.failed || batch_bytes(&a->batch) > DV_RPC_MAX_SQL_BYTES)
		return dv_error_no_memory();
	if (!a->send(a->context, &a->message))
		return dv_error_new(DV_ERROR_CANCELLED, "the client has gone");
	dv_buf_clear(&a->message);
	batch_clear(&a->batch);
	return NULL;
}

static void write_columns(struct answer *a, const struct dv_sql_statement *st)
{
	for (int i = 0; i < dv_sql_column_count(st); i++)
		proto_string(&a->message, 1, dv_sql_column_name(st, i));
}

/* Whether what is left of the text has a statement in it; it is not compiled, since it may need this one. */
static bool is_last_statement(const char *tail)
{
	for (;;) {
		tail += strspn(tail, " \t\r\n\f;");
		if (!strncmp(tail, "--", 2)) {
			tail += strcspn(tail, "\n");
		} else if (!strncmp(tail, "/*", 2)) {
			const char *end = strstr(tail + 2, "*/");

			if (!end)
				return true;
			tail = end + 2;
		} else {
			return !*tail;
		}
	}
}

static struct dv_error *step(struct dv_sql_statement *st, const volatile bool *cancel, bool *ret_row)
{
	if (*cancel)
		return dv_error_new(DV_ERROR_CANCELLED, "cancelled");
	return dv_sql_step(st, ret_row);
}

static struct dv_error *run_statement(struct answer *a, struct dv_sql_statement *st, bool is_last,
				      const volatile bool *cancel)
{
	int columns = dv_sql_column_count(st);
	bool row;

	if (is_last)
		write_columns(a, st);
	for (;;) {
		DV_TRY(step(st, cancel, &row));
		if (!row)
			return NULL;
		if (!is_last)
			continue;
		for (int i = 0; i < columns; i++) {
			struct dv_sql_value value = dv_sql_column(st, i);

			if (value.len > MAX_BLOB_BYTES)
				return dv_error_new(DV_ERROR_UNSUPPORTED, "a cell of %zu bytes; at most %u", value.len,
						    MAX_BLOB_BYTES);
			add_cell(&a->batch, &value);
		}
		if (a->batch.cells + (size_t)columns > PERFETTO_BATCH_CELLS || batch_bytes(&a->batch) >= PERFETTO_BATCH_BYTES)
			DV_TRY(send_batch(a, false));
	}
}

static struct dv_error *run_all(struct answer *a, struct dv_sql *sql, const char *text, const volatile bool *cancel)
{
	while (*text) {
		_cleanup_(dv_sql_finalizep) struct dv_sql_statement *st = NULL;

		DV_TRY(dv_sql_prepare(sql, text, &st, &text));
		if (!st)
			continue;
		a->statements++;
		a->with_output += dv_sql_column_count(st) > 0;
		free(a->last_sql);
		a->last_sql = strdup(dv_sql_text(st));
		DV_TRY(run_statement(a, st, is_last_statement(text), cancel));
	}
	return send_batch(a, true);
}

void perfetto_run_query(struct dv_sql *sql, const char *text, const volatile bool *cancel, perfetto_send_fn send,
			void *context)
{
	struct answer a = {.send = send, .context = context};
	_cleanup_error_ struct dv_error *err = run_all(&a, sql, text, cancel);

	if (err) {
		dv_buf_clear(&a.message);
		a.message.failed = false;
		perfetto_error_result(&a.message, err->message);
		send(context, &a.message);
	}
	dv_buf_deinit(&a.message);
	batch_deinit(&a.batch);
	free(a.last_sql);
}
