/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview serve: a trace on a loopback port, for the viewer, editors and scripts. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "base/io.h"
#include "base/thread.h"
#include "cmds/cmds.h"
#include "cmds/summary.h"
#include "dv_config.h"
#include "rpc/perfetto.h"
#include "rpc/rpc.h"
#include "server/server.h"

#define DEFAULT_PORT 9001
#define DEFAULT_QUERY_SECONDS 600
#define MAX_QUERY_SECONDS 86400
#define MAX_LIST 32 /* hosts, origins, folders of sources */

extern char **environ;

static const char usage[] =
	"usage: dejaview serve [OPTION]... RECORDING.dejaview|TRACE.dvtrace\n"
	"\n"
	"Serves a trace to the viewer in a browser, to editors and to scripts, on a port of this machine alone.\n"
	"Open the URL that it prints: the token in it is the key. Ctrl-C ends it.\n"
	"\n"
	"      --port N           the port (9001); 0: any that is free\n"
	"      --open             open the URL in the browser\n"
	"      --source DIR       where the sources lie that the trace names; may be given again\n"
	"      --debug-info PATH  for the debugger: a vmlinux with DWARF of this very kernel, or a folder with it;\n"
	"                         else one is looked for where packages put it\n"
	"      --sysroot DIR      for the debugger: a folder like the guest's root, with user programs that have\n"
	"                         symbols\n"
	"      --allow-host HOST  take requests for this host too: a proxy's name, NAME or NAME:PORT\n"
	"      --allow-origin O   take requests of this web origin too, as https://editor.example:8443\n"
	"      --query-seconds N  longest run of one request (600); 0: any\n"
	"      --perfetto         speak Perfetto's RPC as well, for its clients and ui.perfetto.dev. They cannot\n"
	"                         send a token: everything on this machine can then read the trace, and only that\n"
	"      --json             say where it is as a line of JSON, for programs\n"
	"\n"
	"From another machine: ssh -L 9001:127.0.0.1:9001 HOST, and open the URL there.\n";

struct list {
	const char *items[MAX_LIST + 1]; /* NULL-terminated */
	size_t len;
};

struct serve {
	struct list hosts, origins, sources;
	uint16_t port;
	unsigned query_seconds;
	bool opens, perfetto, json;
	const char *path, *debug_info, *sysroot;
	char *files; /* the viewer's; NULL: not built */

	struct dv_server *server;
	struct dv_rpc *rpc;
	pthread_mutex_t lock; /* of what is printed */
	bool shows_progress;
	bool failed;
};

/* Clients of the protocol, as the transport has them */

static void *ref_peer(void *peer)
{
	return dv_peer_ref(peer);
}

static void unref_peer(void *peer)
{
	dv_peer_unref(peer);
}

static bool wait_peer(void *peer)
{
	return dv_peer_wait(peer);
}

static bool send_peer(void *peer, bool is_text, const void *data, size_t len)
{
	return dv_peer_send(peer, is_text, data, len);
}

static const struct dv_rpc_sink sink = {ref_peer, unref_peer, wait_peer, send_peer};

static void *client_opened(void *context, struct dv_peer *peer)
{
	struct serve *s = context;

	return dv_rpc_client_create(s->rpc, &sink, peer);
}

static void client_message(void *client, bool is_text, const void *data, size_t len)
{
	if (is_text)
		dv_rpc_client_text(client, data, len);
	else
		dv_rpc_client_binary(client, data, len);
}

static void client_closed(void *client)
{
	dv_rpc_client_destroy(client);
}

static void answer_status(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	static const char text[] = "{\"daemon\":\"dejaview\",\"version\":\"" DV_VERSION "\"}\n";

	dv_peer_respond(peer, 200, "application/json", text, sizeof(text) - 1);
}

/* What is said on the terminal */

/* From the thread that loads. */
static void on_loading(void *context, uint64_t done, uint64_t total, const struct dv_error *err)
{
	struct serve *s = context;

	pthread_mutex_lock(&s->lock);
	if (total) {
		if (s->shows_progress)
			fprintf(stderr, "\rloading %3d %%", (int)(done * 100 / total));
	} else {
		if (s->shows_progress)
			fprintf(stderr, "\r\033[K");
		if (err && err->code != DV_ERROR_CANCELLED)
			fprintf(stderr, "dejaview serve: %s\n", err->message);
		else if (err)
			;
		else if (s->json)
			printf("{\"state\":\"ready\"}\n");
		else
			printf("loaded\n");
		fflush(stdout);
		/* Cancelled: by a client, or because it is ended while it loads. */
		s->failed = err && err->code != DV_ERROR_CANCELLED;
	}
	pthread_mutex_unlock(&s->lock);
	/* With nothing to serve there is nobody to wait for; a client that has cancelled may think better of it. */
	if (err && err->code != DV_ERROR_CANCELLED)
		dv_server_stop(s->server);
}

static char *url_of(const struct serve *s)
{
	char *url;

	if (asprintf(&url, "http://127.0.0.1:%u/?token=%s", dv_server_port(s->server), dv_server_token(s->server)) < 0)
		return NULL;
	return url;
}

static void say_where(struct serve *s, const char *url)
{
	unsigned port = dv_server_port(s->server);

	if (s->json) {
		json_t *json = json_pack("{s:s, s:i, s:s, s:s, s:b}", "url", url, "port", port, "token",
					 dv_server_token(s->server), "path", s->path, "perfetto", s->perfetto);

		json_dumpf(json, stdout, JSON_COMPACT);
		json_decref(json);
		putchar('\n');
	} else {
		printf("%s\n", url);
		if (!s->files)
			printf("(The viewer's page is not built: the page there says how.)\n");
		if (s->perfetto)
			printf("Perfetto's clients: 127.0.0.1:%u, read-only, without a token: everything on this machine can "
			       "read the trace.\n", port);
		printf("Ctrl-C ends it.\n");
	}
	fflush(stdout);
}

static void open_browser(const char *url)
{
	char program[] = "xdg-open";
	char *argv[] = {program, (char *)url, NULL};
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int error;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (error)
		fprintf(stderr, "dejaview serve: xdg-open: %s; open the URL by hand\n", strerror(error));
	else
		waitpid(pid, NULL, WNOHANG);
}

/* Signals come to a thread of their own, which may call what a handler may not. */
static void *wait_for_signals(void *context)
{
	struct serve *s = context;
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigwait(&set, &signal);
	dv_server_stop(s->server);
	return NULL;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Serving */

static void on_stopping(void *context)
{
	struct serve *s = context;

	dv_rpc_goodbye(s->rpc, "dejaview serve was ended");
}

/* Perfetto's clients */

static void end_peer(void *peer)
{
	dv_peer_end(peer);
}

static bool is_peer_gone(void *peer)
{
	return dv_peer_is_gone(peer);
}

static bool send_http(void *peer, const void *data, size_t len)
{
	return dv_peer_piece(peer, data, len);
}

static bool send_binary(void *peer, const void *data, size_t len)
{
	return dv_peer_send(peer, false, data, len);
}

static const struct dv_perfetto_sink http_sink = {
	ref_peer, unref_peer, wait_peer, is_peer_gone, send_http, end_peer,
};
static const struct dv_perfetto_sink stream_sink = {
	ref_peer, unref_peer, wait_peer, is_peer_gone, send_binary, NULL,
};
#define PROTOBUF "application/x-protobuf"

static void perfetto_status(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	struct serve *s = context;
	_cleanup_buf_ struct dv_buf status = DV_BUF_INIT;

	dv_perfetto_status(s->rpc, &status);
	dv_peer_respond(peer, 200, PROTOBUF, status.data, status.len);
}

static void perfetto_query(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	struct serve *s = context;

	dv_peer_begin(peer, 200, PROTOBUF);
	dv_perfetto_query(s->rpc, &http_sink, peer, body, len);
}

static void perfetto_rpc(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	struct serve *s = context;
	struct dv_perfetto_stream *stream = dv_perfetto_stream_create(s->rpc, &http_sink, peer);

	if (!stream) {
		dv_peer_respond(peer, 500, NULL, NULL, 0);
		return;
	}
	dv_peer_begin(peer, 200, PROTOBUF);
	dv_perfetto_stream_feed(stream, body, len);
	dv_perfetto_stream_finish(stream);
	dv_perfetto_stream_destroy(stream);
}

/* The trace is there and stays: what loads or resets one does nothing, so that clients that say it go on. */
static void perfetto_nothing(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	dv_peer_respond(peer, 200, PROTOBUF, NULL, 0);
}

static void *perfetto_opened(void *context, struct dv_peer *peer)
{
	struct serve *s = context;

	return dv_perfetto_stream_create(s->rpc, &stream_sink, peer);
}

static void perfetto_message(void *client, bool is_text, const void *data, size_t len)
{
	dv_perfetto_stream_feed(client, data, len);
}

static void perfetto_closed(void *client)
{
	dv_perfetto_stream_destroy(client);
}

/* Starting */

static const char no_viewer[] =
	"<!doctype html><meta charset=utf-8><title>DejaView</title>"
	"<h1>The viewer is not built</h1>"
	"<p>The daemon runs, but this build of DejaView has no viewer: building it needs node and npm."
	"<pre>scripts/setup --check\nmeson setup --reconfigure build\nninja -C build</pre>"
	"<p>Meanwhile <code>dejaview query</code> and <code>dejaview report</code> answer on the terminal, and a "
	".dvtrace opens in Perfetto.\n";

/* Where the viewer's files are: as DEJAVIEW_WEB says, in the build folder, or installed. NULL: nowhere. */
static char *find_viewer(void)
{
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL);
	const char *set = getenv("DEJAVIEW_WEB");
	char *beside = NULL;

	if (set)
		return strdup(set);
	if (self && strrchr(self, '/')) {
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < 2; i++) {
			_cleanup_free_ char *page = NULL;

			if (asprintf(&beside, i ? "%s/web/dist" : "%s/web", self) < 0)
				return NULL;
			page = dv_path_join(beside, "index.html");
			if (page && !access(page, R_OK))
				return beside;
			free(beside);
		}
	}
	return access(DV_WEB_DIR "/index.html", R_OK) ? NULL : strdup(DV_WEB_DIR);
}

#define PERFETTO_GET_POST .access = DV_ACCESS_OPEN, .methods = DV_HTTP_GET | DV_HTTP_POST

static struct dv_error *start(struct serve *s, struct dv_route *routes)
{
	static const char *const perfetto_ui[] = {"https://ui.perfetto.dev", NULL};
	const struct dv_route ours[] = {
		{"/status", DV_ACCESS_OPEN, DV_HTTP_GET | DV_HTTP_POST, .request = answer_status},
		{"/ws", DV_ACCESS_TOKEN, DV_WEBSOCKET, .opened = client_opened, .message = client_message,
		 .closed = client_closed},
	};
	const struct dv_route perfettos[] = {
		{"/status", PERFETTO_GET_POST, .request = perfetto_status},
		{"/query", DV_ACCESS_OPEN, DV_HTTP_POST, .request = perfetto_query},
		{"/rpc", DV_ACCESS_OPEN, DV_HTTP_POST, .request = perfetto_rpc},
		{"/websocket", DV_ACCESS_OPEN, DV_WEBSOCKET, .opened = perfetto_opened, .message = perfetto_message,
		 .closed = perfetto_closed},
		{"/notify_eof", PERFETTO_GET_POST, .request = perfetto_nothing},
		{"/restore_initial_tables", PERFETTO_GET_POST, .request = perfetto_nothing},
	};
	struct dv_server_options options = {
		.port = s->port, .routes = routes, .hosts = s->hosts.items, .origins = s->origins.items,
		.files = s->files, .no_files_page = no_viewer, .stopping = on_stopping, .context = s,
	};
	struct dv_rpc_options rpc = {
		.path = s->path, .version = DV_VERSION, .sources = s->sources.items, .debug_info = s->debug_info,
		.sysroot = s->sysroot, .query_seconds = s->query_seconds,
		.max_message_bytes = DV_SERVER_MAX_MESSAGE, .loading = on_loading, .context = s,
	};
	size_t n = 0;

	/* Of two routes of a path the first one is taken. */
	for (size_t i = 0; s->perfetto && i < DV_ARRAY_SIZE(perfettos); i++) {
		routes[n] = perfettos[i];
		routes[n++].origins = perfetto_ui;
	}
	for (size_t i = 0; i < DV_ARRAY_SIZE(ours); i++)
		routes[n++] = ours[i];
	for (size_t i = 0; i < n; i++)
		routes[i].context = s;
	DV_TRY(dv_server_create(&options, &s->server));
	return dv_rpc_create(&rpc, &s->rpc);
}

static struct dv_error *serve(struct serve *s)
{
	struct dv_route routes[10] = {{0}};
	_cleanup_free_ char *url = NULL;
	struct dv_error *err;
	pthread_t signals;

	block_signals();
	/* Nothing is said of the loading before it is said where. */
	pthread_mutex_lock(&s->lock);
	err = start(s, routes);
	url = err ? NULL : url_of(s);
	if (url)
		say_where(s, url);
	pthread_mutex_unlock(&s->lock);
	DV_TRY(err);
	DV_TRY(dv_thread_start(&signals, NULL, wait_for_signals, s));
	if (url) {
		if (s->opens)
			open_browser(url);
		dv_server_run(s->server);
	}
	/* It may wait still, when the trace could not be loaded. */
	pthread_kill(signals, SIGTERM);
	pthread_join(signals, NULL);
	return url ? NULL : dv_error_no_memory();
}

static bool add(struct list *list, const char *item)
{
	if (list->len >= MAX_LIST)
		return false;
	list->items[list->len++] = item;
	return true;
}

static bool parse_number(const char *text, unsigned long max, unsigned *ret)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > max)
		return false;
	*ret = (unsigned)value;
	return true;
}

/* 0; 1: an option was wrong, and said; -1: help was asked for. */
static int parse(struct serve *s, int argc, char **argv)
{
	enum { PORT = 256, OPEN, SOURCE, DEBUG_INFO, SYSROOT, HOST, ORIGIN, SECONDS, PERFETTO, JSON };
	static const struct option options[] = {
		{"port", required_argument, NULL, PORT}, {"open", no_argument, NULL, OPEN},
		{"source", required_argument, NULL, SOURCE}, {"debug-info", required_argument, NULL, DEBUG_INFO},
		{"sysroot", required_argument, NULL, SYSROOT}, {"allow-host", required_argument, NULL, HOST},
		{"allow-origin", required_argument, NULL, ORIGIN},
		{"query-seconds", required_argument, NULL, SECONDS}, {"perfetto", no_argument, NULL, PERFETTO},
		{"json", no_argument, NULL, JSON}, {"help", no_argument, NULL, 'h'}, {0},
	};
	unsigned port = s->port;
	bool ok = true;
	int c;

	while (ok && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case PORT: ok = parse_number(optarg, 65535, &port); break;
		case OPEN: s->opens = true; break;
		case SOURCE: ok = add(&s->sources, optarg); break;
		case DEBUG_INFO: s->debug_info = optarg; break;
		case SYSROOT: s->sysroot = optarg; break;
		case HOST: ok = add(&s->hosts, optarg); break;
		case ORIGIN: ok = add(&s->origins, optarg); break;
		case SECONDS: ok = parse_number(optarg, MAX_QUERY_SECONDS, &s->query_seconds); break;
		case PERFETTO: s->perfetto = true; break;
		case JSON: s->json = true; break;
		case 'h': return -1;
		default: return 1;
		}
		if (!ok)
			fprintf(stderr, "dejaview serve: '%s' is not what that option takes\n", optarg);
	}
	s->port = (uint16_t)port;
	if (ok && argc - optind != 1) {
		fprintf(stderr, "dejaview serve: one recording or trace is needed\n");
		ok = false;
	}
	s->path = ok ? argv[optind] : NULL;
	return !ok;
}

int dv_cmd_serve(int argc, char **argv)
{
	struct serve s = {.port = DEFAULT_PORT, .query_seconds = DEFAULT_QUERY_SECONDS,
			  .shows_progress = isatty(STDERR_FILENO)};
	int wrong = parse(&s, argc, argv), status;

	if (wrong) {
		fputs(usage, wrong < 0 ? stdout : stderr);
		return wrong < 0 ? 0 : 2;
	}
	pthread_mutex_init(&s.lock, NULL);
	s.files = find_viewer();
	status = dv_cmd_report("serve", serve(&s));
	dv_rpc_destroy(s.rpc);
	dv_server_destroy(s.server);
	free(s.files);
	pthread_mutex_destroy(&s.lock);
	return status ? status : s.failed;
}
