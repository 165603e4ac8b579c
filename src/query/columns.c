/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loaded trace's arrays: see columns.h. */
#include "query/columns.h"

#include <string.h>
#include <sys/mman.h>

const struct column_meta column_metas[] = {
#define COLUMN(name, type) {#name, sizeof(type), offsetof(struct columns, name), offsetof(struct columns, n_##name)},
#include "query/columns.def"
#undef COLUMN
};
const size_t column_meta_count = DV_ARRAY_SIZE(column_metas);

static size_t column_room(size_t count, size_t size)
{
	return (count * size + 4095) & ~(size_t)4095;
}

void *column_alloc(size_t count, size_t size)
{
	size_t bytes = column_room(count ? count : 1, size);
	void *column = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (column == MAP_FAILED)
		return NULL;
	if (bytes >= 8u << 20)
		madvise(column, bytes, MADV_HUGEPAGE); /* a hint: without it only the page faults cost more */
	return column;
}

void column_free(void *column, size_t count, size_t size)
{
	if (column)
		munmap(column, column_room(count ? count : 1, size));
}

static void shrink(void *column, size_t *n, size_t room, size_t count, size_t size)
{
	size_t have = column_room(room ? room : 1, size), need = column_room(count ? count : 1, size);

	if (have > need)
		munmap((char *)column + need, have - need);
	*n = count;
}

void columns_shrink(struct columns *c, uint32_t room)
{
	shrink(c->dur, &c->n_dur, room, c->n, sizeof(*c->dur));
	shrink(c->call, &c->n_call, room, c->n, sizeof(*c->call));
	shrink(c->depth, &c->n_depth, room, c->n, sizeof(*c->depth));
	shrink(c->track, &c->n_track, room, c->n, sizeof(*c->track));
	shrink(c->parent, &c->n_parent, room, c->n, sizeof(*c->parent));
	shrink(c->own, &c->n_own, room, c->n, sizeof(*c->own));
}

void columns_count_stats(struct columns *c)
{
	memset(c->stats, 0, c->n_stats * sizeof(*c->stats));
	for (uint32_t id = 0; id < c->n; id++) {
		struct stats_row *row = &c->stats[slice_function(c, id)];
		uint64_t cpu = slice_cpu(c, id);

		if (!row->calls++ || cpu < row->min)
			row->min = cpu;
		if (cpu > row->max)
			row->max = cpu;
		row->own += slice_own(c, id);
		if (c->call[id] & CALL_RECURSIVE)
			continue;
		row->total += cpu;
		row->elapsed += slice_elapsed(c, id);
	}
}

void columns_deinit(struct columns *c)
{
	if (c->mapping) {
		munmap(c->mapping, c->mapping_len);
	} else {
#define COLUMN(name, type) column_free(c->name, c->n_##name, sizeof(type));
#include "query/columns.def"
#undef COLUMN
	}
	free(c->damage);
	*c = (struct columns){0};
}

uint64_t columns_bytes(const struct columns *c)
{
	uint64_t bytes = 0;

#define COLUMN(name, type) bytes += c->n_##name * sizeof(type);
#include "query/columns.def"
#undef COLUMN
	return bytes;
}

uint64_t big_value_find(const struct big_value *values, size_t n, uint32_t id)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (values[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && values[low].id == id ? values[low].value : 0;
}

uint32_t first_slice_at(const struct columns *c, uint64_t ts)
{
	uint32_t low = 0, high = c->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (slice_start(c, middle) < ts)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t thread_cpu_until(const struct columns *c, uint32_t utid, uint64_t ts)
{
	const struct thread_row *thread = &c->threads[utid];
	const struct spell_row *spells = &c->spells[thread->first_spell];
	uint32_t low = 0, high = thread->spells;

	if (!columns_know_cpu(c))
		return ts;
	/* The last spell that starts at ts or before. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (spells[middle].start <= ts)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return 0;
	spells += low - 1;
	return spells->before + (ts < spells->end ? ts : spells->end) - spells->start;
}

uint64_t slice_cpu(const struct columns *c, uint32_t id)
{
	const struct track_row *track = &c->tracks[c->track[id]];
	uint64_t start = slice_start(c, id), end = slice_end(c, id), from, until;

	if (end == UINT64_MAX)
		end = c->last_icount > start ? c->last_icount : start;
	if (track->utid == DV_QUERY_NONE || !columns_know_cpu(c))
		return end - start;
	from = thread_cpu_until(c, track->utid, start);
	until = thread_cpu_until(c, track->utid, end);
	return until > from ? until - from : 0;
}

uint32_t lane_find(const struct columns *c, uint32_t first, uint32_t end, uint32_t id)
{
	uint32_t step = 1, low = first, high;

	/* Galloping: who asks goes through the lane in order, and the next one is near. */
	while (low < end && c->lanes[low] < id) {
		first = low + 1;
		low = end - low > step ? low + step : end;
		step *= 2;
	}
	high = low;
	low = first;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (c->lanes[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of two, the first unless the second is longer. */
static inline uint32_t longer(const struct columns *c, uint32_t a, uint32_t b)
{
	uint32_t dur_a = c->dur[a], dur_b = c->dur[b];

	if (__builtin_expect(dur_a < DUR_BIG && dur_b < DUR_BIG, 1))
		return dur_b > dur_a ? b : a;
	return slice_dur(c, b) > slice_dur(c, a) ? b : a;
}

uint32_t lane_longest(const struct columns *c, uint32_t first, uint32_t end)
{
	const uint32_t *ids = c->lanes;
	uint32_t best = ids[first], last = ids[end - 1], level = 0;
	uint32_t tail = last;

	/*
	 * Level by level, what sticks out of whole groups at either side. Ties: the front goes from the
	 * first on, the tail from the last back, so that equals are settled by id at the end.
	 */
	while (first < end) {
		while (first < end && (first % LANE_GROUP || level == c->level_count)) {
			best = longer(c, best, ids[first]);
			first++;
		}
		while (first < end && end % LANE_GROUP) {
			end--;
			if (ids[end] != tail && slice_dur(c, ids[end]) >= slice_dur(c, tail))
				tail = ids[end];
		}
		if (first >= end)
			break;
		first /= LANE_GROUP;
		end /= LANE_GROUP;
		ids = c->longest + c->longest_levels[level++];
	}
	return longer(c, best, tail);
}
