/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Worker threads: the queue of requests, who comes next, deadlines. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "rpc/private.h"
#include "base/thread.h"

uint64_t dv_rpc_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void dv_rpc_job_free(struct job *job)
{
	if (job->client)
		dv_rpc_client_unref(job->client);
	json_decref(job->params);
	free(job);
}

void dv_rpc_enqueue(struct dv_rpc *rpc, struct job *job)
{
	job->next = NULL;
	*rpc->queue_tail = job;
	rpc->queue_tail = &job->next;
	pthread_cond_broadcast(&rpc->work);
}

void dv_rpc_cancel(struct job *job)
{
	job->cancel = true;
	if (job->sql)
		dv_sql_interrupt(job->sql);
	if (job->timeline)
		dv_timeline_interrupt(job->timeline);
}

static unsigned max_long(const struct dv_rpc *rpc)
{
	return rpc->worker_count - QUICK_WORKERS;
}

/* Takes a job out of the queue: a short one if there is, else of the client that has the fewest at work. */
static struct job *next_job(struct dv_rpc *rpc)
{
	struct job **best = NULL;
	unsigned best_running = 0;
	struct job *job;

	for (struct job **at = &rpc->queue; *at; at = &(*at)->next) {
		unsigned running = (*at)->client ? (*at)->client->running : 0;

		if (!(*at)->is_long) {
			best = at;
			break;
		}
		if ((*at)->is_look && rpc->looks_running >= MAX_LOOKS)
			continue;
		if (rpc->long_running < max_long(rpc) && (!best || running < best_running)) {
			best = at;
			best_running = running;
		}
	}
	if (!best)
		return NULL;
	job = *best;
	*best = job->next;
	if (!*best)
		rpc->queue_tail = best;
	return job;
}

static void begin(struct dv_rpc *rpc, struct job *job)
{
	job->is_running = true;
	job->next = rpc->running;
	rpc->running = job;
	rpc->long_running += job->is_long;
	rpc->looks_running += job->is_look;
	if (job->client && job->is_long)
		job->client->running++;
	if (job->timeout_ms) {
		job->deadline_ms = dv_rpc_now_ms() + job->timeout_ms;
		pthread_cond_signal(&rpc->ticks);
	}
}

static void end(struct dv_rpc *rpc, struct job *job)
{
	for (struct job **at = &rpc->running; *at; at = &(*at)->next) {
		if (*at == job) {
			*at = job->next;
			break;
		}
	}
	rpc->long_running -= job->is_long;
	rpc->looks_running -= job->is_look;
	if (job->client && job->is_long)
		job->client->running--;
	if (job->is_long)
		pthread_cond_broadcast(&rpc->work);
}

static void *work(void *context)
{
	struct dv_rpc *rpc = context;

	pthread_mutex_lock(&rpc->lock);
	/* At the end what still waits runs too: it was cancelled, and lets go of what it holds. */
	while (!rpc->ends || rpc->queue) {
		struct job *job = next_job(rpc);

		if (!job) {
			pthread_cond_wait(&rpc->work, &rpc->lock);
			continue;
		}
		begin(rpc, job);
		pthread_mutex_unlock(&rpc->lock);
		job->run(job);
		pthread_mutex_lock(&rpc->lock);
		end(rpc, job);
		pthread_mutex_unlock(&rpc->lock);
		dv_rpc_job_free(job);
		pthread_mutex_lock(&rpc->lock);
	}
	pthread_mutex_unlock(&rpc->lock);
	return NULL;
}

/* Ends what has run too long. */
static void *watch_clock(void *context)
{
	struct dv_rpc *rpc = context;

	pthread_mutex_lock(&rpc->lock);
	while (!rpc->ends) {
		uint64_t now = dv_rpc_now_ms(), next = UINT64_MAX;
		struct timespec until;

		for (struct job *job = rpc->running; job; job = job->next) {
			if (!job->deadline_ms || job->cancel)
				continue;
			if (job->deadline_ms <= now) {
				job->is_timed_out = true;
				dv_rpc_cancel(job);
			} else if (job->deadline_ms < next) {
				next = job->deadline_ms;
			}
		}
		if (next == UINT64_MAX) {
			pthread_cond_wait(&rpc->ticks, &rpc->lock);
			continue;
		}
		until.tv_sec = (time_t)(next / 1000);
		until.tv_nsec = (long)(next % 1000) * 1000000;
		pthread_cond_timedwait(&rpc->ticks, &rpc->lock, &until);
	}
	pthread_mutex_unlock(&rpc->lock);
	return NULL;
}

struct dv_error *dv_rpc_workers_start(struct dv_rpc *rpc)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = rpc->options.workers ? rpc->options.workers : (cpus > 0 ? (unsigned)cpus : 1) + QUICK_WORKERS + 1;

	if (count < QUICK_WORKERS + 1)
		count = QUICK_WORKERS + 1;
	if (count > MAX_WORKERS)
		count = MAX_WORKERS;
	DV_TRY(dv_thread_start(&rpc->clock, NULL, watch_clock, rpc));
	rpc->clock_started = true;
	/* They read the count. */
	pthread_mutex_lock(&rpc->lock);
	while (rpc->worker_count < count) {
		struct dv_error *err = dv_thread_start(&rpc->workers[rpc->worker_count], NULL, work, rpc);

		if (err) {
			pthread_mutex_unlock(&rpc->lock);
			return err;
		}
		rpc->worker_count++;
	}
	pthread_mutex_unlock(&rpc->lock);
	return NULL;
}

void dv_rpc_workers_stop(struct dv_rpc *rpc)
{
	struct job *job;

	pthread_mutex_lock(&rpc->lock);
	rpc->ends = true;
	for (job = rpc->running; job; job = job->next)
		dv_rpc_cancel(job);
	for (job = rpc->queue; job; job = job->next) {
		dv_rpc_cancel(job);
		job->is_long = false;
	}
	pthread_cond_broadcast(&rpc->work);
	pthread_cond_broadcast(&rpc->ticks);
	pthread_mutex_unlock(&rpc->lock);
	for (unsigned i = 0; i < rpc->worker_count; i++)
		pthread_join(rpc->workers[i], NULL);
	if (rpc->clock_started)
		pthread_join(rpc->clock, NULL);
}
