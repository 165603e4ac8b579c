/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's life: loading the trace, telling everybody, ending. */
#include <string.h>
#include <sys/stat.h>
#include "base/thread.h"
#include "rpc/replay.h"

void dv_rpc_broadcast(struct dv_rpc *rpc, const char *event, json_t *data, const struct dv_rpc_client *except)
{
	json_t *message = json_pack("{s:s, s:o}", "event", event, "data", data);
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text)
		return;
	pthread_mutex_lock(&rpc->lock);
	for (struct dv_rpc_client *client = rpc->clients; client; client = client->next)
		if (client != except)
			client->sink->send(client->peer, true, text, strlen(text));
	pthread_mutex_unlock(&rpc->lock);
}

void dv_rpc_goodbye(struct dv_rpc *rpc, const char *reason)
{
	dv_rpc_broadcast(rpc, "closing", json_pack("{s:s}", "reason", reason), NULL);
}

json_t *dv_rpc_state_json(struct dv_rpc *rpc)
{
	json_t *json = json_pack("{s:s}", "state", dv_rpc_state_names[rpc->state]);

	if (rpc->state == DV_RPC_STATE_LOADING)
		set_member(json, "progress", json_pack("{s:f, s:f, s:s}", "done", (double)rpc->done_bytes, "total",
						       (double)rpc->total_bytes, "what", "loading the trace"));
	if (rpc->load_error)
		set_member(json, "error", dv_rpc_error_json(dv_rpc_error_code(rpc->load_error),
							    rpc->load_error->message, NULL));
	return json;
}

static void tell_state(struct dv_rpc *rpc)
{
	json_t *data;

	pthread_mutex_lock(&rpc->lock);
	data = dv_rpc_state_json(rpc);
	pthread_mutex_unlock(&rpc->lock);
	dv_rpc_broadcast(rpc, "state", data, NULL);
}

static bool on_load_progress(void *context, uint64_t done, uint64_t total)
{
	struct dv_rpc *rpc = context;
	bool goes_on, changed;

	pthread_mutex_lock(&rpc->lock);
	/* A hundred steps are enough for everybody. */
	changed = total && done * 100 / total != rpc->done_bytes * 100 / total;
	rpc->done_bytes = done;
	rpc->total_bytes = total;
	goes_on = !rpc->ends && !rpc->load_cancelled;
	pthread_mutex_unlock(&rpc->lock);
	if (changed) {
		tell_state(rpc);
		if (rpc->options.loading)
			rpc->options.loading(rpc->options.context, done, total, NULL);
	}
	return goes_on;
}

static void *load(void *context)
{
	struct dv_rpc *rpc = context;
	const struct dv_query_options options = {.progress = on_load_progress, .context = rpc};
	struct dv_query *query = NULL;
	struct dv_error *err = dv_query_open(rpc->options.path, &options, &query);

	pthread_mutex_lock(&rpc->lock);
	rpc->query = query;
	rpc->load_error = err;
	rpc->state = err ? DV_RPC_STATE_FAILED : DV_RPC_STATE_READY;
	pthread_mutex_unlock(&rpc->lock);
	tell_state(rpc);
	if (rpc->options.loading)
		rpc->options.loading(rpc->options.context, 0, 0, err);
	return NULL;
}

static struct dv_error *start_loading(struct dv_rpc *rpc)
{
	struct dv_error *err = dv_thread_start(&rpc->loader, NULL, load, rpc);

	rpc->loader_started = !err;
	return err;
}

struct dv_error *handle_load_cancel(struct job *job, json_t **ret)
{
	struct dv_rpc *rpc = job->rpc;
	bool loads;

	pthread_mutex_lock(&rpc->lock);
	loads = rpc->state == DV_RPC_STATE_LOADING;
	rpc->load_cancelled = loads;
	pthread_mutex_unlock(&rpc->lock);
	return loads ? NULL : dv_error_new(DV_ERROR_INVALID, "no trace is being loaded");
}

struct dv_error *handle_load_start(struct job *job, json_t **ret)
{
	struct dv_rpc *rpc = job->rpc;
	struct dv_error *err, *cancelled = NULL;
	bool was_cancelled;

	pthread_mutex_lock(&rpc->lock);
	was_cancelled = rpc->state == DV_RPC_STATE_FAILED && rpc->load_error->code == DV_ERROR_CANCELLED;
	if (was_cancelled) {
		cancelled = dv_steal(rpc->load_error);
		rpc->load_cancelled = false;
		rpc->done_bytes = 0;
		rpc->state = DV_RPC_STATE_LOADING;
	}
	pthread_mutex_unlock(&rpc->lock);
	if (!was_cancelled)
		return dv_error_new(DV_ERROR_INVALID, "it is no trace whose loading was cancelled");
	/* Who has set the state has the loader, which has nothing left to do but to say so, by the error. */
	pthread_join(rpc->loader, NULL);
	dv_error_destroy(cancelled);
	tell_state(rpc);
	err = start_loading(rpc);
	if (!err)
		return NULL;
	pthread_mutex_lock(&rpc->lock);
	rpc->load_error = err;
	rpc->state = DV_RPC_STATE_FAILED;
	pthread_mutex_unlock(&rpc->lock);
	tell_state(rpc);
	return dv_error_new(err->code, "%s", err->message);
}

/* A folder must be a recording; a file is a trace, whatever lies around it. */
static struct dv_error *open_recording(struct dv_rpc *rpc)
{
	struct stat st;

	if (stat(rpc->options.path, &st))
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s: there is no such trace or recording", rpc->options.path);
	return S_ISDIR(st.st_mode) ? dv_recording_open(rpc->options.path, &rpc->recording) : NULL;
}

static void init_locks(struct dv_rpc *rpc)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&rpc->lock, NULL);
	pthread_mutex_init(&rpc->marks_lock, NULL);
	pthread_cond_init(&rpc->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rpc->ticks, &attr);
	pthread_condattr_destroy(&attr);
}

struct dv_error *dv_rpc_create(const struct dv_rpc_options *options, struct dv_rpc **ret)
{
	_cleanup_(dv_rpc_destroyp) struct dv_rpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc)
		return dv_error_no_memory();
	/* Once, before there are threads. */
	json_object_seed(0);
	rpc->options = *options;
	rpc->queue_tail = &rpc->queue;
	init_locks(rpc);
	DV_TRY(open_recording(rpc));
	DV_TRY(replay_create(rpc, &rpc->replay));
	DV_TRY(dv_rpc_workers_start(rpc));
	DV_TRY(start_loading(rpc));
	*ret = dv_steal(rpc);
	return NULL;
}

void dv_rpc_destroy(struct dv_rpc *rpc)
{
	if (!rpc)
		return;
	if (rpc->replay)
		replay_close(rpc->replay);
	dv_rpc_workers_stop(rpc);
	replay_destroy(rpc->replay);
	if (rpc->loader_started)
		pthread_join(rpc->loader, NULL);
	for (size_t i = 0; i < MAX_SEARCHES; i++)
		if (rpc->searches[i])
			search_put(rpc, rpc->searches[i]);
	dv_query_close(rpc->query);
	dv_recording_destroy(rpc->recording);
	dv_error_destroy(rpc->load_error);
	json_decref(rpc->marks);
	free(rpc->marks_path);
	free(rpc->files);
	pthread_cond_destroy(&rpc->work);
	pthread_cond_destroy(&rpc->ticks);
	pthread_mutex_destroy(&rpc->lock);
	pthread_mutex_destroy(&rpc->marks_lock);
	free(rpc);
}
