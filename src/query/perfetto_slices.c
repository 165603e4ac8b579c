/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of a Perfetto trace to columns: stacks of slices, args, flows, counters; and all of it together. */
#include <string.h>
#include "query/finish.h"
#include "query/perfetto_make.h"


/* Slices */

/* A function stands for a name and a category. */
static bool function_of(struct maker *m, const struct event *e, uint32_t *ret)
{
	uint64_t *known = dv_map_put(&m->by_name, (uint64_t)e->name << 32 | e->category);
	struct function_row *row;

	if (!known)
		return false;
	if (!*known) {
		row = m->functions.n <= CALL_FUNCTION ? dv_vec_add(&m->functions) : NULL;
		if (!row)
			return false;
		*row = (struct function_row){.name = e->name, .slice_name = e->name, .category = e->category,
					     .number = UINT32_MAX};
		*known = m->functions.n;
	}
	*ret = (uint32_t)*known - 1;
	return true;
}

static bool set_dur(struct maker *m, uint32_t id, uint64_t dur)
{
	struct big_value *big;

	m->dur.v[id] = dur < DUR_BIG ? (uint32_t)dur : DUR_BIG;
	if (m->parent.v[id] != DV_QUERY_NONE)
		m->child_dur.v[m->parent.v[id]] += dur;
	if (dur < DUR_BIG)
		return true;
	big = dv_vec_add(&m->big_dur);
	if (big)
		*big = (struct big_value){dur, id, 0};
	return big;
}

/* The args of an event to a slice; those of its end come behind those of its begin. */
static bool add_args(struct maker *m, const struct event *e, uint32_t id)
{
	struct slice_args_row *row = m->slice_args.n ? &m->slice_args.v[m->slice_args.n - 1] : NULL;
	uint32_t set;

	if (!e->args)
		return true;
	for (size_t i = m->slice_args.n; i-- > 0 && m->slice_args.v[i].id >= id;)
		row = m->slice_args.v[i].id == id ? &m->slice_args.v[i] : row;
	if (!row || row->id != id) {
		row = dv_vec_add(&m->slice_args);
		if (!row)
			return false;
		*row = (struct slice_args_row){id, m->sets++};
	}
	set = row->set;
	for (uint32_t i = 0; i < e->args; i++) {
		struct args_row *arg = dv_vec_add(&m->args);

		if (!arg)
			return false;
		*arg = m->im->args.v[e->first_arg + i];
		arg->set = set;
		arg->order = (uint32_t)m->args.n;
	}
	return true;
}

static bool add_flows(struct maker *m, const struct event *e, uint32_t id)
{
	for (uint32_t i = 0; i < e->flows; i++) {
		const struct flow_use *use = &m->im->flows.v[e->first_flow + i];
		uint64_t *last = dv_map_put(&m->flow_ends, use->id);
		struct flow_row *row;

		if (!last)
			return false;
		if (*last) {
			row = dv_vec_add(&m->flows);
			if (!row)
				return false;
			*row = (struct flow_row){(uint32_t)*last - 1, id};
		}
		*last = use->ends ? 0 : id + 1ull;
	}
	return true;
}

static bool add_slice(struct maker *m, const struct event *e, uint32_t track, bool instant, uint32_t *ret)
{
	struct track_state *t = &m->states.v[track];
	uint32_t function, id = (uint32_t)m->start.n;
	uint64_t *start = dv_vec_add(&m->start), *child = dv_vec_add(&m->child_dur);
	uint32_t *dur = dv_vec_add(&m->dur), *call = dv_vec_add(&m->call), *of = dv_vec_add(&m->track), *parent = dv_vec_add(&m->parent);
	uint16_t *depth = dv_vec_add(&m->depth);

	if (!start || !child || !dur || !call || !of || !parent || !depth || id >= MAX_SLICES || !function_of(m, e, &function))
		return false;
	*start = e->ts;
	*child = 0;
	*dur = instant ? 0 : DUR_OPEN;
	*call = function | (instant ? CALL_INSTANT : 0);
	*of = track;
	*parent = t->stack.n ? t->stack.v[t->stack.n - 1].id : DV_QUERY_NONE;
	*depth = (uint16_t)(t->stack.n < DV_QUERY_MAX_DEPTH ? t->stack.n : DV_QUERY_MAX_DEPTH);
	*ret = id;
	return add_args(m, e, id) && add_flows(m, e, id);
}

static bool begin_slice(struct maker *m, const struct event *e, uint32_t track)
{
	struct open_slice *open;
	uint32_t id;

	if (!add_slice(m, e, track, false, &id))
		return false;
	open = dv_vec_add(&m->states.v[track].stack);
	if (open)
		*open = (struct open_slice){id, e->name, e->category};
	return open;
}

/* Ends the innermost slice, or the innermost of a name or category that the end names, with all within. */
static bool end_slice(struct maker *m, const struct event *e, uint32_t track)
{
	struct track_state *t = &m->states.v[track];
	size_t at = t->stack.n;

	while (at && ((e->name && t->stack.v[at - 1].name != e->name) ||
		      (e->category && t->stack.v[at - 1].category != e->category)))
		at--;
	m->misplaced_ends += !at;
	if (!at)
		return true;
	if (!add_args(m, e, t->stack.v[at - 1].id) || !add_flows(m, e, t->stack.v[at - 1].id))
		return false;
	while (t->stack.n >= at) {
		uint32_t id = t->stack.v[--t->stack.n].id;

		if (!set_dur(m, id, e->ts - m->start.v[id]))
			return false;
	}
	return true;
}

static bool put_counter(struct maker *m, uint64_t ts, uint32_t track, double value)
{
	struct counter_row *row = dv_vec_add(&m->counters);

	if (!row)
		return false;
	*row = (struct counter_row){.ts = ts, .track = track};
	memcpy(&row->value_bits, &value, sizeof(value));
	return true;
}

static bool add_counter(struct maker *m, const struct event *e, uint32_t track)
{
	const uint64_t *known = dv_map_get(&m->im->by_uuid, e->track_uuid);
	const struct descriptor *d = known && *known ? &m->im->descriptors.v[*known - 1] : NULL;
	struct track_state *t = &m->states.v[track];
	double value, before;

	memcpy(&value, &e->value_bits, sizeof(value));
	memcpy(&before, &t->counter_bits, sizeof(before));
	value = value * (d && d->factor ? d->factor : 1) + (d && d->is_incremental ? before : 0);
	memcpy(&t->counter_bits, &value, sizeof(value));
	m->tracks.v[track].is_counter = true;
	return put_counter(m, e->ts, track, value);
}

static bool add_process_counter(struct maker *m, const struct task_event *t)
{
	uint32_t track;

	return maker_process_counter(m, t->tid, t->name, &track) && put_counter(m, t->ts, track, (double)t->state);
}

static bool take_event(struct maker *m, const struct event *e)
{
	uint32_t track, id;

	if (!maker_track(m, e->track_uuid, &track))
		return false;
	switch (e->type) {
	case EVENT_BEGIN:
		return begin_slice(m, e, track);
	case EVENT_END:
		return end_slice(m, e, track);
	case EVENT_INSTANT:
		return add_slice(m, e, track, true, &id);
	default:
		return add_counter(m, e, track);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* Columns */

static int by_set(const void *a, const void *b)
{
	const struct args_row *x = a, *y = b;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int by_set_and_key(const void *a, const void *b)
{
	const struct args_row *x = a, *y = b;

	if (x->set == y->set && x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return by_set(a, b);
}

/* In order of sets. Of a key that comes again in one, the last counts. */
static void sort_args(struct maker *m)
{
	struct args_row *args = m->args.v;
	size_t kept = 0;

	if (!m->args.n)
		return;
	qsort(args, m->args.n, sizeof(*args), by_set_and_key);
	for (size_t i = 0; i < m->args.n; i++) {
		if (i + 1 == m->args.n || args[i + 1].set != args[i].set || args[i + 1].key != args[i].key)
			args[kept++] = args[i];
	}
	m->args.n = kept;
	qsort(args, kept, sizeof(*args), by_set);
}

static int by_id(const void *a, const void *b)
{
	const struct big_value *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

struct renumber {
	const struct strings *strings;
	const struct function_row *rows;
};

static int by_name(const void *a, const void *b, void *context)
{
	const struct renumber *r = context;
	const struct function_row *x = &r->rows[*(const uint32_t *)a], *y = &r->rows[*(const uint32_t *)b];
	const char *p = strings_get(r->strings, x->slice_name), *q = strings_get(r->strings, y->slice_name);
	int order = strcmp(p ? p : "", q ? q : "");

	return order ? order : x->category < y->category ? -1 : x->category > y->category;
}

/* Functions are numbered by name. */
static bool sort_functions(struct maker *m)
{
	struct renumber r = {&m->im->l->strings, m->functions.v};
	uint32_t *order = malloc((m->functions.n + 1) * sizeof(*order)), *number = malloc((m->functions.n + 1) * sizeof(*number));
	struct function_row *sorted = malloc((m->functions.n + 1) * sizeof(*sorted));
	bool good = order && number && sorted;

	for (uint32_t i = 0; good && i < m->functions.n; i++)
		order[i] = i;
	if (good && m->functions.n)
		qsort_r(order, m->functions.n, sizeof(*order), by_name, &r);
	for (uint32_t i = 0; good && i < m->functions.n; i++) {
		number[order[i]] = i;
		sorted[i] = m->functions.v[order[i]];
	}
	for (size_t i = 0; good && i < m->call.n; i++)
		m->call.v[i] = (m->call.v[i] & ~CALL_FUNCTION) | number[m->call.v[i] & CALL_FUNCTION];
	good = good && COLUMN_SET(m->c, functions, sorted, m->functions.n);
	free(order);
	free(number);
	free(sorted);
	return good;
}

/* Own time is that of no child; and whether a name is further out on the stack. */
static bool settle(struct maker *m)
{
	struct columns *c = m->c;

	c->own = column_alloc(c->n, sizeof(*c->own));
	c->n_own = c->n;
	c->big_own = column_alloc(m->big_dur.n, sizeof(*c->big_own));
	if (!c->own || !c->big_own)
		return false;
	/* What never ended lasts to the trace's end, within its parent too. */
	for (uint32_t id = 0; id < c->n; id++) {
		if (c->dur[id] == DUR_OPEN && c->parent[id] != DV_QUERY_NONE)
			m->child_dur.v[c->parent[id]] += c->last_icount - m->start.v[id];
	}
	for (uint32_t id = 0; id < c->n; id++) {
		uint64_t dur = c->dur[id], own;

		if (dur == DUR_OPEN)
			dur = c->last_icount - m->start.v[id];
		else if (dur == DUR_BIG)
			dur = big_value_find(m->big_dur.v, m->big_dur.n, id);
		own = dur > m->child_dur.v[id] ? dur - m->child_dur.v[id] : 0;
		c->own[id] = own < DUR_BIG ? (uint32_t)own : DUR_BIG - 1;
		if (own >= DUR_BIG && c->n_big_own < m->big_dur.n) {
			c->own[id] = DUR_BIG;
			c->big_own[c->n_big_own++] = (struct big_value){own, id, 0};
		}
		for (uint32_t p = c->parent[id]; p != DV_QUERY_NONE; p = c->parent[p]) {
			if ((c->call[p] & CALL_FUNCTION) != (c->call[id] & CALL_FUNCTION))
				continue;
			c->call[id] |= CALL_RECURSIVE;
			break;
		}
	}
	return true;
}

static bool store_clocks(struct maker *m)
{
	static const char *const names[] = {NULL, "REALTIME", "REALTIME_COARSE", "MONOTONIC", "MONOTONIC_COARSE",
					    "MONOTONIC_RAW", "BOOTTIME"};
	struct columns *c = m->c;
	size_t n = m->im->clocks.n;

	c->clocks = column_alloc(n, sizeof(*c->clocks));
	c->n_clocks = n;
	for (size_t i = 0; c->clocks && i < n; i++) {
		const struct clock_value *v = &m->im->clocks.v[i];
		uint64_t ts = v->value;

		importer_convert(m->im, v->clock, v->sequence, &ts);
		c->clocks[i] = (struct clock_row){.ts = ts, .value = (int64_t)(v->value / v->factor), .id = v->clock,
						  .snapshot = v->snapshot};
		if (v->clock < DV_ARRAY_SIZE(names))
			c->clocks[i].name = strings_put(&m->im->l->strings, names[v->clock]);
	}
	return c->clocks;
}

static struct trace_stat_row stat_row(struct maker *m, const char *name, uint32_t severity, uint32_t source, uint64_t value)
{
	return (struct trace_stat_row){strings_put(&m->im->l->strings, name), value ? severity : STAT_INFO, source, 0,
				       (int64_t)value};
}

/* Where Perfetto has a name for it, it is that. */
static bool store_stats(struct maker *m)
{
	const struct importer *im = m->im;
	const struct trace_stat_row rows[] = {
		stat_row(m, "track_event_parser_errors", STAT_INFO, STAT_ANALYSIS, m->misplaced_ends),
		stat_row(m, "tokenizer_skipped_packets", STAT_INFO, STAT_ANALYSIS, im->lost_events),
		stat_row(m, "clock_sync_failure", STAT_ERROR, STAT_ANALYSIS, im->failed_clocks),
		stat_row(m, "malformed_packets", STAT_DATA_LOSS, STAT_TRACE, im->bad_packets),
		stat_row(m, "ftrace_bundle_tokenizer_errors", STAT_ERROR, STAT_ANALYSIS, im->bad_ftrace),
		stat_row(m, "ftrace_events_not_read", STAT_INFO, STAT_ANALYSIS, im->unread_ftrace),
		stat_row(m, "mismatched_sched_switch_tids", STAT_ERROR, STAT_ANALYSIS, m->switches_out_of_step),
		stat_row(m, "compact_sched_switch_skipped", STAT_INFO, STAT_ANALYSIS, m->switches_skipped),
		stat_row(m, "compact_sched_waking_skipped", STAT_INFO, STAT_ANALYSIS, m->wakings_skipped),
		stat_row(m, "task_state_invalid", STAT_ERROR, STAT_ANALYSIS, m->bad_states),
		stat_row(m, "process_tracker_errors", STAT_ERROR, STAT_ANALYSIS, m->task_errors),
	};

	return COLUMN_SET(m->c, trace_stats, rows, DV_ARRAY_SIZE(rows));
}

static bool store(struct maker *m)
{
	struct columns *c = m->c;

	sort_args(m);
	maker_settle_threads(m);
	if (m->big_dur.n)
		qsort(m->big_dur.v, m->big_dur.n, sizeof(*m->big_dur.v), by_id);
	c->n = (uint32_t)m->start.n;
	return maker_store_sched(m) && COLUMN_SET(c, threads, m->threads.v, m->threads.n) && COLUMN_SET(c, processes, m->processes.v, m->processes.n) &&
	       COLUMN_SET(c, tracks, m->tracks.v, m->tracks.n) && sort_functions(m) &&
	       COLUMN_SET(c, dur, m->dur.v, m->dur.n) && COLUMN_SET(c, call, m->call.v, m->call.n) &&
	       COLUMN_SET(c, depth, m->depth.v, m->depth.n) && COLUMN_SET(c, track, m->track.v, m->track.n) &&
	       COLUMN_SET(c, parent, m->parent.v, m->parent.n) && COLUMN_SET(c, big_dur, m->big_dur.v, m->big_dur.n) &&
	       COLUMN_SET(c, slice_args, m->slice_args.v, m->slice_args.n) && COLUMN_SET(c, args, m->args.v, m->args.n) &&
	       COLUMN_SET(c, flows, m->flows.v, m->flows.n) && COLUMN_SET(c, counters, m->counters.v, m->counters.n) &&
	       settle(m) && store_clocks(m) && store_stats(m);
}

static int task_by_time(const void *a, const void *b)
{
	const struct task_event *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void find_bounds(struct maker *m)
{
	struct importer *im = m->im;
	uint64_t first = im->events.n ? im->events.v[0].ts : UINT64_MAX;
	uint64_t last = im->events.n ? im->events.v[im->events.n - 1].ts : 0;

	for (size_t i = 0; i < im->tasks.n; i++) {
		const struct task_event *t = &im->tasks.v[i];

		if (t->type < TASK_SWITCH || !t->has_time)
			continue;
		first = t->ts < first ? t->ts : first;
		last = t->ts > last ? t->ts : last;
	}
	m->c->first_icount = first == UINT64_MAX ? 0 : first;
	m->c->last_icount = last;
}

static bool take_task(struct maker *m, const struct task_event *t)
{
	if (t->type >= TASK_SWITCH && t->type <= TASK_WAKING_COMPACT)
		return maker_take_sched(m, t);
	return t->type == TASK_COUNTER ? add_process_counter(m, t) : maker_take_task(m, t);
}

/* Events and what is said of tasks, together in the order of time. */
static bool take_all(struct maker *m)
{
	const struct importer *im = m->im;
	size_t e = 0, t = 0;
	bool good = true;

	while (good && (e < im->events.n || t < im->tasks.n)) {
		const struct event *event = e < im->events.n ? &im->events.v[e] : NULL;
		const struct task_event *task = t < im->tasks.n ? &im->tasks.v[t] : NULL;
		bool is_event = event && (!task || event->ts < task->ts || (event->ts == task->ts && event->order < task->order));

		good = is_event ? take_event(m, event) : take_task(m, task);
		e += is_event;
		t += !is_event;
	}
	return good;
}

static bool run(struct maker *m)
{
	struct importer *im = m->im;

	m->running = strings_put(&im->l->strings, "Running");
	m->runnable = strings_put(&im->l->strings, "R");
	if (!maker_add_idle(m))
		return false;
	if (im->events.n)
		qsort(im->events.v, im->events.n, sizeof(*im->events.v), by_time);
	if (im->tasks.n)
		qsort(im->tasks.v, im->tasks.n, sizeof(*im->tasks.v), task_by_time);
	find_bounds(m);
	return take_all(m) && store(m);
}

static struct dv_error *finish(struct maker *m)
{
	struct columns *c = m->c;

	c->clock = DV_QUERY_CLOCK_NS;
	DV_TRY(columns_finish(c, m->start.v, 1));
	c->stats = column_alloc(c->n_functions, sizeof(*c->stats));
	c->n_stats = c->n_functions;
	if (!c->stats)
		return dv_error_no_memory();
	columns_count_stats(c);
	return NULL;
}

static void maker_deinit(struct maker *m)
{
	void *vectors[] = {m->threads.v, m->processes.v, m->tracks.v, m->functions.v, m->start.v, m->dur.v, m->call.v,
			   m->depth.v, m->track.v, m->parent.v, m->child_dur.v, m->big_dur.v, m->slice_args.v, m->args.v,
			   m->flows.v, m->counters.v, m->thread_notes.v, m->process_notes.v, m->spells.v,
			   m->task_states.v, m->cpus.v};
	struct dv_map *maps[] = {&m->pids, &m->tids, &m->tracks_by_uuid, &m->by_thread, &m->by_process, &m->by_counter,
				 &m->by_name, &m->flow_ends};

	for (size_t i = 0; i < m->states.n; i++)
		free(m->states.v[i].stack.v);
	free(m->states.v);
	for (size_t i = 0; i < DV_ARRAY_SIZE(vectors); i++)
		free(vectors[i]);
	for (size_t i = 0; i < DV_ARRAY_SIZE(maps); i++)
		dv_map_deinit(maps[i]);
}

struct dv_error *importer_make_columns(struct importer *im)
{
	struct maker m = {.im = im, .c = im->l->c};
	struct dv_error *err = run(&m) ? finish(&m) : dv_error_no_memory();

	maker_deinit(&m);
	return err;
}

struct dv_error *load_perfetto(struct loader *l, const void *data, size_t len, const char *name)
{
	struct importer im = {.l = l};
	struct dv_error *err = importer_read(&im, data, len, name);

	if (!err)
		err = importer_make_columns(&im);
	if (!err)
		l->c->file_bytes = len;
	importer_deinit(&im);
	return err;
}
