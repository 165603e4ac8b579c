/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of src/query know of an open trace. */
#ifndef DV_QUERY_QUERY_PRIVATE_H
#define DV_QUERY_QUERY_PRIVATE_H

#include <pthread.h>
#include "query/columns.h"

struct cache_writer;
struct lazy;

struct dv_query {
	struct columns c;
	struct dv_query_info info;
	char *path;
	struct dv_query_thread *threads;
	struct dv_query_process *processes;
	struct dv_query_track *tracks;
	struct dv_query_function *functions;
	struct dv_query_console_line *console;
	struct cache_writer *writer; /* NULL: nothing is being written */
	struct lazy *lazy;	     /* what is made when it is first asked for */
};

struct dv_error *lazy_create(struct lazy **ret);
void lazy_destroy(struct lazy *lazy, const struct columns *c);

#endif
