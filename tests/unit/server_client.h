/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client of a few lines: bytes to a port of 127.0.0.1 and back, and WebSocket frames of RFC 6455. */
#ifndef DV_TESTS_SERVER_CLIENT_H
#define DV_TESTS_SERVER_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

/* All of these end the test when the other side does not keep to the protocol, or says nothing for 20 s. */
int client_connect(uint16_t port);
void client_write(int fd, const void *data, size_t len);
/* What comes until the other side closes. NUL-terminated; free(). */
char *client_read_all(int fd);
/* Sends a whole request and returns the whole answer: the connection must close after it. */
char *client_ask(uint16_t port, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A WebSocket: host and origin may be NULL (127.0.0.1:PORT, none). */
int client_websocket(uint16_t port, const char *target, const char *host, const char *origin);
/* A masked frame; opcode 1 text, 2 binary, 8 close, 0 continuation; with 0x80 the final one. */
void client_frame(int fd, uint8_t opcode, const void *data, size_t len);
void client_text(int fd, const char *text);
/* The next message, its fragments put together; pings are passed over. Returns the opcode. */
int client_message(int fd, struct dv_buf *ret);

#endif
