/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon behind the protocol: a trace, worker threads, clients. It knows nothing of transport: what
 * it has to say goes to a sink, what clients say is brought to it.
 *
 * Long requests may use all but a few of the workers, so that short ones always pass; of those that wait
 * the one whose client has the fewest at work comes first.
 */
#ifndef DV_RPC_RPC_H
#define DV_RPC_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define DV_RPC_MAX_REQUESTS 256	     /* unanswered ones of a client */
#define DV_RPC_MAX_ROWS 1000000	     /* of a query, unless told */
#define DV_RPC_MAX_SQL_BYTES (1u << 30) /* for SQLite in all */

struct dv_rpc;
struct dv_rpc_client;

/* Where a client's messages go: called from any thread. */
struct dv_rpc_sink {
	void *(*ref)(void *peer);
	void (*unref)(void *peer);
	/* Waits until it is worth sending more; false when the client has gone. Never from its own callbacks. */
	bool (*wait)(void *peer);
	/* False when the client has gone. Does not block. */
	bool (*send)(void *peer, bool is_text, const void *data, size_t len);
};

struct dv_rpc_options {
	const char *path;	 /* a trace or a recording */
	const char *version;	 /* DejaView's */
	const char *const *sources; /* folders where sources may be read, NULL-terminated; or NULL */
	const char *debug_info;	 /* for the debugger: a vmlinux with DWARF; NULL: looked for */
	const char *sysroot;	 /* for the debugger: a folder like the guest's root; or NULL */
	unsigned workers;	 /* 0: as many as the machine likes */
	unsigned query_seconds;	 /* longest run of a request; 0: any */
	unsigned max_message_bytes; /* what the transport takes: told to clients */
	/* Told of the loading's steps and of its end, when total is 0 and err what went wrong or NULL. From a
	 * thread of its own. May be NULL. */
	void (*loading)(void *context, uint64_t done, uint64_t total, const struct dv_error *err);
	void *context;
};

/* Starts the workers and begins to load. options' strings are borrowed until dv_rpc_destroy(). */
struct dv_error *dv_rpc_create(const struct dv_rpc_options *options, struct dv_rpc **ret);
/* Cancels all that runs, waits for its end. All clients must have been destroyed. NULL-safe. */
void dv_rpc_destroy(struct dv_rpc *rpc);
DV_DEFINE_CLEANUP(struct dv_rpc, dv_rpc_destroy);

/* Tells all clients that the daemon ends. */
void dv_rpc_goodbye(struct dv_rpc *rpc, const char *reason);

/* A client has come. NULL when out of memory. sink is static; peer is referenced as long as needed. */
struct dv_rpc_client *dv_rpc_client_create(struct dv_rpc *rpc, const struct dv_rpc_sink *sink, void *peer);
/* It has gone: its requests are cancelled. Does not wait for them. */
void dv_rpc_client_destroy(struct dv_rpc_client *client);
/* What it says. Does not block. */
void dv_rpc_client_text(struct dv_rpc_client *client, const void *data, size_t len);
void dv_rpc_client_binary(struct dv_rpc_client *client, const void *data, size_t len);

#endif
