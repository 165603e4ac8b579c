/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strings of a trace while it is loaded: each is kept once, and is named by its offset. */
#ifndef DV_QUERY_STRINGS_H
#define DV_QUERY_STRINGS_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct strings {
	struct dv_buf text; /* NUL-terminated; the first byte is no string's */
	uint32_t *slots;    /* offsets; 0: free */
	uint32_t count, mask;
};

void strings_deinit(struct strings *s);
/* The offset of a string; what follows a NUL in it is left out. 0 for NULL, and when out of memory. */
uint32_t strings_add(struct strings *s, const void *data, size_t len);
static inline uint32_t strings_put(struct strings *s, const char *string)
{
	return string ? strings_add(s, string, __builtin_strlen(string)) : 0;
}
/* Whether memory ran out (or 4 GiB of text were passed) in any call so far. */
bool strings_failed(const struct strings *s);
static inline const char *strings_get(const struct strings *s, uint32_t offset)
{
	return offset ? (const char *)s->text.data + offset : NULL;
}

#endif
