/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Depths, parents and what recursive calls ran: step 3 of load_pass.h. */
#include "query/load_pass.h"

static bool settle_frame(struct live *t, uint32_t depth, struct outer frame, bool *ret_recursive)
{
	uint64_t bit = 1ull << (frame.function * 0x9e3779b1u >> 26), above = depth ? t->signatures.v[depth - 1] : 0;

	*ret_recursive = false;
	if (above & bit) {
		for (uint32_t i = depth; i-- > 0 && !*ret_recursive;)
			*ret_recursive = t->frames.v[i].function == frame.function;
	}
	if (!DV_VEC_ROOM(t->frames.v, depth, t->frames.cap) ||
	    !DV_VEC_ROOM(t->signatures.v, depth, t->signatures.cap))
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

/* What a call adds that its outermost one has already. */
static void add_recursive(struct pass *p, struct stats_row *stats, uint32_t row)
{
	struct columns *c = p->c;
	uint64_t start = p->start[row], end = start + c->dur[row], from, until;

	if (c->dur[row] == DUR_OPEN)
		end = c->last_icount > start ? c->last_icount : start;
	else if (c->dur[row] == DUR_BIG)
		return; /* see settle_big() */
	from = thread_cpu_until(c, c->track[row], start);
	until = thread_cpu_until(c, c->track[row], end);
	stats->total += until > from ? until - from : 0;
	stats->elapsed += end - start;
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
		add_recursive(p, &w->recursive[function], row);
	}
	return true;
}

void pass_settle(void *context, unsigned worker, unsigned workers)
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
		pass_stop(p, dv_error_no_memory());
}
