/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One block to events: checksum, inflate, and our own subset of Perfetto's packets. Fields may come in
 * any order; a packet shaped as the writer's own begins and ends takes a short way.
 */
#include <libdeflate.h>
#include "trace/fields.h"
#include "trace/reader_private.h"

#define MAX_IID 0xffffffu
#define MAX_INFLATE_RATIO 1032u /* what deflate can reach */
#define NO_FUNCTION UINT32_MAX

/* Functions */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	return hash;
}

static bool same_string(const char *have, const void *data, size_t len)
{
	return strlen(have) == len && (!len || !memcmp(have, data, len));
}

struct found_function {
	uint64_t key, vaddr;
	const uint8_t *module;
	size_t module_len;
	const uint8_t *mnemonic;
	size_t mnemonic_len;
	enum dv_function_space space;
	bool has_number;
	uint32_t number;
	const uint8_t *file;
	size_t file_len;
	uint64_t size_bytes;
	uint32_t line;
};

static bool same_optional(const char *have, const uint8_t *data, size_t len)
{
	return !have == !data && (!data || same_string(have, data, len));
}

static bool same_function(const struct dv_trace_reader_function *have, const struct found_function *f,
			  const uint8_t *name, size_t name_len)
{
	return have->key == f->key && have->is.vaddr == f->vaddr && have->is.space == f->space &&
	       have->is.has_number == f->has_number && have->is.number == f->number &&
	       have->is.size_bytes == f->size_bytes && have->is.line == f->line &&
	       same_string(have->is.name, name, name_len) &&
	       same_optional(have->is.module, f->module, f->module_len) &&
	       same_optional(have->is.file, f->file, f->file_len);
}

/* The reader's number for a function, the same for each block that has it. */
static struct dv_error *number_function(struct dv_trace_reader *r, const struct found_function *f,
					const uint8_t *name, size_t name_len, uint32_t *ret)
{
	uint64_t hash = hash_bytes(dv_hash64(f->key) ^ f->vaddr, name, name_len);
	struct dv_trace_reader_function *slot;
	uint64_t *known;

	for (;; hash++) {
		known = dv_map_put(&r->by_key, hash);
		if (!known)
			return dv_error_no_memory();
		if (!*known)
			break;
		*ret = (uint32_t)*known - 1;
		if (same_function(&r->functions.v[*ret], f, name, name_len))
			return NULL;
	}
	slot = dv_vec_push(&r->functions);
	if (!slot)
		return dv_error_no_memory();
	slot->key = f->key;
	slot->is = (struct dv_trace_function){
		.name = reader_string(r, name, name_len),
		.vaddr = f->vaddr,
		.module = f->module ? reader_string(r, f->module, f->module_len) : NULL,
		.space = f->space,
		.has_number = f->has_number,
		.number = f->number,
		.mnemonic = f->mnemonic ? reader_string(r, f->mnemonic, f->mnemonic_len) : NULL,
		.size_bytes = f->size_bytes,
		.file = f->file ? reader_string(r, f->file, f->file_len) : NULL,
		.line = f->line,
	};
	if (!slot->is.name || (f->module && !slot->is.module) || (f->mnemonic && !slot->is.mnemonic) ||
	    (f->file && !slot->is.file)) {
		r->functions.n--;
		return dv_error_no_memory();
	}
	*known = r->functions.n;
	*ret = (uint32_t)r->functions.n - 1;
	return NULL;
}

/* The names of a block */

static struct dv_error *name_slot(struct dv_trace_reader *r, uint64_t iid, struct block_name **ret)
{
	if (iid > MAX_IID)
		return dv_error_new(DV_ERROR_FORMAT, "a name with iid %llu", (unsigned long long)iid);
	while (r->names.n <= iid) {
		if (!dv_vec_push(&r->names))
			return dv_error_no_memory();
	}
	*ret = &r->names.v[iid];
	if ((*ret)->generation != r->generation)
		**ret = (struct block_name){.generation = r->generation, .function = NO_FUNCTION};
	return NULL;
}

static struct dv_error *parse_interned(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field entry, f;

	while (proto_next(&c, &entry)) {
		struct dv_cursor e = proto_message(&entry);
		struct proto_field name = {0};
		struct block_name *slot;
		uint64_t iid = 0;

		if (entry.number != INTERNED_EVENT_NAMES)
			continue;
		while (proto_next(&e, &f)) {
			if (f.number == INTERNED_IID)
				iid = f.value;
			if (f.number == INTERNED_NAME)
				name = f;
		}
		DV_TRY(name_slot(r, iid, &slot));
		slot->name = name.data;
		slot->name_len = name.len;
	}
	return NULL;
}

static struct dv_error *parse_function(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct found_function function = {0};
	struct block_name *slot;
	struct proto_field f;
	bool has_key = false;
	uint64_t iid = 0;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case FUNCTION_IID:
			iid = f.value;
			break;
		case FUNCTION_KEY:
			function.key = f.value;
			has_key = true;
			break;
		case FUNCTION_VADDR:
			function.vaddr = f.value;
			break;
		case FUNCTION_MODULE:
			function.module = f.data;
			function.module_len = f.len;
			break;
		case FUNCTION_SPACE:
			function.space = (enum dv_function_space)f.value;
			break;
		case FUNCTION_NUMBER:
			function.number = (uint32_t)f.value;
			function.has_number = true;
			break;
		case FUNCTION_MNEMONIC:
			function.mnemonic = f.data;
			function.mnemonic_len = f.len;
			break;
		case FUNCTION_SIZE:
			function.size_bytes = f.value;
			break;
		case FUNCTION_FILE:
			function.file = f.data;
			function.file_len = f.len;
			break;
		case FUNCTION_LINE:
			function.line = (uint32_t)f.value;
			break;
		}
	}
	if (!has_key)
		function.key = function.vaddr;
	DV_TRY(name_slot(r, iid, &slot));
	return number_function(r, &function, slot->name, slot->name_len, &slot->function);
}

static struct dv_error *parse_own(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == OWN_FUNCTION)
			DV_TRY(parse_function(r, proto_message(&f)));
	}
	return NULL;
}

/* Clocks and defaults */

static void parse_clock(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field clock, f;

	while (proto_next(&c, &clock)) {
		struct dv_cursor one = proto_message(&clock);
		uint64_t id = 0, timestamp = 0;

		while (proto_next(&one, &f)) {
			if (f.number == CLOCK_ID)
				id = f.value;
			if (f.number == CLOCK_TIMESTAMP)
				timestamp = f.value;
		}
		if (id == CLOCK_DELTA) {
			r->clock_icount = timestamp;
			r->has_clock = true;
		}
	}
}

static void parse_defaults(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field f, event;

	r->default_track = 0;
	r->default_is_delta = false;
	while (proto_next(&c, &f)) {
		struct dv_cursor e = proto_message(&f);

		if (f.number == DEFAULTS_CLOCK_ID)
			r->default_is_delta = f.value == CLOCK_DELTA;
		if (f.number != DEFAULTS_TRACK_EVENT)
			continue;
		while (proto_next(&e, &event)) {
			if (event.number == EVENT_TRACK_UUID)
				r->default_track = event.value;
		}
	}
}

/* Events */

#define VISIT_EVENTS 1024 /* what a visitor gets at a time: stays in the nearest cache */

struct found_event {
	uint64_t type, iid, kind, track, timestamp;
	bool is_delta;
};

static struct dv_error *give_events(struct dv_trace_reader *r)
{
	size_t count = r->events.n;

	r->events.n = 0;
	return r->visit(r->visit_context, r->events.v, count);
}

static struct dv_error *add_event(struct dv_trace_reader *r, const struct found_event *e)
{
	struct dv_trace_event event = {.icount = e->timestamp, .thread_id = e->track}, *slot;
	struct block_name *name;

	if (e->is_delta) {
		if (!r->has_clock)
			return dv_error_new(DV_ERROR_FORMAT, "an event before the clock is set");
		event.icount = r->clock_icount += e->timestamp;
	}
	if (e->type == EVENT_TYPE_BEGIN) {
		if (e->iid >= r->names.n || r->names.v[e->iid].generation != r->generation)
			return dv_error_new(DV_ERROR_FORMAT, "an event's name has iid %llu, which is not there",
					    (unsigned long long)e->iid);
		name = &r->names.v[e->iid];
		if (name->function == NO_FUNCTION)
			DV_TRY(number_function(r, &(struct found_function){0}, name->name, name->name_len,
					       &name->function));
		event.function = name->function;
		event.kind = e->kind < DV_SLICE_KINDS ? (uint8_t)e->kind : DV_SLICE_CALL;
		event.type = DV_TRACE_BEGIN;
		r->begins++;
	} else if (e->type == EVENT_TYPE_END) {
		event.type = DV_TRACE_END;
		r->ends++;
	} else {
		return NULL;
	}
	slot = dv_vec_push(&r->events);
	if (!slot)
		return dv_error_no_memory();
	*slot = event;
	return r->visit && r->events.n >= VISIT_EVENTS ? give_events(r) : NULL;
}

static void parse_track_event(struct dv_cursor c, struct found_event *e)
{
	struct proto_field f;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case EVENT_TYPE:
			e->type = f.value;
			break;
		case EVENT_NAME_IID:
			e->iid = f.value;
			break;
		case EVENT_CATEGORY_IIDS:
			e->kind = f.value;
			break;
		case EVENT_TRACK_UUID:
			e->track = f.value;
			break;
		}
	}
}

static struct dv_error *parse_packet(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct found_event event = {0};
	struct proto_field f, event_field = {0};
	uint64_t clock_id = 0;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case PACKET_CLOCK_SNAPSHOT:
			parse_clock(r, proto_message(&f));
			break;
		case PACKET_DEFAULTS:
			parse_defaults(r, proto_message(&f));
			break;
		case PACKET_INTERNED_DATA:
			DV_TRY(parse_interned(r, proto_message(&f)));
			break;
		case PACKET_OWN:
			DV_TRY(parse_own(r, proto_message(&f)));
			break;
		case PACKET_TIMESTAMP:
			event.timestamp = f.value;
			break;
		case PACKET_CLOCK_ID:
			clock_id = f.value;
			break;
		case PACKET_TRACK_EVENT:
			event_field = f;
			break;
		}
	}
	if (c.truncated)
		return dv_error_new(DV_ERROR_FORMAT, "a packet ends within a field");
	if (!event_field.data)
		return NULL;
	event.track = r->default_track;
	event.is_delta = clock_id ? clock_id == CLOCK_DELTA : r->default_is_delta;
	parse_track_event(proto_message(&event_field), &event);
	return add_event(r, &event);
}

/*
 * A packet as event_put() makes them: 0a L 50 01 5a l 48 type [50 iid] 40 delta. Takes it and returns
 * true, or leaves the cursor where it is.
 */
static bool take_plain_event(struct dv_trace_reader *r, struct dv_cursor *c, struct found_event *ret)
{
	struct dv_cursor p = *c;
	const uint8_t *event_end, *packet_end;
	uint64_t word;

	if (dv_cursor_left(c) < 10)
		return false;
	memcpy(&word, p.pos, sizeof(word));
	if ((word & 0x00ff00ffffff00ffull) != 0x0048005a0150000aull)
		return false;
	packet_end = p.pos + 2 + p.pos[1];
	event_end = p.pos + 6 + p.pos[5];
	ret->type = p.pos[7];
	p.pos += 8;
	if (p.pos[-7] >= 0x80 || packet_end > p.end || event_end >= packet_end)
		return false;
	p.end = packet_end;
	if (ret->type == EVENT_TYPE_BEGIN) {
		if (*p.pos++ != EVENT_NAME_IID << 3)
			return false;
		ret->iid = proto_varint(&p);
	}
	if (p.pos != event_end || *p.pos++ != PACKET_TIMESTAMP << 3)
		return false;
	ret->timestamp = proto_varint(&p);
	if (p.truncated || p.pos != packet_end)
		return false;
	ret->is_delta = r->default_is_delta;
	ret->track = r->default_track;
	c->pos = packet_end;
	return true;
}

static struct dv_error *parse_packets(struct dv_trace_reader *r, struct dv_cursor c)
{
	while (c.pos < c.end) {
		struct found_event event = {0};
		struct proto_field packet;

		if (take_plain_event(r, &c, &event)) {
			DV_TRY(add_event(r, &event));
			continue;
		}
		if (!proto_next(&c, &packet) || packet.number != TRACE_PACKET || packet.wire != PROTO_BYTES)
			return dv_error_new(DV_ERROR_FORMAT, "not a packet");
		DV_TRY(parse_packet(r, proto_message(&packet)));
	}
	return NULL;
}

/* Blocks */

static struct dv_error *inflate_stream(struct dv_trace_reader *r, const struct proto_field *stream)
{
	uint8_t *to = r->raw.data + r->raw.len;
	enum libdeflate_result result;
	size_t len = 0;

	result = libdeflate_zlib_decompress(r->inflate, stream->data, stream->len, to,
					    r->raw.cap - r->raw.len, &len);
	if (result != LIBDEFLATE_SUCCESS)
		return dv_error_new(DV_ERROR_FORMAT, "its zlib data do not inflate");
	r->raw.len += len;
	return parse_packets(r, dv_cursor_make(to, len));
}

static struct dv_error *read_packets(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct proto_field packet, f;

	while (proto_next(&c, &packet)) {
		struct dv_cursor p = proto_message(&packet);

		while (proto_next(&p, &f)) {
			if (f.number == PACKET_COMPRESSED && f.wire == PROTO_BYTES)
				DV_TRY(inflate_stream(r, &f));
		}
		if (p.truncated)
			return dv_error_new(DV_ERROR_FORMAT, "a packet ends within a field");
	}
	return NULL;
}

static struct dv_error *read_block(struct dv_trace_reader *r, const struct block_place *place)
{
	const struct dv_trace_block_info *info = &place->info;
	const uint8_t *data = r->file.data + info->offset;

	if (libdeflate_crc32(0, data, info->file_bytes) != place->crc32)
		return dv_error_new(DV_ERROR_FORMAT, "its checksum is wrong");
	if (info->raw_bytes > DV_TRACE_MAX_BLOCK_RAW || info->raw_bytes > info->file_bytes * MAX_INFLATE_RATIO)
		return dv_error_new(DV_ERROR_FORMAT, "%llu bytes say that they inflate to %llu",
				    (unsigned long long)info->file_bytes, (unsigned long long)info->raw_bytes);
	dv_buf_clear(&r->raw);
	if (!dv_buf_reserve(&r->raw, info->raw_bytes + 1))
		return dv_error_no_memory();
	DV_TRY(read_packets(r, dv_cursor_make(data, info->file_bytes)));
	if (r->visit)
		DV_TRY(give_events(r));
	if (r->begins != info->begins || r->ends != info->ends)
		return dv_error_new(DV_ERROR_FORMAT, "it holds %llu begins and %llu ends, not %llu and %llu",
				    (unsigned long long)r->begins, (unsigned long long)r->ends,
				    (unsigned long long)info->begins, (unsigned long long)info->ends);
	return NULL;
}

static struct dv_error *copy_error(const struct dv_error *err)
{
	return dv_error_new(err->code, "%s", err->message);
}

static struct dv_error *decode(struct dv_trace_reader *r, size_t block)
{
	const struct block_place *place;
	struct dv_error *err;

	dv_assert(block < r->blocks.n);
	place = &r->blocks.v[block];
	r->events.n = 0;
	r->begins = r->ends = 0;
	r->generation++;
	r->has_clock = r->default_is_delta = false;
	r->default_track = 0;
	err = read_block(r, place);
	if (err && (err->code == DV_ERROR_NO_MEMORY || err->code == DV_ERROR_CANCELLED))
		return err;
	if (err) {
		err = dv_error_prefix(err, "%s: offset %llu: block %zu", r->name,
				      (unsigned long long)place->info.offset, block);
		reader_damaged(r, copy_error(err));
	}
	return err;
}

struct dv_error *dv_trace_reader_read_block(struct dv_trace_reader *r, size_t block,
					    const struct dv_trace_event **ret, size_t *ret_count)
{
	r->visit = NULL;
	DV_TRY(decode(r, block));
	*ret = r->events.v;
	*ret_count = r->events.n;
	return NULL;
}

struct dv_error *dv_trace_reader_visit_block(struct dv_trace_reader *r, size_t block, dv_trace_events_fn fn,
					     void *context)
{
	r->visit = fn;
	r->visit_context = context;
	return decode(r, block);
}
