/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest thread's stack of open frames, and what of it is shown. Private to the module.
 */
#ifndef DV_CALLGRAPH_THREAD_H
#define DV_CALLGRAPH_THREAD_H

#include "callgraph/callgraph.h"

enum frame_flags {
	FRAME_EMITTED = 1 << 0, /* its begin went to the sink */
	FRAME_HELD = 1 << 1,	/* wanted, but not yet long enough for min_insns */
	FRAME_KERNEL = 1 << 2,	/* runs in kernel mode */
	FRAME_THUNK = 1 << 3,	/* an indirect-branch thunk: invisible until it shows its target */
	FRAME_IGNORE_BELOW = 1 << 4,
	/* Every other frame is begun when it opens and ended when it closes, and that is all. */
	FRAME_SPECIAL = FRAME_HELD | FRAME_THUNK | FRAME_IGNORE_BELOW,
};

struct frame {
	uint64_t slot; /* where the return address lies; of an entry, the stack pointer; ~0: nowhere */
	uint64_t start_icount;
	uint64_t key; /* the function's address */
	uint8_t kind; /* enum dv_slice_kind */
	uint8_t flags;
};

/* Signals that are delivered at one return to user mode: beyond, the oldest handler has no frame. */
#define MAX_SIGNALS 4

struct thread {
	struct dv_trace_thread info;
	const struct dv_space *space; /* NULL: a kernel thread, or not known */
	uint64_t task_vaddr; /* 0: what ran before the kernel */
	struct frame *frames; /* oldest first */
	uint32_t len, cap;
	uint32_t visible;    /* frames without FRAME_THUNK */
	uint32_t ignoring;   /* open frames with FRAME_IGNORE_BELOW */
	uint32_t first_held; /* frames before this one are not held */
	bool selected;	     /* passes the filter's `during` */
	bool on_held_list;
	uint64_t made_slot; /* where a call into the middle of a function put its return address */
	uint64_t signals[MAX_SIGNALS]; /* handlers to be entered, the last one first */
	uint8_t signal_count;
	bool execs; /* in exec: what was called before is gone when it leaves the kernel */
};

/* What the frames' life needs to know of the whole. */
struct frame_policy {
	struct dv_frame_sink sink;
	struct dv_callgraph_filter filter;
	bool unfiltered; /* `filter` leaves nothing out */
	bool active;	 /* between start and stop */
	uint64_t stale_frames, dropped_frames;
};

static inline struct frame *thread_top(struct thread *t)
{
	return t->len ? &t->frames[t->len - 1] : NULL;
}

/* Two slots closer than this lie on one stack. Kernel stacks are 16 KiB (THREAD_SIZE, x86-64) with
 * guard pages between them; 8 MiB is the usual limit of a user stack. */
#define KERNEL_STACK_BYTES (16ull << 10)
#define USER_STACK_BYTES   (8ull << 20)

/* The rare parts of thread_push and thread_pop: room for one frame more (false: none, which is counted);
 * a frame that is not simply shown; one that was held back or left its callees out. */
bool thread_grow(struct frame_policy *policy, struct thread *t);
void thread_show(struct frame_policy *policy, struct thread *t, struct frame *f);
void thread_pop_slowly(struct frame_policy *policy, struct thread *t, uint64_t icount);

/* Opens a frame on top; one too many is dropped and counted. */
static inline void thread_push(struct frame_policy *policy, struct thread *t, uint64_t slot, uint64_t icount,
			       uint64_t key, enum dv_slice_kind kind, unsigned flags)
{
	struct frame *f;

	if (__builtin_expect(t->len == t->cap, 0) && !thread_grow(policy, t))
		return;
	f = &t->frames[t->len++];
	/* Member by member: read back as a whole, a struct that was just put together stalls. */
	f->slot = slot;
	f->start_icount = icount;
	f->key = key;
	f->kind = (uint8_t)kind;
	if (__builtin_expect(policy->unfiltered && !t->ignoring && !(flags & FRAME_SPECIAL), 1)) {
		f->flags = (uint8_t)(flags | FRAME_EMITTED);
		t->visible++;
		policy->sink.begin(policy->sink.context, t->info.id, icount, key, kind);
		return;
	}
	f->flags = (uint8_t)flags;
	if (!(flags & FRAME_THUNK))
		thread_show(policy, t, f);
}

/* Closes the frame on top, which there must be. */
static inline void thread_pop(struct frame_policy *policy, struct thread *t, uint64_t icount)
{
	unsigned flags = t->frames[t->len - 1].flags;

	if (__builtin_expect((flags & (FRAME_EMITTED | FRAME_SPECIAL)) != FRAME_EMITTED, 0)) {
		thread_pop_slowly(policy, t, icount);
		return;
	}
	t->visible--;
	t->len--;
	if (t->first_held > t->len)
		t->first_held = t->len;
	policy->sink.end(policy->sink.context, t->info.id, icount);
}
/* Makes the thunk on top a function of its own from icount on. */
void thread_reveal(struct frame_policy *policy, struct thread *t, uint64_t icount, uint64_t key);
/* Closes frames from the top until len are left. */
void thread_truncate(struct frame_policy *policy, struct thread *t, uint32_t len, uint64_t icount);
void thread_drop_stale_slowly(struct frame_policy *policy, struct thread *t, uint64_t slot, uint64_t icount);
/* Closes the frames that a stack pointer above `slot` has left behind. */
static inline void thread_drop_stale(struct frame_policy *policy, struct thread *t, uint64_t slot, uint64_t icount)
{
	/* The subtraction wraps for a frame above slot, which is live. */
	if (__builtin_expect(t->len && slot - t->frames[t->len - 1].slot < USER_STACK_BYTES, 0))
		thread_drop_stale_slowly(policy, t, slot, icount);
}
/* Closes the kernel frames on top: the thread is in user mode again. */
void thread_leave_kernel(struct frame_policy *policy, struct thread *t, uint64_t icount);
/* Index of the frame whose return address lies at slot (the oldest of a tail-call chain), or -1. */
int64_t thread_find_slot(const struct thread *t, uint64_t slot);
/* Whether a frame lies above slot on the same stack. */
bool thread_has_above(const struct thread *t, uint64_t slot);
/* Index of the entry frame that a return from interrupt with this stack pointer closes, or -1. */
int64_t thread_find_entry(const struct thread *t, uint64_t stack_pointer);
/* Begins what was held and is long enough at icount. */
void thread_sweep_held(struct frame_policy *policy, struct thread *t, uint64_t icount);
/* Ends what is shown, and shows no more of it: the filter's stop. */
void thread_stop(struct frame_policy *policy, struct thread *t, uint64_t icount);

#endif
