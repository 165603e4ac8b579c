/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What functions were called with, and what they returned: registers at their entry and return, fetched by
 * replaying the parts of a recording that hold the wanted calls.
 */
#ifndef DV_REPLAY_CALLS_H
#define DV_REPLAY_CALLS_H

#include "replay/segments.h"
#include "symbols/prototype.h"

struct dv_calls_function {
	uint64_t vaddr;	       /* of its first instruction, as the guest ran it; of user code, the file's own */
	uint32_t strings_mask; /* arguments (bit 0: the first) that point to text */
};

/* A call, named as the trace names it, and what was found of it. */
struct dv_call {
	uint64_t start_icount; /* to stand on the first instruction */
	uint64_t first_icount; /* when that runs: later where an interrupt came before it */
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
	/* Told of the next ones, in their order, as soon as nothing more will be found of them; all but an error's
	 * victims in the end. From the calling thread. May be NULL. */
	void (*ready)(void *context, const struct dv_call *calls, size_t len);
	bool (*progress)(void *context, uint64_t done_icount, uint64_t total_icount); /* as of dv_segments */
	void *context;
};

#define DV_CALLS_MAX_FUNCTIONS 64

/*
 * Fills in the calls. One that is not found where it should be stays without arguments: the trace is not of
 * this recording then. Errors: those of dv_segments_run().
 */
struct dv_error *dv_calls_fetch(const struct dv_recording *recording, const struct dv_calls *calls);

/* The arguments that point to text, as dv_calls_function.strings_mask has them. */
uint32_t dv_calls_strings_mask(const struct dv_prototype *prototype);
/* One of the prototype's parameters as this call had it; "..." when it is in no place that was looked at. btf
 * may be NULL. Appended. */
void dv_call_print_argument(const struct dv_call *call, const struct dv_prototype *prototype, size_t argument,
			    const struct dv_btf *btf, struct dv_buf *to);

#endif
