/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that make the guest move. Each answers at once; a `stopped` event says that it has ended. */
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

/* Runs one of gdb's -exec commands. */
static struct dv_error *go(struct adapter *a, const char *command, bool backward)
{
	return dap_mi(a, NULL, "-exec-%s%s", command, backward ? " --reverse" : "");
}

static bool by_instruction(const json_t *arguments)
{
	return !strcmp(dap_string(arguments, "granularity") ?: "", "instruction");
}

/*
 * Code without line numbers cannot be stepped by lines: gdb would run on to where there are some. Then a
 * step is one instruction.
 */
static bool has_line(struct adapter *a)
{
	json_t *answer = NULL;
	struct dv_error *err = dap_mi(a, &answer, "-stack-info-frame");
	bool has = !err && dap_string(json_object_get(answer, "frame"), "line");

	dv_error_destroy(err);
	json_decref(answer);
	return has;
}

static struct dv_error *step(struct adapter *a, const json_t *arguments, const char *by_line, const char *instruction,
			     bool backward)
{
	return go(a, by_instruction(arguments) || !has_line(a) ? instruction : by_line, backward);
}

struct dv_error *dap_continue(struct adapter *a, const json_t *arguments, json_t *body)
{
	json_object_set_new(body, "allThreadsContinued", json_true());
	return go(a, "continue", false);
}

struct dv_error *dap_reverse_continue(struct adapter *a, const json_t *arguments, json_t *body)
{
	return go(a, "continue", true);
}

struct dv_error *dap_next(struct adapter *a, const json_t *arguments, json_t *body)
{
	return step(a, arguments, "next", "next-instruction", false);
}

struct dv_error *dap_step_in(struct adapter *a, const json_t *arguments, json_t *body)
{
	return step(a, arguments, "step", "step-instruction", false);
}

struct dv_error *dap_step_back(struct adapter *a, const json_t *arguments, json_t *body)
{
	return step(a, arguments, "next", "step-instruction", true);
}

struct dv_error *dap_step_out(struct adapter *a, const json_t *arguments, json_t *body)
{
	return go(a, "finish", false);
}

/* When it came, on_urgent() has interrupted what ran then; what the requests before it set going comes now. */
struct dv_error *dap_pause(struct adapter *a, const json_t *arguments, json_t *body)
{
	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "nothing is being debugged yet");
	if (atomic_load(&a->is_running))
		dv_timeline_interrupt(a->target.timeline);
	return NULL;
}

/* ---- to an instruction count ---- */

static void on_sought(void *context, struct dv_error *err, const struct dv_timeline_now *now)
{
	struct adapter *a = context;

	atomic_store(&a->own_seek, false);
	atomic_store(&a->is_stale, true);
	dap_forget(a);
	if (err)
		dap_complain(a, err->message);
	dap_event(a, "dejaview", json_pack("{s:I, s:s}", "icount", (json_int_t)now->where.icount, "why", "seek"));
	dap_event(a, "stopped", json_pack("{s:s, s:i, s:b}", "reason", "goto", "threadId", CPU_THREAD, "allThreadsStopped", 1));
}

struct dv_error *dap_goto_icount(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t icount = dap_integer(arguments, "icount", -1);
	struct dv_timeline_command command = {.verb = DV_TIMELINE_SEEK, .icount = (uint64_t)icount, .rip = DV_NO_RIP};
	const char *address = dap_string(arguments, "address");
	struct dv_error *err;

	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "nothing is being debugged yet");
	if (icount < 0)
		return dv_error_new(DV_ERROR_INVALID, "gotoIcount needs an icount");
	if (atomic_load(&a->is_running))
		return dv_error_new(DV_ERROR_INVALID, "the guest runs: pause it first");
	if (address)
		command.rip = strtoull(address, NULL, 0);
	atomic_store(&a->own_seek, true);
	err = dv_timeline_post(a->target.timeline, &command, on_sought, a);
	if (err)
		atomic_store(&a->own_seek, false);
	return err;
}
