/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A replaying machine moved over QMP, with no stub: run, halted, taken to an instruction count or to a
 * checkpoint. Each move ends with the machine standing still. A replay that makes no progress for stuck_ms
 * is stuck for ever (DV_ERROR_TIMEOUT); a QEMU that has gone is DV_ERROR_EXITED; then only a new one helps.
 *
 * QEMU stops at an instruction count on either side of an event that is there (seek.h).
 */
#ifndef DV_REPLAY_MOVES_H
#define DV_REPLAY_MOVES_H

#include "replay/machine.h"

struct dv_moves {
	unsigned stuck_ms;
	/* Asked many times a second with where the machine is; false: halt, DV_ERROR_CANCELLED. May be NULL. */
	bool (*go_on)(void *context, uint64_t icount);
	void *context;
};

struct dv_error *dv_machine_cont(struct dv_machine *machine);
/* Halts it where it is. */
struct dv_error *dv_machine_halt(struct dv_machine *machine, const struct dv_moves *moves, uint64_t *ret_icount);
/*
 * Runs on to icount; nothing when it stands there. DV_ERROR_INVALID when it is past it, or when the guest
 * ended before (*ret_icount then says where, if not NULL).
 */
struct dv_error *dv_machine_run_to(struct dv_machine *machine, const struct dv_moves *moves, uint64_t icount,
				   uint64_t *ret_icount);
/* To icount, forward or backward: QEMU loads the nearest snapshot when that is better than where it is. */
struct dv_error *dv_machine_seek(struct dv_machine *machine, const struct dv_moves *moves, uint64_t icount);

/* Snapshots, while it stands. Saving is refused by QEMU while events are queued (DV_ERROR_PROTOCOL): the
 * machine must run on a little first. */
struct dv_error *dv_machine_save_snapshot(struct dv_machine *machine, const struct dv_moves *moves, const char *name);
struct dv_error *dv_machine_load_snapshot(struct dv_machine *machine, const struct dv_moves *moves, const char *name);
struct dv_error *dv_machine_delete_snapshot(struct dv_machine *machine, const struct dv_moves *moves,
					    const char *name);

/* All of the CPU's registers as one number, to tell whether two replays stand at the same place. */
struct dv_error *dv_machine_registers_digest(struct dv_machine *machine, const struct dv_moves *moves, uint64_t *ret);

#endif
