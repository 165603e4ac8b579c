/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which memory is watched: see watch.h. Apart from the callbacks, so that it is tested without QEMU. */
#include <errno.h>
#include <string.h>
#include "plugin/watch.h"

#define PAGE_BYTES 4096u

static struct dv_error *parse_piece(const char *text, const char **ret_end, struct dv_watch_piece *ret)
{
	char *end;
	unsigned long long bytes;

	errno = 0;
	ret->phys = strtoull(text, &end, 0);
	if (end == text || *end != ':' || errno)
		return dv_error_new(DV_ERROR_INVALID, "option watch: '%s' is not PHYSICAL_ADDRESS:BYTES", text);
	text = end + 1;
	bytes = strtoull(text, &end, 0);
	if (end == text || errno || !bytes || bytes > PAGE_BYTES - ret->phys % PAGE_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "option watch: a piece has 1 byte to the end of its 4 KiB page, not '%s'",
				    text);
	ret->bytes = (uint32_t)bytes;
	*ret_end = end;
	return NULL;
}

struct dv_error *dv_watch_parse(const char *text, struct dv_watch *ret)
{
	struct dv_watch watch = {0};

	for (;; text++) {
		if (watch.len == DV_WATCH_MAX_PIECES)
			return dv_error_new(DV_ERROR_INVALID, "option watch: more than %d pieces", DV_WATCH_MAX_PIECES);
		DV_TRY(parse_piece(text, &text, &watch.pieces[watch.len++]));
		if (!*text)
			break;
		if (*text != '+')
			return dv_error_new(DV_ERROR_INVALID, "option watch: '%s' follows a piece; '+' does", text);
	}
	*ret = watch;
	return NULL;
}

const struct dv_watch_piece *dv_watch_find(const struct dv_watch *watch, uint64_t phys, uint32_t bytes)
{
	for (size_t i = 0; i < watch->len; i++) {
		const struct dv_watch_piece *piece = &watch->pieces[i];

		if (phys < piece->phys + piece->bytes && piece->phys < phys + bytes)
			return piece;
	}
	return NULL;
}
