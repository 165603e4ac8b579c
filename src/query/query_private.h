/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of src/query know of an open trace. */
#ifndef DV_QUERY_QUERY_PRIVATE_H
#define DV_QUERY_QUERY_PRIVATE_H

#include "query/columns.h"

struct cache_writer;

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
};

#endif
