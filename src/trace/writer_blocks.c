/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block of a trace, put together from its parts and written with one call:
 *
 *	packet { compressed: clock, defaults, names, functions, threads, switches }
 *	packet { compressed: begins and ends }
 *	own { block: what was in it, checksums }
 */
#include "trace/writer_private.h"

#include <libdeflate.h>
#include "trace/fields.h"

#define FULL_EVENT_WORDS (384u << 10) /* about 4 MiB of packets */

static void open_block(struct dv_trace_writer *w, uint64_t icount)
{
	w->is_open = true;
	w->base_icount = w->clock_icount = w->first_icount = w->last_icount = icount;
	w->block_begins = w->begins;
	w->block_ends = w->ends;
	w->block_switches = w->switch_count;
	w->thread_id = NO_THREAD;
	names_clear(&w->names);
}

void writer_cover(struct dv_trace_writer *w, uint64_t icount)
{
	if (!w->is_open)
		open_block(w, icount);
	if (icount < w->first_icount)
		w->first_icount = icount;
	if (icount > w->last_icount)
		w->last_icount = icount;
}

void writer_put_clocks(struct dv_buf *buf, uint64_t icount, bool with_realtime)
{
	size_t snapshot = proto_open(buf, PACKET_CLOCK_SNAPSHOT), clock;

	clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
	proto_uint(buf, CLOCK_ID, CLOCK_DELTA);
	proto_uint(buf, CLOCK_TIMESTAMP, icount);
	proto_uint(buf, CLOCK_IS_INCREMENTAL, 1);
	proto_close(buf, clock);
	clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
	proto_uint(buf, CLOCK_ID, CLOCK_BOOTTIME);
	proto_uint(buf, CLOCK_TIMESTAMP, icount);
	proto_close(buf, clock);
	if (with_realtime) {
		clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
		proto_uint(buf, CLOCK_ID, CLOCK_REALTIME);
		proto_uint(buf, CLOCK_TIMESTAMP, icount);
		proto_close(buf, clock);
	}
	proto_close(buf, snapshot);
}

static void put_state(struct dv_trace_writer *w, struct dv_buf *buf)
{
	size_t packet = proto_open(buf, TRACE_PACKET), defaults;

	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	proto_uint(buf, PACKET_SEQUENCE_FLAGS, SEQUENCE_CLEARED);
	defaults = proto_open(buf, PACKET_DEFAULTS);
	proto_uint(buf, DEFAULTS_CLOCK_ID, CLOCK_DELTA);
	proto_close(buf, defaults);
	proto_close(buf, packet);

	packet = proto_open(buf, TRACE_PACKET);
	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	writer_put_clocks(buf, w->base_icount, false);
	proto_close(buf, packet);
}

void writer_put_interned(struct dv_buf *buf, uint32_t field, uint32_t iid, const char *name)
{
	size_t entry = proto_open(buf, field);

	proto_uint(buf, INTERNED_IID, iid);
	proto_string(buf, INTERNED_NAME, name);
	proto_close(buf, entry);
}

static void put_names(struct dv_trace_writer *w, struct dv_buf *buf)
{
	static const char *const categories[DV_SLICE_KINDS] = DV_SLICE_KIND_NAMES;
	size_t packet = proto_open(buf, TRACE_PACKET), interned, own;

	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	interned = proto_open(buf, PACKET_INTERNED_DATA);
	for (uint32_t kind = DV_SLICE_CALL + 1; kind < DV_SLICE_KINDS; kind++)
		writer_put_interned(buf, INTERNED_CATEGORIES, kind, categories[kind]);
	dv_buf_append(buf, w->interned.data, w->interned.len);
	proto_close(buf, interned);
	own = proto_open(buf, PACKET_OWN);
	dv_buf_append(buf, w->own.data, w->own.len);
	proto_close(buf, own);
	proto_close(buf, packet);
}

static void put_sched(struct dv_trace_writer *w, struct dv_buf *buf)
{
	for (uint32_t cpu = 0; cpu < w->cpus; cpu++) {
		size_t packet, bundle;

		if (!w->sched[cpu].len)
			continue;
		packet = proto_open(buf, TRACE_PACKET);
		proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
		bundle = proto_open(buf, PACKET_FTRACE_EVENTS);
		proto_uint(buf, BUNDLE_CPU, cpu);
		dv_buf_append(buf, w->sched[cpu].data, w->sched[cpu].len);
		proto_close(buf, bundle);
		proto_close(buf, packet);
		buf->failed |= w->sched[cpu].failed;
		dv_buf_clear(&w->sched[cpu]);
	}
}

/* The packet of a zlib stream that is to follow from a compressor: close_stream() sets the lengths. */
static size_t open_stream(struct dv_buf *out, size_t *ret_packet)
{
	*ret_packet = proto_open(out, TRACE_PACKET);
	return proto_open(out, PACKET_COMPRESSED);
}

static void close_stream(struct dv_buf *out, size_t stream, size_t packet)
{
	proto_close(out, stream);
	proto_close(out, packet);
}

static void put_prefix(struct dv_trace_writer *w)
{
	size_t bound, packet, stream;
	uint8_t *to;

	put_state(w, &w->raw);
	put_names(w, &w->raw);
	dv_buf_append(&w->raw, w->descriptors.data, w->descriptors.len);
	put_sched(w, &w->raw);
	dv_buf_append(&w->raw, w->log.data, w->log.len);
	w->out.failed |= w->raw.failed | w->interned.failed | w->own.failed | w->descriptors.failed |
			 w->log.failed;
	stream = open_stream(&w->out, &packet);
	bound = libdeflate_zlib_compress_bound(w->deflate, w->raw.len);
	to = dv_buf_reserve(&w->out, bound);
	if (to)
		w->out.len += libdeflate_zlib_compress(w->deflate, w->raw.data, w->raw.len, to, bound);
	close_stream(&w->out, stream, packet);
}

static void put_header(struct dv_trace_writer *w, size_t raw_bytes)
{
	struct dv_buf *out = &w->out;
	size_t file_bytes = out->len, own, block;
	uint32_t crc = out->failed ? 0 : libdeflate_crc32(0, out->data, out->len);

	own = proto_open(out, TRACE_OWN);
	block = proto_open(out, OWN_BLOCK);
	proto_uint(out, BLOCK_NUMBER, w->block);
	proto_uint(out, BLOCK_FIRST_ICOUNT, w->first_icount);
	proto_uint(out, BLOCK_LAST_ICOUNT, w->last_icount);
	proto_uint(out, BLOCK_FILE_BYTES, file_bytes);
	proto_uint(out, BLOCK_RAW_BYTES, raw_bytes);
	proto_fixed32(out, BLOCK_CRC32, crc);
	proto_uint(out, BLOCK_BEGINS, w->begins - w->block_begins);
	proto_uint(out, BLOCK_ENDS, w->ends - w->block_ends);
	proto_uint(out, BLOCK_SWITCH_COUNT, w->switch_count - w->block_switches);
	if (w->switches.len)
		proto_bytes(out, BLOCK_SWITCHES, w->switches.data, w->switches.len);
	dv_buf_append(out, w->thread_news.data, w->thread_news.len);
	dv_buf_append(out, w->notes.data, w->notes.len);
	dv_buf_append(out, w->console_lines.data, w->console_lines.len);
	dv_buf_append(out, w->places.data, w->places.len);
	out->failed |= w->switches.failed | w->thread_news.failed | w->notes.failed | w->console_lines.failed |
		       w->places.failed;
	crc = out->failed ? 0 : libdeflate_crc32(0, out->data + block, out->len - block);
	proto_fixed32(out, BLOCK_OWN_CRC32, crc);
	proto_close(out, block);
	proto_close(out, own);
}

void writer_drain(struct dv_trace_writer *w)
{
	if (!w->error)
		stream_add(w->stream, w->chunk, (size_t)(w->next - w->chunk));
	w->next = w->chunk;
}

static bool has_something(const struct dv_trace_writer *w)
{
	return w->is_open || w->thread_news.len || w->notes.len || w->console_lines.len || w->places.len;
}

void writer_close_block(struct dv_trace_writer *w)
{
	size_t packet, stream, raw_bytes;

	if (!has_something(w))
		return;
	writer_drain(w);
	if (!w->is_open)
		open_block(w, w->clock_icount);
	writer_cover(w, w->clock_icount);
	put_prefix(w);
	raw_bytes = w->raw.len;
	if (stream_words(w->stream)) {
		stream = open_stream(&w->out, &packet);
		raw_bytes += stream_finish(w->stream, &w->out);
		close_stream(&w->out, stream, packet);
	}
	put_header(w, raw_bytes);
	dv_buf_varint(&w->index, w->out.len);
	w->raw_bytes += raw_bytes;
	writer_write_out(w);

	dv_buf_clear(&w->raw);
	dv_buf_clear(&w->interned);
	dv_buf_clear(&w->own);
	dv_buf_clear(&w->descriptors);
	dv_buf_clear(&w->switches);
	dv_buf_clear(&w->thread_news);
	dv_buf_clear(&w->notes);
	dv_buf_clear(&w->log);
	dv_buf_clear(&w->console_lines);
	dv_buf_clear(&w->places);
	w->is_open = false;
	w->switch_icount = 0;
	w->thread_id = NO_THREAD;
	w->block++;
}

void writer_close_full_block(struct dv_trace_writer *w)
{
	if (stream_words(w->stream) >= FULL_EVENT_WORDS || w->own.len >= FULL_SIDE_BYTES ||
	    w->interned.len >= FULL_SIDE_BYTES || w->descriptors.len >= FULL_SIDE_BYTES ||
	    w->thread_news.len >= FULL_SIDE_BYTES || w->console_lines.len >= FULL_SIDE_BYTES ||
	    w->notes.len >= FULL_SIDE_BYTES || w->places.len >= FULL_SIDE_BYTES)
		writer_close_block(w);
}
