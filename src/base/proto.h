/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Protocol buffers' wire format, as much of it as traces and Perfetto's RPC need. A field is a varint tag
 * (number << 3 | wire type), then a varint (type 0), 8 bytes (1), a varint length and that many bytes
 * (2), or 4 bytes (5).
 */
#ifndef DV_BASE_PROTO_H
#define DV_BASE_PROTO_H

#include <string.h>
#include "base/buf.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

static inline void proto_tag(struct dv_buf *buf, uint32_t field, enum proto_wire wire)
{
	dv_buf_varint(buf, (uint64_t)field << 3 | wire);
}

static inline void proto_uint(struct dv_buf *buf, uint32_t field, uint64_t value)
{
	proto_tag(buf, field, PROTO_VARINT);
	dv_buf_varint(buf, value);
}

static inline void proto_fixed64(struct dv_buf *buf, uint32_t field, uint64_t value)
{
	proto_tag(buf, field, PROTO_FIXED64);
	dv_buf_append(buf, &value, sizeof(value));
}

static inline void proto_fixed32(struct dv_buf *buf, uint32_t field, uint32_t value)
{
	proto_tag(buf, field, PROTO_FIXED32);
	dv_buf_append(buf, &value, sizeof(value));
}

static inline void proto_bytes(struct dv_buf *buf, uint32_t field, const void *data, size_t len)
{
	proto_tag(buf, field, PROTO_BYTES);
	dv_buf_varint(buf, len);
	dv_buf_append(buf, data, len);
}

/* NULL writes nothing. */
static inline void proto_string(struct dv_buf *buf, uint32_t field, const char *string)
{
	if (string)
		proto_bytes(buf, field, string, strlen(string));
}

/*
 * A nested message: what is appended between open and close is its body. The length takes four bytes
 * whatever it is (a varint may be padded), so that nothing has to be moved.
 */
static inline size_t proto_open(struct dv_buf *buf, uint32_t field)
{
	static const uint8_t room[4];

	proto_tag(buf, field, PROTO_BYTES);
	dv_buf_append(buf, room, sizeof(room));
	return buf->len;
}

static inline void proto_close(struct dv_buf *buf, size_t mark)
{
	size_t len = buf->len - mark;
	uint8_t *at;

	if (buf->failed)
		return;
	dv_assert(len < 1u << 28);
	at = buf->data + mark - 4;
	at[0] = (uint8_t)(len | 0x80);
	at[1] = (uint8_t)(len >> 7 | 0x80);
	at[2] = (uint8_t)(len >> 14 | 0x80);
	at[3] = (uint8_t)(len >> 21 & 0x7f);
}

static inline int64_t proto_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline uint64_t proto_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* Reading. */
struct proto_field {
	uint32_t number;
	enum proto_wire wire;
	uint64_t value;	     /* of a varint or fixed field */
	const uint8_t *data; /* of a bytes field; borrowed */
	size_t len;
};

/* As dv_cursor_varint, inlined for the one-byte case that nearly all are. */
static inline uint64_t proto_varint(struct dv_cursor *c)
{
	if (c->pos < c->end && *c->pos < 0x80)
		return *c->pos++;
	return dv_cursor_varint(c);
}

/*
 * The next field, or false at the end of the message or where it is malformed, which leaves
 * c->truncated set.
 */
static inline bool proto_next(struct dv_cursor *c, struct proto_field *ret)
{
	uint64_t tag;

	if (c->pos == c->end)
		return false;
	tag = proto_varint(c);
	ret->number = (uint32_t)(tag >> 3);
	ret->wire = (enum proto_wire)(tag & 7);
	ret->data = NULL;
	ret->len = 0;
	ret->value = 0;
	switch (ret->wire) {
	case PROTO_VARINT:
		ret->value = proto_varint(c);
		break;
	case PROTO_FIXED64:
		ret->value = dv_cursor_u64(c);
		break;
	case PROTO_FIXED32:
		ret->value = dv_cursor_u32(c);
		break;
	case PROTO_BYTES:
		ret->value = proto_varint(c);
		ret->len = ret->value;
		ret->data = dv_cursor_take(c, ret->len);
		break;
	default:
		c->truncated = true;
	}
	if (tag >> 35 || !ret->number)
		c->truncated = true;
	return !c->truncated;
}

/* The body of a bytes field as a message; of another field, an empty one. */
static inline struct dv_cursor proto_message(const struct proto_field *field)
{
	return dv_cursor_make(field->data, field->len);
}

#endif
