/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording's folder: see folder.h. */
#include "cmds/folder.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include "cmds/cmds.h"
#include "cmds/summary.h"

/* How dejaview record says that it ended, in words. */
static const struct {
	const char *how, *words;
} endings[] = {
	{"guest-shutdown", "the guest switched itself off"},
	{"guest-reset", "the guest reset itself"},
	{"guest-panic", "the guest panicked"},
	{"host-qmp-quit", "ended by the recorder"},
	{"user", "ended by Ctrl-A X"},
	{"qemu-exited", "QEMU ended"},
	{"killed", "its recorder was killed"},
};

/* What to type next; a verb that this version does not have is left out. */
static const struct {
	const char *verb, *arguments, *what;
} hints[] = {
	{"trace", "--min-insns 1000", "make the trace again, with other options, by replaying"},
	{"seek", "1000000000", "where the guest stands after that many instructions"},
	{"query", "", "SQL on the trace"},
	{"serve", "", "look at it in the browser"},
	{"debug", "", "gdb on the replay, forward and backward"},
	{"info", "--json", "this, for programs"},
};

static uint64_t file_bytes(const struct dv_recording *recording, const char *name)
{
	_cleanup_free_ char *path = dv_recording_path(recording, name);
	struct stat st;

	if (!path || stat(path, &st) || !S_ISREG(st.st_mode))
		return 0;
	/* What it takes on the disk: snapshots are sparse. */
	return (uint64_t)st.st_blocks * 512;
}

/* {"NAME": BYTES, ...} of the regular files; *ret_all is their sum. New reference. */
static struct dv_error *list_files(const struct dv_recording *recording, json_t **ret, uint64_t *ret_all)
{
	json_t *files = json_object();
	struct dirent **entries;
	uint64_t all = 0;
	int n = scandir(recording->folder, &entries, NULL, alphasort);

	if (n < 0) {
		json_decref(files);
		return dv_error_os(errno, "%s: cannot list", recording->folder);
	}
	for (int i = 0; i < n; i++) {
		uint64_t bytes = file_bytes(recording, entries[i]->d_name);

		if (bytes)
			json_object_set_new(files, entries[i]->d_name, json_integer((json_int_t)bytes));
		all += bytes;
		free(entries[i]);
	}
	free(entries);
	*ret = files;
	*ret_all = all;
	return NULL;
}

static time_t parse_time(const json_t *manifest, const char *key)
{
	const char *text = json_string_value(json_object_get(manifest, key));
	struct tm tm = {0};

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return 0;
	return timegm(&tm);
}

static void print_ending(FILE *to, const struct dv_recording *recording)
{
	const json_t *end = json_object_get(recording->manifest, "end");
	const char *how = json_string_value(json_object_get(end, "how"));
	const char *words = how;

	for (size_t i = 0; how && i < DV_ARRAY_SIZE(endings); i++) {
		if (!strcmp(how, endings[i].how))
			words = endings[i].words;
	}
	if (recording->is_live)
		fprintf(to, "being recorded now\n");
	else if (!strcmp(dv_recording_state(recording), "recording"))
		fprintf(to, "cut off: its recorder was killed\n");
	else if (words)
		fprintf(to, "%s: %s\n", dv_recording_state(recording), words);
	else
		fprintf(to, "%s\n", dv_recording_state(recording));
}

static void print_times(FILE *to, const struct dv_recording *recording)
{
	time_t started = parse_time(recording->manifest, "started");
	time_t ended = parse_time(recording->manifest, "ended");
	char text[32];
	struct tm tm;

	if (!started || !gmtime_r(&started, &tm))
		return;
	strftime(text, sizeof(text), "%F %T UTC", &tm);
	fprintf(to, "recorded      %s", text);
	if (ended >= started && ended)
		fprintf(to, ", in %lld s", (long long)(ended - started));
	fprintf(to, "\n");
}

static void print_command(FILE *to, const struct dv_qemu_plan *plan)
{
	fprintf(to, "command      ");
	for (char **arg = plan->command; arg && *arg; arg++)
		fprintf(to, strpbrk(*arg, " \t'\"") ? " \"%s\"" : " %s", *arg);
	fprintf(to, "\n");
	for (size_t i = 0; i < plan->notes_len; i++)
		fprintf(to, "%s%s\n", i ? "              " : "changed       ", plan->notes[i]);
	for (size_t i = 0; i < plan->images_len; i++)
		fprintf(to, "%s%s: %s\n", i ? "              " : "base images   ", plan->images[i].name,
			plan->images[i].path);
}

static struct dv_error *print_files(FILE *to, const struct dv_recording *recording)
{
	const char *name, *comma = "";
	json_t *files, *size;
	uint64_t all;
	char text[24];

	DV_TRY(list_files(recording, &files, &all));
	fprintf(to, "size          %s:", dv_format_bytes(all, text));
	json_object_foreach (files, name, size) {
		fprintf(to, "%s %s %s", comma, name, dv_format_bytes((uint64_t)json_integer_value(size), text));
		comma = ",";
	}
	fprintf(to, "\n");
	json_decref(files);
	return NULL;
}

static void print_trace(FILE *to, const struct dv_recording *recording)
{
	_cleanup_free_ char *path = dv_recording_path(recording, DV_RECORDING_TRACE);
	_cleanup_summary_ struct dv_summary summary = {0};
	_cleanup_error_ struct dv_error *err = NULL;
	char count[16];

	err = path && file_bytes(recording, DV_RECORDING_TRACE) ? dv_summary_of_trace(path, &summary) : NULL;
	if (summary.reader) {
		dv_summary_print(to, &summary);
		return;
	}
	fprintf(to, "instructions  %s\n", dv_format_count(dv_recording_last_icount(recording), count));
	fprintf(to, "trace         %s\n", err ? err->message : "none yet");
}

static void print_hints(FILE *to, const char *name)
{
	char line[256];

	fprintf(to, "\nnext\n");
	for (size_t i = 0; i < DV_ARRAY_SIZE(hints); i++) {
		if (!dv_cmd_exists(hints[i].verb))
			continue;
		snprintf(line, sizeof(line), "%s %s %s %s", program_invocation_name, hints[i].verb, name,
			 hints[i].arguments);
		fprintf(to, "  %-54s %s\n", line, hints[i].what);
	}
	fprintf(to, "  %-54s %s\n", "https://ui.perfetto.dev", "opens the trace, " DV_RECORDING_TRACE ", as it is");
}

struct dv_error *dv_folder_print(FILE *to, const struct dv_recording *recording, const char *name)
{
	const char *version = json_string_value(json_object_get(recording->manifest, "qemu_version"));

	fprintf(to, "recording     %s, ", name);
	print_ending(to, recording);
	print_times(to, recording);
	if (version)
		fprintf(to, "QEMU          %s\n", version);
	print_command(to, recording->plan);
	DV_TRY(print_files(to, recording));
	print_trace(to, recording);
	print_hints(to, name);
	return NULL;
}

struct dv_error *dv_folder_to_json(const struct dv_recording *recording, json_t **ret)
{
	_cleanup_free_ char *path = dv_recording_path(recording, DV_RECORDING_TRACE);
	_cleanup_summary_ struct dv_summary summary = {0};
	_cleanup_error_ struct dv_error *err = NULL;
	json_t *json, *files, *trace = NULL;
	uint64_t all;

	DV_TRY(list_files(recording, &files, &all));
	if (path && file_bytes(recording, DV_RECORDING_TRACE)) {
		err = dv_summary_of_trace(path, &summary);
		if (!err)
			err = dv_summary_to_json(&summary, &trace);
	}
	json = json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:I, s:o*, s:s*, s:O}", "folder", recording->folder, "state",
			 dv_recording_state(recording), "live", (int)recording->is_live, "last_icount",
			 (json_int_t)dv_recording_last_icount(recording), "common_icount",
			 (json_int_t)dv_recording_common_icount(recording), "files", files, "bytes", (json_int_t)all,
			 "trace", trace, "trace_error", err ? err->message : NULL, "recording", recording->manifest);
	if (!json)
		return dv_error_no_memory();
	*ret = json;
	return NULL;
}
