/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview info: says what is there. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/io.h"
#include "cmds/cmds.h"
#include "cmds/summary.h"
#include "replay/recording.h"

static const char usage[] =
	"usage: dejaview info [--json] RECORDING.dejaview|TRACE.dvtrace\n"
	"\n"
	"Says what a recording or a trace holds: how it was made and how it ended, instructions, calls, threads,\n"
	"and the functions with most instructions of their own. A trace that was cut short or damaged is read\n"
	"up to there. A recording whose recorder was killed is repaired first: it can then be replayed up to\n"
	"where it was cut.\n"
	"\n"
	"  --json       the same for programs\n"
	"  --no-repair  leave a killed recorder's recording as it is\n";

static struct dv_error *print_trace(const char *path, bool as_json, json_t *to)
{
	_cleanup_summary_ struct dv_summary summary = {0};
	json_t *json;

	DV_TRY(dv_summary_of_trace(path, &summary));
	if (!as_json) {
		dv_summary_print(stdout, &summary);
		return NULL;
	}
	DV_TRY(dv_summary_to_json(&summary, &json));
	json_object_update(to, json);
	json_decref(json);
	return NULL;
}

static void print_recording(const struct dv_recording *r)
{
	const json_t *m = r->manifest;
	const char *qemu = json_string_value(json_object_get(m, "qemu_version"));
	const char *how = json_string_value(json_object_get(json_object_get(m, "end"), "how"));

	printf("recording     %s\n", r->folder);
	if (r->is_live)
		printf("state         being recorded now\n");
	else if (!strcmp(dv_recording_state(r), "recording"))
		printf("state         cut off: its recorder was killed\n");
	else
		printf("state         %s, ended by %s after %llu instructions\n", dv_recording_state(r), how ?: "?",
		       (unsigned long long)dv_recording_last_icount(r));
	printf("qemu          %s\n", qemu ?: "?");
	printf("command      ");
	for (char **arg = r->plan->command; arg && *arg; arg++)
		printf(strpbrk(*arg, " \t'\"") ? " '%s'" : " %s", *arg);
	putchar('\n');
	for (size_t i = 0; i < r->plan->images_len; i++)
		printf("disk          %s: %s\n", r->plan->images[i].name, r->plan->images[i].path);
}

static struct dv_error *info_recording(const char *path, bool repair, bool as_json, json_t *to)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_free_ char *trace = dv_path_join(path, DV_RECORDING_TRACE);
	json_t *json = json_object();
	struct dv_error *err;

	DV_TRY(dv_recording_open(path, &r));
	if (repair && !r->is_live && !strcmp(dv_recording_state(r), "recording")) {
		DV_TRY(dv_recording_repair(r));
		fprintf(stderr, "dejaview info: the recorder of %s was killed; the recording is repaired and replays up "
			"to where it was cut\n", path);
	}
	if (as_json) {
		json_object_set(to, "recording", r->manifest);
		json_object_set_new(to, "live", json_boolean(r->is_live));
	} else {
		print_recording(r);
	}
	if (!trace || access(trace, F_OK)) {
		if (!as_json)
			printf("trace         none: `dejaview trace %s` makes it\n", path);
		json_decref(json);
		return NULL;
	}
	if (!as_json)
		putchar('\n');
	err = print_trace(trace, as_json, json);
	json_object_set_new(to, "trace", json);
	return err;
}

static struct dv_error *info(const char *path, bool repair, bool as_json)
{
	json_t *json = json_object();
	struct stat st;
	struct dv_error *err;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		err = info_recording(path, repair, as_json, json);
	else
		err = print_trace(path, as_json, json);
	if (!err && as_json) {
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(json);
	return err;
}

int dv_cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"no-repair", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool as_json = false, repair = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'j') {
			as_json = true;
		} else if (c == 'n') {
			repair = false;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	return dv_cmd_report("info", info(argv[optind], repair, as_json));
}
