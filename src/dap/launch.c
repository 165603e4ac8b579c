/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A launch: the recording is opened, the guest goes to where it shall begin, gdb starts there. Without
 * checkpoints the way may take a minute, a large vmlinux takes gdb some seconds, and some editors give a request
 * ten: what takes long is answered on the way, its progress is shown, and what goes wrong after the answer is
 * told in the console.
 */
#include <string.h>
#include <time.h>
#include "dap/private.h"

#define ANSWER_AFTER_S 3 /* of its own; gdb comes after that */

struct going {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool there;
	struct dv_error *err;
};

static void on_arrived(void *context, struct dv_error *err, const struct dv_timeline_now *now)
{
	struct going *g = context;

	(void)now;
	pthread_mutex_lock(&g->lock);
	g->there = true;
	g->err = err ? dv_error_new(err->code, "%s", err->message) : NULL;
	pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void answer_on_the_way(struct adapter *a)
{
	a->is_answered = true;
	dap_respond(a, a->request_seq, a->command, json_object(), NULL);
}

static void wait_for(struct adapter *a, struct going *g, const struct timespec *late)
{
	bool in_time = true;

	pthread_mutex_lock(&g->lock);
	while (!g->there && in_time)
		in_time = !pthread_cond_timedwait(&g->changed, &g->lock, late);
	if (!g->there)
		answer_on_the_way(a);
	while (!g->there)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static struct dv_error *go_to_start(struct adapter *a, const struct timespec *late)
{
	struct going going = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, NULL};
	struct dv_error *err;

	if (!a->target.has_start)
		return NULL;
	atomic_store(&a->own_seek, true);
	err = dv_timeline_post(a->target.timeline, &a->target.start, on_arrived, &going);
	if (!err) {
		wait_for(a, &going, late);
		err = going.err;
	}
	atomic_store(&a->own_seek, false);
	return err;
}

/* Who may be interrupted by the reading thread. */
static void set_interruptible(struct adapter *a, struct dv_timeline *timeline)
{
	pthread_mutex_lock(&a->lock);
	a->interruptible = timeline;
	pthread_mutex_unlock(&a->lock);
}

static bool is_past(const struct timespec *late)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec > late->tv_sec || (now.tv_sec == late->tv_sec && now.tv_nsec > late->tv_nsec);
}

static struct dv_error *open_all(struct adapter *a, const json_t *arguments)
{
	struct timespec late;

	clock_gettime(CLOCK_REALTIME, &late);
	late.tv_sec += ANSWER_AFTER_S;
	DV_TRY(a->host->open(a->host->context, arguments, &a->target));
	set_interruptible(a, a->target.timeline);
	DV_TRY(dv_timeline_subscribe(a->target.timeline, dap_on_change, a, &a->subscription));
	a->is_subscribed = true;
	DV_TRY(go_to_start(a, &late));
	if (!a->is_answered && is_past(&late))
		answer_on_the_way(a);
	return a->host->start(a->host->context, dap_on_line, a, &a->target);
}

void dap_close(struct adapter *a)
{
	set_interruptible(a, NULL);
	if (a->is_subscribed)
		dv_timeline_unsubscribe(a->target.timeline, a->subscription);
	a->is_subscribed = a->is_open = false;
	a->host->close(a->host->context);
}

struct dv_error *dap_launch(struct adapter *a, const json_t *arguments, json_t *body)
{
	struct dv_error *err;

	(void)body;
	if (a->is_open)
		return dv_error_new(DV_ERROR_INVALID, "a recording is being debugged already");
	err = open_all(a, arguments);
	if (err) {
		dap_close(a);
		return err;
	}
	a->is_open = true;
	return NULL;
}
