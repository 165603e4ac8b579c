/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a trace for a verb: see opentrace.h. */
#include "cmds/opentrace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define QUIET_MS 1000

struct progress {
	const char *path;
	struct timespec started;
	bool shown;
};

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static bool show(void *context, uint64_t done, uint64_t total)
{
	struct progress *p = context;

	if (elapsed_ms(&p->started) >= QUIET_MS && total) {
		fprintf(stderr, "\rloading %s: %3d%%", p->path, (int)(100 * done / total));
		p->shown = true;
	}
	return true;
}

struct dv_error *dv_open_trace(const char *verb, const char *path, bool no_cache, struct dv_query **ret)
{
	struct progress progress = {.path = path};
	struct dv_query_options options = {.no_cache = no_cache};
	struct dv_error *err;

	clock_gettime(CLOCK_MONOTONIC, &progress.started);
	if (isatty(STDERR_FILENO)) {
		options.progress = show;
		options.context = &progress;
	}
	err = dv_query_open(path, &options, ret);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (!err && dv_query_damage(*ret))
		fprintf(stderr, "dejaview %s: %s; what is lost by it is told by select * from stats\n", verb, dv_query_damage(*ret));
	return err;
}

struct dv_error *dv_find_function(const struct dv_query *q, const char *name, uint32_t *ret)
{
	uint32_t count = dv_query_info(q)->functions;
	const char *like = NULL;

	for (uint32_t i = 0; i < count; i++) {
		const struct dv_query_function *f = dv_query_function(q, i);

		if (!strcmp(f->slice_name, name) || !strcmp(f->name, name)) {
			*ret = i;
			return NULL;
		}
		if (!like && *name && strcasestr(f->slice_name, name))
			like = f->slice_name;
	}
	return dv_error_new(DV_ERROR_NOT_FOUND, "no function '%s' was called%s%s%s", name, like ? "; there is '" : "",
			    like ? like : "", like ? "'" : "");
}

struct dv_error *dv_find_thread_option(const struct dv_query *q, const char *text, uint32_t *ret_utid)
{
	uint32_t threads = dv_query_info(q)->threads, best = DV_QUERY_NONE;
	char *end;
	long long tid = strtoll(text, &end, 10);
	bool is_tid = end != text && !*end;

	/* Of several, the one with most slices. */
	for (uint32_t i = 0; i < threads; i++) {
		const struct dv_query_thread *t = dv_query_thread(q, i);

		if (is_tid ? t->tid != tid : strcmp(t->name, text) != 0)
			continue;
		if (best == DV_QUERY_NONE || t->slices > dv_query_thread(q, best)->slices)
			best = i;
	}
	if (best == DV_QUERY_NONE)
		return dv_error_new(DV_ERROR_NOT_FOUND, "no thread %s%s%s; 'dejaview query TRACE \"select tid, name from "
				    "thread\"' lists them", is_tid ? "" : "'", text, is_tid ? "" : "'");
	*ret_utid = best;
	return NULL;
}
