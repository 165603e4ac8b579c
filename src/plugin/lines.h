/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest prints, byte by byte or record by record, to lines. A line is handed on when its end
 * comes, when it is longer than a line may be, or at the end of the trace.
 */
#ifndef DV_PLUGIN_LINES_H
#define DV_PLUGIN_LINES_H

#include "base/buf.h"
#include "callgraph/event.h"

#define DV_LINES_MAX_BYTES 4096
#define DV_LINES_CHANNELS  8 /* per source; what has a higher number shares one */

typedef void (*dv_lines_emit_fn)(void *context, const struct dv_console_line *line);

struct dv_open_line {
	uint64_t icount, thread_id, record; /* record: of printk */
	int level;
	bool is_open;
	struct dv_buf text;
};

struct dv_lines {
	dv_lines_emit_fn emit;
	void *context;
	struct dv_open_line open[DV_CONSOLE_SOURCES][DV_LINES_CHANNELS];
	uint8_t line_control[DV_LINES_CHANNELS], modem_control[DV_LINES_CHANNELS]; /* of serial ports */
};

void dv_lines_init(struct dv_lines *lines, dv_lines_emit_fn emit, void *context);
void dv_lines_deinit(struct dv_lines *lines);

void dv_lines_add(struct dv_lines *lines, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print);
/* Hands on what has no end yet. */
void dv_lines_flush(struct dv_lines *lines);

#endif
