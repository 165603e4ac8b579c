/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other side of gdb's remote protocol: a stub on a UNIX socket that one gdb connects to. Only the
 * framing (packets, acknowledgements, the interrupt byte); what packets mean is timeline_gdb.c's business.
 */
#ifndef DV_REPLAY_GDBSERVER_H
#define DV_REPLAY_GDBSERVER_H

#include <poll.h>
#include <stdbool.h>
#include "base/buf.h"
#include "base/error.h"

struct dv_gdb_server {
	int listen_fd, client_fd; /* -1: none */
	struct dv_buf in, last;	  /* what has come; the last answer, for a "-" */
	bool interrupted;	  /* gdb wants the CPU to stop; whoever acts on it clears it */
};

#define DV_GDB_SERVER_INIT {.listen_fd = -1, .client_fd = -1}

struct dv_error *dv_gdb_server_init(const char *path, struct dv_gdb_server *ret);
void dv_gdb_server_deinit(struct dv_gdb_server *server);

/* The descriptor to wait on for input: the client's, else the listening one. */
int dv_gdb_server_fd(const struct dv_gdb_server *server);
/* Takes what has come, without waiting: a connection (a second one is turned away), bytes, the end. */
void dv_gdb_server_read(struct dv_gdb_server *server);
/* The next whole packet, or NULL; free(). */
char *dv_gdb_server_packet(struct dv_gdb_server *server);
/* Sends an answer. One that cannot be sent ends the connection. */
void dv_gdb_server_answer(struct dv_gdb_server *server, const char *text);

#endif
