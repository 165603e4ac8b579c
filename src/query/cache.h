/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Columns kept in a file, so that a trace that was opened before opens at once: XDG_CACHE_HOME/dejaview,
 * a file per trace, mapped as it is. Named by the trace's contents and the layout's version, it can be
 * deleted at any time; the oldest go when the folder grows too large. Private to src/query.
 */
#ifndef DV_QUERY_CACHE_H
#define DV_QUERY_CACHE_H

#include "query/columns.h"

/* Goes up with every change of columns.def, of a struct in it, or of what loading makes of a trace. */
#define DV_CACHE_VERSION 7u
#define CACHE_MIN_SLICES 1000000u /* fewer are loaded about as quickly as they are mapped */
#define CACHE_MAX_BYTES (16ull << 30)

/* 32 digits and a NUL: of every byte of the file, so that a damaged copy is not taken for what was whole. */
void cache_identity(const void *data, size_t len, char ret[33]);

/* Fills columns in from the cache. False when it does not have them; whatever is wrong with it is no error. */
bool cache_open(const char *identity, struct columns *c);

struct cache_writer;
/* Starts to write the columns, which must stay, on a thread of its own. NULL: it cannot, which is no error. */
struct cache_writer *cache_writer_start(const struct columns *c);
/* Waits until it is done. NULL-safe. */
void cache_writer_finish(struct cache_writer *w);

#endif
