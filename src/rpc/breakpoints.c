/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers: gdb's breakpoints, and its terminal. */
#include <string.h>
#include "rpc/replay.h"

#define MI_MS 20000
#define TERMINAL 1 /* the one there is */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* gdb's bkpt or wpt, or a row of its table. */
static json_t *describe_breakpoint(const json_t *is)
{
	const char *type = text_of(is, "type"), *what = text_of(is, "original-location"), *address = text_of(is, "addr");
	bool watch = strstr(type, "watchpoint") || json_object_get(is, "exp");
	json_t *json;

	if (!*what)
		what = *text_of(is, "exp") ? text_of(is, "exp") : text_of(is, "what");
	json = json_pack("{s:I, s:o, s:b, s:b}", "number", (json_int_t)strtoll(text_of(is, "number"), NULL, 10), "what",
			 dv_json_text(what), "enabled", strcmp(text_of(is, "enabled"), "n") != 0, "watch", watch);
	if (!strncmp(address, "0x", 2))
		set_member(json, "address", json_string(address));
	if (*text_of(is, "fullname") || *text_of(is, "file"))
		set_member(json, "file", dv_json_text(*text_of(is, "fullname") ? text_of(is, "fullname") : text_of(is, "file")));
	if (*text_of(is, "line"))
		set_member(json, "line", json_integer(strtoll(text_of(is, "line"), NULL, 10)));
	if (*text_of(is, "cond"))
		set_member(json, "condition", dv_json_text(text_of(is, "cond")));
	if (*text_of(is, "times"))
		set_member(json, "hits", json_integer(strtoll(text_of(is, "times"), NULL, 10)));
	return json;
}

static struct dv_error *list_breakpoints(struct dv_mi *mi, json_t **ret)
{
	json_t *answer, *list, *row;
	size_t i;

	DV_TRY(dv_mi_run(mi, MI_MS, &answer, "-break-list"));
	list = json_array();
	json_array_foreach(json_object_get(json_object_get(answer, "BreakpointTable"), "body"), i, row)
		json_array_append_new(list, describe_breakpoint(row));
	json_decref(answer);
	*ret = list;
	return NULL;
}

struct dv_error *replay_list_breakpoints(struct replay *replay, json_t **ret)
{
	struct dv_mi *mi;

	DV_TRY(replay_gdb(replay, &mi));
	return list_breakpoints(mi, ret);
}

/* Runs one command of gdb's. ret may be NULL. */
static struct dv_error *run(struct job *job, json_t **ret, const char *command)
{
	struct replay *replay = job->rpc->replay;
	struct dv_session *session;
	struct dv_mi *mi;
	struct dv_error *err;

	DV_TRY(replay_get(replay, NULL, &session));
	err = replay_gdb(replay, &mi);
	if (!err)
		err = dv_mi_run(mi, MI_MS, ret, "%s", command);
	replay_put(replay, NULL);
	return err;
}

HANDLER(handle_replay_breakpoints)
{
	struct replay *replay = job->rpc->replay;
	struct dv_session *session;
	struct dv_error *err;
	json_t *list;

	DV_TRY(replay_get(replay, NULL, &session));
	err = replay_list_breakpoints(replay, &list);
	replay_put(replay, NULL);
	if (!err)
		*ret = json_pack("{s:o}", "breakpoints", list);
	return err;
}

HANDLER(handle_replay_breakpoint_add)
{
	const char *condition = param_string(job, "condition");
	_cleanup_free_ char *what = dv_mi_quote(param_string(job, "what")), *quoted = condition ? dv_mi_quote(condition) : NULL;
	_cleanup_free_ char *command = NULL;
	bool watch = param_bool(job, "watch");
	json_t *answer, *made;

	if (watch && condition)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "a watchpoint's condition is set in gdb's terminal");
	if (!what || (condition && !quoted) ||
	    asprintf(&command, watch ? "-break-watch %s%s%s" : "-break-insert %s%s %s", quoted ? "-c " : "",
		     quoted ? quoted : "", what) < 0)
		return dv_error_no_memory();
	DV_TRY(run(job, &answer, command));
	made = json_object_get(answer, watch ? "wpt" : "bkpt");
	*ret = json_pack("{s:o}", "breakpoint", describe_breakpoint(made));
	json_decref(answer);
	replay_breakpoints_changed(job->rpc->replay);
	return NULL;
}

static struct dv_error *change(struct job *job, const char *how)
{
	char command[80];

	snprintf(command, sizeof(command), "%s %llu", how, (unsigned long long)param_count(job, "number", 0));
	DV_TRY(run(job, NULL, command));
	replay_breakpoints_changed(job->rpc->replay);
	return NULL;
}

HANDLER(handle_replay_breakpoint_remove)
{
	return change(job, "-break-delete");
}

HANDLER(handle_replay_breakpoint_enable)
{
	return change(job, param_bool(job, "enabled") ? "-break-enable" : "-break-disable");
}

/* The terminal */

static struct dv_error *check_terminal(const struct job *job)
{
	if (param_count(job, "terminal", 0) == TERMINAL)
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND, "there is no terminal %llu",
			    (unsigned long long)param_count(job, "terminal", 0));
}

static struct dv_error *check_size(const struct job *job, unsigned *ret_columns, unsigned *ret_rows)
{
	uint64_t columns = param_count(job, "columns", 0), rows = param_count(job, "rows", 0);

	if (!columns || columns > 1000 || !rows || rows > 1000)
		return dv_error_new(DV_ERROR_INVALID, "params: columns, rows: from 1 to 1000");
	*ret_columns = (unsigned)columns;
	*ret_rows = (unsigned)rows;
	return NULL;
}

HANDLER(handle_terminal_open)
{
	struct dv_session *session;
	unsigned columns, rows;

	DV_TRY(check_size(job, &columns, &rows));
	DV_TRY(replay_get(job->rpc->replay, NULL, &session));
	replay_terminal_open(job->rpc->replay, job->client, columns, rows);
	replay_put(job->rpc->replay, NULL);
	*ret = json_pack("{s:i}", "terminal", TERMINAL);
	return NULL;
}

HANDLER(handle_terminal_input)
{
	const char *text = param_string(job, "text");

	DV_TRY(check_terminal(job));
	if (!replay_terminal_input(job->rpc->replay, text, strlen(text)))
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no replay: open one first");
	return NULL;
}

HANDLER(handle_terminal_resize)
{
	struct dv_session *session;
	unsigned columns, rows;

	DV_TRY(check_terminal(job));
	DV_TRY(check_size(job, &columns, &rows));
	DV_TRY(replay_get(job->rpc->replay, NULL, &session));
	dv_session_resize(session, rows, columns);
	replay_put(job->rpc->replay, NULL);
	return NULL;
}

HANDLER(handle_terminal_close)
{
	DV_TRY(check_terminal(job));
	replay_terminal_close(job->rpc->replay, job->client);
	return NULL;
}
