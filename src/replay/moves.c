/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/moves.h"

#include <inttypes.h>
#include <string.h>
#include "base/map.h"
#include "replay/watchdog.h"

#define WAIT_MS 10 /* for an event of QEMU's, between two looks */

static struct dv_error *run_command(struct dv_machine *m, const struct dv_moves *moves, const char *command,
				    json_t *arguments, json_t **ret)
{
	return dv_qmp_run(m->qmp, command, arguments, (int)moves->stuck_ms, ret);
}

/* A command of QEMU's human monitor; it answers with an error's text, or with nothing when all went well. */
static struct dv_error *run_monitor(struct dv_machine *m, const struct dv_moves *moves, const char *verb,
				    const char *argument, json_t **ret_text)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%s%s", verb, *argument ? " " : "", argument);
	return run_command(m, moves, "human-monitor-command", json_pack("{s:s}", "command-line", line), ret_text);
}

static struct dv_error *run_quiet(struct dv_machine *m, const struct dv_moves *moves, const char *verb,
				  const char *argument)
{
	json_t *answer = NULL;
	struct dv_error *err = run_monitor(m, moves, verb, argument, &answer);
	const char *text = json_string_value(answer);

	if (!err && text && *text)
		err = dv_error_new(DV_ERROR_PROTOCOL, "QEMU: %s %s: %.*s", verb, argument, (int)strcspn(text, "\r\n"),
				   text);
	json_decref(answer);
	return err;
}

struct dv_error *dv_machine_cont(struct dv_machine *machine)
{
	return dv_qmp_run(machine->qmp, "cont", NULL, DV_MACHINE_STUCK_MS, NULL);
}

/* Waits until the machine stands, at icount unless that is UINT64_MAX. */
static struct dv_error *wait_still(struct dv_machine *m, const struct dv_moves *moves, uint64_t icount,
				   uint64_t *ret_icount)
{
	struct dv_watchdog dog = dv_watchdog_make(m, moves->stuck_ms);
	uint64_t now;
	bool asked = false;
	char status[32];

	for (;;) {
		json_t *event = NULL;
		bool running, over;

		DV_TRY(dv_machine_where(m, &now, status));
		running = !strcmp(status, "running");
		over = !strcmp(status, "shutdown");
		if (ret_icount)
			*ret_icount = now;
		if (!running && (now == icount || icount == UINT64_MAX))
			return NULL;
		if (over || (!running && asked))
			return over ? dv_error_new(DV_ERROR_INVALID, "icount %" PRIu64 " lies behind the guest's power-off at %" PRIu64,
						   icount, now) :
				      dv_error_new(DV_ERROR_CANCELLED, "interrupted at icount %" PRIu64, now);
		if (dv_watchdog_look(&dog, now))
			return dv_error_new(DV_ERROR_TIMEOUT, "the replay stands at icount %" PRIu64 " (%s) on the way to %" PRIu64
					    ": it is stuck", now, status, icount);
		if (!asked && moves->go_on && !moves->go_on(moves->context, now)) {
			DV_TRY(run_command(m, moves, "stop", NULL, NULL));
			asked = true;
		}
		DV_TRY(dv_qmp_event(m->qmp, WAIT_MS, &event));
		json_decref(event);
	}
}

/* Forgets what QEMU has told so far, so that an event that comes is a new one. */
static struct dv_error *drop_events(struct dv_machine *m)
{
	json_t *event;

	do {
		DV_TRY(dv_qmp_event(m->qmp, 0, &event));
		json_decref(event);
	} while (event);
	return NULL;
}

struct dv_error *dv_machine_halt(struct dv_machine *machine, const struct dv_moves *moves, uint64_t *ret_icount)
{
	struct dv_moves quietly = *moves;

	quietly.go_on = NULL;
	DV_TRY(drop_events(machine));
	DV_TRY(run_command(machine, moves, "stop", NULL, NULL));
	return wait_still(machine, &quietly, UINT64_MAX, ret_icount);
}

struct dv_error *dv_machine_run_to(struct dv_machine *machine, const struct dv_moves *moves, uint64_t icount,
				   uint64_t *ret_icount)
{
	char status[32];
	uint64_t now;
	struct dv_error *err;

	DV_TRY(dv_machine_where(machine, &now, status));
	if (now > icount)
		return dv_error_new(DV_ERROR_INVALID, "the replay stands at icount %" PRIu64 ", past %" PRIu64, now, icount);
	if (now == icount && strcmp(status, "running"))
		return NULL;
	DV_TRY(drop_events(machine));
	DV_TRY(run_command(machine, moves, "replay-break", json_pack("{s:I}", "icount", (json_int_t)icount), NULL));
	err = dv_machine_cont(machine);
	if (!err)
		err = wait_still(machine, moves, icount, ret_icount);
	if (err)
		dv_error_destroy(run_command(machine, moves, "replay-delete-break", NULL, NULL));
	return err;
}

struct dv_error *dv_machine_seek(struct dv_machine *machine, const struct dv_moves *moves, uint64_t icount)
{
	char status[32];
	uint64_t now;
	struct dv_error *err;

	DV_TRY(dv_machine_where(machine, &now, status));
	if (now == icount && strcmp(status, "running"))
		return NULL;
	DV_TRY(drop_events(machine));
	DV_TRY(run_command(machine, moves, "replay-seek", json_pack("{s:I}", "icount", (json_int_t)icount), NULL));
	err = wait_still(machine, moves, icount, NULL);
	if (err && err->code == DV_ERROR_CANCELLED)
		dv_error_destroy(run_command(machine, moves, "replay-delete-break", NULL, NULL));
	return err;
}

struct dv_error *dv_machine_save_snapshot(struct dv_machine *machine, const struct dv_moves *moves, const char *name)
{
	return run_quiet(machine, moves, "savevm", name);
}

struct dv_error *dv_machine_load_snapshot(struct dv_machine *machine, const struct dv_moves *moves, const char *name)
{
	return run_quiet(machine, moves, "loadvm", name);
}

struct dv_error *dv_machine_delete_snapshot(struct dv_machine *machine, const struct dv_moves *moves,
					    const char *name)
{
	return run_quiet(machine, moves, "delvm", name);
}

struct dv_error *dv_machine_registers_digest(struct dv_machine *machine, const struct dv_moves *moves, uint64_t *ret)
{
	json_t *answer = NULL;
	uint64_t digest = 0;
	const char *text;

	DV_TRY(run_monitor(machine, moves, "info", "registers", &answer));
	text = json_string_value(answer);
	if (!text || !*text) {
		json_decref(answer);
		return dv_error_new(DV_ERROR_PROTOCOL, "QEMU: info registers: no answer");
	}
	while (*text) {
		size_t len = strcspn(text, "\n");

		/* How far QEMU has got with computing the flags differs with how it translated; they are in RFL. */
		for (size_t i = 0; i < len && strncmp(text, "CC", 2); i++)
			digest = dv_hash64(digest ^ (uint8_t)text[i]) + (digest << 1);
		text += len + (text[len] == '\n');
	}
	json_decref(answer);
	*ret = digest;
	return NULL;
}
