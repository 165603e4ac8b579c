/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers: the replay's moves, and what gdb sees where it stands. */
#include <string.h>
#include "rpc/replay.h"

#define MI_MS 20000
#define MAX_STACK 500
#define MAX_STEPS 1000000000ull
#define MAX_MEMORY 65536
#define PAGE_BYTES 4096

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void set_text(json_t *to, const char *name, const json_t *from, const char *its_name)
{
	if (json_is_string(json_object_get(from, its_name)))
		set_member(to, name, dv_json_text(text_of(from, its_name)));
}

static void set_number(json_t *to, const char *name, const json_t *from, const char *its_name)
{
	if (json_is_string(json_object_get(from, its_name)))
		set_member(to, name, json_integer(strtoll(text_of(from, its_name), NULL, 10)));
}

/* Opening and moving */

HANDLER(handle_replay_state)
{
	*ret = replay_status(job->rpc->replay);
	return NULL;
}

static struct dv_error *seek(struct job *job, struct dv_session *session, uint64_t icount, const char *side)
{
	struct dv_timeline_command command = {.verb = DV_TIMELINE_SEEK, .icount = icount, .rip = DV_NO_RIP};
	char text[32];

	/* "after": on the call or the handler that begins there; otherwise before any event. */
	if (side && !strcmp(side, "after")) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)icount);
		DV_TRY(dv_session_resolve(session, text, &command));
	} else if (side && strcmp(side, "before")) {
		return dv_error_new(DV_ERROR_INVALID, "params: side: should be before or after");
	}
	return dv_timeline_do(dv_session_timeline(session), &command, NULL);
}

/* Runs what moves the guest, and answers with where it stands then. */
static struct dv_error *moving(struct job *job, struct dv_error *(*move)(struct job *job, struct dv_session *session),
			       json_t **ret)
{
	struct replay *replay = job->rpc->replay;
	struct dv_session *session;
	struct dv_error *err;

	DV_TRY(replay_get(replay, job, &session));
	err = move(job, session);
	replay_put(replay, job);
	if (!err)
		*ret = replay_status(replay);
	return err;
}

static struct dv_error *move_seek(struct job *job, struct dv_session *session)
{
	return seek(job, session, param_count(job, "icount", 0), param_string(job, "side"));
}

HANDLER(handle_replay_seek)
{
	return moving(job, move_seek, ret);
}

HANDLER(handle_replay_open)
{
	DV_TRY(replay_open(job->rpc->replay));
	if (json_object_get(job->params, "icount"))
		return handle_replay_seek(job, ret);
	return handle_replay_state(job, ret);
}

HANDLER(handle_replay_close)
{
	replay_close(job->rpc->replay);
	return handle_replay_state(job, ret);
}

/* By gdb: source lines are its business. Without it, and for instructions, the timeline does it. */
static struct dv_error *step(struct job *job, struct dv_session *session, bool back)
{
	static const struct {
		const char *unit, *command;
	} units[] = {{"line", "-exec-step"}, {"over", "-exec-next"}, {"out", "-exec-finish"}};
	const char *unit = param_string(job, "unit");
	uint64_t count = param_count(job, "count", 1);
	const struct dv_timeline_command command = {
		.verb = back ? DV_TIMELINE_STEP_BACK : DV_TIMELINE_STEP, .rip = DV_NO_RIP, .count = count,
	};
	char text[80];

	if (!count || count > MAX_STEPS)
		return dv_error_new(DV_ERROR_INVALID, "params: count: from 1 to %llu", MAX_STEPS);
	if (!strcmp(unit, "instruction"))
		return dv_timeline_do(dv_session_timeline(session), &command, NULL);
	for (size_t i = 0; i < DV_ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit))
			continue;
		if (i == 2)
			snprintf(text, sizeof(text), "%s%s", units[i].command, back ? " --reverse" : "");
		else
			snprintf(text, sizeof(text), "%s%s %llu", units[i].command, back ? " --reverse" : "",
				 (unsigned long long)count);
		return replay_exec(job->rpc->replay, job, text);
	}
	return dv_error_new(DV_ERROR_INVALID, "params: unit: should be instruction, line, over or out");
}

static struct dv_error *move_step(struct job *job, struct dv_session *session)
{
	return step(job, session, false);
}

static struct dv_error *move_step_back(struct job *job, struct dv_session *session)
{
	return step(job, session, true);
}

HANDLER(handle_replay_step)
{
	return moving(job, move_step, ret);
}

HANDLER(handle_replay_step_back)
{
	return moving(job, move_step_back, ret);
}

/* gdb puts its breakpoints in as it goes, so it has to be gdb that goes. */
static struct dv_error *run_on(struct job *job, struct dv_session *session, bool back)
{
	const struct dv_timeline_command command = {
		.verb = back ? DV_TIMELINE_REVERSE_CONTINUE : DV_TIMELINE_CONTINUE, .rip = DV_NO_RIP,
	};
	struct dv_error *err = replay_exec(job->rpc->replay, job, back ? "-exec-continue --reverse" : "-exec-continue");

	if (!err || err->code != DV_ERROR_UNSUPPORTED)
		return err;
	dv_error_destroy(err);
	return dv_timeline_do(dv_session_timeline(session), &command, NULL);
}

static struct dv_error *move_continue(struct job *job, struct dv_session *session)
{
	return run_on(job, session, false);
}

static struct dv_error *move_reverse_continue(struct job *job, struct dv_session *session)
{
	return run_on(job, session, true);
}

HANDLER(handle_replay_continue)
{
	return moving(job, move_continue, ret);
}

HANDLER(handle_replay_reverse_continue)
{
	return moving(job, move_reverse_continue, ret);
}

HANDLER(handle_replay_interrupt)
{
	struct dv_session *session;

	DV_TRY(replay_get(job->rpc->replay, NULL, &session));
	dv_timeline_interrupt(dv_session_timeline(session));
	replay_put(job->rpc->replay, NULL);
	return handle_replay_state(job, ret);
}

/* What gdb sees */

typedef struct dv_error *(*look_fn)(struct job *job, struct dv_mi *mi, json_t **ret);

/* A seek of another client's moved the guest without gdb's doing: what it has cached is forgotten first. */
static struct dv_error *with_gdb(struct job *job, look_fn look, json_t **ret)
{
	struct replay *replay = job->rpc->replay;
	struct dv_session *session;
	struct dv_mi *mi;
	struct dv_error *err;

	DV_TRY(replay_get(replay, NULL, &session));
	err = replay_gdb(replay, &mi);
	if (!err)
		err = dv_mi_run(mi, MI_MS, NULL, "-interpreter-exec console \"maintenance flush register-cache\"");
	if (!err)
		err = dv_mi_run(mi, MI_MS, NULL, "-interpreter-exec console \"maintenance flush dcache\"");
	if (!err)
		err = look(job, mi, ret);
	replay_put(replay, NULL);
	return err;
}

static json_t *describe_frame(const json_t *frame)
{
	json_t *json = json_object();

	set_number(json, "level", frame, "level");
	set_text(json, "address", frame, "addr");
	set_text(json, "function", frame, "func");
	set_text(json, "file", frame, json_object_get(frame, "fullname") ? "fullname" : "file");
	set_number(json, "line", frame, "line");
	set_text(json, "module", frame, "from");
	return json;
}

static struct dv_error *look_stack(struct job *job, struct dv_mi *mi, json_t **ret)
{
	uint64_t limit = param_count(job, "limit", MAX_STACK);
	json_t *answer, *list = NULL, *frame;
	size_t i;

	if (!limit || limit > MAX_STACK)
		limit = MAX_STACK;
	DV_TRY(dv_mi_run(mi, MI_MS, &answer, "-stack-list-frames 0 %llu", (unsigned long long)limit - 1));
	list = json_array();
	json_array_foreach(json_object_get(answer, "stack"), i, frame)
		json_array_append_new(list, describe_frame(frame));
	json_decref(answer);
	*ret = json_pack("{s:o}", "frames", list);
	return NULL;
}

HANDLER(handle_replay_stack)
{
	return with_gdb(job, look_stack, ret);
}

static json_t *describe_variable(const json_t *from, const char *name)
{
	const char *value = text_of(from, "value");
	json_t *json = json_pack("{s:o, s:o}", "name", dv_json_text(text_of(from, name)), "value",
				 dv_json_text(*value ? value : "{...}"));
	long children = strtol(text_of(from, "numchild"), NULL, 10);

	set_text(json, "type", from, "type");
	if (children)
		set_member(json, "children", json_integer(children));
	if (children)
		set_text(json, "reference", from, "name");
	return json;
}

static struct dv_error *look_locals(struct job *job, struct dv_mi *mi, json_t **ret)
{
	json_t *answer, *list, *variable;
	size_t i;

	DV_TRY(dv_mi_run(mi, MI_MS, &answer, "-stack-list-variables --thread 1 --frame %llu --simple-values",
			 (unsigned long long)param_count(job, "frame", 0)));
	list = json_array();
	json_array_foreach(json_object_get(answer, "variables"), i, variable)
		json_array_append_new(list, describe_variable(variable, "name"));
	json_decref(answer);
	*ret = json_pack("{s:o}", "variables", list);
	return NULL;
}

HANDLER(handle_replay_locals)
{
	return with_gdb(job, look_locals, ret);
}

/* Plain ones: vectors are shown on request, by evaluate. */
static struct dv_error *look_registers(struct job *job, struct dv_mi *mi, json_t **ret)
{
	json_t *names, *answer, *list, *reg;
	struct dv_error *err;
	size_t i;

	DV_TRY(dv_mi_run(mi, MI_MS, &names, "-data-list-register-names"));
	err = dv_mi_run(mi, MI_MS, &answer, "-data-list-register-values --thread 1 --frame %llu --skip-unavailable x",
			(unsigned long long)param_count(job, "frame", 0));
	if (err) {
		json_decref(names);
		return err;
	}
	list = json_array();
	json_array_foreach(json_object_get(answer, "register-values"), i, reg) {
		size_t number = strtoul(text_of(reg, "number"), NULL, 10);
		const char *name = json_string_value(json_array_get(json_object_get(names, "register-names"), number));

		if (name && *name && *text_of(reg, "value") != '{')
			json_array_append_new(list, json_pack("{s:s, s:o}", "name", name, "value",
							      dv_json_text(text_of(reg, "value"))));
	}
	json_decref(names);
	json_decref(answer);
	*ret = json_pack("{s:o}", "variables", list);
	return NULL;
}

HANDLER(handle_replay_registers)
{
	return with_gdb(job, look_registers, ret);
}

static struct dv_error *look_children(struct dv_mi *mi, const char *of, json_t **ret)
{
	_cleanup_free_ char *quoted = dv_mi_quote(of);
	json_t *answer, *list, *child;
	size_t i;

	if (!quoted)
		return dv_error_no_memory();
	DV_TRY(dv_mi_run(mi, MI_MS, &answer, "-var-list-children --all-values %s", quoted));
	list = json_array();
	json_array_foreach(json_object_get(answer, "children"), i, child)
		json_array_append_new(list, describe_variable(child, "exp"));
	json_decref(answer);
	*ret = json_pack("{s:o}", "variables", list);
	return NULL;
}

static struct dv_error *look_value(struct job *job, struct dv_mi *mi, json_t **ret)
{
	const char *of = param_string(job, "of"), *expression = param_string(job, "expression");
	_cleanup_free_ char *quoted = expression ? dv_mi_quote(expression) : NULL;
	json_t *answer, *variable;

	if (of)
		return look_children(mi, of, ret);
	if (!quoted)
		return dv_error_new(DV_ERROR_INVALID, "params: expression or of is needed");
	DV_TRY(dv_mi_run(mi, MI_MS, &answer, "-var-create --thread 1 --frame %llu - * %s",
			 (unsigned long long)param_count(job, "frame", 0), quoted));
	variable = describe_variable(answer, "name");
	json_object_set_new(variable, "name", dv_json_text(expression));
	/* One without children is not asked for again. */
	if (!json_object_get(variable, "children"))
		dv_error_destroy(dv_mi_run(mi, MI_MS, NULL, "-var-delete %s", text_of(answer, "name")));
	json_decref(answer);
	*ret = json_pack("{s:[o]}", "variables", variable);
	return NULL;
}

HANDLER(handle_replay_evaluate)
{
	return with_gdb(job, look_value, ret);
}

/* As much as is mapped from address on. */
static struct dv_error *read_memory(struct dv_timeline *timeline, uint64_t address, uint8_t *to, size_t len, size_t *ret)
{
	size_t done = 0;

	while (done < len) {
		size_t piece = PAGE_BYTES - (address + done) % PAGE_BYTES;
		struct dv_error *err;

		if (piece > len - done)
			piece = len - done;
		err = dv_timeline_read_memory(timeline, address + done, to + done, piece);
		if (err && err->code == DV_ERROR_FAULT && done) {
			dv_error_destroy(err);
			break;
		}
		DV_TRY(err);
		done += piece;
	}
	*ret = done;
	return NULL;
}

HANDLER(handle_replay_memory)
{
	static const uint8_t widths[] = DV_FRAME_BYTES_COLUMNS;
	uint64_t address = dv_rpc_address(json_object_get(job->params, "address")), size = param_count(job, "size", 0);
	struct dv_rpc_frame frame = {DV_FRAME_BYTES, .request = job->id};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	_cleanup_free_ uint8_t *bytes = NULL;
	void *columns[DV_ARRAY_SIZE(widths)];
	struct dv_session *session;
	struct dv_error *err;
	size_t len = 0;

	if (!size || size > MAX_MEMORY)
		return dv_error_new(DV_ERROR_INVALID, "params: size: from 1 to %d", MAX_MEMORY);
	bytes = malloc(size);
	if (!bytes)
		return dv_error_no_memory();
	DV_TRY(replay_get(job->rpc->replay, NULL, &session));
	err = read_memory(dv_session_timeline(session), address, bytes, size, &len);
	replay_put(job->rpc->replay, NULL);
	DV_TRY(err);
	frame.rows = (uint32_t)len;
	DV_TRY(dv_frame_begin(&buf, &frame, widths, columns));
	memcpy(columns[0], bytes, len);
	DV_TRY(job_send(job, false, buf.data, buf.len));
	*ret = json_pack("{s:I}", "size", (json_int_t)len);
	return NULL;
}
