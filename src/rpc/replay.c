/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replay's life and its thread; see replay.h. */
#include "rpc/replay.h"
#include "base/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#define BACKLOG_BYTES 65536 /* of the terminal, for who opens it later */
#define MAX_TYPED_BYTES (1u << 20)
#define MAX_TERMINALS 64
#define MI_MS 20000

struct replay {
	struct dv_rpc *rpc;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool has_thread; /* not joined yet */
	int state;	 /* enum dv_rpc_replay_state; opening and closing are under way while starting or ended */
	bool ends;
	unsigned users;
	char *message; /* why it could not be opened, or what it does without */
	int event_fd;

	/* While users hold it. */
	struct dv_recording *recording;
	struct dv_session *session;
	struct dv_mi *mi;
	int mi_slave; /* until gdb opens its end, and then on: without one the other end reads as ended */
	bool gdb_ended;
	uint64_t subscription;
	uint64_t stops; /* of gdb's */
	bool lists_breakpoints;

	struct dv_rpc_client *terminals[MAX_TERMINALS];
	size_t terminal_count;
	struct dv_buf backlog, typed;
};

static void poke(struct replay *r)
{
	const uint64_t one = 1;

	/* Full is as good as written. */
	if (write(r->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* Status */

static const char *state_of(const struct dv_timeline_now *now)
{
	switch (now->state) {
	case DV_TIMELINE_STOPPED: return dv_rpc_replay_state_names[DV_RPC_REPLAY_STATE_STOPPED];
	case DV_TIMELINE_FAILED: return dv_rpc_replay_state_names[DV_RPC_REPLAY_STATE_ENDED];
	default: return dv_rpc_replay_state_names[DV_RPC_REPLAY_STATE_RUNNING];
	}
}

static json_t *describe_now(const struct replay *r, const struct dv_timeline_now *now)
{
	const struct dv_query *q = NULL;
	uint64_t icount = now->where.icount;
	char why[160];
	json_t *json = json_pack("{s:s, s:I, s:s}", "state", state_of(now), "icount", (json_int_t)icount, "reason",
				 dv_timeline_why_text(now, why));

	pthread_mutex_lock(&r->rpc->lock);
	q = r->rpc->query;
	pthread_mutex_unlock(&r->rpc->lock);
	if (q && now->state == DV_TIMELINE_STOPPED) {
		uint32_t utid = dv_query_running_at(q, 0, icount);

		if (utid != DV_QUERY_NONE)
			set_member(json, "utid", json_integer(utid));
	}
	return json;
}

json_t *replay_status(struct replay *r)
{
	json_t *json;

	pthread_mutex_lock(&r->lock);
	if (r->session && r->state == DV_RPC_REPLAY_STATE_STOPPED) {
		struct dv_timeline_now now;

		dv_timeline_now(dv_session_timeline(r->session), &now);
		json = describe_now(r, &now);
	} else {
		json = json_pack("{s:s}", "state", dv_rpc_replay_state_names[r->state]);
	}
	if (r->message)
		set_member(json, "message", dv_json_text(r->message));
	pthread_mutex_unlock(&r->lock);
	return json;
}

/* On the timeline's thread. */
static void on_change(void *context, const struct dv_timeline_now *now)
{
	struct replay *r = context;

	dv_rpc_broadcast(r->rpc, "replay", describe_now(r, now), NULL);
}

static void tell_status(struct replay *r)
{
	dv_rpc_broadcast(r->rpc, "replay", replay_status(r), NULL);
}

/* gdb */

/* On the thread that reads gdb. */
static void on_mi_line(void *context, const struct dv_mi_line *line)
{
	struct replay *r = context;

	if (!line)
		return;
	if (line->kind == DV_MI_EXEC && !strcmp(line->class, "stopped")) {
		pthread_mutex_lock(&r->lock);
		r->stops++;
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
	if (line->kind == DV_MI_NOTIFY && !strncmp(line->class, "breakpoint-", strlen("breakpoint-")))
		replay_breakpoints_changed(r);
}

void replay_breakpoints_changed(struct replay *r)
{
	pthread_mutex_lock(&r->lock);
	r->lists_breakpoints = true;
	pthread_mutex_unlock(&r->lock);
	poke(r);
}

static void tell_breakpoints(struct replay *r)
{
	json_t *list;
	struct dv_error *err = replay_list_breakpoints(r, &list);

	if (!err)
		dv_rpc_broadcast(r->rpc, "breakpoints", json_pack("{s:o}", "breakpoints", list), NULL);
	dv_error_destroy(err);
}

struct dv_error *replay_gdb(struct replay *r, struct dv_mi **ret)
{
	struct dv_timeline_now now;
	bool gone;

	pthread_mutex_lock(&r->lock);
	gone = !r->mi || r->gdb_ended;
	pthread_mutex_unlock(&r->lock);
	if (gone)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "there is no gdb: %s", r->message ? r->message : "it has ended");
	dv_timeline_now(dv_session_timeline(r->session), &now);
	if (now.state != DV_TIMELINE_STOPPED)
		return dv_error_new(DV_ERROR_INVALID, "the guest runs: interrupt it first");
	*ret = r->mi;
	return NULL;
}

struct dv_error *replay_exec(struct replay *r, struct job *job, const char *command)
{
	struct dv_mi *mi;
	uint64_t stops;

	DV_TRY(replay_gdb(r, &mi));
	if (job->cancel)
		return job_cancelled(job);
	pthread_mutex_lock(&r->lock);
	stops = r->stops;
	pthread_mutex_unlock(&r->lock);
	DV_TRY(dv_mi_run(mi, MI_MS, NULL, "%s", command));
	pthread_mutex_lock(&r->lock);
	while (r->stops == stops && !r->ends && !r->gdb_ended)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Terminal */

static void send_terminal(struct dv_rpc_client *client, const void *data, size_t len)
{
	static const uint8_t widths[] = DV_FRAME_TERMINAL_COLUMNS;
	struct dv_rpc_frame frame = {DV_FRAME_TERMINAL, .rows = (uint32_t)len, .track = 1};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	void *columns[DV_ARRAY_SIZE(widths)];
	struct dv_error *err = dv_frame_begin(&buf, &frame, widths, columns);

	if (err) {
		dv_error_destroy(err);
		return;
	}
	memcpy(columns[0], data, len);
	client->sink->send(client->peer, false, buf.data, buf.len);
}

static void on_printed(struct replay *r, const void *data, size_t len)
{
	pthread_mutex_lock(&r->lock);
	dv_buf_append(&r->backlog, data, len);
	if (r->backlog.len > 2 * BACKLOG_BYTES) {
		memmove(r->backlog.data, r->backlog.data + r->backlog.len - BACKLOG_BYTES, BACKLOG_BYTES);
		r->backlog.len = BACKLOG_BYTES;
	}
	for (size_t i = 0; i < r->terminal_count; i++)
		send_terminal(r->terminals[i], data, len);
	pthread_mutex_unlock(&r->lock);
}

void replay_terminal_open(struct replay *r, struct dv_rpc_client *client, unsigned columns, unsigned rows)
{
	replay_terminal_close(r, client);
	pthread_mutex_lock(&r->lock);
	if (r->terminal_count < MAX_TERMINALS) {
		__atomic_fetch_add(&client->refs, 1, __ATOMIC_RELAXED);
		r->terminals[r->terminal_count++] = client;
		if (r->backlog.len)
			send_terminal(client, r->backlog.data, r->backlog.len);
	}
	pthread_mutex_unlock(&r->lock);
	dv_session_resize(r->session, rows, columns);
}

void replay_terminal_close(struct replay *r, struct dv_rpc_client *client)
{
	bool found = false;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->terminal_count && !found; i++) {
		if (r->terminals[i] != client)
			continue;
		r->terminals[i] = r->terminals[--r->terminal_count];
		found = true;
	}
	pthread_mutex_unlock(&r->lock);
	if (found)
		dv_rpc_client_unref(client);
}

bool replay_terminal_input(struct replay *r, const void *data, size_t len)
{
	bool taken = false;

	pthread_mutex_lock(&r->lock);
	if (r->state == DV_RPC_REPLAY_STATE_STOPPED && r->typed.len + len <= MAX_TYPED_BYTES) {
		dv_buf_append(&r->typed, data, len);
		taken = !r->typed.failed;
	}
	pthread_mutex_unlock(&r->lock);
	poke(r);
	return taken;
}

/* The thread */

static struct dv_error *start_mi(struct replay *r, int master)
{
	char slave[64];

	if (ptsname_r(master, slave, sizeof(slave)))
		return dv_error_os(errno, "gdb's second terminal");
	r->mi_slave = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->mi_slave < 0)
		return dv_error_os(errno, "%s", slave);
	return dv_mi_create(dup(master), dup(master), on_mi_line, r, &r->mi);
}

static struct dv_error *start_session(struct replay *r)
{
	const struct dv_session_options options = {.debug_info = r->rpc->options.debug_info,
						   .sysroot = r->rpc->options.sysroot};
	const struct dv_gdb_options gdb = {.mi = true};
	struct dv_error *err;

	if (!r->rpc->recording)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s is a trace alone: only a recording can be replayed",
				    r->rpc->options.path);
	DV_TRY(dv_recording_open(r->rpc->options.path, &r->recording));
	DV_TRY(dv_recording_check_installed(r->recording, NULL));
	DV_TRY(dv_session_create(r->recording, &options, &r->session));
	DV_TRY(dv_timeline_subscribe(dv_session_timeline(r->session), on_change, r, &r->subscription));
	err = dv_session_start_gdb(r->session, &gdb);
	if (!err)
		err = start_mi(r, dv_session_mi_fd(r->session));
	/* Without gdb there is still the timeline. */
	if (err) {
		pthread_mutex_lock(&r->lock);
		r->message = dv_steal(err->message);
		pthread_mutex_unlock(&r->lock);
		dv_error_destroy(err);
	}
	return NULL;
}

static void end_session(struct replay *r)
{
	if (r->mi_slave >= 0)
		close(r->mi_slave);
	r->mi_slave = -1;
	if (r->subscription)
		dv_timeline_unsubscribe(dv_session_timeline(r->session), r->subscription);
	r->subscription = 0;
	dv_session_destroy(dv_steal(r->session));
	/* Its reader ends when gdb has. */
	dv_mi_destroy(dv_steal(r->mi));
	dv_recording_destroy(dv_steal(r->recording));
}

static void write_typed(struct replay *r, int fd)
{
	ssize_t n;

	pthread_mutex_lock(&r->lock);
	n = write(fd, r->typed.data, r->typed.len);
	if (n > 0) {
		memmove(r->typed.data, r->typed.data + n, r->typed.len - (size_t)n);
		r->typed.len -= (size_t)n;
	}
	pthread_mutex_unlock(&r->lock);
}

/* By quit, or a crash: the timeline stays. */
static void on_gdb_ended(struct replay *r, int *terminal)
{
	*terminal = -1;
	pthread_mutex_lock(&r->lock);
	r->gdb_ended = true;
	if (!r->message)
		r->message = strdup("gdb has ended: close the replay and open it again");
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	tell_status(r);
}

/* Once around: false when it is over. */
static bool attend(struct replay *r, int *terminal)
{
	struct pollfd p[2] = {{.fd = r->event_fd, .events = POLLIN}, {.fd = *terminal, .events = POLLIN}};
	bool ends, lists;
	char bytes[16384];
	uint64_t count;
	ssize_t n;

	pthread_mutex_lock(&r->lock);
	ends = r->ends;
	lists = r->lists_breakpoints;
	r->lists_breakpoints = false;
	if (r->typed.len)
		p[1].events |= POLLOUT;
	pthread_mutex_unlock(&r->lock);
	if (ends)
		return false;
	if (lists)
		tell_breakpoints(r);
	if (poll(p, 2, -1) < 0)
		return errno == EINTR;
	if (p[0].revents && read(r->event_fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN;
	if (p[1].revents & POLLOUT)
		write_typed(r, *terminal);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR)) {
		n = read(*terminal, bytes, sizeof(bytes));
		if (n > 0)
			on_printed(r, bytes, (size_t)n);
		else if (n == 0 || errno != EAGAIN)
			on_gdb_ended(r, terminal);
	}
	return true;
}

static void set_state(struct replay *r, int state, struct dv_error *err)
{
	pthread_mutex_lock(&r->lock);
	r->state = state;
	if (err) {
		free(r->message);
		r->message = strdup(err->message);
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	tell_status(r);
}

static void *live(void *context)
{
	struct replay *r = context;
	_cleanup_error_ struct dv_error *err = start_session(r);

	if (!err) {
		int terminal = r->mi ? dv_session_terminal_fd(r->session) : -1;

		if (terminal >= 0)
			fcntl(terminal, F_SETFL, fcntl(terminal, F_GETFL) | O_NONBLOCK);
		set_state(r, DV_RPC_REPLAY_STATE_STOPPED, NULL);
		while (attend(r, &terminal))
			;
	}
	pthread_mutex_lock(&r->lock);
	r->state = DV_RPC_REPLAY_STATE_ENDED;
	while (r->users)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
	end_session(r);
	set_state(r, DV_RPC_REPLAY_STATE_CLOSED, err);
	return NULL;
}

/* Opening and closing */

struct dv_error *replay_create(struct dv_rpc *rpc, struct replay **ret)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return dv_error_no_memory();
	r->rpc = rpc;
	r->mi_slave = -1;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0) {
		free(r);
		return dv_error_os(errno, "eventfd");
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	*ret = r;
	return NULL;
}

void replay_destroy(struct replay *r)
{
	if (!r)
		return;
	replay_close(r);
	while (r->terminal_count)
		replay_terminal_close(r, r->terminals[0]);
	close(r->event_fd);
	dv_buf_deinit(&r->backlog);
	dv_buf_deinit(&r->typed);
	free(r->message);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}

/* With the lock. */
static struct dv_error *start_thread(struct replay *r)
{
	struct dv_error *err;

	if (r->has_thread)
		pthread_join(r->thread, NULL);
	r->has_thread = false;
	r->ends = false;
	r->gdb_ended = false;
	r->state = DV_RPC_REPLAY_STATE_STARTING;
	free(dv_steal(r->message));
	dv_buf_clear(&r->backlog);
	dv_buf_clear(&r->typed);
	err = dv_thread_start(&r->thread, NULL, live, r);
	r->has_thread = !err;
	if (err)
		r->state = DV_RPC_REPLAY_STATE_CLOSED;
	return err;
}

struct dv_error *replay_open(struct replay *r)
{
	struct dv_error *err = NULL;

	pthread_mutex_lock(&r->lock);
	while (r->state == DV_RPC_REPLAY_STATE_ENDED)
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->state == DV_RPC_REPLAY_STATE_CLOSED)
		err = start_thread(r);
	while (!err && r->state == DV_RPC_REPLAY_STATE_STARTING)
		pthread_cond_wait(&r->changed, &r->lock);
	if (!err && r->state != DV_RPC_REPLAY_STATE_STOPPED)
		err = dv_error_new(DV_ERROR_PROTOCOL, "%s", r->message ? r->message : "the replay was closed");
	pthread_mutex_unlock(&r->lock);
	return err;
}

void replay_close(struct replay *r)
{
	pthread_t thread;
	bool joins;

	pthread_mutex_lock(&r->lock);
	while (r->state == DV_RPC_REPLAY_STATE_STARTING)
		pthread_cond_wait(&r->changed, &r->lock);
	r->ends = true;
	if (r->state == DV_RPC_REPLAY_STATE_STOPPED)
		dv_timeline_interrupt(dv_session_timeline(r->session));
	joins = r->has_thread;
	thread = r->thread;
	r->has_thread = false;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	poke(r);
	if (joins)
		pthread_join(thread, NULL);
}

struct dv_error *replay_get(struct replay *r, struct job *moves, struct dv_session **ret)
{
	bool open;

	pthread_mutex_lock(&r->lock);
	open = r->state == DV_RPC_REPLAY_STATE_STOPPED && !r->ends;
	r->users += open;
	pthread_mutex_unlock(&r->lock);
	if (!open)
		return dv_error_new(DV_ERROR_NOT_FOUND, "there is no replay: open one first");
	if (moves) {
		pthread_mutex_lock(&r->rpc->lock);
		moves->timeline = dv_session_timeline(r->session);
		pthread_mutex_unlock(&r->rpc->lock);
	}
	*ret = r->session;
	return NULL;
}

void replay_put(struct replay *r, struct job *moves)
{
	if (moves) {
		pthread_mutex_lock(&r->rpc->lock);
		moves->timeline = NULL;
		pthread_mutex_unlock(&r->rpc->lock);
	}
	pthread_mutex_lock(&r->lock);
	r->users--;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
