/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads, processes and tracks of a Perfetto trace: see perfetto_make.h. Tids come again: the newest that
 * has not ended, nor has its process, is meant. That a thread is of a process may be told late, by /proc or
 * by a descriptor, and then it is known for all that it made, and for who made it.
 */
#include "query/perfetto_make.h"

#define MAX_PARENTS 64
#define CLONE_THREAD 0x10000

/* Which process a thread is of */

static uint32_t decider(struct maker *m, uint32_t utid)
{
	struct thread_notes *notes = m->thread_notes.v;

	while (notes[utid].of_process != utid)
		utid = notes[utid].of_process = notes[notes[utid].of_process].of_process;
	return utid;
}

static uint32_t process_of_thread(struct maker *m, uint32_t utid)
{
	return m->threads.v[decider(m, utid)].upid;
}

static bool is_alive(struct maker *m, uint32_t utid)
{
	uint32_t upid = process_of_thread(m, utid);
	const uint64_t *newest;

	if (m->threads.v[utid].end != UINT64_MAX)
		return false;
	if (upid == DV_QUERY_NONE)
		return true;
	newest = dv_map_get(&m->pids, (uint64_t)m->processes.v[upid].pid);
	return m->processes.v[upid].end == UINT64_MAX && (!newest || !*newest || *newest - 1 == upid);
}

/* Two threads are of the same process. */
static void join(struct maker *m, uint32_t a, uint32_t b)
{
	a = decider(m, a);
	b = decider(m, b);
	if (a == b)
		return;
	if (m->threads.v[a].upid == DV_QUERY_NONE)
		m->thread_notes.v[a].of_process = b;
	else if (m->threads.v[b].upid == DV_QUERY_NONE)
		m->thread_notes.v[b].of_process = a;
	else
		m->task_errors += m->threads.v[a].upid != m->threads.v[b].upid;
}

/* Threads and processes */

static bool add_thread(struct maker *m, uint64_t start, int64_t tid, uint32_t *ret)
{
	uint64_t *newest = dv_map_put(&m->tids, (uint64_t)tid);
	struct thread_row *row = dv_vec_add(&m->threads);
	struct thread_notes *notes = dv_vec_add(&m->thread_notes);

	if (!newest || !row || !notes)
		return false;
	*ret = (uint32_t)m->threads.n - 1;
	*row = (struct thread_row){.tid = tid, .start = start, .end = UINT64_MAX, .upid = DV_QUERY_NONE,
				   .track = DV_QUERY_NONE, .creator = DV_QUERY_NONE};
	*notes = (struct thread_notes){.before = (uint32_t)*newest, .of_process = *ret};
	*newest = m->threads.n;
	return true;
}

/* of_pid: NULL for any. *ret is DV_QUERY_NONE when there is none. */
static void find_thread(struct maker *m, int64_t tid, const int64_t *of_pid, uint32_t *ret)
{
	uint64_t *newest = dv_map_get(&m->tids, (uint64_t)tid);
	uint32_t at = newest ? (uint32_t)*newest : 0, newer = DV_QUERY_NONE;

	*ret = DV_QUERY_NONE;
	while (at) {
		uint32_t utid = at - 1, upid = process_of_thread(m, utid);

		at = m->thread_notes.v[utid].before;
		if (!is_alive(m, utid)) { /* nor ever again */
			if (newer == DV_QUERY_NONE)
				*newest = at;
			else
				m->thread_notes.v[newer].before = at;
			continue;
		}
		newer = utid;
		if (of_pid && upid != DV_QUERY_NONE && m->processes.v[upid].pid != *of_pid)
			continue;
		*ret = utid;
		return;
	}
}

bool maker_thread(struct maker *m, int64_t tid, uint32_t *ret)
{
	find_thread(m, tid, NULL, ret);
	return *ret != DV_QUERY_NONE || add_thread(m, UINT64_MAX, tid, ret);
}

static bool thread_of(struct maker *m, int64_t pid, int64_t tid, uint32_t *ret);

/* A process that is new has a main thread, as in Perfetto. */
static bool process_of(struct maker *m, int64_t pid, uint32_t *ret)
{
	uint64_t *known = dv_map_put(&m->pids, (uint64_t)pid);
	struct process_row *row;
	struct process_notes *notes;
	uint32_t utid;

	if (!known)
		return false;
	if (*known) {
		*ret = (uint32_t)*known - 1;
		return true;
	}
	row = dv_vec_add(&m->processes);
	notes = dv_vec_add(&m->process_notes);
	if (!row || !notes)
		return false;
	*row = (struct process_row){.pid = pid, .start = UINT64_MAX, .end = UINT64_MAX, .parent = DV_QUERY_NONE};
	*notes = (struct process_notes){0};
	*known = m->processes.n;
	*ret = (uint32_t)m->processes.n - 1;
	return thread_of(m, pid, pid, &utid);
}

static bool thread_of(struct maker *m, int64_t pid, int64_t tid, uint32_t *ret)
{
	uint32_t upid;

	find_thread(m, tid, &pid, ret);
	if (*ret == DV_QUERY_NONE && !add_thread(m, UINT64_MAX, tid, ret))
		return false;
	if (process_of_thread(m, *ret) != DV_QUERY_NONE)
		return true;
	if (!process_of(m, pid, &upid))
		return false;
	/* Making it may have told. */
	if (process_of_thread(m, *ret) == DV_QUERY_NONE)
		m->threads.v[decider(m, *ret)].upid = upid;
	return true;
}

bool maker_add_idle(struct maker *m)
{
	struct process_row *process = dv_vec_add(&m->processes);
	struct process_notes *notes = dv_vec_add(&m->process_notes);
	uint64_t *known;
	uint32_t utid;

	if (!process || !notes || !add_thread(m, UINT64_MAX, 0, &utid))
		return false;
	*notes = (struct process_notes){0};
	*process = (struct process_row){.start = UINT64_MAX, .end = UINT64_MAX, .parent = DV_QUERY_NONE};
	m->threads.v[0].upid = 0;
	m->threads.v[0].is_main = m->threads.v[0].is_idle = true;
	m->threads.v[0].name = strings_put(&m->im->l->strings, "swapper");
	m->thread_notes.v[0].name_source = NAME_FIXED;
	known = dv_map_put(&m->pids, 0);
	if (known)
		*known = 1;
	return known;
}

void maker_name(struct maker *m, uint32_t utid, uint32_t name, enum name_source source)
{
	if (!name || source < m->thread_notes.v[utid].name_source)
		return;
	m->threads.v[utid].name = name;
	m->thread_notes.v[utid].name_source = (uint8_t)source;
}

/* Tracks */

static const struct descriptor *descriptor(const struct maker *m, uint64_t uuid)
{
	const uint64_t *known = dv_map_get(&m->im->by_uuid, uuid);

	return known && *known ? &m->im->descriptors.v[*known - 1] : NULL;
}

/* The nearest thread or process that a track belongs to, itself first. */
static const struct descriptor *scope_of(const struct maker *m, const struct descriptor *d)
{
	for (int i = 0; d && i < MAX_PARENTS; i++) {
		if (d->has_thread || d->has_process)
			return d;
		d = d->has_parent ? descriptor(m, d->parent_uuid) : NULL;
	}
	return NULL;
}

static bool add_track(struct maker *m, const struct track_row *row, uint32_t *ret)
{
	struct track_row *track = dv_vec_add(&m->tracks);
	struct track_state *state = dv_vec_add(&m->states);

	if (!track || !state)
		return false;
	*track = *row;
	*state = (struct track_state){0};
	*ret = (uint32_t)m->tracks.n - 1;
	return true;
}

static bool fill_scope(struct maker *m, const struct descriptor *scope, struct track_row *row)
{
	if (!scope)
		return true;
	if (!scope->has_thread) {
		row->type = DV_TRACK_PROCESS;
		return process_of(m, scope->pid, &row->upid);
	}
	row->type = DV_TRACK_THREAD;
	if (!thread_of(m, scope->pid, scope->tid, &row->utid))
		return false;
	row->upid = process_of_thread(m, row->utid);
	return true;
}

/* A thread has one track, however often it was described; so has a process. */
static bool track_of(struct maker *m, uint64_t uuid, int depth, uint32_t *ret)
{
	const struct descriptor *d = descriptor(m, uuid), *scope = scope_of(m, d);
	struct track_row row = {.uuid = uuid, .parent = DV_QUERY_NONE, .type = DV_TRACK_GLOBAL, .utid = DV_QUERY_NONE,
				.upid = DV_QUERY_NONE};
	uint64_t *known = dv_map_get(&m->tracks_by_uuid, uuid), *shared = NULL;

	if (known && *known) {
		*ret = (uint32_t)*known - 1;
		return true;
	}
	if (!fill_scope(m, scope, &row))
		return false;
	row.is_counter = d && d->has_counter;
	if (d && d == scope && !row.is_counter)
		shared = d->has_thread ? dv_map_put(&m->by_thread, row.utid) : dv_map_put(&m->by_process, row.upid);
	if (d && d == scope && !row.is_counter && !shared)
		return false;
	if (d) {
		row.name = d->name;
		row.counter_unit = d->unit;
	}
	if (d && d->has_parent && d != scope && depth < MAX_PARENTS && descriptor(m, d->parent_uuid) &&
	    !track_of(m, d->parent_uuid, depth + 1, &row.parent))
		return false;
	if (shared && *shared)
		*ret = (uint32_t)*shared - 1;
	else if (!add_track(m, &row, ret))
		return false;
	if (shared)
		*shared = *ret + 1ull;
	if (shared && d->has_thread && m->threads.v[row.utid].track == DV_QUERY_NONE)
		m->threads.v[row.utid].track = *ret;
	known = dv_map_put(&m->tracks_by_uuid, uuid);
	if (known)
		*known = *ret + 1ull;
	return known;
}

bool maker_track(struct maker *m, uint64_t uuid, uint32_t *ret)
{
	return track_of(m, uuid, 0, ret);
}

bool maker_process_counter(struct maker *m, int64_t pid, uint32_t name, uint32_t *ret)
{
	struct track_row row = {.parent = DV_QUERY_NONE, .type = DV_TRACK_PROCESS, .utid = DV_QUERY_NONE, .name = name,
				.is_counter = true};
	uint64_t *known;

	if (!process_of(m, pid, &row.upid))
		return false;
	known = dv_map_put(&m->by_counter, (uint64_t)row.upid << 32 | name);
	if (!known || (!*known && !add_track(m, &row, ret)))
		return false;
	if (!*known)
		*known = *ret + 1ull;
	*ret = (uint32_t)*known - 1;
	return true;
}

/* What is said of them */

static bool take_described(struct maker *m, const struct descriptor *d)
{
	uint32_t row;

	if (!track_of(m, d->uuid, 0, &row))
		return false;
	if (d->has_thread) {
		if (!thread_of(m, d->pid, d->tid, &row))
			return false;
		maker_name(m, row, d->thread_name, NAME_DESCRIPTOR);
	}
	if (d->has_process) {
		if (!process_of(m, d->pid, &row))
			return false;
		if (!m->processes.v[row].name)
			m->processes.v[row].name = d->process_name;
		if (d->cmdline)
			m->processes.v[row].cmdline = d->cmdline;
	}
	return true;
}

static bool take_process(struct maker *m, const struct task_event *t)
{
	uint32_t parent, upid, utid;

	if (!process_of(m, t->other, &parent) || !process_of(m, t->tid, &upid))
		return false;
	m->processes.v[upid].name = t->name;
	m->processes.v[upid].cmdline = t->other_name;
	m->processes.v[upid].parent = parent;
	if (t->state && m->processes.v[upid].start == UINT64_MAX)
		m->processes.v[upid].start = (uint64_t)t->state;
	if (!t->flag)
		return true;
	if (!maker_thread(m, t->tid, &utid))
		return false;
	maker_name(m, utid, t->other_name, NAME_TREE);
	return true;
}

static bool take_process_named(struct maker *m, const struct task_event *t)
{
	uint32_t upid;

	if (!process_of(m, t->tid, &upid))
		return false;
	if (!m->processes.v[upid].name)
		m->processes.v[upid].name = t->name;
	return true;
}

/* fork(), or a thread of who made it. The kernel's first tasks make idle tasks for other CPUs, with tid 0. */
static bool take_new(struct maker *m, const struct task_event *t)
{
	uint32_t creator, utid, upid;

	if (!t->other)
		return true;
	if (t->state & CLONE_THREAD) {
		if (!maker_thread(m, t->tid, &creator) || !add_thread(m, t->ts, t->other, &utid))
			return false;
		join(m, creator, utid);
	} else {
		dv_map_remove(&m->pids, (uint64_t)t->other);
		if (!add_thread(m, t->ts, t->other, &utid) || !process_of(m, t->other, &upid) ||
		    !maker_thread(m, t->tid, &creator))
			return false;
		m->processes.v[upid].start = t->ts;
		m->processes.v[upid].name = t->name;
		m->process_notes.v[upid].parent = creator + 1;
	}
	m->threads.v[utid].creator = creator;
	maker_name(m, utid, t->name, NAME_FTRACE);
	return maker_take_new(m, t->ts, utid, creator);
}

static bool take_rename(struct maker *m, const struct task_event *t)
{
	uint32_t utid, upid;

	if (!maker_thread(m, t->tid, &utid) || !maker_thread(m, t->other, &utid))
		return false;
	maker_name(m, utid, t->name, NAME_FTRACE);
	upid = process_of_thread(m, utid);
	if (upid != DV_QUERY_NONE && m->processes.v[upid].pid == t->other)
		m->processes.v[upid].name = t->name;
	return true;
}

static bool take_free(struct maker *m, const struct task_event *t)
{
	uint32_t utid, upid;

	if (!maker_thread(m, t->tid, &utid))
		return false;
	find_thread(m, t->other, NULL, &utid);
	if (utid == DV_QUERY_NONE)
		return true;
	upid = process_of_thread(m, utid);
	m->threads.v[utid].end = t->ts;
	if (upid == DV_QUERY_NONE || m->processes.v[upid].pid != t->other)
		return true;
	m->processes.v[upid].end = t->ts;
	dv_map_remove(&m->pids, (uint64_t)t->other);
	return true;
}

bool maker_take_task(struct maker *m, const struct task_event *t)
{
	uint32_t utid;

	switch (t->type) {
	case TASK_DESCRIBED:
		return take_described(m, &m->im->descriptors.v[t->index]);
	case TASK_PROCESS:
		return take_process(m, t);
	case TASK_PROCESS_NAMED:
		return take_process_named(m, t);
	case TASK_THREAD:
		if (!thread_of(m, t->other, t->tid, &utid))
			return false;
		maker_name(m, utid, t->name, NAME_TREE);
		return true;
	case TASK_NEW:
		return take_new(m, t);
	case TASK_RENAME:
		return take_rename(m, t);
	case TASK_FREE:
		return take_free(m, t);
	default:
		return maker_thread(m, t->tid, &utid);
	}
}

void maker_settle_threads(struct maker *m)
{
	for (uint32_t i = 0; i < m->threads.n; i++) {
		struct thread_row *row = &m->threads.v[i];

		row->upid = process_of_thread(m, i);
		row->is_main = row->upid != DV_QUERY_NONE && m->processes.v[row->upid].pid == row->tid;
	}
	for (uint32_t i = 0; i < m->processes.n; i++) {
		uint32_t parent = m->process_notes.v[i].parent;

		if (parent && m->processes.v[i].parent == DV_QUERY_NONE)
			m->processes.v[i].parent = m->threads.v[parent - 1].upid;
	}
	for (uint32_t i = 0; i < m->tracks.n; i++) {
		if (m->tracks.v[i].utid != DV_QUERY_NONE)
			m->tracks.v[i].upid = m->threads.v[m->tracks.v[i].utid].upid;
	}
}
