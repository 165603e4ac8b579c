/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only some queries need: made once, when it is first asked for, and then the same for all threads. */
#include <stdatomic.h>
#include "query/load.h"
#include "query/vtab.h"

struct lazy {
	pthread_mutex_t lock; /* held while something is made */
	_Atomic(struct by_function *) by_function;
	_Atomic(struct states *) states;
	_Atomic(uint32_t *) sched_by_ts;
	struct by_function made_by_function;
	struct states made_states;
	struct state_row *own_states; /* where they are no column */
};

struct dv_error *lazy_create(struct lazy **ret)
{
	struct lazy *lazy = calloc(1, sizeof(*lazy));

	if (!lazy)
		return dv_error_no_memory();
	pthread_mutex_init(&lazy->lock, NULL);
	*ret = lazy;
	return NULL;
}

void lazy_destroy(struct lazy *lazy, const struct columns *c)
{
	if (!lazy)
		return;
	column_free(lazy->made_by_function.ids, c->n, sizeof(uint32_t));
	free(lazy->made_by_function.first);
	free(lazy->own_states);
	free(atomic_load(&lazy->sched_by_ts));
	pthread_mutex_destroy(&lazy->lock);
	free(lazy);
}

static bool make_by_function(const struct columns *c, struct by_function *ret)
{
	uint32_t *next = calloc(c->n_functions + 1, sizeof(*next)), place = 0;

	ret->first = malloc((c->n_functions + 1) * sizeof(*ret->first));
	ret->ids = column_alloc(c->n, sizeof(*ret->ids));
	if (!next || !ret->first || !ret->ids) {
		free(next);
		free(ret->first);
		column_free(ret->ids, c->n, sizeof(*ret->ids));
		*ret = (struct by_function){0};
		return false;
	}
	for (size_t f = 0; f < c->n_functions; f++) {
		next[f] = ret->first[f] = place;
		place += (uint32_t)c->stats[f].calls;
	}
	ret->first[c->n_functions] = place;
	for (uint32_t id = 0; id < c->n; id++)
		ret->ids[next[slice_function(c, id)]++] = id;
	free(next);
	return true;
}

const struct by_function *query_by_function(const struct dv_query *q)
{
	struct lazy *lazy = q->lazy;
	struct by_function *by = atomic_load(&lazy->by_function);

	if (by)
		return by;
	pthread_mutex_lock(&lazy->lock);
	if (!atomic_load(&lazy->by_function) && make_by_function(&q->c, &lazy->made_by_function))
		atomic_store(&lazy->by_function, &lazy->made_by_function);
	pthread_mutex_unlock(&lazy->lock);
	return atomic_load(&lazy->by_function);
}

/* When threads ran */

static int by_start(const void *a, const void *b)
{
	const struct state_row *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->utid < y->utid ? -1 : x->utid > y->utid;
}

static bool add_states(const struct columns *c, uint32_t utid, void *states)
{
	DV_VEC(struct state_row) *v = states;
	const struct thread_row *t = &c->threads[utid];
	const struct spell_row *spells = c->spells + t->first_spell;

	for (uint32_t i = 0; i < t->spells; i++) {
		uint64_t until = i + 1 < t->spells ? spells[i + 1].start : t->end;
		struct state_row row = {.start = spells[i].start, .end = spells[i].is_open ? UINT64_MAX : spells[i].end,
					.utid = utid, .cpu = spells[i].cpu, .waker = DV_QUERY_NONE,
					.waker_row = DV_QUERY_NONE, .in_interrupt = DV_QUERY_NONE}, *s = dv_vec_add(v);

		if (!s)
			return false;
		*s = row;
		if (spells[i].is_open || until == spells[i].end)
			continue;
		row.start = spells[i].end;
		row.end = until;
		row.cpu = DV_QUERY_NONE;
		row.state = spells[i].end_state;
		s = dv_vec_add(v);
		if (!s)
			return false;
		*s = row;
	}
	return true;
}

/* Idle tasks have no states but running, as in Perfetto. */
static bool make_states(const struct columns *c, struct lazy *lazy)
{
	DV_VEC(struct state_row) v = {0};
	bool good = true;

	if (!c->is_dejaview) {
		lazy->made_states = (struct states){c->states, c->n_states};
		return true;
	}
	for (uint32_t i = 0; i < c->n_threads && good; i++) {
		if (!c->threads[i].is_idle)
			good = add_states(c, i, &v);
	}
	if (!good) {
		free(v.v);
		return false;
	}
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_start);
	lazy->own_states = v.v;
	lazy->made_states = (struct states){v.v, v.n};
	return true;
}

const struct states *query_states(const struct dv_query *q)
{
	struct lazy *lazy = q->lazy;
	struct states *states = atomic_load(&lazy->states);

	if (states)
		return states;
	pthread_mutex_lock(&lazy->lock);
	if (!atomic_load(&lazy->states) && make_states(&q->c, lazy))
		atomic_store(&lazy->states, &lazy->made_states);
	pthread_mutex_unlock(&lazy->lock);
	return atomic_load(&lazy->states);
}

static int by_ts(const void *a, const void *b, void *context)
{
	const struct spell_row *spells = context, *x = &spells[*(const uint32_t *)a], *y = &spells[*(const uint32_t *)b];

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

const uint32_t *query_sched_by_ts(const struct dv_query *q)
{
	struct lazy *lazy = q->lazy;
	uint32_t *order = atomic_load(&lazy->sched_by_ts);

	if (order)
		return order;
	pthread_mutex_lock(&lazy->lock);
	order = atomic_load(&lazy->sched_by_ts);
	if (!order)
		order = malloc((q->c.n_spells + 1) * sizeof(*order));
	if (order && !atomic_load(&lazy->sched_by_ts)) {
		for (uint32_t i = 0; i < q->c.n_spells; i++)
			order[i] = i;
		qsort_r(order, q->c.n_spells, sizeof(*order), by_ts, q->c.spells);
		atomic_store(&lazy->sched_by_ts, order);
	}
	pthread_mutex_unlock(&lazy->lock);
	return order;
}
