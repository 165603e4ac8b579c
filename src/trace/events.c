/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event words to TracePackets: see events.h. */
#include "trace/events.h"

#include "trace/fields.h"
#include "trace/format.h"

static uint8_t *put_varint(uint8_t *p, uint64_t value)
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

/*
 * {10: sequence, 11: {9: type, 10: iid, 3: category}, 8: delta}: what an event is comes first and
 * when last, so that equal events with unequal deltas share all bytes but the last ones.
 */
uint8_t *event_put(uint8_t *p, uint64_t word, uint64_t extra, uint64_t uuid)
{
	uint64_t timestamp = (word & (WORD_WIDE | WORD_AT)) ? extra : (uint32_t)word;
	bool begin = word_op(word) == WORD_BEGIN;
	uint8_t *packet = p + 2, *event;

	if (word_op(word) == WORD_TRACK)
		return put_track(p, uuid);
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
