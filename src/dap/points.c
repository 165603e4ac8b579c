/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints of lines, functions and instructions, and of data. The editor gives all of one kind (of lines:
 * of one file) anew each time: the old ones go, the new ones come.
 */
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

static struct group *find_group(struct adapter *a, const char *key)
{
	struct group *more;

	for (size_t i = 0; i < a->groups_len; i++) {
		if (!strcmp(a->groups[i].key, key))
			return &a->groups[i];
	}
	more = realloc(a->groups, (a->groups_len + 1) * sizeof(*more));
	if (!more)
		return NULL;
	a->groups = more;
	more[a->groups_len] = (struct group){.key = strdup(key)};
	return more[a->groups_len].key ? &more[a->groups_len++] : NULL;
}

void dap_free_points(struct adapter *a)
{
	for (size_t i = 0; i < a->groups_len; i++) {
		free(a->groups[i].key);
		free(a->groups[i].numbers);
	}
	free(a->groups);
}

static void empty_group(struct adapter *a, struct group *group)
{
	for (size_t i = 0; i < group->len; i++)
		dv_error_destroy(dap_mi(a, NULL, "-break-delete %d", group->numbers[i]));
	group->len = 0;
}

static void add_number(struct group *group, int number)
{
	int *more = realloc(group->numbers, (group->len + 1) * sizeof(*more));

	if (!more)
		return;
	group->numbers = more;
	group->numbers[group->len++] = number;
}

/* What gdb made of one, as the protocol's Breakpoint. err is taken over. */
static json_t *to_breakpoint(struct group *group, const json_t *answer, const char *member, struct dv_error *err)
{
	const json_t *made = json_object_get(answer, member);
	const char *number = dap_string(made, "number"), *line = dap_string(made, "line");
	json_t *json = json_pack("{s:b}", "verified", !err && number && !dap_string(made, "pending"));

	if (number) {
		add_number(group, atoi(number));
		json_object_set_new(json, "id", json_integer(atoi(number)));
	}
	if (line)
		json_object_set_new(json, "line", json_integer(atoi(line)));
	if (dap_string(made, "addr") && *dap_string(made, "addr") == '0')
		json_object_set_new(json, "instructionReference", json_string(dap_string(made, "addr")));
	if (err)
		json_object_set_new(json, "message", json_string(err->message));
	dv_error_destroy(err);
	return json;
}

/* One at a place in gdb's words. */
static struct dv_error *insert(struct adapter *a, struct group *group, const char *place, const json_t *wanted,
			       json_t *breakpoints)
{
	const char *condition = dap_string(wanted, "condition");
	_cleanup_free_ char *where = dv_mi_quote(place), *when = condition ? dv_mi_quote(condition) : NULL;
	json_t *answer = NULL;
	struct dv_error *err;

	if (!where || (condition && !when))
		return dv_error_no_memory();
	err = dap_mi(a, &answer, "-break-insert -f %s%s %s", when ? "-c " : "", when ? when : "", where);
	json_array_append_new(breakpoints, to_breakpoint(group, answer, "bkpt", err));
	json_decref(answer);
	return NULL;
}

static struct dv_error *begin(struct adapter *a, const char *key, json_t *body, struct group **ret, json_t **ret_list)
{
	if (!a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "launch comes first");
	*ret = find_group(a, key);
	if (!*ret)
		return dv_error_no_memory();
	empty_group(a, *ret);
	*ret_list = json_array();
	json_object_set_new(body, "breakpoints", *ret_list);
	return NULL;
}

struct dv_error *dap_set_breakpoints(struct adapter *a, const json_t *arguments, json_t *body)
{
	const char *path = dap_string(json_object_get(arguments, "source"), "path");
	struct group *group;
	json_t *list, *wanted;
	char key[4200], place[4200];
	size_t i;

	if (!path || strlen(path) > 4096)
		return dv_error_new(DV_ERROR_INVALID, "setBreakpoints needs the path of a source file");
	snprintf(key, sizeof(key), "source:%s", path);
	DV_TRY(begin(a, key, body, &group, &list));
	json_array_foreach(json_object_get(arguments, "breakpoints"), i, wanted) {
		int64_t line = dap_integer(wanted, "line", 1) + !a->lines_from_1;

		snprintf(place, sizeof(place), "%s:%lld", path, (long long)line);
		DV_TRY(insert(a, group, place, wanted, list));
	}
	return NULL;
}

struct dv_error *dap_set_function_breakpoints(struct adapter *a, const json_t *arguments, json_t *body)
{
	struct group *group;
	json_t *list, *wanted;
	size_t i;

	DV_TRY(begin(a, "functions", body, &group, &list));
	json_array_foreach(json_object_get(arguments, "breakpoints"), i, wanted)
		DV_TRY(insert(a, group, dap_string(wanted, "name") ?: "?", wanted, list));
	return NULL;
}

struct dv_error *dap_set_instruction_breakpoints(struct adapter *a, const json_t *arguments, json_t *body)
{
	struct group *group;
	json_t *list, *wanted;
	char place[128];
	size_t i;

	DV_TRY(begin(a, "instructions", body, &group, &list));
	json_array_foreach(json_object_get(arguments, "breakpoints"), i, wanted) {
		snprintf(place, sizeof(place), "*(%.64s) + (%lld)", dap_string(wanted, "instructionReference") ?: "0",
			 (long long)dap_integer(wanted, "offset", 0));
		DV_TRY(insert(a, group, place, wanted, list));
	}
	return NULL;
}

/* ---- data ---- */

struct dv_error *dap_data_breakpoint_info(struct adapter *a, const json_t *arguments, json_t *body)
{
	const char *name = dap_string(arguments, "name");
	_cleanup_free_ char *place = NULL;
	struct dv_error *err;

	if (!name)
		return dv_error_new(DV_ERROR_INVALID, "dataBreakpointInfo needs a name");
	err = dap_place(a, dap_integer(arguments, "variablesReference", 0), dap_integer(arguments, "frameId", 1), name, &place);
	if (err) {
		json_object_set_new(body, "dataId", json_null());
		json_object_set_new(body, "description", json_sprintf("%s: %s", name, err->message));
		dv_error_destroy(err);
		return NULL;
	}
	/* By address: it is watched also where the name is out of scope. */
	json_object_set_new(body, "dataId", json_string(place));
	json_object_set_new(body, "description", json_string(name));
	json_object_set_new(body, "accessTypes", json_pack("[s, s, s]", "write", "read", "readWrite"));
	return NULL;
}

struct dv_error *dap_set_data_breakpoints(struct adapter *a, const json_t *arguments, json_t *body)
{
	struct group *group;
	json_t *list, *wanted;
	size_t i;

	DV_TRY(begin(a, "data", body, &group, &list));
	json_array_foreach(json_object_get(arguments, "breakpoints"), i, wanted) {
		const char *id = dap_string(wanted, "dataId") ?: "", *access = dap_string(wanted, "accessType") ?: "write";
		const char *flag = "", *member = "wpt";
		_cleanup_free_ char *quoted = NULL;
		json_t *answer = NULL;
		struct dv_error *err;

		if (!strcmp(access, "read")) {
			flag = "-r ";
			member = "hw-rwpt";
		} else if (!strcmp(access, "readWrite")) {
			flag = "-a ";
			member = "hw-awpt";
		}
		quoted = dv_mi_quote(id);
		if (!quoted)
			return dv_error_no_memory();
		err = dap_mi(a, &answer, "-break-watch %s%s", flag, quoted);
		json_array_append_new(list, to_breakpoint(group, answer, member, err));
		json_decref(answer);
	}
	return NULL;
}
