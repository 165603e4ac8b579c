/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording's trace, made by several QEMUs at once. Each replays one segment of it, from a checkpoint. The first
 * one's plugin writes the trace; those of the others put what happened into files (plugin/spool.h), which it
 * reads in order, so that one call-graph machine sees every event as it would in one replay.
 *
 * A segment begins a little behind its checkpoint: by then QEMU's blocks, and what waits within one for its last
 * instruction, are as in a replay that has come all the way.
 */
#ifndef DV_REPLAY_RETRACE_H
#define DV_REPLAY_RETRACE_H

#include "replay/checkpoints.h"
#include "replay/machine.h"

#define DV_RETRACE_MAX_SEGMENTS 32

struct dv_retrace {
	const struct dv_checkpoints *checkpoints;
	const char *const *plugin_options; /* of the trace, NULL-terminated: out=, filters, where names come from */
	const char *qemu;		   /* NULL: the plan's */
	unsigned jobs;			   /* QEMUs at a time, 2 and more */
	/* Told how far all is, many times a second, from any thread but one at a time; false: give up. May be NULL. */
	bool (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/*
 * The icounts at which segments begin but for the first, 0: how many, at most DV_RETRACE_MAX_SEGMENTS - 1. None when
 * there are too few checkpoints. The first segment is the shorter for what the call-graph machine takes.
 */
size_t dv_retrace_cut(const struct dv_checkpoints *checkpoints, uint64_t last_icount, unsigned jobs, uint64_t *ret);

/*
 * Errors: DV_ERROR_UNSUPPORTED when the recording cannot be cut (too few checkpoints, or none behind the start of a
 * kernel whose symbols are there); DV_ERROR_CANCELLED; else those of dv_machine_start() and of replays, with the
 * segment's icounts. Nothing is left running, and but for out= nothing is left.
 */
struct dv_error *dv_retrace_run(const struct dv_recording *recording, const struct dv_retrace *retrace);

#endif
