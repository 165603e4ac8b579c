/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arrays that grow to twice their size: see vec.h. */
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ITEMS 16

bool dv_vec_grow(void *array, size_t *cap, size_t want, size_t item_bytes)
{
	size_t room = *cap ? *cap : FIRST_ITEMS;
	void *old, *grown;

	while (room < want) {
		if (__builtin_mul_overflow(room, 2, &room))
			return false;
	}
	memcpy(&old, array, sizeof(old)); /* whatever it points to */
	grown = reallocarray(old, room, item_bytes);
	if (!grown)
		return false;
	memcpy(array, &grown, sizeof(grown));
	*cap = room;
	return true;
}
