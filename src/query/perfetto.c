/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packets of a Perfetto trace to events, descriptors and clocks: see perfetto.h. */
#include "query/perfetto.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#define MAX_INFLATED (1u << 30)
#define MAX_RATIO 1032u
#define BYTES_PER_RAW 4	    /* of memory, per byte of packets */
#define BYTES_PER_EVENT 200 /* of memory, for the columns it becomes a row of, and while they are made */
#define CHECK_EVERY 100000  /* events */

enum { TRACE_PACKET = 1 };
enum {
	PACKET_FTRACE = 1, PACKET_PROCESS_TREE = 2, PACKET_CLOCK_SNAPSHOT = 6, PACKET_TIMESTAMP = 8,
	PACKET_PROCESS_STATS = 9, PACKET_SEQUENCE = 10, PACKET_TRACK_EVENT = 11, PACKET_INTERNED = 12,
	PACKET_FLAGS = 13, PACKET_STATE_CLEARED = 41, PACKET_PROCESS_DESCRIPTOR = 43,
	PACKET_THREAD_DESCRIPTOR = 44, PACKET_SYSTEM_INFO = 45, PACKET_COMPRESSED = 50, PACKET_CLOCK = 58, PACKET_DEFAULTS = 59,
	PACKET_TRACK_DESCRIPTOR = 60,
};

void importer_deinit(struct importer *im)
{
	for (size_t i = 0; i < im->sequences.n; i++)
		free(im->sequences.v[i].incremental.v);
	free(im->sequences.v);
	free(im->events.v);
	free(im->tasks.v);
	free(im->args.v);
	free(im->flows.v);
	free(im->descriptors.v);
	free(im->clocks.v);
	dv_map_deinit(&im->by_sequence);
	dv_map_deinit(&im->by_uuid);
	dv_map_deinit(&im->interned);
}

uint32_t importer_string(struct importer *im, const struct proto_field *f)
{
	return strings_add(&im->l->strings, f->data, f->len);
}

/* Sequences and their interned names */

static struct sequence *sequence_of(struct importer *im, uint32_t id)
{
	uint64_t *known = dv_map_put(&im->by_sequence, id);
	struct sequence *s;

	if (!known)
		return NULL;
	if (*known)
		return &im->sequences.v[*known - 1];
	s = dv_vec_add(&im->sequences);
	if (!s)
		return NULL;
	*s = (struct sequence){.id = id, .default_clock = CLOCK_BOOTTIME, .is_valid = false};
	*known = im->sequences.n;
	return s;
}

static uint64_t interned_key(const struct sequence *s, uint32_t kind, uint64_t iid)
{
	return dv_hash64(iid * 0x9e3779b97f4a7c15ull + ((uint64_t)s->id << 32 | s->generation)) * 31 + kind;
}

static bool intern(struct importer *im, const struct sequence *s, uint32_t kind, struct dv_cursor c)
{
	struct proto_field f, name = {0};
	uint64_t iid = 0, *slot;

	while (proto_next(&c, &f)) {
		if (f.number == 1)
			iid = f.value;
		else if (f.number == 2)
			name = f;
	}
	slot = dv_map_put(&im->interned, interned_key(s, kind, iid));
	if (slot)
		*slot = importer_string(im, &name) + 1ull;
	return slot;
}

static bool intern_all(struct importer *im, const struct sequence *s, struct dv_cursor c)
{
	struct proto_field f;
	bool good = true;

	while (proto_next(&c, &f) && good) {
		if (f.wire == PROTO_BYTES && (f.number <= INTERNED_DEBUG_NAME || f.number == INTERNED_DEBUG_STRING))
			good = intern(im, s, f.number, proto_message(&f));
	}
	return good;
}

uint32_t importer_interned(const struct importer *im, const struct sequence *s, uint32_t kind, uint64_t iid)
{
	const uint64_t *string = dv_map_get(&im->interned, interned_key(s, kind, iid));

	return string && *string ? (uint32_t)*string - 1 : 0;
}

/* Descriptors */

static struct descriptor *descriptor_of(struct importer *im, uint64_t uuid)
{
	uint64_t *known = dv_map_put(&im->by_uuid, uuid);
	struct descriptor *d;

	if (!known)
		return NULL;
	if (*known)
		return &im->descriptors.v[*known - 1];
	d = dv_vec_add(&im->descriptors);
	if (!d)
		return NULL;
	*d = (struct descriptor){.uuid = uuid, .factor = 1};
	*known = im->descriptors.n;
	return d;
}

static void take_thread(struct importer *im, struct descriptor *d, struct dv_cursor c, uint64_t *reference_us)
{
	struct proto_field f;

	d->has_thread = true;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			d->pid = (int32_t)f.value;
		else if (f.number == 2)
			d->tid = (int64_t)f.value;
		else if (f.number == 5)
			d->thread_name = importer_string(im, &f);
		else if (f.number == 6 && reference_us)
			*reference_us = f.value;
	}
}

static void take_process(struct importer *im, struct descriptor *d, struct dv_cursor c)
{
	struct proto_field f;

	d->has_process = true;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			d->pid = (int32_t)f.value;
		else if (f.number == 2 && !d->cmdline)
			d->cmdline = importer_string(im, &f);
		else if (f.number == 6)
			d->process_name = importer_string(im, &f);
	}
}

static void take_counter(struct importer *im, struct descriptor *d, struct dv_cursor c)
{
	static const char *const units[] = {"", "ns", "count", "bytes"};
	struct proto_field f;

	d->has_counter = true;
	while (proto_next(&c, &f)) {
		if (f.number == 3 && f.value < DV_ARRAY_SIZE(units))
			d->unit = strings_put(&im->l->strings, units[f.value]);
		else if (f.number == 4)
			d->factor = (double)(int64_t)f.value;
		else if (f.number == 5)
			d->is_incremental = f.value;
		else if (f.number == 6)
			d->unit = importer_string(im, &f);
	}
}

static bool take_descriptor(struct importer *im, struct dv_cursor c)
{
	struct dv_cursor again = c;
	struct proto_field f;
	struct descriptor *d;
	uint64_t uuid = 0;

	while (proto_next(&c, &f)) {
		if (f.number == 1)
			uuid = f.value;
	}
	d = descriptor_of(im, uuid);
	while (d && proto_next(&again, &f)) {
		if (f.number == 2 || f.number == 10 || f.number == 13)
			d->name = importer_string(im, &f);
		else if (f.number == 3 && f.wire == PROTO_BYTES)
			take_process(im, d, proto_message(&f));
		else if (f.number == 4 && f.wire == PROTO_BYTES)
			take_thread(im, d, proto_message(&f), NULL);
		else if (f.number == 8 && f.wire == PROTO_BYTES)
			take_counter(im, d, proto_message(&f));
		else if (f.number == 5) {
			d->parent_uuid = f.value;
			d->has_parent = true;
		}
	}
	return d && importer_take_described(im, d);
}

/* The way before track descriptors: the sequence is a thread's. */
static bool take_old_thread(struct importer *im, struct sequence *s, struct dv_cursor c)
{
	uint64_t uuid = 0xfeed000000000000ull | s->id, reference_us = 0;
	struct descriptor *d = descriptor_of(im, uuid);

	if (!d)
		return false;
	take_thread(im, d, c, &reference_us);
	s->thread_uuid = uuid;
	s->thread_time_ns = reference_us * 1000;
	return importer_take_described(im, d);
}

static bool take_old_process(struct importer *im, struct dv_cursor c)
{
	struct descriptor d = {0};

	take_process(im, &d, c);
	return importer_take_process_named(im, d.pid, d.process_name);
}

/* "6.1.0-18-amd64", for what the kernel's numbers stand for. */
static void take_system_info(struct importer *im, struct dv_cursor c)
{
	struct proto_field f, name;
	unsigned major, minor;
	char release[32];

	while (proto_next(&c, &f)) {
		if (f.number != 1 || f.wire != PROTO_BYTES)
			continue;
		for (struct dv_cursor u = proto_message(&f); proto_next(&u, &name);) {
			if (name.number != 3 || name.wire != PROTO_BYTES)
				continue;
			snprintf(release, sizeof(release), "%.*s", (int)(name.len < 31 ? name.len : 31), name.data);
			if (sscanf(release, "%u.%u", &major, &minor) == 2 && major < 256 && minor < 256)
				im->kernel_version = major << 8 | minor;
		}
	}
}

/* Packets */

static void take_defaults(struct sequence *s, struct dv_cursor c)
{
	struct proto_field f, event;

	s->default_clock = CLOCK_BOOTTIME;
	s->has_default_track = false;
	while (proto_next(&c, &f)) {
		if (f.number == 58)
			s->default_clock = (uint32_t)f.value;
		if (f.number != 11 || f.wire != PROTO_BYTES)
			continue;
		for (struct dv_cursor e = proto_message(&f); proto_next(&e, &event);) {
			if (event.number != EVENT_TRACK_UUID)
				continue;
			s->default_track = event.value;
			s->has_default_track = true;
		}
	}
}

static void clear_state(struct sequence *s)
{
	s->generation++;
	s->is_valid = true;
	s->default_clock = CLOCK_BOOTTIME;
	s->has_default_track = false;
	s->thread_uuid = 0;
	s->incremental.n = 0;
}

static struct dv_error *take_stream(struct importer *im, const struct proto_field *f);

static bool take_part(struct importer *im, struct sequence *s, const struct packet *p, const struct proto_field *f)
{
	struct dv_cursor c = proto_message(f);

	switch (f->number) {
	case PACKET_INTERNED:
		return intern_all(im, s, c);
	case PACKET_DEFAULTS:
		take_defaults(s, c);
		return true;
	case PACKET_CLOCK_SNAPSHOT:
		return importer_take_snapshot(im, s, c);
	case PACKET_TRACK_DESCRIPTOR:
		return take_descriptor(im, c);
	case PACKET_THREAD_DESCRIPTOR:
		return take_old_thread(im, s, c);
	case PACKET_PROCESS_DESCRIPTOR:
		return take_old_process(im, c);
	case PACKET_SYSTEM_INFO:
		take_system_info(im, c);
		return true;
	case PACKET_FTRACE:
		return importer_take_ftrace(im, s, c);
	case PACKET_PROCESS_TREE:
		return importer_take_tree(im, s, p, c);
	case PACKET_PROCESS_STATS:
		return importer_take_process_stats(im, s, p, c);
	default:
		return true;
	}
}

/* First what says how the rest is to be read: fields come in any order. */
static struct dv_error *take_packet(struct importer *im, struct dv_cursor c)
{
	struct dv_cursor again = c;
	struct packet p = {0};
	uint32_t sequence = 0;
	uint64_t flags = 0;
	struct sequence *s;
	struct proto_field f;
	bool good = true;

	while (proto_next(&c, &f)) {
		if (f.number == PACKET_SEQUENCE)
			sequence = (uint32_t)f.value;
		else if (f.number == PACKET_FLAGS)
			flags = f.value;
		else if (f.number == PACKET_STATE_CLEARED && f.value)
			flags |= 1;
		else if (f.number == PACKET_TIMESTAMP)
			p.timestamp = f.value, p.has_timestamp = true;
		else if (f.number == PACKET_CLOCK)
			p.clock = (uint32_t)f.value, p.has_clock = true;
		else if (f.number == PACKET_TRACK_EVENT && f.wire == PROTO_BYTES)
			p.event = f;
		else if (f.number == PACKET_COMPRESSED && f.wire == PROTO_BYTES)
			return take_stream(im, &f);
	}
	im->bad_packets += c.truncated;
	s = sequence_of(im, sequence);
	if (!s)
		return dv_error_no_memory();
	if (flags & 1)
		clear_state(s);
	while (good && proto_next(&again, &f)) {
		if (f.wire == PROTO_BYTES)
			good = take_part(im, s, &p, &f);
	}
	if (good && p.event.data && (flags & 2) && !s->is_valid)
		im->lost_events++;
	else if (good && p.event.data)
		good = importer_take_event(im, s, &p);
	return good ? NULL : dv_error_no_memory();
}

/* What was read so far becomes columns: whether they will fit is seen before they do not. */
static struct dv_error *check_memory(struct importer *im, const char *name)
{
	if (im->order - im->checked < CHECK_EVERY)
		return NULL;
	im->checked = im->order;
	return loader_check_memory(im->l, name, im->events.n, im->order * BYTES_PER_EVENT);
}

static struct dv_error *take_packets(struct importer *im, struct dv_cursor *c, const char *name)
{
	struct proto_field f;

	while (proto_next(c, &f)) {
		if (f.number != TRACE_PACKET || f.wire != PROTO_BYTES)
			continue;
		DV_TRY(take_packet(im, proto_message(&f)));
		DV_TRY(check_memory(im, name));
	}
	return NULL;
}

static struct dv_error *inflate(const struct proto_field *f, struct dv_buf *ret)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	bool is_gzip = f->len > 1 && f->data[0] == 0x1f;
	enum libdeflate_result result = LIBDEFLATE_INSUFFICIENT_SPACE;
	size_t room = f->len * 8 + 4096, len = 0;

	while (d && result == LIBDEFLATE_INSUFFICIENT_SPACE && room <= MAX_INFLATED && room <= f->len * 8ull * MAX_RATIO + 4096) {
		ret->len = 0;
		if (!dv_buf_reserve(ret, room))
			break;
		result = is_gzip ? libdeflate_gzip_decompress(d, f->data, f->len, ret->data, room, &len) :
				   libdeflate_zlib_decompress(d, f->data, f->len, ret->data, room, &len);
		room *= 4;
	}
	if (d)
		libdeflate_free_decompressor(d);
	if (!d || ret->failed)
		return dv_error_no_memory();
	ret->len = len;
	return result ? dv_error_new(DV_ERROR_FORMAT, "compressed packets that do not inflate") : NULL;
}

/* Within a compressed packet there are no compressed ones. */
static struct dv_error *take_stream(struct importer *im, const struct proto_field *f)
{
	_cleanup_buf_ struct dv_buf raw = DV_BUF_INIT;
	struct dv_error *err = inflate(f, &raw);
	struct dv_cursor c = dv_cursor_make(raw.data, raw.len);
	struct proto_field packet, inner;

	if (err && err->code != DV_ERROR_NO_MEMORY) {
		dv_error_destroy(err);
		im->bad_packets++;
		return NULL;
	}
	DV_TRY(err);
	im->raw_bytes += raw.len;
	DV_TRY(loader_check_memory(im->l, "trace", im->events.n, im->raw_bytes * BYTES_PER_RAW));
	while (proto_next(&c, &packet)) {
		bool nested = packet.number != TRACE_PACKET || packet.wire != PROTO_BYTES;

		for (struct dv_cursor p = proto_message(&packet); !nested && proto_next(&p, &inner);)
			nested = inner.number == PACKET_COMPRESSED;
		if (!nested)
			DV_TRY(take_packet(im, proto_message(&packet)));
	}
	im->bad_packets += c.truncated;
	return NULL;
}

struct dv_error *importer_read(struct importer *im, const void *data, size_t len, const char *name)
{
	struct dv_cursor c = dv_cursor_make(data, len);

	if (!len || *(const uint8_t *)data != (TRACE_PACKET << 3 | PROTO_BYTES))
		return dv_error_new(DV_ERROR_FORMAT, "%s is no trace: %s", name,
				    len ? "its first byte is not 0x0a" : "it is empty");
	im->trace_clock = CLOCK_BOOTTIME;
	im->raw_bytes = len;
	DV_TRY(loader_check_memory(im->l, name, 0, im->raw_bytes * BYTES_PER_RAW));
	DV_TRY(take_packets(im, &c, name));
	im->bad_packets += c.truncated;
	if (!im->events.n && !im->tasks.n)
		return dv_error_new(DV_ERROR_FORMAT, "%s has neither track events nor tracks, nor processes or switches "
				    "between them: other traces are not read", name);
	importer_convert_clocks(im);
	return NULL;
}
