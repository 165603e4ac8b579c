/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview info: says what is there. */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include "cmds/cmds.h"
#include "cmds/folder.h"
#include "cmds/summary.h"

static const char usage[] =
	"usage: dejaview info [--json] [--no-repair] RECORDING.dejaview|TRACE.dvtrace\n"
	"\n"
	"Says what a recording and its trace hold: instructions, calls, threads, sizes, and the functions with\n"
	"most instructions of their own. A recording whose recorder was killed is repaired, so that it replays\n"
	"up to the cut; a trace that was cut short or damaged is read up to there.\n"
	"\n"
	"  --json       the same for programs\n"
	"  --no-repair  leave a killed recorder's recording as it is\n";

static void print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

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
	print_json(json);
	return NULL;
}

static struct dv_error *info_recording(const char *path, bool may_repair, bool as_json)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *recording = NULL;
	bool repaired;
	json_t *json;

	DV_TRY(dv_recording_open(path, &recording));
	repaired = may_repair && !recording->is_live && !strcmp(dv_recording_state(recording), "recording");
	if (repaired)
		DV_TRY(dv_recording_repair(recording));
	if (repaired)
		fprintf(stderr, "dejaview info: the recorder of %s was killed; the recording is repaired and replays up "
			"to where it was cut\n", path);
	if (!as_json)
		return dv_folder_print(stdout, recording, path);
	DV_TRY(dv_folder_to_json(recording, &json));
	print_json(json);
	return NULL;
}

int dv_cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"no-repair", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	bool as_json = false, may_repair = true;
	struct stat st;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'j') {
			as_json = true;
		} else if (c == 'n') {
			may_repair = false;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (!stat(argv[optind], &st) && S_ISDIR(st.st_mode))
		return dv_cmd_report("info", info_recording(argv[optind], may_repair, as_json));
	return dv_cmd_report("info", info_trace(argv[optind], as_json));
}
