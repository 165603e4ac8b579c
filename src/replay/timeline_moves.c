/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a timeline does with its machine going forward, and what it does when that machine hangs or dies: a
 * new one is started, and the move made again, from where the last one set out, then from a checkpoint
 * before that, then from the beginning.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "replay/timeline_private.h"
#include "replay/watchdog.h"

#define WAIT_MS 20
#define TELL_EVERY_MS 100 /* that the icount grows */
#define LOOK_EVERY_MS 200
#define MAX_TRIES 4
#define FROM_THE_BEGINNING 1000000u
/* A checkpoint made meanwhile is worth a new QEMU when it spares this much. */
#define WORTH_ICOUNT 30000000

bool timeline_is_gone(const struct dv_error *err)
{
	return err && (err->code == DV_ERROR_TIMEOUT || err->code == DV_ERROR_EXITED);
}

static void tell_progress(struct dv_timeline *t, uint64_t icount)
{
	struct dv_timeline_now now;

	if (timeline_ms() - t->told_ms < TELL_EVERY_MS)
		return;
	t->told_ms = timeline_ms();
	dv_timeline_now(t, &now);
	now.where = (struct dv_where){.icount = icount};
	timeline_publish(t, &now);
}

static bool seek_goes_on(void *context, uint64_t icount)
{
	struct dv_timeline *t = context;

	tell_progress(t, icount);
	return !timeline_shall_stop(t, false);
}

static struct dv_error *restarted(void *context)
{
	struct dv_timeline *t = context;

	return t->server.client_fd >= 0 ? timeline_gdb_introduce(t) : NULL;
}

struct dv_error *timeline_open(struct dv_timeline *t)
{
	DV_TRY((t->options.no_checkpoints ? dv_replay_open_bare : dv_replay_open)(t->recording, t->options.qemu,
										   &t->replay));
	t->is_open = true;
	t->has_near = false;
	t->window_len = 0;
	if (t->options.stuck_ms)
		t->replay.moves.stuck_ms = t->options.stuck_ms;
	t->replay.moves.go_on = seek_goes_on;
	t->replay.moves.context = t;
	t->replay.restarted = restarted;
	return NULL;
}

struct dv_error *timeline_replace(struct dv_timeline *t, const char *why)
{
	struct dv_error *err;

	if (why)
		timeline_note(t, "%s: QEMU is started again", why);
	dv_replay_close(&t->replay);
	t->replay = (struct dv_replay)DV_REPLAY_INIT;
	t->is_open = false;
	err = timeline_open(t);
	if (err) {
		struct dv_timeline_now now = {.state = DV_TIMELINE_FAILED, .why = DV_WHY_FAILED};

		timeline_note(t, "QEMU could not be started again: %s", err->message);
		timeline_publish(t, &now);
		return err;
	}
	return restarted(t);
}

/* Those of the background's that came to be since this QEMU was started. */
static struct dv_error *take_new_checkpoints(struct dv_timeline *t, uint64_t icount)
{
	_cleanup_checkpoints_ struct dv_checkpoints set = {0};
	const struct dv_checkpoint *better, *had = dv_checkpoints_before(&t->replay.checkpoints, icount);
	uint64_t from;
	char status[32];

	if (!t->new_checkpoints || dv_checkpoints_open(t->recording, &set) ||
	    dv_machine_where(&t->replay.machine, &from, status))
		return NULL;
	better = dv_checkpoints_before(&set, icount);
	if (from > icount || (had && had->icount > from))
		from = had ? had->icount : 0;
	if (!better || better->icount < from + WORTH_ICOUNT)
		return NULL;
	if (set.complete)
		atomic_store(&t->new_checkpoints, false);
	return timeline_replace(t, NULL);
}

static void describe_start(struct dv_timeline *t, struct dv_buf *tried)
{
	const char *comma = tried->len ? ", " : "";

	if (t->replay.started_icount)
		dv_buf_printf(tried, "%sfrom icount %" PRIu64, comma, t->replay.started_icount);
	else
		dv_buf_printf(tried, "%sfrom the beginning", comma);
}

struct dv_error *timeline_seek(struct dv_timeline *t, uint64_t icount, uint64_t rip, struct dv_where *ret)
{
	_cleanup_buf_ struct dv_buf tried = DV_BUF_INIT;
	struct dv_error *err = t->is_open ? NULL : timeline_replace(t, NULL);
	unsigned avoid = 0;

	if (!err)
		err = take_new_checkpoints(t, icount);
	for (int i = 0; !err && i < MAX_TRIES; i++) {
		t->replay.avoid = avoid;
		err = dv_replay_seek(&t->replay, icount, rip, ret);
		t->replay.avoid = 0;
		if (!timeline_is_gone(err))
			return err;
		/* One that died may have been killed; one that hangs does so again. */
		avoid = i == MAX_TRIES - 2 ? FROM_THE_BEGINNING : avoid + (err->code == DV_ERROR_TIMEOUT || i > 0);
		describe_start(t, &tried);
		timeline_note(t, "on the way to icount %" PRIu64 ", from %" PRIu64 ": %s", icount, t->replay.started_icount,
			      err->message);
		if (i == MAX_TRIES - 1)
			break;
		dv_error_destroy(err);
		err = timeline_replace(t, NULL);
	}
	return dv_error_prefix(err, "icount %" PRIu64 " cannot be reached (tried %.*s)", icount, (int)tried.len,
			       tried.len ? (const char *)tried.data : "");
}

struct point *timeline_point_at(struct dv_timeline *t, uint64_t vaddr, bool watched)
{
	for (size_t i = 0; i < t->points_len; i++) {
		struct point *p = &t->points[i];

		if (watched ? p->type >= '2' && vaddr >= p->vaddr && vaddr - p->vaddr < p->bytes :
			      p->type < '2' && vaddr == p->vaddr)
			return p;
	}
	return NULL;
}

uint64_t timeline_value(struct dv_timeline *t, const struct point *point, bool *ret_known)
{
	uint64_t value = 0;
	struct dv_error *err;

	*ret_known = point->bytes <= sizeof(value);
	if (!*ret_known)
		return 0;
	err = dv_gdb_read_memory(t->replay.gdb, point->vaddr, &value, point->bytes);
	*ret_known = !err;
	dv_error_destroy(err);
	return value;
}

struct dv_error *timeline_insert(struct dv_timeline *t, bool insert)
{
	for (size_t i = 0; i < t->points_len; i++) {
		struct point *p = &t->points[i];

		if (insert && p->type >= '2')
			p->value = timeline_value(t, p, &p->has_value);
		DV_TRY(dv_gdb_set_point(t->replay.gdb, p->type, p->vaddr, p->bytes, insert));
	}
	return NULL;
}

/* "watch:ffff888004;" in a stop's answer: which address; false when it is none. */
static bool watched_address(const char *answer, uint64_t *ret)
{
	const char *at = strstr(answer, "watch:");

	if (!at)
		return false;
	*ret = strtoull(at + strlen("watch:"), NULL, 16);
	return true;
}

/* Says why the guest stopped. answer is the stub's, which the next packet overwrites. */
static struct dv_error *stop_at(struct dv_timeline *t, const char *answer, uint64_t limit_icount, bool asked,
				struct dv_timeline_now *now)
{
	bool watched = watched_address(answer, &now->address);

	if (watched) {
		struct point *point = timeline_point_at(t, now->address, true);

		now->why = DV_WHY_WATCHPOINT;
		DV_TRY(dv_replay_where(&t->replay, &now->where));
		if (point) {
			bool known;

			now->old_value = point->value;
			now->new_value = timeline_value(t, point, &known);
			now->value_bytes = known && point->has_value ? (uint32_t)point->bytes : 0;
		}
		return NULL;
	}
	DV_TRY(dv_replay_where(&t->replay, &now->where));
	if (timeline_point_at(t, now->where.registers.rip, false)) {
		now->why = DV_WHY_BREAKPOINT;
		now->address = now->where.registers.rip;
	} else if (now->where.icount >= limit_icount) {
		now->why = DV_WHY_END;
	} else {
		now->why = asked ? DV_WHY_INTERRUPT : DV_WHY_STEP;
	}
	return NULL;
}

/* Waits for the stop of a guest that was set going. */
static struct dv_error *wait_stop(struct dv_timeline *t, const char **ret_answer, bool *ret_asked)
{
	struct dv_watchdog dog = dv_watchdog_make(&t->replay.machine, t->replay.moves.stuck_ms);
	int64_t looked_ms = timeline_ms();
	uint64_t icount;
	char status[32];

	*ret_asked = false;
	for (;;) {
		DV_TRY(dv_gdb_receive(t->replay.gdb, WAIT_MS, ret_answer));
		if (*ret_answer)
			break;
		if (!*ret_asked && timeline_shall_stop(t, true)) {
			DV_TRY(dv_gdb_interrupt(t->replay.gdb));
			*ret_asked = true;
		}
		if (timeline_ms() - looked_ms < LOOK_EVERY_MS)
			continue;
		looked_ms = timeline_ms();
		DV_TRY(dv_machine_where(&t->replay.machine, &icount, status));
		tell_progress(t, icount);
		if (dv_watchdog_look(&dog, icount))
			return dv_error_new(DV_ERROR_TIMEOUT, "the replay has been standing at icount %" PRIu64 " (%s): it is stuck",
					    icount, status);
	}
	if (**ret_answer == 'W' || **ret_answer == 'X')
		return dv_error_new(DV_ERROR_EXITED, "gdb stub: the guest has ended");
	return NULL;
}

struct dv_error *timeline_run(struct dv_timeline *t, uint64_t limit_icount, struct dv_timeline_now *now)
{
	struct dv_qmp *qmp = t->replay.machine.qmp;
	struct dv_error *err;
	const char *answer = "";
	bool asked = false;

	DV_TRY(dv_replay_where(&t->replay, &now->where));
	if (now->where.icount >= limit_icount) {
		now->why = DV_WHY_END;
		return NULL;
	}
	DV_TRY(dv_qmp_run(qmp, "replay-break", json_pack("{s:I}", "icount", (json_int_t)limit_icount),
			  (int)t->replay.moves.stuck_ms, NULL));
	err = timeline_insert(t, true);
	if (!err)
		err = dv_gdb_send(t->replay.gdb, "c");
	if (!err)
		err = wait_stop(t, &answer, &asked);
	if (!err)
		err = stop_at(t, answer, limit_icount, asked, now);
	if (!err)
		err = timeline_insert(t, false);
	/* Refused when it was what stopped the guest. */
	dv_error_destroy(dv_qmp_run(qmp, "replay-delete-break", NULL, (int)t->replay.moves.stuck_ms, NULL));
	return err;
}

struct dv_error *timeline_step_watching(struct dv_timeline *t, struct dv_timeline_now *now)
{
	const char *answer = "";
	bool asked;

	DV_TRY(timeline_insert(t, true));
	DV_TRY(dv_gdb_send(t->replay.gdb, "s"));
	DV_TRY(wait_stop(t, &answer, &asked));
	DV_TRY(stop_at(t, answer, UINT64_MAX, asked, now));
	return timeline_insert(t, false);
}

static struct dv_error *step(struct dv_timeline *t, uint64_t count, struct dv_timeline_now *now)
{
	now->why = DV_WHY_STEP;
	for (uint64_t i = 0; i < (count ?: 1); i++) {
		char status[32];

		DV_TRY(dv_machine_where(&t->replay.machine, &now->where.icount, status));
		if (now->where.icount >= t->end_icount) {
			now->why = DV_WHY_END;
			return NULL;
		}
		if (i && timeline_shall_stop(t, true)) {
			now->why = DV_WHY_INTERRUPT;
			return NULL;
		}
		DV_TRY(dv_replay_step(&t->replay));
		tell_progress(t, now->where.icount);
	}
	return NULL;
}

/* gdb steps over a breakpoint before it continues; others rely on us. */
static struct dv_error *run(struct dv_timeline *t, struct dv_timeline_now *now)
{
	struct dv_where where;

	DV_TRY(dv_replay_where(&t->replay, &where));
	if (!t->gdb_waits && timeline_point_at(t, where.registers.rip, false) && where.icount < t->end_icount)
		DV_TRY(dv_replay_step(&t->replay));
	return timeline_run(t, t->end_icount, now);
}

static struct dv_error *act(struct dv_timeline *t, const struct dv_timeline_command *command,
			    struct dv_timeline_now *now)
{
	uint64_t icount = command->verb == DV_TIMELINE_SEEK_END ? t->end_icount : command->icount;
	uint64_t rip = command->verb == DV_TIMELINE_SEEK_END ? DV_NO_RIP : command->rip;

	switch (command->verb) {
	case DV_TIMELINE_SEEK:
	case DV_TIMELINE_SEEK_END:
		now->why = command->verb == DV_TIMELINE_SEEK_END ? DV_WHY_END : DV_WHY_SEEK;
		return timeline_seek(t, icount, rip, &now->where);
	case DV_TIMELINE_STEP: return step(t, command->count, now);
	case DV_TIMELINE_CONTINUE: return run(t, now);
	case DV_TIMELINE_REVERSE_CONTINUE: return timeline_reverse_continue(t, now);
	case DV_TIMELINE_STEP_BACK: break;
	}
	now->why = DV_WHY_STEP;
	for (uint64_t i = 0; i < (command->count ?: 1) && now->why == DV_WHY_STEP; i++) {
		DV_TRY(timeline_step_back(t, now));
		if (now->why == DV_WHY_STEP && timeline_shall_stop(t, true) && i + 1 < command->count)
			now->why = DV_WHY_INTERRUPT;
	}
	return NULL;
}

struct dv_error *timeline_command(struct dv_timeline *t, const struct dv_timeline_command *command,
				  struct dv_timeline_now *now)
{
	bool seeks = command->verb == DV_TIMELINE_SEEK || command->verb == DV_TIMELINE_SEEK_END;
	struct dv_timeline_now start = *now, moving = {.where = {.icount = now->where.icount}};
	struct dv_where where;
	struct dv_error *err = NULL;

	if (!t->is_open)
		DV_TRY(timeline_replace(t, NULL));
	t->backs = command->verb == DV_TIMELINE_STEP_BACK ? t->backs + 1 : 0;
	moving.state = seeks ? DV_TIMELINE_SEEKING : DV_TIMELINE_RUNNING;
	moving.target_icount = command->verb == DV_TIMELINE_SEEK ? command->icount : seeks ? t->end_icount : 0;
	moving.by_gdb = t->gdb_waits;
	timeline_publish(t, &moving);
	*now = (struct dv_timeline_now){0};
	err = act(t, command, now);
	if (timeline_is_gone(err) && !seeks) { /* once more, from where it began */
		timeline_note(t, "%s", err->message);
		dv_error_destroy(err);
		*now = (struct dv_timeline_now){.took_another_way = true};
		err = timeline_replace(t, NULL);
		if (!err)
			err = timeline_seek(t, start.where.icount, start.where.registers.rip, &where);
		if (!err)
			err = act(t, command, now);
	}
	if (!err)
		return timeline_stopped(t, now);
	now->why = err->code == DV_ERROR_CANCELLED ? DV_WHY_INTERRUPT : timeline_is_gone(err) ? DV_WHY_FAILED : DV_WHY_SEEK;
	if (timeline_is_gone(err) && t->is_open)
		dv_error_destroy(timeline_replace(t, NULL));
	if (t->is_open)
		dv_error_destroy(timeline_stopped(t, now));
	return err;
}
