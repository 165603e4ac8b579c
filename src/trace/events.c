/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event words to TracePackets: see events.h. */
#include "trace/events.h"

#include <string.h>
#include "trace/fields.h"
#include "trace/format.h"

static inline uint8_t *put_varint(uint8_t *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*p++ = (uint8_t)value;
	return p;
}

static uint8_t *put_tag(uint8_t *p, uint32_t field, unsigned wire)
{
	return put_varint(p, (uint64_t)field << 3 | wire);
}

/* {10: sequence, 59: {58: clock, 11: {11: uuid}}} */
static uint8_t *put_track(uint8_t *p, uint64_t uuid)
{
	uint8_t *packet = p + 2, *defaults, *event;

	p = put_varint(put_tag(packet, PACKET_SEQUENCE_ID, 0), SEQUENCE_ID);
	p = put_tag(p, PACKET_DEFAULTS, 2);
	defaults = ++p;
	p = put_varint(put_tag(p, DEFAULTS_CLOCK_ID, 0), CLOCK_DELTA);
	p = put_tag(p, DEFAULTS_TRACK_EVENT, 2);
	event = ++p;
	p = put_varint(put_tag(p, EVENT_TRACK_UUID, 0), uuid);
	event[-1] = (uint8_t)(p - event);
	defaults[-1] = (uint8_t)(p - defaults);
	packet[-2] = TRACE_PACKET << 3 | 2;
	packet[-1] = (uint8_t)(p - packet);
	return p;
}

static uint8_t *put_special(uint8_t *p, uint64_t word, uint64_t extra)
{
	uint64_t timestamp = (word & (WORD_WIDE | WORD_AT)) ? extra : (uint32_t)word;
	bool begin = word_op(word) == WORD_BEGIN;
	uint8_t *packet = p + 2, *event;

	p = packet;
	*p++ = PACKET_SEQUENCE_ID << 3;
	*p++ = SEQUENCE_ID;
	*p++ = PACKET_TRACK_EVENT << 3 | 2;
	event = ++p;
	*p++ = EVENT_TYPE << 3;
	*p++ = begin ? EVENT_TYPE_BEGIN : EVENT_TYPE_END;
	if (begin) {
		*p++ = EVENT_NAME_IID << 3;
		p = put_varint(p, word_arg(word));
		if (word_kind(word) != DV_SLICE_CALL) {
			*p++ = EVENT_CATEGORY_IIDS << 3;
			*p++ = (uint8_t)word_kind(word);
		}
	}
	event[-1] = (uint8_t)(p - event);
	if (word & WORD_AT)
		p = put_varint(put_tag(p, PACKET_CLOCK_ID, 0), CLOCK_BOOTTIME);
	*p++ = PACKET_TIMESTAMP << 3;
	p = put_varint(p, timestamp);
	packet[-2] = TRACE_PACKET << 3 | 2;
	packet[-1] = (uint8_t)(p - packet);
	return p;
}

/*
 * The first eight bytes of a plain event, as a word: 0a L 50 01 5a l 48 type. L and l are filled in for
 * a begin, whose lengths vary; an end's L does alone.
 */
#define PLAIN_BEGIN 0x0148005a0150000aull
#define PLAIN_END 0x0248025a0150000aull

static inline uint8_t *put_plain_begin(uint8_t *p, uint64_t word)
{
	uint8_t *packet = p;
	uint64_t start = PLAIN_BEGIN;

	memcpy(p, &start, sizeof(start));
	p += sizeof(start);
	*p++ = EVENT_NAME_IID << 3;
	p = put_varint(p, word_arg(word));
	packet[5] = (uint8_t)(p - packet - 6);
	*p++ = PACKET_TIMESTAMP << 3;
	p = put_varint(p, (uint32_t)word);
	packet[1] = (uint8_t)(p - packet - 2);
	return p;
}

static inline uint8_t *put_plain_end(uint8_t *p, uint64_t word)
{
	uint8_t *packet = p;
	uint64_t start = PLAIN_END;

	memcpy(p, &start, sizeof(start));
	p += sizeof(start);
	*p++ = PACKET_TIMESTAMP << 3;
	p = put_varint(p, (uint32_t)word);
	packet[1] = (uint8_t)(p - packet - 2);
	return p;
}

/*
 * An event is {10: sequence, 11: {9: type, 10: iid, 3: category}, 8: delta}: what it is comes first and
 * when last, so that equal events with unequal deltas share all bytes but the last ones.
 */
void events_put(uint8_t *p, const uint64_t *words, size_t count, uint32_t offset, uint32_t *ends)
{
	const uint8_t *start = p - offset;

	for (size_t i = 0; i < count; i++) {
		uint64_t word = words[i];

		switch (word >> WORD_OP_SHIFT) { /* kind and flags above it are 0 in a plain one */
		case WORD_BEGIN:
			p = put_plain_begin(p, word);
			break;
		case WORD_END:
			p = put_plain_end(p, word);
			break;
		case WORD_TRACK:
			p = put_track(p, words[++i]);
			break;
		default:
			p = put_special(p, word, (word & (WORD_WIDE | WORD_AT)) ? words[++i] : 0);
		}
		*ends++ = (uint32_t)(p - start);
	}
}
