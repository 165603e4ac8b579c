/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The call-graph machine: see callgraph.h. */
#include "callgraph/callgraph.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "callgraph/thread.h"
#include "guest/arch.h"

/* A direct-mapped cache of `resolve`, by address: most calls go to few functions. */
#define RESOLVE_CACHE_BITS 14
#define RESOLVE_CACHE_SIZE (1u << RESOLVE_CACHE_BITS)
#define USER_CACHE_BITS	   12

/* Keeps the rare cases' registers out of the loop over events. */
#define NOINLINE __attribute__((noinline))

/* A tid no Linux has (PID_MAX_LIMIT is 4 Mi): what runs before there is a task. */
#define FIRMWARE_TID 4194305

#define RESOLVED 0x80000000u /* in flags: the entry is in use */

struct resolved {
	uint64_t vaddr;
	unsigned flags;
};

struct user_resolved {
	uint64_t vaddr, key;
	uint32_t generation; /* of the space; 0: free */
	unsigned flags;
};

struct dv_callgraph {
	struct dv_callgraph_options options;
	struct frame_policy policy;
	struct thread *current[DV_EVENT_MAX_CPUS];
	struct dv_map by_task;	 /* task_struct's address -> struct thread * */
	struct thread **held;	 /* threads that may hold begins back */
	size_t held_len, held_cap;
	uint64_t next_sweep_icount;
	uint64_t last_thread_id;
	struct dv_callgraph_counts counts;
	struct resolved cache[RESOLVE_CACHE_SIZE];
	struct user_resolved user_cache[1u << USER_CACHE_BITS];
};

static inline struct resolved *cache_entry(struct dv_callgraph *cg, uint64_t vaddr)
{
	return &cg->cache[vaddr * 0x9e3779b97f4a7c15ull >> (64 - RESOLVE_CACHE_BITS)];
}

static NOINLINE unsigned resolve_anew(struct dv_callgraph *cg, uint64_t vaddr)
{
	struct resolved *r = cache_entry(cg, vaddr);

	r->vaddr = vaddr;
	r->flags = cg->options.resolve(cg->options.resolve_context, vaddr) | RESOLVED;
	return r->flags;
}

static inline unsigned resolve(struct dv_callgraph *cg, uint64_t vaddr)
{
	const struct resolved *r = cache_entry(cg, vaddr);

	if (__builtin_expect(r->vaddr != vaddr || !r->flags, 0))
		return resolve_anew(cg, vaddr);
	return r->flags;
}

static NOINLINE void resolve_user_anew(struct dv_callgraph *cg, const struct dv_space *space,
				       struct user_resolved *r, uint64_t vaddr)
{
	r->vaddr = r->key = vaddr;
	r->generation = space->generation;
	r->flags = cg->options.resolve_user(cg->options.resolve_context, space, vaddr, &r->key);
}

/* Flags and key of what control goes to. */
static inline unsigned resolve_in(struct dv_callgraph *cg, const struct thread *t, uint64_t vaddr, uint64_t *ret_key)
{
	struct user_resolved *r;

	*ret_key = vaddr;
	if (__builtin_expect(dv_is_kernel_vaddr(vaddr) || !t->space, 1))
		return resolve(cg, vaddr);
	r = &cg->user_cache[(vaddr ^ (uint64_t)t->space->generation << 40) * 0x9e3779b97f4a7c15ull >>
			    (64 - USER_CACHE_BITS)];
	if (__builtin_expect(r->vaddr != vaddr || r->generation != t->space->generation, 0))
		resolve_user_anew(cg, t->space, r, vaddr);
	*ret_key = r->key;
	return r->flags;
}

/* ---- threads ---- */

static void select_thread(struct dv_callgraph *cg, struct thread *t)
{
	t->selected = !cg->policy.filter.during || !strcmp(cg->policy.filter.during, t->info.comm);
}

static struct thread *new_thread(struct dv_callgraph *cg, const struct dv_trace_thread *info, uint64_t task_vaddr,
				 uint64_t icount)
{
	struct thread *t = calloc(1, sizeof(*t));

	/* Without memory for a thread there is nothing left to record into. */
	dv_assert(t);
	t->info = *info;
	t->info.id = ++cg->last_thread_id;
	t->task_vaddr = task_vaddr;
	cg->counts.threads++;
	select_thread(cg, t);
	cg->options.sink.thread(cg->options.sink.context, icount, &t->info);
	return t;
}

static void free_thread(struct dv_callgraph *cg, struct thread *t)
{
	for (size_t i = 0; t->on_held_list && i < cg->held_len; i++) {
		if (cg->held[i] == t)
			cg->held[i--] = cg->held[--cg->held_len];
	}
	free(t->frames);
	free(t);
}

static NOINLINE struct thread *firmware_thread(struct dv_callgraph *cg, unsigned cpu, uint64_t icount)
{
	struct dv_trace_thread firmware = {.is_kernel = true};

	firmware.tid = firmware.tgid = FIRMWARE_TID + (int32_t)cpu;
	if (cpu)
		snprintf(firmware.comm, sizeof(firmware.comm), "firmware/%u", cpu);
	else
		snprintf(firmware.comm, sizeof(firmware.comm), "firmware");
	return cg->current[cpu] = new_thread(cg, &firmware, 0, icount);
}

static inline struct thread *current_thread(struct dv_callgraph *cg, unsigned cpu, uint64_t icount)
{
	if (__builtin_expect(!cg->current[cpu], 0))
		return firmware_thread(cg, cpu, icount);
	return cg->current[cpu];
}

static struct dv_trace_thread trace_thread(const struct dv_task *task)
{
	struct dv_trace_thread info = {
		.tid = task->tid,
		.tgid = task->tgid,
		.parent_tgid = task->parent_tgid,
		.is_kernel = task->is_kernel,
	};

	_Static_assert(sizeof(info.comm) == sizeof(task->comm), "a comm is a comm");
	memcpy(info.comm, task->comm, sizeof(info.comm));
	return info;
}

static void update_thread(struct dv_callgraph *cg, struct thread *t, const struct dv_task *task, uint64_t icount)
{
	struct dv_trace_thread info = trace_thread(task);

	if (info.tid == t->info.tid && info.tgid == t->info.tgid && info.parent_tgid == t->info.parent_tgid &&
	    info.is_kernel == t->info.is_kernel && !strcmp(info.comm, t->info.comm))
		return;
	t->info.tid = info.tid;
	t->info.tgid = info.tgid;
	t->info.parent_tgid = info.parent_tgid;
	t->info.is_kernel = info.is_kernel;
	memcpy(t->info.comm, info.comm, sizeof(info.comm));
	select_thread(cg, t);
	cg->options.sink.thread(cg->options.sink.context, icount, &t->info);
}

/* No CPU runs the thread any more: one may be left that was not seen to leave it. */
static void stop_running(struct dv_callgraph *cg, const struct thread *t)
{
	for (size_t cpu = 0; cpu < DV_EVENT_MAX_CPUS; cpu++) {
		if (cg->current[cpu] == t)
			cg->current[cpu] = NULL;
	}
}

static void end_thread(struct dv_callgraph *cg, struct thread *t, uint64_t icount, int32_t exit_code)
{
	thread_truncate(&cg->policy, t, 0, icount);
	if (t->task_vaddr) {
		t->info.exit_icount = icount;
		t->info.exit_code = exit_code;
		cg->options.sink.thread(cg->options.sink.context, icount, &t->info);
	}
	stop_running(cg, t);
	dv_map_remove(&cg->by_task, t->task_vaddr);
	free_thread(cg, t);
}

/* The task_struct was freed and used again without our seeing its end. */
static void lose_thread(struct dv_callgraph *cg, struct thread *t, uint64_t icount)
{
	stop_running(cg, t);
	thread_truncate(&cg->policy, t, 0, icount);
	free_thread(cg, t);
}

static struct thread *find_thread(struct dv_callgraph *cg, const struct dv_task *task, uint64_t icount)
{
	uint64_t *place = dv_map_put(&cg->by_task, task->vaddr);
	struct thread *t;

	dv_assert(place);
	t = (struct thread *)(uintptr_t)*place;
	if (t && t->info.tid != task->tid) {
		lose_thread(cg, t, icount);
		t = NULL;
	}
	if (!t) {
		struct dv_trace_thread info = trace_thread(task);

		t = new_thread(cg, &info, task->vaddr, icount);
		*place = (uintptr_t)t;
	} else {
		update_thread(cg, t, task, icount);
	}
	return t;
}

static const struct dv_space *find_space(struct dv_callgraph *cg, uint64_t mm_vaddr)
{
	if (!mm_vaddr || !cg->options.find_space)
		return NULL;
	return cg->options.find_space(cg->options.resolve_context, mm_vaddr);
}

static NOINLINE void on_switch(struct dv_callgraph *cg, const struct dv_event *e)
{
	struct dv_event_switch *info = (struct dv_event_switch *)(uintptr_t)e->a;
	uint64_t icount = dv_event_icount(e), prev_id = 0;
	unsigned cpu = dv_event_cpu(e);
	struct thread *next = find_thread(cg, &info->next, icount);
	struct thread *prev = cg->current[cpu];

	next->space = find_space(cg, info->mm_vaddr);
	if (prev)
		prev_id = prev->info.id;
	if (prev != next) {
		cg->options.sink.switched(cg->options.sink.context, icount, cpu, prev_id, next->info.id);
		cg->current[cpu] = next;
		if (prev && (info->prev_dead || !prev->task_vaddr))
			end_thread(cg, prev, icount, info->prev_exit_code);
	}
	free(info);
}

static NOINLINE void on_rename(struct dv_callgraph *cg, const struct dv_event *e)
{
	struct dv_task *task = (struct dv_task *)(uintptr_t)e->a;
	uint64_t *place = dv_map_get(&cg->by_task, task->vaddr);
	struct thread *t = place ? (struct thread *)(uintptr_t)*place : NULL;

	/* A thread that has not run yet is named when it does. */
	if (t) {
		t->execs |= e->b && t == cg->current[dv_event_cpu(e)];
		update_thread(cg, t, task, dv_event_icount(e));
	}
	free(task);
}

static NOINLINE void on_fork(struct dv_callgraph *cg, const struct dv_event *e)
{
	struct dv_task *task = (struct dv_task *)(uintptr_t)e->a;
	uint64_t icount = dv_event_icount(e), *place = dv_map_put(&cg->by_task, task->vaddr);
	struct dv_trace_thread info = trace_thread(task);

	dv_assert(place);
	if (*place)
		lose_thread(cg, (struct thread *)(uintptr_t)*place, icount);
	info.start_icount = icount;
	info.creator_id = current_thread(cg, dv_event_cpu(e), icount)->info.id;
	*place = (uintptr_t)new_thread(cg, &info, task->vaddr, icount);
	free(task);
}

static NOINLINE void on_print(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct dv_event_print *print = (struct dv_event_print *)(uintptr_t)e->a;

	if (cg->options.sink.print)
		cg->options.sink.print(cg->options.sink.context, icount, t->info.id, print);
	free(print);
}

static NOINLINE void on_command(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct dv_event_command *command = (struct dv_event_command *)(uintptr_t)e->a;

	if (cg->options.sink.command)
		cg->options.sink.command(cg->options.sink.context, icount, t->info.id, command);
	free(command);
}

/* An address space changes under the thread that runs in it: with exec it is another one. */
static NOINLINE void on_mapping(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e)
{
	struct dv_event_mapping *info = (struct dv_event_mapping *)(uintptr_t)e->a;

	if (info->is_current)
		t->space = find_space(cg, info->mm_vaddr);
	dv_event_mapping_destroy(info);
}

static NOINLINE void on_module(struct dv_callgraph *cg, const struct dv_event *e)
{
	memset(cg->cache, 0, sizeof(cg->cache));
	dv_event_module_destroy((struct dv_event_module *)(uintptr_t)e->a);
}

void dv_event_mapping_destroy(struct dv_event_mapping *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		dv_mapping_deinit(&e->mappings[i]);
	free(e);
}

void dv_event_module_destroy(struct dv_event_module *e)
{
	if (!e)
		return;
	dv_module_code_unref(e->code);
	free(e);
}

/* ---- begins held back by min_insns ---- */

static void note_held(struct dv_callgraph *cg, struct thread *t)
{
	if (t->on_held_list)
		return;
	if (cg->held_len == cg->held_cap) {
		size_t cap = cg->held_cap ? cg->held_cap * 2 : 16;
		struct thread **held = realloc(cg->held, cap * sizeof(*held));

		if (!held)
			return;
		cg->held = held;
		cg->held_cap = cap;
	}
	cg->held[cg->held_len++] = t;
	t->on_held_list = true;
}

/* Begins, in all threads, what has become long enough: bounds how late a begin may be. */
static void sweep(struct dv_callgraph *cg, uint64_t icount)
{
	for (size_t i = 0; i < cg->held_len;) {
		struct thread *t = cg->held[i];

		thread_sweep_held(&cg->policy, t, icount);
		if (t->first_held < t->len) {
			i++;
			continue;
		}
		t->on_held_list = false;
		cg->held[i] = cg->held[--cg->held_len];
	}
	cg->next_sweep_icount = icount + cg->policy.filter.min_insns;
}

/* ---- frames ---- */

static void stop(struct dv_callgraph *cg, uint64_t icount)
{
	cg->policy.active = cg->policy.unfiltered = false;
	for (size_t i = 0; i < cg->by_task.cap; i++) {
		if (cg->by_task.slots[i].used)
			thread_stop(&cg->policy, (struct thread *)(uintptr_t)cg->by_task.slots[i].value, icount);
	}
}

static void apply_marks(struct dv_callgraph *cg, unsigned flags, uint64_t icount)
{
	if (flags & DV_TARGET_START)
		cg->policy.active = true;
	if ((flags & DV_TARGET_STOP) && cg->policy.active)
		stop(cg, icount);
}

static inline void push(struct dv_callgraph *cg, struct thread *t, uint64_t slot, uint64_t icount, uint64_t key,
			enum dv_slice_kind kind, unsigned flags)
{
	thread_push(&cg->policy, t, slot, icount, key, kind, flags);
	if (__builtin_expect(cg->policy.filter.min_insns != 0, 0))
		note_held(cg, t);
}

static inline unsigned frame_flags(unsigned target_flags, uint64_t target)
{
	return (dv_is_kernel_vaddr(target) ? FRAME_KERNEL : 0) | (target_flags & DV_TARGET_THUNK ? FRAME_THUNK : 0) |
	       (target_flags & DV_TARGET_IGNORE_BELOW ? FRAME_IGNORE_BELOW : 0);
}

static inline void on_call(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	uint64_t key;
	unsigned flags = resolve_in(cg, t, e->b, &key);
	struct frame *top;

	cg->counts.calls++;
	/* A call into the middle of a known function: return-stack stuffing, a thunk's inner call. */
	if (__builtin_expect(!(flags & DV_TARGET_CALLABLE), 0)) {
		t->made_slot = e->a;
		return;
	}
	top = thread_top(t);
	if (top) {
		if ((top->flags & FRAME_KERNEL) && !dv_is_kernel_vaddr(e->b) && !dv_is_kernel_vaddr(e->a))
			thread_leave_kernel(&cg->policy, t, icount);
		thread_drop_stale(&cg->policy, t, e->a, icount);
	}
	if (__builtin_expect(flags & (DV_TARGET_START | DV_TARGET_STOP), 0))
		apply_marks(cg, flags, icount);
	push(cg, t, e->a, icount, key, DV_SLICE_CALL, frame_flags(flags, e->b));
}

/* Frames at the top that share a slot: a function and the tail calls that go on from it. */
static uint32_t tail_chain(const struct thread *t, uint64_t slot)
{
	uint32_t n = 0;

	while (n < t->len && t->frames[t->len - 1 - n].slot == slot)
		n++;
	return n;
}

/* Control went to target without a call, with the return address of whoever is left at slot. */
static void jump_to(struct dv_callgraph *cg, struct thread *t, uint64_t slot, uint64_t target, uint64_t icount)
{
	uint64_t key;
	unsigned flags = resolve_in(cg, t, target, &key);
	struct frame *top = thread_top(t);

	if (flags & DV_TARGET_THUNK)
		return;
	if (top && (top->flags & FRAME_THUNK)) {
		thread_reveal(&cg->policy, t, icount, key);
		if (cg->policy.filter.min_insns)
			note_held(cg, t);
		return;
	}
	if (!(flags & DV_TARGET_ENTRY))
		return;
	if (tail_chain(t, slot) > DV_CALLGRAPH_MAX_TAIL_CALLS)
		thread_truncate(&cg->policy, t, t->len - 1, icount);
	apply_marks(cg, flags, icount);
	push(cg, t, slot, icount, key, DV_SLICE_TAIL_CALL, frame_flags(flags, target));
}

/* A jump in user code, to anywhere. At a tail call the return address lies on top of the stack again; what
 * longjmp has left behind is above it. */
static void user_jump(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	uint64_t key;
	unsigned flags = resolve_in(cg, t, e->b, &key);
	int64_t index;
	uint32_t len;

	if (!(flags & DV_TARGET_ENTRY) || flags & DV_TARGET_GUESSED)
		return;
	index = thread_find_slot(t, e->a);
	if (index < 0)
		return;
	for (len = (uint32_t)index + 1; len < t->len && t->frames[len].slot == e->a;)
		len++;
	/* A function that begins with a loop. */
	if (t->frames[len - 1].key == key)
		return;
	thread_truncate(&cg->policy, t, len, icount);
	jump_to(cg, t, e->a, e->b, icount);
}

static NOINLINE void on_jump(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct frame *top = thread_top(t);

	if (e->a)
		user_jump(cg, t, e, icount);
	else if (top)
		jump_to(cg, t, top->slot, e->b, icount);
}

/* Into the function that is on top anyway: whoever was there before it has been closed. */
static bool is_resumed(struct dv_callgraph *cg, const struct thread *t, uint64_t vaddr)
{
	const struct frame *top = &t->frames[t->len - 1];

	return cg->options.function_at && dv_is_kernel_vaddr(vaddr) &&
	       cg->options.function_at(cg->options.resolve_context, vaddr) == top->key;
}

/* Nearer than this to its slot, a return address was moved and not made (PUSH_AND_CLEAR_REGS save_ret=1). */
#define MOVED_BYTES 256

/* The entry code's helpers (error_entry, paranoid_entry) take their return address along on top of what
 * they push: they, or what they jump on to (sync_regs), return below their slot, into the entry that
 * called them. Gives how many frames end, or 0. */
static uint32_t moved_frames(struct dv_callgraph *cg, const struct thread *t, uint64_t slot, uint64_t vaddr)
{
	const struct frame *top = &t->frames[t->len - 1];
	uint32_t n = tail_chain(t, top->slot);
	const struct frame *caller = n < t->len ? top - n : NULL;

	if (!caller || top->slot - slot >= MOVED_BYTES ||
	    (caller->kind != DV_SLICE_EXCEPTION && caller->kind != DV_SLICE_INTERRUPT))
		return 0;
	/* A handler that ftrace's trampoline goes back to lies as near to its entry. */
	return is_resumed(cg, t, vaddr) ? 0 : n;
}

static void count_unmatched(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e)
{
	const struct frame *top = thread_top(t);

	if (!t->task_vaddr)
		cg->counts.early_returns++;
	else if (e->a == t->made_slot || (top && is_resumed(cg, t, e->b)))
		cg->counts.made_returns++;
	else if (!thread_has_above(t, e->a))
		cg->counts.outer_returns++;
	else
		cg->counts.unmatched_returns++;
}

/* No frame has this slot: a return address that was pushed by hand (a thunk's, a new task's first
 * return), that was moved, or that lies where no call was seen. */
static NOINLINE void return_without_frame(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e,
					  uint64_t icount)
{
	struct frame *top = thread_top(t);
	uint32_t moved;

	if (top && (top->flags & FRAME_KERNEL) && !dv_is_kernel_vaddr(e->b) && !dv_is_kernel_vaddr(e->a))
		thread_leave_kernel(&cg->policy, t, icount);
	thread_drop_stale(&cg->policy, t, e->a, icount);
	top = thread_top(t);
	if ((top && (top->flags & FRAME_THUNK)) || (resolve(cg, e->b) & DV_TARGET_ENTRY))
		jump_to(cg, t, e->a + 8, e->b, icount);
	else if (top && (moved = moved_frames(cg, t, e->a, e->b)))
		thread_truncate(&cg->policy, t, t->len - moved, icount);
	else
		count_unmatched(cg, t, e);
}

static inline void on_return(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct frame *top = thread_top(t);
	int64_t index;

	cg->counts.returns++;
	if (__builtin_expect(top && top->slot == e->a && !(top->flags & FRAME_THUNK) &&
				     (t->len < 2 || top[-1].slot != e->a),
			     1)) {
		thread_pop(&cg->policy, t, icount);
		return;
	}
	index = thread_find_slot(t, e->a);
	if (index >= 0) {
		thread_truncate(&cg->policy, t, (uint32_t)index, icount);
		return;
	}
	return_without_frame(cg, t, e, icount);
}

static NOINLINE void on_enter(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	unsigned flags = resolve(cg, e->b);

	if (flags & DV_TARGET_SYSCALL) {
		thread_leave_kernel(&cg->policy, t, icount);
		/* It still runs on the user's stack. */
		push(cg, t, UINT64_MAX, icount, dv_is_syscall_key(e->a) ? e->a : e->b, DV_SLICE_SYSCALL, FRAME_KERNEL);
		return;
	}
	thread_drop_stale(&cg->policy, t, e->a, icount);
	push(cg, t, e->a, icount, e->b, flags & DV_TARGET_INTERRUPT ? DV_SLICE_INTERRUPT : DV_SLICE_EXCEPTION,
	     FRAME_KERNEL);
}

static NOINLINE void on_signal(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e)
{
	if (t->signal_count == MAX_SIGNALS)
		memmove(t->signals, t->signals + 1, --t->signal_count * sizeof(t->signals[0]));
	t->signals[t->signal_count++] = e->b;
}

/* The thread is in user mode again, perhaps elsewhere than where it left it. */
static void leave_to_user(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	bool is_handler = t->signal_count && e->b == t->signals[t->signal_count - 1];
	unsigned flags;
	uint64_t key;

	thread_leave_kernel(&cg->policy, t, icount);
	if (t->execs)
		thread_truncate(&cg->policy, t, 0, icount);
	else if (e->a)
		thread_drop_stale(&cg->policy, t, e->a - 8, icount);
	/* Called by the kernel: a signal's handler, or a new program's first function. */
	if (is_handler || (t->execs && e->b)) {
		flags = resolve_in(cg, t, e->b, &key);
		push(cg, t, e->a, icount, key, DV_SLICE_CALL, frame_flags(flags, e->b));
	}
	t->signal_count = (uint8_t)(t->execs ? 0 : t->signal_count - is_handler);
	t->execs = false;
}

static NOINLINE void on_leave(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	int64_t index;

	if (!dv_is_kernel_vaddr(e->b)) {
		leave_to_user(cg, t, e, icount);
		return;
	}
	index = thread_find_entry(t, e->a);
	if (index >= 0)
		thread_truncate(&cg->policy, t, (uint32_t)index, icount);
}

static NOINLINE void on_site(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e)
{
	uint64_t key;

	if (resolve_in(cg, t, e->a, &key) & DV_TARGET_NEVER && cg->options.settle)
		cg->options.settle(cg->options.resolve_context, e->b);
}

static inline void feed_one(struct dv_callgraph *cg, const struct dv_event *e)
{
	uint64_t icount = dv_event_icount(e);
	struct thread *t = current_thread(cg, dv_event_cpu(e), icount);

	switch (dv_event_kind(e)) {
	case DV_EVENT_CALL:
		on_call(cg, t, e, icount);
		break;
	case DV_EVENT_RETURN:
		on_return(cg, t, e, icount);
		break;
	case DV_EVENT_JUMP:
		on_jump(cg, t, e, icount);
		break;
	case DV_EVENT_ENTER:
		on_enter(cg, t, e, icount);
		break;
	case DV_EVENT_LEAVE:
		on_leave(cg, t, e, icount);
		break;
	case DV_EVENT_SWITCH:
		on_switch(cg, e);
		break;
	case DV_EVENT_RENAME:
		on_rename(cg, e);
		break;
	case DV_EVENT_FORK:
		on_fork(cg, e);
		break;
	case DV_EVENT_COMMAND:
		on_command(cg, t, e, icount);
		break;
	case DV_EVENT_PRINT:
		on_print(cg, t, e, icount);
		break;
	case DV_EVENT_SIGNAL:
		on_signal(cg, t, e);
		break;
	case DV_EVENT_SITE:
		on_site(cg, t, e);
		break;
	case DV_EVENT_SYMBOLS:
		memset(cg->cache, 0, sizeof(cg->cache));
		break;
	case DV_EVENT_MAPPING:
		on_mapping(cg, t, e);
		break;
	case DV_EVENT_MODULE:
		on_module(cg, e);
		break;
	}
}

void dv_callgraph_feed(struct dv_callgraph *cg, const struct dv_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		feed_one(cg, &events[i]);
		if (__builtin_expect(cg->held_len && dv_event_icount(&events[i]) >= cg->next_sweep_icount, 0))
			sweep(cg, dv_event_icount(&events[i]));
	}
}

void dv_callgraph_finish(struct dv_callgraph *cg, uint64_t icount)
{
	if (cg->held_len)
		sweep(cg, icount);
}

struct dv_callgraph_counts dv_callgraph_counts(const struct dv_callgraph *cg)
{
	struct dv_callgraph_counts counts = cg->counts;

	counts.stale_frames = cg->policy.stale_frames;
	counts.dropped_frames = cg->policy.dropped_frames;
	return counts;
}

/* (A DV_TARGET_STOP needs no option: it makes the machine look again.) */
static bool is_empty(const struct dv_callgraph_filter *f)
{
	return !f->min_insns && !f->max_depth && !f->during && !f->from_start_target;
}

struct dv_error *dv_callgraph_create(const struct dv_callgraph_options *options, struct dv_callgraph **ret)
{
	struct dv_callgraph *cg = calloc(1, sizeof(*cg));

	if (!cg)
		return dv_error_no_memory();
	cg->options = *options;
	cg->policy = (struct frame_policy){
		.sink = options->sink,
		.filter = options->filter,
		.unfiltered = is_empty(&options->filter),
		.active = !options->filter.from_start_target,
	};
	*ret = cg;
	return NULL;
}

void dv_callgraph_destroy(struct dv_callgraph *cg)
{
	if (!cg)
		return;
	for (size_t cpu = 0; cpu < DV_EVENT_MAX_CPUS; cpu++) {
		if (cg->current[cpu] && !cg->current[cpu]->task_vaddr)
			free_thread(cg, cg->current[cpu]);
	}
	for (size_t i = 0; i < cg->by_task.cap; i++) {
		if (cg->by_task.slots[i].used)
			free_thread(cg, (struct thread *)(uintptr_t)cg->by_task.slots[i].value);
	}
	dv_map_deinit(&cg->by_task);
	free(cg->held);
	free(cg);
}
