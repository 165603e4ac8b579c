/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the query engine takes, with the aims beside it: `bench-query TRACE`. The cache folder it uses
 * is XDG_CACHE_HOME; a cache file of the trace's should not be there yet. Each is the least of some runs,
 * in seconds of wall clock and of CPU: the latter stands even when other things run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "query/query.h"

#define AIM_SLICES 24e6 /* what the aims are for: those that depend on it grow with the trace */
#define BUCKETS 3000

struct span {
	double wall, cpu;
};

static struct span now(void)
{
	struct timespec wall, cpu;

	clock_gettime(CLOCK_MONOTONIC, &wall);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (struct span){(double)wall.tv_sec + (double)wall.tv_nsec / 1e9, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9};
}

static struct span since(struct span start)
{
	struct span end = now();

	return (struct span){end.wall - start.wall, end.cpu - start.cpu};
}

static void print(const char *what, struct span took, double aim)
{
	printf("%-46s %9.4f s  %9.4f s  %9.4f s\n", what, took.wall, took.cpu, aim);
	fflush(stdout);
}

static double peak_mb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static struct dv_error *open_trace(const char *path, bool no_cache, struct dv_query **ret, struct span *took)
{
	struct dv_query_options options = {.no_cache = no_cache};
	struct span start = now();

	DV_TRY(dv_query_open(path, &options, ret));
	*took = since(start);
	return NULL;
}

static struct dv_error *run_sql(const struct dv_query *q, const char *text, struct span *took)
{
	_cleanup_(dv_sql_closep) struct dv_sql *sql = NULL;
	_cleanup_(dv_sql_finalizep) struct dv_sql_statement *st = NULL;
	struct span start = now();
	bool row = true;

	DV_TRY(dv_sql_open(q, &sql));
	DV_TRY(dv_sql_prepare(sql, text, &st, NULL));
	while (row)
		DV_TRY(dv_sql_step(st, &row));
	*took = since(start);
	return NULL;
}

static struct dv_error *run_timeline(const struct dv_query *q, uint32_t track, uint64_t from, uint64_t span,
				     struct span *least)
{
	struct dv_query_timeline *t;

	least->wall = least->cpu = 1e9;
	for (int i = 0; i < 5; i++) {
		struct span start = now(), took;

		DV_TRY(dv_query_timeline(q, track, from, from + span, span / BUCKETS + 1, 0, &t));
		took = since(start);
		if (took.cpu < least->cpu)
			*least = took;
		free(t);
	}
	return NULL;
}

static uint32_t busiest_track(const struct dv_query *q)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < dv_query_info(q)->tracks; i++) {
		if (dv_query_track(q, i)->slices > dv_query_track(q, best)->slices)
			best = i;
	}
	return best;
}

/* Where the track has most: in the middle of the trace there may be nothing of it. */
static struct dv_error *find_dense(const struct dv_query *q, uint32_t track, uint64_t first, uint64_t span, uint64_t *ret)
{
	struct dv_query_timeline *t;
	size_t best = 0;

	DV_TRY(dv_query_timeline(q, track, first, first + span, span / 1000 + 1, 0, &t));
	for (size_t i = 0; i < t->len; i++)
		best = t->count[i] > t->count[best] ? i : best;
	*ret = t->len && t->start_icount[best] > first + span / 2000 ? t->start_icount[best] - span / 2000 : first;
	free(t);
	return NULL;
}

static struct dv_error *run(const char *path)
{
	struct dv_query_function_stats *stats;
	const struct dv_query_info *info;
	uint64_t first, span, dense;
	struct dv_query *q;
	struct span took;
	double scale;
	uint32_t track;
	size_t n;

	DV_TRY(open_trace(path, false, &q, &took));
	info = dv_query_info(q);
	scale = info->slices / AIM_SLICES;
	printf("%s: %" PRIu32 " slices, %.1f bytes of columns each, peak %.0f MB (aim %.0f MB)%s\n\n", path, info->slices,
	       (double)info->column_bytes / info->slices, peak_mb(), 1200 * scale, info->from_cache ? "; it was cached" : "");
	printf("%-46s %11s  %11s  %11s\n", "", "wall", "CPU", "aim, wall");
	print("first load", took, 3 * scale);
	dv_query_close(q); /* waits for the cache file */
	DV_TRY(open_trace(path, false, &q, &took));
	info = dv_query_info(q);
	print(info->from_cache ? "second load" : "second load (too small for the cache)", took, 0.3);
	took = now();
	DV_TRY(dv_query_function_stats(q, NULL, NULL, &stats, &n));
	print("function statistics", since(took), 0.5);
	free(stats);
	first = info->first_icount;
	span = info->last_icount - first + 1;
	track = busiest_track(q);
	DV_TRY(run_timeline(q, track, first, span, &took));
	print("timeline of the busiest thread, 3,000 buckets", took, 0.03);
	DV_TRY(find_dense(q, track, first, span, &dense));
	DV_TRY(run_timeline(q, track, dense, span / 1000, &took));
	print("the same at 1/1000 zoom", took, 0.002);
	DV_TRY(run_sql(q, "select count(*) from slice", &took));
	print("SQL: select count(*) from slice", took, 0);
	DV_TRY(run_sql(q, "select name, count(*), sum(dur) from slice group by 1", &took));
	print("SQL: name, count(*), sum(dur) group by name", took, 8 * scale);
	dv_query_close(q);
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 2) {
		fprintf(stderr, "usage: bench-query TRACE\n");
		return 2;
	}
	err = run(argv[1]);
	if (err)
		fprintf(stderr, "bench-query: %s\n", err->message);
	return err != NULL;
}
