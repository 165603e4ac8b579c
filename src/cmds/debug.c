/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview debug: gdb at a moment of a recording, in this terminal. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include "base/buf.h"
#include "cmds/cmds.h"
#include "qemu/probe.h"
#include "query/query.h"
#include "replay/session.h"

static const char usage[] =
	"usage: dejaview debug [OPTION]... RECORDING.dejaview\n"
	"\n"
	"Opens gdb on the recording: any moment, forward and backward, with the kernel's names. Stepping, continuing,\n"
	"breakpoints and watchpoints work in both directions (reverse-stepi, reverse-continue ...). `help dv` in gdb\n"
	"lists what DejaView adds: dv seek, dv bt, dv next-call ...\n"
	"\n"
	"      --at ICOUNT        begin at this instruction count; ICOUNT@ADDRESS where an interrupt comes there\n"
	"      --slice ID         ... at the first instruction of a slice of the trace, by its row (slice.id), or as\n"
	"                         START:TID:DEPTH, which stays when the recording is traced again\n"
	"      --call FUNC[#N]    ... at the Nth call of a function\n"
	"      --end              ... at the end: a panic's last instruction\n"
	"      --debug-info PATH  a vmlinux with DWARF of this very kernel, or a folder with it and its modules; else\n"
	"                         they are looked for where packages put them, and without one the names are\n"
	"                         those in the kernel image\n"
	"      --sysroot DIR      a folder like the guest's root: user programs with symbols, before those that the\n"
	"                         recording's initramfs and disks have\n"
	"  -x, --command FILE     gdb commands to be run first (repeatable)\n"
	"      --gdb PROGRAM      the gdb to run\n"
	"      --no-checkpoints   replay from the beginning each time, and make no checkpoints meanwhile\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"\n"
	"Without checkpoints (dejaview checkpoint) the first seeks take longer; they are made meanwhile.\n";

#define MAX_IMAGES 16
#define MAX_SCRIPTS 16
#define CARRY_BYTES 65536

struct command {
	const char *qemu, *images[MAX_IMAGES], *to, *slice, *scripts[MAX_SCRIPTS + 1];
	size_t images_len, scripts_len;
	struct dv_session_options session;
	struct dv_gdb_options gdb;
	int status; /* gdb's exit code */
};

/* The way to the first place, while gdb reads its symbols. */
struct going {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool there;
	struct dv_error *err;
};

static void take_size(struct dv_gdb_options *gdb)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	gdb->rows = size.ws_row;
	gdb->columns = size.ws_col;
}

static bool carry(int from, int to)
{
	static char bytes[CARRY_BYTES];
	ssize_t got = read(from, bytes, sizeof(bytes));

	for (ssize_t done = 0; done < got;) {
		ssize_t n = write(to, bytes + done, (size_t)(got - done));

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		done += n > 0 ? n : 0;
	}
	return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Input that has ended is Ctrl-D for gdb. */
static void end_input(int terminal)
{
	static const char ctrl_d = 4;

	if (write(terminal, &ctrl_d, 1) < 0)
		return;
}

/* Between this terminal and gdb's until gdb ends. */
static void pass_terminal(struct dv_session *session, struct command *c, int signals)
{
	int terminal = dv_session_terminal_fd(session), status = 0;
	struct pollfd p[4] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = terminal, .events = POLLIN},
			      {.fd = signals, .events = POLLIN}, {.fd = dv_session_gdb_pidfd(session), .events = POLLIN}};

	for (;;) {
		struct signalfd_siginfo info;

		if (poll(p, 4, -1) < 0 && errno != EINTR)
			break;
		if ((p[1].revents & POLLIN) && !carry(terminal, STDOUT_FILENO))
			break;
		if (p[0].revents && !carry(STDIN_FILENO, terminal)) {
			end_input(terminal);
			p[0].fd = -1;
		}
		if ((p[2].revents & POLLIN) && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGWINCH)
				break;
			take_size(&c->gdb);
			dv_session_resize(session, c->gdb.rows, c->gdb.columns);
		}
		if (p[3].revents && !(p[1].revents & POLLIN) && dv_session_gdb_ended(session, &status))
			break;
	}
	if (dv_session_gdb_ended(session, &status))
		c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static struct dv_error *in_raw_terminal(struct dv_session *session, struct command *c, int signals)
{
	struct termios before, raw;
	bool is_terminal = !tcgetattr(STDIN_FILENO, &before);

	raw = before;
	if (is_terminal) {
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	pass_terminal(session, c, signals);
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return NULL;
}

static void arrived(void *context, struct dv_error *err, const struct dv_timeline_now *now)
{
	struct going *g = context;

	(void)now;
	pthread_mutex_lock(&g->lock);
	g->there = true;
	g->err = err ? dv_error_new(err->code, "%s", err->message) : NULL;
	pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static struct dv_error *wait_for(struct going *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->there)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return g->err;
}

/* A row of the trace's table slice, as the name that it has in every trace of the recording. */
static struct dv_error *slice_by_id(const char *folder, const char *text, char **ret)
{
	_cleanup_(dv_query_closep) struct dv_query *query = NULL;
	_cleanup_buf_ struct dv_buf key = DV_BUF_INIT;
	const struct dv_query_thread *thread;
	struct dv_query_slice slice;
	uint64_t id;
	char *end;

	errno = 0;
	id = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return dv_error_new(DV_ERROR_INVALID, "--slice %s: a slice is a row id, or START:TID:DEPTH", text);
	DV_TRY(dv_query_open(folder, NULL, &query));
	if (id >= DV_QUERY_NONE || !dv_query_slice(query, (uint32_t)id, &slice))
		return dv_error_new(DV_ERROR_NOT_FOUND, "the trace has no slice %s: its ids go from 0 to %" PRIi64, text,
				    (int64_t)dv_query_info(query)->slices - 1);
	if (slice.utid == DV_QUERY_NONE)
		return dv_error_new(DV_ERROR_NOT_FOUND, "slice %s is of no thread", text);
	thread = dv_query_thread(query, slice.utid);
	dv_buf_printf(&key, "%" PRIu64 ":%" PRIi64 ":%" PRIu32, slice.start_icount, thread->tid, slice.depth);
	*ret = dv_buf_steal_string(&key);
	return *ret ? NULL : dv_error_no_memory();
}

static struct dv_error *debug(struct command *c, struct dv_recording *r, int signals)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_(dv_session_destroyp) struct dv_session *session = NULL;
	struct going going = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, !c->to, NULL};
	struct dv_timeline_command to;
	struct dv_error *err;

	for (size_t i = 0; i < c->images_len; i++)
		DV_TRY(dv_recording_set_image(r, c->images[i]));
	DV_TRY(dv_qemu_probe(c->qemu ?: r->plan->binary, &version));
	DV_TRY(dv_recording_check(r, version.text));
	c->session.timeline.qemu = c->qemu;
	DV_TRY(dv_session_create(r, &c->session, &session));
	if (c->to) {
		DV_TRY(dv_session_resolve(session, c->to, &to));
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "dejaview debug: going there ...\r");
		DV_TRY(dv_timeline_post(dv_session_timeline(session), &to, arrived, &going));
	}
	take_size(&c->gdb);
	c->gdb.scripts = c->scripts;
	err = dv_session_start_gdb(session, &c->gdb);
	if (err && !going.there)
		dv_timeline_interrupt(dv_session_timeline(session));
	if (err) {
		dv_error_destroy(wait_for(&going));
		return err;
	}
	DV_TRY(wait_for(&going));
	return in_raw_terminal(session, c, signals);
}

static struct dv_error *run(struct command *c, const char *folder, int signals)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_free_ char *by_id = NULL;

	DV_TRY(dv_recording_open(folder, &r));
	DV_TRY(dv_recording_repair(r));
	if (c->slice && strchr(c->slice, ':'))
		c->to = c->slice;
	else if (c->slice) {
		DV_TRY(slice_by_id(folder, c->slice, &by_id));
		c->to = by_id;
	}
	return debug(c, r, signals);
}

/* Ctrl-C goes to gdb as a byte; these come from elsewhere. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int dv_cmd_debug(int argc, char **argv)
{
	enum { IMAGE = 256, QEMU, AT, SLICE, CALL, END, DEBUG_INFO, SYSROOT, GDB, NO_CHECKPOINTS };
	static const struct option options[] = {
		{"at", required_argument, NULL, AT}, {"slice", required_argument, NULL, SLICE},
		{"call", required_argument, NULL, CALL}, {"end", no_argument, NULL, END},
		{"debug-info", required_argument, NULL, DEBUG_INFO}, {"sysroot", required_argument, NULL, SYSROOT},
		{"command", required_argument, NULL, 'x'},
		{"gdb", required_argument, NULL, GDB}, {"no-checkpoints", no_argument, NULL, NO_CHECKPOINTS},
		{"image", required_argument, NULL, IMAGE}, {"qemu", required_argument, NULL, QEMU},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct command command = {0};
	int c, places = 0, status;

	while ((c = getopt_long(argc, argv, "x:h", options, NULL)) != -1) {
		switch (c) {
		case SLICE: command.slice = optarg; places++; break;
		case AT:
		case CALL: command.to = optarg; places++; break;
		case END: command.to = "end"; places++; break;
		case DEBUG_INFO: command.session.debug_info = optarg; break;
		case SYSROOT: command.session.sysroot = optarg; break;
		case GDB: command.gdb.gdb = optarg; break;
		case NO_CHECKPOINTS: command.session.timeline.no_checkpoints = true; break;
		case QEMU: command.qemu = optarg; break;
		case IMAGE:
			if (command.images_len < MAX_IMAGES)
				command.images[command.images_len++] = optarg;
			break;
		case 'x':
			if (command.scripts_len < MAX_SCRIPTS)
				command.scripts[command.scripts_len++] = optarg;
			break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs("Try 'dejaview debug --help'.\n", stderr); return 2;
		}
	}
	if (argc - optind != 1 || places > 1) {
		fputs(usage, stderr);
		return 2;
	}
	status = dv_cmd_report("debug", run(&command, argv[optind], block_signals()));
	return status ?: command.status;
}
