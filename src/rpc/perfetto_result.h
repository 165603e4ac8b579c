/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Perfetto's QueryResult, written batch by batch. */
#ifndef DV_RPC_PERFETTO_RESULT_H
#define DV_RPC_PERFETTO_RESULT_H

#include "query/query.h"
#include "rpc/private.h"

/* Perfetto's own limits: whole rows, up to these. */
#define PERFETTO_BATCH_CELLS 50000
#define PERFETTO_BATCH_BYTES (128u << 10)

/* Takes one QueryResult message; false: the client has gone. */
typedef bool (*perfetto_send_fn)(void *context, const struct dv_buf *message);

/*
 * Runs all statements of text; the rows are those of the last one that gives some. Whatever happens the
 * last message says so: its batch is the last, its error what went wrong. cancel is asked now and then.
 */
void perfetto_run_query(struct dv_sql *sql, const char *text, const volatile bool *cancel, perfetto_send_fn send,
			void *context);
/* One message that says an error. */
void perfetto_error_result(struct dv_buf *to, const char *message);

#endif
