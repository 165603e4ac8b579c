/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A timeline's thread, its queue of requests, and those who are told of changes; see timeline.h. */
#include "replay/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include "base/io.h"
#include "base/thread.h"
#include "replay/jobs.h"
#include "replay/timeline_private.h"

#define MAX_NOTES_BYTES 65536
#define MAX_QUEUE 10000
/* Passes of the background maker: the first is short, so that something is there soon. */
#define FIRST_PASS 8
#define LAST_PASS 64

int64_t timeline_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void timeline_note(struct dv_timeline *t, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	pthread_mutex_lock(&t->lock);
	if (t->notes.len < MAX_NOTES_BYTES)
		dv_buf_printf(&t->notes, "%s\n", text);
	pthread_mutex_unlock(&t->lock);
	free(text);
}

char *dv_timeline_notes(struct dv_timeline *timeline)
{
	char *text;

	pthread_mutex_lock(&timeline->lock);
	text = strndup(timeline->notes.len ? (const char *)timeline->notes.data : "", timeline->notes.len);
	pthread_mutex_unlock(&timeline->lock);
	return text;
}

void timeline_publish(struct dv_timeline *t, const struct dv_timeline_now *now)
{
	struct dv_timeline_now copy;

	pthread_mutex_lock(&t->calls);
	pthread_mutex_lock(&t->lock);
	copy = *now;
	copy.generation = t->now.generation + 1;
	t->now = copy;
	pthread_mutex_unlock(&t->lock);
	for (struct subscriber *s = t->subscribers, *next; s; s = next) {
		next = s->next;
		s->change(s->context, &copy);
	}
	pthread_mutex_unlock(&t->calls);
}

struct dv_error *timeline_stopped(struct dv_timeline *t, struct dv_timeline_now *now)
{
	DV_TRY(dv_replay_where(&t->replay, &now->where));
	now->state = DV_TIMELINE_STOPPED;
	now->target_icount = 0;
	now->by_gdb = t->gdb_waits;
	timeline_publish(t, now);
	now->generation = t->now.generation;
	return NULL;
}

void dv_timeline_now(struct dv_timeline *timeline, struct dv_timeline_now *ret)
{
	pthread_mutex_lock(&timeline->lock);
	*ret = timeline->now;
	pthread_mutex_unlock(&timeline->lock);
}

struct dv_error *dv_timeline_subscribe(struct dv_timeline *timeline, dv_timeline_change_fn change, void *context,
				       uint64_t *ret_id)
{
	struct subscriber *s = calloc(1, sizeof(*s));

	if (!s)
		return dv_error_no_memory();
	pthread_mutex_lock(&timeline->calls);
	*s = (struct subscriber){++timeline->last_id, change, context, timeline->subscribers};
	timeline->subscribers = s;
	*ret_id = s->id;
	pthread_mutex_unlock(&timeline->calls);
	return NULL;
}

void dv_timeline_unsubscribe(struct dv_timeline *timeline, uint64_t id)
{
	pthread_mutex_lock(&timeline->calls);
	for (struct subscriber **at = &timeline->subscribers; *at; at = &(*at)->next) {
		struct subscriber *s = *at;

		if (s->id != id)
			continue;
		*at = s->next;
		free(s);
		break;
	}
	pthread_mutex_unlock(&timeline->calls);
}

static void wake(struct dv_timeline *t)
{
	uint64_t one = 1;

	if (write(t->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is awake already */
}

static struct dv_error *enqueue(struct dv_timeline *t, struct request *request)
{
	struct dv_error *err = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->closing)
		err = dv_error_new(DV_ERROR_CANCELLED, "the session is ending");
	else if (t->queued_commands > MAX_QUEUE)
		err = dv_error_new(DV_ERROR_INVALID, "more than %d commands wait already", MAX_QUEUE);
	if (!err) {
		*t->last = request;
		t->last = &request->next;
		t->queued_commands += request->kind == REQUEST_COMMAND;
	}
	pthread_mutex_unlock(&t->lock);
	wake(t);
	return err;
}

/* Puts a request of the caller's stack into the queue and waits for its end. */
static struct dv_error *wait_for(struct dv_timeline *t, struct request *request)
{
	DV_TRY(enqueue(t, request));
	pthread_mutex_lock(&t->lock);
	while (!request->finished)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return request->err;
}

struct dv_error *dv_timeline_do(struct dv_timeline *timeline, const struct dv_timeline_command *command,
				struct dv_timeline_now *ret)
{
	struct request request = {.kind = REQUEST_COMMAND, .command = *command};

	DV_TRY(wait_for(timeline, &request));
	if (ret)
		*ret = request.now;
	return NULL;
}

struct dv_error *dv_timeline_post(struct dv_timeline *timeline, const struct dv_timeline_command *command,
				  dv_timeline_done_fn done, void *context)
{
	struct request *request = calloc(1, sizeof(*request));
	struct dv_error *err;

	if (!request)
		return dv_error_no_memory();
	*request = (struct request){.kind = REQUEST_COMMAND, .command = *command, .done = done, .context = context,
				    .posted = true};
	err = enqueue(timeline, request);
	if (err)
		free(request);
	return err;
}

struct dv_error *dv_timeline_read_memory(struct dv_timeline *timeline, uint64_t vaddr, void *to, size_t len)
{
	struct request request = {.kind = REQUEST_MEMORY, .vaddr = vaddr, .to = to, .bytes = len};

	return wait_for(timeline, &request);
}

struct dv_error *dv_timeline_read_registers(struct dv_timeline *timeline, struct dv_x86_registers *ret)
{
	struct request request = {.kind = REQUEST_REGISTERS, .to = ret};

	return wait_for(timeline, &request);
}

static bool read_for_guest(void *context, uint64_t vaddr, void *to, size_t len)
{
	struct dv_error *err = dv_timeline_read_memory(context, vaddr, to, len);

	dv_error_destroy(err);
	return !err;
}

struct dv_guest_memory dv_timeline_memory(struct dv_timeline *timeline)
{
	return (struct dv_guest_memory){.read = read_for_guest, .context = timeline};
}

struct dv_error *dv_timeline_break(struct dv_timeline *timeline, enum dv_break_kind kind, uint64_t vaddr,
				   uint64_t bytes, bool set)
{
	struct request request = {.kind = REQUEST_POINT, .type = "1234"[kind], .vaddr = vaddr, .bytes = bytes, .set = set};

	return wait_for(timeline, &request);
}

void dv_timeline_interrupt(struct dv_timeline *timeline)
{
	atomic_store(&timeline->interrupted, true);
	wake(timeline);
}

const char *dv_timeline_gdb_socket(const struct dv_timeline *timeline)
{
	return timeline->gdb_socket;
}

const char *dv_timeline_run_dir(const struct dv_timeline *timeline)
{
	return timeline->run.path;
}

bool timeline_shall_stop(struct dv_timeline *t, bool also_for_others)
{
	bool others;

	if (t->server.client_fd >= 0)
		dv_gdb_server_read(&t->server);
	if (t->server.interrupted)
		atomic_store(&t->interrupted, true);
	t->server.interrupted = false;
	pthread_mutex_lock(&t->lock);
	others = t->queued_commands;
	pthread_mutex_unlock(&t->lock);
	return t->closing || t->interrupted || (also_for_others && others);
}

static void finish(struct dv_timeline *t, struct request *request)
{
	dv_timeline_done_fn done = request->done;

	if (request->posted) {
		if (done)
			done(request->context, request->err, &request->now);
		dv_error_destroy(request->err);
		free(request);
		return;
	}
	pthread_mutex_lock(&t->lock);
	request->finished = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static struct request *next_request(struct dv_timeline *t)
{
	struct request *request;

	pthread_mutex_lock(&t->lock);
	request = t->first;
	if (request) {
		t->first = request->next;
		if (!t->first)
			t->last = &t->first;
		t->queued_commands -= request->kind == REQUEST_COMMAND;
	}
	pthread_mutex_unlock(&t->lock);
	return request;
}

/* A client's own breakpoint; gdb's come by packets. */
static struct dv_error *set_point(struct dv_timeline *t, const struct request *request)
{
	for (size_t i = 0; i < t->points_len; i++) {
		struct point *p = &t->points[i];

		if (p->type != request->type || p->vaddr != request->vaddr || p->bytes != request->bytes)
			continue;
		p->by_us = request->set;
		if (!p->by_us && !p->by_gdb)
			*p = t->points[--t->points_len];
		return NULL;
	}
	if (!request->set)
		return NULL;
	if (t->points_len == MAX_POINTS)
		return dv_error_new(DV_ERROR_INVALID, "there are %d breakpoints already", MAX_POINTS);
	t->points[t->points_len++] = (struct point){.type = request->type, .vaddr = request->vaddr,
						    .bytes = request->bytes, .by_us = true};
	return NULL;
}

static struct dv_error *execute(struct dv_timeline *t, struct request *request)
{
	struct dv_error *err = NULL;

	if (t->closing)
		return dv_error_new(DV_ERROR_CANCELLED, "the session is ending");
	switch (request->kind) {
	case REQUEST_COMMAND:
		request->now = t->now;
		atomic_store(&t->interrupted, false);
		return timeline_command(t, &request->command, &request->now);
	case REQUEST_POINT:
		return set_point(t, request);
	case REQUEST_MEMORY:
	case REQUEST_REGISTERS:
		break;
	}
	for (int tries = 0; tries < 2; tries++) {
		if (!t->is_open)
			return dv_error_new(DV_ERROR_EXITED, "the replay could not be brought back");
		err = request->kind == REQUEST_MEMORY ?
			      dv_gdb_read_memory(t->replay.gdb, request->vaddr, request->to, request->bytes) :
			      dv_gdb_read_registers(t->replay.gdb, request->to);
		if (!timeline_is_gone(err) || tries)
			return err;
		DV_TRY(timeline_replace(t, err->message));
		dv_error_destroy(err);
	}
	return err;
}

/* It has gone: its breakpoints with it. */
static void forget_gdb(struct dv_timeline *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->points_len; i++) {
		t->points[i].by_gdb = false;
		if (t->points[i].by_us)
			t->points[kept++] = t->points[i];
	}
	t->points_len = kept;
	free(dv_steal(t->gdb_features));
}

static void serve(struct dv_timeline *t)
{
	while (!t->closing) {
		struct pollfd p[2] = {{.fd = t->wake_fd, .events = POLLIN},
				      {.fd = dv_gdb_server_fd(&t->server), .events = POLLIN}};
		bool had_gdb = t->server.client_fd >= 0;
		struct request *request;
		char *packet;
		uint64_t count;

		while ((request = next_request(t))) {
			request->err = execute(t, request);
			finish(t, request);
		}
		packet = dv_gdb_server_packet(&t->server);
		if (packet) {
			timeline_gdb_packet(t, packet);
			free(packet);
			continue;
		}
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if ((p[0].revents & POLLIN) && read(t->wake_fd, &count, sizeof(count)) < 0)
			continue;
		if (p[1].revents)
			dv_gdb_server_read(&t->server);
		if (had_gdb && t->server.client_fd < 0)
			forget_gdb(t);
		t->server.interrupted = false; /* nothing is under way */
	}
}

static void *timeline_main(void *context)
{
	struct dv_timeline *t = context;
	struct dv_timeline_now now = {.why = DV_WHY_START};
	struct dv_error *err = timeline_open(t);
	struct request *request;

	if (!err)
		err = timeline_stopped(t, &now);
	pthread_mutex_lock(&t->lock);
	t->started = true;
	t->start_error = err;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (!err)
		serve(t);
	/* What still waits is told so. */
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_mutex_unlock(&t->lock);
	while ((request = next_request(t))) {
		request->err = dv_error_new(DV_ERROR_CANCELLED, "the session is ending");
		finish(t, request);
	}
	dv_replay_close(&t->replay);
	return NULL;
}

/* Makes checkpoints while the session goes on, some at a time, each lot of use as soon as it is there. A session
 * that ends does not wait for the lot that is being made. */
static void *maker_main(void *context)
{
	struct dv_timeline *t = context;
	struct dv_checkpoints_options options = {.qemu = t->options.qemu, .max = FIRST_PASS, .in_background = true,
						 .give_up = &t->closing};

	while (!t->closing) {
		struct dv_checkpoints_made made = {0};
		struct dv_error *err = dv_checkpoints_make(t->recording, &options, &made);

		if (err && err->code != DV_ERROR_CANCELLED)
			timeline_note(t, "no checkpoints are made in the background: %s", err->message);
		if (made.proved)
			atomic_store(&t->new_checkpoints, true);
		dv_error_destroy(err);
		if (err || made.complete || !made.proved)
			break;
		if (options.max < LAST_PASS)
			options.max *= 2;
	}
	return NULL;
}

static struct dv_error *make_run_dir(struct dv_timeline *t)
{
	DV_TRY(dv_scratch_create_short(&t->run));
	t->gdb_socket = dv_path_join(t->run.path, "gdb");
	return t->gdb_socket ? dv_gdb_server_init(t->gdb_socket, &t->server) : dv_error_no_memory();
}

static struct dv_error *start(struct dv_timeline *t)
{
	_cleanup_free_ char *short_of = NULL;
	struct dv_error *err;

	DV_TRY(make_run_dir(t));
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd < 0)
		return dv_error_os(errno, "cannot make an eventfd");
	DV_TRY(dv_thread_start(&t->thread, NULL, timeline_main, t));
	t->has_thread = true;
	pthread_mutex_lock(&t->lock);
	while (!t->started)
		pthread_cond_wait(&t->changed, &t->lock);
	err = t->start_error;
	pthread_mutex_unlock(&t->lock);
	DV_TRY(err);
	if (t->options.no_background || t->options.no_checkpoints || t->replay.checkpoints.complete)
		return NULL;
	if (dv_jobs_that_fit(t->recording, 2, &short_of) < 2) {
		timeline_note(t, "no checkpoints are made in the background: %s", short_of ?: "memory is short");
		return NULL;
	}
	DV_TRY(dv_thread_start(&t->maker, NULL, maker_main, t));
	t->has_maker = true;
	return NULL;
}

struct dv_error *dv_timeline_create(const struct dv_recording *recording, const struct dv_timeline_options *options,
				    struct dv_timeline **ret)
{
	struct dv_timeline *t = calloc(1, sizeof(*t));
	pthread_mutexattr_t recursive;
	struct dv_error *err;

	if (!t)
		return dv_error_no_memory();
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&t->calls, &recursive);
	pthread_mutexattr_destroy(&recursive);
	t->last = &t->first;
	t->recording = recording;
	t->options = *options;
	t->replay = (struct dv_replay)DV_REPLAY_INIT;
	t->server = (struct dv_gdb_server)DV_GDB_SERVER_INIT;
	t->wake_fd = -1;
	t->end_icount = dv_recording_common_icount(recording);
	err = start(t);
	if (err) {
		dv_timeline_destroy(t);
		return err;
	}
	*ret = t;
	return NULL;
}

void dv_timeline_destroy(struct dv_timeline *timeline)
{
	struct dv_timeline *t = timeline;

	if (!t)
		return;
	atomic_store(&t->closing, true);
	if (t->has_thread) {
		wake(t);
		pthread_join(t->thread, NULL);
	}
	if (t->has_maker)
		pthread_join(t->maker, NULL);
	while (t->subscribers)
		dv_timeline_unsubscribe(t, t->subscribers->id);
	dv_gdb_server_deinit(&t->server);
	if (t->gdb_socket)
		unlink(t->gdb_socket);
	dv_scratch_remove(&t->run);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->calls);
	pthread_cond_destroy(&t->changed);
	dv_buf_deinit(&t->notes);
	free(t->window);
	free(t->gdb_features);
	free(t->gdb_socket);
	free(t);
}

const char *dv_timeline_why_text(const struct dv_timeline_now *now, char to[static 160])
{
	int digits = (int)(2 * now->value_bytes);

	switch (now->why) {
	case DV_WHY_NONE: snprintf(to, 160, "running"); break;
	case DV_WHY_START: snprintf(to, 160, "the recording's first instruction"); break;
	case DV_WHY_SEEK: snprintf(to, 160, "sought"); break;
	case DV_WHY_STEP: snprintf(to, 160, "stepped"); break;
	case DV_WHY_BREAKPOINT: snprintf(to, 160, "breakpoint at 0x%" PRIx64, now->address); break;
	case DV_WHY_END: snprintf(to, 160, "the end of the recording"); break;
	case DV_WHY_BEGIN: snprintf(to, 160, "the beginning of the recording"); break;
	case DV_WHY_INTERRUPT: snprintf(to, 160, "interrupted"); break;
	case DV_WHY_FAILED: snprintf(to, 160, "the replay failed"); break;
	case DV_WHY_WATCHPOINT:
		if (now->value_bytes)
			snprintf(to, 160, "watchpoint at 0x%" PRIx64 ": 0x%0*" PRIx64 " becomes 0x%0*" PRIx64, now->address,
				 digits, now->old_value, digits, now->new_value);
		else
			snprintf(to, 160, "watchpoint at 0x%" PRIx64, now->address);
		break;
	}
	return to;
}
