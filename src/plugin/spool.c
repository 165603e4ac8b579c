/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw events to bytes and back: see spool.h. */
#include "plugin/spool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/spool_payload.h"

#define EVENT_KINDS (DV_EVENT_MODULE + 1)

/*
 * Most events are a short word:
 *
 *	31      25 24          16 15    2  1  0
 *	+---------+--------------+-------+------+
 *	| distance| icount since | index | kind |	kind: a call, a return or a jump
 *	+---------+--------------+-------+------+
 *
 * or a long one:
 *
 *	63      42  41  40         22 21     8  7    6   5    2  1  0
 *	+---------+----+-------------+--------+----+----+------+------+
 *	| distance|half| icount since| index  | N  | W  | kind |  3   |
 *	+---------+----+-------------+--------+----+----+------+------+
 *
 * The distance is in words of 8 bytes, to the last slot of that half; a short one's half is that of the last slot.
 */
#define FORM_MASK 3u
#define LONG	  3u

#define SHORT_INDEX_SHIFT    2
#define SHORT_ICOUNT_SHIFT   16
#define SHORT_MAX_SINCE	     0x1ffu
#define SHORT_DISTANCE_SHIFT 25
#define SHORT_MAX_DISTANCE   64 /* exclusive, both ways; -SHORT_MAX_DISTANCE: the slot is 0 */

#define KIND_SHIFT     2
#define KIND_MASK      0x0fu
#define WIDE	       0x40u /* head, a and b follow instead of all else, then what it points to */
#define NEW_TARGET     0x80u /* b follows, which was not in the table */
#define INDEX_SHIFT    8
#define ICOUNT_SHIFT   22
#define MAX_SINCE      0x7ffffu
#define HALF_SHIFT     41
#define DISTANCE_SHIFT 42
#define MAX_DISTANCE   ((int64_t)2 << 20) /* as the short one's */

static_assert(DV_EVENT_CALL < LONG && DV_EVENT_RETURN < LONG && DV_EVENT_JUMP < LONG, "short words have two bits for it");
static_assert(SHORT_INDEX_SHIFT + DV_SPOOL_TABLE_BITS == SHORT_ICOUNT_SHIFT &&
	      INDEX_SHIFT + DV_SPOOL_TABLE_BITS == ICOUNT_SHIFT, "an index has its room");

#define MAX_EVENT_BYTES 32

static bool has_payload(enum dv_event_kind kind)
{
	return (kind >= DV_EVENT_SWITCH && kind <= DV_EVENT_PRINT) || kind >= DV_EVENT_MAPPING;
}

static inline uint32_t table_index(uint64_t target)
{
	return (uint32_t)(target * 0x9e3779b97f4a7c15ull >> (64 - DV_SPOOL_TABLE_BITS));
}

/* What both sides know after an event. a: 0 of one that points to something. */
static inline void note(struct dv_spool_state *s, uint64_t icount, uint64_t a, uint32_t index, uint64_t b)
{
	s->icount = icount;
	if (a) {
		s->half = a >> 63;
		s->slots[s->half] = a;
	}
	s->table[index] = b;
}

/* ---- writing ---- */

static inline uint8_t *put_u32(uint8_t *p, uint32_t word)
{
	memcpy(p, &word, sizeof(word));
	return p + sizeof(word);
}

static inline uint8_t *put_u64(uint8_t *p, uint64_t word)
{
	memcpy(p, &word, sizeof(word));
	return p + sizeof(word);
}

static uint8_t *put_wide(struct dv_spool_state *s, uint8_t *p, const struct dv_event *e)
{
	enum dv_event_kind kind = dv_event_kind(e);
	uint64_t a = has_payload(kind) ? 0 : e->a;

	p = put_u64(p, (uint64_t)kind << KIND_SHIFT | WIDE | LONG);
	p = put_u64(p, e->head);
	p = put_u64(p, a);
	p = put_u64(p, e->b);
	note(s, dv_event_icount(e), a, table_index(e->b), e->b);
	return p;
}

static uint8_t *put_long(struct dv_spool_state *s, uint8_t *p, const struct dv_event *e, uint64_t since, int64_t distance)
{
	uint32_t index = table_index(e->b);
	uint64_t word = (uint64_t)dv_event_kind(e) << KIND_SHIFT | LONG | since << ICOUNT_SHIFT | e->a >> 63 << HALF_SHIFT;

	/* Another CPU, and a step back in time, are a long time. */
	if (since > MAX_SINCE || (e->a && (distance <= -MAX_DISTANCE || distance >= MAX_DISTANCE)))
		return put_wide(s, p, e);
	word |= (uint64_t)index << INDEX_SHIFT | (uint64_t)(e->a ? distance : -MAX_DISTANCE) << DISTANCE_SHIFT;
	if (s->table[index] == e->b) {
		p = put_u64(p, word);
	} else {
		p = put_u64(p, word | NEW_TARGET);
		p = put_u64(p, e->b);
	}
	note(s, s->icount + since, e->a, index, e->b);
	return p;
}

/* In words; one that is no multiple of 8 is far. */
static inline int64_t slot_distance(uint64_t bytes)
{
	return bytes & 7 ? MAX_DISTANCE : (int64_t)bytes >> 3;
}

static inline uint8_t *put_event(struct dv_spool_state *s, uint8_t *p, const struct dv_event *e)
{
	enum dv_event_kind kind = dv_event_kind(e);
	uint64_t since = (e->head ^ (uint64_t)kind << 56) - s->icount, half = e->a >> 63;
	int64_t distance = slot_distance(e->a - s->slots[half]);
	int64_t near = e->a ? distance : -SHORT_MAX_DISTANCE;
	uint32_t index = table_index(e->b);
	bool is_short = (uint64_t)(near + SHORT_MAX_DISTANCE) < 2 * SHORT_MAX_DISTANCE && since <= SHORT_MAX_SINCE;

	if (__builtin_expect(!is_short || kind >= LONG || s->table[index] != e->b, 0) ||
	    (e->a && (half != s->half || near == -SHORT_MAX_DISTANCE)))
		return put_long(s, p, e, since, distance);
	p = put_u32(p, (uint32_t)kind | index << SHORT_INDEX_SHIFT | (uint32_t)since << SHORT_ICOUNT_SHIFT |
			       (uint32_t)near << SHORT_DISTANCE_SHIFT);
	note(s, s->icount + since, e->a, index, e->b);
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

/* Those before the first one that points to something: how many. */
static size_t put_plain(struct dv_spool_state *state, struct dv_buf *to, const struct dv_event *events, size_t count)
{
	uint8_t *first = dv_buf_reserve(to, count * MAX_EVENT_BYTES), *p = first;
	size_t i = 0;

	for (; i < count && !has_payload(dv_event_kind(&events[i])); i++) {
		if (first)
			p = put_event(state, p, &events[i]);
	}
	to->len += (size_t)(p - first);
	return i;
}

static void put_pointing(struct dv_spool_state *state, struct dv_buf *to, const struct dv_event *event)
{
	uint8_t *p = dv_buf_reserve(to, MAX_EVENT_BYTES);

	if (p)
		to->len += (size_t)(put_wide(state, p, event) - p);
	spool_put_payload(to, event);
	dv_spool_free_payload(event);
}

void dv_spool_put(struct dv_spool_state *state, struct dv_buf *to, const struct dv_event *events, size_t count)
{
	size_t header = to->len, i = 0;
	uint32_t words[2] = {0, (uint32_t)count};

	dv_buf_append(to, words, sizeof(words));
	while (i < count) {
		i += put_plain(state, to, events + i, count - i);
		if (i < count)
			put_pointing(state, to, &events[i++]);
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

static struct dv_error *get_wide(struct dv_spool_state *s, struct dv_cursor *c, enum dv_event_kind kind,
				 struct dv_event *ret)
{
	struct dv_event e = {.head = dv_cursor_u64(c)};

	e.a = dv_cursor_u64(c);
	e.b = dv_cursor_u64(c);
	if (c->truncated || kind >= EVENT_KINDS || kind != dv_event_kind(&e) || (has_payload(kind) && e.a))
		return damaged();
	note(s, dv_event_icount(&e), e.a, table_index(e.b), e.b);
	if (has_payload(kind))
		DV_TRY(spool_get_payload(c, &e));
	*ret = e;
	return NULL;
}

static inline bool get_narrow(struct dv_spool_state *s, enum dv_event_kind kind, uint64_t since, uint64_t a, uint32_t index,
			      uint64_t b, struct dv_event *ret)
{
	uint64_t icount = s->icount + since;

	if (__builtin_expect(icount >> DV_EVENT_ICOUNT_BITS, 0))
		return false;
	note(s, icount, a, index, b);
	*ret = (struct dv_event){dv_event_head(kind, 0, icount), a, b};
	return true;
}

static struct dv_error *get_long(struct dv_spool_state *s, struct dv_cursor *c, struct dv_event *ret)
{
	uint64_t word = dv_cursor_u64(c), a = 0, b;
	enum dv_event_kind kind = word >> KIND_SHIFT & KIND_MASK;
	uint32_t index = word >> INDEX_SHIFT & ((1u << DV_SPOOL_TABLE_BITS) - 1);
	int64_t distance = (int64_t)word >> DISTANCE_SHIFT;

	if (word & WIDE)
		return get_wide(s, c, kind, ret);
	b = s->table[index];
	if (word & NEW_TARGET) {
		b = dv_cursor_u64(c);
		index = table_index(b);
	}
	if (distance != -MAX_DISTANCE)
		a = s->slots[word >> HALF_SHIFT & 1] + ((uint64_t)distance << 3);
	if (c->truncated || kind >= EVENT_KINDS || has_payload(kind) ||
	    !get_narrow(s, kind, word >> ICOUNT_SHIFT & MAX_SINCE, a, index, b, ret))
		return damaged();
	return NULL;
}

static inline bool get_short(struct dv_spool_state *s, uint32_t word, struct dv_event *ret)
{
	uint32_t index = word >> SHORT_INDEX_SHIFT & ((1u << DV_SPOOL_TABLE_BITS) - 1);
	int32_t distance = (int32_t)word >> SHORT_DISTANCE_SHIFT;
	uint64_t a = s->slots[s->half] + ((uint64_t)(int64_t)distance << 3);

	if (distance == -SHORT_MAX_DISTANCE)
		a = 0;
	return get_narrow(s, word & FORM_MASK, word >> SHORT_ICOUNT_SHIFT & SHORT_MAX_SINCE, a, index, s->table[index], ret);
}

struct dv_error *dv_spool_get(struct dv_spool_state *state, const void *data, size_t len, struct dv_event *ret,
			      size_t count)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	struct dv_error *err = NULL;
	size_t got = 0;

	while (got < count && !err) {
		uint32_t word = LONG;

		if (dv_cursor_left(&c) >= sizeof(word))
			memcpy(&word, c.pos, sizeof(word));
		if (__builtin_expect((word & FORM_MASK) == LONG, 0)) {
			err = get_long(state, &c, &ret[got]);
		} else {
			c.pos += sizeof(word);
			if (!get_short(state, word, &ret[got]))
				err = damaged();
		}
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
