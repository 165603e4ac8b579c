/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arrays that grow: a pointer, how many elements there are, and how many it has room for (0 with NULL). */
#ifndef DV_BASE_VEC_H
#define DV_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* array: the address of the array's pointer. Use what follows. */
bool dv_vec_grow(void *array, size_t *cap, size_t want, size_t item_bytes);
static inline bool dv_vec_reserve(void *array, size_t *cap, size_t want, size_t item_bytes)
{
	return __builtin_expect(want <= *cap, 1) || dv_vec_grow(array, cap, want, item_bytes);
}

/* Makes room for `more` elements behind the first len ones; cap is a size_t. False when out of memory: then all is as
 * it was. */
#define DV_VEC_RESERVE(array, len, cap, more) dv_vec_reserve(&(array), &(cap), (size_t)(len) + (more), sizeof(*(array)))
#define DV_VEC_ROOM(array, len, cap) DV_VEC_RESERVE(array, len, cap, 1)

/* The three of them in a struct. Zeroed it is empty; free v. */
#define DV_VEC(type)           \
	struct {               \
		type *v;       \
		size_t n, cap; \
	}
/* One more element, zeroed by dv_vec_push() only; NULL when out of memory. */
#define dv_vec_add(vec) (DV_VEC_ROOM((vec)->v, (vec)->n, (vec)->cap) ? &(vec)->v[(vec)->n++] : NULL)
#define dv_vec_push(vec)                                                                                               \
	(DV_VEC_ROOM((vec)->v, (vec)->n, (vec)->cap) ? memset(&(vec)->v[(vec)->n++], 0, sizeof(*(vec)->v)) : NULL)

#endif
