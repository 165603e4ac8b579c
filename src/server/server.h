/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP and WebSocket on a loopback port, by libwebsockets. It knows nothing of traces: what it serves is
 * a table of routes and a folder of files.
 *
 * Threads. One thread calls dv_server_run(), and all callbacks of routes come from there: they must not
 * block. What is said of a function below holds for other threads.
 *
 * A peer is an HTTP request or a WebSocket, and a connection is for one: each answer to a request closes it.
 * It is counted: the server holds it while it is connected, others take a reference to keep it beyond the
 * callback. One that has gone takes what is sent to it and drops it.
 */
#ifndef DV_SERVER_SERVER_H
#define DV_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "server/guard.h"

#define DV_SERVER_MAX_MESSAGE (1u << 20)      /* bytes of a client's message or request body */
#define DV_SERVER_MAX_PEERS 128		      /* connections at a time */
#define DV_SERVER_ROOM_BYTES (8u << 20)	      /* queued for one peer: dv_peer_wait() waits above it */
#define DV_SERVER_MAX_QUEUE_BYTES (256u << 20) /* ... and above it the peer is dropped */
/* A peer is dropped that takes nothing of its queue for that long, or sends one message or body for longer. */
#define DV_SERVER_STALL_SECONDS 30
#define DV_SERVER_PING_SECONDS 60	      /* a silent WebSocket is asked whether it is there */

struct dv_server;
struct dv_peer;

enum dv_access {
	DV_ACCESS_TOKEN,
	DV_ACCESS_PAGE, /* the token, or the cookie that came with the page */
	DV_ACCESS_OPEN, /* no token; Host and Origin are held against the lists all the same */
};

enum dv_http_method { DV_HTTP_GET = 1, DV_HTTP_POST = 2, DV_WEBSOCKET = 4 };

struct dv_route {
	const char *path; /* NULL: the end of the table */
	enum dv_access access;
	unsigned methods; /* of enum dv_http_method */
	const char *const *origins; /* allowed here besides, NULL-terminated; or NULL */
	void *context;

	/* GET and POST: must see to it that the peer is answered, now or later. body is borrowed. */
	void (*request)(void *context, struct dv_peer *peer, const void *body, size_t len);
	/* WEBSOCKET: opened returns what message and closed get; NULL closes it. */
	void *(*opened)(void *context, struct dv_peer *peer);
	void (*message)(void *client, bool is_text, const void *data, size_t len);
	void (*closed)(void *client);
};

struct dv_server_options {
	uint16_t port;		      /* 0: any that is free */
	const struct dv_route *routes; /* outlive the server */
	const char *const *hosts, *const *origins; /* as struct dv_guard has them */
	const char *files;	      /* folder of the files that are served; NULL: none */
	const char *no_files_page;    /* HTML shown at / when there is none */
	/* Called once when the server was told to stop: a last word to clients. May be NULL. */
	void (*stopping)(void *context);
	void *context;
};

/*
 * Listens on 127.0.0.1. What it is given is borrowed until dv_server_destroy(). Errors: DV_ERROR_OS (the
 * port is taken: with the way out), DV_ERROR_INVALID (hosts, origins).
 */
struct dv_error *dv_server_create(const struct dv_server_options *options, struct dv_server **ret);
/* Peers that others still hold must have been let go of. */
void dv_server_destroy(struct dv_server *server);
DV_DEFINE_CLEANUP(struct dv_server, dv_server_destroy);

uint16_t dv_server_port(const struct dv_server *server);
const char *dv_server_token(const struct dv_server *server);
/* Serves until dv_server_stop(); then all peers go, and their `closed` is called. */
void dv_server_run(struct dv_server *server);
/* From any thread, and from a signal handler. */
void dv_server_stop(struct dv_server *server);

/* Each from any thread. */
struct dv_peer *dv_peer_ref(struct dv_peer *peer);
void dv_peer_unref(struct dv_peer *peer);
bool dv_peer_is_gone(struct dv_peer *peer);
/* Waits until there is room in the peer's queue; false when it has gone. Not on the server's thread. */
bool dv_peer_wait(struct dv_peer *peer);

/* Of a WebSocket: queues a message. Never blocks; false when the peer has gone. */
bool dv_peer_send(struct dv_peer *peer, bool is_text, const void *data, size_t len);
/* Of a WebSocket: closes it when all that is queued has been sent. */
void dv_peer_close(struct dv_peer *peer);

/* Of a request: answers it whole. */
void dv_peer_respond(struct dv_peer *peer, int status, const char *content_type, const void *body, size_t len);
/* ... or in pieces, whose number is not known before: begin, any number of pieces, end. */
void dv_peer_begin(struct dv_peer *peer, int status, const char *content_type);
bool dv_peer_piece(struct dv_peer *peer, const void *data, size_t len);
void dv_peer_end(struct dv_peer *peer);

#endif
