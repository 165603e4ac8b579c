/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packets of a Perfetto trace to events, descriptors and clocks: see perfetto.h. */
#include "query/perfetto.h"

#include <libdeflate.h>
#include <string.h>

#define MAX_INFLATED (1u << 30)
#define MAX_RATIO 1032u
#define MAX_ANNOTATION_DEPTH 16
#define BOOTTIME 6u
#define BYTES_PER_RAW 4 /* of memory, per byte of packets */

enum { TRACE_PACKET = 1 };
enum {
	PACKET_FTRACE = 1, PACKET_PROCESS_TREE = 2, PACKET_PROCESS_STATS = 9, PACKET_CLOCK_SNAPSHOT = 6, PACKET_TIMESTAMP = 8, PACKET_SEQUENCE = 10, PACKET_TRACK_EVENT = 11,
	PACKET_INTERNED = 12, PACKET_FLAGS = 13, PACKET_STATE_CLEARED = 41, PACKET_PROCESS_DESCRIPTOR = 43,
	PACKET_THREAD_DESCRIPTOR = 44, PACKET_COMPRESSED = 50, PACKET_CLOCK = 58, PACKET_DEFAULTS = 59,
	PACKET_TRACK_DESCRIPTOR = 60,
};
enum {
	EVENT_DELTA_US = 1, EVENT_CATEGORY_IIDS = 3, EVENT_DEBUG = 4, EVENT_TYPE_FIELD = 9, EVENT_NAME_IID = 10,
	EVENT_TRACK_UUID = 11, EVENT_ABSOLUTE_US = 16, EVENT_CATEGORIES = 22, EVENT_NAME = 23, EVENT_COUNTER_VALUE = 30,
	EVENT_FLOWS_OLD = 36, EVENT_ENDING_FLOWS_OLD = 42, EVENT_DOUBLE_VALUE = 44, EVENT_FLOWS = 47,
	EVENT_ENDING_FLOWS = 48,
};
enum { INTERNED_CATEGORY = 1, INTERNED_NAME = 2, INTERNED_DEBUG_NAME = 3, INTERNED_DEBUG_STRING = 29 };
enum {
	DEBUG_NAME_IID = 1, DEBUG_BOOL, DEBUG_UINT, DEBUG_INT, DEBUG_DOUBLE, DEBUG_STRING, DEBUG_POINTER, DEBUG_NESTED,
	DEBUG_JSON, DEBUG_NAME, DEBUG_DICT, DEBUG_ARRAY, DEBUG_STRING_IID = 17,
};

void importer_deinit(struct importer *im)
{
	for (size_t i = 0; i < im->sequences.n; i++)
		free(im->sequences.v[i].incremental.v);
	free(im->sequences.v);
	free(im->events.v);
	free(im->args.v);
	free(im->flows.v);
	free(im->descriptors.v);
	free(im->clocks.v);
	dv_map_deinit(&im->by_sequence);
	dv_map_deinit(&im->by_uuid);
	dv_map_deinit(&im->interned);
}

static uint32_t string_of(struct importer *im, const struct proto_field *f)
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
	s = vec_add(&im->sequences);
	if (!s)
		return NULL;
	*s = (struct sequence){.id = id, .default_clock = BOOTTIME, .is_valid = false};
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
		*slot = string_of(im, &name) + 1ull;
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

static uint32_t interned(const struct importer *im, const struct sequence *s, uint32_t kind, uint64_t iid)
{
	const uint64_t *string = dv_map_get(&im->interned, interned_key(s, kind, iid));

	return string && *string ? (uint32_t)*string - 1 : 0;
}

/* Debug annotations: a tree of names and values, flattened as Perfetto does: debug.a.b[2] */

struct key {
	struct dv_buf key, flat;
};

static bool put_arg(struct importer *im, struct key *key, enum arg_type type, uint64_t value)
{
	struct args_row *row = vec_add(&im->args);

	if (!row)
		return false;
	*row = (struct args_row){.value = value, .type = type};
	row->key = strings_add(&im->l->strings, key->key.data, key->key.len);
	row->flat_key = strings_add(&im->l->strings, key->flat.data, key->flat.len);
	return true;
}

static void append_name(struct importer *im, struct key *key, const struct sequence *s, struct dv_cursor c)
{
	struct proto_field f;
	const char *name = NULL;

	while (proto_next(&c, &f)) {
		if (f.number == DEBUG_NAME_IID)
			name = strings_get(&im->l->strings, interned(im, s, INTERNED_DEBUG_NAME, f.value));
		else if (f.number == DEBUG_NAME)
			name = strings_get(&im->l->strings, string_of(im, &f));
	}
	if (!name)
		return;
	dv_buf_printf(&key->key, "%s%s", key->key.len ? "." : "", name);
	dv_buf_printf(&key->flat, "%s%s", key->flat.len ? "." : "", name);
}

static bool put_value(struct importer *im, struct key *key, const struct sequence *s, const struct proto_field *f)
{
	switch (f->number) {
	case DEBUG_BOOL:
		return put_arg(im, key, ARG_BOOL, f->value);
	case DEBUG_UINT:
		return put_arg(im, key, ARG_UINT, f->value);
	case DEBUG_INT:
		return put_arg(im, key, ARG_INT, f->value);
	case DEBUG_DOUBLE:
		return put_arg(im, key, ARG_REAL, f->value);
	case DEBUG_STRING:
	case DEBUG_JSON:
		return put_arg(im, key, ARG_STRING, string_of(im, f));
	case DEBUG_POINTER:
		return put_arg(im, key, ARG_POINTER, f->value);
	case DEBUG_STRING_IID:
		return put_arg(im, key, ARG_STRING, interned(im, s, INTERNED_DEBUG_STRING, f->value));
	default:
		return true;
	}
}

static bool put_annotation(struct importer *im, struct key *key, const struct sequence *s, struct dv_cursor c, int depth)
{
	size_t index = 0;
	struct proto_field f;
	bool good = depth < MAX_ANNOTATION_DEPTH;

	while (good && proto_next(&c, &f)) {
		size_t len = key->key.len, flat_len = key->flat.len;

		if (f.number == DEBUG_DICT && f.wire == PROTO_BYTES) {
			append_name(im, key, s, proto_message(&f));
			good = put_annotation(im, key, s, proto_message(&f), depth + 1);
		} else if (f.number == DEBUG_ARRAY && f.wire == PROTO_BYTES) {
			dv_buf_printf(&key->key, "[%zu]", index++);
			good = put_annotation(im, key, s, proto_message(&f), depth + 1);
		} else {
			good = put_value(im, key, s, &f);
		}
		key->key.len = len;
		key->flat.len = flat_len;
	}
	return good || depth >= MAX_ANNOTATION_DEPTH;
}

static bool take_annotation(struct importer *im, const struct sequence *s, struct dv_cursor c)
{
	struct key key = {0};
	bool good;

	dv_buf_printf(&key.key, "debug");
	dv_buf_printf(&key.flat, "debug");
	append_name(im, &key, s, c);
	good = put_annotation(im, &key, s, c, 0) && !key.key.failed && !key.flat.failed;
	dv_buf_deinit(&key.key);
	dv_buf_deinit(&key.flat);
	return good;
}

/* Clocks */

static struct clock_value *incremental_of(struct sequence *s, uint32_t clock)
{
	for (size_t i = 0; i < s->incremental.n; i++) {
		if (s->incremental.v[i].clock == clock)
			return &s->incremental.v[i];
	}
	return NULL;
}

static bool take_clock(struct importer *im, struct sequence *s, struct dv_cursor c)
{
	struct clock_value value = {.factor = 1, .snapshot = im->snapshots}, *slot;
	bool is_incremental = false;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == 1)
			value.clock = (uint32_t)f.value;
		else if (f.number == 2)
			value.value = f.value;
		else if (f.number == 3)
			is_incremental = f.value;
		else if (f.number == 4)
			value.factor = f.value && f.value < 1u << 30 ? f.value : 1;
	}
	value.sequence = value.clock >= 64 && value.clock < 128 ? s->id : 0;
	slot = vec_add(&im->clocks);
	if (!slot)
		return false;
	*slot = value;
	slot->value *= value.factor;
	slot = incremental_of(s, value.clock);
	if (slot)
		*slot = value;
	if (!is_incremental || slot)
		return true;
	slot = vec_add(&s->incremental);
	if (slot)
		*slot = value;
	return slot;
}

static bool take_snapshot(struct importer *im, struct sequence *s, struct dv_cursor c)
{
	struct proto_field f;
	bool good = true;

	while (proto_next(&c, &f) && good) {
		if (f.number == 1 && f.wire == PROTO_BYTES)
			good = take_clock(im, s, proto_message(&f));
		else if (f.number == 2)
			im->trace_clock = (uint32_t)f.value;
	}
	im->snapshots++;
	return good;
}

/* The factor of a sequence's own clock. */
static uint64_t factor_of(const struct importer *im, uint32_t clock, uint32_t sequence)
{
	for (size_t i = im->clocks.n; i-- > 0;) {
		if (im->clocks.v[i].clock == clock && im->clocks.v[i].sequence == sequence)
			return im->clocks.v[i].factor;
	}
	return 1;
}

bool importer_convert(struct importer *im, uint32_t clock, uint32_t sequence, uint64_t *ts)
{
	const struct clock_value *best = NULL, *best_trace = NULL;
	struct conversion *last = &im->last;
	uint64_t until = UINT64_MAX;

	if (clock == im->trace_clock)
		return true;
	if (last->is_set && last->clock == clock && last->sequence == sequence && *ts >= last->from && *ts < last->until) {
		*ts += last->offset;
		return true;
	}
	for (size_t i = 0; i < im->clocks.n; i++) {
		const struct clock_value *v = &im->clocks.v[i], *trace = NULL;

		if (v->clock != clock || v->sequence != sequence)
			continue;
		if (best && v->value > *ts) {
			until = v->value < until ? v->value : until;
			continue;
		}
		for (size_t j = i; j-- > 0 && im->clocks.v[j].snapshot == v->snapshot;)
			trace = im->clocks.v[j].clock == im->trace_clock ? &im->clocks.v[j] : trace;
		for (size_t j = i + 1; j < im->clocks.n && im->clocks.v[j].snapshot == v->snapshot; j++)
			trace = im->clocks.v[j].clock == im->trace_clock ? &im->clocks.v[j] : trace;
		if (trace) {
			best = v;
			best_trace = trace;
		}
	}
	if (!best)
		return false;
	*last = (struct conversion){true, clock, sequence, best->value, until, best_trace->value - best->value};
	*ts += last->offset;
	return true;
}

void importer_convert_clocks(struct importer *im)
{
	size_t kept = 0;

	for (size_t i = 0; i < im->events.n; i++) {
		struct event *e = &im->events.v[i];

		/* Columns have 63 bits for a time. */
		if (!importer_convert(im, e->clock, e->sequence, &e->ts) || e->ts >> 63) {
			im->failed_clocks++;
			continue;
		}
		im->events.v[kept++] = *e;
	}
	im->events.n = kept;
}

/* The time of a packet: a sequence's incremental clocks are counted on here, in the order of the file. */
static void take_time(struct importer *im, struct sequence *s, struct event *e, uint64_t timestamp, uint32_t clock)
{
	struct clock_value *incremental = incremental_of(s, clock);

	e->clock = clock;
	e->sequence = clock >= 64 && clock < 128 ? s->id : 0;
	if (incremental)
		timestamp = incremental->value += timestamp;
	e->ts = timestamp * (incremental ? incremental->factor : clock >= 64 ? factor_of(im, clock, e->sequence) : 1);
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
	d = vec_add(&im->descriptors);
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
			d->thread_name = string_of(im, &f);
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
			d->cmdline = string_of(im, &f);
		else if (f.number == 6)
			d->process_name = string_of(im, &f);
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
			d->unit = string_of(im, &f);
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
			d->name = string_of(im, &f);
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
	return d;
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
	return true;
}

/* Events */

struct packet {
	struct proto_field event;
	uint64_t timestamp;
	uint32_t clock;
	bool has_timestamp, has_clock;
};

static bool take_flow(struct importer *im, uint64_t id, bool ends)
{
	struct flow_use *use = vec_add(&im->flows);

	if (use)
		*use = (struct flow_use){id, ends};
	return use;
}

/* A repeated number, packed or not. */
static bool take_flows(struct importer *im, const struct proto_field *f, bool fixed, bool ends)
{
	struct dv_cursor c = dv_cursor_make(f->data, f->len);
	bool good = true;

	if (f->wire != PROTO_BYTES)
		return take_flow(im, f->value, ends);
	while (dv_cursor_left(&c) && !c.truncated && good)
		good = take_flow(im, fixed ? dv_cursor_u64(&c) : proto_varint(&c), ends);
	return good;
}

static void add_category(struct importer *im, struct event *e, uint32_t category)
{
	const char *have = strings_get(&im->l->strings, e->category), *more = strings_get(&im->l->strings, category);
	struct dv_buf both = DV_BUF_INIT;

	if (!have || !more) {
		e->category = category ? category : e->category;
		return;
	}
	dv_buf_printf(&both, "%s,%s", have, more);
	e->category = strings_add(&im->l->strings, both.data, both.len);
	dv_buf_deinit(&both);
}

static void add_categories(struct importer *im, const struct sequence *s, struct event *e, const struct proto_field *f)
{
	struct dv_cursor c = dv_cursor_make(f->data, f->len);

	if (f->wire != PROTO_BYTES)
		add_category(im, e, interned(im, s, INTERNED_CATEGORY, f->value));
	while (f->wire == PROTO_BYTES && dv_cursor_left(&c) && !c.truncated)
		add_category(im, e, interned(im, s, INTERNED_CATEGORY, proto_varint(&c)));
}

static bool take_field(struct importer *im, struct sequence *s, struct event *e, const struct proto_field *f)
{
	double value;

	switch (f->number) {
	case EVENT_DELTA_US:
		e->ts = s->thread_time_ns += f->value * 1000;
		e->clock = BOOTTIME;
		return true;
	case EVENT_ABSOLUTE_US:
		e->ts = f->value * 1000;
		return true;
	case EVENT_TYPE_FIELD:
		e->type = f->value <= EVENT_COUNTER ? (uint8_t)f->value : 0;
		return true;
	case EVENT_NAME_IID:
		e->name = interned(im, s, INTERNED_NAME, f->value);
		return true;
	case EVENT_NAME:
		e->name = string_of(im, f);
		return true;
	case EVENT_CATEGORIES:
		add_category(im, e, string_of(im, f));
		return true;
	case EVENT_CATEGORY_IIDS:
		add_categories(im, s, e, f);
		return true;
	case EVENT_TRACK_UUID:
		e->track_uuid = f->value;
		return true;
	case EVENT_COUNTER_VALUE:
		value = (double)(int64_t)f->value;
		memcpy(&e->value_bits, &value, sizeof(value));
		return true;
	case EVENT_DOUBLE_VALUE:
		e->value_bits = f->value;
		return true;
	case EVENT_FLOWS:
	case EVENT_ENDING_FLOWS:
		return take_flows(im, f, true, f->number == EVENT_ENDING_FLOWS);
	case EVENT_FLOWS_OLD:
	case EVENT_ENDING_FLOWS_OLD:
		return take_flows(im, f, false, f->number == EVENT_ENDING_FLOWS_OLD);
	case EVENT_DEBUG:
		return f->wire != PROTO_BYTES || take_annotation(im, s, proto_message(f));
	default:
		return true;
	}
}

static bool take_event(struct importer *im, struct sequence *s, const struct packet *p)
{
	struct dv_cursor c = proto_message(&p->event);
	struct event e = {
		.order = im->events.n,
		.track_uuid = s->has_default_track ? s->default_track : s->thread_uuid,
		.first_arg = (uint32_t)im->args.n,
		.first_flow = (uint32_t)im->flows.n,
	}, *slot;
	struct proto_field f;
	bool good = true;

	take_time(im, s, &e, p->timestamp, p->has_clock ? p->clock : s->default_clock);
	while (good && proto_next(&c, &f))
		good = take_field(im, s, &e, &f);
	e.args = (uint32_t)im->args.n - e.first_arg;
	e.flows = (uint32_t)im->flows.n - e.first_flow;
	if (!good || !e.type)
		return good;
	slot = vec_add(&im->events);
	if (slot)
		*slot = e;
	return slot;
}

/* Packets */

static void take_defaults(struct sequence *s, struct dv_cursor c)
{
	struct proto_field f, event;

	s->default_clock = BOOTTIME;
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
	s->default_clock = BOOTTIME;
	s->has_default_track = false;
	s->thread_uuid = 0;
	s->incremental.n = 0;
}

static struct dv_error *take_stream(struct importer *im, const struct proto_field *f);

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
		else if (f.number == PACKET_FTRACE && f.wire == PROTO_BYTES)
			im->ftrace_bundles++;
		else if ((f.number == PACKET_PROCESS_TREE || f.number == PACKET_PROCESS_STATS) && f.wire == PROTO_BYTES)
			im->process_packets++;
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
		if (f.wire != PROTO_BYTES)
			continue;
		if (f.number == PACKET_INTERNED)
			good = intern_all(im, s, proto_message(&f));
		else if (f.number == PACKET_DEFAULTS)
			take_defaults(s, proto_message(&f));
		else if (f.number == PACKET_CLOCK_SNAPSHOT)
			good = take_snapshot(im, s, proto_message(&f));
		else if (f.number == PACKET_TRACK_DESCRIPTOR)
			good = take_descriptor(im, proto_message(&f));
		else if (f.number == PACKET_THREAD_DESCRIPTOR)
			good = take_old_thread(im, s, proto_message(&f));
	}
	if (good && p.event.data && (flags & 2) && !s->is_valid)
		im->lost_events++;
	else if (good && p.event.data)
		good = take_event(im, s, &p);
	return good ? NULL : dv_error_no_memory();
}

static struct dv_error *take_packets(struct importer *im, struct dv_cursor *c)
{
	struct proto_field f;

	while (proto_next(c, &f)) {
		if (f.number == TRACE_PACKET && f.wire == PROTO_BYTES)
			DV_TRY(take_packet(im, proto_message(&f)));
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
	im->trace_clock = BOOTTIME;
	im->raw_bytes = len;
	DV_TRY(loader_check_memory(im->l, name, 0, im->raw_bytes * BYTES_PER_RAW));
	DV_TRY(take_packets(im, &c));
	im->bad_packets += c.truncated;
	if (!im->events.n && !im->descriptors.n)
		return dv_error_new(DV_ERROR_FORMAT, "%s has neither track events nor tracks: other traces are not read", name);
	importer_convert_clocks(im);
	return NULL;
}
