/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview graph: who called a function, and what it called, as trees. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "cmds/numbers.h"
#include "cmds/opentrace.h"
#include "cmds/summary.h"

#define MAX_DEPTH 200

static const char usage[] =
	"usage: dejaview graph [OPTION]... TRACE.dvtrace|RECORDING.dejaview FUNCTION\n"
	"\n"
	"Shows who called a function and what it called, with calls and instructions. In the tree of callers the\n"
	"numbers are those of FUNCTION, by who called it; in that of callees, those of each function below it.\n"
	"\n"
	"  --callers, --callees  one of the two trees\n"
	"  --depth N             so many levels: 6 without it, 0 for all\n"
	"  --min PERCENT         leave out what is less: 1 without it\n"
	"  --thread T            only of a thread: its tid or its name\n"
	"  --from I, --to I      only within instruction counts, as 1500000000 or 1.5G\n"
	"  --json                the same for programs\n"
	"  --no-cache            neither use nor keep the trace's columns in the cache folder\n";

struct graph_options {
	const char *thread;
	struct dv_query_area area;
	uint32_t depth;
	double min_percent;
	bool callers, callees, json, no_cache;
};

struct graph {
	const struct dv_query *q;
	const struct graph_options *o;
	struct dv_query_tree_node *nodes;
	size_t len;
	uint64_t all; /* the root's instructions */
	bool is_inwards;
};

static const char *name_of(const struct graph *g, const struct dv_query_tree_node *node)
{
	return dv_query_function(g->q, node->function)->slice_name;
}

/* In instructions, or in calls where there are none. */
static double percent_of(const struct graph *g, const struct dv_query_tree_node *node)
{
	if (g->all)
		return 100.0 * (double)node->total_icount / (double)g->all;
	return g->nodes[0].calls ? 100.0 * (double)node->calls / (double)g->nodes[0].calls : 0;
}

static bool is_shown(const struct graph *g, const struct dv_query_tree_node *node)
{
	return node->depth <= 1 || percent_of(g, node) >= g->o->min_percent;
}

/* Siblings come by size: once one is too small, so are those after it. */
static bool is_last(const struct graph *g, const struct dv_query_tree_node *node)
{
	return node->next == DV_QUERY_NONE || !is_shown(g, &g->nodes[node->next]);
}

static void print_tree(const struct graph *g)
{
	bool open[MAX_DEPTH + 2] = {false};
	uint32_t hidden_below = UINT32_MAX;

	/* What a caller ran itself is not in a tree of what its callee ran. */
	printf("           total  %s   calls\n", g->is_inwards ? "     own  " : "");
	for (size_t i = 1; i < g->len; i++) {
		const struct dv_query_tree_node *node = &g->nodes[i];
		char total[16], own[16], calls[16];

		if (node->depth > hidden_below)
			continue;
		hidden_below = is_shown(g, node) ? UINT32_MAX : node->depth;
		if (hidden_below != UINT32_MAX)
			continue;
		printf("%5.1f%%  %8s  ", percent_of(g, node), dv_format_count(node->total_icount, total));
		if (g->is_inwards)
			printf("%8s  ", dv_format_count(node->own_icount, own));
		printf("%8s  ", dv_format_count(node->calls, calls));
		open[node->depth] = !is_last(g, node);
		for (uint32_t d = 2; d < node->depth; d++)
			fputs(open[d] ? "│ " : "  ", stdout);
		if (node->depth > 1)
			fputs(is_last(g, node) ? "└ " : "├ ", stdout);
		printf("%s\n", name_of(g, node));
	}
}

static json_t *tree_to_json(const struct graph *g)
{
	json_t *all = json_array();

	for (size_t i = 1; i < g->len; i++) {
		const struct dv_query_tree_node *node = &g->nodes[i];

		json_array_append_new(all, json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "name", name_of(g, node), "depth",
						     (int)node->depth - 1, "parent", (json_int_t)node->parent - 1, "calls",
						     (json_int_t)node->calls, "own", (json_int_t)node->own_icount, "total",
						     (json_int_t)node->total_icount));
	}
	return all;
}

static struct dv_error *make(struct graph *g, enum dv_query_tree_kind kind, uint32_t function)
{
	uint32_t depth = g->o->depth ? g->o->depth + 1 : MAX_DEPTH;

	DV_TRY(dv_query_tree(g->q, kind, function, &g->o->area, depth, 0, NULL, &g->nodes, &g->len));
	g->all = g->nodes[0].total_icount;
	return NULL;
}

static struct dv_error *show(const struct dv_query *q, const struct graph_options *o, uint32_t function, json_t *json)
{
	static const struct {
		enum dv_query_tree_kind kind;
		const char *key, *words;
	} kinds[] = {{DV_TREE_CALLERS, "callers", "callers of"}, {DV_TREE_CALLEES, "callees", "called by"}};

	for (size_t i = 0; i < DV_ARRAY_SIZE(kinds); i++) {
		struct graph g = {.q = q, .o = o, .is_inwards = i};

		if (i ? !o->callees : !o->callers)
			continue;
		DV_TRY(make(&g, kinds[i].kind, function));
		if (json)
			json_object_set_new(json, kinds[i].key, tree_to_json(&g));
		else
			printf("%s%s %s\n", i && o->callers ? "\n" : "", kinds[i].words, dv_query_function(q, function)->slice_name);
		if (!json)
			print_tree(&g);
		free(g.nodes);
	}
	return NULL;
}

static struct dv_error *run(struct graph_options *o, const char *path, const char *name)
{
	_cleanup_(dv_query_closep) struct dv_query *q = NULL;
	struct dv_error *err;
	uint32_t function;
	json_t *json;

	DV_TRY(dv_open_trace("graph", path, o->no_cache, &q));
	DV_TRY(dv_find_function(q, name, &function));
	if (o->thread)
		DV_TRY(dv_find_thread_option(q, o->thread, &o->area.utid));
	json = o->json ? json_pack("{s:s}", "function", dv_query_function(q, function)->slice_name) : NULL;
	err = show(q, o, function, json);
	if (json && !err) {
		json_dumpf(json, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(json);
	return err;
}

static bool take_option(int c, struct graph_options *o)
{
	uint64_t number = 0;
	char *end;

	switch (c) {
	case 'u':
		o->callers = true;
		return true;
	case 'd':
		o->callees = true;
		return true;
	case 't':
		o->thread = optarg;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'n':
		o->no_cache = true;
		return true;
	case 'm':
		o->min_percent = strtod(optarg, &end);
		if (end != optarg && !*end && o->min_percent >= 0)
			return true;
		fprintf(stderr, "dejaview graph: --min %s: not a percentage\n", optarg);
		return false;
	default:
		if (!dv_parse_icount(optarg, &number) || (c == 'D' && number >= MAX_DEPTH)) {
			fprintf(stderr, "dejaview graph: %s: not %s\n", optarg, c == 'D' ? "a depth" : "an instruction count");
			return false;
		}
		if (c == 'D')
			o->depth = (uint32_t)number;
		else
			*(c == 'F' ? &o->area.from_icount : &o->area.to_icount) = number;
		return true;
	}
}

int dv_cmd_graph(int argc, char **argv)
{
	static const struct option options[] = {
		{"callers", no_argument, NULL, 'u'},   {"callees", no_argument, NULL, 'd'},
		{"depth", required_argument, NULL, 'D'}, {"min", required_argument, NULL, 'm'},
		{"thread", required_argument, NULL, 't'}, {"from", required_argument, NULL, 'F'},
		{"to", required_argument, NULL, 'T'},  {"json", no_argument, NULL, 'j'},
		{"no-cache", no_argument, NULL, 'n'},  {"help", no_argument, NULL, 'h'},
		{0}};
	struct graph_options o = {.area = DV_QUERY_WHOLE, .depth = 6, .min_percent = 1};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		if (!take_option(c, &o))
			return 2;
	}
	if (argc - optind != 2) {
		fputs(usage, stderr);
		return 2;
	}
	if (!o.callers && !o.callees)
		o.callers = o.callees = true;
	return dv_cmd_report("graph", run(&o, argv[optind], argv[optind + 1]));
}
