/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview dap: the Debug Adapter Protocol, for editors. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cmds/cmds.h"
#include "dap/adapter.h"
#include "qemu/probe.h"
#include "replay/session.h"

static const char usage[] =
	"usage: dejaview dap [OPTION]...\n"
	"\n"
	"A debug adapter for editors: it speaks the Debug Adapter Protocol on standard input and output, or to one\n"
	"client after the other on a port. docs/editors.md has recipes for VS Code, Neovim and Emacs.\n"
	"\n"
	"A launch configuration has:\n"
	"  recording   the recording's folder\n"
	"  at          where to begin: ICOUNT, ICOUNT@ADDRESS, START:TID:DEPTH, FUNC#N or \"end\" (default: 0)\n"
	"  debugInfo   a vmlinux with DWARF, or a folder with it (default: looked for where packages put it)\n"
	"  sources     the kernel's sources, where the vmlinux was built in another folder\n"
	"  sysroot, image, qemu as of 'dejaview debug': a string; several images are an array\n"
	"\n"
	"      --port N           listen on this port of 127.0.0.1 instead; 0 picks one, which is printed\n";

#define MI_TIMEOUT_MS 30000
#define MAX_IMAGES 16

struct launched {
	struct dv_recording *recording;
	struct dv_session *session;
	struct dv_mi *mi;
	struct dv_query *query;
	json_t *sources; /* of the launch configuration */
	pthread_t drain;
	bool has_drain;
	int drain_end[2]; /* written to when the drain shall end */
};

/* ---- what a launch opens ---- */

/* gdb's own terminal has nobody to read it, and would fill up. */
static void *drain(void *context)
{
	struct launched *l = context;
	struct pollfd p[2] = {{.fd = dv_session_terminal_fd(l->session), .events = POLLIN},
			      {.fd = l->drain_end[0], .events = POLLIN}};
	char bytes[4096];

	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[1].revents)
			break;
		if (p[0].revents && read(p[0].fd, bytes, sizeof(bytes)) <= 0)
			p[0].fd = -1;
	}
	return NULL;
}

static struct dv_error *set_images(struct dv_recording *r, const json_t *image)
{
	const json_t *one;
	size_t i;

	if (json_is_string(image))
		return dv_recording_set_image(r, json_string_value(image));
	json_array_foreach(image, i, one)
		if (json_is_string(one) && i < MAX_IMAGES)
			DV_TRY(dv_recording_set_image(r, json_string_value(one)));
	return NULL;
}

static struct dv_error *open_recording(struct launched *l, const json_t *arguments, const char *qemu)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	const char *folder = json_string_value(json_object_get(arguments, "recording"));

	if (!folder)
		return dv_error_new(DV_ERROR_INVALID, "the launch configuration names no \"recording\"");
	DV_TRY(dv_recording_open(folder, &l->recording));
	DV_TRY(dv_recording_repair(l->recording));
	DV_TRY(set_images(l->recording, json_object_get(arguments, "image")));
	DV_TRY(dv_qemu_probe(qemu ?: l->recording->plan->binary, &version));
	return dv_recording_check(l->recording, version.text);
}

static struct dv_error *start_gdb(struct launched *l, dv_mi_fn on_line, void *line_context)
{
	const struct dv_gdb_options gdb = {.mi = true};
	int fd;

	DV_TRY(dv_session_start_gdb(l->session, &gdb));
	if (pipe2(l->drain_end, O_CLOEXEC))
		return dv_error_os(errno, "no pipe");
	l->has_drain = !pthread_create(&l->drain, NULL, drain, l);
	if (!l->has_drain)
		return dv_error_new(DV_ERROR_NO_MEMORY, "no thread to read gdb's terminal");
	fd = fcntl(dv_session_mi_fd(l->session), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return dv_error_os(errno, "gdb's machine interface");
	DV_TRY(dv_mi_create(fd, fd, on_line, line_context, &l->mi));
	return dv_mi_run(l->mi, MI_TIMEOUT_MS, NULL, "-list-features");
}

static struct dv_error *find_start(struct launched *l, const json_t *arguments, struct dv_dap_target *ret)
{
	const json_t *at = json_object_get(arguments, "at");

	ret->start = (struct dv_timeline_command){.verb = DV_TIMELINE_SEEK, .rip = DV_NO_RIP};
	ret->has_start = json_is_integer(at) || json_is_string(at);
	if (json_is_integer(at))
		ret->start.icount = (uint64_t)json_integer_value(at);
	else if (json_is_string(at))
		DV_TRY(dv_session_resolve(l->session, json_string_value(at), &ret->start));
	else if (at && !json_is_null(at))
		return dv_error_new(DV_ERROR_INVALID, "\"at\" is a number, or a string as \"vfs_read#3\" or \"end\"");
	return NULL;
}

/* Where the sources lie that the debug information names by relative or foreign paths. */
static struct dv_error *set_sources(struct launched *l, const json_t *sources)
{
	_cleanup_free_ char *quoted = json_is_string(sources) ? dv_mi_quote(json_string_value(sources)) : NULL;

	if (!sources || json_is_null(sources))
		return NULL;
	if (!quoted)
		return dv_error_new(DV_ERROR_INVALID, "\"sources\" is a folder");
	return dv_mi_run(l->mi, MI_TIMEOUT_MS, NULL, "-environment-directory %s", quoted);
}

static void close_launched(void *context)
{
	struct launched *l = context;

	dv_mi_destroy(l->mi);
	if (l->has_drain) {
		if (write(l->drain_end[1], "", 1) == 1)
			pthread_join(l->drain, NULL);
		close(l->drain_end[0]);
		close(l->drain_end[1]);
	}
	dv_session_destroy(l->session);
	dv_query_close(l->query);
	dv_recording_destroy(l->recording);
	json_decref(l->sources);
	*l = (struct launched){0};
}

static struct dv_error *open_launched(void *context, const json_t *arguments, struct dv_dap_target *ret)
{
	struct launched *l = context;
	struct dv_session_options options = {.debug_info = json_string_value(json_object_get(arguments, "debugInfo")),
					     .sysroot = json_string_value(json_object_get(arguments, "sysroot"))};

	options.timeline.qemu = json_string_value(json_object_get(arguments, "qemu"));
	DV_TRY(open_recording(l, arguments, options.timeline.qemu));
	DV_TRY(dv_session_create(l->recording, &options, &l->session));
	l->sources = json_incref(json_object_get(arguments, "sources"));
	ret->timeline = dv_session_timeline(l->session);
	return find_start(l, arguments, ret);
}

static struct dv_error *start_launched(void *context, dv_mi_fn on_line, void *line_context, struct dv_dap_target *ret)
{
	struct launched *l = context;

	/* Without a trace there is one thread to see. */
	dv_error_destroy(dv_query_open(l->recording->folder, NULL, &l->query));
	DV_TRY(start_gdb(l, on_line, line_context));
	DV_TRY(set_sources(l, l->sources));
	ret->mi = l->mi;
	ret->query = l->query;
	return NULL;
}

/* ---- clients ---- */

static struct dv_error *serve(int in_fd, int out_fd)
{
	_cleanup_(dv_dap_transport_destroyp) struct dv_dap_transport *transport = NULL;
	struct launched launched = {0};
	struct dv_dap_host host = {.open = open_launched, .start = start_launched, .close = close_launched, .context = &launched};

	DV_TRY(dv_dap_transport_create(in_fd, out_fd, &transport));
	return dv_dap_serve(transport, &host);
}

static struct dv_error *listen_on(uint16_t port, int *ret)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return dv_error_os(errno, "no socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return dv_error_os(errno, "port %u of 127.0.0.1 (--port 0 picks a free one)", port);
	printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
	fflush(stdout);
	*ret = fd;
	fd = -1;
	return NULL;
}

static struct dv_error *serve_port(uint16_t port)
{
	_cleanup_close_ int fd = -1;

	DV_TRY(listen_on(port, &fd));
	for (;;) {
		_cleanup_close_ int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		struct dv_error *err = client < 0 ? NULL : serve(client, client);

		if (client < 0 && errno != EINTR && errno != ECONNABORTED)
			return dv_error_os(errno, "no more clients");
		if (err)
			fprintf(stderr, "dejaview dap: a client: %s\n", err->message);
		dv_error_destroy(err);
	}
}

int dv_cmd_dap(int argc, char **argv)
{
	static const struct option options[] = {{"port", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {0}};
	unsigned long port = 0;
	bool on_port = false;
	char *end = (char *)"";
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		on_port = c == 'p';
		if (on_port)
			port = strtoul(optarg, &end, 10);
		if (!on_port || *end || end == optarg || port > UINT16_MAX) {
			fputs("Try 'dejaview dap --help'.\n", stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	return dv_cmd_report("dap", on_port ? serve_port((uint16_t)port) : serve(STDIN_FILENO, STDOUT_FILENO));
}
