/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes to the port of a server that runs: '0' HTTP from its first byte on, '1' a WebSocket's frames after a good
 * handshake. Whatever comes, the server answers or hangs up, and takes the next connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "fuzz.h"
#include "server/server.h"

#define PATIENCE_S 20

static const char handshake[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static struct dv_server *server;
static pthread_t thread;

static void answer(void *context, struct dv_peer *peer, const void *body, size_t len)
{
	dv_peer_begin(peer, 200, "application/octet-stream");
	dv_peer_piece(peer, body, len);
	dv_peer_end(peer);
}

static void *opened(void *context, struct dv_peer *peer)
{
	return dv_peer_ref(peer);
}

/* An echo; an empty message is a wish to end. */
static void message(void *client, bool is_text, const void *data, size_t len)
{
	if (len)
		dv_peer_send(client, is_text, data, len);
	else
		dv_peer_close(client);
}

static void closed(void *client)
{
	dv_peer_unref(client);
}

static void *run(void *context)
{
	dv_server_run(server);
	return NULL;
}

static void stop(void)
{
	dv_server_stop(server);
	pthread_join(thread, NULL);
	dv_server_destroy(server);
}

static void start(void)
{
	static const struct dv_route routes[] = {
		{"/status", DV_ACCESS_OPEN, DV_HTTP_GET | DV_HTTP_POST, .request = answer},
		{"/locked", DV_ACCESS_TOKEN, DV_HTTP_GET | DV_HTTP_POST, .request = answer},
		{"/ws", DV_ACCESS_OPEN, DV_WEBSOCKET, .opened = opened, .message = message, .closed = closed},
		{NULL},
	};
	const struct dv_server_options options = {.routes = routes, .no_files_page = "<p>none"};

	dv_assert(!dv_server_create(&options, &server));
	dv_assert(!pthread_create(&thread, NULL, run, NULL));
	atexit(stop);
}

static int connect_to_it(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(dv_server_port(server)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	/* No address of a closed connection is to wait: there are thousands a second. */
	const struct linger at_once = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	dv_assert(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	dv_assert(!connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* It may hang up before it has read all. */
static void send_all(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char bytes[4096];
	ssize_t n;
	int fd;

	if (!size || size > 1 << 16 || (*data != '0' && *data != '1'))
		return 0;
	if (!server)
		start();
	fd = connect_to_it();
	if (*data == '1') {
		send_all(fd, handshake, sizeof(handshake) - 1);
		n = recv(fd, bytes, sizeof(bytes), 0);
		dv_assert(n > 12 && !memcmp(bytes, "HTTP/1.1 101", 12));
	}
	send_all(fd, data + 1, size - 1);
	shutdown(fd, SHUT_WR);
	do
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (n > 0);
	/* Nothing for so long: it hangs. */
	dv_assert(n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK));
	close(fd);
	return 0;
}
