/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers: functions in chunks, the console's lines. */
#include <fnmatch.h>
#include <string.h>
#include "rpc/private.h"

#define MAX_FUNCTIONS 10000
#define CONSOLE_BEFORE 100
#define CONSOLE_COUNT 200
#define CONSOLE_MAX 5000

/* functions */

static struct dv_error *functions_by_id(struct job *job, const json_t *ids, json_t **ret)
{
	const struct dv_query *q = job->rpc->query;
	json_t *list;

	if (json_array_size(ids) > MAX_FUNCTIONS)
		return dv_error_new(DV_ERROR_INVALID, "params: ids: %zu of them; at most %d", json_array_size(ids),
				    MAX_FUNCTIONS);
	for (size_t i = 0; i < json_array_size(ids); i++)
		if (json_integer_value(json_array_get(ids, i)) >= dv_query_info(q)->functions)
			return dv_error_new(DV_ERROR_NOT_FOUND, "there is no function %lld",
					    (long long)json_integer_value(json_array_get(ids, i)));
	list = json_array();
	for (size_t i = 0; i < json_array_size(ids); i++)
		json_array_append_new(list, describe_function(q, (uint32_t)json_integer_value(json_array_get(ids, i))));
	*ret = json_pack("{s:o}", "functions", list);
	return NULL;
}

/* As searches match: a glob is for all of the name, anything else for a part of it. */
static bool name_fits(const char *name, const char *pattern)
{
	if (!pattern)
		return true;
	return strpbrk(pattern, "*?[") ? !fnmatch(pattern, name, FNM_CASEFOLD) : strcasestr(name, pattern) != NULL;
}

HANDLER(handle_functions)
{
	const struct dv_query *q = job->rpc->query;
	const json_t *ids = json_object_get(job->params, "ids"), *after = json_object_get(job->params, "after");
	uint64_t limit = param_count(job, "limit", MAX_FUNCTIONS), n = 0;
	uint64_t i = after ? param_count(job, "after", 0) + 1 : 0;
	json_t *list;

	if (ids)
		return functions_by_id(job, ids, ret);
	if (!limit || limit > MAX_FUNCTIONS)
		limit = MAX_FUNCTIONS;
	list = json_array();
	for (; i < dv_query_info(q)->functions && n < limit; i++) {
		if (!name_fits(dv_query_function(q, (uint32_t)i)->slice_name, param_string(job, "glob")))
			continue;
		json_array_append_new(list, describe_function(q, (uint32_t)i));
		n++;
	}
	*ret = json_pack("{s:o, s:b}", "functions", list, "more", i < dv_query_info(q)->functions);
	return NULL;
}

/* console */

static json_t *describe_line(const struct dv_query *q, size_t row)
{
	const struct dv_query_console_line *line = dv_query_console(q, row);
	json_t *json = json_pack("{s:I, s:I, s:o, s:o}", "row", (json_int_t)row, "icount", (json_int_t)line->icount,
				 "source", dv_json_text(line->source ? line->source : ""), "text", dv_json_text(line->text));

	if (line->utid != DV_QUERY_NONE)
		set_member(json, "utid", json_integer(line->utid));
	if (line->level != 255)
		set_member(json, "level", json_integer(line->level));
	return json;
}

/* How many lines were printed at or before icount. */
static size_t lines_until(const struct dv_query *q, uint64_t icount)
{
	size_t low = 0, high = dv_query_console_count(q);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dv_query_console(q, middle)->icount <= icount)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool line_fits(const struct dv_query *q, size_t row, const char *text)
{
	return !text || strcasestr(dv_query_console(q, row)->text, text) != NULL;
}

/* The row from which `before` fitting lines come before row. */
static size_t go_back(const struct dv_query *q, size_t row, uint64_t before, const char *text)
{
	while (row && before)
		before -= line_fits(q, --row, text);
	return row;
}

HANDLER(handle_console)
{
	const struct dv_query *q = job->rpc->query;
	const json_t *icount = json_object_get(job->params, "icount");
	uint64_t count = param_count(job, "count", CONSOLE_COUNT), total = dv_query_console_count(q);
	const char *text = param_string(job, "text");
	uint64_t row = param_count(job, "row", 0);
	json_t *list = json_array();

	if (count > CONSOLE_MAX)
		count = CONSOLE_MAX;
	*ret = json_pack("{s:I}", "total", (json_int_t)total);
	if (icount) {
		size_t until = lines_until(q, (uint64_t)json_integer_value(icount));

		if (until)
			set_member(*ret, "current", json_integer((json_int_t)until - 1));
		if (!json_object_get(job->params, "row"))
			row = go_back(q, until, param_count(job, "before", CONSOLE_BEFORE), text);
	}
	for (; row < total && json_array_size(list) < count; row++)
		if (line_fits(q, row, text))
			json_array_append_new(list, describe_line(q, row));
	set_member(*ret, "lines", list);
	return NULL;
}
