/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event words to a zlib stream, by way of plain packets and libdeflate: see events.h. */
#include <libdeflate.h>
#include "trace/events.h"

#define LEVEL 1

struct encoder {
	struct libdeflate_compressor *deflate;
	struct dv_buf raw;
};

struct dv_error *encoder_create(struct encoder **ret)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return dv_error_no_memory();
	e->deflate = libdeflate_alloc_compressor(LEVEL);
	if (!e->deflate) {
		encoder_destroy(e);
		return dv_error_no_memory();
	}
	*ret = e;
	return NULL;
}

void encoder_destroy(struct encoder *e)
{
	if (!e)
		return;
	if (e->deflate)
		libdeflate_free_compressor(e->deflate);
	dv_buf_deinit(&e->raw);
	free(e);
}

void encoder_add(struct encoder *e, const uint64_t *words, size_t count, const uint64_t *uuids)
{
	uint8_t *start = dv_buf_reserve(&e->raw, count * EVENT_MAX_BYTES);

	if (start)
		e->raw.len += (size_t)(events_put(start, words, count, uuids) - start);
}

size_t encoder_raw_bytes(const struct encoder *e)
{
	return e->raw.len;
}

void encoder_finish(struct encoder *e, struct dv_buf *out)
{
	size_t bound = libdeflate_zlib_compress_bound(e->deflate, e->raw.len);
	uint8_t *to = dv_buf_reserve(out, bound);

	if (e->raw.failed)
		out->failed = true;
	else if (to)
		out->len += libdeflate_zlib_compress(e->deflate, e->raw.data, e->raw.len, to, bound);
	dv_buf_clear(&e->raw);
}
