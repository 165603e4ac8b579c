/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/gdbserver.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "replay/gdbremote.h"

#define MAX_IN_BYTES (1u << 20)
#define SEND_TIMEOUT_MS 5000

struct dv_error *dv_gdb_server_init(const char *path, struct dv_gdb_server *ret)
{
	struct dv_gdb_server server = DV_GDB_SERVER_INIT;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return dv_error_new(DV_ERROR_INVALID, "%s: longer than a socket's path can be", path);
	strcpy(address.sun_path, path);
	server.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server.listen_fd < 0 || bind(server.listen_fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(server.listen_fd, 1)) {
		struct dv_error *err = dv_error_os(errno, "%s: cannot listen", path);

		dv_gdb_server_deinit(&server);
		return err;
	}
	*ret = server;
	return NULL;
}

static void drop_client(struct dv_gdb_server *server)
{
	if (server->client_fd >= 0)
		close(server->client_fd);
	server->client_fd = -1;
	server->interrupted = false;
	dv_buf_clear(&server->in);
}

void dv_gdb_server_deinit(struct dv_gdb_server *server)
{
	drop_client(server);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	dv_buf_deinit(&server->in);
	dv_buf_deinit(&server->last);
	*server = (struct dv_gdb_server)DV_GDB_SERVER_INIT;
}

int dv_gdb_server_fd(const struct dv_gdb_server *server)
{
	return server->client_fd >= 0 ? server->client_fd : server->listen_fd;
}

static void put(struct dv_gdb_server *server, const void *data, size_t len)
{
	while (len && server->client_fd >= 0) {
		struct pollfd p = {.fd = server->client_fd, .events = POLLOUT};
		ssize_t n = send(server->client_fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno != EAGAIN || poll(&p, 1, SEND_TIMEOUT_MS) <= 0)) {
			drop_client(server);
			return;
		}
		data = (const char *)data + (n > 0 ? n : 0);
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* The interrupt byte stands outside of packets; it is noticed as soon as it comes. */
static void take_interrupts(struct dv_gdb_server *server)
{
	size_t kept = 0;
	bool inside = false;
	int sum_left = 0;

	for (size_t i = 0; i < server->in.len; i++) {
		uint8_t byte = server->in.data[i];

		if (!inside && !sum_left && byte == 3) {
			server->interrupted = true;
			continue;
		}
		if (sum_left)
			sum_left--;
		else if (inside && byte == '#')
			inside = false, sum_left = 2;
		else if (byte == '$')
			inside = true;
		server->in.data[kept++] = byte;
	}
	server->in.len = kept;
}

void dv_gdb_server_read(struct dv_gdb_server *server)
{
	if (server->client_fd < 0) {
		server->client_fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		return;
	}
	for (;;) {
		uint8_t *room = dv_buf_reserve(&server->in, 4096);
		ssize_t n = room ? recv(server->client_fd, room, 4096, 0) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 || server->in.len > MAX_IN_BYTES) {
			drop_client(server);
			return;
		}
		server->in.len += (size_t)n;
	}
	take_interrupts(server);
}

static void answer_again(struct dv_gdb_server *server)
{
	if (server->last.len)
		put(server, server->last.data, server->last.len);
}

char *dv_gdb_server_packet(struct dv_gdb_server *server)
{
	while (server->client_fd >= 0 && server->in.len) {
		bool broken = false;
		size_t used = 0;
		const char *text;
		char *packet = NULL;

		if (*server->in.data == '-')
			answer_again(server);
		text = dv_gdb_parse_packet((char *)server->in.data, server->in.len, &used, &broken);
		if (text)
			packet = strdup(text);
		if (!used)
			return NULL;
		server->in.len -= used;
		memmove(server->in.data, server->in.data + used, server->in.len);
		if (packet || broken)
			put(server, packet ? "+" : "-", 1);
		if (packet)
			return packet;
	}
	return NULL;
}

void dv_gdb_server_answer(struct dv_gdb_server *server, const char *text)
{
	uint8_t sum = 0;

	for (const char *p = text; *p; p++)
		sum += (uint8_t)*p;
	dv_buf_clear(&server->last);
	dv_buf_printf(&server->last, "$%s#%02x", text, sum);
	if (!server->last.failed)
		put(server, server->last.data, server->last.len);
}
