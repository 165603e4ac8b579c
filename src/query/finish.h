/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last steps of loading, the same for every kind of trace. Private to src/query. */
#ifndef DV_QUERY_FINISH_H
#define DV_QUERY_FINISH_H

#include "query/columns.h"

/*
 * Takes columns whose slices are there (dur, call, depth, track, parent, own; n), a slice's parent
 * before it, in any order of time, with the starts apart as whole numbers; and its tracks, whose lanes
 * are not set. Sorts the slices by start (those of one start stay as they are), and makes start, base,
 * far, lanes and longest. start belongs to the caller, and is sorted too. Errors: NO_MEMORY.
 */
struct dv_error *columns_finish(struct columns *c, uint64_t *start, unsigned workers);

#endif
