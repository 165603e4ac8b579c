/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading: what its files share. Private to src/query. */
#ifndef DV_QUERY_LOAD_H
#define DV_QUERY_LOAD_H

#include "base/map.h"
#include "base/vec.h"
#include "query/columns.h"
#include "query/strings.h"
#include "trace/reader.h"

struct loader {
	struct columns *c;
	const struct dv_query_options *options;
	unsigned workers;
	struct strings strings;
	struct dv_error *error;	/* of a worker: the first */
};

/* Copies an array into a column of its own. False when out of memory. */
bool column_copy(void *column, size_t *n, const void *from, size_t count, size_t size);
#define COLUMN_SET(c, name, from, count) column_copy(&(c)->name, &(c)->n_##name, from, count, sizeof(*(c)->name))

/* Refuses what does not fit: needs bytes of memory. */
struct dv_error *loader_check_memory(const struct loader *l, const char *path, uint64_t slices, uint64_t bytes);

/* Our own traces. The reader is open. */
struct dv_error *load_blocks(struct loader *l, struct dv_trace_reader *r);
/* Threads, processes, tracks, switches, metadata of our own traces. utids: thread id -> utid + 1. */
struct dv_error *load_headers(struct loader *l, struct dv_trace_reader *r, struct dv_map *utids);
/* Any other Perfetto trace. */
struct dv_error *load_perfetto(struct loader *l, const void *data, size_t len, const char *name);

#endif
