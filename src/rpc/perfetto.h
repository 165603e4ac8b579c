/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Perfetto's RPC, as its clients speak it to a trace processor: its Python package (POST /query, /status),
 * its web UI (/websocket), older ones (/rpc). It only reads the trace. The messages and field numbers are
 * those of Perfetto's trace_processor.proto; its TraceProcessorMethods are all below 100, and nothing else
 * can be asked for this way.
 */
#ifndef DV_RPC_PERFETTO_H
#define DV_RPC_PERFETTO_H

#include <stddef.h>
#include "base/buf.h"
#include "rpc/rpc.h"

/* Where an answer goes: called from any thread. */
struct dv_perfetto_sink {
	void *(*ref)(void *peer);
	void (*unref)(void *peer);
	bool (*wait)(void *peer);
	bool (*is_gone)(void *peer);
	bool (*piece)(void *peer, const void *data, size_t len);
	void (*end)(void *peer); /* the answer is whole; NULL for a stream of answers */
};

/* StatusResult: what GET and POST /status answer. */
void dv_perfetto_status(struct dv_rpc *rpc, struct dv_buf *to);
/* POST /query: a QueryArgs, answered by QueryResult messages one after the other. Ends with `end`. */
void dv_perfetto_query(struct dv_rpc *rpc, const struct dv_perfetto_sink *sink, void *peer, const void *body, size_t len);

/*
 * A stream of TraceProcessorRpcStream: a WebSocket, or one POST /rpc. Requests are done one after the other,
 * on one connection to the trace, so that a view that one makes is there for the next.
 */
struct dv_perfetto_stream;
struct dv_perfetto_stream *dv_perfetto_stream_create(struct dv_rpc *rpc, const struct dv_perfetto_sink *sink, void *peer);
/* Bytes of the stream, cut anywhere. Does not block. */
void dv_perfetto_stream_feed(struct dv_perfetto_stream *stream, const void *data, size_t len);
/* Nothing more comes: `end` once all is answered. */
void dv_perfetto_stream_finish(struct dv_perfetto_stream *stream);
/* The client has gone, or has finished: what runs is cancelled or, when it was finished, ends by itself. */
void dv_perfetto_stream_destroy(struct dv_perfetto_stream *stream);

/* Parsing alone, for tests: the SQL of a QueryArgs in new memory. Errors: DV_ERROR_FORMAT. */
struct dv_error *dv_perfetto_parse_query(const void *data, size_t len, char **ret);

#endif
