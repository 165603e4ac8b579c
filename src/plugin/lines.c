/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes to lines: see lines.h. */
#include "plugin/lines.h"

#include <string.h>

void dv_lines_init(struct dv_lines *lines, dv_lines_emit_fn emit, void *context)
{
	*lines = (struct dv_lines){.emit = emit, .context = context};
}

void dv_lines_deinit(struct dv_lines *lines)
{
	for (size_t source = 0; source < DV_CONSOLE_SOURCES; source++) {
		for (size_t channel = 0; channel < DV_LINES_CHANNELS; channel++)
			dv_buf_deinit(&lines->open[source][channel].text);
	}
}

static void emit(struct dv_lines *lines, enum dv_console_source source, struct dv_open_line *open)
{
	struct dv_console_line line = {
		.icount = open->icount,
		.thread_id = open->thread_id,
		.source = source,
		.level = open->level,
	};

	while (open->text.len && open->text.data[open->text.len - 1] == '\r')
		open->text.len--;
	dv_buf_append(&open->text, "", 1);
	/* Out of memory: the line is lost, and no more. */
	if (!open->text.failed) {
		line.text = (const char *)open->text.data;
		lines->emit(lines->context, &line);
	}
	open->text.failed = false;
	dv_buf_clear(&open->text);
	open->is_open = false;
}

static void open_line(struct dv_open_line *open, uint64_t icount, uint64_t thread_id, int level)
{
	open->icount = icount;
	open->thread_id = thread_id;
	open->level = level;
	open->is_open = true;
}

static void add_byte(struct dv_lines *lines, enum dv_console_source source, struct dv_open_line *open,
		     uint64_t icount, uint64_t thread_id, int level, char byte)
{
	if (!open->is_open)
		open_line(open, icount, thread_id, level);
	if (byte == '\n')
		emit(lines, source, open);
	else if (byte)
		dv_buf_append(&open->text, &byte, 1);
	if (open->text.len >= DV_LINES_MAX_BYTES)
		emit(lines, source, open);
}

/* A record may hold several lines, which all began when it was stored. */
static void emit_record(struct dv_lines *lines, struct dv_open_line *open)
{
	struct dv_buf text = open->text;
	struct dv_open_line line = {0};

	for (size_t i = 0; i < text.len; i++)
		add_byte(lines, DV_CONSOLE_PRINTK, &line, open->icount, open->thread_id, open->level, (char)text.data[i]);
	if (line.is_open || !text.len) {
		open_line(&line, open->icount, open->thread_id, open->level);
		emit(lines, DV_CONSOLE_PRINTK, &line);
	}
	dv_buf_deinit(&line.text);
	dv_buf_clear(&open->text);
	open->is_open = false;
}

static void add_record(struct dv_lines *lines, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print)
{
	struct dv_open_line *open = &lines->open[DV_CONSOLE_PRINTK][0];

	if (open->is_open && open->record != print->record)
		emit_record(lines, open);
	if (!open->is_open)
		open_line(open, icount, thread_id, print->level);
	open->record = print->record;
	dv_buf_clear(&open->text);
	dv_buf_append(&open->text, print->text, print->len);
	if (print->is_final)
		emit_record(lines, open);
}

/* Whether it is a byte that goes out; else the port is set up by it. */
static bool is_sent(struct dv_lines *lines, const struct dv_event_print *print, uint32_t channel)
{
	if (print->source != DV_CONSOLE_SERIAL)
		return true;
	if (print->port == DV_UART_LINE_CONTROL && print->len)
		lines->line_control[channel] = (uint8_t)print->text[0];
	else if (print->port == DV_UART_MODEM_CONTROL && print->len)
		lines->modem_control[channel] = (uint8_t)print->text[0];
	return print->port == DV_UART_DATA && !(lines->line_control[channel] & DV_UART_DLAB) &&
	       !(lines->modem_control[channel] & DV_UART_LOOP);
}

void dv_lines_add(struct dv_lines *lines, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print)
{
	uint32_t channel = print->channel < DV_LINES_CHANNELS ? print->channel : DV_LINES_CHANNELS - 1;

	if (print->source == DV_CONSOLE_PRINTK) {
		add_record(lines, icount, thread_id, print);
		return;
	}
	if (!is_sent(lines, print, channel))
		return;
	for (uint32_t i = 0; i < print->len; i++)
		add_byte(lines, print->source, &lines->open[print->source][channel], icount, thread_id,
			 DV_CONSOLE_NO_LEVEL, print->text[i]);
}

void dv_lines_flush(struct dv_lines *lines)
{
	for (size_t source = 0; source < DV_CONSOLE_SOURCES; source++) {
		for (size_t channel = 0; channel < DV_LINES_CHANNELS; channel++) {
			struct dv_open_line *open = &lines->open[source][channel];

			if (!open->is_open)
				continue;
			if (source == DV_CONSOLE_PRINTK)
				emit_record(lines, open);
			else
				emit(lines, (enum dv_console_source)source, open);
		}
	}
}
