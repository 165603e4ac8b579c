/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loaders share: growing arrays, columns of them, the limit of memory. */
#include "query/load.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define LOAD_FIXED_BYTES (96ull << 20) /* names, blocks being decoded, SQLite */

bool vec_reserve(void *v, size_t n, size_t *cap, size_t more, size_t size)
{
	void **array = v, *grown;
	size_t want = *cap ? *cap : 16;

	if (__builtin_expect(n + more <= *cap, 1))
		return true;
	while (want < n + more)
		want *= 2;
	grown = realloc(*array, want * size);
	if (!grown)
		return false;
	*array = grown;
	*cap = want;
	return true;
}

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

/* The number in a file after a key at a line's start, or alone with key ""; UINT64_MAX without one. */
static uint64_t number_in(const char *path, const char *key)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	uint64_t number = UINT64_MAX;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%" SCNu64, &number) == 1)
			break;
	}
	return number;
}

/* What this process's cgroup and those above it may still take. */
static uint64_t cgroup_left(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
	char group[512] = "", path[640], *slash;
	uint64_t least = UINT64_MAX;

	if (!file || !fgets(group, sizeof(group), file) || strncmp(group, "0::/", 4))
		return UINT64_MAX;
	group[strcspn(group, "\n")] = '\0';
	do {
		uint64_t max, current;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group + 3);
		max = number_in(path, "");
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group + 3);
		current = number_in(path, "");
		if (max != UINT64_MAX && current != UINT64_MAX && (max > current ? max - current : 0) < least)
			least = max > current ? max - current : 0;
		slash = strrchr(group + 3, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return least;
}

/* What ulimit -v leaves of addresses. */
static uint64_t addresses_left(void)
{
	uint64_t used_kib = number_in("/proc/self/status", "VmSize:");
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY || used_kib == UINT64_MAX)
		return UINT64_MAX;
	return limit.rlim_cur > used_kib * 1024 ? limit.rlim_cur - used_kib * 1024 : 0;
}

static uint64_t memory_left(void)
{
	uint64_t kib = number_in("/proc/meminfo", "MemAvailable:"), group = cgroup_left();
	uint64_t left = kib == UINT64_MAX ? UINT64_MAX : kib * 1024, addresses = addresses_left();

	left = left < group ? left : group;
	return (left < addresses ? left : addresses) / 10 * 9;
}

struct dv_error *loader_check_memory(const struct loader *l, const char *path, uint64_t slices, uint64_t bytes)
{
	uint64_t limit = l->options && l->options->max_memory_bytes ? l->options->max_memory_bytes : memory_left();

	bytes += LOAD_FIXED_BYTES;
	if (bytes <= limit)
		return NULL;
	return dv_error_new(DV_ERROR_NO_MEMORY,
			    "%s: its %" PRIu64 " slices need %" PRIu64 " MB of memory, and %" PRIu64
			    " MB may be used: free some, or make a smaller trace (dejaview trace --min-insns, --during)",
			    path, slices, bytes / 1000000 + 1, limit / 1000000);
}
