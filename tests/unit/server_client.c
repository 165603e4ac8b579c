/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server_client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "test.h"

int client_connect(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	CHECK(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

void client_write(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		/* The other side may refuse before it has read all. */
		if (n < 0)
			return;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

char *client_read_all(int fd)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		dv_buf_append(&buf, bytes, (size_t)n);
	if (n < 0 && errno != ECONNRESET)
		test_fail(__FILE__, __LINE__, "the server says nothing more after \"%.*s\": %s", (int)buf.len,
			  buf.data ? (char *)buf.data : "", strerror(errno));
	close(fd);
	return dv_buf_steal_string(&buf);
}

char *client_ask(uint16_t port, const char *format, ...)
{
	_cleanup_free_ char *request = NULL;
	int fd = client_connect(port);
	va_list args;

	va_start(args, format);
	CHECK(vasprintf(&request, format, args) >= 0);
	va_end(args);
	client_write(fd, request, strlen(request));
	return client_read_all(fd);
}

static void read_exactly(int fd, void *to, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, to, len, 0);

		if (n <= 0)
			test_fail(__FILE__, __LINE__, "the WebSocket ended: %s", n ? strerror(errno) : "closed");
		to = (char *)to + n;
		len -= (size_t)n;
	}
}

int client_websocket(uint16_t port, const char *target, const char *host, const char *origin)
{
	_cleanup_buf_ struct dv_buf request = DV_BUF_INIT;
	char head[2048];
	size_t len = 0;
	int fd = client_connect(port);

	dv_buf_printf(&request, "GET %s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", target);
	if (host)
		dv_buf_printf(&request, "Host: %s\r\n", host);
	else
		dv_buf_printf(&request, "Host: 127.0.0.1:%u\r\n", port);
	if (origin)
		dv_buf_printf(&request, "Origin: %s\r\n", origin);
	dv_buf_printf(&request, "\r\n");
	client_write(fd, request.data, request.len);
	do {
		CHECK(len < sizeof(head) - 1);
		read_exactly(fd, head + len, 1);
		head[++len] = '\0';
	} while (len < 4 || strcmp(head + len - 4, "\r\n\r\n"));
	if (strncmp(head, "HTTP/1.1 101 ", 13))
		test_fail(__FILE__, __LINE__, "no WebSocket, but: %s", head);
	return fd;
}

void client_frame(int fd, uint8_t opcode, const void *data, size_t len)
{
	_cleanup_buf_ struct dv_buf frame = DV_BUF_INIT;
	uint8_t head[14] = {opcode};
	size_t n = 2;

	if (len < 126) {
		head[1] = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		head[1] = 0x80 | 126;
		head[n++] = (uint8_t)(len >> 8);
		head[n++] = (uint8_t)len;
	} else {
		head[1] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			head[n++] = (uint8_t)((uint64_t)len >> shift);
	}
	n += 4; /* a mask of zeros */
	dv_buf_append(&frame, head, n);
	dv_buf_append(&frame, data, len);
	client_write(fd, frame.data, frame.len);
}

void client_text(int fd, const char *text)
{
	client_frame(fd, 0x81, text, strlen(text));
}

int client_message(int fd, struct dv_buf *ret)
{
	int opcode = -1;
	bool is_last;

	dv_buf_clear(ret);
	do {
		uint8_t head[8];
		uint64_t len;
		int code;

		read_exactly(fd, head, 2);
		is_last = head[0] & 0x80;
		code = head[0] & 0xf;
		len = head[1] & 0x7f;
		if (len >= 126) {
			size_t more = len == 126 ? 2 : 8;

			read_exactly(fd, head, more);
			len = 0;
			for (size_t i = 0; i < more; i++)
				len = len << 8 | head[i];
		}
		CHECK(len < 1u << 30);
		CHECK(dv_buf_reserve(ret, len + 1));
		read_exactly(fd, ret->data + ret->len, len);
		if (code == 9) {
			is_last = false;
			continue;
		}
		ret->len += len;
		if (code)
			opcode = code;
	} while (!is_last);
	ret->data[ret->len] = '\0';
	return opcode;
}
