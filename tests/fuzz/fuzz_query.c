/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a trace, our own or Perfetto's: loaded on two threads, then asked about. */
#include <stdlib.h>
#include "fuzz.h"
#include "query/query.h"

static void ask(struct dv_sql *sql, const char *text)
{
	struct dv_sql_statement *st = NULL;
	struct dv_error *err = dv_sql_prepare(sql, text, &st, NULL);
	bool row = true;

	while (!err && row)
		err = dv_sql_step(st, &row);
	dv_error_destroy(err);
	dv_sql_finalize(st);
}

static void look(const struct dv_query *q)
{
	static const char *const questions[] = {
		"select count(*), sum(dur), max(length(name)), max(category), sum(parent_id), sum(depth) from slice",
		"select count(*) from (select * from thread_slice order by ts desc)",
		"select name, sum(own), sum(total) from call group by name",
		"select * from args", "select * from flow", "select * from counter", "select * from clock_snapshot",
		"select * from thread left join process using (upid)", "select * from track", "select * from thread_state",
		"select * from stats", "select * from flamegraph", "select * from console", "select * from mapping",
		"select * from module", "select * from function", "select * from function_stats(1, 100000)",
		"select a.id from slice s, ancestor_slice(s.id) a where s.id < 20",
		"select d.id from slice s, descendant_slice(s.id) d where s.id < 20",
	};
	const struct dv_query_info *info = dv_query_info(q);
	struct dv_query_timeline *t;
	struct dv_sql *sql = NULL;
	struct dv_error *err;
	uint32_t stack[64];

	for (uint32_t i = 0; i < info->tracks; i++) {
		uint64_t bucket = (info->last_icount - info->first_icount) / 100 + 1;

		if (info->last_icount < info->first_icount)
			break;
		err = dv_query_timeline(q, i, info->first_icount, UINT64_MAX, bucket, 0, &t);
		if (!err)
			free(t);
		dv_error_destroy(err);
		dv_query_stack_at(q, i, info->first_icount / 2 + info->last_icount / 2, stack, 64);
	}
	err = dv_sql_open(q, &sql);
	dv_error_destroy(err);
	if (err)
		return;
	for (size_t i = 0; i < DV_ARRAY_SIZE(questions); i++)
		ask(sql, questions[i]);
	dv_sql_close(sql);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dv_query_options options = {.threads = 2, .no_cache = true, .max_memory_bytes = 1u << 30};
	struct dv_query *q = NULL;
	struct dv_error *err = dv_query_open_bytes(data, size, "fuzz", &options, &q);

	if (!err)
		look(q);
	dv_error_destroy(err);
	dv_query_close(q);
	return 0;
}
