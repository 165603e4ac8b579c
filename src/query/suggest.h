/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was meant by a name of a table or a column that there is none of. Private to src/query. */
#ifndef DV_QUERY_SUGGEST_H
#define DV_QUERY_SUGGEST_H

#include "base/error.h"

/*
 * SQLite's message with what to try behind it: the nearest table or, of those tables that the statement names, the
 * nearest column. Other messages stay as they are.
 */
struct dv_error *suggest_error(const char *message, const char *statement);

#endif
