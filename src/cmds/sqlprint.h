/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of SQL as text. */
#ifndef DV_CMDS_SQLPRINT_H
#define DV_CMDS_SQLPRINT_H

#include <stdio.h>
#include "query/query.h"

enum dv_sql_format {
	DV_SQL_CSV,   /* as Perfetto's trace_processor -q: strings in quotes, NULL as "[NULL]" */
	DV_SQL_JSON,  /* an array of objects, a line each */
	DV_SQL_TABLE, /* for people */
};

/* Steps the statement through and prints what it gives. *ret_rows: how many rows. */
struct dv_error *dv_sql_print(FILE *to, struct dv_sql_statement *st, enum dv_sql_format format, uint64_t *ret_rows);

/*
 * Where an error is in a text of SQL: its line with a mark below the place. offset is a byte of text.
 * New memory (free()), NULL when out of it.
 */
char *dv_sql_point_at(const char *text, size_t offset);

#endif
