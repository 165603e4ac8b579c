/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: libwebsockets' callbacks turned into those of routes. */
#include "server/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include "server/private.h"

#define STOPPING_MS 2000 /* what is queued at the end has that long to go out */
#define LISTEN_PROTOCOL "listen"

static struct dv_server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static struct dv_peer *peer_of(struct lws *wsi)
{
	return lws_get_opaque_user_data(wsi);
}

static void forget_peer(struct lws *wsi)
{
	struct dv_peer *peer = peer_of(wsi);

	if (!peer)
		return;
	lws_set_opaque_user_data(wsi, NULL);
	dv_peer_disconnect(peer);
}

static struct dv_peer *new_peer(struct lws *wsi)
{
	struct dv_peer *peer;

	forget_peer(wsi);
	peer = dv_peer_create(server_of(wsi), wsi);
	if (peer)
		lws_set_opaque_user_data(wsi, peer);
	return peer;
}

/* Connections are taken here, so that their number is known and a port that is taken has its own error. */
static int accept_connections(struct dv_server *server)
{
	for (;;) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return 0;
		if (server->connections >= DV_SERVER_MAX_PEERS) {
			close(fd);
			continue;
		}
		/* Small answers go out at once. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		lws_adopt_socket_vhost(server->vhost, fd);
	}
}

/* HTTP */

/* ret_method: 0 for one that is not served. */
static void method_of(struct lws *wsi, enum dv_http_method *ret_method, bool *ret_is_head)
{
	*ret_is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
	*ret_method = (enum dv_http_method)0;
	if (*ret_is_head || lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
		*ret_method = DV_HTTP_GET;
	else if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0)
		*ret_method = DV_HTTP_POST;
}

/* A browser asks first whether it may send what an allowed origin's script wants to. */
static bool is_preflight(struct dv_peer *peer)
{
	return lws_hdr_total_length(peer->wsi, WSI_TOKEN_OPTIONS_URI) > 0;
}

static void run_request(struct dv_peer *peer)
{
	if (!peer->route)
		dv_http_file(peer);
	else
		peer->route->request(peer->route->context, peer, peer->in.data, peer->in.len);
}

static int on_request(struct lws *wsi, const char *path)
{
	struct dv_peer *peer = new_peer(wsi);
	enum dv_http_method method;
	int status;

	if (!peer)
		return -1;
	/* One request per connection: what is sent behind one before its answer libwebsockets keeps in a list, and
	 * 4.1.6 parses a malformed request from there again and again, for ever. */
	peer->closes = true;
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	method_of(wsi, &method, &peer->is_head);
	if (is_preflight(peer)) {
		status = dv_http_admit(peer, DV_HTTP_GET, path);
		/* It bears no token, and another method: these come with the request itself. */
		if ((status == 0 || status == 401 || status == 405) && *peer->origin)
			dv_peer_respond(peer, 204, NULL, NULL, 0);
		else
			dv_http_refuse(peer, status ? status : 405);
		return 0;
	}
	status = method ? dv_http_admit(peer, method, path) : 405;
	if (status)
		dv_http_refuse(peer, status);
	else if (method == DV_HTTP_GET)
		run_request(peer);
	else
		lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, DV_SERVER_STALL_SECONDS);
	return 0;
}

static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* A byte now and then keeps libwebsockets' own timeouts from running out. */
static bool is_too_slow(struct dv_peer *peer)
{
	uint64_t now = now_s();

	if (!peer->in.len)
		peer->in_since_s = now;
	return now - peer->in_since_s > DV_SERVER_STALL_SECONDS;
}

static int on_body(struct dv_peer *peer, const void *data, size_t len)
{
	if (!peer || peer->is_begun)
		return 0;
	if (peer->in.len + len > DV_SERVER_MAX_MESSAGE || is_too_slow(peer))
		return -1;
	dv_buf_append(&peer->in, data, len);
	return peer->in.failed ? -1 : 0;
}

static int on_body_end(struct dv_peer *peer)
{
	if (!peer || peer->is_begun)
		return 0;
	lws_set_timeout(peer->wsi, NO_PENDING_TIMEOUT, 0);
	run_request(peer);
	return 0;
}

/* WebSocket */

/* Returns what libwebsockets wants: 0 to go on, 1 when an answer was given instead. */
static int on_upgrade(struct lws *wsi, const char *to)
{
	struct dv_peer *peer = new_peer(wsi);
	char path[sizeof(peer->path)] = "";
	int status;

	if (!peer)
		return -1;
	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0 || strcasecmp(to, "websocket"))
		status = 400;
	else
		status = dv_http_admit(peer, DV_WEBSOCKET, path);
	if (!status && !peer->route)
		status = 404;
	if (!status) {
		peer->is_websocket = true;
		return 0;
	}
	dv_http_refuse(peer, status);
	dv_peer_write(peer);
	forget_peer(wsi);
	return 1;
}

static int on_established(struct dv_peer *peer)
{
	if (!peer || !peer->is_websocket)
		return -1;
	peer->client = peer->route->opened(peer->route->context, peer);
	return peer->client ? 0 : -1;
}

static int on_message(struct dv_peer *peer, const void *data, size_t len)
{
	struct lws *wsi = peer->wsi;

	if (!peer->client)
		return -1;
	if (peer->in.len + len > DV_SERVER_MAX_MESSAGE) {
		lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
		return -1;
	}
	if (is_too_slow(peer))
		return -1;
	dv_buf_append(&peer->in, data, len);
	if (peer->in.failed)
		return -1;
	if (lws_remaining_packet_payload(wsi) || !lws_is_final_fragment(wsi))
		return 0;
	peer->route->message(peer->client, !lws_frame_is_binary(wsi), peer->in.data, peer->in.len);
	dv_buf_clear(&peer->in);
	return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct dv_peer *peer;

	switch (reason) {
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		dv_server_wake(server_of(wsi));
		return 0;
	case LWS_CALLBACK_WSI_CREATE:
		server_of(wsi)->connections++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		server_of(wsi)->connections--;
		forget_peer(wsi);
		return 0;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
		forget_peer(wsi);
		return 0;
	case LWS_CALLBACK_HTTP:
		return on_request(wsi, in);
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(peer_of(wsi), in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return on_body_end(peer_of(wsi));
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return on_upgrade(wsi, in);
	case LWS_CALLBACK_ESTABLISHED:
		return on_established(peer_of(wsi));
	case LWS_CALLBACK_RECEIVE:
		peer = peer_of(wsi);
		return peer ? on_message(peer, in, len) : -1;
	case LWS_CALLBACK_HTTP_WRITEABLE:
	case LWS_CALLBACK_SERVER_WRITEABLE:
		peer = peer_of(wsi);
		return peer ? dv_peer_write(peer) : 0;
	case LWS_CALLBACK_RAW_RX_FILE:
		return accept_connections(server_of(wsi));
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{"dejaview", on_event, 0, 16384},
	{LISTEN_PROTOCOL, on_event, 0, 0},
	{NULL},
};

/* A WebSocket that is silent is pinged, and dropped when it does not answer. */
static const lws_retry_bo_t idle_policy = {
	.secs_since_valid_ping = DV_SERVER_PING_SECONDS,
	.secs_since_valid_hangup = DV_SERVER_PING_SECONDS + DV_SERVER_STALL_SECONDS,
};

/* Starting and stopping */

static struct dv_error *listen_on(uint16_t port, int *ret_fd, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(address);
	int on = 1;

	if (fd < 0)
		return dv_error_os(errno, "no socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 64)) {
		if (errno == EADDRINUSE)
			return dv_error_new(DV_ERROR_OS, "port %u is taken, by another dejaview perhaps: give another "
							 "by --port, or 0 for any that is free",
					    port);
		return dv_error_os(errno, "127.0.0.1:%u cannot be listened on", port);
	}
	if (getsockname(fd, (struct sockaddr *)&address, &len))
		return dv_error_os(errno, "getsockname");
	*ret_port = ntohs(address.sin_port);
	*ret_fd = dup(fd);
	return *ret_fd < 0 ? dv_error_os(errno, "dup") : NULL;
}

static struct dv_error *create_context(struct dv_server *server)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6,
		.user = server,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.max_http_header_data2 = 8192,
		.max_http_header_pool2 = DV_SERVER_MAX_PEERS,
		.timeout_secs = DV_SERVER_STALL_SECONDS,
		.keepalive_timeout = DV_SERVER_PING_SECONDS,
		.retry_and_idle_policy = &idle_policy,
		.vhost_name = "dejaview",
		.fd_limit_per_thread = DV_SERVER_MAX_PEERS + 16,
	};
	lws_sock_file_fd_type fd;

	lws_set_log_level(0, NULL);
	server->context = lws_create_context(&info);
	if (!server->context)
		return dv_error_new(DV_ERROR_NO_MEMORY, "libwebsockets could not be set up");
	server->vhost = lws_create_vhost(server->context, &info);
	fd.filefd = server->listen_fd;
	if (!server->vhost ||
	    !lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, LISTEN_PROTOCOL, NULL))
		return dv_error_new(DV_ERROR_NO_MEMORY, "libwebsockets could not be set up");
	server->listen_fd = fd.filefd;
	return NULL;
}

struct dv_error *dv_server_create(const struct dv_server_options *options, struct dv_server **ret)
{
	_cleanup_(dv_server_destroyp) struct dv_server *server = calloc(1, sizeof(*server));

	if (!server)
		return dv_error_no_memory();
	server->listen_fd = -1;
	server->routes = options->routes;
	server->files = options->files;
	server->no_files_page = options->no_files_page ? options->no_files_page : "";
	server->stopping = options->stopping;
	server->context_of_stopping = options->context;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->room, NULL);
	server->thread = pthread_self();
	DV_TRY(dv_guard_init(options->hosts, options->origins, &server->guard));
	DV_TRY(listen_on(options->port, &server->listen_fd, &server->port));
	DV_TRY(create_context(server));
	*ret = dv_steal(server);
	return NULL;
}

uint16_t dv_server_port(const struct dv_server *server)
{
	return server->port;
}

const char *dv_server_token(const struct dv_server *server)
{
	return server->guard.token;
}

void dv_server_stop(struct dv_server *server)
{
	server->stops = true;
	lws_cancel_service(server->context);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wake_up(lws_sorted_usec_list_t *sul)
{
}

/* Last words go out; who is slow to take them is left. */
static void say_goodbye(struct dv_server *server)
{
	uint64_t until = now_ms() + STOPPING_MS;
	lws_sorted_usec_list_t sul = {0};

	if (server->stopping)
		server->stopping(server->context_of_stopping);
	for (struct dv_peer *peer = server->peers; peer; peer = peer->next)
		dv_peer_close(peer);
	while (server->peers && now_ms() < until) {
		lws_sul_schedule(server->context, 0, &sul, wake_up, 50 * LWS_US_PER_MS);
		lws_service(server->context, 0);
	}
	lws_sul_schedule(server->context, 0, &sul, wake_up, LWS_SET_TIMER_USEC_CANCEL);
}

void dv_server_run(struct dv_server *server)
{
	server->thread = pthread_self();
	while (!server->stops && lws_service(server->context, 0) >= 0)
		;
	say_goodbye(server);
	/* Those that are left: threads that wait for room in their queues must not. */
	while (server->peers)
		forget_peer(server->peers->wsi);
}

void dv_server_destroy(struct dv_server *server)
{
	if (!server)
		return;
	/* It closes what it has adopted. */
	if (server->vhost)
		server->listen_fd = -1;
	if (server->context)
		lws_context_destroy(server->context);
	while (server->waking) {
		struct dv_peer *peer = server->waking;

		server->waking = peer->next_waking;
		dv_peer_unref(peer);
	}
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	pthread_cond_destroy(&server->room);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
