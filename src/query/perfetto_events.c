/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One TrackEvent of a Perfetto trace, with its debug annotations and flows: see perfetto.h. */
#include "query/perfetto.h"

#include <string.h>

#define MAX_ANNOTATION_DEPTH 16

enum {
	EVENT_DELTA_US = 1, EVENT_CATEGORY_IIDS = 3, EVENT_DEBUG = 4, EVENT_TYPE_FIELD = 9, EVENT_NAME_IID = 10,
	EVENT_ABSOLUTE_US = 16, EVENT_CATEGORIES = 22, EVENT_NAME = 23, EVENT_COUNTER_VALUE = 30,
	EVENT_FLOWS_OLD = 36, EVENT_ENDING_FLOWS_OLD = 42, EVENT_DOUBLE_VALUE = 44, EVENT_FLOWS = 47,
	EVENT_ENDING_FLOWS = 48,
};
enum {
	DEBUG_NAME_IID = 1, DEBUG_BOOL, DEBUG_UINT, DEBUG_INT, DEBUG_DOUBLE, DEBUG_STRING, DEBUG_POINTER, DEBUG_NESTED,
	DEBUG_JSON, DEBUG_NAME, DEBUG_DICT, DEBUG_ARRAY, DEBUG_STRING_IID = 17,
};

/* Debug annotations: a tree of names and values, flattened as Perfetto does: debug.a.b[2] */

struct key {
	struct dv_buf key, flat;
};

static bool put_arg(struct importer *im, struct key *key, enum arg_type type, uint64_t value)
{
	struct args_row *row = dv_vec_add(&im->args);

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
			name = strings_get(&im->l->strings, importer_interned(im, s, INTERNED_DEBUG_NAME, f.value));
		else if (f.number == DEBUG_NAME)
			name = strings_get(&im->l->strings, importer_string(im, &f));
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
		return put_arg(im, key, ARG_STRING, importer_string(im, f));
	case DEBUG_POINTER:
		return put_arg(im, key, ARG_POINTER, f->value);
	case DEBUG_STRING_IID:
		return put_arg(im, key, ARG_STRING, importer_interned(im, s, INTERNED_DEBUG_STRING, f->value));
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

/* Events */

static bool take_flow(struct importer *im, uint64_t id, bool ends)
{
	struct flow_use *use = dv_vec_add(&im->flows);

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
		add_category(im, e, importer_interned(im, s, INTERNED_CATEGORY, f->value));
	while (f->wire == PROTO_BYTES && dv_cursor_left(&c) && !c.truncated)
		add_category(im, e, importer_interned(im, s, INTERNED_CATEGORY, proto_varint(&c)));
}

static bool take_field(struct importer *im, struct sequence *s, struct event *e, const struct proto_field *f)
{
	double value;

	switch (f->number) {
	case EVENT_DELTA_US:
		e->ts = s->thread_time_ns += f->value * 1000;
		e->clock = CLOCK_BOOTTIME;
		return true;
	case EVENT_ABSOLUTE_US:
		e->ts = f->value * 1000;
		return true;
	case EVENT_TYPE_FIELD:
		e->type = f->value <= EVENT_COUNTER ? (uint8_t)f->value : 0;
		return true;
	case EVENT_NAME_IID:
		e->name = importer_interned(im, s, INTERNED_NAME, f->value);
		return true;
	case EVENT_NAME:
		e->name = importer_string(im, f);
		return true;
	case EVENT_CATEGORIES:
		add_category(im, e, importer_string(im, f));
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

bool importer_take_event(struct importer *im, struct sequence *s, const struct packet *p)
{
	struct dv_cursor c = proto_message(&p->event);
	struct event e = {
		.order = im->order++,
		.track_uuid = s->has_default_track ? s->default_track : s->thread_uuid,
		.first_arg = (uint32_t)im->args.n,
		.first_flow = (uint32_t)im->flows.n,
	}, *slot;
	struct proto_field f;
	bool good = true;

	importer_take_time(im, s, &e, p->timestamp, p->has_clock ? p->clock : s->default_clock);
	while (good && proto_next(&c, &f))
		good = take_field(im, s, &e, &f);
	e.args = (uint32_t)im->args.n - e.first_arg;
	e.flows = (uint32_t)im->flows.n - e.first_flow;
	if (!good || !e.type)
		return good;
	slot = dv_vec_add(&im->events);
	if (slot)
		*slot = e;
	return slot;
}
