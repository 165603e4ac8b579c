/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash map from a 64-bit key to a 64-bit value (a pointer or an index), open addressing, grown at
 * three quarters full. Keys are addresses or ids; every key is allowed. Nothing is owned.
 */
#ifndef DV_BASE_MAP_H
#define DV_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_map_slot {
	uint64_t key;
	uint64_t value;
	bool used;
};

struct dv_map {
	struct dv_map_slot *slots; /* cap of them, a power of two; NULL while empty */
	size_t cap;
	size_t len;
};

#define DV_MAP_INIT {0}

static inline uint64_t dv_hash64(uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ (key >> 29);
}

void dv_map_deinit(struct dv_map *map);
/* The value's place, or NULL when the key is not there. Valid until the next dv_map_put. */
uint64_t *dv_map_get(const struct dv_map *map, uint64_t key);
/* The value's place, made with value 0 when it was not there; NULL when out of memory. */
uint64_t *dv_map_put(struct dv_map *map, uint64_t key);
/* Takes the key out; false when it was not there. */
bool dv_map_remove(struct dv_map *map, uint64_t key);
/* Forgets all keys, keeps the memory. */
void dv_map_clear(struct dv_map *map);

#endif
