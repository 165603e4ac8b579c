/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of loading a .dvtrace, one after the other: see load_pass.h. */
#include <string.h>
#include "query/finish.h"
#include "query/load_pass.h"

/* Statistics of all workers together */

static void add_stats(struct stats_row *to, const struct stats_row *from)
{
	to->calls += from->calls;
	to->own += from->own;
	to->total += from->total;
	to->elapsed += from->elapsed;
	if (from->calls && from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
}

static void add_worker_stats(struct pass *p, const struct worker *w)
{
	size_t count = dv_trace_reader_function_count(w->reader);

	for (size_t f = 0; f < count && f < w->stats.n; f++)
		add_stats(&p->c->stats[w->global[f]], &w->stats.v[f]);
}

/* Recursive calls whose length is not in dur. */
static void settle_big(struct pass *p)
{
	struct columns *c = p->c;

	for (size_t i = 0; i < c->n_big_dur; i++) {
		uint32_t row = c->big_dur[i].id;
		uint64_t start = p->start[row];
		struct stats_row *stats = &c->stats[c->call[row] & CALL_FUNCTION];

		if (!(c->call[row] & CALL_RECURSIVE))
			continue;
		stats->total -= thread_cpu_until(c, c->track[row], start + c->big_dur[i].value) -
				thread_cpu_until(c, c->track[row], start);
		stats->elapsed -= c->big_dur[i].value;
	}
}

/* An open slice that is long has an entry it does not need. */
static void gather_big(struct pass *p, struct big_value *to, size_t *n, const struct big_value *from, size_t count,
		       const uint32_t *column)
{
	for (size_t i = 0; i < count; i++) {
		if (from[i].id < p->c->n && column[from[i].id] == DUR_BIG)
			to[(*n)++] = from[i];
	}
}

static struct dv_error *gather(struct pass *p)
{
	struct columns *c = p->c;
	size_t dur = 0, own = 0;

	for (unsigned i = 0; i < p->worker_count; i++) {
		dur += p->workers[i].big_dur.n;
		own += p->workers[i].big_own.n;
	}
	c->big_dur = column_alloc(dur, sizeof(*c->big_dur));
	c->big_own = column_alloc(own, sizeof(*c->big_own));
	if (!c->big_dur || !c->big_own)
		return dv_error_no_memory();
	for (unsigned i = 0; i < p->worker_count; i++) {
		const struct worker *w = &p->workers[i];

		gather_big(p, c->big_dur, &c->n_big_dur, w->big_dur.v, w->big_dur.n, c->dur);
		gather_big(p, c->big_own, &c->n_big_own, w->big_own.v, w->big_own.n, c->own);
		for (size_t f = 0; f < c->n_functions; f++) {
			c->stats[f].total -= w->recursive[f].total;
			c->stats[f].elapsed -= w->recursive[f].elapsed;
		}
	}
	settle_big(p);
	for (size_t f = 0; f < c->n_functions; f++) {
		if (!c->stats[f].calls)
			c->stats[f].min = 0;
	}
	return NULL;
}

/* All together */

/* Which rows each block has. */
static struct dv_error *place_blocks(struct pass *p)
{
	uint64_t row = 0;

	p->total_bytes = 0;
	for (uint32_t i = 0; i < p->block_count; i++) {
		const struct dv_trace_block_info *info = dv_trace_reader_block(p->r, i);
		struct block *block = &p->blocks[i];

		/* A header may promise more than its bytes can hold. */
		if (info->begins > info->raw_bytes / 4 || info->raw_bytes > info->file_bytes * 1032 + 1032)
			block->is_lost = true;
		block->first = block->end = (uint32_t)row;
		if (block->is_lost)
			continue;
		if (row + info->begins > MAX_SLICES)
			return dv_error_new(DV_ERROR_UNSUPPORTED, "the trace has more than %u slices", MAX_SLICES);
		row += info->begins;
		block->end = (uint32_t)row;
		p->total_bytes += info->file_bytes;
	}
	p->c->n = (uint32_t)row;
	return NULL;
}

static struct dv_error *make_room(struct pass *p)
{
	struct columns *c = p->c;
	uint32_t n = p->room = c->n;

	c->n_dur = c->n_call = c->n_depth = c->n_track = c->n_parent = c->n_own = n;
	c->dur = column_alloc(n, sizeof(*c->dur));
	c->call = column_alloc(n, sizeof(*c->call));
	c->depth = column_alloc(n, sizeof(*c->depth));
	c->track = column_alloc(n, sizeof(*c->track));
	c->parent = column_alloc(n, sizeof(*c->parent));
	c->own = column_alloc(n, sizeof(*c->own));
	p->start = column_alloc(n, sizeof(*p->start));
	if (!c->dur || !c->call || !c->depth || !c->track || !c->parent || !c->own || !p->start)
		return dv_error_no_memory();
	for (unsigned i = 0; i < p->worker_count; i++) {
		struct worker *w = &p->workers[i];

		w->pass = p;
		w->live = calloc(c->n_threads + 1, sizeof(*w->live));
		if (!w->live)
			return dv_error_no_memory();
		DV_TRY(dv_trace_reader_again(p->r, &w->reader));
	}
	return NULL;
}

static struct dv_error *take_error(struct pass *p)
{
	return atomic_exchange(&p->error, NULL);
}

/* As if nothing had been decoded. */
static void forget(struct pass *p)
{
	for (unsigned i = 0; i < p->worker_count; i++) {
		struct worker *w = &p->workers[i];

		w->stats.n = w->big_dur.n = w->big_own.n = 0;
		for (size_t t = 0; t < p->c->n_threads; t++)
			w->live[t].in_block = w->live[t].spell = 0;
	}
	for (uint32_t i = 0; i < p->block_count; i++)
		p->blocks[i].threads.n = p->blocks[i].pops.n = p->blocks[i].opens.n = 0;
	memset(p->c->dur, 0, p->room * sizeof(*p->c->dur));
	atomic_store(&p->next_block, 0);
	atomic_store(&p->done_bytes, 0);
}

/* Twice, if there is damage. */
static struct dv_error *decode(struct pass *p)
{
	bool again;

	do {
		again = false;
		parallel_run(p->worker_count, pass_decode, p);
		DV_TRY(take_error(p));
		for (uint32_t i = 0; i < p->block_count; i++) {
			again |= p->blocks[i].error && !p->blocks[i].is_lost;
			p->blocks[i].is_lost |= p->blocks[i].error != NULL;
		}
		if (again) {
			forget(p);
			DV_TRY(place_blocks(p));
		}
	} while (again);
	columns_shrink(p->c, p->room);
	return NULL;
}

/* What is lost, and why the first of it is; with what is behind the last block of a trace without its index. */
static struct dv_error *count_lost(struct pass *p)
{
	const struct dv_trace_metadata *m = dv_trace_reader_metadata(p->r);
	uint64_t end = 0;

	for (uint32_t i = 0; i < p->block_count; i++) {
		const struct dv_trace_block_info *info = dv_trace_reader_block(p->r, i);
		const struct dv_error *err = p->blocks[i].error;

		if (info->after_gap)
			p->lost_bytes += info->offset - end;
		end = info->offset + info->file_bytes;
		if (!p->blocks[i].is_lost)
			continue;
		p->lost_bytes += info->file_bytes;
		p->lost_slices += info->begins;
		if (p->lost++)
			continue;
		p->c->damage = strdup(err ? err->message : "a block's header promises more than its bytes can hold");
		if (!p->c->damage)
			return dv_error_no_memory();
	}
	if (dv_trace_reader_damage(p->r) && !m->finished)
		p->lost_bytes += m->file_bytes > end ? m->file_bytes - end : 0;
	p->lost += dv_trace_reader_gap_blocks(p->r);
	return NULL;
}

static struct trace_stat_row loss(struct strings *s, const char *name, uint64_t count)
{
	return (struct trace_stat_row){strings_put(s, name), count ? STAT_DATA_LOSS : STAT_INFO, STAT_TRACE, 0,
				       (int64_t)count};
}

/* What the table `stats` says. Where Perfetto has a name for it, it is that. */
static struct dv_error *store_stats(struct pass *p)
{
	struct strings *s = &p->l->strings;
	const struct dv_trace_metadata *m = dv_trace_reader_metadata(p->r);
	const struct trace_stat_row rows[] = {
		loss(s, "blocks_damaged", p->lost),
		loss(s, "bytes_skipped", p->lost_bytes),
		/* Of blocks whose headers still say how many. */
		loss(s, "slices_lost", p->lost_slices),
		/* Open where something is lost: nobody knows when they ended. */
		loss(s, "slices_cut", p->cut_slices),
		loss(s, "trace_unfinished", !m->finished),
		/* Returns out of calls made before the trace began, and calls that have not returned at its end. */
		{strings_put(s, "misplaced_end_event"), STAT_INFO, STAT_ANALYSIS, 0, (int64_t)p->misplaced_ends},
		{strings_put(s, "slices_unfinished"), STAT_INFO, STAT_ANALYSIS, 0, (int64_t)p->open_slices},
	};

	return COLUMN_SET(p->c, trace_stats, rows, DV_ARRAY_SIZE(rows)) ? NULL : dv_error_no_memory();
}

static struct dv_error *run(struct pass *p)
{
	struct columns *c = p->c;

	p->blocks = calloc(p->block_count + 1u, sizeof(*p->blocks));
	if (!p->blocks)
		return dv_error_no_memory();
	DV_TRY(place_blocks(p));
	DV_TRY(make_room(p));
	DV_TRY(decode(p));
	DV_TRY(count_lost(p));
	DV_TRY(pass_number_functions(p));
	c->stats = column_alloc(c->n_functions, sizeof(*c->stats));
	c->n_stats = c->n_functions;
	if (!c->stats)
		return dv_error_no_memory();
	for (size_t f = 0; f < c->n_functions; f++)
		c->stats[f].min = UINT64_MAX;
	for (unsigned i = 0; i < p->worker_count; i++) {
		p->workers[i].recursive = calloc(c->n_functions + 1, sizeof(*p->workers[i].recursive));
		if (!p->workers[i].recursive)
			return dv_error_no_memory();
		add_worker_stats(p, &p->workers[i]);
	}
	DV_TRY(pass_stitch(p));
	atomic_store(&p->next_block, 0);
	parallel_run(p->worker_count, pass_settle, p);
	DV_TRY(take_error(p));
	DV_TRY(gather(p));
	DV_TRY(columns_finish(c, p->start, p->worker_count));
	return store_stats(p);
}

static void pass_deinit(struct pass *p)
{
	for (unsigned i = 0; i < p->worker_count; i++) {
		struct worker *w = &p->workers[i];

		for (uint32_t t = 0; w->live && t < p->c->n_threads; t++) {
			free(w->live[t].stack.v);
			free(w->live[t].pops.v);
			free(w->live[t].frames.v);
			free(w->live[t].signatures.v);
		}
		free(w->live);
		free(w->touched.v);
		free(w->stats.v);
		free(w->global);
		free(w->big_dur.v);
		free(w->big_own.v);
		free(w->recursive);
		dv_trace_reader_close(w->reader);
	}
	for (uint32_t i = 0; p->blocks && i < p->block_count; i++) {
		free(p->blocks[i].threads.v);
		free(p->blocks[i].pops.v);
		free(p->blocks[i].opens.v);
		dv_error_destroy(p->blocks[i].error);
	}
	free(p->blocks);
	free(p->outer.v);
	column_free(p->start, p->room, sizeof(*p->start));
	dv_map_deinit(&p->utids);
}

struct dv_error *load_blocks(struct loader *l, struct dv_trace_reader *r)
{
	struct pass *p = calloc(1, sizeof(*p));
	struct dv_error *err;

	if (!p)
		return dv_error_no_memory();
	p->l = l;
	p->c = l->c;
	p->r = r;
	p->block_count = (uint32_t)dv_trace_reader_block_count(r);
	p->worker_count = l->workers < p->block_count ? l->workers : p->block_count ? p->block_count : 1;
	err = load_headers(l, r, &p->utids);
	if (!err)
		err = run(p);
	pass_deinit(p);
	free(p);
	return err;
}
