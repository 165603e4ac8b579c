/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients: their requests in, answers out. */
#include <stdarg.h>
#include <string.h>
#include "rpc/replay.h"

static const struct {
	int number;
	dv_rpc_handler handle;
} handlers[] = {
	{DV_RPC_HELLO, handle_hello},
	{DV_RPC_LOAD_CANCEL, handle_load_cancel},
	{DV_RPC_LOAD_START, handle_load_start},
	{DV_RPC_THREADS, handle_threads},
	{DV_RPC_TIMELINE, handle_timeline},
	{DV_RPC_SCHED, handle_sched},
	{DV_RPC_SEARCH, handle_search},
	{DV_RPC_SEARCH_NEXT, handle_search_next},
	{DV_RPC_SLICE, handle_slice},
	{DV_RPC_ANCESTORS, handle_ancestors},
	{DV_RPC_CHILDREN, handle_children},
	{DV_RPC_NEIGHBOUR, handle_neighbour},
	{DV_RPC_HISTOGRAM, handle_histogram},
	{DV_RPC_STACK_AT, handle_stack_at},
	{DV_RPC_FUNCTIONS, handle_functions},
	{DV_RPC_FLAMEGRAPH, handle_flamegraph},
	{DV_RPC_CALLERS, handle_callers},
	{DV_RPC_CALLEES, handle_callees},
	{DV_RPC_FUNCTION_STATS, handle_function_stats},
	{DV_RPC_CONSOLE, handle_console},
	{DV_RPC_QUERY, handle_query},
	{DV_RPC_SOURCE, handle_source},
	{DV_RPC_MARKS_GET, handle_marks_get},
	{DV_RPC_MARKS_SET, handle_marks_set},
	{DV_RPC_REPLAY_OPEN, handle_replay_open},
	{DV_RPC_REPLAY_CLOSE, handle_replay_close},
	{DV_RPC_REPLAY_STATE, handle_replay_state},
	{DV_RPC_REPLAY_SEEK, handle_replay_seek},
	{DV_RPC_REPLAY_STEP, handle_replay_step},
	{DV_RPC_REPLAY_STEP_BACK, handle_replay_step_back},
	{DV_RPC_REPLAY_CONTINUE, handle_replay_continue},
	{DV_RPC_REPLAY_REVERSE_CONTINUE, handle_replay_reverse_continue},
	{DV_RPC_REPLAY_INTERRUPT, handle_replay_interrupt},
	{DV_RPC_REPLAY_STACK, handle_replay_stack},
	{DV_RPC_REPLAY_LOCALS, handle_replay_locals},
	{DV_RPC_REPLAY_REGISTERS, handle_replay_registers},
	{DV_RPC_REPLAY_EVALUATE, handle_replay_evaluate},
	{DV_RPC_REPLAY_MEMORY, handle_replay_memory},
	{DV_RPC_REPLAY_BREAKPOINTS, handle_replay_breakpoints},
	{DV_RPC_REPLAY_BREAKPOINT_ADD, handle_replay_breakpoint_add},
	{DV_RPC_REPLAY_BREAKPOINT_REMOVE, handle_replay_breakpoint_remove},
	{DV_RPC_REPLAY_BREAKPOINT_ENABLE, handle_replay_breakpoint_enable},
	{DV_RPC_WRITES, handle_writes},
	{DV_RPC_CALLS, handle_calls},
	{DV_RPC_TERMINAL_OPEN, handle_terminal_open},
	{DV_RPC_TERMINAL_INPUT, handle_terminal_input},
	{DV_RPC_TERMINAL_RESIZE, handle_terminal_resize},
	{DV_RPC_TERMINAL_CLOSE, handle_terminal_close},
};

dv_rpc_handler dv_rpc_handler_of(const struct dv_rpc_method *method)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(handlers); i++)
		if (handlers[i].number == method->number)
			return handlers[i].handle;
	return NULL;
}

/* Clients */

struct dv_rpc_client *dv_rpc_client_create(struct dv_rpc *rpc, const struct dv_rpc_sink *sink, void *peer)
{
	struct dv_rpc_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->rpc = rpc;
	client->sink = sink;
	client->peer = sink->ref(peer);
	client->refs = 1;
	pthread_mutex_lock(&rpc->lock);
	client->next = rpc->clients;
	client->link = &rpc->clients;
	if (client->next)
		client->next->link = &client->next;
	rpc->clients = client;
	pthread_mutex_unlock(&rpc->lock);
	return client;
}

void dv_rpc_client_unref(struct dv_rpc_client *client)
{
	if (__atomic_sub_fetch(&client->refs, 1, __ATOMIC_ACQ_REL))
		return;
	client->sink->unref(client->peer);
	free(client);
}

/* Takes a client's waiting requests out of the queue and out of its own list; with the lock. */
static struct job *take_waiting(struct dv_rpc *rpc, struct dv_rpc_client *client)
{
	struct job *taken = NULL, **at = &client->jobs;

	while (*at) {
		if ((*at)->is_running)
			at = &(*at)->next_of_client;
		else
			*at = (*at)->next_of_client;
	}
	at = &rpc->queue;
	while (*at) {
		struct job *job = *at;

		if (job->client != client) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		job->next = taken;
		taken = job;
	}
	rpc->queue_tail = at;
	return taken;
}

void dv_rpc_client_destroy(struct dv_rpc_client *client)
{
	struct dv_rpc *rpc = client->rpc;
	struct job *waiting;

	pthread_mutex_lock(&rpc->lock);
	client->is_gone = true;
	*client->link = client->next;
	if (client->next)
		client->next->link = client->link;
	for (struct job *job = client->jobs; job; job = job->next_of_client)
		dv_rpc_cancel(job);
	waiting = take_waiting(rpc, client);
	pthread_mutex_unlock(&rpc->lock);
	replay_terminal_close(rpc->replay, client);
	while (waiting) {
		struct job *next = waiting->next;

		dv_rpc_job_free(waiting);
		waiting = next;
	}
	dv_rpc_client_unref(client);
}

bool dv_rpc_client_send_json(struct dv_rpc_client *client, json_t *message)
{
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	return text && client->sink->send(client->peer, true, text, strlen(text));
}

json_t *dv_rpc_error_json(int code, const char *message, const char *hint)
{
	json_t *json = json_pack("{s:s, s:o}", "code", dv_rpc_error_code_names[code], "message", dv_json_text(message));

	if (hint && *hint)
		set_member(json, "hint", dv_json_text(hint));
	return json;
}

static void send_error(struct dv_rpc_client *client, uint32_t id, int code, const char *message, const char *hint)
{
	json_t *answer = json_pack("{s:o}", "error", dv_rpc_error_json(code, message, hint));

	if (id)
		set_member(answer, "id", json_integer(id));
	dv_rpc_client_send_json(client, answer);
}

int dv_rpc_error_code(const struct dv_error *err)
{
	switch (err->code) {
	case DV_ERROR_INVALID: return DV_RPC_ERROR_CODE_INVALID;
	case DV_ERROR_NOT_FOUND: return DV_RPC_ERROR_CODE_NOT_FOUND;
	case DV_ERROR_CANCELLED: return DV_RPC_ERROR_CODE_CANCELLED;
	case DV_ERROR_TIMEOUT: return DV_RPC_ERROR_CODE_TIMEOUT;
	case DV_ERROR_UNSUPPORTED: return DV_RPC_ERROR_CODE_UNSUPPORTED;
	case DV_ERROR_NO_MEMORY: return DV_RPC_ERROR_CODE_TOO_LARGE;
	case DV_ERROR_OS:
	case DV_ERROR_FORMAT:
	case DV_ERROR_TRUNCATED: return DV_RPC_ERROR_CODE_IO;
	case DV_ERROR_FAULT:
	case DV_ERROR_MISMATCH:
	case DV_ERROR_PROTOCOL:
	case DV_ERROR_EXITED: return DV_RPC_ERROR_CODE_REPLAY;
	}
	return DV_RPC_ERROR_CODE_INTERNAL;
}

/* Requests */

static void unlink_job(struct job *job)
{
	struct dv_rpc *rpc = job->rpc;

	pthread_mutex_lock(&rpc->lock);
	for (struct job **at = &job->client->jobs; *at; at = &(*at)->next_of_client) {
		if (*at == job) {
			*at = job->next_of_client;
			break;
		}
	}
	job->client->job_count--;
	pthread_mutex_unlock(&rpc->lock);
}

static struct dv_error *run_handler(struct job *job, json_t **ret)
{
	int state;

	if (job->cancel)
		return job_cancelled(job);
	pthread_mutex_lock(&job->rpc->lock);
	state = job->rpc->state;
	pthread_mutex_unlock(&job->rpc->lock);
	if (state != DV_RPC_STATE_READY && !job->method->is_anytime) {
		job->error_code = DV_RPC_ERROR_CODE_LOADING;
		job_hint(job, "wait for the event 'state'");
		return dv_error_new(DV_ERROR_INVALID, state == DV_RPC_STATE_LOADING ? "the trace is still being loaded" :
										     "the trace could not be loaded");
	}
	return dv_rpc_handler_of(job->method)(job, ret);
}

static void run_method(struct job *job)
{
	json_t *result = NULL;
	struct dv_error *err = run_handler(job, &result);
	int code;

	/* The id is free again before the client can know of the answer. */
	unlink_job(job);
	if (!err) {
		dv_rpc_client_send_json(job->client, json_pack("{s:I, s:o}", "id", (json_int_t)job->id, "result",
							       result ? result : json_object()));
		return;
	}
	code = job->error_code >= 0 ? job->error_code : dv_rpc_error_code(err);
	if (job->is_timed_out) {
		dv_error_destroy(err);
		err = dv_error_new(DV_ERROR_TIMEOUT, "%s ran longer than %llu s", job->method->name,
				   (unsigned long long)job->timeout_ms / 1000);
		code = DV_RPC_ERROR_CODE_TIMEOUT;
	}
	send_error(job->client, job->id, code, err->message, job->hint);
	dv_error_destroy(err);
}

static struct job *find_job(struct dv_rpc_client *client, uint32_t id)
{
	for (struct job *job = client->jobs; job; job = job->next_of_client)
		if (job->id == id)
			return job;
	return NULL;
}

static void accept_request(struct dv_rpc_client *client, uint32_t id, const struct dv_rpc_method *method, json_t *params)
{
	struct dv_rpc *rpc = client->rpc;
	struct job *job = calloc(1, sizeof(*job));
	const char *problem = NULL;

	if (!job) {
		send_error(client, id, DV_RPC_ERROR_CODE_INTERNAL, "out of memory", NULL);
		return;
	}
	*job = (struct job){.rpc = rpc, .client = client, .method = method, .run = run_method, .id = id,
			    .params = json_incref(params), .is_long = method->is_long, .error_code = -1,
			    .is_look = method->number == DV_RPC_WRITES || method->number == DV_RPC_CALLS,
			    .timeout_ms = rpc->options.query_seconds * 1000ull};
	__atomic_fetch_add(&client->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&rpc->lock);
	if (find_job(client, id))
		problem = "a request of this id is still unanswered";
	else if (client->job_count >= DV_RPC_MAX_REQUESTS)
		problem = "too many unanswered requests";
	if (!problem) {
		job->next_of_client = client->jobs;
		client->jobs = job;
		client->job_count++;
		dv_rpc_enqueue(rpc, job);
	}
	pthread_mutex_unlock(&rpc->lock);
	if (!problem)
		return;
	dv_rpc_job_free(job);
	send_error(client, id, DV_RPC_ERROR_CODE_BUSY, problem, NULL);
}

static void on_request(struct dv_rpc_client *client, uint32_t id, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "method"));
	const struct dv_rpc_method *method = name ? dv_rpc_method_find(name) : NULL;
	json_t *params = json_object_get(message, "params");
	json_t *none = params ? NULL : json_object();
	char text[160];

	if (!name) {
		send_error(client, id, DV_RPC_ERROR_CODE_INVALID, "method: should be a string", NULL);
	} else if (!method || !dv_rpc_handler_of(method)) {
		snprintf(text, sizeof(text), "there is no method '%.100s'", name);
		send_error(client, id, DV_RPC_ERROR_CODE_UNKNOWN_METHOD, text, "hello tells which there are");
	} else {
		_cleanup_error_ struct dv_error *err = dv_rpc_check_params(method, params ? params : none);

		if (err)
			send_error(client, id, DV_RPC_ERROR_CODE_INVALID, err->message, NULL);
		else
			accept_request(client, id, method, params ? params : none);
	}
	json_decref(none);
}

static bool is_id(const json_t *json)
{
	return json_is_integer(json) && json_integer_value(json) >= 1 && json_integer_value(json) <= UINT32_MAX;
}

static void on_cancel(struct dv_rpc_client *client, uint32_t id)
{
	struct job *job;

	pthread_mutex_lock(&client->rpc->lock);
	job = find_job(client, id);
	/* One that waits stays in the queue: it ends at once when its turn comes. It need not wait for that. */
	if (job) {
		dv_rpc_cancel(job);
		job->is_long &= job->is_running;
		pthread_cond_broadcast(&client->rpc->work);
	}
	pthread_mutex_unlock(&client->rpc->lock);
}

void dv_rpc_client_text(struct dv_rpc_client *client, const void *data, size_t len)
{
	json_error_t error;
	json_t *message = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error), *id, *cancel;
	char text[sizeof(error.text) + 80];

	if (!message) {
		snprintf(text, sizeof(text), "not JSON, at byte %d: %s", error.position, error.text);
		send_error(client, 0, DV_RPC_ERROR_CODE_PARSE, text, NULL);
		return;
	}
	id = json_object_get(message, "id");
	cancel = json_object_get(message, "cancel");
	if (is_id(cancel) && !id)
		on_cancel(client, (uint32_t)json_integer_value(cancel));
	else if (is_id(id))
		on_request(client, (uint32_t)json_integer_value(id), message);
	else
		send_error(client, 0, DV_RPC_ERROR_CODE_INVALID,
			   "a message is {\"id\": 1 to 4294967295, \"method\": ...} or {\"cancel\": ID}", NULL);
	json_decref(message);
}

void dv_rpc_client_binary(struct dv_rpc_client *client, const void *data, size_t len)
{
	struct dv_rpc_frame frame;
	const uint8_t *bytes;
	_cleanup_error_ struct dv_error *err = dv_frame_parse_input(data, len, &frame, &bytes);

	if (err)
		send_error(client, 0, DV_RPC_ERROR_CODE_INVALID, err->message, NULL);
	else if (frame.track != 1 || !replay_terminal_input(client->rpc->replay, bytes, frame.rows))
		send_error(client, 0, DV_RPC_ERROR_CODE_NOT_FOUND, "there is no such terminal", NULL);
}

/* For handlers */

bool job_is_cancelled(const struct job *job)
{
	return job->cancel;
}

struct dv_error *job_cancelled(struct job *job)
{
	return dv_error_new(DV_ERROR_CANCELLED, "cancelled");
}

struct dv_error *job_send(struct job *job, bool is_text, const void *data, size_t len)
{
	struct dv_rpc_client *client = job->client;

	if (job->cancel || !client->sink->wait(client->peer) || !client->sink->send(client->peer, is_text, data, len))
		return job_cancelled(job);
	return NULL;
}

struct dv_error *job_part(struct job *job, json_t *part)
{
	json_t *message = json_pack("{s:I, s:o}", "id", (json_int_t)job->id, "part", part);
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	return text ? job_send(job, true, text, strlen(text)) : dv_error_no_memory();
}

void job_progress(struct job *job, double done, double total, const char *what)
{
	dv_rpc_client_send_json(job->client, json_pack("{s:I, s:{s:f, s:f, s:s}}", "id", (json_int_t)job->id, "progress",
						       "done", done, "total", total, "what", what));
}

void job_hint(struct job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(job->hint, sizeof(job->hint), format, args);
	va_end(args);
}

struct dv_error *job_sql_open(struct job *job, struct dv_sql **ret)
{
	struct dv_sql *sql;

	DV_TRY(dv_sql_open(job->rpc->query, &sql));
	dv_sql_set_memory_limit(sql, DV_RPC_MAX_SQL_BYTES);
	pthread_mutex_lock(&job->rpc->lock);
	job->sql = sql;
	pthread_mutex_unlock(&job->rpc->lock);
	*ret = sql;
	return NULL;
}

void job_sql_close(struct job *job, struct dv_sql *sql)
{
	pthread_mutex_lock(&job->rpc->lock);
	job->sql = NULL;
	pthread_mutex_unlock(&job->rpc->lock);
	dv_sql_close(sql);
}

uint64_t param_count(const struct job *job, const char *name, uint64_t otherwise)
{
	const json_t *value = json_object_get(job->params, name);

	return value && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value) : otherwise;
}

const char *param_string(const struct job *job, const char *name)
{
	return json_string_value(json_object_get(job->params, name));
}

bool param_bool(const struct job *job, const char *name)
{
	return json_is_true(json_object_get(job->params, name));
}
