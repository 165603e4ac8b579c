/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One slice and what is around it. */
#include "query/query_private.h"
#include "trace/format.h"

bool dv_query_slice(const struct dv_query *q, uint32_t id, struct dv_query_slice *ret)
{
	const struct columns *c = &q->c;

	if (id >= c->n)
		return false;
	*ret = (struct dv_query_slice){
		.id = id,
		.parent = c->parent[id],
		.track = c->track[id],
		.utid = c->tracks[c->track[id]].utid,
		.function = slice_function(c, id),
		.depth = c->depth[id],
		.kind = slice_kind(c, id),
		.start_icount = slice_start(c, id),
		.dur_icount = slice_dur(c, id),
		.cpu_icount = slice_cpu(c, id),
		.own_icount = slice_own(c, id),
	};
	return true;
}

uint32_t dv_query_slice_by_key(const struct dv_query *q, uint64_t start_icount, uint32_t utid, uint32_t depth)
{
	const struct columns *c = &q->c;

	for (uint32_t id = first_slice_at(c, start_icount); id < c->n && slice_start(c, id) == start_icount; id++) {
		if (c->depth[id] == depth && c->tracks[c->track[id]].utid == utid)
			return id;
	}
	return DV_QUERY_NONE;
}

uint32_t dv_query_slice_by_tid(const struct dv_query *q, uint64_t start_icount, int64_t tid, uint32_t depth)
{
	const struct columns *c = &q->c;
	uint32_t only = DV_QUERY_NONE, count = 0;

	for (uint32_t id = first_slice_at(c, start_icount); id < c->n && slice_start(c, id) == start_icount; id++) {
		uint32_t utid = c->tracks[c->track[id]].utid;

		if (tid >= 0 && (utid == DV_QUERY_NONE || q->threads[utid].tid != tid))
			continue;
		if (c->depth[id] == depth)
			return id;
		only = id;
		count++;
	}
	return count == 1 ? only : DV_QUERY_NONE;
}

uint32_t dv_query_id_at(const struct dv_query *q, uint64_t icount)
{
	return first_slice_at(&q->c, icount);
}

size_t dv_query_stack_at(const struct dv_query *q, uint32_t track, uint64_t icount, uint32_t *ret, size_t max)
{
	const struct columns *c = &q->c;
	uint32_t later = icount == UINT64_MAX ? c->n : first_slice_at(c, icount + 1);
	size_t depth;

	if (track >= c->n_tracks)
		return 0;
	for (depth = 0; depth < c->tracks[track].depths; depth++) {
		struct lane lane = track_lane(c, &c->tracks[track], (uint32_t)depth);
		uint32_t at = lane_find(c, lane.first, lane.end, later);

		if (at == lane.first || slice_end(c, c->lanes[at - 1]) <= icount)
			break;
		if (depth < max)
			ret[depth] = c->lanes[at - 1];
	}
	return depth < max ? depth : max;
}

uint64_t dv_query_first_instruction(const struct dv_query *q, uint32_t id)
{
	const struct columns *c = &q->c;
	struct dv_query_slice slice = {0}, child;
	struct lane lane;
	uint64_t icount;

	if (!dv_query_slice(q, id, &slice) || slice.track >= c->n_tracks ||
	    slice.depth + 1 >= c->tracks[slice.track].depths)
		return slice.start_icount;
	lane = track_lane(c, &c->tracks[slice.track], slice.depth + 1);
	for (icount = slice.start_icount;; icount += child.dur_icount) {
		uint32_t at = lane_find(c, lane.first, lane.end, first_slice_at(c, icount + 1));

		if (at == lane.first || !dv_query_slice(q, c->lanes[at - 1], &child) || child.start_icount != icount ||
		    (child.kind != DV_SLICE_INTERRUPT && child.kind != DV_SLICE_EXCEPTION) || !child.dur_icount ||
		    child.dur_icount == DV_QUERY_OPEN)
			return icount;
	}
}

size_t dv_query_ancestors(const struct dv_query *q, uint32_t id, uint32_t *ret, size_t max)
{
	const struct columns *c = &q->c;
	size_t count = 0, skip;

	if (id >= c->n)
		return 0;
	for (uint32_t i = c->parent[id]; i != DV_QUERY_NONE; i = c->parent[i])
		count++;
	skip = count > max ? count - max : 0;
	count -= skip;
	max = count;
	for (uint32_t i = c->parent[id]; i != DV_QUERY_NONE && max; i = c->parent[i])
		ret[--max] = i;
	return count;
}

size_t dv_query_children(const struct dv_query *q, uint32_t id, uint32_t *ret, size_t max)
{
	const struct columns *c = &q->c;
	const struct track_row *track;
	struct lane lane;
	size_t count = 0;

	if (id >= c->n)
		return 0;
	track = &c->tracks[c->track[id]];
	if (c->depth[id] + 1u >= track->depths)
		return 0;
	lane = track_lane(c, track, c->depth[id] + 1u);
	for (uint32_t i = lane_find(c, lane.first, lane.end, id + 1); i < lane.end && c->parent[c->lanes[i]] == id; i++) {
		if (count < max)
			ret[count] = c->lanes[i];
		count++;
	}
	return count;
}

uint32_t dv_query_running_at(const struct dv_query *q, uint32_t cpu, uint64_t icount)
{
	const struct columns *c = &q->c;
	size_t low = 0, high = c->n_sched;
	const struct spell_row *spell;

	/* The last spell of the CPU that starts at icount or before. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		spell = &c->spells[c->sched[middle]];
		if (spell->cpu < cpu || (spell->cpu == cpu && spell->start <= icount))
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return DV_QUERY_NONE;
	spell = &c->spells[c->sched[low - 1]];
	if (spell->cpu != cpu || (spell->end <= icount && !spell->is_open))
		return DV_QUERY_NONE;
	return spell->utid;
}
