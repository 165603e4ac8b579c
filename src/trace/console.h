/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of the guest's console in a trace: an own record in the block's header, from where our readers
 * have them with nothing inflated, and an Android log event, which stock Perfetto shows. Private to
 * src/trace.
 */
#ifndef DV_TRACE_CONSOLE_H
#define DV_TRACE_CONSOLE_H

#include "trace/format.h"
#include "base/proto.h"

/* Appends len bytes as UTF-8: what is none becomes U+FFFD, NULs are left out. */
void console_put_utf8(struct dv_buf *buf, const char *text, size_t len);
/* How many of the len bytes of UTF-8 make a piece of at most max bytes, cut between characters. */
size_t console_piece(const uint8_t *text, size_t len, size_t max);

/* Both take the line's own text as the len bytes at text. */
void console_put_line(struct dv_buf *buf, const struct dv_console_line *line, const uint8_t *text, size_t len);
/* ... and this a whole packet. */
void console_put_log(struct dv_buf *buf, const struct dv_console_line *line, const uint8_t *text, size_t len,
		     int32_t pid, int32_t tid);

/* Takes a record apart; the text stays borrowed in ret_text. False when it is none of ours. */
bool console_parse(struct dv_cursor c, struct dv_console_line *ret, struct proto_field *ret_text);

#endif
