/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/seek.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define QMP_TIMEOUT_MS 20000
#define STUCK_MS 20000
#define POLL_MS 5
#define STEP_TIMEOUT_MS 10000
/* Exceptions at one icount: each takes a step and no instruction. */
#define MAX_STEPS 16

struct dv_error *dv_replay_open(const struct dv_recording *recording, const char *qemu, struct dv_replay *ret)
{
	struct dv_machine_options options = {.mode = DV_QEMU_REPLAY, .qemu = qemu, .gdb = true, .paused = true};
	struct dv_replay r = {.machine = DV_MACHINE_INIT, .recording = recording};
	struct dv_error *err = dv_checkpoints_open(recording, &r.checkpoints);
	int fd = -1;

	if (r.checkpoints.layers)
		options.checkpoints = &r.checkpoints;
	if (!err)
		err = dv_machine_start(recording, &options, &r.machine);
	if (!err)
		err = dv_unix_connect(r.machine.gdb_socket, QMP_TIMEOUT_MS, &fd);
	if (!err)
		err = dv_gdb_create(fd, QMP_TIMEOUT_MS, &r.gdb);
	if (err) {
		dv_replay_close(&r);
		return err;
	}
	*ret = r;
	return NULL;
}

void dv_replay_close(struct dv_replay *replay)
{
	dv_gdb_destroy(replay->gdb);
	replay->gdb = NULL;
	dv_machine_deinit(&replay->machine);
	dv_checkpoints_deinit(&replay->checkpoints);
}

static struct dv_error *icount_now(struct dv_replay *replay, uint64_t *ret)
{
	char status[32];

	return dv_machine_where(&replay->machine, ret, status);
}

/* QEMU's own seek; stands on either side of an event. */
static struct dv_error *seek_roughly(struct dv_replay *replay, uint64_t icount)
{
	uint64_t now, last = UINT64_MAX;
	char status[32];
	int still_ms = 0;

	DV_TRY(dv_machine_where(&replay->machine, &now, status));
	if (now == icount && strcmp(status, "running"))
		return NULL;
	DV_TRY(dv_qmp_run(replay->machine.qmp, "replay-seek", json_pack("{s:I}", "icount", (json_int_t)icount),
			  10 * STUCK_MS, NULL));
	for (;;) {
		DV_TRY(dv_machine_where(&replay->machine, &now, status));
		if (now == icount && strcmp(status, "running"))
			return NULL;
		if (!strcmp(status, "shutdown"))
			return dv_error_new(DV_ERROR_INVALID, "icount %" PRIu64 " lies behind the guest's power-off at %" PRIu64,
					    icount, now);
		still_ms = now == last ? still_ms + POLL_MS : 0;
		last = now;
		if (still_ms > STUCK_MS)
			return dv_error_new(DV_ERROR_TIMEOUT,
					    "the replay stands at icount %" PRIu64 " (%s) on the way to %" PRIu64 ": it is stuck",
					    now, status, icount);
		poll(NULL, 0, POLL_MS);
	}
}

/* To icount, before any event that is there: the instruction before it is stepped over. */
static struct dv_error *seek_before_event(struct dv_replay *replay, uint64_t icount)
{
	uint64_t now;

	if (icount == 0)
		return seek_roughly(replay, 0);
	DV_TRY(seek_roughly(replay, icount - 1));
	for (int i = 0; i < MAX_STEPS; i++) {
		DV_TRY(dv_gdb_step(replay->gdb, STEP_TIMEOUT_MS));
		DV_TRY(icount_now(replay, &now));
		if (now == icount)
			return NULL;
		if (now > icount)
			return dv_error_new(DV_ERROR_PROTOCOL, "a step from icount %" PRIu64 " ended at %" PRIu64,
					    icount - 1, now);
	}
	return dv_error_new(DV_ERROR_TIMEOUT, "%d steps did not leave icount %" PRIu64, MAX_STEPS, icount - 1);
}

/* On through the events at this icount, to rip; the run ends one instruction later at the latest. */
static struct dv_error *run_to_rip(struct dv_replay *replay, uint64_t icount, uint64_t rip)
{
	struct dv_error *err;

	DV_TRY(dv_qmp_run(replay->machine.qmp, "replay-break", json_pack("{s:I}", "icount", (json_int_t)icount + 1),
			  QMP_TIMEOUT_MS, NULL));
	err = dv_gdb_set_breakpoint(replay->gdb, rip, true);
	if (!err) {
		err = dv_gdb_continue(replay->gdb, STEP_TIMEOUT_MS);
		dv_error_destroy(dv_gdb_set_breakpoint(replay->gdb, rip, false));
	}
	dv_error_destroy(dv_qmp_run(replay->machine.qmp, "replay-delete-break", NULL, QMP_TIMEOUT_MS, NULL));
	return err;
}

struct dv_error *dv_replay_where(struct dv_replay *replay, struct dv_where *ret)
{
	struct dv_where where;

	DV_TRY(icount_now(replay, &where.icount));
	DV_TRY(dv_gdb_read_registers(replay->gdb, &where.registers));
	where.is_kernel = (where.registers.cs & 3) == 0;
	*ret = where;
	return NULL;
}

struct dv_error *dv_replay_seek(struct dv_replay *replay, uint64_t icount, uint64_t rip, struct dv_where *ret)
{
	uint64_t end = dv_recording_last_icount(replay->recording);
	struct dv_where where;

	if (icount > end)
		return dv_error_new(DV_ERROR_INVALID, "icount %" PRIu64 " is past the recording's end at %" PRIu64, icount,
				    end);
	DV_TRY(seek_before_event(replay, icount));
	DV_TRY(dv_replay_where(replay, &where));
	if (rip != DV_NO_RIP && where.registers.rip != rip) {
		uint64_t before = where.registers.rip;

		DV_TRY(run_to_rip(replay, icount, rip));
		DV_TRY(dv_replay_where(replay, &where));
		if (where.icount != icount || where.registers.rip != rip)
			return dv_error_new(DV_ERROR_NOT_FOUND,
					    "at icount %" PRIu64 " the guest stands at 0x%" PRIx64
					    " and comes by no event to 0x%" PRIx64,
					    icount, before, rip);
	}
	*ret = where;
	return NULL;
}
