/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a trace for a verb: progress on a terminal when it takes a while, a word about damage. */
#ifndef DV_CMDS_OPENTRACE_H
#define DV_CMDS_OPENTRACE_H

#include "query/query.h"

/* Damage is told on stderr, as "dejaview VERB: ...", and is no error. */
struct dv_error *dv_open_trace(const char *verb, const char *path, bool no_cache, struct dv_query **ret);

/* The functions of that name, as in slices or without their module; an error names one that is alike. */
struct dv_error *dv_find_function(const struct dv_query *q, const char *name, uint32_t *ret);

/* A tid, or a thread's name. Errors: DV_ERROR_NOT_FOUND. */
struct dv_error *dv_find_thread_option(const struct dv_query *q, const char *text, uint32_t *ret_utid);

#endif
