/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends meet what was open in blocks before: step 2 of load_pass.h. */
#include "query/load_pass.h"

struct open_thread {
	DV_VEC(struct frame) stack; /* functions are the trace's */
};

static struct dv_error *pop_frame(struct pass *p, struct open_thread *t, uint64_t icount, uint64_t cpu_now,
				  uint64_t child_cpu)
{
	struct frame *frame = &t->stack.v[--t->stack.n];
	bool good = true;
	uint64_t cpu;

	frame->child_cpu += child_cpu;
	cpu = pass_end_slice(p->c, &p->workers[0], &p->c->stats[frame->function], frame, icount, cpu_now, &good);
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
		struct outer *outer = dv_vec_add(&p->outer);

		if (!outer)
			return dv_error_no_memory();
		*outer = (struct outer){t->stack.v[i].id, t->stack.v[i].function};
	}
	p->misplaced_ends += b->pops > t->stack.n ? b->pops - t->stack.n : 0;
	for (uint32_t i = 0; i < b->pops && t->stack.n; i++) {
		const struct pop *pop = &block->pops.v[b->first_pop + i];

		DV_TRY(pop_frame(p, t, pop->icount, pop->cpu, pop->child_cpu));
	}
	if (t->stack.n)
		t->stack.v[t->stack.n - 1].child_cpu += b->child_cpu;
	for (uint32_t i = 0; i < b->opens; i++) {
		struct frame *frame = dv_vec_add(&t->stack);

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
	p->open_slices += t->stack.n;
	while (t->stack.n) {
		const struct frame *top = &t->stack.v[t->stack.n - 1];
		uint64_t until = top->start > end ? top->start : end;
		uint32_t id = top->id;

		DV_TRY(pop_frame(p, t, until, thread_cpu_until(p->c, utid, until), 0));
		p->c->dur[id] = DUR_OPEN;
	}
	return NULL;
}

/* Where there is nothing to be known of a time: what is lost, and what it means for each thread. */
struct gaps {
	uint64_t *least; /* by block: the least icount in it and in those behind it */
	uint64_t *seen;	 /* by utid: until when it is known */
	uint32_t row;	 /* seen is of the rows before */
};

static struct dv_error *gaps_init(struct gaps *g, const struct pass *p)
{
	uint64_t least = UINT64_MAX;

	g->least = calloc(p->block_count + 1u, sizeof(*g->least));
	g->seen = calloc(p->c->n_threads + 1, sizeof(*g->seen));
	if (!g->least || !g->seen)
		return dv_error_no_memory();
	for (uint32_t i = p->block_count; i-- > 0;) {
		uint64_t first = dv_trace_reader_block(p->r, i)->first_icount;

		g->least[i] = least = first < least ? first : least;
	}
	return NULL;
}

static void gaps_deinit(struct gaps *g)
{
	free(g->least);
	free(g->seen);
}

/*
 * What is open before a block that is lost ends there, as it may have. Not later than anything that comes
 * behind it, nor earlier than what it holds itself: blocks may overlap a little.
 */
static struct dv_error *cut_open(struct pass *p, struct gaps *g, struct open_thread *open, uint32_t number)
{
	for (; g->row < p->blocks[number].first; g->row++) {
		uint32_t dur = p->c->dur[g->row], utid = p->c->track[g->row];
		uint64_t end = p->start[g->row] + (dur < DUR_BIG ? dur : 0);

		g->seen[utid] = end > g->seen[utid] ? end : g->seen[utid];
	}
	for (uint32_t utid = 0; utid < p->c->n_threads; utid++) {
		struct open_thread *t = &open[utid];
		uint64_t until = g->least[number] > g->seen[utid] ? g->least[number] : g->seen[utid];

		p->cut_slices += t->stack.n;
		while (t->stack.n)
			DV_TRY(pop_frame(p, t, until, thread_cpu_until(p->c, utid, until), 0));
	}
	return NULL;
}

static struct dv_error *stitch_blocks(struct pass *p, struct gaps *g, struct open_thread *open)
{
	for (uint32_t i = 0; i < p->block_count; i++) {
		struct block *block = &p->blocks[i];

		if (block->is_lost || dv_trace_reader_block(p->r, i)->after_gap)
			DV_TRY(cut_open(p, g, open, i));

		for (size_t b = 0; b < block->threads.n; b++)
			DV_TRY(stitch_thread(p, block, &block->threads.v[b], &open[block->threads.v[b].utid]));
	}
	for (uint32_t utid = 0; utid < p->c->n_threads; utid++)
		DV_TRY(end_open(p, &open[utid], utid, p->c->last_icount));
	return NULL;
}

struct dv_error *pass_stitch(struct pass *p)
{
	struct open_thread *open = calloc(p->c->n_threads + 1, sizeof(*open));
	struct gaps gaps = {0};
	struct dv_error *err = open ? gaps_init(&gaps, p) : dv_error_no_memory();

	if (!err)
		err = stitch_blocks(p, &gaps, open);
	gaps_deinit(&gaps);

	for (uint32_t i = 0; open && i < p->c->n_threads; i++)
		free(open[i].stack.v);
	free(open);
	return err;
}
