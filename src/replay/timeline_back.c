/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going backward, made of going forward, so that both have the same stops in opposite order. (QEMU's own
 * reverse steps go by instruction counts alone: at an interrupt they skip a state or stand on either.)
 *
 * A step back needs the state before this one. A window of states is listed by stepping through the
 * instructions that lead here; the state before is the one before in the list. From the second step back in
 * a row the window's beginning has a snapshot of its own, so that each costs a load and some steps.
 *
 * A reverse continue needs the last stop before now: stretches of the past are run with the breakpoints set,
 * the nearest first, each longer than the one after it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include "replay/timeline_private.h"
#include "base/vec.h"

#define WINDOW_ICOUNT 200
#define MAX_WINDOW 4096
#define NEAR_SNAPSHOT "dv-near"
#define FIRST_STRETCH_ICOUNT 200000
#define STRETCH_GROWS 8
/* So many stops in one stretch: those before its middle are hardly the last. */
#define MANY_STOPS 200
#define SHORT_ICOUNT 1000

static struct state state_of(const struct dv_where *where)
{
	return (struct state){where->icount, where->registers.rip};
}

static bool same_state(struct state a, struct state b)
{
	return a.icount == b.icount && a.rip == b.rip;
}

static struct dv_error *add_to_window(struct dv_timeline *t, struct state state)
{
	if (!DV_VEC_ROOM(t->window, t->window_len, t->window_cap))
		return dv_error_no_memory();
	t->window[t->window_len++] = state;
	return NULL;
}

/* Refused while events are under way; then it goes without. */
static void save_near(struct dv_timeline *t)
{
	struct dv_error *err;

	if (t->recording->plan->cannot_restore)
		return;
	err = dv_machine_save_snapshot(&t->replay.machine, &t->replay.moves, NEAR_SNAPSHOT);
	t->has_near = !err;
	dv_error_destroy(err);
}

/* Lists the states that lead to this one, which is the window's last then. */
static struct dv_error *fill_window(struct dv_timeline *t, struct state to)
{
	struct dv_where where;

	t->window_len = 0;
	t->has_near = false;
	DV_TRY(timeline_seek(t, to.icount > WINDOW_ICOUNT ? to.icount - WINDOW_ICOUNT : 0, DV_NO_RIP, &where));
	if (t->backs > 1)
		save_near(t);
	for (;;) {
		DV_TRY(add_to_window(t, state_of(&where)));
		if (same_state(t->window[t->window_len - 1], to))
			return NULL;
		if (where.icount > to.icount) { /* a place that steps pass over (see seek.c) */
			t->window[t->window_len - 1] = to;
			return NULL;
		}
		if (t->window_len > MAX_WINDOW)
			break;
		DV_TRY(dv_replay_step(&t->replay));
		DV_TRY(dv_replay_where(&t->replay, &where));
	}
	t->window_len = 0;
	return dv_error_new(DV_ERROR_NOT_FOUND, "no steps lead to icount %" PRIu64 " at 0x%" PRIx64, to.icount, to.rip);
}

static size_t find_in_window(const struct dv_timeline *t, struct state state)
{
	for (size_t i = t->window_len; i > 0; i--)
		if (same_state(t->window[i - 1], state))
			return i - 1;
	return 0;
}

static struct dv_error *go_to_window(struct dv_timeline *t, size_t index, struct dv_where *ret)
{
	struct state to = t->window[index];

	if (t->has_near) {
		DV_TRY(dv_machine_load_snapshot(&t->replay.machine, &t->replay.moves, NEAR_SNAPSHOT));
		for (size_t i = 0; i < index; i++)
			DV_TRY(dv_replay_step(&t->replay));
		DV_TRY(dv_replay_where(&t->replay, ret));
		if (same_state(state_of(ret), to))
			return NULL;
		t->has_near = false;
	}
	return timeline_seek(t, to.icount, to.rip, ret);
}

/* To the state before this one. */
static struct dv_error *go_before(struct dv_timeline *t, struct state from, struct dv_where *ret)
{
	size_t index = find_in_window(t, from);

	if (!index || (t->backs > 1 && !t->has_near && !t->recording->plan->cannot_restore)) {
		DV_TRY(fill_window(t, from));
		index = t->window_len - 1;
	}
	return go_to_window(t, index ? index - 1 : 0, ret);
}

struct dv_error *timeline_step_back(struct dv_timeline *t, struct dv_timeline_now *now)
{
	struct dv_where where;

	DV_TRY(dv_replay_where(&t->replay, &where));
	if (!where.icount) {
		now->why = DV_WHY_BEGIN;
		return NULL;
	}
	now->why = DV_WHY_STEP;
	t->backs += !t->backs;
	return go_before(t, state_of(&where), &now->where);
}

struct hit {
	struct state state; /* where the guest stopped */
	bool watched;
	uint64_t address;
};

struct search {
	struct dv_timeline *t;
	struct state now; /* what is sought lies before it */
	struct hit hit;
	bool found;
};

static void note_hit(struct search *s, const struct dv_timeline_now *stop)
{
	struct state state = state_of(&stop->where);
	bool watched = stop->why == DV_WHY_WATCHPOINT;

	if (watched) {
		s->hit = (struct hit){state, true, stop->address};
		s->found = true;
	}
	/* Where gdb stands it does not want to stop again; a write just before it does count. */
	if (!same_state(state, s->now) && timeline_point_at(s->t, state.rip, false)) {
		s->hit = (struct hit){state, false, state.rip};
		s->found = true;
	}
}

static struct dv_error *search(struct search *s, uint64_t from_icount, uint64_t to_icount);

/* The later half first, then what lies before it. */
static struct dv_error *search_halves(struct search *s, uint64_t from_icount, uint64_t to_icount)
{
	uint64_t middle = from_icount + (to_icount - from_icount) / 2;
	struct hit known = s->hit;

	s->found = false;
	DV_TRY(search(s, middle, to_icount));
	if (!s->found)
		DV_TRY(search(s, from_icount, middle));
	if (!s->found)
		s->hit = known;
	s->found = true;
	return NULL;
}

/* The last stop in (from, to], before s->now. */
static struct dv_error *search(struct search *s, uint64_t from_icount, uint64_t to_icount)
{
	struct dv_timeline *t = s->t;
	struct dv_where where;

	DV_TRY(timeline_seek(t, from_icount, DV_NO_RIP, &where));
	for (unsigned stops = 0;; stops++) {
		struct dv_timeline_now stop = {0};

		if (stops) { /* over the breakpoint */
			DV_TRY(timeline_step_watching(t, &stop));
			if (stop.why == DV_WHY_WATCHPOINT || timeline_point_at(t, stop.where.registers.rip, false)) {
				if (stop.where.icount > to_icount)
					return NULL;
				note_hit(s, &stop);
				continue;
			}
		} else if (timeline_point_at(t, where.registers.rip, false)) {
			stop = (struct dv_timeline_now){.where = where, .why = DV_WHY_BREAKPOINT};
			note_hit(s, &stop);
			continue;
		}
		if (stop.where.icount > to_icount)
			return NULL;
		/* A limit at to_icount would come before a watchpoint that is hit by the instruction before it. */
		DV_TRY(timeline_run(t, to_icount + 1, &stop));
		if (stop.why == DV_WHY_INTERRUPT)
			return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
		if ((stop.why != DV_WHY_BREAKPOINT && stop.why != DV_WHY_WATCHPOINT) || stop.where.icount > to_icount)
			return NULL;
		if (stop.why == DV_WHY_BREAKPOINT && same_state(state_of(&stop.where), s->now))
			return NULL;
		note_hit(s, &stop);
		if (stops >= MANY_STOPS && to_icount - stop.where.icount > SHORT_ICOUNT)
			return search_halves(s, stop.where.icount, to_icount);
	}
}

/* Before the write, with what it writes. */
static struct dv_error *stand_before_write(struct dv_timeline *t, const struct hit *hit,
					   struct dv_timeline_now *now)
{
	const struct point *point = timeline_point_at(t, hit->address, true);
	bool known_after, known_before;
	struct dv_where where;

	DV_TRY(timeline_seek(t, hit->state.icount, hit->state.rip, &where));
	if (point)
		now->new_value = timeline_value(t, point, &known_after);
	DV_TRY(go_before(t, hit->state, &now->where));
	if (point)
		now->old_value = timeline_value(t, point, &known_before);
	now->value_bytes = point && known_after && known_before ? (uint32_t)point->bytes : 0;
	now->why = DV_WHY_WATCHPOINT;
	now->address = hit->address;
	return NULL;
}

struct dv_error *timeline_reverse_continue(struct dv_timeline *t, struct dv_timeline_now *now)
{
	struct search s = {.t = t};
	uint64_t stretch = FIRST_STRETCH_ICOUNT, to;
	struct dv_error *err = NULL;
	struct dv_where where;

	DV_TRY(dv_replay_where(&t->replay, &where));
	s.now = state_of(&where);
	for (to = where.icount; to && !s.found && !err; stretch *= STRETCH_GROWS) {
		uint64_t from = to > stretch ? to - stretch : 0;

		if (!t->points_len)
			from = 0; /* nothing to be found on the way */
		else
			err = search(&s, from, to);
		to = from;
	}
	if (err && err->code == DV_ERROR_CANCELLED && !t->closing) {
		dv_error_destroy(err);
		atomic_store(&t->interrupted, false);
		DV_TRY(timeline_seek(t, s.now.icount, s.now.rip, &where));
		now->why = DV_WHY_INTERRUPT;
		return NULL;
	}
	DV_TRY(err);
	if (!s.found) {
		now->why = DV_WHY_BEGIN;
		return timeline_seek(t, 0, DV_NO_RIP, &now->where);
	}
	if (s.hit.watched)
		return stand_before_write(t, &s.hit, now);
	now->why = DV_WHY_BREAKPOINT;
	now->address = s.hit.address;
	return timeline_seek(t, s.hit.state.icount, s.hit.state.rip, &now->where);
}
