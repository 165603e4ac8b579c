/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw events to bytes and back: see spool.h. */
#include "plugin/spool.h"

#include <stdlib.h>
#include <string.h>
#include "plugin/spool_payload.h"

#define EVENT_KINDS (DV_EVENT_MODULE + 1)

/* The first byte: the kind, and */
#define KIND_MASK     0x0f
#define NO_SLOT	      0x10 /* a is 0, or of a return on top of the stack */
#define KNOWN_TARGET  0x20 /* b is in the table, whose index follows; else b follows */
#define OTHER_CPU     0x40 /* the CPU's number follows */
#define BACK_IN_TIME  0x80 /* the icount lies before the last one */

/* The most bytes of an event without what it points to. */
#define MAX_EVENT_BYTES 32

static bool has_payload(enum dv_event_kind kind)
{
	return (kind >= DV_EVENT_SWITCH && kind <= DV_EVENT_PRINT) || kind >= DV_EVENT_MAPPING;
}

static inline uint32_t table_index(uint64_t target)
{
	return (uint32_t)(target * 0x9e3779b97f4a7c15ull >> (64 - DV_SPOOL_TABLE_BITS));
}

/* Slots are multiples of 8: the distance in words, first those near. */
static inline uint64_t pack_distance(uint64_t distance)
{
	int64_t words = (int64_t)(distance >> 3 | distance << 61);

	return (uint64_t)words << 1 ^ (uint64_t)(words >> 63);
}

static inline uint64_t unpack_distance(uint64_t packed)
{
	uint64_t words = packed >> 1 ^ -(packed & 1);

	return words << 3 | words >> 61;
}

/* ---- writing ---- */

static inline uint8_t *put_varint(uint8_t *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*p++ = (uint8_t)value;
	return p;
}

static uint8_t *put_event(struct dv_spool_state *s, uint8_t *p, const struct dv_event *e)
{
	enum dv_event_kind kind = dv_event_kind(e);
	uint64_t icount = dv_event_icount(e), a = has_payload(kind) ? 0 : e->a;
	uint32_t index = table_index(e->b);
	uint8_t *first = p++, flags = (uint8_t)kind;

	if (__builtin_expect(dv_event_cpu(e) != 0, 0)) {
		flags |= OTHER_CPU;
		*p++ = (uint8_t)dv_event_cpu(e);
	}
	if (__builtin_expect(icount < s->icount, 0)) {
		flags |= BACK_IN_TIME;
		p = put_varint(p, s->icount - icount);
	} else {
		p = put_varint(p, icount - s->icount);
	}
	s->icount = icount;
	if (kind == DV_EVENT_RETURN ? a == s->stack[s->top % DV_SPOOL_STACK] : !a) {
		flags |= NO_SLOT;
	} else {
		p = put_varint(p, pack_distance(a - s->slot));
	}
	if (a)
		s->slot = a;
	if (kind == DV_EVENT_RETURN)
		s->top--;
	else if (kind == DV_EVENT_CALL)
		s->stack[++s->top % DV_SPOOL_STACK] = a;
	if (__builtin_expect(s->table[index] == e->b, 1)) {
		flags |= KNOWN_TARGET;
		*p++ = (uint8_t)index;
		*p++ = (uint8_t)(index >> 8);
	} else {
		s->table[index] = e->b;
		memcpy(p, &e->b, 8);
		p += 8;
	}
	*first = flags;
	return p;
}

void dv_spool_put_header(struct dv_buf *to, uint64_t slide)
{
	uint64_t words[2] = {DV_SPOOL_MAGIC, slide};

	dv_buf_append(to, words, sizeof(words));
}

void dv_spool_put_end(struct dv_buf *to)
{
	dv_buf_append(to, (uint32_t[2]){0, 0}, DV_SPOOL_CHUNK_HEADER_BYTES);
}

void dv_spool_put(struct dv_spool_state *state, struct dv_buf *to, const struct dv_event *events, size_t count)
{
	size_t header = to->len;
	uint32_t words[2] = {0, (uint32_t)count};

	dv_buf_append(to, words, sizeof(words));
	for (size_t i = 0; i < count; i++) {
		uint8_t *p = dv_buf_reserve(to, MAX_EVENT_BYTES);

		if (p)
			to->len += (size_t)(put_event(state, p, &events[i]) - p);
		if (__builtin_expect(has_payload(dv_event_kind(&events[i])), 0)) {
			spool_put_payload(to, &events[i]);
			dv_spool_free_payload(&events[i]);
		}
	}
	if (to->failed)
		return;
	words[0] = (uint32_t)(to->len - header - sizeof(words));
	memcpy(to->data + header, words, sizeof(words));
}

/* ---- reading ---- */

struct dv_error *dv_spool_get_header(const void *data, uint64_t *ret_slide)
{
	struct dv_cursor c = dv_cursor_make(data, DV_SPOOL_HEADER_BYTES);

	if (dv_cursor_u64(&c) != DV_SPOOL_MAGIC)
		return dv_error_new(DV_ERROR_FORMAT, "spool: not one of this version");
	*ret_slide = dv_cursor_u64(&c);
	return NULL;
}

struct dv_error *dv_spool_get_chunk(const void *data, uint32_t *ret_bytes, uint32_t *ret_events)
{
	struct dv_cursor c = dv_cursor_make(data, DV_SPOOL_CHUNK_HEADER_BYTES);
	uint32_t bytes = dv_cursor_u32(&c), events = dv_cursor_u32(&c);

	if (bytes > DV_SPOOL_MAX_CHUNK_BYTES || events > DV_SPOOL_MAX_CHUNK_EVENTS || !bytes != !events)
		return dv_error_new(DV_ERROR_FORMAT, "spool: a chunk of %u bytes for %u events", bytes, events);
	*ret_bytes = bytes;
	*ret_events = events;
	return NULL;
}

static struct dv_error *damaged(void)
{
	return dv_error_new(DV_ERROR_FORMAT, "spool: an event that is none");
}

/* a and b of an event whose flags, CPU and time are known. */
static struct dv_error *get_words(struct dv_spool_state *s, struct dv_cursor *c, uint8_t flags, struct dv_event *e)
{
	enum dv_event_kind kind = flags & KIND_MASK;
	uint32_t index;

	if (!(flags & NO_SLOT))
		e->a = s->slot + unpack_distance(dv_cursor_varint(c));
	else
		e->a = kind == DV_EVENT_RETURN ? s->stack[s->top % DV_SPOOL_STACK] : 0;
	if (e->a)
		s->slot = e->a;
	if (kind == DV_EVENT_RETURN)
		s->top--;
	else if (kind == DV_EVENT_CALL)
		s->stack[++s->top % DV_SPOOL_STACK] = e->a;
	if (flags & KNOWN_TARGET) {
		index = dv_cursor_u16(c);
		if (index >> DV_SPOOL_TABLE_BITS)
			return damaged();
		e->b = s->table[index];
	} else {
		e->b = dv_cursor_u64(c);
		s->table[table_index(e->b)] = e->b;
	}
	return NULL;
}

static struct dv_error *get_event(struct dv_spool_state *s, struct dv_cursor *c, struct dv_event *ret)
{
	uint8_t flags = dv_cursor_u8(c), cpu = flags & OTHER_CPU ? dv_cursor_u8(c) : 0;
	enum dv_event_kind kind = flags & KIND_MASK;
	uint64_t distance = dv_cursor_varint(c);
	struct dv_event e = {0};

	if (kind >= EVENT_KINDS)
		return damaged();
	s->icount = flags & BACK_IN_TIME ? s->icount - distance : s->icount + distance;
	if (s->icount >> DV_EVENT_ICOUNT_BITS)
		return damaged();
	DV_TRY(get_words(s, c, flags, &e));
	e.head = dv_event_head(kind, cpu, s->icount);
	if (c->truncated)
		return damaged();
	if (__builtin_expect(has_payload(kind), 0))
		DV_TRY(spool_get_payload(c, &e));
	*ret = e;
	return NULL;
}

struct dv_error *dv_spool_get(struct dv_spool_state *state, const void *data, size_t len, struct dv_event *ret,
			      size_t count)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	struct dv_error *err = NULL;
	size_t got = 0;

	while (got < count && !err) {
		err = get_event(state, &c, &ret[got]);
		got += !err;
	}
	if (!err && dv_cursor_left(&c))
		err = damaged();
	for (size_t i = 0; err && i < got; i++)
		dv_spool_free_payload(&ret[i]);
	return err;
}

void dv_spool_free_payload(const struct dv_event *e)
{
	void *payload = (void *)(uintptr_t)e->a;

	if (!has_payload(dv_event_kind(e)))
		return;
	if (dv_event_kind(e) == DV_EVENT_MAPPING)
		dv_event_mapping_destroy(payload);
	else if (dv_event_kind(e) == DV_EVENT_MODULE)
		dv_event_module_destroy(payload);
	else
		free(payload);
}
