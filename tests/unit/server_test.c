/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server and a few routes, spoken to over a socket. */
#include "server/server.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include "base/io.h"
#include "server_client.h"
#include "test.h"

struct fixture {
	struct dv_server *server;
	pthread_t thread;
	uint16_t port;
	int opened, closed; /* atomic */
};

static void *echo_opened(void *context, struct dv_peer *peer)
{
	struct fixture *f = context;

	__atomic_fetch_add(&f->opened, 1, __ATOMIC_SEQ_CST);
	return dv_peer_ref(peer);
}

static void echo_message(void *client, bool is_text, const void *data, size_t len)
{
	if (is_text && len == 3 && !memcmp(data, "bye", 3))
		dv_peer_close(client);
	else
		dv_peer_send(client, is_text, data, len);
}

static struct fixture *the_fixture;

static void echo_closed(void *client)
{
	dv_peer_unref(client);
	__atomic_fetch_add(&the_fixture->closed, 1, __ATOMIC_SEQ_CST);
}

/* Sends megabytes from a thread of its own until the peer is gone. */
static void *flood(void *peer)
{
	static char megabyte[1 << 20];

	while (dv_peer_wait(peer) && dv_peer_send(peer, false, megabyte, sizeof(megabyte)))
		;
	dv_peer_unref(peer);
	return NULL;
}

static pthread_t flooder;
static sem_t flooder_runs; /* posted when there is a flooder to join */

static void *flood_opened(void *context, struct dv_peer *peer)
{
	CHECK(!pthread_create(&flooder, NULL, flood, dv_peer_ref(peer)));
	sem_post(&flooder_runs);
	return context;
}

/* The handshake's answer goes out before the route hears of the peer. */
static void wait_for_flooder(void)
{
	while (sem_wait(&flooder_runs) && errno == EINTR)
		;
}

static void no_message(void *client, bool is_text, const void *data, size_t len)
{
}

static void no_close(void *client)
{
}

static void answer_status(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	dv_peer_respond(peer, 200, "text/plain", "here", 4);
}

static void answer_echo(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	dv_peer_begin(peer, 200, "application/octet-stream");
	dv_peer_piece(peer, "<", 1);
	dv_peer_piece(peer, body, len);
	dv_peer_piece(peer, ">", 1);
	dv_peer_end(peer);
}

static void *run(void *server)
{
	dv_server_run(server);
	return NULL;
}

static const char *const hosts[] = {"proxy.example", "other.example:8080", NULL};
static const char *const origins[] = {"https://editor.example", "vscode-webview://*", NULL};
static const char *const more_origins[] = {"https://ui.example", NULL};
static struct dv_route routes[] = {
	{"/status", DV_ACCESS_OPEN, DV_HTTP_GET | DV_HTTP_POST, .origins = more_origins, .request = answer_status},
	{"/echo", DV_ACCESS_TOKEN, DV_HTTP_POST, .request = answer_echo},
	{"/ws", DV_ACCESS_TOKEN, DV_WEBSOCKET, .opened = echo_opened, .message = echo_message, .closed = echo_closed},
	{"/flood", DV_ACCESS_OPEN, DV_WEBSOCKET, .opened = flood_opened, .message = no_message, .closed = no_close},
	{NULL},
};

static void start(struct fixture *f)
{
	const struct dv_server_options options = {.routes = routes, .hosts = hosts, .origins = origins,
						  .files = test_dir(), .no_files_page = "<p>none"};
	char path[256];

	the_fixture = f;
	CHECK(!sem_init(&flooder_runs, 0, 0));
	for (size_t i = 0; routes[i].path; i++)
		routes[i].context = f;
	snprintf(path, sizeof(path), "%s/index.html", test_dir());
	CHECK_OK(dv_replace_file(path, "<p>page", 7, 0644));
	snprintf(path, sizeof(path), "%s/.hidden", test_dir());
	CHECK_OK(dv_replace_file(path, "secret", 6, 0644));
	CHECK_OK(dv_server_create(&options, &f->server));
	f->port = dv_server_port(f->server);
	CHECK(!pthread_create(&f->thread, NULL, run, f->server));
}

static void stop(struct fixture *f)
{
	dv_server_stop(f->server);
	pthread_join(f->thread, NULL);
	CHECK_EQ(f->opened, f->closed);
	dv_server_destroy(f->server);
}

/* The first line of the answer to a GET with these headers, whose status must be this. */
static void check_get(struct fixture *f, int status, const char *path, const char *headers)
{
	_cleanup_free_ char *answer = client_ask(f->port, "GET %s HTTP/1.1\r\n%sConnection: close\r\n\r\n", path, headers);
	char want[16];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (strncmp(answer, want, strlen(want)))
		test_fail(__FILE__, __LINE__, "GET %s with %s: %.200s", path, headers, answer);
}

TEST(who_may_ask)
{
	struct fixture f = {0};
	char with_token[100], bearer[200];

	start(&f);
	snprintf(with_token, sizeof(with_token), "/?token=%s", dv_server_token(f.server));
	snprintf(bearer, sizeof(bearer), "Host: localhost\r\nAuthorization: Bearer %s\r\n", dv_server_token(f.server));
	check_get(&f, 200, "/status", "Host: localhost:1234\r\n");
	check_get(&f, 200, "/status", "Host: [::1]\r\n");
	check_get(&f, 403, "/status", "");
	check_get(&f, 403, "/status", "Host: evil.example\r\n");
	check_get(&f, 403, "/status", "Host: localhost.evil.example\r\n");
	check_get(&f, 403, "/status", "Host: localhost\r\nHost: evil.example\r\n");
	check_get(&f, 403, "/status", "Host: localhost:80:80\r\n");
	check_get(&f, 200, "/status", "Host: PROXY.example:99\r\n");
	check_get(&f, 200, "/status", "Host: other.example:8080\r\n");
	check_get(&f, 403, "/status", "Host: other.example:8081\r\n");
	check_get(&f, 401, "/", "Host: localhost\r\n");
	check_get(&f, 401, "/?token=", "Host: localhost\r\n");
	check_get(&f, 401, "/?token=0123456789abcdef0123456789abcdef", "Host: localhost\r\n");
	check_get(&f, 401, "/no", "Host: localhost\r\n");
	check_get(&f, 200, with_token, "Host: localhost\r\n");
	check_get(&f, 403, with_token, "Host: evil.example\r\n");
	check_get(&f, 403, with_token, "Host: localhost\r\nOrigin: http://evil.example\r\n");
	check_get(&f, 403, with_token, "Host: localhost\r\nOrigin: http://localhost:1234\r\n");
	check_get(&f, 403, with_token, "Host: localhost\r\nOrigin: null\r\n");
	check_get(&f, 200, with_token, "Host: localhost\r\nOrigin: http://localhost\r\n");
	check_get(&f, 200, with_token, "Host: localhost\r\nOrigin: https://editor.example\r\n");
	check_get(&f, 200, with_token, "Host: localhost\r\nOrigin: vscode-webview://0a1b\r\n");
	check_get(&f, 403, with_token, "Host: localhost\r\nOrigin: https://ui.example\r\n");
	check_get(&f, 200, "/status", "Host: localhost\r\nOrigin: https://ui.example\r\n");
	check_get(&f, 200, "/", bearer);
	check_get(&f, 405, "/echo", bearer);
	check_get(&f, 426, "/ws", bearer);
	check_get(&f, 404, "/none", bearer);
	check_get(&f, 404, "/.hidden", bearer);
	check_get(&f, 404, "/x/../.hidden", bearer);
	check_get(&f, 404, "/%2e%2e/passwd", bearer);
	stop(&f);
}

TEST(the_pages_cookie_opens_files_alone)
{
	struct fixture f = {0};
	_cleanup_free_ char *answer = NULL;
	char cookie[100], *at;

	start(&f);
	answer = client_ask(f.port, "GET /?token=%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
			    dv_server_token(f.server));
	CHECK(strstr(answer, "\r\n\r\n<p>page"));
	CHECK(strstr(answer, "Content-Security-Policy: default-src 'none'; script-src 'self'; "));
	CHECK(strstr(answer, "frame-ancestors 'self' https://editor.example vscode-webview://*\r\n"));
	CHECK(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
	CHECK(strstr(answer, "; HttpOnly; SameSite=Strict\r\n"));
	at = strstr(answer, "Set-Cookie: ");
	CHECK(at && !strstr(at, dv_server_token(f.server)));
	at += strlen("Set-Cookie: ");
	*strchr(at, ';') = '\0';
	snprintf(cookie, sizeof(cookie), "Host: localhost\r\nCookie: a=b; %s\r\n", at);
	check_get(&f, 200, "/index.html", cookie);
	check_get(&f, 401, "/ws", cookie);
	check_get(&f, 401, "/echo", cookie);
	stop(&f);
}

TEST(bodies)
{
	struct fixture f = {0};
	_cleanup_free_ char *answer = NULL, *none = NULL, *again = NULL;
	const char *token;

	start(&f);
	token = dv_server_token(f.server);
	answer = client_ask(f.port, "POST /echo?token=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", token);
	CHECK(strstr(answer, "Transfer-Encoding: chunked\r\n") && strstr(answer, "Connection: close\r\n"));
	CHECK(strstr(answer, "\r\n\r\n1\r\n<\r\n3\r\nabc\r\n1\r\n>\r\n0\r\n\r\n"));
	none = client_ask(f.port, "POST /echo?token=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", token);
	CHECK(strstr(none, "\r\n\r\n1\r\n<\r\n1\r\n>\r\n0\r\n\r\n"));
	again = client_ask(f.port, "POST /echo?token=%s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", token);
	CHECK(strstr(again, "\r\n\r\n<abc>"));
	CHECK(!strstr(again, "chunked"));
	stop(&f);
}

/* libwebsockets looped for ever on what is malformed behind a good request. */
TEST(what_comes_behind_a_request)
{
	static const char *const behind[] = {"POST /x y\r\nContent-Length: 5\r\n\r\n\xf2\xf2\xf2\xf2\xf2\xf2", "GET /sta", "\x16\x03\x01"};
	struct fixture f = {0};

	start(&f);
	for (size_t i = 0; i < DV_ARRAY_SIZE(behind); i++) {
		_cleanup_free_ char *answer = client_ask(f.port, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n%s", behind[i]);

		/* It may be hung up on before it has read the answer; others are answered. */
		CHECK(!*answer || !strncmp(answer, "HTTP/1.1 200", 12));
		check_get(&f, 200, "/status", "Host: localhost\r\n");
	}
	stop(&f);
}

TEST(bodies_that_are_refused)
{
	static const struct {
		const char *headers, *want;
	} cases[] = {
		{"", "HTTP/1.1 411 "},
		{"Transfer-Encoding: chunked\r\n", "HTTP/1.1 411 "},
		{"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "HTTP/1.1 411 "},
		{"Content-Length: -1\r\n", "HTTP/1.1 4"},
		{"Content-Length: 1048577\r\n", "HTTP/1.1 413 "},
		{"Content-Length: 99999999999999999999\r\n", "HTTP/1.1 413 "},
	};
	struct fixture f = {0};

	start(&f);
	for (size_t i = 0; i < DV_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *answer = client_ask(f.port, "POST /echo?token=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
							 dv_server_token(f.server), cases[i].headers);

		if (strncmp(answer, cases[i].want, strlen(cases[i].want)))
			test_fail(__FILE__, __LINE__, "%s: %.300s", cases[i].headers, answer);
		CHECK(!strstr(answer + 5, "HTTP/1.1 "));
	}
	stop(&f);
}

/* Whatever comes: no answer but an error, the connection closed, and the next one served. */
TEST(what_is_not_http)
{
	static const char *const garbage[] = {
		"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /status HTTP/1.1\r\nHost localhost\r\n\r\n", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		 "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"),
		"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"OPTIONS /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", "DELETE /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
	};
	struct fixture f = {0};

	start(&f);
	for (size_t i = 0; i < DV_ARRAY_SIZE(garbage); i++) {
		int fd = client_connect(f.port);
		_cleanup_free_ char *answer = NULL;

		client_write(fd, garbage[i], strlen(garbage[i]));
		shutdown(fd, SHUT_WR);
		answer = client_read_all(fd);
		if (!strncmp(answer, "HTTP/1.1 1", 10) || !strncmp(answer, "HTTP/1.1 2", 10))
			test_fail(__FILE__, __LINE__, "%s: %s", garbage[i], answer);
		check_get(&f, 200, "/status", "Host: localhost\r\n");
	}
	stop(&f);
}

TEST(headers_without_end)
{
	struct fixture f = {0};
	_cleanup_buf_ struct dv_buf request = DV_BUF_INIT;
	_cleanup_free_ char *answer = NULL;
	int fd;

	start(&f);
	fd = client_connect(f.port);
	dv_buf_printf(&request, "GET /status HTTP/1.1\r\nHost: localhost\r\n");
	for (int i = 0; i < 10000; i++)
		dv_buf_printf(&request, "Cookie: %d=0123456789\r\n", i);
	dv_buf_printf(&request, "\r\n");
	client_write(fd, request.data, request.len);
	answer = client_read_all(fd);
	CHECK(strncmp(answer, "HTTP/1.1 2", 10));
	check_get(&f, 200, "/status", "Host: localhost\r\n");
	stop(&f);
}

/* An allowed origin's browser asks before it sends a token; others learn nothing. */
TEST(preflight)
{
	struct fixture f = {0};
	_cleanup_free_ char *good = NULL, *bad = NULL;

	start(&f);
	good = client_ask(f.port, "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://editor.example\r\n"
				  "Connection: close\r\n\r\n");
	CHECK(!strncmp(good, "HTTP/1.1 204 ", 13));
	CHECK(strstr(good, "Access-Control-Allow-Origin: https://editor.example\r\n"));
	bad = client_ask(f.port, "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
				 "Connection: close\r\n\r\n");
	CHECK(!strncmp(bad, "HTTP/1.1 403 ", 13));
	CHECK(!strstr(bad, "Access-Control-Allow-Origin"));
	stop(&f);
}

static const char *target(struct fixture *f)
{
	static char path[100];

	snprintf(path, sizeof(path), "/ws?token=%s", dv_server_token(f->server));
	return path;
}

static void check_no_websocket(struct fixture *f, int status, const char *path, const char *host, const char *origin)
{
	_cleanup_free_ char *answer = client_ask(f->port,
		"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: %s\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, host, origin);
	char want[16];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (strncmp(answer, want, strlen(want)))
		test_fail(__FILE__, __LINE__, "%s of %s by %s: %.200s", path, host, origin, answer);
}

TEST(websockets_from_elsewhere)
{
	struct fixture f = {0};

	start(&f);
	check_no_websocket(&f, 401, "/ws", "localhost", "http://localhost");
	check_no_websocket(&f, 403, target(&f), "evil.example", "http://evil.example");
	check_no_websocket(&f, 403, target(&f), "localhost", "http://evil.example");
	check_no_websocket(&f, 403, target(&f), "localhost", "null");
	check_no_websocket(&f, 401, "/none?token=1", "localhost", "http://localhost");
	check_no_websocket(&f, 405, "/status", "localhost", "http://localhost");
	close(client_websocket(f.port, target(&f), NULL, NULL));
	close(client_websocket(f.port, target(&f), "localhost:9", "http://localhost:9"));
	close(client_websocket(f.port, target(&f), "proxy.example", "https://proxy.example"));
	close(client_websocket(f.port, target(&f), "proxy.example", "https://editor.example"));
	stop(&f);
}

TEST(messages)
{
	struct fixture f = {0};
	_cleanup_buf_ struct dv_buf got = DV_BUF_INIT;
	_cleanup_free_ char *big = malloc(DV_SERVER_MAX_MESSAGE);
	int fd;

	start(&f);
	memset(big, 'x', DV_SERVER_MAX_MESSAGE);
	fd = client_websocket(f.port, target(&f), NULL, NULL);
	client_text(fd, "hello");
	CHECK_EQ(client_message(fd, &got), 1);
	CHECK_STR((char *)got.data, "hello");
	client_frame(fd, 0x82, "", 0);
	CHECK_EQ(client_message(fd, &got), 2);
	CHECK_EQ(got.len, 0);
	client_frame(fd, 0x01, "he", 2);
	client_frame(fd, 0x89, "ping", 4);
	client_frame(fd, 0x80, "llo", 3);
	do
		CHECK(client_message(fd, &got) > 0);
	while (!strcmp((char *)got.data, "ping"));
	CHECK_STR((char *)got.data, "hello");
	client_frame(fd, 0x82, big, DV_SERVER_MAX_MESSAGE);
	CHECK_EQ(client_message(fd, &got), 2);
	CHECK_EQ(got.len, DV_SERVER_MAX_MESSAGE);
	CHECK(!memcmp(got.data, big, got.len));
	client_text(fd, "bye");
	CHECK_EQ(client_message(fd, &got), 8);
	CHECK_EQ(got.data[0] << 8 | got.data[1], 1001);
	close(fd);
	stop(&f);
}

/* The connection ends, by a close or without: nothing else happens. */
TEST(messages_that_are_refused)
{
	static const uint8_t frames[][16] = {
		{0xf1, 0x80, 0, 0, 0, 0},		/* reserved bits */
		{0x83, 0x80, 0, 0, 0, 0},		/* reserved opcode */
		{0x81, 0x01, 'a'},			/* not masked */
		{0x80, 0x80, 0, 0, 0, 0},		/* goes on with nothing */
		{0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0},	/* a long ping */
		{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, /* 2^63 bytes */
		{0x88, 0x81, 0, 0, 0, 0, 1},		/* half a close code */
	};
	struct fixture f = {0};
	_cleanup_free_ char *big = calloc(1, DV_SERVER_MAX_MESSAGE + 1);
	_cleanup_buf_ struct dv_buf got = DV_BUF_INIT;
	int fd;

	start(&f);
	for (size_t i = 0; i < DV_ARRAY_SIZE(frames); i++) {
		_cleanup_free_ char *answer = NULL;

		fd = client_websocket(f.port, target(&f), NULL, NULL);
		client_write(fd, frames[i], sizeof(frames[i]));
		shutdown(fd, SHUT_WR);
		answer = client_read_all(fd);
	}
	fd = client_websocket(f.port, target(&f), NULL, NULL);
	client_frame(fd, 0x82, big, DV_SERVER_MAX_MESSAGE + 1);
	CHECK_EQ(client_message(fd, &got), 8);
	CHECK_EQ(got.data[0] << 8 | got.data[1], 1009);
	close(fd);
	check_get(&f, 200, "/status", "Host: localhost\r\n");
	stop(&f);
}

/* One that takes nothing holds up neither the others nor the thread that feeds it, once it has gone. */
TEST(a_client_that_does_not_read)
{
	struct fixture f = {0};
	_cleanup_buf_ struct dv_buf got = DV_BUF_INIT;
	int lazy, fd;

	start(&f);
	lazy = client_websocket(f.port, "/flood", NULL, NULL);
	fd = client_websocket(f.port, target(&f), NULL, NULL);
	for (int i = 0; i < 100; i++) {
		client_text(fd, "still here?");
		CHECK_EQ(client_message(fd, &got), 1);
	}
	for (int i = 0; i < 30; i++) {
		CHECK_EQ(client_message(lazy, &got), 2);
		CHECK_EQ(got.len, 1 << 20);
	}
	close(lazy);
	wait_for_flooder();
	pthread_join(flooder, NULL);
	close(fd);
	stop(&f);
}

TEST(stopping_frees_a_thread_that_waits)
{
	struct fixture f = {0};
	int fd;

	start(&f);
	fd = client_websocket(f.port, "/flood", NULL, NULL);
	wait_for_flooder();
	dv_server_stop(f.server);
	pthread_join(flooder, NULL);
	close(fd);
	stop(&f);
}

TEST(too_many_connections)
{
	struct fixture f = {0};
	int fds[DV_SERVER_MAX_PEERS + 20];
	_cleanup_free_ char *answer = NULL;

	start(&f);
	for (size_t i = 0; i < DV_ARRAY_SIZE(fds); i++)
		fds[i] = client_connect(f.port);
	/* The last one is beyond the limit: closed without a word. */
	answer = client_read_all(fds[DV_ARRAY_SIZE(fds) - 1]);
	CHECK_STR(answer, "");
	for (size_t i = 0; i < DV_ARRAY_SIZE(fds) - 1; i++)
		close(fds[i]);
	do {
		free(answer);
		answer = client_ask(f.port, "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	} while (!*answer);
	CHECK(!strncmp(answer, "HTTP/1.1 200 ", 13));
	stop(&f);
}

TEST(a_port_that_is_taken)
{
	struct fixture f = {0};
	struct dv_server_options options = {.routes = routes};
	struct dv_server *other;
	char want[200];

	start(&f);
	options.port = f.port;
	snprintf(want, sizeof(want), "port %u is taken, by another dejaview perhaps: give another by --port, or 0 for "
				     "any that is free", f.port);
	CHECK_ERROR(dv_server_create(&options, &other), DV_ERROR_OS, want);
	stop(&f);
}

TEST(lists_that_make_no_sense)
{
	static const char *const bad_hosts[] = {"http://x", NULL}, *const bad_origins[] = {"https://*", NULL};
	struct dv_guard guard;

	CHECK_ERROR(dv_guard_init(bad_hosts, NULL, &guard), DV_ERROR_INVALID,
		    "'http://x' is not a host: NAME or NAME:PORT");
	CHECK_ERROR(dv_guard_init(NULL, bad_origins, &guard), DV_ERROR_INVALID,
		    "'https://*' is not an origin: SCHEME://HOST or SCHEME://HOST:PORT, as https://editor.example:8443");
}
