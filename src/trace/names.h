/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Function keys to the iids of one block. The look-up is on the writer's hot path: open addressing,
 * a slot is free while its iid is 0.
 */
#ifndef DV_TRACE_NAMES_H
#define DV_TRACE_NAMES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct name_slot {
	uint64_t key;
	uint32_t iid; /* from 1; 0 in a free slot */
};

struct names {
	struct name_slot *slots;
	uint32_t count;
	uint32_t mask;	/* one less than the number of slots */
	uint32_t shift; /* 64 less its logarithm */
};

static inline uint32_t names_hash(const struct names *n, uint64_t key)
{
	return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> n->shift);
}

/* The key's iid, or 0 when this block has none yet. */
static inline uint32_t names_find(const struct names *n, uint64_t key)
{
	for (uint32_t i = names_hash(n, key);; i++) {
		const struct name_slot *slot = &n->slots[i & n->mask];

		if (slot->key == key || !slot->iid)
			return slot->iid;
	}
}

/* False when out of memory. */
static inline bool names_init(struct names *n, uint32_t log2)
{
	*n = (struct names){.mask = (1u << log2) - 1, .shift = 64 - log2};
	n->slots = calloc(n->mask + 1u, sizeof(*n->slots));
	return n->slots;
}

static inline void names_deinit(struct names *n)
{
	free(n->slots);
	n->slots = NULL;
}

static inline void names_clear(struct names *n)
{
	memset(n->slots, 0, (n->mask + 1u) * sizeof(*n->slots));
	n->count = 0;
}

static inline void names_insert(struct names *n, uint64_t key, uint32_t iid)
{
	uint32_t i = names_hash(n, key) & n->mask;

	while (n->slots[i].iid)
		i = (i + 1) & n->mask;
	n->slots[i] = (struct name_slot){.key = key, .iid = iid};
	n->count++;
}

/* Gives a key that names_find() does not know the next iid; 0 when out of memory. */
static inline uint32_t names_add(struct names *n, uint64_t key)
{
	struct names larger;

	if (n->count >= n->mask / 4) {
		if (!names_init(&larger, 64 - n->shift + 1))
			return 0;
		for (uint32_t i = 0; i <= n->mask; i++) {
			if (n->slots[i].iid)
				names_insert(&larger, n->slots[i].key, n->slots[i].iid);
		}
		names_deinit(n);
		*n = larger;
	}
	names_insert(n, key, n->count + 1);
	return n->count;
}

#endif
