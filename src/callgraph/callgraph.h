/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The call graph as a pure state machine: events in, frames out. No QEMU, no file, no symbol table: what
 * an address is comes from `resolve`, what is found goes to the sink.
 *
 * Each thread has a stack of frames. A return closes the frame whose return address lay in the stack
 * slot that it read, and everything above it; never blindly the last one. Frames whose slot the stack
 * pointer has passed are closed when that shows (longjmp, a return that was not seen). An indirect-branch
 * thunk becomes the function that it goes on to; a jump to a function's entry is a tail call, nested in
 * the frame that it ends with.
 */
#ifndef DV_CALLGRAPH_CALLGRAPH_H
#define DV_CALLGRAPH_CALLGRAPH_H

#include "callgraph/event.h"
#include "trace/format.h"

/* What the machine needs to know of an address. */
enum dv_target_flags {
	DV_TARGET_CALLABLE = 1 << 0,	 /* not known to lie in the middle of a function */
	DV_TARGET_ENTRY = 1 << 7,	 /* known to be a function's first instruction */
	DV_TARGET_GUESSED = 1 << 8,	 /* ... or perhaps one: it has no symbol */
	DV_TARGET_NEVER = 1 << 9,	 /* of user code: no function is known to start there, nor will be later */
	DV_TARGET_THUNK = 1 << 1,	 /* inside an indirect-branch or return thunk */
	DV_TARGET_IGNORE_BELOW = 1 << 2, /* filter: its callees are left out */
	DV_TARGET_START = 1 << 3,	 /* filter: the trace starts here */
	DV_TARGET_STOP = 1 << 4,	 /* filter: the trace stops here */
	DV_TARGET_INTERRUPT = 1 << 5,	 /* kind of an entry: neither bit is an exception */
	DV_TARGET_SYSCALL = 1 << 6,
};

struct dv_callgraph_filter {
	uint64_t min_insns;	/* a slice with a shorter span is left out; 0: none is */
	uint32_t max_depth;	/* frames shown per thread; 0: all */
	const char *during;	/* only while the thread has this comm; NULL: always */
	bool from_start_target; /* only from the first call of a DV_TARGET_START on */
};

/* Where frames go. For one thread, calls are in stack order with icounts that never go back; with
 * min_insns a begin may come later than events of other threads that happened after it. */
struct dv_frame_sink {
	void (*thread)(void *context, uint64_t icount, const struct dv_trace_thread *thread);
	void (*begin)(void *context, uint64_t thread_id, uint64_t icount, uint64_t key,
		      enum dv_slice_kind kind);
	void (*end)(void *context, uint64_t thread_id, uint64_t icount);
	void (*switched)(void *context, uint64_t icount, unsigned cpu, uint64_t prev_id, uint64_t next_id);
	/* The thread printed; borrowed. May be NULL. */
	void (*print)(void *context, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print);
	/* The thread's process runs another program. May be NULL. */
	void (*command)(void *context, uint64_t icount, uint64_t thread_id, const struct dv_event_command *command);
	void *context;
};

/* A user address space, as whoever resolves addresses keeps it; valid until it was dropped. */
struct dv_space {
	uint32_t generation; /* another one whenever what lies in it changes, and in each space; never 0 */
};

struct dv_callgraph_options {
	/* The function that a kernel address lies in, by its key; 0: not known. NULL: none is known. */
	uint64_t (*function_at)(void *context, uint64_t vaddr);
	/* Flags of enum dv_target_flags; asked once per address until a DV_EVENT_SYMBOLS. */
	unsigned (*resolve)(void *context, uint64_t vaddr);
	/* The same of a user address, with the key of the function that is there; asked once per space and
	 * address until the space's generation changes. Both NULL: keys are the addresses. */
	unsigned (*resolve_user)(void *context, const struct dv_space *space, uint64_t vaddr, uint64_t *ret_key);
	/* Answers a DV_EVENT_SITE: DV_TARGET_NEVER. May be NULL. */
	void (*settle)(void *context, uint64_t site);
	/* The space of an mm_struct's address, or NULL. */
	const struct dv_space *(*find_space)(void *context, uint64_t mm_vaddr);
	void *resolve_context;
	struct dv_frame_sink sink;
	struct dv_callgraph_filter filter;
};

/* More frames than this in one thread are counted, not kept. */
#define DV_CALLGRAPH_MAX_FRAMES 65536
/* Tail calls nested at one stack slot (loops of them replace the last one). */
#define DV_CALLGRAPH_MAX_TAIL_CALLS 32

struct dv_callgraph;

struct dv_error *dv_callgraph_create(const struct dv_callgraph_options *options, struct dv_callgraph **ret);
void dv_callgraph_destroy(struct dv_callgraph *cg);
DV_DEFINE_CLEANUP(struct dv_callgraph, dv_callgraph_destroy);

/* Feeds events, oldest first. Frees what SWITCH, RENAME, FORK, COMMAND and PRINT events point to. */
void dv_callgraph_feed(struct dv_callgraph *cg, const struct dv_event *events, size_t count);

/* Says that the trace ends at icount: what min_insns held back and qualifies is begun. Open slices stay
 * open (the recording ended inside them). */
void dv_callgraph_finish(struct dv_callgraph *cg, uint64_t icount);

/*
 * Returns that close no frame, by what they are. `early`: before the kernel ran (16-bit code, the
 * firmware's own stacks). `outer`: out of a call that was made before its thread was seen (a fork's child
 * returns out of its parent's calls). `made`: a return address that was put there by hand, to go somewhere
 * (trampolines of ftrace and kretprobes; RSB stuffing). What is left is unmatched: not explained.
 */
struct dv_callgraph_counts {
	uint64_t calls, returns, early_returns, outer_returns, made_returns, unmatched_returns;
	uint64_t stale_frames, threads, dropped_frames;
};
struct dv_callgraph_counts dv_callgraph_counts(const struct dv_callgraph *cg);

#endif
