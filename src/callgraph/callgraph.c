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

/* A tid no Linux has (PID_MAX_LIMIT is 4 Mi): what runs before there is a task. */
#define FIRMWARE_TID 4194305

struct resolved {
	uint64_t vaddr;
	unsigned flags;
	bool valid;
};

struct dv_callgraph {
	struct dv_callgraph_options options;
	struct dv_callgraph_filter filter;
	struct frame_policy policy;
	struct thread *current[DV_EVENT_MAX_CPUS];
	struct dv_map by_task;	 /* task_struct's address -> struct thread * */
	struct thread **held;	 /* threads that may hold begins back */
	size_t held_len, held_cap;
	uint64_t next_sweep_icount;
	uint64_t last_thread_id;
	struct dv_callgraph_counts counts;
	struct resolved cache[RESOLVE_CACHE_SIZE];
};

static unsigned resolve(struct dv_callgraph *cg, uint64_t vaddr)
{
	struct resolved *r = &cg->cache[dv_hash64(vaddr) & (RESOLVE_CACHE_SIZE - 1)];

	if (__builtin_expect(!r->valid || r->vaddr != vaddr, 0))
		*r = (struct resolved){vaddr, cg->options.resolve(cg->options.resolve_context, vaddr), true};
	return r->flags;
}

/* ---- threads ---- */

static void select_thread(struct dv_callgraph *cg, struct thread *t)
{
	t->selected = !cg->filter.during || !strcmp(cg->filter.during, t->info.comm);
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

static struct thread *current_thread(struct dv_callgraph *cg, unsigned cpu, uint64_t icount)
{
	struct dv_trace_thread firmware = {.is_kernel = true};

	if (__builtin_expect(cg->current[cpu] != NULL, 1))
		return cg->current[cpu];
	firmware.tid = firmware.tgid = FIRMWARE_TID + (int32_t)cpu;
	if (cpu)
		snprintf(firmware.comm, sizeof(firmware.comm), "firmware/%u", cpu);
	else
		snprintf(firmware.comm, sizeof(firmware.comm), "firmware");
	return cg->current[cpu] = new_thread(cg, &firmware, 0, icount);
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

	info.id = t->info.id;
	if (!memcmp(&info, &t->info, sizeof(info)))
		return;
	t->info = info;
	select_thread(cg, t);
	cg->options.sink.thread(cg->options.sink.context, icount, &t->info);
}

static void end_thread(struct dv_callgraph *cg, struct thread *t, uint64_t icount)
{
	thread_truncate(&cg->policy, t, 0, icount);
	dv_map_remove(&cg->by_task, t->task_vaddr);
	free_thread(cg, t);
}

static struct thread *find_thread(struct dv_callgraph *cg, const struct dv_task *task, uint64_t icount)
{
	uint64_t *place = dv_map_put(&cg->by_task, task->vaddr);
	struct thread *t;

	dv_assert(place);
	t = (struct thread *)(uintptr_t)*place;
	if (t && t->info.tid != task->tid) {
		/* The task_struct was freed and used again without our seeing its end. */
		for (size_t cpu = 0; cpu < DV_EVENT_MAX_CPUS; cpu++) {
			if (cg->current[cpu] == t)
				cg->current[cpu] = NULL;
		}
		thread_truncate(&cg->policy, t, 0, icount);
		free_thread(cg, t);
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

static void on_switch(struct dv_callgraph *cg, const struct dv_event *e)
{
	struct dv_event_switch *info = (struct dv_event_switch *)(uintptr_t)e->a;
	uint64_t icount = dv_event_icount(e), prev_id = 0;
	unsigned cpu = dv_event_cpu(e);
	struct thread *next = find_thread(cg, &info->next, icount);
	struct thread *prev = cg->current[cpu];

	if (prev)
		prev_id = prev->info.id;
	if (prev != next) {
		cg->options.sink.switched(cg->options.sink.context, icount, cpu, prev_id, next->info.id);
		cg->current[cpu] = next;
		if (prev && (info->prev_dead || !prev->task_vaddr))
			end_thread(cg, prev, icount);
	}
	free(info);
}

static void on_rename(struct dv_callgraph *cg, const struct dv_event *e)
{
	struct dv_task *task = (struct dv_task *)(uintptr_t)e->a;
	uint64_t *place = dv_map_get(&cg->by_task, task->vaddr);

	/* A thread that has not run yet is named when it does. */
	if (place)
		update_thread(cg, (struct thread *)(uintptr_t)*place, task, dv_event_icount(e));
	free(task);
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
	cg->next_sweep_icount = icount + cg->filter.min_insns;
}

/* ---- frames ---- */

static void stop(struct dv_callgraph *cg, uint64_t icount)
{
	cg->policy.active = false;
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

static void push(struct dv_callgraph *cg, struct thread *t, const struct frame *frame)
{
	thread_push(&cg->policy, t, frame);
	if (cg->filter.min_insns)
		note_held(cg, t);
}

static uint8_t frame_flags(unsigned target_flags, uint64_t target)
{
	return (uint8_t)((dv_is_kernel_vaddr(target) ? FRAME_KERNEL : 0) |
			 (target_flags & DV_TARGET_THUNK ? FRAME_THUNK : 0) |
			 (target_flags & DV_TARGET_IGNORE_BELOW ? FRAME_IGNORE_BELOW : 0));
}

static void on_call(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	unsigned flags = resolve(cg, e->b);
	struct frame *top;

	cg->counts.calls++;
	/* A call into the middle of a known function: return-stack stuffing, a thunk's inner call. */
	if (__builtin_expect(!(flags & DV_TARGET_CALLABLE), 0))
		return;
	top = thread_top(t);
	if (top) {
		if ((top->flags & FRAME_KERNEL) && !dv_is_kernel_vaddr(e->b) && !dv_is_kernel_vaddr(e->a))
			thread_leave_kernel(&cg->policy, t, icount);
		thread_drop_stale(&cg->policy, t, e->a, icount);
	}
	if (__builtin_expect(flags & (DV_TARGET_START | DV_TARGET_STOP), 0))
		apply_marks(cg, flags, icount);
	push(cg, t, &(struct frame){
			    .slot = e->a,
			    .start_icount = icount,
			    .key = e->b,
			    .kind = DV_SLICE_CALL,
			    .flags = frame_flags(flags, e->b),
		    });
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
	unsigned flags = resolve(cg, target);
	struct frame *top = thread_top(t);

	if (flags & DV_TARGET_THUNK)
		return;
	if (top && (top->flags & FRAME_THUNK)) {
		thread_reveal(&cg->policy, t, icount, target);
		if (cg->filter.min_insns)
			note_held(cg, t);
		return;
	}
	if (!(flags & DV_TARGET_ENTRY))
		return;
	if (tail_chain(t, slot) > DV_CALLGRAPH_MAX_TAIL_CALLS)
		thread_truncate(&cg->policy, t, t->len - 1, icount);
	apply_marks(cg, flags, icount);
	push(cg, t, &(struct frame){
			    .slot = slot,
			    .start_icount = icount,
			    .key = target,
			    .kind = DV_SLICE_TAIL_CALL,
			    .flags = frame_flags(flags, target),
		    });
}

static void on_jump(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct frame *top = thread_top(t);

	if (top)
		jump_to(cg, t, top->slot, e->b, icount);
}

static void on_return(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	struct frame *top = thread_top(t);
	int64_t index;

	cg->counts.returns++;
	if (__builtin_expect(top && top->slot == e->a && !(top->flags & FRAME_THUNK) &&
				     (t->len < 2 || top[-1].slot != e->a),
			     1)) {
		thread_truncate(&cg->policy, t, t->len - 1, icount);
		return;
	}
	index = thread_find_slot(t, e->a);
	if (index >= 0) {
		thread_truncate(&cg->policy, t, (uint32_t)index, icount);
		return;
	}
	/* A return address that was pushed by hand: a thunk's, or a new task's first return. */
	thread_drop_stale(&cg->policy, t, e->a, icount);
	top = thread_top(t);
	if ((top && (top->flags & FRAME_THUNK)) || (resolve(cg, e->b) & DV_TARGET_ENTRY))
		jump_to(cg, t, e->a + 8, e->b, icount);
	else
		cg->counts.unmatched_returns++;
}

static void on_enter(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	unsigned flags = resolve(cg, e->b);
	struct frame frame = {
		.slot = e->a,
		.start_icount = icount,
		.key = e->b,
		.kind = DV_SLICE_EXCEPTION,
		.flags = FRAME_KERNEL,
	};

	if (flags & DV_TARGET_INTERRUPT)
		frame.kind = DV_SLICE_INTERRUPT;
	if (flags & DV_TARGET_SYSCALL) {
		frame.kind = DV_SLICE_SYSCALL;
		frame.slot = UINT64_MAX; /* it still runs on the user's stack */
		thread_leave_kernel(&cg->policy, t, icount);
	} else {
		thread_drop_stale(&cg->policy, t, e->a, icount);
	}
	push(cg, t, &frame);
}

static void on_leave(struct dv_callgraph *cg, struct thread *t, const struct dv_event *e, uint64_t icount)
{
	int64_t index;

	if (e->b) {
		thread_leave_kernel(&cg->policy, t, icount);
		return;
	}
	index = thread_find_entry(t, e->a);
	if (index >= 0)
		thread_truncate(&cg->policy, t, (uint32_t)index, icount);
}

static void feed_one(struct dv_callgraph *cg, const struct dv_event *e)
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
	case DV_EVENT_SYMBOLS:
		memset(cg->cache, 0, sizeof(cg->cache));
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

struct dv_error *dv_callgraph_create(const struct dv_callgraph_options *options, struct dv_callgraph **ret)
{
	struct dv_callgraph *cg = calloc(1, sizeof(*cg));

	if (!cg)
		return dv_error_no_memory();
	cg->options = *options;
	cg->filter = options->filter;
	cg->policy = (struct frame_policy){
		.sink = &cg->options.sink,
		.filter = &cg->filter,
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
