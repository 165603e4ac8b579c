/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What memory may be used: see memory.h. A process is in one cgroup of each hierarchy, and each cgroup's
 * limit holds for all below it. /proc/self/cgroup names them (cgroups(7)):
 *
 *	0::/user.slice/a.scope		version 2: memory.max, memory.current
 *	4:memory:/docker/0123		version 1: memory.limit_in_bytes, memory.usage_in_bytes
 *
 * In a container the path may be the host's, which is not there: then what is above it is asked, up to the
 * root, where the container's own lies. What is used counts the page cache, which goes when memory is short.
 */
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "base/cleanup.h"

struct hierarchy {
	const char *mount, *limit, *usage;
	const char *cache[2]; /* in memory.stat */
};

static const struct hierarchy version_2 = {
	"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file ", "active_file "},
};
static const struct hierarchy version_1 = {
	"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	{"total_inactive_file ", "total_active_file "},
};

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

static uint64_t number_of_group(const char *root, const struct hierarchy *h, const char *group, const char *file,
				const char *key)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s/%s", root, h->mount, group, file);
	return number_in(path, key);
}

/* What a cgroup may still take; UINT64_MAX where there is no limit. */
static uint64_t left_of_group(const char *root, const struct hierarchy *h, const char *group)
{
	uint64_t limit = number_of_group(root, h, group, h->limit, "");
	uint64_t used = number_of_group(root, h, group, h->usage, ""), cache = 0;

	/* Version 1 has no limit as the largest number of pages. */
	if (limit >= INT64_MAX / 2 || used == UINT64_MAX)
		return UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		uint64_t bytes = number_of_group(root, h, group, "memory.stat", h->cache[i]);

		cache += bytes == UINT64_MAX ? 0 : bytes;
	}
	used -= cache < used ? cache : used;
	return limit > used ? limit - used : 0;
}

/* A cgroup and those above it. Ruins the path. */
static uint64_t left_of_groups(const char *root, const struct hierarchy *h, char *group)
{
	uint64_t least = UINT64_MAX, left;
	char *slash;

	if (!strcmp(group, "/"))
		*group = '\0';
	do {
		left = left_of_group(root, h, group);
		least = left < least ? left : least;
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return least;
}

static uint64_t cgroup_left(const char *root)
{
	uint64_t least = UINT64_MAX, left;
	char path[PATH_MAX], line[4096];
	_cleanup_fclose_ FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		bool is_memory;

		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		is_memory = !strcmp(controllers, ":memory");
		if (*group != '/' || (!is_memory && strcmp(controllers, ":")))
			continue;
		left = left_of_groups(root, is_memory ? &version_1 : &version_2, group);
		least = left < least ? left : least;
	}
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

uint64_t dv_memory_left_in(const char *root)
{
	uint64_t group = cgroup_left(root), addresses = addresses_left(), left, kib;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	kib = number_in(path, "MemAvailable:");
	left = kib == UINT64_MAX ? UINT64_MAX : kib * 1024;
	left = left < group ? left : group;
	return (left < addresses ? left : addresses) / 10 * 9;
}

uint64_t dv_memory_left(void)
{
	return dv_memory_left_in("");
}
