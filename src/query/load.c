/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loaders share: columns, the limit of memory. */
#include "query/load.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"

#define LOAD_FIXED_BYTES (96ull << 20) /* names, blocks being decoded, SQLite */

bool column_copy(void *column, size_t *n, const void *from, size_t count, size_t size)
{
	void **slot = column;

	*slot = column_alloc(count, size);
	if (!*slot)
		return false;
	*n = count;
	if (count)
		memcpy(*slot, from, count * size);
	return true;
}

struct dv_error *loader_check_memory(const struct loader *l, const char *path, uint64_t slices, uint64_t bytes)
{
	uint64_t limit = l->options && l->options->max_memory_bytes ? l->options->max_memory_bytes : dv_memory_left();

	bytes += LOAD_FIXED_BYTES;
	if (bytes <= limit)
		return NULL;
	return dv_error_new(DV_ERROR_NO_MEMORY,
			    "%s: its %" PRIu64 " slices need %" PRIu64 " MB of memory, and %" PRIu64
			    " MB may be used: free some, or make a smaller trace (dejaview trace --min-insns, --during)",
			    path, slices, bytes / 1000000 + 1, limit / 1000000);
}
