/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who ran when in a Perfetto trace, and what those did that did not: see perfetto_make.h. Spells are rows
 * of `sched`; a thread's states follow each other in `thread_state`: it runs, leaves the CPU, is woken.
 */
#include <string.h>
#include "query/perfetto_make.h"

#define KERNEL_4_8 (4u << 8 | 8)
#define KERNEL_4_14 (4u << 8 | 14)

struct task_flag {
	uint16_t flag;
	char letter;
};

/*
 * A task's state as sched_switch reports it, by what include/linux/sched.h says. Up to v4.13 these are the
 * scheduler's own flags, with one bit more for who was preempted; since v4.14 only those that are worth a
 * report, with two of the report's own: idle and preempted. Perfetto takes a kernel that is not named for v4.4.
 */
static void state_letters(uint32_t kernel, uint16_t state, char ret[16])
{
	static const struct task_flag always[] = {{1, 'S'}, {2, 'D'}, {4, 'T'}, {8, 't'}, {0x10, 'X'}, {0x20, 'Z'}};
	static const struct task_flag before[] = {{0x200, 'P'}, {0x40, 'x'}, {0x80, 'K'}, {0x100, 'W'}, {0x400, 'N'}};
	static const struct task_flag since[] = {{0x40, 'P'}, {0x80, 'I'}};
	const struct task_flag *more = kernel >= KERNEL_4_14 ? since : before;
	size_t count = kernel >= KERNEL_4_14 ? DV_ARRAY_SIZE(since) : DV_ARRAY_SIZE(before), n = 0;
	uint16_t preempted = kernel >= KERNEL_4_14 ? 0x100 : kernel >= KERNEL_4_8 ? 0x1000 : 0x800;

	/* Uninterruptible without load is what is called idle. */
	if (kernel < KERNEL_4_14 && (state & 0x7ff) == 0x402) {
		strcpy(ret, "I");
		return;
	}
	for (size_t i = 0; i < DV_ARRAY_SIZE(always); i++) {
		if (state & always[i].flag)
			ret[n++] = always[i].letter;
	}
	for (size_t i = 0; i < count; i++) {
		if (state & more[i].flag)
			ret[n++] = more[i].letter;
	}
	if (!n)
		ret[n++] = 'R';
	if (n == 1 && ret[0] == 'R' && (state & preempted))
		ret[n++] = '+';
	ret[n] = '\0';
}

static uint32_t state_string(struct maker *m, int64_t state)
{
	char letters[16];

	if (m->im->kernel_version >= KERNEL_4_14 && ((uint16_t)state & 0xfe00)) {
		m->bad_states++;
		return 0;
	}
	state_letters(m->im->kernel_version, (uint16_t)state, letters);
	return strings_put(&m->im->l->strings, letters);
}

/* States of threads */

static struct state_row *last_state(struct maker *m, uint32_t utid)
{
	uint32_t row = m->thread_notes.v[utid].last_state;

	return row ? &m->task_states.v[row - 1] : NULL;
}

static void end_state(struct maker *m, uint64_t ts, uint32_t utid)
{
	struct state_row *last = last_state(m, utid);

	if (last)
		last->end = ts;
}

/* Idle tasks have none. */
static bool add_state(struct maker *m, const struct state_row *state)
{
	struct state_row *row;

	if (!state->utid)
		return true;
	row = dv_vec_add(&m->task_states);
	if (!row || m->task_states.n >= UINT32_MAX)
		return false;
	*row = *state;
	row->end = UINT64_MAX;
	m->thread_notes.v[state->utid].last_state = (uint32_t)m->task_states.n;
	return true;
}

static bool add_runnable(struct maker *m, uint64_t ts, uint32_t utid, uint32_t waker, uint32_t in_interrupt)
{
	const struct state_row *by = last_state(m, waker);
	struct state_row state = {.start = ts, .utid = utid, .cpu = DV_QUERY_NONE, .state = m->runnable, .waker = waker,
				  .waker_row = DV_QUERY_NONE, .in_interrupt = in_interrupt};

	if (by && by->state == m->running)
		state.waker_row = m->thread_notes.v[waker].last_state - 1;
	return add_state(m, &state);
}

bool maker_take_new(struct maker *m, uint64_t ts, uint32_t utid, uint32_t creator)
{
	return add_runnable(m, ts, utid, creator, 0);
}

/* Only who sleeps is woken. */
static bool wake(struct maker *m, uint64_t ts, uint32_t utid, uint32_t waker, uint32_t in_interrupt)
{
	struct state_row *last = last_state(m, utid);

	if (last && (last->state == m->running || last->state == m->runnable))
		return true;
	end_state(m, ts, utid);
	return add_runnable(m, ts, utid, waker, in_interrupt);
}

static bool switch_states(struct maker *m, uint64_t ts, uint32_t cpu, uint32_t prev, uint32_t prev_state, uint32_t next)
{
	struct state_row leaves = {.start = ts, .utid = prev, .cpu = DV_QUERY_NONE, .state = prev_state,
				   .waker = DV_QUERY_NONE, .waker_row = DV_QUERY_NONE, .in_interrupt = DV_QUERY_NONE};
	struct state_row comes = leaves;
	const struct state_row *last = last_state(m, prev);

	/* One that did not run as far as is known: switches were lost, and when its state ended is not known. */
	if (!last || last->state == m->running)
		end_state(m, ts, prev);
	if (!add_state(m, &leaves))
		return false;
	end_state(m, ts, next);
	comes.utid = next;
	comes.cpu = cpu;
	comes.state = m->running;
	return add_state(m, &comes);
}

/* Switches */

static struct cpu_notes *cpu_of(struct maker *m, uint32_t cpu)
{
	while (m->cpus.n <= cpu) {
		struct cpu_notes *notes = dv_vec_add(&m->cpus);

		if (!notes)
			return NULL;
		*notes = (struct cpu_notes){0};
	}
	return &m->cpus.v[cpu];
}

static void end_spell(struct maker *m, struct cpu_notes *cpu, uint64_t ts, uint32_t state)
{
	struct spell_row *spell = cpu->spell ? &m->spells.v[cpu->spell - 1] : NULL;

	if (!spell)
		return;
	spell->end = ts;
	spell->end_state = state;
	spell->is_open = false;
}

/* It is open, and as if it were over at once, until its end is known. */
static bool begin_spell(struct maker *m, struct cpu_notes *cpu, const struct task_event *t, uint32_t utid)
{
	struct spell_row *row = dv_vec_add(&m->spells);

	if (!row || m->spells.n >= UINT32_MAX)
		return false;
	*row = (struct spell_row){.start = t->ts, .end = t->ts, .utid = utid, .cpu = t->index,
				  .priority = (uint32_t)t->priority, .is_open = true};
	*cpu = (struct cpu_notes){.tid = t->other, .utid = utid, .spell = (uint32_t)m->spells.n, .is_known = true};
	return true;
}

static bool take_switch(struct maker *m, const struct task_event *t)
{
	struct cpu_notes *cpu = cpu_of(m, t->index);
	uint32_t next, prev, state = state_string(m, t->state);

	if (!cpu || !maker_thread(m, t->other, &next))
		return false;
	maker_name(m, next, t->other_name, NAME_FTRACE);
	if (cpu->spell && t->tid == cpu->tid)
		end_spell(m, cpu, t->ts, state);
	else
		m->switches_out_of_step += cpu->spell != 0;
	if (!maker_thread(m, t->tid, &prev))
		return false;
	maker_name(m, prev, t->name, NAME_FTRACE);
	return begin_spell(m, cpu, t, next) && switch_states(m, t->ts, t->index, prev, state, next);
}

/* Who leaves is who came last; of the first of a CPU that is not known, so that it tells no more than who comes. */
static bool take_compact_switch(struct maker *m, const struct task_event *t)
{
	struct cpu_notes *cpu = cpu_of(m, t->index);
	uint32_t next, prev, state;

	if (!cpu || !maker_thread(m, t->other, &next))
		return false;
	maker_name(m, next, t->other_name, NAME_FTRACE);
	if (!cpu->is_known) {
		*cpu = (struct cpu_notes){.tid = t->other, .utid = next, .is_known = true};
		m->switches_skipped++;
		return true;
	}
	state = state_string(m, t->state);
	end_spell(m, cpu, t->ts, state);
	prev = cpu->utid;
	return begin_spell(m, cpu, t, next) && switch_states(m, t->ts, t->index, prev, state, next);
}

static bool take_waking(struct maker *m, const struct task_event *t)
{
	uint32_t wakee, waker;

	if (!maker_thread(m, t->other, &wakee))
		return false;
	maker_name(m, wakee, t->name, NAME_FTRACE);
	return maker_thread(m, t->tid, &waker) && wake(m, t->ts, wakee, waker, DV_QUERY_NONE);
}

static bool take_compact_waking(struct maker *m, const struct task_event *t)
{
	const struct cpu_notes *cpu = cpu_of(m, t->index);
	uint32_t wakee;

	if (!cpu)
		return false;
	if (!cpu->is_known) {
		m->wakings_skipped++;
		return true;
	}
	return maker_thread(m, t->other, &wakee) && wake(m, t->ts, wakee, cpu->utid, t->flag);
}

bool maker_take_sched(struct maker *m, const struct task_event *t)
{
	switch (t->type) {
	case TASK_SWITCH:
		return take_switch(m, t);
	case TASK_SWITCH_COMPACT:
		return take_compact_switch(m, t);
	case TASK_WAKING:
		return take_waking(m, t);
	default:
		return take_compact_waking(m, t);
	}
}

/* Columns */

static int by_thread(const void *a, const void *b)
{
	const struct spell_row *x = a, *y = b;

	if (x->utid != y->utid)
		return x->utid < y->utid ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

static int by_cpu(const void *a, const void *b, void *context)
{
	const struct spell_row *spells = context, *x = &spells[*(const uint32_t *)a], *y = &spells[*(const uint32_t *)b];

	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* The last of each CPU goes on to the trace's end. */
static void close_spells(struct maker *m)
{
	for (size_t i = 0; i < m->cpus.n; i++) {
		uint32_t spell = m->cpus.v[i].spell;

		if (spell)
			m->spells.v[spell - 1].end = m->c->last_icount;
	}
}

bool maker_store_sched(struct maker *m)
{
	struct columns *c = m->c;

	close_spells(m);
	if (m->spells.n)
		qsort(m->spells.v, m->spells.n, sizeof(*m->spells.v), by_thread);
	for (uint32_t i = 0; i < m->spells.n; i++) {
		struct spell_row *spell = &m->spells.v[i];
		struct thread_row *thread = &m->threads.v[spell->utid];

		if (!thread->spells++)
			thread->first_spell = i;
		spell->before = thread->cpu;
		thread->cpu += spell->end - spell->start;
	}
	c->cpus = (uint32_t)m->cpus.n;
	c->n_sched = m->spells.n;
	c->sched = column_alloc(c->n_sched, sizeof(*c->sched));
	if (!c->sched || !COLUMN_SET(c, spells, m->spells.v, m->spells.n) ||
	    !COLUMN_SET(c, states, m->task_states.v, m->task_states.n))
		return false;
	for (uint32_t i = 0; i < c->n_sched; i++)
		c->sched[i] = i;
	if (c->n_sched)
		qsort_r(c->sched, c->n_sched, sizeof(*c->sched), by_cpu, c->spells);
	return true;
}
