/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From one part of a trace to the next: forward over packets and headers and, where something does not fit, on to what
 * the index at the end says is next.
 */
#include "trace/reader_private.h"

#include "trace/fields.h"

static uint64_t offset_of(const struct dv_trace_reader *r, const uint8_t *pos)
{
	return (uint64_t)(pos - r->file.data);
}

/* The index: only a trace that was finished has one, so it also says when its recording ended. */
static struct dv_error *parse_index(struct dv_trace_reader *r, struct dv_cursor c, uint64_t at)
{
	uint64_t begins = 0, ends = 0, switches = 0, last_icount = 0;
	struct proto_field f;

	if (!reader_crc_is_right(c))
		return reader_error(r, DV_ERROR_FORMAT, at, "the index has a wrong checksum");
	while (proto_next(&c, &f)) {
		if (f.number == INDEX_LAST_ICOUNT)
			last_icount = f.value;
		else if (f.number == INDEX_BEGINS)
			begins = f.value;
		else if (f.number == INDEX_ENDS)
			ends = f.value;
		else if (f.number == INDEX_SWITCHES)
			switches = f.value;
	}
	if (r->gap_blocks) {
		r->metadata.last_icount = last_icount > r->metadata.last_icount ? last_icount : r->metadata.last_icount;
		return NULL;
	}
	if (begins != r->metadata.begins || ends != r->metadata.ends || switches != r->metadata.switches)
		return reader_error(r, DV_ERROR_FORMAT, at,
				    "the index counts %llu begins and %llu ends, the blocks hold %llu and %llu",
				    (unsigned long long)begins, (unsigned long long)ends,
				    (unsigned long long)r->metadata.begins,
				    (unsigned long long)r->metadata.ends);
	if (last_icount > r->metadata.last_icount)
		r->metadata.last_icount = last_icount;
	return NULL;
}

static bool is_trailer(struct dv_cursor c, uint64_t index_offset)
{
	uint64_t offset = 0, magic = 0;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == TRAILER_INDEX_OFFSET)
			offset = f.value;
		if (f.number == TRAILER_MAGIC)
			magic = f.value;
	}
	return magic == DV_TRACE_MAGIC && offset == index_offset;
}

/* A walk over the top level: what was seen of the parts that come in order. */
struct walk {
	uint64_t block_start;
	uint64_t index_offset; /* 0 before it */
	bool has_trailer;
};

static struct dv_error *parse_own(struct dv_trace_reader *r, struct dv_cursor c, struct walk *walk, uint64_t at)
{
	struct proto_field f;

	if (!proto_next(&c, &f) || f.wire != PROTO_BYTES)
		return reader_error(r, DV_ERROR_FORMAT, at, "not a block's header, an index or a trailer");
	if (f.number == OWN_BLOCK && !walk->index_offset)
		return reader_take_block(r, proto_message(&f), walk->block_start, at);
	if (f.number == OWN_INDEX && !walk->index_offset) {
		walk->index_offset = at;
		return parse_index(r, proto_message(&f), at);
	}
	if (f.number == OWN_TRAILER && walk->index_offset && !walk->has_trailer) {
		walk->has_trailer = is_trailer(proto_message(&f), walk->index_offset);
		if (walk->has_trailer)
			return NULL;
	}
	return reader_error(r, DV_ERROR_FORMAT, at, "field %u of our own, which is not due here", f.number);
}

/* Goes on from c to the end, or to the first thing that does not fit. */
static struct dv_error *walk_on(struct dv_trace_reader *r, struct walk *walk, struct dv_cursor *c)
{
	struct proto_field f;

	walk->block_start = offset_of(r, c->pos);
	for (;;) {
		uint64_t at = offset_of(r, c->pos);

		if (walk->has_trailer && c->pos != c->end)
			return reader_error(r, DV_ERROR_FORMAT, at, "%zu bytes after the trailer",
					    dv_cursor_left(c));
		if (!proto_next(c, &f)) {
			r->metadata.finished = walk->has_trailer && !c->truncated;
			if (r->metadata.finished)
				return NULL;
			return reader_error(r, DV_ERROR_TRUNCATED, walk->block_start,
					    "the trace ends here without its index: its writer was stopped");
		}
		if (f.number == TRACE_PACKET && f.wire == PROTO_BYTES)
			continue;
		if (f.number != TRACE_OWN || f.wire != PROTO_BYTES)
			return reader_error(r, DV_ERROR_FORMAT, at,
					    "field %u, wire type %u, where a packet or a header is due", f.number,
					    f.wire);
		DV_TRY(parse_own(r, proto_message(&f), walk, at));
		walk->block_start = offset_of(r, c->pos);
	}
}

/* The index, by the trailer, which are the file's last bytes; false when they are not there, or not whole. */
static bool find_index(const struct dv_trace_reader *r, uint64_t *ret_offset, struct dv_cursor *ret)
{
	struct dv_cursor c = dv_cursor_make(r->file.data, r->file.len);
	struct proto_field own, f;
	uint64_t offset = 0;

	if (r->file.len < DV_TRACE_TRAILER_BYTES)
		return false;
	c.pos = c.end - DV_TRACE_TRAILER_BYTES;
	if (!proto_next(&c, &own) || own.number != TRACE_OWN || own.wire != PROTO_BYTES)
		return false;
	c = proto_message(&own);
	if (!proto_next(&c, &own) || own.number != OWN_TRAILER || own.wire != PROTO_BYTES)
		return false;
	for (c = proto_message(&own); proto_next(&c, &f);)
		offset = f.number == TRAILER_INDEX_OFFSET ? f.value : offset;
	if (offset >= r->file.len || !is_trailer(proto_message(&own), offset))
		return false;
	c = dv_cursor_make((const uint8_t *)r->file.data + offset, r->file.len - offset);
	if (!proto_next(&c, &own) || own.number != TRACE_OWN || own.wire != PROTO_BYTES)
		return false;
	c = proto_message(&own);
	if (!proto_next(&c, &own) || own.number != OWN_INDEX || own.wire != PROTO_BYTES)
		return false;
	*ret_offset = offset;
	*ret = proto_message(&own);
	return reader_crc_is_right(*ret);
}

/* By the index: the first block, or the index itself, that starts behind offset `after`; false when it does not tell. */
static bool find_next_block(const struct dv_trace_reader *r, uint64_t first, uint64_t after, uint64_t *ret)
{
	uint64_t index, at = first;
	struct dv_cursor c, lengths;
	struct proto_field f;
	bool found = false;

	if (!find_index(r, &index, &c))
		return false;
	while (proto_next(&c, &f)) {
		if (f.number != INDEX_BLOCKS || f.wire != PROTO_BYTES)
			continue;
		for (lengths = proto_message(&f); dv_cursor_left(&lengths) && !lengths.truncated;) {
			uint64_t length = proto_varint(&lengths);

			if (length > index - at)
				return false;
			at += length;
			if (at > after && !found) {
				found = true;
				*ret = at;
			}
		}
	}
	return found && at == index;
}

/* Where something does not fit, the index says where to go on: each time behind where it was. */
#define MAX_GAPS 1000 /* each is a search through the index */
struct dv_error *reader_walk(struct dv_trace_reader *r, struct dv_cursor *c)
{
	uint64_t first = offset_of(r, c->pos), next = 0;
	struct walk walk = {0};

	for (;;) {
		struct dv_error *err = walk_on(r, &walk, c);

		if (!err || err->code == DV_ERROR_NO_MEMORY || walk.index_offset || r->gap_blocks == MAX_GAPS ||
		    !find_next_block(r, first, walk.block_start, &next))
			return err;
		reader_damaged(r, err);
		r->gap_blocks++;
		r->after_gap = true;
		*c = dv_cursor_make((const uint8_t *)r->file.data + next, r->file.len - next);
	}
}
