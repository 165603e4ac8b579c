/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "base/cleanup.h"

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

uint64_t dv_memory_left(void)
{
	uint64_t kib = number_in("/proc/meminfo", "MemAvailable:"), group = cgroup_left();
	uint64_t left = kib == UINT64_MAX ? UINT64_MAX : kib * 1024, addresses = addresses_left();

	left = left < group ? left : group;
	return (left < addresses ? left : addresses) / 10 * 9;
}
