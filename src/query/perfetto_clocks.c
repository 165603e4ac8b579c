/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks of a Perfetto trace: snapshots of them, and times brought from one to another: see perfetto.h. */
#include "query/perfetto.h"

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
	slot = dv_vec_add(&im->clocks);
	if (!slot)
		return false;
	*slot = value;
	slot->value *= value.factor;
	slot = incremental_of(s, value.clock);
	if (slot)
		*slot = value;
	if (!is_incremental || slot)
		return true;
	slot = dv_vec_add(&s->incremental);
	if (slot)
		*slot = value;
	return slot;
}

bool importer_take_snapshot(struct importer *im, struct sequence *s, struct dv_cursor c)
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

bool importer_add_snapshot(struct importer *im, uint32_t sequence, uint32_t clock, uint64_t value, uint64_t boottime_ns)
{
	const struct clock_value values[] = {
		{.value = value, .factor = 1, .clock = clock, .sequence = sequence, .snapshot = im->snapshots},
		{.value = boottime_ns, .factor = 1, .clock = CLOCK_BOOTTIME, .snapshot = im->snapshots},
	};

	for (size_t i = 0; i < DV_ARRAY_SIZE(values); i++) {
		struct clock_value *slot = dv_vec_add(&im->clocks);

		if (!slot)
			return false;
		*slot = values[i];
	}
	im->snapshots++;
	return true;
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

/* Columns have 63 bits for a time. */
static bool convert(struct importer *im, uint32_t clock, uint32_t sequence, uint64_t *ts)
{
	bool good = importer_convert(im, clock, sequence, ts) && !(*ts >> 63);

	im->failed_clocks += !good;
	return good;
}

/* What has no time of its own is as late as the latest that came before it in the file. */
static void place_timeless(struct importer *im)
{
	uint64_t latest = 0;
	size_t e = 0;

	for (size_t i = 0; i < im->tasks.n; i++) {
		struct task_event *t = &im->tasks.v[i];

		for (; e < im->events.n && im->events.v[e].order < t->order; e++)
			latest = im->events.v[e].ts > latest ? im->events.v[e].ts : latest;
		if (!t->has_time)
			t->ts = latest;
		latest = t->ts > latest ? t->ts : latest;
	}
}

void importer_convert_clocks(struct importer *im)
{
	size_t kept = 0;

	for (size_t i = 0; i < im->events.n; i++) {
		struct event *e = &im->events.v[i];

		if (convert(im, e->clock, e->sequence, &e->ts))
			im->events.v[kept++] = *e;
	}
	im->events.n = kept;
	kept = 0;
	for (size_t i = 0; i < im->tasks.n; i++) {
		struct task_event *t = &im->tasks.v[i];

		if (!t->has_time || convert(im, t->clock, t->sequence, &t->ts))
			im->tasks.v[kept++] = *t;
	}
	im->tasks.n = kept;
	place_timeless(im);
}

void importer_take_time(struct importer *im, struct sequence *s, struct event *e, uint64_t timestamp, uint32_t clock)
{
	struct clock_value *incremental = incremental_of(s, clock);

	e->clock = clock;
	e->sequence = clock >= 64 && clock < 128 ? s->id : 0;
	if (incremental)
		timestamp = incremental->value += timestamp;
	e->ts = timestamp * (incremental ? incremental->factor : clock >= 64 ? factor_of(im, clock, e->sequence) : 1);
}
