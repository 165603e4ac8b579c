/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview VERB ...: finds the verb and calls it. */
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "dv_config.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
	{"record", dv_cmd_record, "run a QEMU command line, record and trace it"},
	{"trace", dv_cmd_trace, "make a recording's trace, by replaying it"},
	{"seek", dv_cmd_seek, "say where the guest stands at an instruction count"},
	{"debug", dv_cmd_debug, "gdb at any moment of a recording, forward and backward"},
	{"checkpoint", dv_cmd_checkpoint, "make a recording seek fast, by snapshots of the machine"},
	{"calls", dv_cmd_calls, "what a function was called with, and what it returned"},
	{"writes", dv_cmd_writes, "who wrote this? the writes to a place in memory"},
	{"where", dv_cmd_where, "source file and line of an address or function"},
	{"serve", dv_cmd_serve, "serve a trace to the viewer, editors and scripts"},
	{"report", dv_cmd_report_verb, "where the instructions went, by function, thread or module"},
	{"graph", dv_cmd_graph, "who called a function, and what it called"},
	{"query", dv_cmd_query, "SQL on a trace"},
	{"dump", dv_cmd_dump, "a trace as text, folded stacks or Chrome's JSON"},
	{"pack", dv_cmd_pack, "a recording as one file, to be replayed elsewhere"},
	{"unpack", dv_cmd_unpack, "a packed recording as a recording again"},
	{"dap", dv_cmd_dap, "a debug adapter for editors"},
	{"info", dv_cmd_info, "say what a recording or a trace holds"},
};

static void usage(FILE *to)
{
	fprintf(to, "usage: dejaview VERB [OPTION]... [ARGUMENT]...\n\n");
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].what);
	fprintf(to, "\n'dejaview VERB --help' says more. The version is %s.\n", DV_VERSION);
}

bool dv_cmd_exists(const char *verb)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verb, verbs[i].name))
			return true;
	}
	return false;
}

/* How many letters must be changed, added or left out to make a from b; long names count as far apart. */
static size_t distance(const char *a, const char *b)
{
	size_t row[16], a_len = strlen(a), b_len = strlen(b);

	if (b_len >= DV_ARRAY_SIZE(row))
		return b_len;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

static void suggest(const char *name)
{
	fprintf(stderr, "dejaview: there is no verb '%s'\n", name);
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++)
		if (distance(name, verbs[i].name) <= 2)
			fprintf(stderr, "dejaview: did you mean '%s'?\n", verbs[i].name);
	fputc('\n', stderr);
}

int dv_cmd_report(const char *verb, struct dv_error *err)
{
	if (!err)
		return 0;
	fprintf(stderr, "dejaview %s: %s\n", verb, err->message);
	dv_error_destroy(err);
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--version")) {
		printf("dejaview %s\n", DV_VERSION);
		return 0;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(name, verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	}
	if (*name)
		suggest(name);
	usage(stderr);
	return 2;
}
