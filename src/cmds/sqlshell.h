/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interactive prompt of dejaview query. */
#ifndef DV_CMDS_SQLSHELL_H
#define DV_CMDS_SQLSHELL_H

#include "cmds/sqlprint.h"

/* Reads queries until the end of input. Errors of queries are shown; what it returns ended the prompt. */
struct dv_error *dv_sql_shell(const struct dv_query *q, struct dv_sql *sql, enum dv_sql_format format);

/* Runs all statements of a text and prints what they give. The error says where in the text it is. */
struct dv_error *dv_sql_run_text(struct dv_sql *sql, const char *text, enum dv_sql_format format, FILE *to,
				 uint64_t *ret_rows);

#endif
