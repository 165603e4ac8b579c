/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Table functions whose rows are made for their arguments: statistics, trees, timelines. */
#include <string.h>
#include "query/vtab.h"

static struct dv_query_area area_of(const struct cursor *c)
{
	struct dv_query_area area = DV_QUERY_WHOLE;

	if (c->has_arg[0] && c->args[0] > 0)
		area.from_icount = (uint64_t)c->args[0];
	if (c->has_arg[1])
		area.to_icount = c->args[1] < 0 ? 0 : (uint64_t)c->args[1];
	if (c->has_arg[2])
		area.utid = c->args[2] < 0 || c->args[2] >= (int64_t)c->table->q->c.n_threads ? DV_QUERY_NONE - 1 :
												(uint32_t)c->args[2];
	return area;
}

bool functions_named(const struct dv_query *q, const char *name, uint32_t *ret_first, uint32_t *ret_end)
{
	uint32_t low = 0, high = q->info.functions, end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(q->functions[middle].slice_name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < q->info.functions && !strcmp(q->functions[end].slice_name, name); end++)
		;
	for (uint32_t f = 0; end == low && f < q->info.functions; f++) {
		if (strcmp(q->functions[f].name, name))
			continue;
		low = f;
		end = f + 1;
	}
	*ret_first = low;
	*ret_end = end;
	return low < end;
}

/* The nearest thing to a wrong name that there is: what contains it. */
static const char *alike(const struct dv_query *q, const char *name)
{
	for (uint32_t f = 0; *name && f < q->info.functions; f++) {
		if (strcasestr(q->functions[f].slice_name, name))
			return q->functions[f].slice_name;
	}
	return NULL;
}

/* cancel is a flag that someone else sets; here it is asked. */
static struct dv_error *make_tree(struct cursor *c, enum dv_query_tree_kind kind, uint32_t first, uint32_t end,
				  const struct dv_query_area *area, uint32_t max_depth)
{
	size_t n = 0;

	DV_TRY(query_tree(c->table->q, kind, first, end, area, max_depth, 0,
			  (const volatile bool *)&c->table->sql->interrupted, &c->nodes, &n));
	c->end = n;
	return NULL;
}

static int filter_calls(struct cursor *c, enum source source)
{
	const struct dv_query *q = c->table->q;
	const char *name = c->table->def->doc->name, *like;
	uint32_t first = 0, end = 0, max_depth = 0;
	struct dv_error *err;

	if (c->text_arg) {
		functions_named(q, c->text_arg, &first, &end);
	} else if (c->has_arg[0] && c->args[0] >= 0 && c->args[0] < q->info.functions) {
		first = (uint32_t)c->args[0];
		end = first + 1;
	} else if (!c->has_arg[0]) {
		return table_errorf(c->table, "%s needs a function: %s('vfs_read')", name, name);
	}
	if (first == end) {
		like = c->text_arg ? alike(q, c->text_arg) : NULL;
		return table_errorf(c->table, "%s: no function '%s' was called%s%s%s", name, c->text_arg ? c->text_arg : "",
				    like ? "; there is '" : "", like ? like : "", like ? "'" : "");
	}
	if (c->has_arg[1])
		max_depth = c->args[1] < 0 || c->args[1] > 0xffff ? 0 : (uint32_t)c->args[1] + 1;
	err = make_tree(c, source == SOURCE_CALLERS ? DV_TREE_CALLERS : DV_TREE_CALLEES, first, end, NULL, max_depth);
	if (err)
		return table_error(c->table, err);
	/* The root only gathers functions of one name: with one of them it is left out. */
	c->row = 1;
	return SQLITE_OK;
}

static int filter_timeline(struct cursor *c)
{
	const struct dv_query *q = c->table->q;
	uint64_t from = c->has_arg[1] && c->args[1] > 0 ? (uint64_t)c->args[1] : 0;
	uint64_t to = !c->has_arg[2] ? UINT64_MAX : c->args[2] > 0 ? (uint64_t)c->args[2] : 0;
	struct dv_error *err;

	if (!c->has_arg[0])
		return table_errorf(c->table, "timeline needs a track: timeline(track, from, to, bucket)");
	if (c->args[0] < 0 || c->args[0] >= (int64_t)q->c.n_tracks)
		return SQLITE_OK;
	err = dv_query_timeline(q, (uint32_t)c->args[0], from, to < from ? from : to,
				c->has_arg[3] && c->args[3] > 0 ? (uint64_t)c->args[3] : 0, 0, &c->cells);
	if (err)
		return table_error(c->table, err);
	c->end = c->cells->len;
	return SQLITE_OK;
}

static int filter(struct cursor *c, int order, const struct constraint *constraints, int count)
{
	struct dv_query_area area = area_of(c);
	struct dv_error *err;
	size_t n = 0;

	switch (c->table->def->source) {
	case SOURCE_FUNCTION_STATS:
		err = dv_query_function_stats(c->table->q, &area, (const volatile bool *)&c->table->sql->interrupted,
					      &c->stats, &n);
		c->end = n;
		break;
	case SOURCE_FLAMEGRAPH:
		err = make_tree(c, DV_TREE_FLAMEGRAPH, 0, 0, &area, 0);
		break;
	case SOURCE_TIMELINE:
		return filter_timeline(c);
	default:
		return filter_calls(c, c->table->def->source);
	}
	return err ? table_error(c->table, err) : SQLITE_OK;
}

static int next(struct cursor *c)
{
	return SQLITE_OK;
}

static void stat_column(sqlite3_context *ctx, const struct dv_query *q, const struct dv_query_function_stats *s,
			enum value value)
{
	switch (value) {
	case STAT_FUNCTION:
		sqlite3_result_int64(ctx, s->function);
		break;
	case STAT_NAME:
		result_string(ctx, q->functions[s->function].slice_name);
		break;
	case STAT_MODULE:
		result_string(ctx, q->functions[s->function].module);
		break;
	case STAT_CALLS:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->calls);
		break;
	case STAT_OWN:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->own_icount);
		break;
	case STAT_TOTAL:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->total_icount);
		break;
	case STAT_ELAPSED:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->elapsed_icount);
		break;
	case STAT_MIN:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->min_icount);
		break;
	default:
		sqlite3_result_int64(ctx, (sqlite3_int64)s->max_icount);
	}
}

/* Callers and callees begin at node 1, which is the function itself. */
static void node_column(sqlite3_context *ctx, const struct cursor *c, enum value value)
{
	const struct dv_query_tree_node *node = &c->nodes[c->row];
	uint32_t skip = c->table->def->source != SOURCE_FLAMEGRAPH;

	switch (value) {
	case ROW:
		sqlite3_result_int64(ctx, (sqlite3_int64)(c->row - skip));
		break;
	case NODE_PARENT:
		result_row(ctx, node->depth <= skip ? DV_QUERY_NONE : node->parent - skip);
		break;
	case NODE_DEPTH:
		sqlite3_result_int64(ctx, node->depth - skip);
		break;
	case NODE_NAME:
		result_string(ctx, node->function == DV_QUERY_NONE ? "all" :
								     c->table->q->functions[node->function].slice_name);
		break;
	case NODE_FUNCTION:
		result_row(ctx, node->function);
		break;
	case NODE_CALLS:
		sqlite3_result_int64(ctx, (sqlite3_int64)node->calls);
		break;
	case NODE_OWN:
		sqlite3_result_int64(ctx, (sqlite3_int64)node->own_icount);
		break;
	default:
		sqlite3_result_int64(ctx, (sqlite3_int64)node->total_icount);
	}
}

static void cell_column(sqlite3_context *ctx, const struct cursor *c, enum value value)
{
	const struct dv_query_timeline *t = c->cells;

	switch (value) {
	case CELL_DEPTH:
		sqlite3_result_int(ctx, t->depth[c->row]);
		break;
	case CELL_TS:
		sqlite3_result_int64(ctx, (sqlite3_int64)t->start_icount[c->row]);
		break;
	case CELL_DUR:
		result_dur(ctx, t->dur_icount[c->row]);
		break;
	case CELL_SLICE:
		sqlite3_result_int64(ctx, t->id[c->row]);
		break;
	case CELL_NAME:
		result_string(ctx, c->table->q->functions[t->function[c->row]].slice_name);
		break;
	default:
		sqlite3_result_int64(ctx, t->count[c->row]);
	}
}

static void column(sqlite3_context *ctx, struct cursor *c, enum value value)
{
	if (c->stats && value != ROW && (value < ARG_1 || value > ARG_4))
		stat_column(ctx, c->table->q, &c->stats[c->row], value);
	else if (c->nodes && (value < ARG_1 || value > ARG_4))
		node_column(ctx, c, value);
	else if (c->cells && (value < ARG_1 || value > ARG_4))
		cell_column(ctx, c, value);
}

const struct source_ops made_ops = {NULL, filter, next, column};
