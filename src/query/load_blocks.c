/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slices of a .dvtrace, block by block in several threads at once. A block does not know what was
 * open when it began, so loading takes three steps:
 *
 *	1. decode	all blocks in parallel: slices to their rows (the headers say how many begins each
 *			block has, so that each has its rows); what ends in its block is done; for each
 *			thread of the block, its ends that had no begin, and what stayed open
 *	2. stitch	block after block, with little to do: those ends meet what was open before
 *	3. settle	all blocks in parallel: depths and parents, now that it is known what was below
 */
#include <stdatomic.h>
#include <string.h>
#include "query/finish.h"
#include "query/load.h"
#include "query/parallel.h"

/* In `parent`, before settling: lies below so many open slices less than there were at the block's start. */
#define OUTER_MARK 0xfff00000u
#define MAX_POPS 0xf0000u
#define NO_CPU_LIMIT UINT64_MAX

struct frame {
	uint64_t start, start_cpu;
	uint64_t child_cpu;
	uint32_t id, function;
};

/* An end without its begin. */
struct pop {
	uint64_t icount, cpu;
	uint64_t child_cpu; /* of slices of this block that the slice it ends holds */
};

/* What one thread did in one block. */
struct block_thread {
	uint32_t utid;
	uint32_t first_pop, pops, first_open, opens; /* in its block's arrays */
	uint64_t child_cpu; /* of slices on the floor since the last pop */
	uint32_t outer, depth; /* set by stitching: what was open at the block's start, in outer[] */
};

struct outer {
	uint32_t id, function;
};

struct block {
	uint32_t first, end;	/* its rows */
	unsigned worker;	/* whose function numbers it has */
	VEC(struct block_thread) threads;
	VEC(struct pop) pops;
	VEC(struct frame) opens;
};

/* A thread as a worker sees it. */
struct live {
	uint32_t in_block; /* of this number + 1: what is below is of that block */
	uint32_t spell;
	VEC(struct frame) stack;
	VEC(struct pop) pops;
	uint64_t child_cpu;
	/* Of settling: by depth. */
	uint32_t outer, depth;
	VEC(struct outer) frames;
	VEC(uint64_t) signatures;
};

struct worker {
	struct dv_trace_reader *reader;
	struct live *live; /* by utid */
	VEC(uint32_t) touched; /* utids of this block */
	VEC(struct stats_row) stats; /* by the reader's function */
	uint32_t *global; /* by the reader's function */
	VEC(struct big_value) big_dur, big_own;
	struct stats_row *recursive; /* by function: total of what recursive calls ran */
	/* The block being decoded. */
	struct pass *pass;
	uint32_t row, end, block;
	uint64_t thread_id;
	struct live *thread;
	uint32_t utid;
};

struct pass {
	struct loader *l;
	struct columns *c;
	struct dv_trace_reader *r;
	struct dv_map utids;
	uint64_t *start;
	uint32_t room; /* rows that start has */
	struct block *blocks;
	uint32_t block_count;
	struct worker workers[PARALLEL_MAX];
	unsigned worker_count;
	atomic_uint next_block, damaged; /* damaged: the first block that could not be decoded */
	atomic_bool stop;
	_Atomic uint64_t done_bytes;
	uint64_t total_bytes;
	_Atomic(struct dv_error *) error;
	VEC(struct outer) outer;
};

/* Takes err over. */
static void stop(struct pass *p, struct dv_error *err)
{
	struct dv_error *none = NULL;

	atomic_store(&p->stop, true);
	if (!atomic_compare_exchange_strong(&p->error, &none, err))
		dv_error_destroy(err);
}

/* 1. decode */

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
	VEC(struct big_value) *v = values;
	struct big_value *slot = vec_add(v);

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

	*good &= set_value(c->dur, &w->big_dur, f->id, icount > f->start ? icount - f->start : 0);
	*good &= set_value(c->own, &w->big_own, f->id, own);
	stats->calls++;
	stats->own += own;
	stats->total += cpu;
	if (cpu < stats->min)
		stats->min = cpu;
	if (cpu > stats->max)
		stats->max = cpu;
	return cpu;
}

static bool make_stats_room(struct worker *w, uint32_t function)
{
	while (w->stats.n <= function) {
		struct stats_row *row = vec_add(&w->stats);

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
	touched = vec_add(&w->touched);
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
	if (e->function >= w->stats.n && !make_stats_room(w, e->function))
		return dv_error_no_memory();
	w->pass->start[row] = e->icount;
	c->call[row] = e->function | (uint32_t)e->kind << CALL_KIND_SHIFT;
	c->track[row] = w->utid;
	c->parent[row] = t->stack.n ? t->stack.v[t->stack.n - 1].id : OUTER_MARK + (uint32_t)t->pops.n;
	frame = vec_add(&t->stack);
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
		pop = vec_add(&t->pops);
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
		struct block_thread *thread = vec_add(&block->threads);

		if (!thread ||
		    !vec_reserve(&block->pops.v, block->pops.n, &block->pops.cap, t->pops.n, sizeof(*block->pops.v)) ||
		    !vec_reserve(&block->opens.v, block->opens.n, &block->opens.cap, t->stack.n,
				 sizeof(*block->opens.v)))
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
	return leave_block(w, block) ? NULL : dv_error_no_memory();
}

/* Only the thread that opens calls back, which is worker 0. */
static void show_progress(struct pass *p, unsigned worker)
{
	const struct dv_query_options *o = p->l->options;

	if (worker || !o || !o->progress)
		return;
	if (!o->progress(o->context, atomic_load(&p->done_bytes), p->total_bytes))
		stop(p, dv_error_new(DV_ERROR_CANCELLED, "cancelled"));
}

static void decode_blocks(void *context, unsigned worker, unsigned workers)
{
	struct pass *p = context;
	struct worker *w = &p->workers[worker];

	while (!atomic_load(&p->stop)) {
		uint32_t number = atomic_fetch_add(&p->next_block, 1);
		struct dv_error *err;
		unsigned damaged;

		if (number >= p->block_count || number > atomic_load(&p->damaged))
			return;
		p->blocks[number].worker = worker;
		err = decode_block(w, number);
		if (err && (err->code == DV_ERROR_NO_MEMORY || err->code == DV_ERROR_CANCELLED)) {
			stop(p, err);
			return;
		}
		damaged = atomic_load(&p->damaged);
		while (err && number < damaged && !atomic_compare_exchange_weak(&p->damaged, &damaged, number))
			;
		dv_error_destroy(err);
		atomic_fetch_add(&p->done_bytes, dv_trace_reader_block(p->r, number)->file_bytes);
		show_progress(p, worker);
	}
}

/* Functions: each worker has its own numbers; the trace's are by name */

struct named_function {
	struct dv_trace_reader_function is;
	uint32_t worker, number;
};

static int compare_strings(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int by_name(const void *a, const void *b)
{
	const struct named_function *x = a, *y = b;
	int order = compare_strings(x->is.is.name, y->is.is.name);

	if (!order)
		order = compare_strings(x->is.is.module, y->is.is.module);
	if (!order && x->is.is.vaddr != y->is.is.vaddr)
		order = x->is.is.vaddr < y->is.is.vaddr ? -1 : 1;
	if (!order && x->is.key != y->is.key)
		order = x->is.key < y->is.key ? -1 : 1;
	return order ? order : (int)x->is.is.space - (int)y->is.is.space;
}

/* "[virtio_blk] virtblk_probe" without the module. */
static const char *plain_name(const struct dv_trace_function *f)
{
	const char *name = f->name;
	size_t len = f->module ? strlen(f->module) : 0;

	if (len && name[0] == '[' && !strncmp(name + 1, f->module, len) && !strncmp(name + 1 + len, "] ", 2))
		return name + len + 3;
	return name;
}

static bool add_function(struct pass *p, void *rows, const struct named_function *f)
{
	VEC(struct function_row) *functions = rows;
	struct strings *s = &p->l->strings;
	struct function_row *row = vec_add(functions);

	if (!row)
		return false;
	*row = (struct function_row){
		.vaddr = f->is.is.vaddr,
		.key = f->is.key,
		.name = strings_put(s, plain_name(&f->is.is)),
		.slice_name = strings_put(s, f->is.is.name),
		.module = strings_put(s, f->is.is.module),
		.file = strings_put(s, f->is.is.file),
		.line = f->is.is.line,
		.size = f->is.is.size_bytes,
		.space = f->is.is.space,
		.number = f->is.is.has_number ? f->is.is.number : UINT32_MAX,
		.mnemonic = strings_put(s, f->is.is.mnemonic),
	};
	return true;
}

static struct dv_error *number_functions(struct pass *p)
{
	VEC(struct named_function) all = {0};
	VEC(struct function_row) rows = {0};
	bool good = true;

	for (unsigned i = 0; i < p->worker_count && good; i++) {
		struct worker *w = &p->workers[i];
		size_t count = dv_trace_reader_function_count(w->reader);

		w->global = calloc(count + 1, sizeof(*w->global));
		good = w->global && (!count || make_stats_room(w, (uint32_t)count - 1));
		for (uint32_t f = 0; f < count && good; f++) {
			struct named_function *slot = vec_add(&all);

			good = slot;
			if (slot)
				*slot = (struct named_function){*dv_trace_reader_function(w->reader, f), i, f};
		}
	}
	if (good && all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_name);
	for (size_t i = 0; i < all.n && good; i++) {
		if (!i || by_name(&all.v[i - 1], &all.v[i]))
			good = add_function(p, &rows, &all.v[i]);
		p->workers[all.v[i].worker].global[all.v[i].number] = (uint32_t)rows.n - 1;
	}
	good = good && rows.n <= CALL_FUNCTION && COLUMN_SET(p->c, functions, rows.v, rows.n);
	free(rows.v);
	free(all.v);
	return good ? NULL : dv_error_no_memory();
}

/* 2. stitch */

struct open_thread {
	VEC(struct frame) stack; /* functions are the trace's */
};

static struct dv_error *pop_frame(struct pass *p, struct open_thread *t, uint64_t icount, uint64_t cpu_now,
				  uint64_t child_cpu)
{
	struct frame *frame = &t->stack.v[--t->stack.n];
	bool good = true;
	uint64_t cpu;

	frame->child_cpu += child_cpu;
	cpu = end_slice(p->c, &p->workers[0], &p->c->stats[frame->function], frame, icount, cpu_now, &good);
	if (t->stack.n)
		t->stack.v[t->stack.n - 1].child_cpu += cpu;
	return good ? NULL : dv_error_no_memory();
}

static struct dv_error *stitch_thread(struct pass *p, struct block *block, struct block_thread *b,
				      struct open_thread *t)
{
	b->outer = (uint32_t)p->outer.n;
	b->depth = (uint32_t)t->stack.n;
	for (size_t i = 0; i < t->stack.n; i++) {
		struct outer *outer = vec_add(&p->outer);

		if (!outer)
			return dv_error_no_memory();
		*outer = (struct outer){t->stack.v[i].id, t->stack.v[i].function};
	}
	for (uint32_t i = 0; i < b->pops && t->stack.n; i++) {
		const struct pop *pop = &block->pops.v[b->first_pop + i];

		DV_TRY(pop_frame(p, t, pop->icount, pop->cpu, pop->child_cpu));
	}
	if (t->stack.n)
		t->stack.v[t->stack.n - 1].child_cpu += b->child_cpu;
	for (uint32_t i = 0; i < b->opens; i++) {
		struct frame *frame = vec_add(&t->stack);

		if (!frame)
			return dv_error_no_memory();
		*frame = block->opens.v[b->first_open + i];
		frame->function = p->workers[block->worker].global[frame->function];
	}
	return NULL;
}

/* What never ended: it ran up to the trace's end. */
static struct dv_error *end_open(struct pass *p, struct open_thread *t, uint32_t utid, uint64_t end)
{
	while (t->stack.n) {
		const struct frame *top = &t->stack.v[t->stack.n - 1];
		uint64_t until = top->start > end ? top->start : end;
		uint32_t id = top->id;

		DV_TRY(pop_frame(p, t, until, thread_cpu_until(p->c, utid, until), 0));
		p->c->dur[id] = DUR_OPEN;
	}
	return NULL;
}

static struct dv_error *stitch_blocks(struct pass *p, struct open_thread *open)
{
	for (uint32_t i = 0; i < p->block_count; i++) {
		struct block *block = &p->blocks[i];

		for (size_t b = 0; b < block->threads.n; b++)
			DV_TRY(stitch_thread(p, block, &block->threads.v[b], &open[block->threads.v[b].utid]));
	}
	for (uint32_t utid = 0; utid < p->c->n_threads; utid++)
		DV_TRY(end_open(p, &open[utid], utid, p->c->last_icount));
	return NULL;
}

static struct dv_error *stitch(struct pass *p)
{
	struct open_thread *open = calloc(p->c->n_threads + 1, sizeof(*open));
	struct dv_error *err = open ? stitch_blocks(p, open) : dv_error_no_memory();

	for (uint32_t i = 0; open && i < p->c->n_threads; i++)
		free(open[i].stack.v);
	free(open);
	return err;
}

/* 3. settle */

static bool settle_frame(struct live *t, uint32_t depth, struct outer frame, bool *ret_recursive)
{
	uint64_t bit = 1ull << (frame.function * 0x9e3779b1u >> 26), above = depth ? t->signatures.v[depth - 1] : 0;

	*ret_recursive = false;
	if (above & bit) {
		for (uint32_t i = depth; i-- > 0 && !*ret_recursive;)
			*ret_recursive = t->frames.v[i].function == frame.function;
	}
	if (!vec_reserve(&t->frames.v, depth, &t->frames.cap, 1, sizeof(*t->frames.v)) ||
	    !vec_reserve(&t->signatures.v, depth, &t->signatures.cap, 1, sizeof(*t->signatures.v)))
		return false;
	t->frames.v[depth] = frame;
	t->signatures.v[depth] = above | bit;
	return true;
}

static bool enter_settled(struct pass *p, struct live *t, const struct block_thread *b)
{
	bool recursive;

	t->outer = b->outer;
	t->depth = b->depth;
	for (uint32_t i = 0; i < b->depth; i++) {
		if (!settle_frame(t, i, p->outer.v[b->outer + i], &recursive))
			return false;
	}
	return true;
}

static uint64_t row_cpu(struct pass *p, struct worker *w, uint32_t row)
{
	struct columns *c = p->c;
	uint64_t start = p->start[row], end = start + c->dur[row], from, until;

	if (c->dur[row] == DUR_OPEN)
		end = c->last_icount > start ? c->last_icount : start;
	else if (c->dur[row] == DUR_BIG)
		return 0; /* see settle_big() */
	from = thread_cpu_until(c, c->track[row], start);
	until = thread_cpu_until(c, c->track[row], end);
	return until > from ? until - from : 0;
}

static bool settle_row(struct pass *p, struct worker *w, const uint32_t *global, uint32_t row)
{
	struct columns *c = p->c;
	struct live *t = &w->live[c->track[row]];
	uint32_t depth, function = global[c->call[row] & CALL_FUNCTION];
	bool recursive;

	if (c->parent[row] >= OUTER_MARK) {
		uint32_t pops = c->parent[row] - OUTER_MARK;

		depth = pops < t->depth ? t->depth - pops : 0;
		c->parent[row] = depth ? p->outer.v[t->outer + depth - 1].id : DV_QUERY_NONE;
	} else {
		depth = c->depth[c->parent[row]] + 1u;
	}
	if (depth > DV_QUERY_MAX_DEPTH)
		depth = DV_QUERY_MAX_DEPTH;
	c->depth[row] = (uint16_t)depth;
	c->call[row] = (c->call[row] & ~CALL_FUNCTION) | function;
	if (!settle_frame(t, depth, (struct outer){row, function}, &recursive))
		return false;
	if (recursive) {
		c->call[row] |= CALL_RECURSIVE;
		w->recursive[function].total += row_cpu(p, w, row);
	}
	return true;
}

static void settle_blocks(void *context, unsigned worker, unsigned workers)
{
	struct pass *p = context;
	struct worker *w = &p->workers[worker];
	bool good = true;

	while (good && !atomic_load(&p->stop)) {
		uint32_t number = atomic_fetch_add(&p->next_block, 1);
		const struct block *block = &p->blocks[number];

		if (number >= p->block_count)
			return;
		for (size_t i = 0; i < block->threads.n && good; i++)
			good = enter_settled(p, &w->live[block->threads.v[i].utid], &block->threads.v[i]);
		for (uint32_t row = block->first; row < block->end && good; row++)
			good = settle_row(p, w, p->workers[block->worker].global, row);
	}
	if (!good)
		stop(p, dv_error_no_memory());
}

/* Statistics of all workers together */

static void add_stats(struct stats_row *to, const struct stats_row *from)
{
	to->calls += from->calls;
	to->own += from->own;
	to->total += from->total;
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

		if (c->call[row] & CALL_RECURSIVE)
			c->stats[c->call[row] & CALL_FUNCTION].total -=
				thread_cpu_until(c, c->track[row], start + c->big_dur[i].value) -
				thread_cpu_until(c, c->track[row], start);
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
		for (size_t f = 0; f < c->n_functions; f++)
			c->stats[f].total -= w->recursive[f].total;
	}
	settle_big(p);
	for (size_t f = 0; f < c->n_functions; f++) {
		if (!c->stats[f].calls)
			c->stats[f].min = 0;
	}
	return NULL;
}

/* All together */

/* Which rows each block has. A header that promises more than its bytes can hold ends what is read. */
static struct dv_error *place_blocks(struct pass *p)
{
	uint64_t row = 0;

	p->blocks = calloc(p->block_count + 1u, sizeof(*p->blocks));
	if (!p->blocks)
		return dv_error_no_memory();
	for (uint32_t i = 0; i < p->block_count; i++) {
		const struct dv_trace_block_info *info = dv_trace_reader_block(p->r, i);

		if (info->begins > info->raw_bytes / 4 || info->raw_bytes > info->file_bytes * 1032 + 1032) {
			p->block_count = i;
			atomic_store(&p->damaged, i);
			break;
		}
		if (row + info->begins > MAX_SLICES)
			return dv_error_new(DV_ERROR_UNSUPPORTED, "the trace has more than %u slices", MAX_SLICES);
		p->blocks[i].first = (uint32_t)row;
		row += info->begins;
		p->blocks[i].end = (uint32_t)row;
		p->total_bytes += info->file_bytes;
	}
	p->room = (uint32_t)row;
	return NULL;
}

static struct dv_error *make_room(struct pass *p)
{
	struct columns *c = p->c;
	uint32_t n = p->room;

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

static void drop_damaged(struct pass *p)
{
	uint32_t damaged = atomic_load(&p->damaged);

	if (damaged < p->block_count) {
		p->block_count = damaged;
		p->c->last_icount = damaged ? dv_trace_reader_block(p->r, damaged - 1)->last_icount :
					      p->c->first_icount;
	}
	p->c->n = p->block_count ? p->blocks[p->block_count - 1].end : 0;
	columns_shrink(p->c, p->room);
}

static struct dv_error *run(struct pass *p)
{
	struct columns *c = p->c;

	DV_TRY(place_blocks(p));
	DV_TRY(make_room(p));
	parallel_run(p->worker_count, decode_blocks, p);
	DV_TRY(take_error(p));
	drop_damaged(p);
	DV_TRY(number_functions(p));
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
	DV_TRY(stitch(p));
	atomic_store(&p->next_block, 0);
	parallel_run(p->worker_count, settle_blocks, p);
	DV_TRY(take_error(p));
	DV_TRY(gather(p));
	DV_TRY(columns_finish(c, p->start, p->worker_count));
	/* What was counted before the damage was found is not all there. */
	if (atomic_load(&p->damaged) != UINT32_MAX)
		columns_count_stats(c);
	return NULL;
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
	for (uint32_t i = 0; p->blocks && i < dv_trace_reader_block_count(p->r); i++) {
		free(p->blocks[i].threads.v);
		free(p->blocks[i].pops.v);
		free(p->blocks[i].opens.v);
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
	atomic_store(&p->damaged, UINT32_MAX);
	err = load_headers(l, r, &p->utids);
	if (!err)
		err = run(p);
	pass_deinit(p);
	free(p);
	return err;
}
