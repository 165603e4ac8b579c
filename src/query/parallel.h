/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same work on several threads, and waiting for all of them. Private to src/query. */
#ifndef DV_QUERY_PARALLEL_H
#define DV_QUERY_PARALLEL_H

#include <stdint.h>

#define PARALLEL_MAX 64u

/* worker counts from 0 to workers - 1. */
typedef void (*parallel_fn)(void *context, unsigned worker, unsigned workers);

/* Runs fn on this thread and, where they can be had, workers - 1 others: each worker number once. */
void parallel_run(unsigned workers, parallel_fn fn, void *context);
/* What is asked for, or one for each CPU that this process may use. */
unsigned parallel_workers(unsigned wanted);

/* The part of count that is the worker's: from *ret_first on, up to what is returned (exclusive). */
static inline uint32_t parallel_part(uint32_t count, unsigned worker, unsigned workers, uint32_t *ret_first)
{
	*ret_first = (uint32_t)((uint64_t)count * worker / workers);
	return (uint32_t)((uint64_t)count * (worker + 1) / workers);
}

#endif
