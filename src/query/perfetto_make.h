/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Columns out of what perfetto.h read, in the order of time: threads, processes and tracks; slices; who
 * ran when. Private to src/query.
 */
#ifndef DV_QUERY_PERFETTO_MAKE_H
#define DV_QUERY_PERFETTO_MAKE_H

#include "query/perfetto.h"

struct open_slice {
	uint32_t id, name, category;
};

struct track_state {
	uint64_t counter_bits; /* of an incremental counter: its value so far */
	DV_VEC(struct open_slice) stack;
};

/* Where a thread's name is from: a better source's name stays. In Perfetto's order. */
enum name_source { NAME_UNKNOWN, NAME_FTRACE, NAME_TREE, NAME_DESCRIPTOR = 4, NAME_FIXED };

/* What is known of a thread beside its row, by utid. */
struct thread_notes {
	uint32_t before;     /* the thread that had its tid before + 1; 0: none */
	uint32_t of_process; /* another of the same process, whichever that is; itself: it decides */
	uint32_t last_state; /* row + 1 */
	uint8_t name_source;
};

struct process_notes {
	uint32_t parent; /* a thread of it + 1 */
};

/* A CPU as the switches have it. */
struct cpu_notes {
	int64_t tid;
	uint32_t utid, spell; /* spell: row + 1; 0: none is open */
	bool is_known;
};

struct maker {
	struct importer *im;
	struct columns *c;
	DV_VEC(struct thread_row) threads;
	DV_VEC(struct thread_notes) thread_notes;
	DV_VEC(struct process_row) processes;
	DV_VEC(struct process_notes) process_notes;
	DV_VEC(struct track_row) tracks;
	DV_VEC(struct track_state) states; /* by track */
	DV_VEC(struct function_row) functions;
	DV_VEC(uint64_t) start;
	DV_VEC(uint32_t) dur;
	DV_VEC(uint32_t) call;
	DV_VEC(uint16_t) depth;
	DV_VEC(uint32_t) track;
	DV_VEC(uint32_t) parent;
	DV_VEC(uint64_t) child_dur;
	DV_VEC(struct big_value) big_dur;
	DV_VEC(struct slice_args_row) slice_args;
	DV_VEC(struct args_row) args;
	DV_VEC(struct flow_row) flows;
	DV_VEC(struct counter_row) counters;
	DV_VEC(struct spell_row) spells;
	DV_VEC(struct state_row) task_states;
	DV_VEC(struct cpu_notes) cpus;
	struct dv_map pids, tids;      /* -> the newest that lives, + 1 */
	struct dv_map tracks_by_uuid, by_thread, by_process, by_counter, by_name, flow_ends;
	uint32_t sets;
	uint32_t running, runnable; /* strings */
	uint64_t misplaced_ends, task_errors, switches_out_of_step, switches_skipped, wakings_skipped, bad_states;
};

/* Threads, processes and tracks. All return false when out of memory. */

/* utid 0 and upid 0, which are the idle ones. */
bool maker_add_idle(struct maker *m);
/* The newest thread of a tid that lives; made when there is none. */
bool maker_thread(struct maker *m, int64_t tid, uint32_t *ret);
bool maker_track(struct maker *m, uint64_t uuid, uint32_t *ret);
/* A counter of a process. */
bool maker_process_counter(struct maker *m, int64_t pid, uint32_t name, uint32_t *ret);
void maker_name(struct maker *m, uint32_t utid, uint32_t name, enum name_source source);
/* Descriptors, trees, and threads that are made, renamed and freed. */
bool maker_take_task(struct maker *m, const struct task_event *t);
/* Once all is known. */
void maker_settle_threads(struct maker *m);

/* Switches and wakings. */
bool maker_take_sched(struct maker *m, const struct task_event *t);
/* A thread that is new can run. */
bool maker_take_new(struct maker *m, uint64_t ts, uint32_t utid, uint32_t creator);
bool maker_store_sched(struct maker *m);

#endif
