/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the server's files share. */
#ifndef DV_SERVER_PRIVATE_H
#define DV_SERVER_PRIVATE_H

#include <libwebsockets.h>
#include <pthread.h>
#include "base/buf.h"
#include "server/server.h"

/* A piece of a queue. LWS_PRE bytes before what is sent are libwebsockets' own. */
struct dv_chunk {
	struct dv_chunk *next;
	size_t len, sent;
	bool is_text;
	uint8_t bytes[]; /* LWS_PRE + len */
};

struct dv_peer {
	struct dv_server *server;
	const struct dv_route *route; /* NULL: a file */
	unsigned refs;	/* atomic */

	/* The server's thread alone. */
	struct lws *wsi;
	void *client;	/* what `opened` returned */
	bool is_websocket, is_head, is_http10;
	bool is_throttled; /* nothing is read from it while it does not read itself */
	bool closes;	/* the connection ends with the response */
	bool sets_cookie;
	char origin[DV_GUARD_MAX_NAME + 1]; /* allowed to read the answer; empty: its own */
	char host[DV_GUARD_MAX_NAME + 1];
	char path[1024];
	struct dv_buf in; /* a message or body that is not whole yet */
	uint64_t in_since_s; /* its first byte; monotonic */
	struct dv_peer *next, **link; /* among the server's peers */

	/* Under the server's lock. */
	struct dv_chunk *head, **tail;
	size_t queued_bytes;
	bool is_gone, is_done, is_begun, is_chunked;
	bool is_waking; /* in the server's list of those to be woken */
	struct dv_peer *next_waking;
};

struct dv_server {
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct dv_guard guard;
	const struct dv_route *routes;
	const char *files, *no_files_page;
	uint16_t port;
	int listen_fd;
	pthread_t thread; /* of dv_server_run() */
	volatile bool stops;
	void (*stopping)(void *context);
	void *context_of_stopping;
	struct dv_peer *peers;
	size_t connections;

	pthread_mutex_t lock;
	pthread_cond_t room; /* some peer's queue got shorter, or it has gone */
	struct dv_peer *waking;
};

/* peer.c */
struct dv_peer *dv_peer_create(struct dv_server *server, struct lws *wsi);
/* The connection is no more; takes the server's reference. */
void dv_peer_disconnect(struct dv_peer *peer);
/* Sends some of the queue, as libwebsockets calls for it. Returns -1 to close the connection. */
int dv_peer_write(struct dv_peer *peer);
/* Asks libwebsockets to call for those whose queues were filled. */
void dv_server_wake(struct dv_server *server);

/* http.c */
/* "HTTP/1.1 200 OK" to the empty line. length: -1 when it is not known. */
void dv_http_head(struct dv_buf *to, const struct dv_peer *peer, int status, const char *content_type,
		  int64_t length);
/* The checks that come before a route: 0, or the status to refuse with. Fills in peer. */
int dv_http_admit(struct dv_peer *peer, enum dv_http_method method, const char *path);
void dv_http_refuse(struct dv_peer *peer, int status);
/* Answers with a file of the server's folder. */
void dv_http_file(struct dv_peer *peer);

#endif
