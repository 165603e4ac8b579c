/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a frame: scopes, variables and their parts, expressions, gdb's command line. The values are made
 * by dejaview_mi.py, which knows why.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

#define REGISTERS_SHOWN 24 /* the general ones come first */

/* ---- references ---- */

static int64_t add_handle(struct adapter *a, const struct handle *handle)
{
	unsigned moves = atomic_load(&a->moves);
	struct handle *more;

	if (a->handles_moves != moves) {
		a->handles_before += (int64_t)a->handles_len;
		a->handles_len = 0;
		a->handles_moves = moves;
	}
	more = realloc(a->handles, (a->handles_len + 1) * sizeof(*more));
	if (!more)
		return 0;
	a->handles = more;
	a->handles[a->handles_len++] = *handle;
	return a->handles_before + (int64_t)a->handles_len; /* references begin at 1 */
}

static struct dv_error *find_handle(struct adapter *a, int64_t reference, struct handle *ret)
{
	int64_t at = reference - 1 - a->handles_before;

	if (at < 0 || (size_t)at >= a->handles_len || a->handles_moves != atomic_load(&a->moves))
		return dv_error_new(DV_ERROR_NOT_FOUND, "the guest has moved since: ask for the variables again");
	*ret = a->handles[at];
	return NULL;
}

/* ---- scopes ---- */

static void add_scope(json_t *scopes, const char *name, const char *hint, int64_t reference, bool expensive)
{
	json_t *scope = json_pack("{s:s, s:I, s:b}", "name", name, "variablesReference", (json_int_t)reference, "expensive",
				  expensive);

	if (hint)
		json_object_set_new(scope, "presentationHint", json_string(hint));
	json_array_append_new(scopes, scope);
}

struct dv_error *dap_scopes(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t frame = dap_integer(arguments, "frameId", 0);
	json_t *scopes = json_array();

	json_object_set_new(body, "scopes", scopes);
	if (frame >= TRACE_FRAME_BASE) {
		struct handle handle = {.kind = HANDLE_SLICE, .slice = (uint32_t)(frame - TRACE_FRAME_BASE)};

		add_scope(scopes, "Call", NULL, add_handle(a, &handle), false);
	} else if (frame > 0) {
		struct handle locals = {.kind = HANDLE_LOCALS, .frame = (int)frame - 1};
		struct handle registers = {.kind = HANDLE_REGISTERS, .frame = (int)frame - 1};

		add_scope(scopes, "Locals", "locals", add_handle(a, &locals), false);
		add_scope(scopes, "Registers", "registers", add_handle(a, &registers), true);
	}
	return NULL;
}

/* ---- variables ---- */

static void add_variable(json_t *variables, const char *name, const char *value)
{
	json_array_append_new(variables,
			      json_pack("{s:s, s:s, s:i}", "name", name, "value", value, "variablesReference", 0));
}

static int64_t reference_to(struct adapter *a, const json_t *shown)
{
	struct handle handle = {.kind = HANDLE_CHILDREN, .number = atoi(dap_string(shown, "number") ?: "0")};

	return handle.number ? add_handle(a, &handle) : 0;
}

/* What dejaview_mi.py shows. */
static void add_shown(struct adapter *a, json_t *variables, const json_t *shown)
{
	json_t *variable = json_pack("{s:s, s:s, s:I, s:s}", "name", dap_string(shown, "name") ?: "?", "value",
				     dap_string(shown, "value") ?: "?", "variablesReference",
				     (json_int_t)reference_to(a, shown), "evaluateName",
				     dap_string(shown, "expression") ?: "?");

	if (dap_string(shown, "type"))
		json_object_set_new(variable, "type", json_string(dap_string(shown, "type")));
	json_array_append_new(variables, variable);
}

static void add_all(struct adapter *a, json_t *variables, json_t *answer)
{
	json_t *shown;
	size_t i;

	json_array_foreach(json_object_get(answer, "variables"), i, shown)
		add_shown(a, variables, shown);
	json_decref(answer);
}

static struct dv_error *locals(struct adapter *a, int frame, json_t *variables)
{
	json_t *answer = NULL;

	DV_TRY(dap_mi(a, &answer, "-dv-locals --thread 1 --frame %d", frame));
	add_all(a, variables, answer);
	return NULL;
}

static struct dv_error *children(struct adapter *a, int number, json_t *variables)
{
	json_t *answer = NULL;

	DV_TRY(dap_mi(a, &answer, "-dv-children %d", number));
	add_all(a, variables, answer);
	return NULL;
}

static struct dv_error *registers(struct adapter *a, int frame, json_t *variables)
{
	json_t *names = NULL, *values = NULL, *value;
	struct dv_error *err;
	size_t i;

	DV_TRY(dap_mi(a, &names, "-data-list-register-names"));
	err = dap_mi(a, &values, "-data-list-register-values --thread 1 --frame %d --skip-unavailable x", frame);
	json_array_foreach(json_object_get(values, "register-values"), i, value) {
		size_t number = (size_t)atoi(dap_string(value, "number") ?: "0");
		const char *name = json_string_value(json_array_get(json_object_get(names, "register-names"), number));

		if (!name || !*name || number >= REGISTERS_SHOWN)
			continue;
		add_variable(variables, name, dap_string(value, "value") ?: "?");
		json_object_set_new(json_array_get(variables, json_array_size(variables) - 1), "evaluateName",
				    json_sprintf("$%s", name));
	}
	json_decref(names);
	json_decref(values);
	return err;
}

static void add_number(json_t *variables, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	add_variable(variables, name, text);
}

static void slice_facts(struct adapter *a, uint32_t id, json_t *variables)
{
	struct dv_query_slice slice;

	if (!a->target.query || !dv_query_slice(a->target.query, id, &slice))
		return;
	add_number(variables, "start icount", slice.start_icount);
	if (slice.dur_icount != DV_QUERY_OPEN)
		add_number(variables, "end icount", slice.start_icount + slice.dur_icount);
	add_number(variables, "depth", slice.depth);
	add_number(variables, "own instructions", slice.own_icount);
}

struct dv_error *dap_variables(struct adapter *a, const json_t *arguments, json_t *body)
{
	json_t *variables = json_array();
	struct handle handle;

	json_object_set_new(body, "variables", variables);
	DV_TRY(find_handle(a, dap_integer(arguments, "variablesReference", 0), &handle));
	switch (handle.kind) {
	case HANDLE_LOCALS: return locals(a, handle.frame, variables);
	case HANDLE_REGISTERS: return registers(a, handle.frame, variables);
	case HANDLE_CHILDREN: return children(a, handle.number, variables);
	case HANDLE_SLICE: slice_facts(a, handle.slice, variables); return NULL;
	}
	return NULL;
}

struct dv_error *dap_place(struct adapter *a, int64_t reference, int64_t frame, const char *name, char **ret)
{
	_cleanup_free_ char *quoted = NULL;
	struct handle handle = {.kind = HANDLE_LOCALS, .frame = (int)(frame > 0 ? frame - 1 : 0)};
	json_t *answer = NULL;

	if (reference)
		DV_TRY(find_handle(a, reference, &handle));
	if (handle.kind == HANDLE_REGISTERS || handle.kind == HANDLE_SLICE)
		return dv_error_new(DV_ERROR_INVALID, "%s is no place in memory", name);
	quoted = dv_mi_quote(name);
	if (!quoted)
		return dv_error_no_memory();
	DV_TRY(dap_mi(a, &answer, "-dv-place --thread 1 --frame %d %d %s", handle.frame, handle.number, quoted));
	*ret = strdup(dap_string(answer, "place") ?: "");
	json_decref(answer);
	return *ret ? NULL : dv_error_no_memory();
}

/* ---- evaluate ---- */

/* A line typed into the debug console: gdb's own command line. */
static struct dv_error *run_typed(struct adapter *a, const char *line, json_t *body)
{
	struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char *quoted = dv_mi_quote(line), *printed = NULL;
	struct dv_error *err;

	if (!quoted)
		return dv_error_no_memory();
	pthread_mutex_lock(&a->lock);
	a->capture = &text;
	pthread_mutex_unlock(&a->lock);
	a->is_typed = true;
	err = dap_mi(a, NULL, "-interpreter-exec console %s", quoted);
	a->is_typed = false;
	pthread_mutex_lock(&a->lock);
	a->capture = NULL;
	pthread_mutex_unlock(&a->lock);
	printed = dv_buf_steal_string(&text);
	json_object_set_new(body, "result", json_string(printed ?: "") ?: json_string("?"));
	json_object_set_new(body, "variablesReference", json_integer(0));
	return err;
}

struct dv_error *dap_evaluate(struct adapter *a, const json_t *arguments, json_t *body)
{
	const char *expression = dap_string(arguments, "expression"), *context = dap_string(arguments, "context");
	int64_t frame = dap_integer(arguments, "frameId", 1);
	_cleanup_free_ char *quoted = NULL;
	json_t *answer = NULL, *shown;

	if (!expression)
		return dv_error_new(DV_ERROR_INVALID, "evaluate needs an expression");
	if (context && !strcmp(context, "repl"))
		return run_typed(a, expression, body);
	if (frame < 1 || frame >= TRACE_FRAME_BASE)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "that thread does not run now: its registers are not known");
	quoted = dv_mi_quote(expression);
	if (!quoted)
		return dv_error_no_memory();
	DV_TRY(dap_mi(a, &answer, "-dv-evaluate --thread 1 --frame %d %s", (int)frame - 1, quoted));
	shown = json_object_get(answer, "variable");
	json_object_set_new(body, "result", json_string(dap_string(shown, "value") ?: ""));
	if (dap_string(shown, "type"))
		json_object_set_new(body, "type", json_string(dap_string(shown, "type")));
	json_object_set_new(body, "variablesReference", json_integer(reference_to(a, shown)));
	json_decref(answer);
	return NULL;
}
