/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview info: says what is there. */
#include <getopt.h>
#include <stdio.h>
#include "cmds/cmds.h"
#include "cmds/summary.h"

static const char usage[] =
	"usage: dejaview info [--json] TRACE.dvtrace\n"
	"\n"
	"Says what a trace holds: instructions, calls, threads, and the functions with most instructions of\n"
	"their own. A trace that was cut short or damaged is read up to there.\n"
	"\n"
	"  --json   the same for programs\n";

static struct dv_error *info_trace(const char *path, bool as_json)
{
	_cleanup_summary_ struct dv_summary summary = {0};
	json_t *json;

	DV_TRY(dv_summary_of_trace(path, &summary));
	if (!as_json) {
		dv_summary_print(stdout, &summary);
		return NULL;
	}
	DV_TRY(dv_summary_to_json(&summary, &json));
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return NULL;
}

int dv_cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool as_json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'j') {
			as_json = true;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	return dv_cmd_report("info", info_trace(argv[optind], as_json));
}
