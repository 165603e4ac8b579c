/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A segment's events into a file: see spooler.h. */
#include "plugin/spooler.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/io.h"
#include "base/thread.h"
#include "plugin/spool.h"
#include "trace/status.h"

/* Written at once, unless time passes: what waits is taken in late by who reads it. */
#define WRITE_BYTES (256u << 10)

enum phase { BEFORE, WITHIN, AFTER };

struct dv_spooler {
	struct dv_ring ring;
	struct dv_spool_state state;
	const struct dv_plugin_options *options;
	struct dv_answers *answers;
	enum phase phase;
	bool has_slide;
	int fd;
	struct dv_buf out;
	struct dv_trace_status *status; /* a mapped page, or NULL */
	pthread_t thread;
	struct dv_error *error;
};

struct dv_ring *dv_spooler_ring(struct dv_spooler *s)
{
	return &s->ring;
}

static void fail(struct dv_spooler *s, struct dv_error *err)
{
	if (s->error)
		dv_error_destroy(err);
	else
		s->error = err;
	if (s->error && s->status)
		dv_trace_status_set(&s->status->failed, 1);
}

static void write_out(struct dv_spooler *s)
{
	if (s->out.failed)
		fail(s, dv_error_no_memory());
	if (!s->error)
		fail(s, dv_write_all(s->fd, s->out.data, s->out.len, s->options->spool));
	if (s->status && !s->error)
		dv_trace_status_set(&s->status->trace_bytes, dv_trace_status_get(&s->status->trace_bytes) + s->out.len);
	dv_buf_clear(&s->out);
}

static void on_symbols(struct dv_spooler *s, const struct dv_event *e)
{
	if (s->has_slide)
		return;
	s->has_slide = true;
	if (e->b) {
		dv_spool_put_header(&s->out, e->a);
		return;
	}
	if (s->status)
		dv_trace_status_set(&s->status->too_early, 1);
	fail(s, dv_error_new(DV_ERROR_UNSUPPORTED, "no kernel of these symbols runs yet where the segment starts"));
}

static void drop(const struct dv_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++)
		dv_spool_free_payload(&events[i]);
}

/* The segment goes from the first event at or after `from` to before the first one at or after `to`, in the order
 * that they come: whoever has the events before and after it finds the same ones there. */
static size_t skip_to(const struct dv_event *events, size_t at, size_t count, uint64_t icount)
{
	while (at < count && dv_event_icount(&events[at]) < icount)
		at++;
	return at;
}

static void take(struct dv_spooler *s, const struct dv_event *events, size_t count)
{
	size_t start = 0, end;

	for (; !s->has_slide && start < count; start++) {
		if (dv_event_kind(&events[start]) == DV_EVENT_SYMBOLS)
			on_symbols(s, &events[start]);
	}
	if (s->phase == BEFORE) {
		size_t first = skip_to(events, start, count, s->options->from);

		drop(events + start, first - start);
		start = first;
		if (start < count)
			s->phase = WITHIN;
	}
	end = s->phase == WITHIN ? skip_to(events, start, count, s->options->to) : start;
	if (end < count && s->phase == WITHIN) {
		s->phase = AFTER;
		if (s->status)
			dv_trace_status_set(&s->status->over, 1);
	}
	if (end > start && !s->error)
		dv_spool_put(&s->state, &s->out, events + start, end - start);
	else
		drop(events + start, end - start);
	drop(events + end, count - end);
}

static void *run(void *context)
{
	struct dv_spooler *s = context;
	const struct dv_event *events;
	size_t count;

	while (dv_ring_wait(&s->ring, &events, &count)) {
		if (count) {
			dv_answers_take(s->answers, events, count);
			take(s, events, count);
			if (s->status)
				dv_trace_status_set(&s->status->icount, dv_event_icount(&events[count - 1]));
			dv_ring_release(&s->ring, count);
		}
		if (s->out.len >= WRITE_BYTES || (!count && s->out.len))
			write_out(s);
	}
	dv_spool_put_end(&s->out);
	write_out(s);
	return NULL;
}

static struct dv_error *open_all(struct dv_spooler *s)
{
	DV_TRY(dv_ring_init(&s->ring));
	s->fd = open(s->options->spool, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return dv_error_os(errno, "%s: cannot be written", s->options->spool);
	if (s->options->status) {
		DV_TRY(dv_trace_status_map(s->options->status, &s->status));
		dv_trace_status_publish(s->status);
	}
	return dv_thread_start(&s->thread, "dejaview", run, s);
}

/* The ring may stay: a vCPU may still be writing into it while QEMU exits. */
static void release(struct dv_spooler *s)
{
	dv_trace_status_unmap(s->status);
	if (s->fd >= 0)
		close(s->fd);
	dv_buf_deinit(&s->out);
}

struct dv_error *dv_spooler_create(const struct dv_plugin_options *options, struct dv_answers *answers,
				   struct dv_spooler **ret)
{
	struct dv_spooler *s = calloc(1, sizeof(*s));
	struct dv_error *err;

	if (!s)
		return dv_error_no_memory();
	s->fd = -1;
	s->options = options;
	s->answers = answers;
	err = open_all(s);
	if (err) {
		release(s);
		if (s->ring.events)
			dv_ring_deinit(&s->ring);
		free(s);
		return err;
	}
	*ret = s;
	return NULL;
}

struct dv_error *dv_spooler_finish(struct dv_spooler *s)
{
	struct dv_error *err;

	dv_ring_close(&s->ring);
	pthread_join(s->thread, NULL);
	err = dv_steal(s->error);
	if (!err && s->status)
		dv_trace_status_set(&s->status->finished, 1);
	release(s);
	return err;
}
