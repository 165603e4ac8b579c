/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TraceProcessorRpcStream { repeated TraceProcessorRpc msg = 1 }. TraceProcessorRpc: seq 1, request 2,
 * response 3, invalid_request 4, fatal_error 5, query_args 103, query_result 203, metric_result 205,
 * status 210. QueryArgs: sql_query 1. (Perfetto's trace_processor.proto, v48)
 */
#include "rpc/perfetto.h"
#include <string.h>
#include "base/proto.h"
#include "rpc/perfetto_result.h"

#define MAX_REQUEST_BYTES (1u << 20)
#define MAX_WAITING 256
#define VARINT_BYTES 10
#define API_VERSION 14 /* TRACE_PROCESSOR_CURRENT_API_VERSION of v48 */

/* TraceProcessorMethod */
enum {
	TPM_APPEND_TRACE_DATA = 1,
	TPM_FINALIZE_TRACE_DATA = 2,
	TPM_QUERY_STREAMING = 3,
	TPM_RESTORE_INITIAL_TABLES = 7,
	TPM_GET_STATUS = 10,
	TPM_MAX = 99, /* from 900 on are debuggers' methods, which are not for this room */
};

void dv_perfetto_status(struct dv_rpc *rpc, struct dv_buf *to)
{
	char version[100];

	snprintf(version, sizeof(version), "DejaView %s (read-only)", rpc->options.version);
	pthread_mutex_lock(&rpc->lock);
	if (rpc->state == DV_RPC_STATE_READY)
		proto_string(to, 1, rpc->options.path);
	pthread_mutex_unlock(&rpc->lock);
	proto_string(to, 2, version);
	proto_uint(to, 3, API_VERSION);
	proto_string(to, 4, rpc->options.version);
}

struct dv_error *dv_perfetto_parse_query(const void *data, size_t len, char **ret)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	const uint8_t *sql = NULL;
	struct proto_field field;
	size_t sql_len = 0;

	while (proto_next(&c, &field)) {
		if (field.number == 1 && field.wire == PROTO_BYTES) {
			sql = field.data;
			sql_len = field.len;
		}
	}
	if (c.truncated)
		return dv_error_new(DV_ERROR_FORMAT, "a QueryArgs of %zu bytes is malformed", len);
	if (sql_len && memchr(sql, 0, sql_len))
		return dv_error_new(DV_ERROR_FORMAT, "the query has a NUL in it");
	*ret = sql ? strndup((const char *)sql, sql_len) : strdup("");
	return *ret ? NULL : dv_error_no_memory();
}

/* Not ready: with the reason. */
static struct dv_error *check_ready(struct dv_rpc *rpc)
{
	struct dv_error *err = NULL;

	pthread_mutex_lock(&rpc->lock);
	if (rpc->state != DV_RPC_STATE_READY)
		err = dv_error_new(DV_ERROR_INVALID, rpc->state == DV_RPC_STATE_LOADING ? "the trace is still being loaded" :
										       "the trace could not be loaded");
	pthread_mutex_unlock(&rpc->lock);
	return err;
}

/* One query over HTTP */

struct query {
	const struct dv_perfetto_sink *sink;
	void *peer;
	char *sql;
	struct job *job;
};

static bool send_piece(void *context, const struct dv_buf *message)
{
	struct query *query = context;

	return query->sink->wait(query->peer) && query->sink->piece(query->peer, message->data, message->len);
}

/* Nobody tells of an HTTP client that has gone: it is looked after. */
static bool query_goes_on(void *context, uint64_t rows_read)
{
	struct query *query = context;

	return !query->job->cancel && !query->sink->is_gone(query->peer);
}

static struct dv_error *open_sql(struct job *job, struct dv_sql **ret)
{
	DV_TRY(check_ready(job->rpc));
	DV_TRY(job_sql_open(job, ret));
	dv_sql_set_progress(*ret, query_goes_on, job->context, 100);
	return NULL;
}

static void run_query(struct job *job)
{
	struct query *query = job->context;
	_cleanup_buf_ struct dv_buf message = DV_BUF_INIT;
	struct dv_sql *sql = NULL;
	struct dv_error *err = open_sql(job, &sql);

	if (err) {
		perfetto_error_result(&message, err->message);
		send_piece(query, &message);
		dv_error_destroy(err);
	} else {
		perfetto_run_query(sql, query->sql, &job->cancel, send_piece, query);
		job_sql_close(job, sql);
	}
	query->sink->end(query->peer);
	query->sink->unref(query->peer);
	free(query->sql);
	free(query);
}

static struct job *make_job(struct dv_rpc *rpc, void (*run)(struct job *job), void *context)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		*job = (struct job){.rpc = rpc, .run = run, .context = context, .is_long = true, .error_code = -1,
				    .timeout_ms = rpc->options.query_seconds * 1000ull};
	return job;
}

void dv_perfetto_query(struct dv_rpc *rpc, const struct dv_perfetto_sink *sink, void *peer, const void *body, size_t len)
{
	_cleanup_buf_ struct dv_buf message = DV_BUF_INIT;
	struct query *query = calloc(1, sizeof(*query));
	struct job *job = query ? make_job(rpc, run_query, query) : NULL;
	struct dv_error *err = job ? dv_perfetto_parse_query(body, len, &query->sql) : dv_error_no_memory();

	if (err) {
		perfetto_error_result(&message, err->message);
		sink->piece(peer, message.data, message.len);
		sink->end(peer);
		dv_error_destroy(err);
		free(query);
		free(job);
		return;
	}
	query->sink = sink;
	query->job = job;
	query->peer = sink->ref(peer);
	pthread_mutex_lock(&rpc->lock);
	dv_rpc_enqueue(rpc, job);
	pthread_mutex_unlock(&rpc->lock);
}

/* Streams */

struct request {
	struct request *next;
	size_t len;
	uint8_t bytes[];
};

struct dv_perfetto_stream {
	struct dv_rpc *rpc;
	const struct dv_perfetto_sink *sink;
	void *peer;
	struct dv_buf in; /* of the thread that feeds */
	bool is_broken;
	/* Under the daemon's lock. */
	unsigned refs;
	struct request *waiting, **tail;
	size_t waiting_count;
	struct job *job; /* at work on them */
	bool is_gone, is_finished;
	/* The job's alone. */
	struct dv_sql *sql;
	uint64_t seen_seq, sent_seq;
};

struct dv_perfetto_stream *dv_perfetto_stream_create(struct dv_rpc *rpc, const struct dv_perfetto_sink *sink, void *peer)
{
	struct dv_perfetto_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->rpc = rpc;
	stream->sink = sink;
	stream->peer = sink->ref(peer);
	stream->refs = 1;
	stream->tail = &stream->waiting;
	return stream;
}

static void stream_unref(struct dv_perfetto_stream *stream)
{
	struct request *request;
	bool last;

	pthread_mutex_lock(&stream->rpc->lock);
	last = !--stream->refs;
	pthread_mutex_unlock(&stream->rpc->lock);
	if (!last)
		return;
	while ((request = stream->waiting)) {
		stream->waiting = request->next;
		free(request);
	}
	dv_sql_close(stream->sql);
	dv_buf_deinit(&stream->in);
	stream->sink->unref(stream->peer);
	free(stream);
}

/* A whole TraceProcessorRpc: in a stream, of field 1. */
static bool send_rpc(struct dv_perfetto_stream *stream, uint32_t response, uint32_t field, const struct dv_buf *body,
		     const char *fatal)
{
	_cleanup_buf_ struct dv_buf message = DV_BUF_INIT;
	size_t mark = proto_open(&message, 1);

	proto_uint(&message, 1, ++stream->sent_seq);
	if (response)
		proto_uint(&message, 3, response);
	if (field)
		proto_bytes(&message, field, body->data, body->len);
	proto_string(&message, 5, fatal);
	proto_close(&message, mark);
	return !message.failed && stream->sink->wait(stream->peer) &&
	       stream->sink->piece(stream->peer, message.data, message.len);
}

static bool send_result(void *context, const struct dv_buf *message)
{
	return send_rpc(context, TPM_QUERY_STREAMING, 203, message, NULL);
}

static bool stream_goes_on(void *context, uint64_t rows_read)
{
	return !((struct job *)context)->cancel;
}

static void stream_query(struct job *job, struct dv_perfetto_stream *stream, const struct proto_field *args)
{
	_cleanup_buf_ struct dv_buf message = DV_BUF_INIT;
	_cleanup_free_ char *sql = NULL;
	struct dv_error *err = check_ready(job->rpc);

	if (!err && !stream->sql)
		err = dv_sql_open(job->rpc->query, &stream->sql);
	if (!err)
		err = dv_perfetto_parse_query(args->data, args->len, &sql);
	if (err) {
		perfetto_error_result(&message, err->message);
		send_result(stream, &message);
		dv_error_destroy(err);
		return;
	}
	pthread_mutex_lock(&job->rpc->lock);
	job->sql = stream->sql;
	if (job->rpc->options.query_seconds)
		job->deadline_ms = dv_rpc_now_ms() + job->timeout_ms;
	pthread_cond_signal(&job->rpc->ticks);
	pthread_mutex_unlock(&job->rpc->lock);
	dv_sql_set_progress(stream->sql, stream_goes_on, job, 100);
	dv_sql_set_memory_limit(stream->sql, DV_RPC_MAX_SQL_BYTES);
	perfetto_run_query(stream->sql, sql, &job->cancel, send_result, stream);
	pthread_mutex_lock(&job->rpc->lock);
	job->sql = NULL;
	job->deadline_ms = 0;
	pthread_mutex_unlock(&job->rpc->lock);
}

static void answer(struct job *job, struct dv_perfetto_stream *stream, uint64_t method, const struct proto_field *args)
{
	_cleanup_buf_ struct dv_buf body = DV_BUF_INIT, outer = DV_BUF_INIT;

	switch (method) {
	case TPM_QUERY_STREAMING:
		stream_query(job, stream, args);
		return;
	case TPM_GET_STATUS:
		dv_perfetto_status(job->rpc, &body);
		send_rpc(stream, TPM_GET_STATUS, 210, &body, NULL);
		return;
	case TPM_RESTORE_INITIAL_TABLES:
		dv_sql_close(dv_steal(stream->sql));
		send_rpc(stream, TPM_RESTORE_INITIAL_TABLES, 0, NULL, NULL);
		return;
	case TPM_APPEND_TRACE_DATA:
		/* AppendTraceDataResult: error 2. */
		proto_string(&body, 2, "a trace is loaded already, and this server is read-only");
		send_rpc(stream, TPM_APPEND_TRACE_DATA, 201, &body, NULL);
		return;
	case TPM_FINALIZE_TRACE_DATA:
		send_rpc(stream, TPM_FINALIZE_TRACE_DATA, 0, NULL, NULL);
		return;
	default:
		break;
	}
	/* invalid_request says which it was. */
	{
		size_t mark = proto_open(&outer, 1);

		proto_uint(&outer, 1, ++stream->sent_seq);
		proto_uint(&outer, 4, method);
		proto_close(&outer, mark);
		if (stream->sink->wait(stream->peer))
			stream->sink->piece(stream->peer, outer.data, outer.len);
	}
}

static void do_request(struct job *job, struct dv_perfetto_stream *stream, const struct request *request)
{
	struct dv_cursor c = dv_cursor_make(request->bytes, request->len);
	struct proto_field field, args = {0};
	uint64_t method = 0, seq = 0;

	while (proto_next(&c, &field)) {
		if (field.wire == PROTO_VARINT && field.number == 1)
			seq = field.value;
		else if (field.wire == PROTO_VARINT && field.number == 2)
			method = field.value;
		else if (field.wire == PROTO_BYTES && field.number == 103)
			args = field;
	}
	if (c.truncated) {
		send_rpc(stream, 0, 0, NULL, "a malformed TraceProcessorRpc");
		return;
	}
	if (stream->seen_seq && seq && seq != stream->seen_seq + 1) {
		send_rpc(stream, 0, 0, NULL, "a request came out of order, or one was lost");
		return;
	}
	stream->seen_seq = seq;
	answer(job, stream, method > TPM_MAX ? TPM_MAX : method, &args);
}

/* Works on what waits until nothing does. */
static void run_stream(struct job *job)
{
	struct dv_perfetto_stream *stream = job->context;
	struct dv_rpc *rpc = job->rpc;
	bool ends;

	pthread_mutex_lock(&rpc->lock);
	job->deadline_ms = 0;
	while (stream->waiting && !stream->is_gone && !rpc->ends) {
		struct request *request = stream->waiting;

		stream->waiting = request->next;
		if (!stream->waiting)
			stream->tail = &stream->waiting;
		stream->waiting_count--;
		/* A query that ran too long does not end those after it. */
		job->cancel = false;
		job->is_timed_out = false;
		pthread_mutex_unlock(&rpc->lock);
		do_request(job, stream, request);
		free(request);
		pthread_mutex_lock(&rpc->lock);
	}
	stream->job = NULL;
	ends = stream->is_finished;
	pthread_mutex_unlock(&rpc->lock);
	if (ends && stream->sink->end)
		stream->sink->end(stream->peer);
	stream_unref(stream);
}

/* With the lock. */
static void start_work(struct dv_perfetto_stream *stream)
{
	if (stream->job)
		return;
	stream->job = make_job(stream->rpc, run_stream, stream);
	if (!stream->job)
		return;
	stream->refs++;
	dv_rpc_enqueue(stream->rpc, stream->job);
}

static void take_request(struct dv_perfetto_stream *stream, const struct proto_field *field)
{
	struct request *request = malloc(sizeof(*request) + field->len);

	pthread_mutex_lock(&stream->rpc->lock);
	if (!request || stream->waiting_count >= MAX_WAITING) {
		stream->is_broken = true;
		free(request);
	} else {
		*request = (struct request){.len = field->len};
		memcpy(request->bytes, field->data, field->len);
		*stream->tail = request;
		stream->tail = &request->next;
		stream->waiting_count++;
		start_work(stream);
	}
	pthread_mutex_unlock(&stream->rpc->lock);
}

/* Whether a message that is not whole yet can become so. */
static bool may_become_whole(const uint8_t *data, size_t len)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	uint64_t tag = dv_cursor_varint(&c), body;

	if (c.truncated)
		return len < VARINT_BYTES;
	body = dv_cursor_varint(&c);
	if (c.truncated)
		return tag == (1 << 3 | PROTO_BYTES) && len < 2 * VARINT_BYTES;
	return tag == (1 << 3 | PROTO_BYTES) && body <= MAX_REQUEST_BYTES;
}

/* Takes whole messages out of what has come. False: the rest is no such stream. */
static bool take_messages(struct dv_perfetto_stream *stream)
{
	struct dv_cursor c = dv_cursor_make(stream->in.data, stream->in.len);
	const uint8_t *done = c.pos;
	struct proto_field field;
	size_t left;

	while (!stream->is_broken && proto_next(&c, &field)) {
		if (field.number == 1 && field.wire == PROTO_BYTES)
			take_request(stream, &field);
		done = c.pos;
	}
	left = (size_t)(stream->in.data + stream->in.len - done);
	if (stream->is_broken || (left && !may_become_whole(done, left)))
		return false;
	if (left)
		memmove(stream->in.data, done, left);
	stream->in.len = left;
	return true;
}

void dv_perfetto_stream_feed(struct dv_perfetto_stream *stream, const void *data, size_t len)
{
	_cleanup_buf_ struct dv_buf message = DV_BUF_INIT;
	size_t mark;

	if (stream->is_broken)
		return;
	dv_buf_append(&stream->in, data, len);
	if (!stream->in.failed && take_messages(stream))
		return;
	stream->is_broken = true;
	mark = proto_open(&message, 1);
	proto_string(&message, 5, "this is no stream of TraceProcessorRpc");
	proto_close(&message, mark);
	stream->sink->piece(stream->peer, message.data, message.len);
}

void dv_perfetto_stream_finish(struct dv_perfetto_stream *stream)
{
	bool works;

	pthread_mutex_lock(&stream->rpc->lock);
	works = stream->job != NULL;
	stream->is_finished = works;
	pthread_mutex_unlock(&stream->rpc->lock);
	if (!works && stream->sink->end)
		stream->sink->end(stream->peer);
}

void dv_perfetto_stream_destroy(struct dv_perfetto_stream *stream)
{
	pthread_mutex_lock(&stream->rpc->lock);
	stream->is_gone = !stream->is_finished;
	if (stream->is_gone && stream->job)
		dv_rpc_cancel(stream->job);
	pthread_mutex_unlock(&stream->rpc->lock);
	stream_unref(stream);
}
