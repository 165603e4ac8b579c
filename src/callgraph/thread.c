/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread's stack of frames: see thread.h. */
#include "callgraph/thread.h"

#include <stdlib.h>
#include "guest/arch.h"

static uint64_t stack_bytes(uint64_t slot)
{
	return dv_is_kernel_vaddr(slot) ? KERNEL_STACK_BYTES : USER_STACK_BYTES;
}

bool thread_grow(struct frame_policy *policy, struct thread *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 16;
	struct frame *frames = NULL;

	if (t->len < DV_CALLGRAPH_MAX_FRAMES)
		frames = realloc(t->frames, cap * sizeof(*frames));
	if (!frames) {
		policy->dropped_frames++;
		return false;
	}
	t->frames = frames;
	t->cap = cap;
	return true;
}

static bool is_wanted(const struct frame_policy *policy, const struct thread *t)
{
	uint32_t max_depth = policy->filter.max_depth;

	return policy->active && t->selected && !t->ignoring && (!max_depth || t->visible < max_depth);
}

static void emit_begin(struct frame_policy *policy, struct thread *t, struct frame *f)
{
	f->flags = (uint8_t)((f->flags & ~FRAME_HELD) | FRAME_EMITTED);
	policy->sink.begin(policy->sink.context, t->info.id, f->start_icount, f->key,
			   (enum dv_slice_kind)f->kind);
}

/* Begins the held frames up to and including index: a frame that is long enough makes its callers so. */
static void emit_held(struct frame_policy *policy, struct thread *t, uint32_t index)
{
	for (uint32_t i = t->first_held; i <= index; i++) {
		if (t->frames[i].flags & FRAME_HELD)
			emit_begin(policy, t, &t->frames[i]);
	}
	if (t->first_held <= index)
		t->first_held = index + 1;
}

void thread_show(struct frame_policy *policy, struct thread *t, struct frame *f)
{
	if (is_wanted(policy, t)) {
		if (policy->filter.min_insns)
			f->flags |= FRAME_HELD;
		else
			emit_begin(policy, t, f);
	}
	t->visible++;
	if (f->flags & FRAME_IGNORE_BELOW)
		t->ignoring++;
}

void thread_reveal(struct frame_policy *policy, struct thread *t, uint64_t icount, uint64_t key)
{
	struct frame *f = thread_top(t);

	f->key = key;
	f->start_icount = icount;
	f->flags = (uint8_t)(f->flags & ~FRAME_THUNK);
	thread_show(policy, t, f);
}

static void close_frame(struct frame_policy *policy, struct thread *t, struct frame *f, uint64_t icount)
{
	if (f->flags & FRAME_THUNK)
		return;
	t->visible--;
	if (f->flags & FRAME_IGNORE_BELOW)
		t->ignoring--;
	if ((f->flags & FRAME_HELD) && icount - f->start_icount >= policy->filter.min_insns)
		emit_held(policy, t, (uint32_t)(f - t->frames));
	if (f->flags & FRAME_EMITTED)
		policy->sink.end(policy->sink.context, t->info.id, icount);
}

void thread_pop_slowly(struct frame_policy *policy, struct thread *t, uint64_t icount)
{
	close_frame(policy, t, &t->frames[t->len - 1], icount);
	t->len--;
	if (t->first_held > t->len)
		t->first_held = t->len;
}

void thread_truncate(struct frame_policy *policy, struct thread *t, uint32_t len, uint64_t icount)
{
	while (t->len > len)
		thread_pop(policy, t, icount);
}

void thread_drop_stale_slowly(struct frame_policy *policy, struct thread *t, uint64_t slot, uint64_t icount)
{
	uint64_t limit = stack_bytes(slot);
	uint32_t len = t->len;

	while (len && slot - t->frames[len - 1].slot < limit)
		len--;
	policy->stale_frames += t->len - len;
	thread_truncate(policy, t, len, icount);
}

void thread_leave_kernel(struct frame_policy *policy, struct thread *t, uint64_t icount)
{
	uint32_t len = t->len;

	while (len && (t->frames[len - 1].flags & FRAME_KERNEL))
		len--;
	thread_truncate(policy, t, len, icount);
}

int64_t thread_find_slot(const struct thread *t, uint64_t slot)
{
	uint64_t limit = stack_bytes(slot);
	uint32_t i = t->len;

	while (i && t->frames[i - 1].slot != slot) {
		uint64_t above = t->frames[i - 1].slot - slot;

		/* On one stack older frames lie higher: past a higher one there is nothing to find. */
		if (above < limit)
			return -1;
		i--;
	}
	while (i > 1 && t->frames[i - 2].slot == slot)
		i--;
	return (int64_t)i - 1;
}

bool thread_has_above(const struct thread *t, uint64_t slot)
{
	uint64_t limit = stack_bytes(slot);

	for (uint32_t i = t->len; i; i--) {
		uint64_t above = t->frames[i - 1].slot - slot;

		if (above && above < limit)
			return true;
	}
	return false;
}

static bool is_entry(const struct frame *f)
{
	return f->kind == DV_SLICE_INTERRUPT || f->kind == DV_SLICE_EXCEPTION || f->kind == DV_SLICE_SYSCALL;
}

int64_t thread_find_entry(const struct thread *t, uint64_t stack_pointer)
{
	for (uint32_t i = t->len; i && (t->frames[i - 1].flags & FRAME_KERNEL); i--) {
		const struct frame *f = &t->frames[i - 1];

		/* An error code, where the exception has one, lay below what iret pops. */
		if (is_entry(f) && (f->slot == stack_pointer || f->slot + 8 == stack_pointer))
			return (int64_t)i - 1;
	}
	return -1;
}

void thread_sweep_held(struct frame_policy *policy, struct thread *t, uint64_t icount)
{
	uint32_t i = t->len;

	while (i > t->first_held && !((t->frames[i - 1].flags & FRAME_HELD) &&
				      icount - t->frames[i - 1].start_icount >= policy->filter.min_insns))
		i--;
	if (i > t->first_held)
		emit_held(policy, t, i - 1);
}

void thread_stop(struct frame_policy *policy, struct thread *t, uint64_t icount)
{
	for (uint32_t i = t->len; i; i--) {
		struct frame *f = &t->frames[i - 1];

		if ((f->flags & FRAME_HELD) && icount - f->start_icount >= policy->filter.min_insns)
			emit_held(policy, t, i - 1);
		if (f->flags & FRAME_EMITTED)
			policy->sink.end(policy->sink.context, t->info.id, icount);
		f->flags = (uint8_t)(f->flags & ~(FRAME_EMITTED | FRAME_HELD));
	}
	t->first_held = t->len;
}
