/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording, replayed and taken to any moment.
 *
 * An interrupt or an exception costs no instruction, so a moment is an icount and a side: before or after
 * the event that is there. Asked for an icount alone, a seek stands before any event: on the instruction
 * that would have come next without one. Asked for an address too, it stands on that instruction, with
 * that icount: an interrupt handler's first instruction, say.
 */
#ifndef DV_REPLAY_SEEK_H
#define DV_REPLAY_SEEK_H

#include "replay/checkpoints.h"
#include "replay/gdbremote.h"
#include "replay/machine.h"
#include "replay/moves.h"

#define DV_NO_RIP UINT64_MAX

struct dv_where {
	uint64_t icount;
	bool is_kernel; /* CPU privilege level 0 */
	struct dv_x86_registers registers;
};

struct dv_replay {
	struct dv_machine machine;
	struct dv_gdb *gdb;
	const struct dv_recording *recording; /* borrowed */
	struct dv_checkpoints checkpoints;
	struct dv_moves moves;	 /* may be changed between seeks */
	unsigned avoid;		 /* so many of the nearest checkpoints are passed over: they led astray */
	uint64_t started_icount; /* where the last seek set out from */
	const char *qemu;	 /* as it was opened with; borrowed */
	/* Told that QEMU was started again, to go back in a recording that cannot be restored (plan.h); with moves'
	 * context. May be NULL. */
	struct dv_error *(*restarted)(void *context);
};

#define DV_REPLAY_INIT {.machine = DV_MACHINE_INIT}

/* Starts a replay, paused at its first instruction, that uses what checkpoints there are, or none. qemu
 * NULL: the plan's. */
struct dv_error *dv_replay_open(const struct dv_recording *recording, const char *qemu, struct dv_replay *ret);
struct dv_error *dv_replay_open_bare(const struct dv_recording *recording, const char *qemu, struct dv_replay *ret);
void dv_replay_close(struct dv_replay *replay);
#define _cleanup_replay_ _cleanup_(dv_replay_close)

/*
 * Goes to icount, and to rip there unless that is DV_NO_RIP. Goes on from where it is or starts at the
 * nearest checkpoint. Errors: DV_ERROR_INVALID past the end; DV_ERROR_NOT_FOUND when rip is not where the
 * guest stands at this icount, before or after an event; DV_ERROR_TIMEOUT for a replay that is stuck.
 */
struct dv_error *dv_replay_seek(struct dv_replay *replay, uint64_t icount, uint64_t rip, struct dv_where *ret);
struct dv_error *dv_replay_where(struct dv_replay *replay, struct dv_where *ret);
/* One instruction on; an event that is there comes first and may be all that the step does. */
struct dv_error *dv_replay_step(struct dv_replay *replay);

/* A time without progress that means that a replay is stuck: longer where idle time is lived through. */
unsigned dv_replay_stuck_ms(const struct dv_recording *recording);

#endif
