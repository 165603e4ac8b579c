/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trace's head and its blocks' headers: each is checked, and all that it says is taken in. No block is unpacked. */
#include "trace/reader_private.h"

#include <libdeflate.h>
#include "trace/commands.h"
#include "trace/console.h"
#include "trace/fields.h"
#include "trace/places.h"

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

struct dv_error *reader_take_head(struct dv_trace_reader *r, struct dv_cursor *file)
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

bool reader_crc_is_right(struct dv_cursor message)
{
	size_t len = dv_cursor_left(&message);
	uint32_t stored;

	if (len < 5 || message.end[-5] != (BLOCK_OWN_CRC32 << 3 | PROTO_FIXED32))
		return false;
	memcpy(&stored, message.end - 4, sizeof(stored));
	return stored == libdeflate_crc32(0, message.pos, len - 5);
}

/* at: the header's offset; start: that of the block's packets. */
struct dv_error *reader_take_block(struct dv_trace_reader *r, struct dv_cursor c, uint64_t start, uint64_t at)
{
	struct block_place place = {0}, *slot;
	struct dv_trace_metadata *m = &r->metadata;
	struct dv_cursor again = c;
	struct proto_field f;

	if (!reader_crc_is_right(c))
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
