/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/mi.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/io.h"

#define READ_BYTES 65536

/* A command that waits for its result. */
struct waiting {
	uint64_t token;
	bool done;
	struct dv_mi_line line;
	struct waiting *next;
};

struct dv_mi {
	int in_fd, out_fd, end_fd;
	dv_mi_fn on_line;
	void *context;
	pthread_t thread;
	bool has_thread;
	struct dv_buf in;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct waiting *waiting;
	uint64_t last_token;
	bool gone;
};

/* ---- reading ---- */

/* Hands a result to the command that waits for it; false when none does. */
static bool take_result(struct dv_mi *mi, struct dv_mi_line *line)
{
	bool taken = false;

	pthread_mutex_lock(&mi->lock);
	for (struct waiting *w = mi->waiting; w && !taken; w = w->next) {
		if (w->token != line->token || w->done)
			continue;
		w->line = *line;
		w->done = taken = true;
		pthread_cond_broadcast(&mi->changed);
	}
	pthread_mutex_unlock(&mi->lock);
	return taken;
}

static void take_line(struct dv_mi *mi, const char *text)
{
	struct dv_mi_line line;
	struct dv_error *err = *text ? dv_mi_parse(text, &line) : NULL;

	/* What is no MI is the inferior's or a library's output on the same terminal. */
	if (err || !*text) {
		dv_error_destroy(err);
		return;
	}
	if (line.kind == DV_MI_RESULT && take_result(mi, &line))
		return;
	if (line.kind != DV_MI_PROMPT && mi->on_line)
		mi->on_line(mi->context, &line);
	dv_mi_line_deinit(&line);
}

static void take_lines(struct dv_mi *mi)
{
	uint8_t *start = mi->in.data, *end = mi->in.data + mi->in.len, *newline;

	while ((newline = memchr(start, '\n', (size_t)(end - start)))) {
		*newline = 0;
		if (newline > start && newline[-1] == '\r')
			newline[-1] = 0;
		take_line(mi, (const char *)start);
		start = newline + 1;
	}
	memmove(mi->in.data, start, (size_t)(end - start));
	mi->in.len = (size_t)(end - start);
}

/* False: gdb has gone, or we go. */
static bool read_more(struct dv_mi *mi)
{
	struct pollfd fds[] = {{.fd = mi->in_fd, .events = POLLIN}, {.fd = mi->end_fd, .events = POLLIN}};
	uint8_t *to = dv_buf_reserve(&mi->in, READ_BYTES);
	ssize_t n;

	if (!to || mi->in.len > DV_MI_MAX_LINE_BYTES)
		return false;
	if (poll(fds, 2, -1) < 0)
		return errno == EINTR;
	if (fds[1].revents)
		return false;
	n = read(mi->in_fd, to, READ_BYTES);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	mi->in.len += (size_t)n;
	return n > 0;
}

static void *read_all(void *context)
{
	struct dv_mi *mi = context;

	while (read_more(mi))
		take_lines(mi);
	pthread_mutex_lock(&mi->lock);
	mi->gone = true;
	pthread_cond_broadcast(&mi->changed);
	pthread_mutex_unlock(&mi->lock);
	if (mi->on_line)
		mi->on_line(mi->context, NULL);
	return NULL;
}

/* ---- the pair ---- */

struct dv_error *dv_mi_create(int in_fd, int out_fd, dv_mi_fn on_line, void *context, struct dv_mi **ret)
{
	struct dv_mi *mi = calloc(1, sizeof(*mi));
	pthread_condattr_t attr;

	if (!mi) {
		close(in_fd);
		if (out_fd != in_fd)
			close(out_fd);
		return dv_error_no_memory();
	}
	*mi = (struct dv_mi){.in_fd = in_fd, .out_fd = out_fd, .on_line = on_line, .context = context};
	pthread_mutex_init(&mi->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mi->changed, &attr);
	pthread_condattr_destroy(&attr);
	mi->end_fd = eventfd(0, EFD_CLOEXEC);
	mi->has_thread = mi->end_fd >= 0 && !pthread_create(&mi->thread, NULL, read_all, mi);
	if (!mi->has_thread) {
		dv_mi_destroy(mi);
		return dv_error_new(DV_ERROR_NO_MEMORY, "no thread to read what gdb says");
	}
	*ret = mi;
	return NULL;
}

void dv_mi_destroy(struct dv_mi *mi)
{
	if (!mi)
		return;
	if (mi->has_thread) {
		dv_error_destroy(dv_write_all(mi->end_fd, &(uint64_t){1}, 8, "eventfd"));
		pthread_join(mi->thread, NULL);
	}
	if (mi->end_fd >= 0)
		close(mi->end_fd);
	close(mi->in_fd);
	if (mi->out_fd != mi->in_fd)
		close(mi->out_fd);
	pthread_cond_destroy(&mi->changed);
	pthread_mutex_destroy(&mi->lock);
	dv_buf_deinit(&mi->in);
	free(mi);
}

/* ---- commands ---- */

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static struct dv_error *wait_for(struct dv_mi *mi, struct waiting *w, int timeout_ms, const char *command)
{
	struct timespec deadline = deadline_in(timeout_ms);
	struct waiting **link;
	int late = 0;

	pthread_mutex_lock(&mi->lock);
	while (!w->done && !mi->gone && !late)
		late = pthread_cond_timedwait(&mi->changed, &mi->lock, &deadline);
	for (link = &mi->waiting; *link != w; link = &(*link)->next)
		;
	*link = w->next;
	pthread_mutex_unlock(&mi->lock);
	if (w->done)
		return NULL;
	if (mi->gone)
		return dv_error_new(DV_ERROR_EXITED, "gdb has ended");
	return dv_error_new(DV_ERROR_TIMEOUT, "gdb has not answered '%s' in %d s", command, timeout_ms / 1000);
}

static struct dv_error *take_answer(struct waiting *w, json_t **ret)
{
	struct dv_error *err = NULL;

	if (!strcmp(w->line.class, "error"))
		err = dv_error_new(DV_ERROR_INVALID, "%s",
				   json_string_value(json_object_get(w->line.values, "msg")) ?: "gdb refused");
	else if (ret)
		*ret = dv_steal(w->line.values);
	dv_mi_line_deinit(&w->line);
	return err;
}

struct dv_error *dv_mi_run(struct dv_mi *mi, int timeout_ms, json_t **ret, const char *format, ...)
{
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;
	_cleanup_free_ char *command = NULL;
	struct waiting w = {0};
	struct dv_error *err;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&command, format, ap) < 0)
		command = NULL;
	va_end(ap);
	if (!command)
		return dv_error_no_memory();
	pthread_mutex_lock(&mi->lock);
	w.token = ++mi->last_token;
	w.next = mi->waiting;
	mi->waiting = &w;
	dv_buf_printf(&line, "%llu%s\n", (unsigned long long)w.token, command);
	err = line.failed ? dv_error_no_memory() : dv_write_all(mi->out_fd, line.data, line.len, "gdb");
	if (err)
		mi->waiting = w.next;
	pthread_mutex_unlock(&mi->lock);
	if (err)
		return dv_error_prefix(err, "gdb has ended");
	DV_TRY(wait_for(mi, &w, timeout_ms, command));
	return take_answer(&w, ret);
}
