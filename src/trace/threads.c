/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads and processes of a trace being written: see threads.h. */
#include "trace/threads.h"

#include "base/vec.h"
#include "trace/commands.h"
#include "trace/fields.h"

#define IDLE_PID DV_TRACE_FIRST_SYNTHETIC_TID
#define KTHREADD_PID 2

void writer_threads_deinit(struct writer_threads *t)
{
	free(t->threads);
	free(t->processes);
	dv_map_deinit(&t->by_id);
	dv_map_deinit(&t->by_tgid);
	*t = (struct writer_threads){0};
}

static uint32_t new_process(struct writer_threads *t, int32_t pid)
{
	uint64_t *slot = dv_map_put(&t->by_tgid, (uint32_t)pid);

	if (!slot)
		return UINT32_MAX;
	if (!DV_VEC_ROOM(t->processes, t->process_count, t->process_cap))
		return UINT32_MAX;
	t->processes[t->process_count] = (struct writer_process){.pid = pid};
	*slot = t->process_count;
	return t->process_count++;
}

static int32_t process_pid(const struct dv_trace_thread *thread)
{
	if (thread->tid <= 0 || thread->tgid <= 0 || thread->tid >= DV_TRACE_FIRST_SYNTHETIC_TID)
		return IDLE_PID;
	return thread->is_kernel ? KTHREADD_PID : thread->tgid;
}

static bool is_leader(const struct dv_trace_thread *thread)
{
	return thread->tid > 0 && thread->tid == thread->tgid && process_pid(thread) == thread->tgid;
}

static uint32_t process_of(struct writer_threads *t, const struct dv_trace_thread *thread)
{
	int32_t pid = process_pid(thread);
	uint64_t *known = dv_map_get(&t->by_tgid, (uint32_t)pid);
	uint32_t index = known ? (uint32_t)*known : UINT32_MAX;

	if (known && is_leader(thread) && t->processes[index].leader)
		index = UINT32_MAX;
	if (index == UINT32_MAX) {
		index = new_process(t, pid);
		if (index == UINT32_MAX)
			return index;
		strcpy(t->processes[index].comm, pid == IDLE_PID	 ? "idle" :
						 pid == KTHREADD_PID ? "kthreadd" :
								       "");
	}
	if (is_leader(thread))
		t->processes[index].leader = thread->id;
	return index;
}

static void name_process(struct writer_threads *t, const struct writer_thread *thread)
{
	struct writer_process *process = &t->processes[thread->process];

	if (process->leader ? process->leader != thread->is.id : process->comm[0])
		return;
	if (!strcmp(process->comm, thread->is.comm))
		return;
	memcpy(process->comm, thread->is.comm, sizeof(process->comm));
}

static uint32_t add_thread(struct writer_threads *t, const struct dv_trace_thread *thread)
{
	uint64_t *slot;
	uint32_t process;

	if (t->count > 0xffffff || !DV_VEC_ROOM(t->threads, t->count, t->cap))
		return UINT32_MAX;
	process = process_of(t, thread);
	slot = process == UINT32_MAX ? NULL : dv_map_put(&t->by_id, thread->id);
	if (!slot)
		return UINT32_MAX;
	*slot = t->count;
	t->processes[process].alive++;
	t->threads[t->count] = (struct writer_thread){.process = process};
	return t->count++;
}

uint32_t writer_threads_set(struct writer_threads *t, uint64_t icount, const struct dv_trace_thread *thread)
{
	uint64_t *known = dv_map_get(&t->by_id, thread->id);
	uint32_t index = known ? (uint32_t)*known : add_thread(t, thread);

	if (index == UINT32_MAX)
		return index;
	if (strncmp(t->threads[index].is.comm, thread->comm, sizeof(thread->comm) - 1))
		t->threads[index].is_told = false;
	t->threads[index].is = *thread;
	t->threads[index].is.comm[sizeof(thread->comm) - 1] = '\0';
	t->threads[index].icount = icount;
	t->threads[index].block = 0;
	name_process(t, &t->threads[index]);
	return index;
}

uint32_t writer_threads_find(const struct writer_threads *t, uint64_t id)
{
	const uint64_t *known = dv_map_get(&t->by_id, id);

	return known ? (uint32_t)*known : UINT32_MAX;
}

void writer_threads_ids(const struct writer_threads *t, uint32_t index, int32_t *ret_pid, int32_t *ret_tid)
{
	*ret_pid = t->processes[t->threads[index].process].pid;
	*ret_tid = dv_trace_thread_tid(&t->threads[index].is);
}

/*
 * When a descriptor takes effect. Without a timestamp it does so where its block starts, which is before
 * the thread itself does.
 */
static void put_time(struct dv_buf *packets, const struct writer_thread *thread)
{
	uint64_t icount = thread->icount > thread->is.start_icount ? thread->icount : thread->is.start_icount + 1;

	if (!thread->is.start_icount)
		return;
	proto_uint(packets, PACKET_TIMESTAMP, icount);
	proto_uint(packets, PACKET_CLOCK_ID, CLOCK_BOOTTIME);
}

static void put_process(struct writer_threads *t, const struct writer_thread *thread, struct dv_buf *packets)
{
	const struct writer_process *process = &t->processes[thread->process];
	size_t packet = proto_open(packets, TRACE_PACKET), descriptor, message;

	proto_uint(packets, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	put_time(packets, thread);
	descriptor = proto_open(packets, PACKET_TRACK_DESCRIPTOR);
	proto_uint(packets, DESCRIPTOR_UUID, PROCESS_UUID_BASE + thread->process);
	message = proto_open(packets, DESCRIPTOR_PROCESS);
	proto_uint(packets, PROCESS_PID, (uint32_t)process->pid);
	proto_string(packets, PROCESS_NAME, process->comm);
	proto_close(packets, message);
	proto_close(packets, descriptor);
	proto_close(packets, packet);
}

static void put_thread(struct writer_threads *t, const struct writer_thread *thread, struct dv_buf *packets)
{
	size_t packet = proto_open(packets, TRACE_PACKET), descriptor, message;

	proto_uint(packets, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	put_time(packets, thread);
	descriptor = proto_open(packets, PACKET_TRACK_DESCRIPTOR);
	proto_uint(packets, DESCRIPTOR_UUID, thread->is.id);
	message = proto_open(packets, DESCRIPTOR_THREAD);
	proto_uint(packets, THREAD_PID, (uint32_t)t->processes[thread->process].pid);
	proto_uint(packets, THREAD_TID, (uint32_t)dv_trace_thread_tid(&thread->is));
	proto_string(packets, THREAD_NAME, thread->is.comm);
	proto_close(packets, message);
	proto_close(packets, descriptor);
	proto_close(packets, packet);
}

static size_t open_ftrace(struct dv_buf *ftrace, uint64_t icount, int32_t tid)
{
	size_t event = proto_open(ftrace, BUNDLE_EVENT);

	proto_uint(ftrace, FTRACE_TIMESTAMP, icount);
	proto_uint(ftrace, FTRACE_PID, (uint32_t)tid);
	return event;
}

void writer_threads_put_begin(const struct writer_threads *t, uint32_t index, uint32_t creator, struct dv_buf *ftrace)
{
	const struct writer_thread *thread = &t->threads[index];
	int32_t pid = t->processes[thread->process].pid, tid = dv_trace_thread_tid(&thread->is);
	bool is_main = tid == pid;
	size_t event, message;

	/* Kernel threads, whoever made them, are shown as kthreadd's. */
	if (pid == KTHREADD_PID && !is_main)
		event = open_ftrace(ftrace, thread->is.start_icount, KTHREADD_PID);
	else if (creator != UINT32_MAX)
		event = open_ftrace(ftrace, thread->is.start_icount, dv_trace_thread_tid(&t->threads[creator].is));
	else
		return;
	message = proto_open(ftrace, FTRACE_TASK_NEWTASK);
	proto_uint(ftrace, NEWTASK_PID, (uint32_t)tid);
	proto_uint(ftrace, NEWTASK_CLONE_FLAGS, is_main ? 0 : NEWTASK_CLONE_THREAD);
	proto_close(ftrace, message);
	proto_close(ftrace, event);
}

void writer_threads_put_rename(const struct writer_threads *t, uint32_t index, struct dv_buf *ftrace)
{
	const struct writer_thread *thread = &t->threads[index];
	int32_t tid = dv_trace_thread_tid(&thread->is);
	size_t event = open_ftrace(ftrace, thread->icount, tid), message = proto_open(ftrace, FTRACE_TASK_RENAME);

	proto_uint(ftrace, RENAME_PID, (uint32_t)tid);
	proto_string(ftrace, RENAME_NEWCOMM, thread->is.comm);
	proto_close(ftrace, message);
	proto_close(ftrace, event);
}

/*
 * The process tree has the parent, too: where it is another one than Perfetto has, or one whose pid has gone,
 * Perfetto makes another process of this one. So the entry takes effect as the process begins, when its maker is
 * there for sure; one whose beginning was not seen has none. Perfetto also names the process by the first argument:
 * the name that the kernel has is told once more.
 */
void writer_threads_put_command(const struct writer_threads *t, uint32_t index, uint64_t icount, const char *arguments,
				size_t len, struct dv_buf *packets, struct dv_buf *ftrace)
{
	const struct writer_process *process = &t->processes[t->threads[index].process];
	uint32_t leader = writer_threads_find(t, process->leader), creator;
	const struct writer_thread *thread;
	size_t event, message;
	int32_t tid;

	if (process->pid == KTHREADD_PID || process->pid == IDLE_PID || leader == UINT32_MAX)
		return;
	thread = &t->threads[leader];
	creator = writer_threads_find(t, thread->is.creator_id);
	if (!thread->is.start_icount || creator == UINT32_MAX)
		return;
	tid = dv_trace_thread_tid(&thread->is);
	command_put_process(packets, thread->is.start_icount + 1, process->pid,
			    t->processes[t->threads[creator].process].pid, arguments, len);
	event = open_ftrace(ftrace, icount, tid);
	message = proto_open(ftrace, FTRACE_TASK_RENAME);
	proto_uint(ftrace, RENAME_PID, (uint32_t)tid);
	proto_string(ftrace, RENAME_NEWCOMM, thread->is.comm);
	proto_close(ftrace, message);
	proto_close(ftrace, event);
}

static void put_end(struct dv_buf *ftrace, uint64_t icount, const struct dv_trace_thread *thread)
{
	int32_t tid = dv_trace_thread_tid(thread);
	size_t event = open_ftrace(ftrace, icount, tid), message = proto_open(ftrace, FTRACE_SCHED_PROCESS_FREE);

	proto_uint(ftrace, PROCESS_FREE_PID, (uint32_t)tid);
	proto_close(ftrace, message);
	proto_close(ftrace, event);
}

void writer_threads_put_end(struct writer_threads *t, uint32_t index, struct dv_buf *ftrace)
{
	const struct dv_trace_thread *thread = &t->threads[index].is;
	struct writer_process *process = &t->processes[t->threads[index].process];
	uint64_t *leader = dv_map_get(&t->by_id, process->leader);

	process->alive--;
	if (process->leader == thread->id && process->alive) {
		process->leader_is_gone = true;
		return;
	}
	put_end(ftrace, thread->exit_icount, thread);
	if (process->leader_is_gone && !process->alive && leader)
		put_end(ftrace, thread->exit_icount, &t->threads[*leader].is);
}

void writer_thread_put(struct dv_buf *buf, uint32_t field, const struct writer_thread *thread)
{
	size_t message = proto_open(buf, field);

	proto_uint(buf, OWN_THREAD_ID, thread->is.id);
	proto_uint(buf, OWN_THREAD_TID, proto_zigzag(thread->is.tid));
	proto_uint(buf, OWN_THREAD_TGID, proto_zigzag(thread->is.tgid));
	if (thread->is.parent_tgid)
		proto_uint(buf, OWN_THREAD_PARENT, proto_zigzag(thread->is.parent_tgid));
	proto_string(buf, OWN_THREAD_COMM, thread->is.comm);
	if (thread->is.is_kernel)
		proto_uint(buf, OWN_THREAD_KERNEL, 1);
	proto_uint(buf, OWN_THREAD_ICOUNT, thread->icount);
	if (thread->is.start_icount)
		proto_uint(buf, OWN_THREAD_START, thread->is.start_icount);
	if (thread->is.creator_id)
		proto_uint(buf, OWN_THREAD_CREATOR, thread->is.creator_id);
	if (thread->is.exit_icount) {
		proto_uint(buf, OWN_THREAD_EXIT, thread->is.exit_icount);
		proto_uint(buf, OWN_THREAD_EXIT_CODE, proto_zigzag(thread->is.exit_code));
	}
	proto_close(buf, message);
}

void writer_threads_describe(struct writer_threads *t, uint32_t index, uint32_t block,
			     struct dv_buf *packets, struct dv_buf *own)
{
	struct writer_thread *thread = &t->threads[index];
	struct writer_process *process = &t->processes[thread->process];

	if (!process->is_told)
		put_process(t, thread, packets);
	process->is_told = true;
	if (!thread->is_told)
		put_thread(t, thread, packets);
	thread->is_told = true;
	if (thread->block == block)
		return;
	thread->block = block;
	writer_thread_put(own, OWN_THREAD, thread);
}
