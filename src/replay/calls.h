/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What functions were called with, and what they returned: registers at their entry and return, fetched by
 * replaying the parts of a recording that hold the wanted calls.
 */
#ifndef DV_REPLAY_CALLS_H
#define DV_REPLAY_CALLS_H

#include "replay/segments.h"

struct dv_calls_function {
	uint64_t vaddr;	       /* of its first instruction, as the guest ran it */
	uint32_t strings_mask; /* arguments (bit 0: the first) that point to text */
};

/* A call, named as the trace names it, and what was found of it. */
struct dv_call {
	uint64_t start_icount; /* to stand on the first instruction */
	uint64_t end_icount;   /* to stand on the instruction returned to; UINT64_MAX when it never returned */
	bool has_arguments;    /* entry is filled in */
	bool has_value;
	struct dv_capture_call entry;
	uint64_t value, value_high; /* rax, rdx */
};

struct dv_calls {
	const struct dv_checkpoints *checkpoints; /* may be NULL */
	const char *qemu;			  /* NULL: the plan's */
	const struct dv_calls_function *functions;
	size_t functions_len; /* at most DV_CALLS_MAX_FUNCTIONS */
	struct dv_call *calls; /* by start_icount; filled in */
	size_t calls_len;
	unsigned jobs; /* QEMUs at a time; 0: one for each CPU */
	bool (*progress)(void *context, uint64_t done_icount, uint64_t total_icount); /* as of dv_segments */
	void *context;
};

#define DV_CALLS_MAX_FUNCTIONS 64

/*
 * Fills in the calls. One that is not found where it should be stays without arguments: the trace is not of
 * this recording then. Errors: those of dv_segments_run().
 */
struct dv_error *dv_calls_fetch(const struct dv_recording *recording, const struct dv_calls *calls);

#endif
