/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which calls are open at a moment, by the trace: the exact stack, for which nothing is unwound. One pass over
 * the trace, in a thread of its own, notes the stacks at the beginning of each block; a question then reads
 * the blocks that hold its icount.
 */
#ifndef DV_REPLAY_STACKS_H
#define DV_REPLAY_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "trace/reader.h"

struct dv_stacks;

struct dv_frame {
	uint64_t start_icount;
	uint32_t function; /* of dv_stacks_reader() */
	uint8_t kind;	   /* enum dv_slice_kind */
};

/* Starts the pass. Errors: those of dv_trace_reader_open(), DV_ERROR_UNSUPPORTED when its times are no
 * instruction counts. Used by one thread at a time. */
struct dv_error *dv_stacks_create(const char *trace, struct dv_stacks **ret);
void dv_stacks_destroy(struct dv_stacks *stacks);
DV_DEFINE_CLEANUP(struct dv_stacks, dv_stacks_destroy);

/* Function numbers are of this one, which waits for the pass. */
struct dv_trace_reader *dv_stacks_reader(struct dv_stacks *stacks);
/* For what is in the headers (threads, switches), without waiting. */
struct dv_trace_reader *dv_stacks_headers(struct dv_stacks *stacks);

/* The thread that runs at icount; 0: not known. */
uint64_t dv_stacks_thread_at(struct dv_stacks *stacks, uint64_t icount);

/*
 * The thread's open frames at icount, outermost first; those that begin there are in it, those that end there
 * are not. *ret is free()d by the caller. Waits for the pass.
 */
struct dv_error *dv_stacks_at(struct dv_stacks *stacks, uint64_t thread_id, uint64_t icount, struct dv_frame **ret,
			      size_t *ret_len);

/* Whether the pass is over: no function below waits any more. */
bool dv_stacks_ready(const struct dv_stacks *stacks);
/*
 * Where a bare icount stands, by the trace: the address of the first instruction of a call that begins there,
 * in the running thread; interrupts and exceptions do not count. Does not wait. *ret_found false: none does.
 */
struct dv_error *dv_stacks_entry_at(struct dv_stacks *stacks, uint64_t icount, uint64_t *ret_vaddr, bool *ret_found);

struct dv_call {
	uint64_t icount, thread_id;
	uint32_t function, depth;
	uint8_t kind;
};

/*
 * The first call of the function after icount, or the last before it (backward); *ret_found false: there is
 * none. name is "NAME", or "[MODULE] NAME" as the trace says. Errors: those of reading.
 */
struct dv_error *dv_stacks_find_call(struct dv_stacks *stacks, const char *name, uint64_t icount, bool backward,
				     struct dv_call *ret, bool *ret_found);
/* The nth call (from 1) of the function in the whole trace. */
struct dv_error *dv_stacks_nth_call(struct dv_stacks *stacks, const char *name, uint64_t n, struct dv_call *ret,
				    bool *ret_found);
/* The slice that starts at icount in the thread of this tid, at this depth. */
struct dv_error *dv_stacks_find_slice(struct dv_stacks *stacks, uint64_t icount, int32_t tid, uint32_t depth,
				      struct dv_call *ret, bool *ret_found);

#endif
