/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Byte buffer and cursor: see buf.h. */
#include "base/buf.h"

#include <string.h>

void dv_buf_deinit(struct dv_buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct dv_buf)DV_BUF_INIT;
}

uint8_t *dv_buf_reserve(struct dv_buf *buf, size_t more)
{
	size_t need, cap;
	uint8_t *data;

	if (buf->failed || __builtin_add_overflow(buf->len, more, &need)) {
		buf->failed = true;
		return NULL;
	}
	if (need <= buf->cap && buf->data)
		return buf->data + buf->len;
	cap = buf->cap ? buf->cap : 64;
	while (cap < need)
		cap += cap / 2;
	data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		return NULL;
	}
	buf->data = data;
	buf->cap = cap;
	return data + buf->len;
}

void dv_buf_append(struct dv_buf *buf, const void *data, size_t len)
{
	uint8_t *to = dv_buf_reserve(buf, len);

	if (!to || !len)
		return;
	memcpy(to, data, len);
	buf->len += len;
}

void dv_buf_printf(struct dv_buf *buf, const char *format, ...)
{
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len < 0 || !dv_buf_reserve(buf, (size_t)len + 1)) {
		buf->failed = true;
		return;
	}
	va_start(ap, format);
	vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, ap);
	va_end(ap);
	buf->len += (size_t)len;
}

void dv_buf_varint(struct dv_buf *buf, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	} while (value);
	bytes[n - 1] &= 0x7f;
	dv_buf_append(buf, bytes, n);
}

void dv_buf_clear(struct dv_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

char *dv_buf_steal_string(struct dv_buf *buf)
{
	char *string;

	dv_buf_append(buf, "", 1);
	string = buf->failed ? NULL : (char *)dv_steal(buf->data);
	dv_buf_deinit(buf);
	return string;
}

struct dv_cursor dv_cursor_make(const void *data, size_t len)
{
	const uint8_t *bytes = data ? data : (const void *)""; /* NULL has nothing to point behind */

	return (struct dv_cursor){.pos = bytes, .end = bytes + len};
}

const uint8_t *dv_cursor_take(struct dv_cursor *c, size_t len)
{
	const uint8_t *at = c->pos;

	if (c->truncated || len > dv_cursor_left(c)) {
		c->truncated = true;
		return NULL;
	}
	c->pos += len;
	return at;
}

static uint64_t take_le(struct dv_cursor *c, size_t len)
{
	const uint8_t *at = dv_cursor_take(c, len);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, len);
	return value;
}

uint8_t dv_cursor_u8(struct dv_cursor *c)
{
	return (uint8_t)take_le(c, 1);
}

uint16_t dv_cursor_u16(struct dv_cursor *c)
{
	return (uint16_t)take_le(c, 2);
}

uint32_t dv_cursor_u32(struct dv_cursor *c)
{
	return (uint32_t)take_le(c, 4);
}

uint64_t dv_cursor_u64(struct dv_cursor *c)
{
	return take_le(c, 8);
}

uint64_t dv_cursor_varint(struct dv_cursor *c)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = dv_cursor_u8(c);

		if (c->truncated)
			return 0;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	c->truncated = true;
	return 0;
}
