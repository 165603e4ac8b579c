/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hash map of 64-bit words: see map.h. Linear probing; removal moves followers back. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

void dv_map_deinit(struct dv_map *map)
{
	if (!map)
		return;
	free(map->slots);
	*map = (struct dv_map)DV_MAP_INIT;
}

static struct dv_map_slot *find(const struct dv_map *map, uint64_t key)
{
	size_t i = dv_hash64(key) & (map->cap - 1);

	while (map->slots[i].used && map->slots[i].key != key)
		i = (i + 1) & (map->cap - 1);
	return &map->slots[i];
}

uint64_t *dv_map_get(const struct dv_map *map, uint64_t key)
{
	struct dv_map_slot *slot;

	if (!map->cap)
		return NULL;
	slot = find(map, key);
	return slot->used ? &slot->value : NULL;
}

static bool grow(struct dv_map *map)
{
	struct dv_map bigger = {.cap = map->cap ? map->cap * 2 : 16, .len = map->len};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < map->cap; i++) {
		if (map->slots[i].used)
			*find(&bigger, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	*map = bigger;
	return true;
}

uint64_t *dv_map_put(struct dv_map *map, uint64_t key)
{
	struct dv_map_slot *slot;

	if (map->len + map->len / 3 >= map->cap && !grow(map))
		return NULL;
	slot = find(map, key);
	if (!slot->used) {
		*slot = (struct dv_map_slot){.key = key, .used = true};
		map->len++;
	}
	return &slot->value;
}

bool dv_map_remove(struct dv_map *map, uint64_t key)
{
	size_t mask = map->cap - 1, hole, i;
	struct dv_map_slot *slot;

	if (!map->cap)
		return false;
	slot = find(map, key);
	if (!slot->used)
		return false;
	hole = (size_t)(slot - map->slots);
	for (i = (hole + 1) & mask; map->slots[i].used; i = (i + 1) & mask) {
		size_t home = dv_hash64(map->slots[i].key) & mask;

		/* An entry moves back into the hole unless its home lies cyclically in (hole, i]. */
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole].used = false;
	map->len--;
	return true;
}

void dv_map_clear(struct dv_map *map)
{
	if (map->cap)
		memset(map->slots, 0, map->cap * sizeof(*map->slots));
	map->len = 0;
}
