/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends meet what was open in blocks before: step 2 of load_pass.h. */
#include "query/load_pass.h"

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
		struct outer *outer = vec_add(&p->outer);

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

struct dv_error *pass_stitch(struct pass *p)
{
	struct open_thread *open = calloc(p->c->n_threads + 1, sizeof(*open));
	struct dv_error *err = open ? stitch_blocks(p, open) : dv_error_no_memory();

	for (uint32_t i = 0; open && i < p->c->n_threads; i++)
		free(open[i].stack.v);
	free(open);
	return err;
}
