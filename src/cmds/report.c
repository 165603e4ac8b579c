/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview report: where the instructions went, by function, thread, process or module; of two traces. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "base/map.h"
#include "cmds/cmds.h"
#include "cmds/numbers.h"
#include "cmds/opentrace.h"
#include "cmds/summary.h"

static const char usage[] =
	"usage: dejaview report [OPTION]... TRACE.dvtrace|RECORDING.dejaview\n"
	"\n"
	"Says where the instructions went: 'own' is what ran in the function itself, 'total' with what it called\n"
	"(of recursive calls the outermost counts). Time off the CPU is in neither, but in 'elapsed': from the calls'\n"
	"begins to their ends, of functions.\n"
	"\n"
	"  --by WHAT      function (as without it), module, thread or process\n"
	"  --sort KEY     own (as without it), total, elapsed, calls, max or name; with --diff by the change\n"
	"  --limit N      so many rows: 30 without it, 0 for all\n"
	"  --thread T     only of a thread: its tid or its name\n"
	"  --from I       from an instruction count on, as 1500000000 or 1.5G\n"
	"  --to I         up to one\n"
	"  --diff OTHER   what OTHER has more (+) or less (-) of, function by function\n"
	"  --json         the same for programs\n"
	"  --no-cache     neither use nor keep the trace's columns in the cache folder\n";

struct report_options {
	const char *by, *sort, *thread, *diff;
	uint64_t from, to;
	size_t limit;
	bool json, no_cache;
};

struct row {
	const char *name, *extra; /* extra: a module, a process; may be NULL */
	int64_t number;		  /* of a thread or process; -1: none */
	uint64_t calls, own, total, max;
	uint64_t elapsed;	  /* only of a function */
	uint64_t before_own, before_calls; /* of --diff: the first trace's */
};

struct rows {
	struct row *v;
	size_t n;
	uint64_t all; /* instructions of all rows */
};

/* Rows of a trace */

static struct dv_error *area_of(const struct dv_query *q, const struct report_options *o, struct dv_query_area *ret)
{
	*ret = DV_QUERY_WHOLE;
	ret->from_icount = o->from;
	ret->to_icount = o->to;
	return o->thread ? dv_find_thread_option(q, o->thread, &ret->utid) : NULL;
}

static struct dv_error *function_rows(const struct dv_query *q, const struct dv_query_area *area, struct rows *ret)
{
	struct dv_query_function_stats *stats;
	size_t n;

	DV_TRY(dv_query_function_stats(q, area, NULL, &stats, &n));
	ret->v = calloc(n + 1, sizeof(*ret->v));
	for (size_t i = 0; ret->v && i < n; i++) {
		const struct dv_query_function *f = dv_query_function(q, stats[i].function);

		ret->v[i] = (struct row){.name = f->slice_name, .extra = f->module, .number = -1, .calls = stats[i].calls,
					 .own = stats[i].own_icount, .total = stats[i].total_icount,
					 .elapsed = stats[i].elapsed_icount, .max = stats[i].max_icount};
	}
	ret->n = n;
	free(stats);
	return ret->v ? NULL : dv_error_no_memory();
}

static const char *module_of(const struct row *row, const struct dv_query_function *f)
{
	static const char *const spaces[] = {"the kernel", "modules", "user space", "before the kernel"};

	return f->module ? f->module : spaces[f->space < DV_ARRAY_SIZE(spaces) ? f->space : 0];
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Rows of one name together: their totals may overlap, so that only own and calls add up. */
static void merge_names(struct rows *rows)
{
	size_t kept = 0;

	qsort(rows->v, rows->n, sizeof(*rows->v), by_name);
	for (size_t i = 0; i < rows->n; i++) {
		struct row *last = kept ? &rows->v[kept - 1] : NULL;

		if (last && !strcmp(last->name, rows->v[i].name)) {
			last->own += rows->v[i].own;
			last->calls += rows->v[i].calls;
			last->total = last->total > rows->v[i].total ? last->total : rows->v[i].total;
			last->elapsed = last->elapsed > rows->v[i].elapsed ? last->elapsed : rows->v[i].elapsed;
			last->max = last->max > rows->v[i].max ? last->max : rows->v[i].max;
		} else {
			rows->v[kept++] = rows->v[i];
		}
	}
	rows->n = kept;
}

static struct dv_error *module_rows(const struct dv_query *q, const struct dv_query_area *area, struct rows *ret)
{
	struct dv_query_function_stats *stats;
	size_t n;

	DV_TRY(dv_query_function_stats(q, area, NULL, &stats, &n));
	ret->v = calloc(n + 1, sizeof(*ret->v));
	for (size_t i = 0; ret->v && i < n; i++) {
		ret->v[i] = (struct row){.number = -1, .calls = stats[i].calls, .own = stats[i].own_icount};
		ret->v[i].name = module_of(&ret->v[i], dv_query_function(q, stats[i].function));
	}
	ret->n = n;
	free(stats);
	if (!ret->v)
		return dv_error_no_memory();
	merge_names(ret);
	for (size_t i = 0; i < ret->n; i++)
		ret->v[i].total = ret->v[i].own;
	return NULL;
}

/* What a thread ran within the area: of its spells on a CPU. */
static struct dv_error *ran_in(const struct dv_query *q, uint32_t utid, const struct dv_query_area *area, uint64_t *ret)
{
	struct dv_query_sched *s;

	DV_TRY(dv_query_sched_timeline(q, DV_QUERY_NONE, utid, area->from_icount, area->to_icount, 0, &s));
	*ret = 0;
	for (size_t i = 0; i < s->len; i++) {
		uint64_t from = s->start_icount[i], to = from + s->dur_icount[i];

		from = from > area->from_icount ? from : area->from_icount;
		to = to < area->to_icount ? to : area->to_icount;
		*ret += to > from ? to - from : 0;
	}
	free(s);
	return NULL;
}

static struct dv_error *thread_rows(const struct dv_query *q, const struct dv_query_area *area, bool by_process,
				    struct rows *ret)
{
	uint32_t threads = dv_query_info(q)->threads, processes = dv_query_info(q)->processes;

	ret->v = calloc(threads + processes + 1, sizeof(*ret->v));
	if (!ret->v)
		return dv_error_no_memory();
	for (uint32_t i = 0; by_process && i < processes; i++)
		ret->v[i] = (struct row){.name = dv_query_process(q, i)->name, .number = dv_query_process(q, i)->pid};
	ret->n = by_process ? processes : 0;
	for (uint32_t i = 0; i < threads; i++) {
		const struct dv_query_thread *t = dv_query_thread(q, i);
		bool has_process = t->upid != DV_QUERY_NONE; /* other traces may not say */
		struct row *row = &ret->v[by_process && has_process ? t->upid : ret->n];
		uint64_t ran;

		if ((area->utid != DV_QUERY_NONE && area->utid != i) || (by_process && !has_process))
			continue;
		DV_TRY(ran_in(q, i, area, &ran));
		if (!by_process) {
			*row = (struct row){.name = t->name, .number = t->tid,
					    .extra = has_process ? dv_query_process(q, t->upid)->name : NULL};
			ret->n++;
		}
		row->own += ran;
		row->total += ran;
		row->calls += t->slices;
	}
	return NULL;
}

static struct dv_error *make_rows(const struct dv_query *q, const struct report_options *o, struct rows *ret)
{
	struct dv_query_area area;
	struct dv_error *err;
	size_t kept = 0;

	DV_TRY(area_of(q, o, &area));
	if (!strcmp(o->by, "module"))
		err = module_rows(q, &area, ret);
	else if (!strcmp(o->by, "function"))
		err = function_rows(q, &area, ret);
	else
		err = thread_rows(q, &area, !strcmp(o->by, "process"), ret);
	if (err)
		return err;
	for (size_t i = 0; i < ret->n; i++) {
		if (ret->v[i].calls || ret->v[i].own || ret->v[i].elapsed)
			ret->v[kept++] = ret->v[i];
		ret->all += ret->v[i].own;
	}
	ret->n = kept;
	return NULL;
}

/* Order */

static int by_key(const void *a, const void *b, void *context)
{
	const char *key = context;
	const struct row *x = a, *y = b;
	uint64_t p = x->own, q = y->own;

	if (!strcmp(key, "total"))
		p = x->total, q = y->total;
	else if (!strcmp(key, "elapsed"))
		p = x->elapsed, q = y->elapsed;
	else if (!strcmp(key, "calls"))
		p = x->calls, q = y->calls;
	else if (!strcmp(key, "max"))
		p = x->max, q = y->max;
	if (p != q && strcmp(key, "name") != 0)
		return p < q ? 1 : -1;
	return strcmp(x->name, y->name);
}

static uint64_t change_of(const struct row *r)
{
	return r->own > r->before_own ? r->own - r->before_own : r->before_own - r->own;
}

static int by_change(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t p = change_of(x), q = change_of(y);

	return p != q ? p < q ? 1 : -1 : strcmp(x->name, y->name);
}

/* Both traces' rows, by name: what one of them lacks counts as 0 there. */
static struct dv_error *diff_rows(const struct rows *before, const struct rows *after, struct rows *ret)
{
	size_t a = 0, b = 0;

	ret->v = calloc(before->n + after->n + 1, sizeof(*ret->v));
	if (!ret->v)
		return dv_error_no_memory();
	while (a < before->n || b < after->n) {
		int order = a == before->n ? 1 : b == after->n ? -1 : strcmp(before->v[a].name, after->v[b].name);
		struct row *row = &ret->v[ret->n++];

		*row = order > 0 ? after->v[b] : before->v[a];
		if (order < 0)
			row->own = row->total = row->elapsed = row->calls = row->max = 0;
		if (order == 0)
			*row = after->v[b];
		row->before_own = order > 0 ? 0 : before->v[a].own;
		row->before_calls = order > 0 ? 0 : before->v[a].calls;
		a += order <= 0;
		b += order >= 0;
	}
	ret->all = after->all;
	qsort(ret->v, ret->n, sizeof(*ret->v), by_change);
	return NULL;
}

/* Output */

static void print_name(const struct row *row)
{
	fputs(row->name, stdout);
	if (row->number >= 0)
		printf(" [%" PRId64 "]", row->number);
	/* A kernel module's name is part of the function's. */
	if (row->extra && *row->extra && row->name[0] != '[' && strcmp(row->extra, row->name) != 0)
		printf("  (%s)", row->extra);
	putchar('\n');
}

static void print_rows(const struct rows *rows, const struct report_options *o)
{
	uint64_t all = rows->all ? rows->all : 1;
	char own[16], total[16], elapsed[16], calls[16], each[16];
	bool has_elapsed = !strcmp(o->by, "function");

	printf("     own          total      %s     calls  own/call  %s\n", has_elapsed ? "   elapsed" : "", o->by);
	for (size_t i = 0; i < rows->n && (!o->limit || i < o->limit); i++) {
		const struct row *r = &rows->v[i];

		printf("%8s %5.1f%%  %8s %5.1f%%  ", dv_format_count(r->own, own), 100.0 * (double)r->own / (double)all,
		       dv_format_count(r->total, total), 100.0 * (double)r->total / (double)all);
		if (has_elapsed)
			printf("%8s  ", dv_format_count(r->elapsed, elapsed));
		printf("%8s  %8s  ", dv_format_count(r->calls, calls),
		       dv_format_count(r->calls ? r->own / r->calls : 0, each));
		print_name(r);
	}
	if (o->limit && rows->n > o->limit)
		printf("... %zu more; --limit 0 shows all\n", rows->n - o->limit);
}

static void print_diff(const struct rows *rows, const struct report_options *o)
{
	char before[16], after[16], change[16], calls[16];

	printf("    before     after     change               calls  %s\n", o->by);
	for (size_t i = 0; i < rows->n && (!o->limit || i < o->limit); i++) {
		const struct row *r = &rows->v[i];
		bool more = r->own >= r->before_own, more_calls = r->calls >= r->before_calls;
		char share[16] = "new";

		if (!change_of(r) && r->calls == r->before_calls)
			continue;
		if (r->before_own)
			snprintf(share, sizeof(share), "%+.1f%%",
				 100.0 * ((double)r->own - (double)r->before_own) / (double)r->before_own);
		printf("  %8s  %8s  %c%8s %8.12s  %c%8s  ", dv_format_count(r->before_own, before),
		       dv_format_count(r->own, after), more ? '+' : '-', dv_format_count(change_of(r), change), share,
		       more_calls ? '+' : '-',
		       dv_format_count(more_calls ? r->calls - r->before_calls : r->before_calls - r->calls, calls));
		print_name(r);
	}
}

static struct dv_error *print_json(const struct rows *rows, const struct report_options *o)
{
	json_t *all = json_array();

	for (size_t i = 0; i < rows->n && (!o->limit || i < o->limit); i++) {
		const struct row *r = &rows->v[i];
		json_t *row = json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I}", "name", r->name, "of", r->extra, "calls",
					(json_int_t)r->calls, "own", (json_int_t)r->own, "total", (json_int_t)r->total,
					"max", (json_int_t)r->max);

		if (r->number >= 0)
			json_object_set_new(row, "id", json_integer(r->number));
		if (!strcmp(o->by, "function"))
			json_object_set_new(row, "elapsed", json_integer((json_int_t)r->elapsed));
		if (o->diff) {
			json_object_set_new(row, "before_own", json_integer((json_int_t)r->before_own));
			json_object_set_new(row, "before_calls", json_integer((json_int_t)r->before_calls));
		}
		if (json_array_append_new(all, row)) {
			json_decref(all);
			return dv_error_new(DV_ERROR_FORMAT, "a name that is no UTF-8: %s", r->name);
		}
	}
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
	return NULL;
}

static struct dv_error *put(struct rows *rows, const struct report_options *o)
{
	if (!o->diff && rows->n)
		qsort_r(rows->v, rows->n, sizeof(*rows->v), by_key, (void *)o->sort);
	if (o->json)
		return print_json(rows, o);
	if (o->diff)
		print_diff(rows, o);
	else
		print_rows(rows, o);
	return NULL;
}

static struct dv_error *run(const struct report_options *o, const char *path)
{
	_cleanup_(dv_query_closep) struct dv_query *q = NULL, *other = NULL;
	struct rows rows = {0}, others = {0}, both = {0};
	struct dv_error *err;

	DV_TRY(dv_open_trace("report", path, o->no_cache, &q));
	if (o->diff)
		DV_TRY(dv_open_trace("report", o->diff, o->no_cache, &other));
	err = make_rows(q, o, &rows);
	if (!err && other)
		err = make_rows(other, o, &others);
	if (!err && other) {
		merge_names(&rows);
		merge_names(&others);
		err = diff_rows(&rows, &others, &both);
	}
	if (!err)
		err = put(other ? &both : &rows, o);
	free(rows.v);
	free(others.v);
	free(both.v);
	return err;
}

static bool is_one_of(const char *what, const char *option, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(what, words[i]))
			return true;
	}
	fprintf(stderr, "dejaview report: %s %s: it is one of", option, what);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "%s %s", i ? "," : "", words[i]);
	fputc('\n', stderr);
	return false;
}

static bool take_option(int c, struct report_options *o)
{
	static const char *const bys[] = {"function", "module", "thread", "process"};
	static const char *const sorts[] = {"own", "total", "elapsed", "calls", "max", "name"};
	uint64_t limit;

	switch (c) {
	case 'b':
		o->by = optarg;
		return is_one_of(optarg, "--by", bys, DV_ARRAY_SIZE(bys));
	case 's':
		o->sort = optarg;
		return is_one_of(optarg, "--sort", sorts, DV_ARRAY_SIZE(sorts));
	case 'l':
		if (!dv_parse_icount(optarg, &limit)) {
			fprintf(stderr, "dejaview report: --limit %s: not a number\n", optarg);
			return false;
		}
		o->limit = (size_t)limit;
		return true;
	case 'F':
	case 'T':
		if (dv_parse_icount(optarg, c == 'F' ? &o->from : &o->to))
			return true;
		fprintf(stderr, "dejaview report: %s: not an instruction count\n", optarg);
		return false;
	case 't':
		o->thread = optarg;
		return true;
	case 'd':
		o->diff = optarg;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'n':
		o->no_cache = true;
		return true;
	default:
		return false;
	}
}

int dv_cmd_report_verb(int argc, char **argv)
{
	static const struct option options[] = {
		{"by", required_argument, NULL, 'b'},	{"sort", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'}, {"thread", required_argument, NULL, 't'},
		{"from", required_argument, NULL, 'F'}, {"to", required_argument, NULL, 'T'},
		{"diff", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'},
		{"no-cache", no_argument, NULL, 'n'},	{"help", no_argument, NULL, 'h'},
		{0}};
	struct report_options o = {.by = "function", .sort = "own", .to = UINT64_MAX, .limit = 30};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		if (!take_option(c, &o))
			return 2;
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (!strcmp(o.sort, "elapsed") && strcmp(o.by, "function") != 0) {
		fprintf(stderr, "dejaview report: --sort elapsed: only --by function has it\n");
		return 2;
	}
	return dv_cmd_report("report", run(&o, argv[optind]));
}
