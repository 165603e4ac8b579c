/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dap/private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "dap/inbox.h"

/* ---- to the editor ---- */

static void send_message(struct adapter *a, json_t *message)
{
	json_object_set_new(message, "seq", json_integer(atomic_fetch_add(&a->seq, 1) + 1));
	/* A client that has gone is noticed when it is read from. */
	dv_error_destroy(dv_dap_send(a->transport, message));
}

void dap_event(struct adapter *a, const char *event, json_t *body)
{
	json_t *message = json_pack("{s:s, s:s}", "type", "event", "event", event);

	if (body)
		json_object_set_new(message, "body", body);
	send_message(a, message);
}

void dap_respond(struct adapter *a, int64_t request_seq, const char *command, json_t *body, struct dv_error *err)
{
	json_t *message = json_pack("{s:s, s:I, s:s, s:b}", "type", "response", "request_seq", (json_int_t)request_seq,
				    "command", command, "success", !err);

	if (err) {
		json_decref(body);
		body = json_pack("{s:{s:i, s:s, s:b}}", "error", "id", 1 + (int)err->code, "format", err->message, "showUser",
				 1);
		json_object_set_new(message, "message", json_string(err->message));
		dv_error_destroy(err);
	}
	json_object_set_new(message, "body", body);
	send_message(a, message);
}

void dap_complain(struct adapter *a, const char *message)
{
	dap_event(a, "output", json_pack("{s:s, s:s+}", "category", "stderr", "output", message, "\n"));
}

struct dv_error *dap_mi(struct adapter *a, json_t **ret, const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;

	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "nothing is being debugged yet");
	if (atomic_load(&a->is_running))
		return dv_error_new(DV_ERROR_INVALID, "the guest runs: pause it first");
	if (atomic_exchange(&a->is_stale, false))
		DV_TRY(dv_mi_run(a->target.mi, MI_TIMEOUT_MS, NULL, "-interpreter-exec console \"python DejaView.flush()\""));
	va_start(ap, format);
	if (vasprintf(&command, format, ap) < 0)
		command = NULL;
	va_end(ap);
	if (!command)
		return dv_error_no_memory();
	return dv_mi_run(a->target.mi, a->is_typed ? TYPED_TIMEOUT_MS : MI_TIMEOUT_MS, ret, "%s", command);
}

/* ---- the life of a session ---- */

static struct dv_error *on_initialize(struct adapter *a, const json_t *arguments, json_t *body)
{
	static const char *const can[] = {
		"supportsConfigurationDoneRequest", "supportsFunctionBreakpoints",   "supportsConditionalBreakpoints",
		"supportsEvaluateForHovers",	    "supportsStepBack",		     "supportsDataBreakpoints",
		"supportsReadMemoryRequest",	    "supportsDisassembleRequest",    "supportsSteppingGranularity",
		"supportsInstructionBreakpoints",   "supportsTerminateRequest",	     "supportsDelayedStackTraceLoading",
		"supportsCancelRequest",
	};

	for (size_t i = 0; i < DV_ARRAY_SIZE(can); i++)
		json_object_set_new(body, can[i], json_true());
	a->wants_progress = json_is_true(json_object_get(arguments, "supportsProgressReporting"));
	a->lines_from_1 = !json_is_false(json_object_get(arguments, "linesStartAt1"));
	return NULL;
}

static struct dv_error *on_configuration_done(struct adapter *a, const json_t *arguments, json_t *body)
{
	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "launch comes first");
	return NULL;
}

static struct dv_error *on_disconnect(struct adapter *a, const json_t *arguments, json_t *body)
{
	a->is_done = true;
	return NULL;
}

/* What it asks for was done when it came: see on_urgent(). */
static struct dv_error *on_cancel(struct adapter *a, const json_t *arguments, json_t *body)
{
	return NULL;
}

/* ---- requests ---- */

static const struct {
	const char *command;
	dap_handler handle;
} handlers[] = {
	{"initialize", on_initialize},
	{"launch", dap_launch},
	{"attach", dap_launch},
	{"configurationDone", on_configuration_done},
	{"disconnect", on_disconnect},
	{"terminate", on_disconnect},
	{"threads", dap_threads},
	{"stackTrace", dap_stack_trace},
	{"scopes", dap_scopes},
	{"variables", dap_variables},
	{"evaluate", dap_evaluate},
	{"continue", dap_continue},
	{"reverseContinue", dap_reverse_continue},
	{"next", dap_next},
	{"stepIn", dap_step_in},
	{"stepOut", dap_step_out},
	{"stepBack", dap_step_back},
	{"pause", dap_pause},
	{"cancel", on_cancel},
	{"gotoIcount", dap_goto_icount},
	{"setBreakpoints", dap_set_breakpoints},
	{"setFunctionBreakpoints", dap_set_function_breakpoints},
	{"setInstructionBreakpoints", dap_set_instruction_breakpoints},
	{"dataBreakpointInfo", dap_data_breakpoint_info},
	{"setDataBreakpoints", dap_set_data_breakpoints},
	{"disassemble", dap_disassemble},
	{"readMemory", dap_read_memory},
};

static dap_handler find_handler(const char *command)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(handlers); i++) {
		if (!strcmp(handlers[i].command, command))
			return handlers[i].handle;
	}
	return NULL;
}

/* What follows a response. */
static void after(struct adapter *a, const char *command, bool good)
{
	struct dv_timeline_now now;

	if (!strcmp(command, "launch") || !strcmp(command, "attach")) {
		if (good)
			dap_event(a, "initialized", NULL);
		else
			dap_event(a, "terminated", NULL);
	}
	if (good && !strcmp(command, "configurationDone")) {
		atomic_store(&a->is_ready, true);
		dv_timeline_now(a->target.timeline, &now);
		dap_event(a, "dejaview", json_pack("{s:I, s:s}", "icount", (json_int_t)now.where.icount, "why", "start"));
		dap_event(a, "stopped", json_pack("{s:s, s:i, s:b}", "reason", "entry", "threadId", CPU_THREAD,
						  "allThreadsStopped", 1));
	}
	if (good && !strcmp(command, "terminate"))
		dap_event(a, "terminated", NULL);
}

static void handle(struct adapter *a, const json_t *request)
{
	const char *command = dap_string(request, "command") ?: "";
	const json_t *arguments = json_object_get(request, "arguments");
	dap_handler handler = find_handler(command);
	json_t *body = json_object();
	struct dv_error *err;
	bool good;

	if (strcmp(dap_string(request, "type") ?: "", "request")) {
		json_decref(body);
		return;
	}
	a->request_seq = dap_integer(request, "seq", 0);
	a->command = command;
	a->is_answered = false;
	err = handler ? handler(a, arguments, body)
		      : dv_error_new(DV_ERROR_UNSUPPORTED, "the request '%s' is not known here", command);
	good = !err;
	if (!a->is_answered) {
		dap_respond(a, a->request_seq, command, body, err);
	} else {
		json_decref(body);
		if (err)
			dap_complain(a, err->message);
		dv_error_destroy(err);
	}
	after(a, command, good);
}

/* On the reading thread: what must not wait until the request before it is done. */
static void on_urgent(void *context, const json_t *message)
{
	struct adapter *a = context;
	const char *command = dap_string(message, "command") ?: "";
	bool is_cancel = !strcmp(command, "cancel") && dap_string(json_object_get(message, "arguments"), "progressId");

	if (!is_cancel && strcmp(command, "pause") && strcmp(command, "disconnect") && strcmp(command, "terminate"))
		return;
	pthread_mutex_lock(&a->lock);
	if (a->interruptible)
		dv_timeline_interrupt(a->interruptible);
	pthread_mutex_unlock(&a->lock);
}

struct dv_error *dv_dap_serve(struct dv_dap_transport *transport, const struct dv_dap_host *host)
{
	struct adapter a = {.transport = transport, .host = host, .lines_from_1 = true, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct dap_inbox *inbox;
	struct dv_error *err = NULL;

	DV_TRY(dap_inbox_create(transport, on_urgent, &a, &inbox));
	while (!a.is_done) {
		json_t *request;

		err = dap_inbox_next(inbox, &request);
		if (err || !request)
			break;
		handle(&a, request);
		json_decref(request);
	}
	dap_inbox_destroy(inbox);
	if (a.is_open) {
		atomic_store(&a.is_ready, false);
		dap_close(&a);
	}
	dap_free_points(&a);
	free(a.handles);
	pthread_mutex_destroy(&a.lock);
	return err;
}
