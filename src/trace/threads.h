/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writer's threads and the processes that stock Perfetto is told they belong to.
 *
 * A thread is its id; what tid, tgid and comm it has may change. Its track's uuid is its id. Perfetto
 * names threads by tid, and a tid that comes again under another uuid becomes another thread there.
 * Threads that were seen to begin do so by an ftrace event, as their end and a leader's new name: that is
 * what makes Perfetto's start_ts, end_ts and parent_upid. Their descriptors must come after that in time,
 * and must not come again after the end, since either would make another thread of the same tid: each is
 * given once, with a timestamp. To Perfetto a process and all its threads end with the leader: a leader that goes
 * first ends with the last of its threads there.
 *
 * A thread is given its process when it is first declared and keeps it:
 *  - the idle tasks (and others without a tid, and what ran before the kernel) are put in a process of their own with tids that no
 *    kernel hands out, since Perfetto takes pid 0 for its host's idle process;
 *  - kernel threads are put together under kthreadd, pid 2;
 *  - a group leader (tid == tgid) whose tgid already had another leader is a reused pid: it starts a
 *    new process, which later threads of that tgid join.
 */
#ifndef DV_TRACE_THREADS_H
#define DV_TRACE_THREADS_H

#include "base/map.h"
#include "trace/format.h"
#include "base/proto.h"

struct writer_thread {
	struct dv_trace_thread is;
	uint64_t icount; /* from when on it is so */
	uint32_t process;
	uint32_t block;	 /* the last block that describes it, 0 for none */
	bool is_told;	 /* stock Perfetto has its descriptor, with this name */
};

struct writer_process {
	int32_t pid; /* as Perfetto sees it */
	uint64_t leader; /* a thread's id; 0 while it was not seen */
	char comm[16];
	bool is_told;
	uint32_t alive;	     /* of its threads */
	bool leader_is_gone; /* before the others */
};

struct writer_threads {
	struct writer_thread *threads;
	uint32_t count;
	size_t cap;
	struct dv_map by_id; /* id -> index */
	struct writer_process *processes;
	uint32_t process_count;
	size_t process_cap;
	struct dv_map by_tgid; /* pid -> index of the newest process */
};

/* Uuids of processes start here, those of threads are their ids. */
#define PROCESS_UUID_BASE (1ull << 40)

void writer_threads_deinit(struct writer_threads *t);
/* Adds the thread or changes it. Returns its index, or UINT32_MAX when out of memory. */
uint32_t writer_threads_set(struct writer_threads *t, uint64_t icount, const struct dv_trace_thread *thread);
/* A thread's index, or UINT32_MAX when it was not declared. */
uint32_t writer_threads_find(const struct writer_threads *t, uint64_t id);

/* The pid and tid that stock Perfetto knows the thread by. */
void writer_threads_ids(const struct writer_threads *t, uint32_t index, int32_t *ret_pid, int32_t *ret_tid);

/* Makes sure that this block describes the thread, and that Perfetto knows it and its process. */
void writer_threads_describe(struct writer_threads *t, uint32_t index, uint32_t block,
			     struct dv_buf *packets, struct dv_buf *own);
/* Appends ftrace events: the thread begins, made by creator (UINT32_MAX: not known), has another name,
 * ends. */
void writer_threads_put_begin(const struct writer_threads *t, uint32_t index, uint32_t creator, struct dv_buf *ftrace);
void writer_threads_put_rename(const struct writer_threads *t, uint32_t index, struct dv_buf *ftrace);
/* Its process runs another program from icount on: a packet, and the name that the packet takes from it. */
void writer_threads_put_command(const struct writer_threads *t, uint32_t index, uint64_t icount, const char *arguments,
				size_t len, struct dv_buf *packets, struct dv_buf *ftrace);
void writer_threads_put_end(struct writer_threads *t, uint32_t index, struct dv_buf *ftrace);

/* Appends the body of an own THREAD message. */
void writer_thread_put(struct dv_buf *buf, uint32_t field, const struct writer_thread *thread);

#endif
