/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Statistics by function: of the whole trace from the loader, of an area from its tree of calls. */
#include <string.h>
#include "query/query_private.h"

static void add_tree(const struct dv_query_tree_node *nodes, size_t n, struct dv_query_function_stats *stats)
{
	for (size_t i = 1; i < n; i++) {
		const struct dv_query_tree_node *node = &nodes[i];
		struct dv_query_function_stats *s = &stats[node->function];
		uint32_t outer = node->parent;

		while (outer && nodes[outer].function != node->function)
			outer = nodes[outer].parent;
		s->calls += node->calls;
		s->own_icount += node->own_icount;
		if (outer)
			continue;
		s->total_icount += node->total_icount;
		s->elapsed_icount += node->elapsed_icount;
	}
}

static void add_extremes(const struct columns *c, const struct dv_query_area *area,
			 struct dv_query_function_stats *stats)
{
	uint32_t end = area->to_icount == UINT64_MAX ? c->n : first_slice_at(c, area->to_icount);

	for (uint32_t id = first_slice_at(c, area->from_icount); id < end; id++) {
		const struct track_row *track = &c->tracks[c->track[id]];
		struct dv_query_function_stats *s = &stats[slice_function(c, id)];
		uint64_t cpu;

		if ((area->utid != DV_QUERY_NONE && track->utid != area->utid) ||
		    (area->upid != DV_QUERY_NONE && track->upid != area->upid))
			continue;
		cpu = slice_cpu(c, id);
		if (cpu < s->min_icount)
			s->min_icount = cpu;
		if (cpu > s->max_icount)
			s->max_icount = cpu;
	}
}

static struct dv_error *area_stats(const struct dv_query *q, const struct dv_query_area *area,
				   const volatile bool *cancel, struct dv_query_function_stats *stats)
{
	struct dv_query_tree_node *nodes;
	size_t n;

	DV_TRY(dv_query_tree(q, DV_TREE_FLAMEGRAPH, 0, area, 0, UINT32_MAX, cancel, &nodes, &n));
	for (uint32_t f = 0; f < q->c.n_functions; f++)
		stats[f].min_icount = UINT64_MAX;
	add_tree(nodes, n, stats);
	free(nodes);
	add_extremes(&q->c, area, stats);
	for (uint32_t f = 0; f < q->c.n_functions; f++) {
		if (stats[f].min_icount == UINT64_MAX)
			stats[f].min_icount = 0;
	}
	return NULL;
}

static void whole_stats(const struct columns *c, struct dv_query_function_stats *stats)
{
	for (size_t f = 0; f < c->n_stats; f++) {
		const struct stats_row *row = &c->stats[f];

		stats[f].calls = row->calls;
		stats[f].own_icount = row->own;
		stats[f].total_icount = row->total;
		stats[f].elapsed_icount = row->elapsed;
		stats[f].min_icount = row->min;
		stats[f].max_icount = row->max;
	}
}

struct dv_error *dv_query_function_stats(const struct dv_query *q, const struct dv_query_area *area,
					 const volatile bool *cancel, struct dv_query_function_stats **ret,
					 size_t *ret_len)
{
	const struct dv_query_area a = area ? *area : DV_QUERY_WHOLE;
	bool is_whole = a.from_icount <= q->c.first_icount && a.to_icount > q->c.last_icount &&
			a.utid == DV_QUERY_NONE && a.upid == DV_QUERY_NONE;
	struct dv_query_function_stats *stats = calloc(q->c.n_functions + 1, sizeof(*stats));
	struct dv_error *err = NULL;
	size_t n = 0;

	if (!stats)
		return dv_error_no_memory();
	if (is_whole)
		whole_stats(&q->c, stats);
	else
		err = area_stats(q, &a, cancel, stats);
	if (err) {
		free(stats);
		return err;
	}
	for (uint32_t f = 0; f < q->c.n_functions; f++) {
		if (!stats[f].calls && !stats[f].elapsed_icount)
			continue;
		stats[n] = stats[f];
		stats[n++].function = f;
	}
	*ret = stats;
	*ret_len = n;
	return NULL;
}
