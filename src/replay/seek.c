/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/seek.h"

#include <inttypes.h>
#include <string.h>

#define QMP_TIMEOUT_MS 20000
#define STUCK_MS 10000
#define STUCK_IDLE_MS 60000
#define STEP_TIMEOUT_MS 10000
/* Exceptions at one icount: each takes a step and no instruction. */
#define MAX_STEPS 16
/* So far it is quicker to run on than to load a checkpoint that lies between. */
#define NEAR_ICOUNT 3000000

unsigned dv_replay_stuck_ms(const struct dv_recording *recording)
{
	int64_t idle_ms = recording->longest_idle_ms;

	if (strstr(recording->plan->icount, "sleep=off"))
		return STUCK_MS;
	return idle_ms < 0 || idle_ms > (STUCK_IDLE_MS - STUCK_MS) / 2 ? STUCK_IDLE_MS : STUCK_MS + 2 * (unsigned)idle_ms;
}

static struct dv_error *open_replay(struct dv_replay *r)
{
	struct dv_machine_options options = {.mode = DV_QEMU_REPLAY, .qemu = r->qemu, .gdb = true, .paused = true,
					     .checkpoints = &r->checkpoints};
	int fd = -1;

	DV_TRY(dv_machine_start(r->recording, &options, &r->machine));
	DV_TRY(dv_unix_connect(r->machine.gdb_socket, QMP_TIMEOUT_MS, &fd));
	return dv_gdb_create(fd, QMP_TIMEOUT_MS, &r->gdb);
}

static struct dv_error *open_with(const struct dv_recording *recording, const char *qemu, bool bare,
				  struct dv_replay *ret)
{
	struct dv_replay r = {.machine = DV_MACHINE_INIT, .recording = recording, .qemu = qemu};
	struct dv_error *err = bare ? NULL : dv_checkpoints_open(recording, &r.checkpoints);

	r.moves.stuck_ms = dv_replay_stuck_ms(recording);
	if (!err)
		err = open_replay(&r);
	if (err) {
		dv_replay_close(&r);
		return err;
	}
	*ret = r;
	return NULL;
}

struct dv_error *dv_replay_open(const struct dv_recording *recording, const char *qemu, struct dv_replay *ret)
{
	return open_with(recording, qemu, false, ret);
}

struct dv_error *dv_replay_open_bare(const struct dv_recording *recording, const char *qemu, struct dv_replay *ret)
{
	return open_with(recording, qemu, true, ret);
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

static const struct dv_checkpoint *checkpoint_for(const struct dv_replay *replay, uint64_t icount)
{
	const struct dv_checkpoint *c = dv_checkpoints_before(&replay->checkpoints, icount);

	for (unsigned i = 0; i < replay->avoid && c; i++)
		c = c == replay->checkpoints.items ? NULL : c - 1;
	return c;
}

static struct dv_error *start_again(struct dv_replay *r)
{
	dv_gdb_destroy(r->gdb);
	r->gdb = NULL;
	dv_machine_deinit(&r->machine);
	DV_TRY(open_replay(r));
	return r->restarted ? r->restarted(r->moves.context) : NULL;
}

/* To icount, on either side of an event that is there. */
static struct dv_error *seek_roughly(struct dv_replay *replay, uint64_t icount)
{
	const struct dv_checkpoint *c = checkpoint_for(replay, icount);
	struct dv_machine *m = &replay->machine;
	char status[32];
	uint64_t now;

	DV_TRY(dv_machine_where(m, &now, status));
	replay->started_icount = now;
	if (replay->recording->plan->cannot_restore) {
		if (now > icount) {
			replay->started_icount = 0;
			DV_TRY(start_again(replay));
		}
		return dv_machine_run_to(m, &replay->moves, icount, NULL);
	}
	if (!strcmp(status, "shutdown")) /* the guest is off: QEMU wakes it for this alone */
		return dv_machine_seek(m, &replay->moves, icount);
	if (now > icount || (c && c->icount > now && icount - now > NEAR_ICOUNT)) {
		replay->started_icount = c ? c->icount : 0;
		DV_TRY(dv_machine_load_snapshot(m, &replay->moves, c ? c->name : DV_QEMU_FIRST_SNAPSHOT));
	}
	return dv_machine_run_to(m, &replay->moves, icount, NULL);
}

struct dv_error *dv_replay_step(struct dv_replay *replay)
{
	return dv_gdb_step(replay->gdb, STEP_TIMEOUT_MS);
}

/*
 * QEMU's single step goes on after `pause` and `hlt` to the end of the next instruction (both leave its loop
 * before the step's stop): the place between is reached by the count alone.
 */
static bool step_goes_too_far(struct dv_replay *replay)
{
	struct dv_x86_registers registers;
	uint8_t code[2] = {0};
	struct dv_error *err = dv_gdb_read_registers(replay->gdb, &registers);

	if (!err)
		err = dv_gdb_read_memory(replay->gdb, registers.rip, code, sizeof(code));
	dv_error_destroy(err);
	return (code[0] == 0xf3 && code[1] == 0x90) || code[0] == 0xf4;
}

/* To icount, before any event that is there: the instruction before it is stepped over. */
static struct dv_error *seek_before_event(struct dv_replay *replay, uint64_t icount)
{
	uint64_t now;

	if (icount == 0)
		return seek_roughly(replay, 0);
	DV_TRY(seek_roughly(replay, icount - 1));
	if (step_goes_too_far(replay))
		return seek_roughly(replay, icount);
	for (int i = 0; i < MAX_STEPS; i++) {
		DV_TRY(dv_replay_step(replay));
		DV_TRY(icount_now(replay, &now));
		if (now == icount)
			return NULL;
		if (now > icount)
			return seek_roughly(replay, icount);
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

static struct dv_error *seek_exactly(struct dv_replay *replay, uint64_t icount, uint64_t rip, struct dv_where *ret)
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

struct dv_error *dv_replay_seek(struct dv_replay *replay, uint64_t icount, uint64_t rip, struct dv_where *ret)
{
	struct dv_error *err = seek_exactly(replay, icount, rip, ret);

	if (!err || err->code != DV_ERROR_EXITED)
		return err;
	return dv_error_prefix(dv_machine_why_exited(&replay->machine, err),
			       "QEMU ended on the way to %" PRIu64 " from %" PRIu64, icount, replay->started_icount);
}
