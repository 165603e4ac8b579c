/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a trace: its head, then its blocks by the index at the end or, without one, by scanning
 * forward over packets and headers. Every header is checked and taken in; no block is decompressed.
 */
#include "trace/reader.h"

#include <errno.h>
#include <libdeflate.h>
#include "trace/commands.h"
#include "trace/console.h"
#include "trace/fields.h"
#include "trace/places.h"
#include "trace/reader_private.h"

const char *reader_string(struct dv_trace_reader *r, const void *data, size_t len)
{
	char *copy = strndup(len ? data : "", len), **slot;

	if (!copy)
		return NULL;
	slot = dv_vec_push(&r->strings);
	if (!slot) {
		free(copy);
		return NULL;
	}
	*slot = copy;
	return copy;
}

void reader_damaged(struct dv_trace_reader *r, struct dv_error *err)
{
	if (r->damage)
		dv_error_destroy(err);
	else
		r->damage = err;
}

struct dv_error *reader_error(const struct dv_trace_reader *r, enum dv_error_code code, uint64_t offset,
			      const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return dv_error_new(code, "%s: offset %llu: %s", r->name, (unsigned long long)offset, what);
}

static uint64_t offset_of(const struct dv_trace_reader *r, const uint8_t *pos)
{
	return (uint64_t)(pos - r->file.data);
}

/* The head */

static struct dv_error *take_string(struct dv_trace_reader *r, const struct proto_field *f, const char **ret)
{
	const char *string = reader_string(r, f->data, f->len);

	if (!string)
		return dv_error_no_memory();
	*ret = string;
	return NULL;
}

static struct dv_error *parse_metadata(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_metadata *m = &r->metadata;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case METADATA_VERSION:
			m->version = (uint32_t)f.value;
			break;
		case METADATA_CLOCK:
			m->clock = (enum dv_trace_clock)f.value;
			break;
		case METADATA_EXACT:
			m->exact = f.value;
			break;
		case METADATA_EXACT_REASON:
			DV_TRY(take_string(r, &f, &m->exact_reason));
			break;
		case METADATA_BANNER:
			DV_TRY(take_string(r, &f, &m->kernel_banner));
			break;
		case METADATA_BUILD_ID:
			DV_TRY(take_string(r, &f, &m->kernel_build_id));
			break;
		}
	}
	return NULL;
}

static struct dv_error *parse_own_packet(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == OWN_METADATA)
			DV_TRY(parse_metadata(r, proto_message(&f)));
	}
	return NULL;
}

static struct dv_error *parse_qemu_info(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field f;

	while (proto_next(&c, &f)) {
		const char **slot;

		if (f.number == QEMU_INFO_DIRECTORY)
			DV_TRY(take_string(r, &f, &r->metadata.directory));
		if (f.number != QEMU_INFO_COMMAND)
			continue;
		slot = dv_vec_push(&r->command);
		if (!slot)
			return dv_error_no_memory();
		DV_TRY(take_string(r, &f, slot));
	}
	return NULL;
}

static struct dv_error *parse_head(struct dv_trace_reader *r, struct dv_cursor *file)
{
	struct proto_field packet, f;
	struct dv_cursor c;

	if (r->file.len && r->file.data[0] != (TRACE_PACKET << 3 | PROTO_BYTES))
		return dv_error_new(DV_ERROR_FORMAT, "%s is not a .dvtrace: its first byte is 0x%02x, not 0x0a",
				    r->name, r->file.data[0]);
	if (!proto_next(file, &packet))
		return dv_error_new(DV_ERROR_TRUNCATED, "%s ends within its head, at %zu bytes", r->name,
				    r->file.len);
	c = proto_message(&packet);
	while (proto_next(&c, &f)) {
		if (f.number == PACKET_QEMU_INFO)
			DV_TRY(parse_qemu_info(r, proto_message(&f)));
		if (f.number == PACKET_OWN)
			DV_TRY(parse_own_packet(r, proto_message(&f)));
	}
	if (c.truncated || !r->metadata.version)
		return dv_error_new(DV_ERROR_FORMAT,
				    "%s is not a .dvtrace: its first packet has no DejaView metadata", r->name);
	if (r->metadata.version > DV_TRACE_VERSION)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s has format version %u; this reads up to %u",
				    r->name, r->metadata.version, DV_TRACE_VERSION);
	if (!dv_vec_push(&r->command)) /* the terminating NULL */
		return dv_error_no_memory();
	return NULL;
}

/* Headers of blocks */

static struct dv_error *parse_note(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_note note = {"", ""}, *slot;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == NOTE_KEY)
			DV_TRY(take_string(r, &f, &note.key));
		if (f.number == NOTE_VALUE)
			DV_TRY(take_string(r, &f, &note.value));
	}
	slot = dv_vec_push(&r->notes);
	if (!slot)
		return dv_error_no_memory();
	*slot = note;
	return NULL;
}

static struct dv_error *parse_thread(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_thread_state state = {0}, *slot;
	struct dv_trace_thread *t = &state.thread;
	struct proto_field f;
	uint64_t *newest;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case OWN_THREAD_ID:
			t->id = f.value;
			break;
		case OWN_THREAD_TID:
			t->tid = (int32_t)proto_unzigzag(f.value);
			break;
		case OWN_THREAD_TGID:
			t->tgid = (int32_t)proto_unzigzag(f.value);
			break;
		case OWN_THREAD_PARENT:
			t->parent_tgid = (int32_t)proto_unzigzag(f.value);
			break;
		case OWN_THREAD_COMM:
			memcpy(t->comm, f.len ? (const void *)f.data : "",
			       f.len < sizeof(t->comm) ? f.len : sizeof(t->comm) - 1);
			break;
		case OWN_THREAD_KERNEL:
			t->is_kernel = f.value;
			break;
		case OWN_THREAD_ICOUNT:
			state.icount = f.value;
			break;
		case OWN_THREAD_START:
			t->start_icount = f.value;
			break;
		case OWN_THREAD_EXIT:
			t->exit_icount = f.value;
			break;
		case OWN_THREAD_CREATOR:
			t->creator_id = f.value;
			break;
		case OWN_THREAD_EXIT_CODE:
			t->exit_code = (int32_t)proto_unzigzag(f.value);
			break;
		}
	}
	slot = dv_vec_push(&r->states);
	newest = dv_map_put(&r->newest, t->id);
	if (!slot || !newest)
		return dv_error_no_memory();
	*slot = state;
	*newest = r->states.n;
	return NULL;
}

static struct dv_error *parse_console_line(struct dv_trace_reader *r, struct dv_cursor c, uint64_t at)
{
	struct dv_console_line line, *slot;
	struct proto_field text;

	if (!console_parse(c, &line, &text))
		return reader_error(r, DV_ERROR_FORMAT, at, "a block's header has a console line that is none");
	DV_TRY(take_string(r, &text, &line.text));
	slot = dv_vec_push(&r->console);
	if (!slot)
		return dv_error_no_memory();
	*slot = line;
	return NULL;
}

static struct dv_error *parse_command(struct dv_trace_reader *r, struct dv_cursor c)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	struct dv_trace_command command = {0}, *slot;

	command_parse(c, &command.icount, &command.thread_id, &text);
	command.text = text.failed ? NULL : reader_string(r, text.data, text.len);
	slot = command.text ? dv_vec_push(&r->commands) : NULL;
	if (!slot)
		return dv_error_no_memory();
	*slot = command;
	return NULL;
}

/* Each: icount as a zigzag distance from the one before (the first from 0), cpu, previous id, next id. */
static struct dv_error *parse_switches(struct dv_trace_reader *r, struct dv_cursor c)
{
	uint64_t icount = 0;

	while (c.pos < c.end) {
		struct dv_trace_switch s, *slot;

		icount += (uint64_t)proto_unzigzag(proto_varint(&c));
		s.icount = icount;
		s.cpu = (uint32_t)proto_varint(&c);
		s.prev_id = proto_varint(&c);
		s.next_id = proto_varint(&c);
		if (c.truncated)
			break;
		slot = dv_vec_push(&r->switches);
		if (!slot)
			return dv_error_no_memory();
		*slot = s;
	}
	return NULL;
}

static void parse_block_number(struct block_place *b, const struct proto_field *f)
{
	switch (f->number) {
	case BLOCK_FIRST_ICOUNT:
		b->info.first_icount = f->value;
		break;
	case BLOCK_LAST_ICOUNT:
		b->info.last_icount = f->value;
		break;
	case BLOCK_FILE_BYTES:
		b->info.file_bytes = f->value;
		break;
	case BLOCK_RAW_BYTES:
		b->info.raw_bytes = f->value;
		break;
	case BLOCK_CRC32:
		b->crc32 = (uint32_t)f->value;
		break;
	case BLOCK_BEGINS:
		b->info.begins = f->value;
		break;
	case BLOCK_ENDS:
		b->info.ends = f->value;
		break;
	case BLOCK_SWITCH_COUNT:
		b->info.switches = f->value;
		break;
	}
}

/* Whether the message ends with a right checksum (in a field 15) of all that is before it. */
static bool own_crc_is_right(struct dv_cursor message)
{
	size_t len = dv_cursor_left(&message);
	uint32_t stored;

	if (len < 5 || message.end[-5] != (BLOCK_OWN_CRC32 << 3 | PROTO_FIXED32))
		return false;
	memcpy(&stored, message.end - 4, sizeof(stored));
	return stored == libdeflate_crc32(0, message.pos, len - 5);
}

/* at: the header's offset; start: that of the block's packets. */
static struct dv_error *parse_block(struct dv_trace_reader *r, struct dv_cursor c, uint64_t start, uint64_t at)
{
	struct block_place place = {0}, *slot;
	struct dv_trace_metadata *m = &r->metadata;
	struct dv_cursor again = c;
	struct proto_field f;

	if (!own_crc_is_right(c))
		return reader_error(r, DV_ERROR_FORMAT, at, "a block's header has a wrong checksum");
	while (proto_next(&c, &f))
		parse_block_number(&place, &f);
	place.info.offset = start;
	if (place.info.file_bytes != at - start)
		return reader_error(r, DV_ERROR_FORMAT, at, "a block of %llu bytes, but its header says %llu",
				    (unsigned long long)(at - start),
				    (unsigned long long)place.info.file_bytes);
	while (proto_next(&again, &f)) {
		if (f.number == BLOCK_SWITCHES)
			DV_TRY(parse_switches(r, proto_message(&f)));
		else if (f.number == BLOCK_THREAD)
			DV_TRY(parse_thread(r, proto_message(&f)));
		else if (f.number == BLOCK_NOTE)
			DV_TRY(parse_note(r, proto_message(&f)));
		else if (f.number == BLOCK_CONSOLE_LINE)
			DV_TRY(parse_console_line(r, proto_message(&f), at));
		else if (f.number == BLOCK_COMMAND)
			DV_TRY(parse_command(r, proto_message(&f)));
		else if (places_is_field(f.number))
			DV_TRY(places_parse(r, &f));
	}
	slot = dv_vec_push(&r->blocks);
	if (!slot)
		return dv_error_no_memory();
	place.info.after_gap = r->after_gap;
	r->after_gap = false;
	*slot = place;
	if (r->blocks.n == 1)
		m->first_icount = place.info.first_icount;
	if (place.info.first_icount < m->first_icount)
		m->first_icount = place.info.first_icount;
	if (place.info.last_icount > m->last_icount)
		m->last_icount = place.info.last_icount;
	m->begins += place.info.begins;
	m->ends += place.info.ends;
	m->switches += place.info.switches;
	m->raw_bytes += place.info.raw_bytes;
	return NULL;
}

/* The index: only a trace that was finished has one, so it also says when its recording ended. */
static struct dv_error *parse_index(struct dv_trace_reader *r, struct dv_cursor c, uint64_t at)
{
	uint64_t begins = 0, ends = 0, switches = 0, last_icount = 0;
	struct proto_field f;

	if (!own_crc_is_right(c))
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
		return parse_block(r, proto_message(&f), walk->block_start, at);
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
	return own_crc_is_right(*ret);
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
static struct dv_error *walk_file(struct dv_trace_reader *r, struct dv_cursor *c)
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

/* Opening and closing */

static struct dv_error *open_reader(struct dv_trace_reader *r)
{
	struct dv_cursor c = dv_cursor_make(r->file.data, r->file.len);
	struct dv_error *err;

	r->inflate = libdeflate_alloc_decompressor();
	if (!r->inflate)
		return dv_error_no_memory();
	DV_TRY(parse_head(r, &c));
	err = walk_file(r, &c);
	if (err && err->code == DV_ERROR_NO_MEMORY)
		return err;
	if (err)
		reader_damaged(r, err);
	r->metadata.command = r->command.v;
	r->metadata.notes = r->notes.v;
	r->metadata.note_count = r->notes.n;
	r->metadata.file_bytes = r->file.len;
	return NULL;
}

static struct dv_error *new_reader(const char *name, struct dv_trace_reader **ret)
{
	struct dv_trace_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return dv_error_no_memory();
	r->name = strdup(name);
	if (!r->name) {
		free(r);
		return dv_error_no_memory();
	}
	*ret = r;
	return NULL;
}

struct dv_error *dv_trace_reader_open(const char *path, struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	DV_TRY(new_reader(path, &r));
	DV_TRY(dv_mapped_file_init(path, &r->file));
	r->is_mapped = true;
	DV_TRY(open_reader(r));
	*ret = dv_steal(r);
	return NULL;
}

struct dv_error *dv_trace_reader_open_bytes(const void *data, size_t len, const char *name,
					    struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	DV_TRY(new_reader(name, &r));
	r->file = (struct dv_mapped_file){.data = data, .len = len};
	DV_TRY(open_reader(r));
	*ret = dv_steal(r);
	return NULL;
}

struct dv_error *dv_trace_reader_again(const struct dv_trace_reader *r, struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *again = NULL;

	DV_TRY(new_reader(r->name, &again));
	again->file = r->file;
	again->is_again = true;
	again->blocks = (__typeof__(again->blocks)){r->blocks.v, r->blocks.n, r->blocks.cap};
	again->inflate = libdeflate_alloc_decompressor();
	if (!again->inflate)
		return dv_error_no_memory();
	*ret = dv_steal(again);
	return NULL;
}

void dv_trace_reader_close(struct dv_trace_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->strings.n; i++)
		free(r->strings.v[i]);
	free(r->strings.v);
	free(r->command.v);
	free(r->notes.v);
	if (!r->is_again)
		free(r->blocks.v);
	free(r->states.v);
	free(r->switches.v);
	free(r->console.v);
	free(r->commands.v);
	free(r->functions.v);
	free(r->names.v);
	free(r->events.v);
	places_deinit(r->places);
	dv_map_deinit(&r->newest);
	dv_map_deinit(&r->by_key);
	dv_buf_deinit(&r->raw);
	if (r->inflate)
		libdeflate_free_decompressor(r->inflate);
	if (r->is_mapped)
		dv_mapped_file_deinit(&r->file);
	dv_error_destroy(r->damage);
	free(r->name);
	free(r);
}

/* Looking */

const struct dv_trace_metadata *dv_trace_reader_metadata(const struct dv_trace_reader *r)
{
	return &r->metadata;
}

const struct dv_error *dv_trace_reader_damage(const struct dv_trace_reader *r)
{
	return r->damage;
}

size_t dv_trace_reader_gap_blocks(const struct dv_trace_reader *r)
{
	return r->gap_blocks;
}

size_t dv_trace_reader_block_count(const struct dv_trace_reader *r)
{
	return r->blocks.n;
}

const struct dv_trace_block_info *dv_trace_reader_block(const struct dv_trace_reader *r, size_t block)
{
	dv_assert(block < r->blocks.n);
	return &r->blocks.v[block].info;
}

size_t dv_trace_reader_thread_state_count(const struct dv_trace_reader *r)
{
	return r->states.n;
}

const struct dv_trace_thread_state *dv_trace_reader_thread_state(const struct dv_trace_reader *r, size_t i)
{
	dv_assert(i < r->states.n);
	return &r->states.v[i];
}

const struct dv_trace_thread *dv_trace_reader_thread(const struct dv_trace_reader *r, uint64_t thread_id)
{
	const uint64_t *newest = dv_map_get(&r->newest, thread_id);

	return newest && *newest ? &r->states.v[*newest - 1].thread : NULL;
}

size_t dv_trace_reader_console_line_count(const struct dv_trace_reader *r)
{
	return r->console.n;
}

size_t dv_trace_reader_command_count(const struct dv_trace_reader *r)
{
	return r->commands.n;
}

const struct dv_trace_command *dv_trace_reader_commands(const struct dv_trace_reader *r)
{
	return r->commands.v;
}

const struct dv_console_line *dv_trace_reader_console_lines(const struct dv_trace_reader *r)
{
	return r->console.v;
}

size_t dv_trace_reader_switch_count(const struct dv_trace_reader *r)
{
	return r->switches.n;
}

const struct dv_trace_switch *dv_trace_reader_switches(const struct dv_trace_reader *r)
{
	return r->switches.v;
}

const struct dv_trace_switch *dv_trace_reader_switch_at(const struct dv_trace_reader *r, uint64_t icount)
{
	size_t low = 0, high = r->switches.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (r->switches.v[mid].icount <= icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &r->switches.v[low - 1] : NULL;
}

size_t dv_trace_reader_function_count(const struct dv_trace_reader *r)
{
	return r->functions.n;
}

const struct dv_trace_reader_function *dv_trace_reader_function(const struct dv_trace_reader *r, uint32_t i)
{
	dv_assert(i < r->functions.n);
	return &r->functions.v[i];
}
