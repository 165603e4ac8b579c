/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Order, starts, lanes: see finish.h. */
#include "query/finish.h"

#include <string.h>
#include "query/parallel.h"

/* Order */

static bool is_sorted(const uint64_t *start, uint32_t n)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (start[i] < before)
			return false;
		before = start[i];
	}
	return true;
}

/* Merges two neighbouring runs of order from `from` into `to`; of equals those of the first run lead. */
static void merge(const uint64_t *key, const uint32_t *from, uint32_t *to, uint32_t a, uint32_t middle, uint32_t end)
{
	uint32_t b = middle, out = a;

	while (a < middle && b < end)
		to[out++] = key[from[b]] < key[from[a]] ? from[b++] : from[a++];
	memcpy(to + out, from + a, (middle - a) * sizeof(*to));
	out += middle - a;
	memcpy(to + out, from + b, (end - b) * sizeof(*to));
}

static uint32_t run_end(const uint64_t *key, const uint32_t *order, uint32_t i, uint32_t n)
{
	for (i++; i < n && key[order[i]] >= key[order[i - 1]]; i++)
		;
	return i;
}

/* A natural merge sort: what is nearly in order, as traces are, has few runs. Returns the sorted one. */
static uint32_t *sort_order(const uint64_t *key, uint32_t *order, uint32_t *other, uint32_t n)
{
	for (;;) {
		uint32_t at = 0, runs = 0, *swap = order;

		while (at < n) {
			uint32_t middle = run_end(key, order, at, n), end = middle;

			if (middle < n)
				end = run_end(key, order, middle, n);
			merge(key, order, other, at, middle, end);
			at = end;
			runs++;
		}
		order = other;
		other = swap;
		if (runs <= 1)
			return order;
	}
}

static int by_id(const void *a, const void *b)
{
	const struct big_value *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void renumber_big(struct big_value *values, size_t n, const uint32_t *new_id)
{
	for (size_t i = 0; i < n; i++)
		values[i].id = new_id[values[i].id];
}

#define REORDER(column)                                                               \
	do {                                                                          \
		__typeof__(column) fresh = column_alloc(n, sizeof(*(column)));        \
		if (!fresh)                                                           \
			return dv_error_no_memory();                                  \
		for (uint32_t i = 0; i < n; i++)                                      \
			fresh[i] = (column)[order[i]];                                \
		column_free(column, n, sizeof(*(column)));                            \
		(column) = fresh;                                                     \
	} while (0)

static struct dv_error *apply_order(struct columns *c, uint64_t *start, const uint32_t *order, uint32_t *new_id)
{
	uint32_t n = c->n;
	uint64_t *sorted;

	for (uint32_t i = 0; i < n; i++)
		new_id[order[i]] = i;
	for (uint32_t i = 0; i < n; i++) {
		if (c->parent[i] != DV_QUERY_NONE)
			c->parent[i] = new_id[c->parent[i]];
	}
	REORDER(c->dur);
	REORDER(c->call);
	REORDER(c->depth);
	REORDER(c->track);
	REORDER(c->parent);
	REORDER(c->own);
	renumber_big(c->big_dur, c->n_big_dur, new_id);
	renumber_big(c->big_own, c->n_big_own, new_id);
	for (size_t i = 0; i < c->n_slice_args; i++)
		c->slice_args[i].id = new_id[c->slice_args[i].id];
	for (size_t i = 0; i < c->n_flows; i++) {
		c->flows[i].from = new_id[c->flows[i].from];
		c->flows[i].to = new_id[c->flows[i].to];
	}
	sorted = column_alloc(n, sizeof(*sorted));
	if (!sorted)
		return dv_error_no_memory();
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = start[order[i]];
	memcpy(start, sorted, n * sizeof(*sorted));
	column_free(sorted, n, sizeof(*sorted));
	return NULL;
}

static int by_slice(const void *a, const void *b)
{
	const struct slice_args_row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct dv_error *sort_slices(struct columns *c, uint64_t *start)
{
	uint32_t n = c->n, *order = column_alloc(n, sizeof(*order)), *other = column_alloc(n, sizeof(*other));
	uint32_t *sorted;
	struct dv_error *err = dv_error_no_memory();

	if (order && other) {
		for (uint32_t i = 0; i < n; i++)
			order[i] = i;
		sorted = sort_order(start, order, other, n);
		err = apply_order(c, start, sorted, sorted == order ? other : order);
	}
	column_free(order, n, sizeof(*order));
	column_free(other, n, sizeof(*other));
	return err;
}

/* Starts */

static struct dv_error *make_starts(struct columns *c, const uint64_t *start)
{
	uint32_t n = c->n, groups = (n + START_GROUP - 1) / START_GROUP, far = 0;

	for (uint32_t g = 0; g < groups; g++) {
		uint32_t last = (g + 1) * START_GROUP - 1 < n ? (g + 1) * START_GROUP - 1 : n - 1;

		far += start[last] - start[g * START_GROUP] > UINT32_MAX;
	}
	c->start = column_alloc(n, sizeof(*c->start));
	c->n_start = n;
	c->base = column_alloc(groups, sizeof(*c->base));
	c->n_base = groups;
	c->n_far = (size_t)far * START_GROUP;
	c->far = column_alloc(c->n_far, sizeof(*c->far));
	if (!c->start || !c->base || !c->far)
		return dv_error_no_memory();
	far = 0;
	for (uint32_t g = 0; g < groups; g++) {
		uint32_t first = g * START_GROUP, end = first + START_GROUP < n ? first + START_GROUP : n;

		if (start[end - 1] - start[first] <= UINT32_MAX) {
			c->base[g] = start[first];
			for (uint32_t i = first; i < end; i++)
				c->start[i] = (uint32_t)(start[i] - start[first]);
		} else {
			c->base[g] = FAR_GROUP | far;
			memcpy(c->far + far, start + first, (end - first) * sizeof(*start));
			far += START_GROUP;
		}
	}
	return NULL;
}

/* Lanes */

struct lane_pass {
	struct columns *c;
	uint32_t *depths[PARALLEL_MAX]; /* by track: one more than the deepest */
	uint32_t *counts[PARALLEL_MAX]; /* by lane; then where its next element goes */
};

static void find_depths(void *context, unsigned worker, unsigned workers)
{
	struct lane_pass *p = context;
	uint32_t *depths = p->depths[worker], i, end;

	for (end = parallel_part(p->c->n, worker, workers, &i); i < end; i++) {
		uint32_t *depth = &depths[p->c->track[i]];

		if (*depth <= p->c->depth[i])
			*depth = p->c->depth[i] + 1u;
	}
}

static void count_lanes(void *context, unsigned worker, unsigned workers)
{
	struct lane_pass *p = context;
	uint32_t *counts = p->counts[worker], i, end;

	for (end = parallel_part(p->c->n, worker, workers, &i); i < end; i++)
		counts[p->c->tracks[p->c->track[i]].first_lane + p->c->depth[i]]++;
}

static void fill_lanes(void *context, unsigned worker, unsigned workers)
{
	struct lane_pass *p = context;
	uint32_t *next = p->counts[worker], i, end;

	for (end = parallel_part(p->c->n, worker, workers, &i); i < end; i++)
		p->c->lanes[next[p->c->tracks[p->c->track[i]].first_lane + p->c->depth[i]]++] = i;
}

/* Sets the tracks' lanes; returns how many there are. */
static uint32_t number_lanes(struct lane_pass *p, unsigned workers)
{
	struct columns *c = p->c;
	uint32_t lanes = 0;

	for (size_t t = 0; t < c->n_tracks; t++) {
		uint32_t depths = 0;

		for (unsigned w = 0; w < workers; w++) {
			if (p->depths[w][t] > depths)
				depths = p->depths[w][t];
		}
		c->tracks[t].first_lane = lanes;
		c->tracks[t].depths = depths;
		if (depths && depths - 1 > c->max_depth)
			c->max_depth = depths - 1;
		lanes += depths;
	}
	return lanes;
}

/* From counts per worker to the place of each worker's first element. */
static void place_lanes(struct lane_pass *p, uint32_t lanes, unsigned workers)
{
	uint32_t place = 0;

	for (uint32_t lane = 0; lane < lanes; lane++) {
		p->c->lane_first[lane] = place;
		for (unsigned w = 0; w < workers; w++) {
			uint32_t count = p->counts[w][lane];

			p->counts[w][lane] = place;
			place += count;
		}
	}
	p->c->lane_first[lanes] = place;
	for (size_t t = 0; t < p->c->n_tracks; t++) {
		struct track_row *track = &p->c->tracks[t];

		track->slices = p->c->lane_first[track->first_lane + track->depths] - p->c->lane_first[track->first_lane];
	}
}

static struct dv_error *run_lanes(struct lane_pass *p, unsigned workers)
{
	struct columns *c = p->c;
	uint32_t lanes;

	for (unsigned w = 0; w < workers; w++) {
		p->depths[w] = calloc(c->n_tracks + 1, sizeof(**p->depths));
		if (!p->depths[w])
			return dv_error_no_memory();
	}
	parallel_run(workers, find_depths, p);
	lanes = number_lanes(p, workers);
	for (unsigned w = 0; w < workers; w++) {
		p->counts[w] = calloc(lanes + 1, sizeof(**p->counts));
		if (!p->counts[w])
			return dv_error_no_memory();
	}
	c->lanes = column_alloc(c->n, sizeof(*c->lanes));
	c->n_lanes = c->n;
	c->lane_first = column_alloc(lanes + 1, sizeof(*c->lane_first));
	c->n_lane_first = lanes + 1;
	if (!c->lanes || !c->lane_first)
		return dv_error_no_memory();
	parallel_run(workers, count_lanes, p);
	place_lanes(p, lanes, workers);
	parallel_run(workers, fill_lanes, p);
	return NULL;
}

static struct dv_error *make_lanes(struct columns *c, unsigned workers)
{
	struct lane_pass p = {.c = c};
	struct dv_error *err = run_lanes(&p, workers);

	for (unsigned w = 0; w < workers; w++) {
		free(p.depths[w]);
		free(p.counts[w]);
	}
	return err;
}

/* The longest of each group */

struct longest_pass {
	struct columns *c;
	const uint32_t *from;
	uint32_t *to, count; /* count: of from */
};

static void find_longest(void *context, unsigned worker, unsigned workers)
{
	struct longest_pass *p = context;
	uint32_t groups = (p->count + LANE_GROUP - 1) / LANE_GROUP, g, end;

	for (end = parallel_part(groups, worker, workers, &g); g < end; g++) {
		uint32_t first = g * LANE_GROUP, stop = first + LANE_GROUP < p->count ? first + LANE_GROUP : p->count;
		uint32_t best = p->from[first];
		uint64_t dur = slice_dur(p->c, best);

		for (uint32_t i = first + 1; i < stop; i++) {
			uint64_t other = slice_dur(p->c, p->from[i]);

			if (other > dur) {
				dur = other;
				best = p->from[i];
			}
		}
		p->to[g] = best;
	}
}

static struct dv_error *make_longest(struct columns *c, unsigned workers)
{
	struct longest_pass p = {.c = c, .from = c->lanes, .count = c->n};
	uint32_t room = 0;

	for (uint32_t count = c->n; count > LANE_GROUP; count = (count + LANE_GROUP - 1) / LANE_GROUP) {
		c->longest_levels[c->level_count++] = room;
		room += (count + LANE_GROUP - 1) / LANE_GROUP;
	}
	c->longest = column_alloc(room, sizeof(*c->longest));
	c->n_longest = room;
	if (!c->longest)
		return dv_error_no_memory();
	for (uint32_t level = 0; level < c->level_count; level++) {
		p.to = c->longest + c->longest_levels[level];
		parallel_run(p.count > 65536 ? workers : 1, find_longest, &p);
		p.from = p.to;
		p.count = (p.count + LANE_GROUP - 1) / LANE_GROUP;
	}
	return NULL;
}

struct dv_error *columns_finish(struct columns *c, uint64_t *start, unsigned workers)
{
	if (!is_sorted(start, c->n))
		DV_TRY(sort_slices(c, start));
	if (c->n_big_dur)
		qsort(c->big_dur, c->n_big_dur, sizeof(*c->big_dur), by_id);
	if (c->n_big_own)
		qsort(c->big_own, c->n_big_own, sizeof(*c->big_own), by_id);
	if (c->n_slice_args)
		qsort(c->slice_args, c->n_slice_args, sizeof(*c->slice_args), by_slice);
	DV_TRY(make_starts(c, start));
	DV_TRY(make_lanes(c, workers));
	return make_longest(c, workers);
}
