/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables whose rows are slices. What a query wants of id, ts, track, depth, parent, name, function and dur
 * is looked up where there is an order for it (ids are in the order of ts; lanes; slices by function), and
 * else checked on the columns, slice by slice, which SQLite would do many times slower. SQLite checks all
 * of it once more.
 */
#include <string.h>
#include "query/vtab.h"

#define CHECK_EVERY 65536u

/* Planning */

static bool is_range(unsigned char op)
{
	return op == SQLITE_INDEX_CONSTRAINT_GT || op == SQLITE_INDEX_CONSTRAINT_GE || op == SQLITE_INDEX_CONSTRAINT_LT ||
	       op == SQLITE_INDEX_CONSTRAINT_LE;
}

/* How much of all slices such a constraint leaves, about; 0: it is of no use. */
static double share_left(const struct dv_query *q, enum value value, unsigned char op)
{
	bool eq = op == SQLITE_INDEX_CONSTRAINT_EQ, range = is_range(op);
	double all = q->c.n + 1.0;

	switch (value) {
	case SLICE_ID:
		return eq ? 1 / all : range ? 0.25 : 0;
	case SLICE_TS:
		return eq ? 2 / all : range ? 0.25 : 0;
	case SLICE_PARENT:
		return eq ? 10 / all : 0;
	case SLICE_FUNCTION:
	case SLICE_NAME:
		if (op == SQLITE_INDEX_CONSTRAINT_GLOB && value == SLICE_NAME)
			return 0.1;
		return eq ? 1.0 / ((double)q->c.n_functions + 1) : 0;
	case SLICE_TRACK:
	case SLICE_UTID:
		return eq ? 1.0 / ((double)q->c.n_tracks + 1) : 0;
	case SLICE_DEPTH:
		return eq ? 1.0 / (q->c.max_depth + 1.0) : range ? 0.5 : 0;
	case SLICE_DUR:
		return range ? 0.3 : 0;
	default:
		return 0;
	}
}

static void plan_order(struct table *t, sqlite3_index_info *info)
{
	int column = info->nOrderBy ? info->aOrderBy[0].iColumn : -1;
	enum value value = column >= 0 ? t->def->values[column] : SLICE_ID;
	bool desc = info->nOrderBy && info->aOrderBy[0].desc;

	if (!info->nOrderBy)
		return;
	if (value == SLICE_ID || (value == SLICE_TS && info->nOrderBy == 1)) {
		info->orderByConsumed = 1;
		info->idxNum = desc ? ORDER_REVERSE : 0;
	} else if (value == SLICE_TS && info->nOrderBy == 2 && info->aOrderBy[1].iColumn >= 0 &&
		   t->def->values[info->aOrderBy[1].iColumn] == SLICE_ID && info->aOrderBy[1].desc == desc) {
		info->orderByConsumed = 1;
		info->idxNum = desc ? ORDER_REVERSE : 0;
	} else if (value == SLICE_NAME && info->nOrderBy == 1 && !desc && info->estimatedRows > (int64_t)t->q->c.n / 4) {
		info->orderByConsumed = 1;
		info->idxNum = ORDER_BY_NAME;
	}
}

static void plan(struct table *t, sqlite3_index_info *info)
{
	double share = 1;

	if (t->def->source >= SOURCE_ANCESTORS)
		return;
	for (int i = 0; i < info->nConstraint; i++) {
		double left = share_left(t->q, constraint_value(t, info, i), info->aConstraint[i].op);

		if (!info->aConstraint[i].usable || !left)
			continue;
		plan_take(t, info, i);
		share *= left;
	}
	info->estimatedRows = (sqlite3_int64)(share * t->q->c.n) + 1;
	/* What is not wanted is skipped at a fiftieth of what a row costs. */
	info->estimatedCost = (double)info->estimatedRows + (share < 0.001 ? 0 : 0.02 * t->q->c.n);
	if (info->estimatedRows == 1)
		info->idxFlags = 0;
	plan_order(t, info);
}

/* Filtering */

/* An inclusive range of whole numbers that a constraint leaves; false: SQLite has to see to it. */
static bool range_of(const struct constraint *k, int64_t *ret_least, int64_t *ret_most)
{
	int type = sqlite3_value_type(k->is);
	int64_t is = sqlite3_value_int64(k->is);

	if (type != SQLITE_INTEGER)
		return false;
	*ret_least = INT64_MIN;
	*ret_most = INT64_MAX;
	switch (k->op) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
		*ret_least = *ret_most = is;
		return true;
	case SQLITE_INDEX_CONSTRAINT_GT:
		*ret_least = is == INT64_MAX ? is : is + 1;
		return true;
	case SQLITE_INDEX_CONSTRAINT_GE:
		*ret_least = is;
		return true;
	case SQLITE_INDEX_CONSTRAINT_LT:
		*ret_most = is == INT64_MIN ? is : is - 1;
		return true;
	case SQLITE_INDEX_CONSTRAINT_LE:
		*ret_most = is;
		return true;
	default:
		return false;
	}
}

static uint32_t clamp_row(int64_t x, uint32_t most)
{
	return x < 0 ? 0 : x > most ? most : (uint32_t)x;
}

static void take_ids(struct cursor *c, int64_t least, int64_t most)
{
	uint32_t n = c->table->q->c.n, first = clamp_row(least, n), end = most < 0 ? 0 : clamp_row(most, n - !!n) + !!n;

	if (first > c->first_id)
		c->first_id = first;
	if (end < c->end_id)
		c->end_id = end;
}

static void take_times(struct cursor *c, int64_t least, int64_t most)
{
	const struct columns *columns = &c->table->q->c;
	uint32_t first = least <= 0 ? 0 : first_slice_at(columns, (uint64_t)least);
	uint32_t end = most < 0 ? 0 : most == INT64_MAX ? columns->n : first_slice_at(columns, (uint64_t)most + 1);

	if (first > c->first_id)
		c->first_id = first;
	if (end < c->end_id)
		c->end_id = end;
}

/* What is wanted of functions becomes a set of bits; of two wishes both hold. */
static bool keep_functions(struct cursor *c, bool (*wanted)(const struct dv_query *q, uint32_t f, const void *what),
			   const void *what)
{
	const struct dv_query *q = c->table->q;
	size_t words = q->c.n_functions / 64 + 1;
	bool had = c->functions;

	if (!had)
		c->functions = calloc(words, sizeof(*c->functions));
	if (!c->functions)
		return false;
	for (uint32_t f = 0; f < q->c.n_functions; f++) {
		uint64_t bit = 1ull << f % 64;

		if ((had && !(c->functions[f / 64] & bit)) || !wanted(q, f, what))
			c->functions[f / 64] &= ~bit;
		else
			c->functions[f / 64] |= bit;
	}
	return true;
}

static bool is_named(const struct dv_query *q, uint32_t f, const void *what)
{
	return !strcmp(q->functions[f].slice_name, what);
}

static bool fits_glob(const struct dv_query *q, uint32_t f, const void *what)
{
	return !sqlite3_strglob(what, q->functions[f].slice_name);
}

static bool is_number(const struct dv_query *q, uint32_t f, const void *what)
{
	return f == *(const uint32_t *)what;
}

/* Texts are the names'; false when out of memory. */
static bool take_text(struct cursor *c, const struct constraint *k)
{
	const char *text = (const char *)sqlite3_value_text(k->is);

	if (k->value != SLICE_NAME || sqlite3_value_type(k->is) != SQLITE_TEXT || !text)
		return true;
	if (strlen(text) != (size_t)sqlite3_value_bytes(k->is))
		return true; /* a NUL within: SQLite sees to it */
	return keep_functions(c, k->op == SQLITE_INDEX_CONSTRAINT_GLOB ? fits_glob : is_named, text);
}

static bool take_constraint(struct cursor *c, const struct constraint *k)
{
	int64_t least, most;
	uint32_t function;

	if (sqlite3_value_type(k->is) == SQLITE_NULL) {
		c->end_id = 0; /* nothing compares with NULL */
		return true;
	}
	if (k->value == SLICE_NAME)
		return take_text(c, k);
	if (!range_of(k, &least, &most))
		return true;
	switch (k->value) {
	case SLICE_ID:
		take_ids(c, least, most);
		break;
	case SLICE_TS:
		take_times(c, least, most);
		break;
	case SLICE_PARENT:
		c->parent = clamp_row(least, DV_QUERY_NONE - 1);
		break;
	case SLICE_FUNCTION:
		function = clamp_row(least, DV_QUERY_NONE);
		return keep_functions(c, is_number, &function);
	case SLICE_TRACK:
		c->track = clamp_row(least, DV_QUERY_NONE - 1);
		break;
	case SLICE_UTID:
		c->utid = clamp_row(least, DV_QUERY_NONE - 1);
		break;
	case SLICE_DEPTH:
		if (clamp_row(least, UINT32_MAX) > c->first_depth)
			c->first_depth = clamp_row(least, UINT32_MAX);
		if (most < 0)
			c->end_id = 0;
		else if (most < c->last_depth)
			c->last_depth = (uint32_t)most;
		break;
	case SLICE_DUR: /* -1 is what SQL sees of one that never ended */
		if (most < 0 && least <= -1 && most >= -1)
			c->least_dur = DV_QUERY_OPEN;
		else if (least > 0 && (uint64_t)least > c->least_dur)
			c->least_dur = (uint64_t)least, c->most_dur = DV_QUERY_OPEN - 1;
		break;
	}
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void use_ids(struct cursor *c, const uint32_t *ids, size_t n)
{
	c->ids = ids;
	c->row = 0;
	c->end = n;
}

static bool use_own_ids(struct cursor *c, uint32_t *ids, size_t n)
{
	if (!ids)
		return false;
	c->own_ids = ids;
	use_ids(c, ids, n);
	return true;
}

/* The children of a slice: a range of its lane. */
static void use_children(struct cursor *c)
{
	const struct columns *columns = &c->table->q->c;
	const struct track_row *track;
	struct lane lane;
	uint32_t first, end;

	use_ids(c, columns->lanes, 0);
	if (c->parent >= columns->n)
		return;
	track = &columns->tracks[columns->track[c->parent]];
	if (columns->depth[c->parent] + 1u >= track->depths)
		return;
	lane = track_lane(columns, track, columns->depth[c->parent] + 1u);
	first = end = lane_find(columns, lane.first, lane.end, c->parent + 1);
	while (end < lane.end && columns->parent[columns->lanes[end]] == c->parent)
		end++;
	use_ids(c, columns->lanes + first, end - first);
}

static void use_lane(struct cursor *c)
{
	const struct columns *columns = &c->table->q->c;
	const struct track_row *track = &columns->tracks[c->track];
	struct lane lane = {0, 0};
	uint32_t first, end;

	if (c->first_depth < track->depths)
		lane = track_lane(columns, track, c->first_depth);
	first = lane_find(columns, lane.first, lane.end, c->first_id);
	end = lane_find(columns, first, lane.end, c->end_id);
	use_ids(c, columns->lanes + first, end - first);
}

/* A track with few slices in many: its lanes, brought into order. Else false. */
static bool use_track(struct cursor *c, bool *good)
{
	const struct columns *columns = &c->table->q->c;
	const struct track_row *track = &columns->tracks[c->track];
	uint32_t *ids, first;

	if (track->slices > (c->end_id - c->first_id) / 50)
		return false;
	ids = malloc((track->slices + 1) * sizeof(*ids));
	*good = ids;
	if (!ids)
		return true;
	first = columns->lane_first[track->first_lane];
	memcpy(ids, columns->lanes + first, track->slices * sizeof(*ids));
	qsort(ids, track->slices, sizeof(*ids), by_number);
	return use_own_ids(c, ids, track->slices);
}

/* The slices of functions that together have few. Else false. */
static bool use_functions(struct cursor *c, bool *good)
{
	const struct columns *columns = &c->table->q->c;
	const struct by_function *by;
	uint32_t *ids, functions = 0, last = 0;
	uint64_t calls = 0;
	size_t n = 0;

	for (uint32_t f = 0; f < columns->n_functions; f++) {
		if (c->functions[f / 64] >> f % 64 & 1) {
			calls += columns->stats[f].calls;
			functions++;
			last = f;
		}
	}
	if (functions > 1 && calls > (c->end_id - c->first_id) / 50)
		return false;
	by = query_by_function(c->table->q);
	*good = by;
	if (!by)
		return true;
	if (functions <= 1) {
		use_ids(c, by->ids + (functions ? by->first[last] : 0), functions ? by->first[last + 1] - by->first[last] : 0);
		return true;
	}
	ids = malloc((calls + 1) * sizeof(*ids));
	*good = ids;
	for (uint32_t f = 0; ids && f < columns->n_functions; f++) {
		uint32_t count = by->first[f + 1] - by->first[f];

		if (!(c->functions[f / 64] >> f % 64 & 1) || n + count > calls)
			continue;
		memcpy(ids + n, by->ids + by->first[f], count * sizeof(*ids));
		n += count;
	}
	if (ids)
		qsort(ids, n, sizeof(*ids), by_number);
	return !ids || use_own_ids(c, ids, n);
}

static void use_all(struct cursor *c)
{
	c->ids = NULL;
	c->row = c->first_id;
	c->end = c->end_id > c->first_id ? c->end_id : c->first_id;
}

static bool use_names(struct cursor *c)
{
	const struct by_function *by = query_by_function(c->table->q);

	if (by)
		use_ids(c, by->ids, c->table->q->c.n);
	return by;
}

/* Chooses what to go over; false when out of memory. */
static bool choose(struct cursor *c, int order)
{
	const struct columns *columns = &c->table->q->c;
	bool good = true;

	c->check = true;
	if (c->end_id <= c->first_id) {
		use_all(c);
	} else if (c->parent != DV_QUERY_NONE) {
		use_children(c);
	} else if (c->track != DV_QUERY_NONE && c->track >= columns->n_tracks) {
		use_ids(c, NULL, 0);
	} else if (order & ORDER_BY_NAME) {
		good = use_names(c);
	} else if (c->track != DV_QUERY_NONE && c->first_depth == c->last_depth) {
		use_lane(c);
	} else if (c->end_id - c->first_id < 256 || !((c->functions && use_functions(c, &good)) ||
						      (c->track != DV_QUERY_NONE && use_track(c, &good)))) {
		use_all(c);
		c->check = c->functions || c->track != DV_QUERY_NONE || c->utid != DV_QUERY_NONE || c->first_depth ||
			   c->last_depth != UINT32_MAX || c->least_dur || c->most_dur != DV_QUERY_OPEN;
	}
	return good;
}

static void reset(struct cursor *c)
{
	c->first_id = 0;
	c->end_id = c->table->q->c.n;
	c->track = c->parent = c->utid = DV_QUERY_NONE;
	c->first_depth = 0;
	c->last_depth = UINT32_MAX;
	c->least_dur = 0;
	c->most_dur = DV_QUERY_OPEN;
}

static int filter_slices(struct cursor *c, int order, const struct constraint *constraints, int count)
{
	bool good = true;

	for (int i = 0; i < count && good; i++)
		good = take_constraint(c, &constraints[i]);
	/* A thread's slices are those of its track, unless there are more tracks than that. */
	if (c->utid != DV_QUERY_NONE && c->track == DV_QUERY_NONE && c->table->q->c.is_dejaview)
		c->track = c->utid < c->table->q->c.n_threads ? c->table->q->c.threads[c->utid].track : DV_QUERY_NONE - 1;
	if (!good || !choose(c, order))
		return SQLITE_NOMEM;
	if (order & ORDER_REVERSE) {
		uint64_t first = c->row;

		c->reverse = true;
		c->row = c->end;
		c->end = first;
	}
	return SQLITE_OK;
}

/* The table functions whose rows are slices */

static int filter_around(struct cursor *c, enum source source)
{
	const struct dv_query *q = c->table->q;
	const struct columns *columns = &q->c;
	uint32_t id, *ids;
	size_t n;

	if (!c->has_arg[0] || c->args[0] < 0 || c->args[0] >= columns->n) {
		use_ids(c, NULL, 0);
		return SQLITE_OK;
	}
	id = (uint32_t)c->args[0];
	if (source == SOURCE_ANCESTORS) {
		ids = malloc((columns->depth[id] + 1u) * sizeof(*ids));
		n = ids ? dv_query_ancestors(q, id, ids, columns->depth[id] + 1u) : 0;
		return use_own_ids(c, ids, n) ? SQLITE_OK : SQLITE_NOMEM;
	}
	/* Descendants: what follows on its track until something as far out as it starts. */
	c->first_id = id + 1;
	c->track = columns->track[id];
	for (uint32_t d = 0; d <= columns->depth[id]; d++) {
		struct lane lane = track_lane(columns, &columns->tracks[c->track], d);
		uint32_t at = lane_find(columns, lane.first, lane.end, id + 1);

		if (at < lane.end && columns->lanes[at] < c->end_id)
			c->end_id = columns->lanes[at];
	}
	c->check = true;
	use_all(c);
	return SQLITE_OK;
}

/* ids has room for depths of the track more. */
static size_t add_stack(const struct dv_query *q, uint32_t track, uint64_t icount, uint32_t **ids, size_t n)
{
	uint32_t depths = q->c.tracks[track].depths, *grown = realloc(*ids, (n + depths + 1) * sizeof(**ids));

	if (!grown)
		return n;
	*ids = grown;
	return n + dv_query_stack_at(q, track, icount, grown + n, depths);
}

static int filter_stack(struct cursor *c)
{
	const struct dv_query *q = c->table->q;
	uint64_t icount = (uint64_t)c->args[0];
	uint32_t *ids = NULL;
	size_t n = 0;

	if (!c->has_arg[0])
		return table_errorf(c->table, "stack_at needs an instruction count: stack_at(1000000), stack_at(1000000, utid)");
	for (uint32_t t = 0; t < q->c.n_tracks; t++) {
		uint32_t utid = q->c.tracks[t].utid;
		bool wanted = c->has_arg[1] ? utid == c->args[1] : !q->c.cpus;

		for (uint32_t cpu = 0; cpu < q->c.cpus && !c->has_arg[1] && utid != DV_QUERY_NONE && !wanted; cpu++)
			wanted = dv_query_running_at(q, cpu, icount) == utid;
		if (wanted)
			n = add_stack(q, t, icount, &ids, n);
	}
	if (ids)
		use_own_ids(c, ids, n);
	else
		use_ids(c, NULL, 0);
	return SQLITE_OK;
}

static int filter(struct cursor *c, int order, const struct constraint *constraints, int count)
{
	reset(c);
	switch (c->table->def->source) {
	case SOURCE_ANCESTORS:
	case SOURCE_DESCENDANTS:
		return filter_around(c, c->table->def->source);
	case SOURCE_STACK_AT:
		return filter_stack(c);
	default:
		return filter_slices(c, order, constraints, count);
	}
}

static bool is_wanted(const struct cursor *c, uint32_t id)
{
	const struct columns *columns = &c->table->q->c;
	uint32_t function = slice_function(columns, id), depth = columns->depth[id];

	if (c->functions && !(c->functions[function / 64] >> function % 64 & 1))
		return false;
	if (c->track != DV_QUERY_NONE && columns->track[id] != c->track)
		return false;
	if (id < c->first_id || id >= c->end_id || depth < c->first_depth || depth > c->last_depth)
		return false;
	if (c->utid != DV_QUERY_NONE && columns->tracks[columns->track[id]].utid != c->utid)
		return false;
	if (c->least_dur || c->most_dur != DV_QUERY_OPEN) {
		uint64_t dur = slice_dur(columns, id);

		return dur >= c->least_dur && dur <= c->most_dur;
	}
	return true;
}

/* The table's own kind of slices. */
static bool is_of_table(const struct cursor *c, uint32_t id)
{
	const struct columns *columns = &c->table->q->c;

	if (c->table->def->source == SOURCE_INSTANTS)
		return columns->call[id] & CALL_INSTANT;
	return c->table->def->source != SOURCE_THREAD_SLICES || columns->tracks[columns->track[id]].type == DV_TRACK_THREAD;
}

static int next(struct cursor *c)
{
	bool any = !c->check && (c->table->def->source == SOURCE_SLICES || c->own_ids);
	uint32_t looked = 0;

	while (!any && (c->reverse ? c->row > c->end : c->row < c->end)) {
		uint32_t id = slice_of(c);

		if ((!c->check || is_wanted(c, id)) && is_of_table(c, id))
			break;
		c->row += c->reverse ? -1 : 1;
		if (++looked % CHECK_EVERY == 0 && sql_must_stop(c->table->sql))
			return SQLITE_INTERRUPT;
	}
	return SQLITE_OK;
}

const struct source_ops slice_ops = {plan, filter, next, slice_column};
