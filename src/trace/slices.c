/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Begins and ends to slices. What a thread has executed up to an icount follows from the switches, of
 * which each thread gets its spells on a CPU; since within a thread icounts do not decrease, a cursor
 * per thread is enough. A slice's instructions are the difference between its end and its begin, and
 * its own are those less its children's.
 */
#include <stdlib.h>
#include "trace/reader_private.h"

struct spell {
	uint64_t from_icount, to_icount; /* exclusive */
};

struct open_slice {
	uint64_t start_icount;
	uint64_t start_cpu; /* what its thread had executed then */
	uint64_t child_cpu;
	uint32_t function;
	uint8_t kind;
};

struct slice_thread {
	uint64_t id;
	DV_VEC(struct spell) spells;
	size_t spell; /* the one that the cursor is at or before */
	uint64_t cpu_before; /* executed in the spells before it */
	DV_VEC(struct open_slice) open;
};

struct slicer {
	struct dv_trace_reader *r;
	DV_VEC(struct slice_thread) threads;
	struct dv_map by_id; /* id -> index, plus 1 */
	bool has_switches;
	dv_trace_slice_fn visit;
	void *context;
};

static void slicer_deinit(struct slicer *s)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		free(s->threads.v[i].spells.v);
		free(s->threads.v[i].open.v);
	}
	free(s->threads.v);
	dv_map_deinit(&s->by_id);
}

static struct slice_thread *find_thread(struct slicer *s, uint64_t id)
{
	uint64_t *known = dv_map_put(&s->by_id, id);
	struct slice_thread *thread;

	if (!known)
		return NULL;
	if (*known)
		return &s->threads.v[*known - 1];
	thread = dv_vec_push(&s->threads);
	if (!thread)
		return NULL;
	thread->id = id;
	*known = s->threads.n;
	return thread;
}

static struct dv_error *add_spell(struct slicer *s, uint64_t id, uint64_t from, uint64_t to)
{
	struct slice_thread *thread = find_thread(s, id);
	struct spell *spell;

	if (!thread)
		return dv_error_no_memory();
	/* Out of order or overlapping, as only a damaged file has them: keep what is new. */
	if (thread->spells.n && from < thread->spells.v[thread->spells.n - 1].to_icount)
		from = thread->spells.v[thread->spells.n - 1].to_icount;
	if (from >= to)
		return NULL;
	spell = dv_vec_push(&thread->spells);
	if (!spell)
		return dv_error_no_memory();
	*spell = (struct spell){from, to};
	return NULL;
}

struct cpu {
	uint64_t thread_id, since_icount;
};

/* Whoever a CPU's first switch puts aside is taken to have run there since the trace began. */
static struct dv_error *gather_spells(struct slicer *s)
{
	DV_VEC(struct cpu) cpus = {0};
	const uint64_t end = s->r->metadata.last_icount;
	struct dv_error *err = NULL;

	for (size_t i = 0; i < s->r->switches.n && !err; i++) {
		const struct dv_trace_switch *sw = &s->r->switches.v[i];
		struct cpu *cpu;

		if (sw->cpu >= 65536)
			continue;
		while (cpus.n <= sw->cpu && dv_vec_push(&cpus))
			cpus.v[cpus.n - 1].thread_id = UINT64_MAX;
		if (cpus.n <= sw->cpu) {
			err = dv_error_no_memory();
			break;
		}
		cpu = &cpus.v[sw->cpu];
		err = add_spell(s, cpu->thread_id == UINT64_MAX ? sw->prev_id : cpu->thread_id,
				cpu->since_icount, sw->icount);
		*cpu = (struct cpu){sw->next_id, sw->icount};
	}
	for (size_t i = 0; i < cpus.n && !err; i++) {
		if (cpus.v[i].thread_id != UINT64_MAX)
			err = add_spell(s, cpus.v[i].thread_id, cpus.v[i].since_icount, end);
	}
	free(cpus.v);
	return err;
}

/* What the thread has executed up to icount, which must not be less than the last time. */
static uint64_t cpu_until(struct slicer *s, struct slice_thread *t, uint64_t icount)
{
	const struct spell *spell;

	if (!s->has_switches)
		return icount;
	while (t->spell < t->spells.n && t->spells.v[t->spell].to_icount <= icount) {
		spell = &t->spells.v[t->spell++];
		t->cpu_before += spell->to_icount - spell->from_icount;
	}
	spell = &t->spells.v[t->spell];
	if (t->spell == t->spells.n || icount <= spell->from_icount)
		return t->cpu_before;
	return t->cpu_before + icount - spell->from_icount;
}

static bool close_slice(struct slicer *s, struct slice_thread *t, uint64_t icount, bool is_open)
{
	const struct open_slice *o = &t->open.v[--t->open.n];
	uint64_t until = cpu_until(s, t, icount);
	/* Less than nothing comes only of a file whose icounts go back. */
	uint64_t cpu = until > o->start_cpu ? until - o->start_cpu : 0;
	struct dv_trace_slice slice = {
		.thread_id = t->id,
		.start_icount = o->start_icount,
		.end_icount = icount,
		.cpu_icount = cpu,
		.own_icount = cpu > o->child_cpu ? cpu - o->child_cpu : 0,
		.function = o->function,
		.depth = (uint32_t)t->open.n,
		.kind = o->kind,
		.is_open = is_open,
	};

	if (t->open.n)
		t->open.v[t->open.n - 1].child_cpu += cpu;
	return s->visit(s->context, &slice);
}

static struct dv_error *take_events(struct slicer *s, const struct dv_trace_event *events, size_t count,
				    bool *ret_stopped)
{
	struct slice_thread *t = NULL;

	for (size_t i = 0; i < count && !*ret_stopped; i++) {
		const struct dv_trace_event *e = &events[i];
		struct open_slice *o;

		if (!t || t->id != e->thread_id)
			t = find_thread(s, e->thread_id);
		if (!t)
			return dv_error_no_memory();
		if (e->type == DV_TRACE_END) {
			if (t->open.n)
				*ret_stopped = !close_slice(s, t, e->icount, false);
			continue;
		}
		o = dv_vec_push(&t->open);
		if (!o)
			return dv_error_no_memory();
		*o = (struct open_slice){
			.start_icount = e->icount,
			.start_cpu = cpu_until(s, t, e->icount),
			.function = e->function,
			.kind = e->kind,
		};
	}
	return NULL;
}

static void close_all(struct slicer *s, uint64_t end_icount)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		struct slice_thread *t = &s->threads.v[i];

		while (t->open.n) {
			const struct open_slice *top = &t->open.v[t->open.n - 1];
			uint64_t end = top->start_icount > end_icount ? top->start_icount : end_icount;

			if (!close_slice(s, t, end, true))
				return;
		}
	}
}

static struct dv_error *run(struct slicer *s)
{
	uint64_t end_icount = s->r->metadata.last_icount;
	bool stopped = false;

	DV_TRY(gather_spells(s));
	for (size_t i = 0; i < s->r->blocks.n && !stopped; i++) {
		const struct dv_trace_event *events;
		struct dv_error *err;
		size_t count;

		if (s->r->blocks.v[i].info.after_gap) {
			end_icount = i ? s->r->blocks.v[i - 1].info.last_icount : s->r->metadata.first_icount;
			break;
		}
		err = dv_trace_reader_read_block(s->r, i, &events, &count);
		if (err && err->code == DV_ERROR_NO_MEMORY)
			return err;
		if (err) {
			end_icount = i ? s->r->blocks.v[i - 1].info.last_icount : s->r->metadata.first_icount;
			dv_error_destroy(err);
			break;
		}
		DV_TRY(take_events(s, events, count, &stopped));
	}
	if (!stopped)
		close_all(s, end_icount);
	return NULL;
}

struct dv_error *dv_trace_reader_slices(struct dv_trace_reader *r, dv_trace_slice_fn visit, void *context)
{
	struct slicer s = {
		.r = r,
		.has_switches = r->switches.n,
		.visit = visit,
		.context = context,
	};
	struct dv_error *err = run(&s);

	slicer_deinit(&s);
	return err;
}
