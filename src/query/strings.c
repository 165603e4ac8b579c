/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interned strings: see strings.h. */
#include "query/strings.h"

#include <stdlib.h>
#include <string.h>

void strings_deinit(struct strings *s)
{
	dv_buf_deinit(&s->text);
	free(s->slots);
	*s = (struct strings){0};
}

static uint32_t hash_of(const char *data, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)data[i]) * 0x100000001b3ull;
	return (uint32_t)(hash ^ hash >> 32);
}

static bool grow(struct strings *s)
{
	uint32_t mask = s->mask ? s->mask * 2 + 1 : 4095;
	uint32_t *slots = calloc((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 0; s->slots && i <= s->mask; i++) {
		const char *string = strings_get(s, s->slots[i]);
		uint32_t at;

		if (!string)
			continue;
		at = hash_of(string, strlen(string)) & mask;
		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = s->slots[i];
	}
	free(s->slots);
	s->slots = slots;
	s->mask = mask;
	return true;
}

uint32_t strings_add(struct strings *s, const void *data, size_t len)
{
	const char *text = data ? data : "", *nul = len ? memchr(text, 0, len) : NULL;
	uint32_t at;

	if (nul)
		len = (size_t)(nul - text);
	if ((!s->slots || s->count >= s->mask / 2) && !grow(s))
		s->text.failed = true;
	if (!s->text.len)
		dv_buf_append(&s->text, "", 1);
	if (s->text.failed || s->text.len + len + 1 > UINT32_MAX) {
		s->text.failed = true;
		return 0;
	}
	for (at = hash_of(text, len) & s->mask; s->slots[at]; at = (at + 1) & s->mask) {
		const char *have = strings_get(s, s->slots[at]);

		if (!strncmp(have, text, len) && !have[len])
			return s->slots[at];
	}
	s->slots[at] = (uint32_t)s->text.len;
	dv_buf_append(&s->text, text, len);
	dv_buf_append(&s->text, "", 1);
	s->count++;
	return s->text.failed ? 0 : s->slots[at];
}

bool strings_failed(const struct strings *s)
{
	return s->text.failed;
}
