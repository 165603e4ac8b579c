/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Console lines as records and as log events: see console.h. */
#include "trace/console.h"

#include "trace/fields.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that p starts with, 0 when it is none (RFC 3629). */
static size_t utf8_length(const uint8_t *p, size_t len)
{
	size_t want = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (!want || want > len)
		return 0;
	for (size_t i = 1; i < want; i++) {
		if (!is_continuation(p[i]))
			return 0;
	}
	/* Overlong forms, surrogates, what lies past U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

void console_put_utf8(struct dv_buf *buf, const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(p + i, len - i);

		if (!n)
			dv_buf_append(buf, REPLACEMENT, 3);
		else if (p[i])
			dv_buf_append(buf, p + i, n);
		i += n ? n : 1;
	}
}

size_t console_piece(const uint8_t *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max && is_continuation(text[max]))
		max--;
	return max;
}

void console_put_line(struct dv_buf *buf, const struct dv_console_line *line, const uint8_t *text, size_t len)
{
	size_t record = proto_open(buf, BLOCK_CONSOLE_LINE);

	proto_uint(buf, CONSOLE_ICOUNT, line->icount);
	proto_uint(buf, CONSOLE_THREAD, line->thread_id);
	proto_uint(buf, CONSOLE_SOURCE, line->source);
	if (line->level != DV_CONSOLE_NO_LEVEL)
		proto_uint(buf, CONSOLE_LEVEL, (uint64_t)line->level);
	proto_bytes(buf, CONSOLE_TEXT, text, len);
	proto_close(buf, record);
}

/* printk's level as Android's priority; what has none is information. */
static uint64_t priority(int level)
{
	static const uint8_t priorities[] = {LOG_FATAL, LOG_FATAL, LOG_FATAL, LOG_ERROR,
					     LOG_WARN,	LOG_INFO,  LOG_INFO,  LOG_DEBUG};

	return level >= 0 && level < 8 ? priorities[level] : LOG_INFO;
}

void console_put_log(struct dv_buf *buf, const struct dv_console_line *line, const uint8_t *text, size_t len,
		     int32_t pid, int32_t tid)
{
	static const char *const sources[DV_CONSOLE_SOURCES] = DV_CONSOLE_SOURCE_NAMES;
	size_t packet = proto_open(buf, TRACE_PACKET), log, event;

	/* A packet for each: whose tid it is depends on when. */
	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	proto_uint(buf, PACKET_TIMESTAMP, line->icount);
	proto_uint(buf, PACKET_CLOCK_ID, CLOCK_BOOTTIME);
	log = proto_open(buf, PACKET_ANDROID_LOG);
	event = proto_open(buf, LOG_EVENTS);
	proto_uint(buf, LOG_ID, line->source == DV_CONSOLE_PRINTK ? LOG_ID_KERNEL : LOG_ID_DEFAULT);
	proto_uint(buf, LOG_PID, (uint32_t)pid);
	proto_uint(buf, LOG_TID, (uint32_t)tid);
	proto_uint(buf, LOG_TIMESTAMP, line->icount);
	proto_string(buf, LOG_TAG, sources[line->source]);
	proto_uint(buf, LOG_PRIORITY, priority(line->level));
	proto_bytes(buf, LOG_MESSAGE, text, len);
	proto_close(buf, event);
	proto_close(buf, log);
	proto_close(buf, packet);
}

bool console_parse(struct dv_cursor c, struct dv_console_line *ret, struct proto_field *ret_text)
{
	struct dv_console_line line = {.level = DV_CONSOLE_NO_LEVEL};
	struct proto_field f, text = {0};
	uint64_t source = 0;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case CONSOLE_ICOUNT:
			line.icount = f.value;
			break;
		case CONSOLE_THREAD:
			line.thread_id = f.value;
			break;
		case CONSOLE_SOURCE:
			source = f.value;
			break;
		case CONSOLE_LEVEL:
			line.level = (int)(f.value & 7);
			break;
		case CONSOLE_TEXT:
			text = f;
			break;
		}
	}
	if (c.truncated || source >= DV_CONSOLE_SOURCES || text.len > DV_TRACE_MAX_CONSOLE_TEXT)
		return false;
	line.source = (enum dv_console_source)source;
	*ret = line;
	*ret_text = text;
	return true;
}
