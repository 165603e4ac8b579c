/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview record: a QEMU command line run so that it can be replayed, and traced while it runs. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include "base/buf.h"
#include "cmds/cmds.h"
#include "cmds/plugin_options.h"
#include "qemu/cmdline.h"
#include "qemu/probe.h"
#include "replay/forwards.h"
#include "replay/machine.h"
#include "trace/status.h"

static const char usage[] =
	"usage: dejaview record [OPTION]... -- qemu-system-x86_64 [QEMU'S OPTION]...\n"
	"\n"
	"Runs your QEMU command line and records it: the folder NAME.dejaview then holds all that is needed\n"
	"to replay it, and a trace of every function call. What in the command line would not replay is\n"
	"changed, and each change said; disk images are read, never written. Ends with the guest's\n"
	"power-off, Ctrl-A X, or SIGINT or SIGTERM.\n"
	"\n"
	"  -o, --output FOLDER  default: NAME.dejaview, named after kernel and time\n"
	"      --force          replace a recording that is there already\n"
	"      --no-trace       record alone; `dejaview trace` makes the trace later\n"
	"      --copy-image     put copies of the disks' base images into the folder\n"
	"      --quiet          guest's console to the folder's console.log alone; say nothing\n"
	"      --json           at the end, say on stdout what was recorded (implies --quiet)\n"
	"\n" DV_PLUGIN_OPTIONS_USAGE
	"\n"
	"Example: dejaview record -o boot.dejaview -- qemu-system-x86_64 -m 512 -nographic -no-reboot \\\n"
	"           -net none -kernel vmlinuz -initrd initrd.img -append 'console=ttyS0 panic=-1'\n";

#define QUIT_TIMEOUT_MS 60000
#define TICK_MS 200

struct record {
	const char *output;
	bool force, no_trace, copy_image, quiet, json;
	struct dv_plugin_args plugin_args;
	struct dv_recording *recording;
	struct dv_terminal *terminal;
	struct dv_machine machine;
	struct dv_forwards *forwards;
	int signal_fd;
	struct dv_trace_status *status;
	bool started;
	char how[64]; /* how it ended; "" while it runs */
};

/* The kernel's file name, else "recording", and the time. */
static char *default_output(const struct dv_qemu_plan *plan)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	const char *base = "recording";
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	for (size_t i = 0; i < plan->files_len; i++)
		if (!strcmp(plan->files[i].role, "kernel"))
			base = strrchr(plan->files[i].path, '/') + 1;
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	dv_buf_printf(&out, "%s-%s.dejaview", base, when);
	return dv_buf_steal_string(&out);
}

static void show_progress(struct record *rec)
{
	char line[128];

	if (!rec->terminal || !rec->status || !dv_trace_status_is_live(rec->status))
		return;
	snprintf(line, sizeof(line), "[dejaview: %.1f M instructions, %.2f M calls, %.1f MB%s; Ctrl-A X ends]",
		 (double)dv_trace_status_get(&rec->status->icount) / 1e6,
		 (double)dv_trace_status_get(&rec->status->calls) / 1e6,
		 (double)dv_trace_status_get(&rec->status->trace_bytes) / 1e6,
		 dv_forwards_waiting(rec->forwards) ? ", ports not open yet" : "");
	dv_terminal_status(rec->terminal, line);
}

static void digest_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	const struct record *rec = context;

	if (!rec->quiet && total > (1u << 30) && done % (1u << 28) == 0)
		fprintf(stderr, "dejaview: %s: %llu of %llu MB read\n", what, (unsigned long long)done >> 20,
			(unsigned long long)total >> 20);
}

/* What QMP has to say: the guest's power-off is the end. */
static struct dv_error *take_events(struct record *rec)
{
	for (;;) {
		json_t *event = NULL;
		const char *name;
		bool reset;

		DV_TRY(dv_qmp_event(rec->machine.qmp, 0, &event));
		if (!event)
			return NULL;
		name = json_string_value(json_object_get(event, "event"));
		reset = name && !strcmp(name, "RESET");
		if (name && !strcmp(name, "SHUTDOWN"))
			snprintf(rec->how, sizeof(rec->how), "%s",
				 json_string_value(json_object_get(json_object_get(event, "data"), "reason")) ?: "?");
		json_decref(event);
		if (reset)
			DV_TRY(dv_forwards_close(rec->forwards, &rec->machine));
	}
}

/* One that cannot be opened is no reason to end. */
static struct dv_error *open_ports(struct record *rec)
{
	struct dv_error *err = dv_forwards_waiting(rec->forwards) ? dv_forwards_open(rec->forwards, &rec->machine) : NULL;

	if (!err || err->code != DV_ERROR_UNSUPPORTED)
		return err;
	fprintf(stderr, "\r\ndejaview: %s\r\n", err->message); /* the terminal is raw */
	dv_error_destroy(err);
	return NULL;
}

/* Speaks with QEMU; *ret_gone: it has closed the connection, and the process says why. */
static struct dv_error *attend(struct record *rec, bool *ret_gone)
{
	struct dv_error *err = open_ports(rec);

	/* A command's answer may have brought events with it, which no poll() sees. */
	if (!err)
		err = take_events(rec);
	if (!err || err->code != DV_ERROR_EXITED)
		return err;
	dv_error_destroy(err);
	*ret_gone = true;
	return NULL;
}

/* Until the guest ends, somebody wants it to end, or QEMU is gone. */
static struct dv_error *run(struct record *rec)
{
	struct pollfd fds[] = {
		{.fd = dv_qmp_fd(rec->machine.qmp), .events = POLLIN},
		{.fd = rec->machine.process.pidfd, .events = POLLIN},
		{.fd = rec->signal_fd, .events = POLLIN},
		{.fd = rec->terminal ? dv_terminal_quit_fd(rec->terminal) : -1, .events = POLLIN},
	};
	bool gone = false;

	while (!*rec->how) {
		if (poll(fds, DV_ARRAY_SIZE(fds), TICK_MS) < 0 && errno != EINTR)
			return dv_error_os(errno, "poll");
		if (!gone)
			DV_TRY(attend(rec, &gone));
		if (gone)
			fds[0].fd = -1;
		if (!*rec->how && fds[1].revents) {
			bool ended;

			DV_TRY(dv_process_wait(&rec->machine.process, 1000, &ended));
			snprintf(rec->how, sizeof(rec->how), "qemu-exited");
		}
		if (fds[2].revents) {
			struct signalfd_siginfo info;

			if (read(rec->signal_fd, &info, sizeof(info)) == sizeof(info))
				snprintf(rec->how, sizeof(rec->how), "signal %u", info.ssi_signo);
		}
		if (fds[3].revents)
			snprintf(rec->how, sizeof(rec->how), "user");
		show_progress(rec);
	}
	return NULL;
}

static struct dv_error *start(struct record *rec, const char *plugin)
{
	_cleanup_free_ char *trace = dv_recording_path(rec->recording, DV_RECORDING_TRACE);
	_cleanup_free_ char *status = NULL;
	struct dv_machine_options options = {.mode = DV_QEMU_RECORD, .plugin = plugin};
	struct dv_error *err;

	DV_TRY(dv_plugin_args_finish(&rec->plugin_args, rec->recording, trace));
	options.plugin_options = dv_plugin_args_strv(&rec->plugin_args);
	if (!rec->quiet)
		DV_TRY(dv_terminal_create(STDIN_FILENO, STDOUT_FILENO, &rec->terminal));
	options.terminal = rec->terminal;
	err = dv_machine_start(rec->recording, &options, &rec->machine);
	rec->started = !err;
	if (err || !plugin)
		return err;
	status = dv_machine_status_path(&rec->machine);
	return status ? dv_trace_status_map(status, &rec->status) : dv_error_no_memory();
}

/* Runs it and ends it; the recording is completed whatever happened, as far as its log allows. */
static struct dv_error *record_and_end(struct record *rec, const char *plugin)
{
	_cleanup_error_ struct dv_error *err = start(rec, plugin);
	struct dv_error *end = NULL;

	if (!err) {
		err = run(rec);
		if (!rec->machine.process.ended)
			end = dv_machine_quit(&rec->machine, QUIT_TIMEOUT_MS);
		else
			end = dv_process_check(&rec->machine.process);
	}
	dv_terminal_destroy(rec->terminal);
	rec->terminal = NULL;
	if (err) {
		if (!rec->started)
			dv_recording_remove(rec->recording);
		return dv_steal(err);
	}
	if (end) {
		dv_error_destroy(dv_recording_complete(rec->recording, rec->how));
		return dv_error_prefix(end, "the recording is kept, `dejaview info %s` says what it holds",
				       rec->recording->folder);
	}
	return dv_recording_complete(rec->recording, rec->how);
}

static void say_result(const struct record *rec)
{
	const struct dv_recording *r = rec->recording;

	if (rec->json) {
		json_t *json = json_pack("{s:s, s:s, s:I, s:b}", "recording", r->folder, "ended", rec->how, "icount",
					 (json_int_t)dv_recording_last_icount(r), "traced", !rec->no_trace);

		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
	} else if (!rec->quiet) {
		fprintf(stderr, "dejaview: recorded %llu instructions into %s (ended: %s)\n",
			(unsigned long long)dv_recording_last_icount(r), r->folder, rec->how);
	}
}

/* Whether something may come in: a terminal, or what somebody pipes in. */
static bool has_input(const struct record *rec)
{
	struct stat st;

	return !rec->quiet && (isatty(STDIN_FILENO) || (!fstat(STDIN_FILENO, &st) &&
							(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))));
}

static struct dv_error *record(struct record *rec, int argc, char **argv)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_free_ char *output = NULL, *plugin = NULL;
	struct dv_recording_options options = {.force = rec->force, .copy_images = rec->copy_image,
					       .progress = digest_progress, .progress_context = rec};
	json_t *kept = NULL;
	struct dv_error *err;

	DV_TRY(dv_qemu_plan_create(argc, argv, NULL, &plan));
	if (!has_input(rec))
		DV_TRY(dv_qemu_plan_no_input(plan));
	DV_TRY(dv_qemu_probe(plan->binary, &version));
	if (!rec->no_trace)
		DV_TRY(dv_plugin_find(&plugin));
	DV_TRY(dv_forwards_create(plan, &rec->forwards));
	output = rec->output ? strdup(rec->output) : default_output(plan);
	kept = rec->no_trace ? NULL : dv_plugin_args_json(&rec->plugin_args);
	options.qemu_version = version.text;
	options.plugin_options = kept;
	err = dv_recording_create(output ?: "", plan, &options, &rec->recording);
	json_decref(kept);
	DV_TRY(err);
	for (size_t i = 0; !rec->quiet && i < plan->notes_len; i++)
		fprintf(stderr, "dejaview: %s\n", plan->notes[i]);
	dv_steal(plan); /* the recording's now */
	DV_TRY(record_and_end(rec, plugin));
	say_result(rec);
	return NULL;
}

int dv_cmd_record(int argc, char **argv)
{
	enum { NO_TRACE = 256, COPY_IMAGE, FORCE, QUIET, JSON };
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, {"no-trace", no_argument, NULL, NO_TRACE},
		{"copy-image", no_argument, NULL, COPY_IMAGE}, {"force", no_argument, NULL, FORCE},
		{"quiet", no_argument, NULL, QUIET}, {"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, 'h'}, DV_PLUGIN_LONG_OPTIONS, {0}};
	struct record rec = {.machine = DV_MACHINE_INIT, .signal_fd = -1};
	sigset_t signals;
	int c, status;

	while ((c = getopt_long(argc, argv, "+o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o': rec.output = optarg; break;
		case NO_TRACE: rec.no_trace = true; break;
		case COPY_IMAGE: rec.copy_image = true; break;
		case FORCE: rec.force = true; break;
		case JSON: rec.json = rec.quiet = true; break;
		case QUIET: rec.quiet = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default:
			if (!dv_plugin_args_add(&rec.plugin_args, c, optarg)) {
				fputs("Try 'dejaview record --help'.\n", stderr);
				return 2;
			}
		}
	}
	if (optind >= argc) {
		fputs("dejaview record: QEMU's command line is missing: dejaview record -- qemu-system-x86_64 ...\n"
		      "Try 'dejaview record --help'.\n", stderr);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	rec.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	status = dv_cmd_report("record", record(&rec, argc - optind, argv + optind));
	dv_trace_status_unmap(rec.status);
	dv_machine_deinit(&rec.machine);
	dv_forwards_destroy(rec.forwards);
	dv_recording_destroy(rec.recording);
	close(rec.signal_fd);
	dv_plugin_args_deinit(&rec.plugin_args);
	return status;
}
