/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing byte buffer, also used to build strings, and a bounds-checked cursor for reading bytes
 * that come from outside. A buffer that could not grow remembers it in `failed` and ignores what
 * follows, so that a writer checks once at the end.
 */
#ifndef DV_BASE_BUF_H
#define DV_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_buf {
	uint8_t *data; /* NULL while empty; owned */
	size_t len;    /* bytes used */
	size_t cap;    /* bytes allocated */
	bool failed;   /* memory ran out: the contents are incomplete */
};

#define DV_BUF_INIT {0}

void dv_buf_deinit(struct dv_buf *buf);
#define _cleanup_buf_ _cleanup_(dv_buf_deinit)

/* Makes room for `more` bytes beyond len and returns where they start, or NULL (and failed). */
uint8_t *dv_buf_reserve(struct dv_buf *buf, size_t more);
void dv_buf_append(struct dv_buf *buf, const void *data, size_t len);
void dv_buf_printf(struct dv_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends a little-endian base-128 varint, as protobuf and DWARF's ULEB128 have it. */
void dv_buf_varint(struct dv_buf *buf, uint64_t value);
/* Empties the buffer and keeps its memory. */
void dv_buf_clear(struct dv_buf *buf);
/* NUL-terminates and hands the memory over as a string (free()); NULL when failed. Leaves buf empty. */
char *dv_buf_steal_string(struct dv_buf *buf);

/*
 * A window on bytes from outside. Every dv_cursor_* read checks what is left: past the end it sets
 * `truncated`, returns 0 or NULL, and stays there, so that a parser may read several fields and check
 * once. The bytes are borrowed.
 */
struct dv_cursor {
	const uint8_t *pos;
	const uint8_t *end; /* exclusive */
	bool truncated;
};

struct dv_cursor dv_cursor_make(const void *data, size_t len);
static inline size_t dv_cursor_left(const struct dv_cursor *c)
{
	return (size_t)(c->end - c->pos);
}
/* Returns len bytes and moves past them. */
const uint8_t *dv_cursor_take(struct dv_cursor *c, size_t len);
uint8_t dv_cursor_u8(struct dv_cursor *c);
/* Little-endian. */
uint16_t dv_cursor_u16(struct dv_cursor *c);
uint32_t dv_cursor_u32(struct dv_cursor *c);
uint64_t dv_cursor_u64(struct dv_cursor *c);
/* At most 10 bytes; a longer one counts as truncated. */
uint64_t dv_cursor_varint(struct dv_cursor *c);

#endif
