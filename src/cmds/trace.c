/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview trace: a recording replayed with the plugin, for its trace. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/io.h"
#include "cmds/cmds.h"
#include "cmds/jobs.h"
#include "cmds/plugin_options.h"
#include "qemu/probe.h"
#include "replay/machine.h"
#include "replay/retrace.h"

static const char usage[] =
	"usage: dejaview trace [OPTION]... RECORDING.dejaview\n"
	"\n"
	"Makes the recording's trace, or makes it again with other options, by replaying it. The old trace\n"
	"stays until the new one is whole. Where there are checkpoints (see dejaview checkpoint), the recording\n"
	"is replayed in segments, several at a time; the trace is the same.\n"
	"\n"
	"  -o, --output FILE      write it there instead of into the recording\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"  -j, --jobs N           segments at a time (default: one for each CPU, fewer where memory is\n"
	"                         short; 1: all in one piece)\n"
	"      --quiet            no progress\n"
	"\n" DV_PLUGIN_OPTIONS_USAGE;

#define QUIT_TIMEOUT_MS 60000

struct retrace {
	const char *output, *qemu, *images[16];
	size_t images_len;
	unsigned jobs; /* 0: one for each CPU */
	bool quiet;
	struct dv_plugin_args plugin_args;
	uint64_t last_icount;
	int percent; /* last shown */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool show(struct retrace *t, uint64_t done, uint64_t total)
{
	int percent = total ? (int)(done * 100 / total) : 0;
	bool tty = isatty(STDERR_FILENO);

	if (percent > 100)
		percent = 100;
	if (!t->quiet && (tty ? percent != t->percent : percent / 10 != t->percent / 10)) {
		fprintf(stderr, tty ? "\rdejaview trace: %d %%" : "dejaview trace: %d %%\n", percent);
		t->percent = percent;
	}
	return !interrupted;
}

static bool progress(void *context, uint64_t icount)
{
	struct retrace *t = context;

	return show(t, icount, t->last_icount);
}

static bool progress_of_all(void *context, uint64_t done, uint64_t total)
{
	return show(context, done, total);
}

static struct dv_error *replay(struct retrace *t, const struct dv_recording *r, const char *out)
{
	_cleanup_machine_ struct dv_machine machine = DV_MACHINE_INIT;
	_cleanup_free_ char *plugin = NULL;
	struct dv_machine_options options = {.mode = DV_QEMU_REPLAY, .qemu = t->qemu};

	DV_TRY(dv_plugin_find(&plugin));
	options.plugin = plugin;
	options.plugin_options = dv_plugin_args_strv(&t->plugin_args);
	DV_TRY(dv_machine_start(r, &options, &machine));
	DV_TRY(dv_machine_run_to_end(&machine, progress, t));
	return dv_machine_quit(&machine, QUIT_TIMEOUT_MS);
}

/* In segments if that can be done, else in one piece. */
static struct dv_error *replay_best(struct retrace *t, const struct dv_recording *r, const char *out)
{
	_cleanup_checkpoints_ struct dv_checkpoints checkpoints = {0};
	struct dv_retrace retrace = {.checkpoints = &checkpoints, .qemu = t->qemu, .progress = progress_of_all, .context = t};
	struct dv_error *err;

	DV_TRY(dv_plugin_args_finish(&t->plugin_args, r, out));
	err = t->jobs == 1 ? NULL : dv_checkpoints_open(r, &checkpoints);
	if (!err && checkpoints.len)
		t->jobs = dv_jobs_choose("trace", r, t->jobs, t->quiet);
	if (!err && t->jobs == 1)
		return replay(t, r, out);
	if (!err) {
		retrace.jobs = t->jobs;
		retrace.plugin_options = dv_plugin_args_strv(&t->plugin_args);
		err = dv_retrace_run(r, &retrace);
	}
	if (!err || err->code == DV_ERROR_CANCELLED)
		return err;
	if (!t->quiet)
		fprintf(stderr, "%sdejaview trace: %s: %s\n", isatty(STDERR_FILENO) && t->percent >= 0 ? "\n" : "",
			err->code == DV_ERROR_UNSUPPORTED ? "in one piece" : "once more, in one piece", err->message);
	dv_error_destroy(err);
	t->percent = -100;
	return replay(t, r, out);
}

static struct dv_error *trace(struct retrace *t, const char *folder)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *out = NULL, *partial = NULL;
	_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
	struct dv_error *err;

	DV_TRY(dv_recording_open(folder, &r));
	DV_TRY(dv_recording_repair(r));
	for (size_t i = 0; i < t->images_len; i++)
		DV_TRY(dv_recording_set_image(r, t->images[i]));
	DV_TRY(dv_qemu_probe(t->qemu ?: r->plan->binary, &version));
	DV_TRY(dv_recording_check(r, version.text));
	t->last_icount = dv_recording_last_icount(r);
	out = t->output ? dv_path_join(cwd ?: "/", t->output) : dv_recording_path(r, DV_RECORDING_TRACE);
	dv_buf_printf(&name, "%s.partial", out ?: "");
	partial = dv_buf_steal_string(&name);
	if (!out || !partial)
		return dv_error_no_memory();
	t->percent = -100;
	err = replay_best(t, r, partial);
	if (!t->quiet && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (!err && rename(partial, out))
		err = dv_error_os(errno, "%s: cannot put the new trace there", out);
	if (err)
		unlink(partial);
	return err;
}

int dv_cmd_trace(int argc, char **argv)
{
	enum { IMAGE = 256, QEMU, QUIET };
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, {"image", required_argument, NULL, IMAGE},
		{"qemu", required_argument, NULL, QEMU}, {"quiet", no_argument, NULL, QUIET},
		{"jobs", required_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, DV_PLUGIN_LONG_OPTIONS, {0}};
	struct sigaction action = {.sa_handler = interrupt};
	struct retrace t = {0};
	int c, status;

	while ((c = getopt_long(argc, argv, "o:j:h", options, NULL)) != -1) {
		if (c == 'o') {
			t.output = optarg;
		} else if (c == IMAGE && t.images_len < DV_ARRAY_SIZE(t.images)) {
			t.images[t.images_len++] = optarg;
		} else if (c == QEMU) {
			t.qemu = optarg;
		} else if (c == 'j') {
			if (!dv_jobs_parse("trace", optarg, &t.jobs))
				return 2;
		} else if (c == QUIET) {
			t.quiet = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (!dv_plugin_args_add(&t.plugin_args, c, optarg)) {
			fputs("Try 'dejaview trace --help'.\n", stderr);
			return 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = dv_cmd_report("trace", trace(&t, argv[optind]));
	dv_plugin_args_deinit(&t.plugin_args);
	return status;
}
