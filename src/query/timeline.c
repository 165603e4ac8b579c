/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timeline: of each depth and bucket the longest slice that starts there. A lane is in order, so a
 * bucket is a range of it: its end is found by galloping over ids, and the longest of it in the tree of
 * maxima (`longest`). What it costs is cells, not slices.
 */
#include <string.h>
#include "query/load.h"
#include "query/query_private.h"

#define MAX_INDEXED_BUCKETS 65536u
#define NOT_YET UINT32_MAX

struct cell {
	uint64_t start, dur;
	uint32_t id, function, count;
	uint16_t depth;
	uint8_t kind;
};

struct view {
	const struct columns *c;
	uint64_t from, to, bucket;
	uint32_t first_id, end_id; /* slices that start in the area */
	uint32_t *ends;		   /* by bucket: the first id beyond it, NOT_YET; NULL: too many buckets */
	DV_VEC(struct cell) cells;
};

static bool add_cell(struct view *v, uint32_t id, uint32_t depth, uint32_t count)
{
	struct cell *cell = dv_vec_add(&v->cells);

	if (!cell)
		return false;
	*cell = (struct cell){
		.start = slice_start(v->c, id),
		.dur = slice_dur(v->c, id),
		.id = id,
		.function = slice_function(v->c, id),
		.count = count,
		.depth = (uint16_t)depth,
		.kind = slice_kind(v->c, id),
	};
	return true;
}

/* The first slice of any track that starts beyond the bucket. */
static uint32_t bucket_end(struct view *v, uint64_t bucket)
{
	uint64_t ts = v->from + (bucket + 1) * v->bucket;
	uint32_t low = v->first_id, high = v->end_id;

	if (v->ends && v->ends[bucket] != NOT_YET)
		return v->ends[bucket];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (slice_start(v->c, middle) < ts)
			low = middle + 1;
		else
			high = middle;
	}
	if (v->ends)
		v->ends[bucket] = low;
	return low;
}

static bool view_lane(struct view *v, uint32_t depth, struct lane lane)
{
	const struct columns *c = v->c;
	uint32_t at = lane_find(c, lane.first, lane.end, v->first_id), end;

	if (at > lane.first && slice_end(c, c->lanes[at - 1]) > v->from && !add_cell(v, c->lanes[at - 1], depth, 1))
		return false;
	end = lane_find(c, at, lane.end, v->end_id);
	while (at < end) {
		uint32_t next = at + 1;

		if (v->bucket > 1)
			next = lane_find(c, next, end,
					 bucket_end(v, (slice_start(c, c->lanes[at]) - v->from) / v->bucket));
		if (!add_cell(v, next > at + 1 ? lane_longest(c, at, next) : c->lanes[at], depth, next - at))
			return false;
		at = next;
	}
	return true;
}

static struct dv_query_timeline *pack_cells(const struct view *v)
{
	size_t n = v->cells.n;
	struct dv_query_timeline *t = malloc(sizeof(*t) + n * (8 + 8 + 4 + 4 + 4 + 2 + 1));

	if (!t)
		return NULL;
	t->len = n;
	t->start_icount = (uint64_t *)(t + 1);
	t->dur_icount = t->start_icount + n;
	t->id = (uint32_t *)(t->dur_icount + n);
	t->function = t->id + n;
	t->count = t->function + n;
	t->depth = (uint16_t *)(t->count + n);
	t->kind = (uint8_t *)(t->depth + n);
	for (size_t i = 0; i < n; i++) {
		const struct cell *cell = &v->cells.v[i];

		t->start_icount[i] = cell->start;
		t->dur_icount[i] = cell->dur;
		t->id[i] = cell->id;
		t->function[i] = cell->function;
		t->count[i] = cell->count;
		t->depth[i] = cell->depth;
		t->kind[i] = cell->kind;
	}
	return t;
}

static struct dv_error *check_area(uint64_t from, uint64_t to)
{
	if (from > to)
		return dv_error_new(DV_ERROR_INVALID, "an area from %llu to %llu", (unsigned long long)from,
				    (unsigned long long)to);
	return NULL;
}

struct dv_error *dv_query_timeline(const struct dv_query *q, uint32_t track, uint64_t from_icount,
				   uint64_t to_icount, uint64_t bucket_icount, uint32_t max_depth,
				   struct dv_query_timeline **ret)
{
	struct view v = {.c = &q->c, .from = from_icount, .to = to_icount, .bucket = bucket_icount};
	uint64_t buckets;
	bool good = true;

	if (track >= q->c.n_tracks)
		return dv_error_new(DV_ERROR_INVALID, "there is no track %u", track);
	DV_TRY(check_area(from_icount, to_icount));
	if (v.to > q->c.last_icount && q->c.last_icount >= v.from)
		v.to = q->c.last_icount + 1;
	v.first_id = first_slice_at(&q->c, v.from);
	v.end_id = v.to < from_icount ? v.first_id : first_slice_at(&q->c, v.to);
	buckets = v.bucket > 1 ? (v.to - v.from) / v.bucket + 1 : 0;
	if (buckets && buckets <= MAX_INDEXED_BUCKETS) {
		v.ends = malloc(buckets * sizeof(*v.ends));
		if (!v.ends)
			return dv_error_no_memory();
		memset(v.ends, 0xff, buckets * sizeof(*v.ends));
	}
	for (uint32_t d = 0; d < q->c.tracks[track].depths && (!max_depth || d < max_depth) && good; d++)
		good = view_lane(&v, d, track_lane(&q->c, &q->c.tracks[track], d));
	if (good)
		*ret = pack_cells(&v);
	good = good && *ret;
	free(v.cells.v);
	free(v.ends);
	return good ? NULL : dv_error_no_memory();
}

/* Who ran */

struct spells_view {
	uint64_t from, to, bucket;
	DV_VEC(struct spell_row) cells;
	DV_VEC(uint32_t) counts;
	uint64_t last_bucket; /* of the last cell; UINT64_MAX: none that may take more */
};

static bool add_spell(struct spells_view *v, const struct spell_row *spell)
{
	uint64_t bucket = v->bucket && spell->start >= v->from ? (spell->start - v->from) / v->bucket : UINT64_MAX;
	struct spell_row *cell;
	uint32_t *count;

	if (spell->start >= v->to || (spell->end <= v->from && !spell->is_open))
		return true;
	if (bucket != UINT64_MAX && bucket == v->last_bucket) {
		cell = &v->cells.v[v->cells.n - 1];
		v->counts.v[v->counts.n - 1]++;
		if (spell->end - spell->start > cell->end - cell->start)
			*cell = *spell;
		return true;
	}
	v->last_bucket = bucket;
	cell = dv_vec_add(&v->cells);
	count = dv_vec_add(&v->counts);
	if (!cell || !count)
		return false;
	*cell = *spell;
	*count = 1;
	return true;
}

static struct dv_query_sched *pack_spells(const struct spells_view *v)
{
	size_t n = v->cells.n;
	struct dv_query_sched *s = malloc(sizeof(*s) + n * (8 + 8 + 4 + 4 + 4));

	if (!s)
		return NULL;
	s->len = n;
	s->start_icount = (uint64_t *)(s + 1);
	s->dur_icount = s->start_icount + n;
	s->utid = (uint32_t *)(s->dur_icount + n);
	s->cpu = s->utid + n;
	s->count = s->cpu + n;
	for (size_t i = 0; i < n; i++) {
		s->start_icount[i] = v->cells.v[i].start;
		s->dur_icount[i] = v->cells.v[i].end - v->cells.v[i].start;
		s->utid[i] = v->cells.v[i].utid;
		s->cpu[i] = v->cells.v[i].cpu;
		s->count[i] = v->counts.v[i];
	}
	return s;
}

static bool view_thread(const struct columns *c, struct spells_view *v, uint32_t cpu, uint32_t utid)
{
	const struct thread_row *thread = &c->threads[utid];
	bool good = true;

	for (uint32_t i = 0; i < thread->spells && good; i++) {
		const struct spell_row *spell = &c->spells[thread->first_spell + i];

		if (cpu == DV_QUERY_NONE || spell->cpu == cpu)
			good = add_spell(v, spell);
	}
	return good;
}

static bool view_cpus(const struct columns *c, struct spells_view *v, uint32_t cpu)
{
	uint32_t last = DV_QUERY_NONE;
	bool good = true;

	for (size_t i = 0; i < c->n_sched && good; i++) {
		const struct spell_row *spell = &c->spells[c->sched[i]];

		if (cpu != DV_QUERY_NONE && spell->cpu != cpu)
			continue;
		if (spell->cpu != last)
			v->last_bucket = UINT64_MAX;
		last = spell->cpu;
		good = add_spell(v, spell);
	}
	return good;
}

struct dv_error *dv_query_sched_timeline(const struct dv_query *q, uint32_t cpu, uint32_t utid,
					 uint64_t from_icount, uint64_t to_icount, uint64_t bucket_icount,
					 struct dv_query_sched **ret)
{
	struct spells_view v = {.from = from_icount, .to = to_icount, .bucket = bucket_icount,
				.last_bucket = UINT64_MAX};
	struct dv_query_sched *packed = NULL;
	bool good;

	DV_TRY(check_area(from_icount, to_icount));
	if (utid != DV_QUERY_NONE && utid >= q->c.n_threads)
		return dv_error_new(DV_ERROR_INVALID, "there is no utid %u", utid);
	good = utid == DV_QUERY_NONE ? view_cpus(&q->c, &v, cpu) : view_thread(&q->c, &v, cpu, utid);
	if (good)
		packed = pack_spells(&v);
	free(v.cells.v);
	free(v.counts.v);
	if (!packed)
		return dv_error_no_memory();
	*ret = packed;
	return NULL;
}
