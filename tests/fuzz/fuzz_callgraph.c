/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The call-graph machine under random events. What comes out must hold whatever goes in: threads are declared
 * before they are used, an end has its begin, and of one thread icounts never go back. The first byte chooses a
 * filter, then 4 bytes are an event: kind and time, thread and CPU, stack slot, target.
 */
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "callgraph/callgraph.h"
#include "fuzz.h"

#define KERNEL_TEXT  0xffffffff81000000ull
#define KERNEL_STACK 0xffffc90000000000ull
#define USER_STACK   0x7ffffff00000ull
#define TASKS	     16

struct seen {
	struct dv_map depths, icounts; /* by thread id; an icount's presence says that it is declared */
};

static void tell(bool good)
{
	if (!good)
		abort();
}

static void see(struct seen *s, uint64_t thread_id, uint64_t icount)
{
	uint64_t *last = dv_map_get(&s->icounts, thread_id);

	tell(last && *last <= icount);
	*last = icount;
}

static void on_thread(void *context, uint64_t icount, const struct dv_trace_thread *thread)
{
	struct seen *s = context;
	uint64_t *last = dv_map_get(&s->icounts, thread->id);

	tell(thread->id != 0 && strnlen(thread->comm, sizeof(thread->comm)) < sizeof(thread->comm));
	if (!last)
		tell(dv_map_put(&s->icounts, thread->id) != NULL);
}

static void on_begin(void *context, uint64_t thread_id, uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	struct seen *s = context;
	uint64_t *depth = dv_map_put(&s->depths, thread_id);

	see(s, thread_id, icount);
	tell(kind < DV_SLICE_KINDS && depth && ++*depth <= DV_CALLGRAPH_MAX_FRAMES);
}

static void on_end(void *context, uint64_t thread_id, uint64_t icount)
{
	struct seen *s = context;
	uint64_t *depth = dv_map_get(&s->depths, thread_id);

	see(s, thread_id, icount);
	tell(depth && (*depth)-- > 0);
}

static void on_switched(void *context, uint64_t icount, unsigned cpu, uint64_t prev_id, uint64_t next_id)
{
	struct seen *s = context;

	tell(dv_map_get(&s->icounts, next_id) && (!prev_id || dv_map_get(&s->icounts, prev_id)));
}

/* Every eighth byte of the kernel's text has a property of its own. */
static unsigned resolve(void *context, uint64_t vaddr)
{
	static const unsigned flags[] = {
		DV_TARGET_CALLABLE | DV_TARGET_ENTRY, DV_TARGET_CALLABLE | DV_TARGET_THUNK, 0, DV_TARGET_THUNK,
		DV_TARGET_CALLABLE | DV_TARGET_ENTRY | DV_TARGET_INTERRUPT,
		DV_TARGET_CALLABLE | DV_TARGET_SYSCALL, DV_TARGET_CALLABLE | DV_TARGET_ENTRY | DV_TARGET_IGNORE_BELOW,
		DV_TARGET_CALLABLE | DV_TARGET_ENTRY | DV_TARGET_START,
	};

	if (vaddr < KERNEL_TEXT)
		return DV_TARGET_CALLABLE;
	return vaddr % 31 == 30 ? DV_TARGET_CALLABLE | DV_TARGET_STOP : flags[vaddr / 8 % 8];
}

static uint64_t function_at(void *context, uint64_t vaddr)
{
	return vaddr & ~63ull;
}

static struct dv_task task_of(uint8_t byte)
{
	struct dv_task task = {.vaddr = 0xffff888000000000 + byte % TASKS * 4096u, .tid = 1 + byte % (2 * TASKS)};

	task.tgid = task.tid;
	memcpy(task.comm, byte & 1 ? "odd" : "even", 4);
	return task;
}

static uint64_t boxed_task(uint8_t byte)
{
	struct dv_task *task = malloc(sizeof(*task));

	tell(task);
	*task = task_of(byte);
	return (uintptr_t)task;
}

static uint64_t boxed_switch(uint8_t byte)
{
	struct dv_event_switch *info = calloc(1, sizeof(*info));

	tell(info);
	info->next = task_of(byte);
	info->prev_dead = byte & 0x80;
	return (uintptr_t)info;
}

static struct dv_event event_of(const uint8_t b[4], uint64_t *icount)
{
	static const enum dv_event_kind kinds[16] = {
		DV_EVENT_CALL, DV_EVENT_CALL, DV_EVENT_CALL, DV_EVENT_CALL, DV_EVENT_RETURN, DV_EVENT_RETURN,
		DV_EVENT_RETURN, DV_EVENT_RETURN, DV_EVENT_JUMP, DV_EVENT_JUMP, DV_EVENT_ENTER, DV_EVENT_LEAVE,
		DV_EVENT_SWITCH, DV_EVENT_RENAME, DV_EVENT_FORK, DV_EVENT_SIGNAL,
	};
	bool is_kernel = b[3] & 0x80;
	enum dv_event_kind kind = kinds[b[0] % 16];
	struct dv_event e = {
		.a = (b[2] & 0x80 ? KERNEL_STACK : USER_STACK) + 8ull * (b[2] & 0x7f) + (b[1] >> 6) * 16384ull,
		.b = (is_kernel ? KERNEL_TEXT : 0x400000) + 8ull * (b[3] & 0x7f),
	};

	*icount += b[0] >> 4;
	e.head = dv_event_head(kind, b[1] >> 5 & 1, *icount);
	if (kind == DV_EVENT_JUMP && !(b[1] & 1))
		e.a = 0;
	if (kind == DV_EVENT_SWITCH)
		e.a = boxed_switch(b[2]);
	if (kind == DV_EVENT_RENAME || kind == DV_EVENT_FORK) {
		e.a = boxed_task(b[2]);
		e.b = b[3] & 1;
	}
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {DV_MAP_INIT, DV_MAP_INIT};
	struct dv_callgraph_options options = {
		.resolve = resolve,
		.function_at = function_at,
		.sink = {.thread = on_thread, .begin = on_begin, .end = on_end, .switched = on_switched, .context = &seen},
	};
	struct dv_callgraph *cg;
	uint64_t icount = 0;

	if (!size)
		return 0;
	options.filter = (struct dv_callgraph_filter){
		.min_insns = data[0] & 1 ? 5 : 0,
		.max_depth = data[0] & 2 ? 4 : 0,
		.during = data[0] & 4 ? "odd" : NULL,
		.from_start_target = data[0] & 8,
	};
	dv_error_destroy(dv_callgraph_create(&options, &cg));
	for (size_t i = 1; i + 4 <= size; i += 4) {
		struct dv_event e = event_of(data + i, &icount);

		dv_callgraph_feed(cg, &e, 1);
	}
	dv_callgraph_finish(cg, icount);
	dv_callgraph_destroy(cg);
	dv_map_deinit(&seen.depths);
	dv_map_deinit(&seen.icounts);
	return 0;
}
