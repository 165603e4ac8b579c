/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks to slices, several at a time: step 1 of load_pass.h. */
#include <string.h>
#include "query/load_pass.h"

void pass_stop(struct pass *p, struct dv_error *err)
{
	struct dv_error *none = NULL;

	atomic_store(&p->stop, true);
	if (!atomic_compare_exchange_strong(&p->error, &none, err))
		dv_error_destroy(err);
}

static uint64_t cpu_until(struct pass *p, uint32_t utid, struct live *t, uint64_t icount)
{
	const struct thread_row *thread = &p->c->threads[utid];
	const struct spell_row *spells = p->c->spells + thread->first_spell;

	if (!p->c->n_spells)
		return icount;
	while (t->spell < thread->spells && spells[t->spell].end <= icount)
		t->spell++;
	if (t->spell == thread->spells)
		return thread->cpu;
	if (icount <= spells[t->spell].start)
		return spells[t->spell].before;
	return spells[t->spell].before + icount - spells[t->spell].start;
}

static bool add_big(void *values, uint32_t id, uint64_t value)
{
	DV_VEC(struct big_value) *v = values;
	struct big_value *slot = dv_vec_add(v);

	if (slot)
		*slot = (struct big_value){value, id, 0};
	return slot;
}

static inline bool set_value(uint32_t *column, void *bigs, uint32_t id, uint64_t value)
{
	if (__builtin_expect(value < DUR_BIG, 1)) {
		column[id] = (uint32_t)value;
		return true;
	}
	column[id] = DUR_BIG;
	return add_big(bigs, id, value);
}

/* Ends a slice at icount; returns what its thread ran in it. */
static inline uint64_t end_slice(struct columns *c, struct worker *w, struct stats_row *stats, const struct frame *f,
				 uint64_t icount, uint64_t cpu_now, bool *good)
{
	/* Less than nothing comes only of a file whose icounts go back. */
	uint64_t cpu = cpu_now > f->start_cpu ? cpu_now - f->start_cpu : 0;
	uint64_t own = cpu > f->child_cpu ? cpu - f->child_cpu : 0;
	uint64_t dur = icount > f->start ? icount - f->start : 0;

	*good &= set_value(c->dur, &w->big_dur, f->id, dur);
	*good &= set_value(c->own, &w->big_own, f->id, own);
	stats->calls++;
	stats->own += own;
	stats->total += cpu;
	stats->elapsed += dur;
	if (cpu < stats->min)
		stats->min = cpu;
	if (cpu > stats->max)
		stats->max = cpu;
	return cpu;
}

uint64_t pass_end_slice(struct columns *c, struct worker *w, struct stats_row *stats, const struct frame *f,
			uint64_t icount, uint64_t cpu_now, bool *good)
{
	return end_slice(c, w, stats, f, icount, cpu_now, good);
}

bool pass_stats_room(struct worker *w, uint32_t function)
{
	while (w->stats.n <= function) {
		struct stats_row *row = dv_vec_add(&w->stats);

		if (!row)
			return false;
		*row = (struct stats_row){.min = UINT64_MAX};
	}
	return true;
}

static struct dv_error *enter_thread(struct worker *w, uint64_t id)
{
	const uint64_t *utid = dv_map_get(&w->pass->utids, id);
	uint32_t *touched;

	if (!utid)
		return dv_error_new(DV_ERROR_FORMAT, "an event of thread %llu, which no block declares",
				    (unsigned long long)id);
	w->thread_id = id;
	w->utid = (uint32_t)*utid - 1;
	w->thread = &w->live[w->utid];
	if (w->thread->in_block == w->block + 1)
		return NULL;
	touched = dv_vec_add(&w->touched);
	if (!touched)
		return dv_error_no_memory();
	*touched = w->utid;
	w->thread->in_block = w->block + 1;
	w->thread->stack.n = w->thread->pops.n = 0;
	w->thread->child_cpu = 0;
	return NULL;
}

static inline struct dv_error *take_begin(struct worker *w, const struct dv_trace_event *e)
{
	struct columns *c = w->pass->c;
	struct live *t = w->thread;
	uint32_t row = w->row++;
	struct frame *frame;

	if (row >= w->end)
		return dv_error_new(DV_ERROR_FORMAT, "more begins than its header says");
	if (e->icount >> 63)
		return dv_error_new(DV_ERROR_FORMAT, "an event at %llu", (unsigned long long)e->icount);
	if (e->function > CALL_FUNCTION)
		return dv_error_new(DV_ERROR_FORMAT, "more than %u functions", CALL_FUNCTION);
	if (e->function >= w->stats.n && !pass_stats_room(w, e->function))
		return dv_error_no_memory();
	w->pass->start[row] = e->icount;
	c->call[row] = e->function | (uint32_t)e->kind << CALL_KIND_SHIFT;
	c->track[row] = w->utid;
	c->parent[row] = t->stack.n ? t->stack.v[t->stack.n - 1].id : OUTER_MARK + (uint32_t)t->pops.n;
	frame = dv_vec_add(&t->stack);
	if (!frame)
		return dv_error_no_memory();
	*frame = (struct frame){e->icount, cpu_until(w->pass, w->utid, t, e->icount), 0, row, e->function};
	return NULL;
}

static inline struct dv_error *take_end(struct worker *w, const struct dv_trace_event *e)
{
	struct live *t = w->thread;
	uint64_t now = cpu_until(w->pass, w->utid, t, e->icount), cpu;
	const struct frame *frame;
	struct pop *pop;
	bool good = true;

	if (__builtin_expect(!t->stack.n, 0)) {
		if (t->pops.n >= MAX_POPS)
			return NULL;
		pop = dv_vec_add(&t->pops);
		if (!pop)
			return dv_error_no_memory();
		*pop = (struct pop){e->icount, now, t->child_cpu};
		t->child_cpu = 0;
		return NULL;
	}
	frame = &t->stack.v[--t->stack.n];
	cpu = end_slice(w->pass->c, w, &w->stats.v[frame->function], frame, e->icount, now, &good);
	if (t->stack.n)
		t->stack.v[t->stack.n - 1].child_cpu += cpu;
	else
		t->child_cpu += cpu;
	return good ? NULL : dv_error_no_memory();
}

static struct dv_error *take_events(void *context, const struct dv_trace_event *events, size_t count)
{
	struct worker *w = context;

	if (atomic_load_explicit(&w->pass->stop, memory_order_relaxed))
		return dv_error_new(DV_ERROR_CANCELLED, "cancelled");
	for (const struct dv_trace_event *e = events; e < events + count; e++) {
		if (e->thread_id != w->thread_id || !w->thread)
			DV_TRY(enter_thread(w, e->thread_id));
		DV_TRY(e->type == DV_TRACE_BEGIN ? take_begin(w, e) : take_end(w, e));
	}
	return NULL;
}

/* Moves what the worker's threads have left of the block to the block. */
static bool leave_block(struct worker *w, struct block *block)
{
	for (size_t i = 0; i < w->touched.n; i++) {
		struct live *t = &w->live[w->touched.v[i]];
		struct block_thread *thread = dv_vec_add(&block->threads);

		if (!thread ||
		    !DV_VEC_RESERVE(block->pops.v, block->pops.n, block->pops.cap, t->pops.n) ||
		    !DV_VEC_RESERVE(block->opens.v, block->opens.n, block->opens.cap, t->stack.n))
			return false;
		*thread = (struct block_thread){
			.utid = w->touched.v[i],
			.first_pop = (uint32_t)block->pops.n,
			.pops = (uint32_t)t->pops.n,
			.first_open = (uint32_t)block->opens.n,
			.opens = (uint32_t)t->stack.n,
			.child_cpu = t->child_cpu,
		};
		if (t->pops.n)
			memcpy(block->pops.v + block->pops.n, t->pops.v, t->pops.n * sizeof(*t->pops.v));
		if (t->stack.n)
			memcpy(block->opens.v + block->opens.n, t->stack.v, t->stack.n * sizeof(*t->stack.v));
		block->pops.n += t->pops.n;
		block->opens.n += t->stack.n;
	}
	return true;
}

static struct dv_error *decode_block(struct worker *w, uint32_t number)
{
	struct block *block = &w->pass->blocks[number];

	w->block = number;
	w->row = block->first;
	w->end = block->end;
	w->thread = NULL;
	w->touched.n = 0;
	DV_TRY(dv_trace_reader_visit_block(w->reader, number, take_events, w));
	if (w->row != w->end)
		return dv_error_new(DV_ERROR_FORMAT, "fewer begins than its header says");
	return leave_block(w, block) ? NULL : dv_error_no_memory();
}

/* Only the thread that opens calls back, which is worker 0. */
static void show_progress(struct pass *p, unsigned worker)
{
	const struct dv_query_options *o = p->l->options;

	if (worker || !o || !o->progress)
		return;
	if (!o->progress(o->context, atomic_load(&p->done_bytes), p->total_bytes))
		pass_stop(p, dv_error_new(DV_ERROR_CANCELLED, "cancelled"));
}

void pass_decode(void *context, unsigned worker, unsigned workers)
{
	struct pass *p = context;
	struct worker *w = &p->workers[worker];

	while (!atomic_load(&p->stop)) {
		uint32_t number = atomic_fetch_add(&p->next_block, 1);
		struct dv_error *err;

		if (number >= p->block_count)
			return;
		if (p->blocks[number].is_lost)
			continue;
		p->blocks[number].worker = worker;
		err = decode_block(w, number);
		if (err && (err->code == DV_ERROR_NO_MEMORY || err->code == DV_ERROR_CANCELLED)) {
			pass_stop(p, err);
			return;
		}
		p->blocks[number].error = err;
		atomic_fetch_add(&p->done_bytes, dv_trace_reader_block(p->r, number)->file_bytes);
		show_progress(p, worker);
	}
}
