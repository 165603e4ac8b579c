/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/segments.h"

#include <pthread.h>
#include <string.h>
#include "replay/jobs.h"

/* Pieces that a worker takes one after the other, going forward: the last ones end at about one time. */
#define PIECES_PER_JOB 4
#define MAX_BACKWARD_CHECKPOINTS 8

/* ---- cutting ---- */

static size_t cut_backward(const struct dv_segments *s, struct dv_segment *ret)
{
	uint64_t end = s->look.to_icount;
	size_t len = 0, distance = 1, at = s->checkpoints ? s->checkpoints->len : 0;

	while (end > s->look.from_icount && len < DV_SEGMENTS_MAX) {
		uint64_t from = s->look.from_icount;

		while (at && s->checkpoints->items[at - 1].icount >= end)
			at--;
		at = at > distance ? at - distance : 0;
		if (at && len + 1 < DV_SEGMENTS_MAX && s->checkpoints->items[at].icount > from)
			from = s->checkpoints->items[at].icount;
		ret[len++] = (struct dv_segment){from, end};
		end = from;
		if (distance < MAX_BACKWARD_CHECKPOINTS)
			distance *= 2;
	}
	return len;
}

/* jobs 0: at every checkpoint. */
static size_t cut_forward(const struct dv_segments *s, unsigned jobs, struct dv_segment *ret)
{
	size_t count = s->checkpoints ? s->checkpoints->len : 0, step = jobs ? count / (jobs * PIECES_PER_JOB) : 1, len = 0;
	uint64_t from = s->look.from_icount;

	step += !step;
	for (size_t i = 0; i < count && len + 1 < DV_SEGMENTS_MAX; i += step) {
		uint64_t icount = s->checkpoints->items[i].icount;

		if (icount <= from || icount >= s->look.to_icount)
			continue;
		ret[len++] = (struct dv_segment){from, icount};
		from = icount;
	}
	ret[len++] = (struct dv_segment){from, s->look.to_icount};
	return len;
}

/* Whether a piece is needed; then it is cut behind the last end in it. *next: the first that starts later. */
static bool trim(const struct dv_segments *s, struct dv_segment *piece, size_t *next)
{
	uint64_t end = piece->from_icount;

	for (; *next < s->needed_len && s->needed[*next].from_icount < piece->to_icount; ++*next) {
		const struct dv_segment *needed = &s->needed[*next];

		if (needed->from_icount < piece->from_icount)
			continue;
		if (needed->from_icount + 1 > end)
			end = needed->from_icount + 1;
		if (needed->to_icount > end && needed->to_icount <= piece->to_icount)
			end = needed->to_icount;
	}
	if (end == piece->from_icount)
		return false;
	piece->to_icount = end;
	return true;
}

/* Leaves out what is not needed, and joins up to `most` of what stands side by side. */
static size_t leave_out(const struct dv_segments *s, struct dv_segment *pieces, size_t len, size_t most)
{
	size_t kept = 0, next = 0, joined = 0;
	uint64_t end = UINT64_MAX; /* of the last one kept, before it was cut */

	for (size_t i = 0; i < len; i++) {
		struct dv_segment piece = pieces[i];

		if (!trim(s, &piece, &next))
			continue;
		if (kept && pieces[i].from_icount == end && joined < most) {
			end = pieces[i].to_icount;
			pieces[kept - 1].to_icount = piece.to_icount;
			joined++;
			continue;
		}
		end = pieces[i].to_icount;
		pieces[kept++] = piece;
		joined = 1;
	}
	return kept;
}

static size_t cut_needed(const struct dv_segments *s, unsigned jobs, struct dv_segment *ret)
{
	_cleanup_free_ struct dv_segment *all = calloc(DV_SEGMENTS_MAX, sizeof(*all));
	size_t len, count;

	if (!all)
		return 0;
	len = cut_forward(s, 0, all);
	memcpy(ret, all, len * sizeof(*all));
	count = leave_out(s, ret, len, 1);
	memcpy(ret, all, len * sizeof(*all));
	return leave_out(s, ret, len, count / (jobs * PIECES_PER_JOB) + 1);
}

size_t dv_segments_cut(const struct dv_segments *segments, unsigned jobs, struct dv_segment *ret)
{
	if (segments->backward)
		return cut_backward(segments, ret);
	return segments->needed ? cut_needed(segments, jobs, ret) : cut_forward(segments, jobs, ret);
}

/* ---- running ---- */

struct piece {
	struct dv_look look;
	struct dv_look_result result;
	struct dv_error *err;
	uint64_t at_icount; /* how far it is */
	bool done;
	struct crew *crew;
};

struct crew {
	const struct dv_recording *recording;
	const struct dv_segments *segments;
	struct piece *pieces;
	size_t len, next;
	unsigned ahead; /* pieces that may be begun before the oldest one is delivered */
	size_t delivered;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static bool on_progress(void *context, uint64_t icount)
{
	struct piece *piece = context;
	struct crew *crew = piece->crew;
	uint64_t done = 0, total = 0; /* not of the whole: pieces may have been left out */
	bool go_on;

	pthread_mutex_lock(&crew->lock);
	if (icount > piece->look.from_icount)
		piece->at_icount = icount < piece->look.to_icount ? icount : piece->look.to_icount;
	for (size_t i = 0; i < crew->len; i++) {
		done += crew->pieces[i].at_icount - crew->pieces[i].look.from_icount;
		total += crew->pieces[i].look.to_icount - crew->pieces[i].look.from_icount;
	}
	go_on = !crew->stop;
	if (go_on && crew->segments->progress && !crew->segments->progress(crew->segments->context, done, total))
		go_on = false;
	pthread_mutex_unlock(&crew->lock);
	return go_on;
}

/* The next piece to look at, or NULL when there is none any more. */
static struct piece *take(struct crew *crew)
{
	struct piece *piece = NULL;

	pthread_mutex_lock(&crew->lock);
	while (!crew->stop && crew->next < crew->len && crew->next >= crew->delivered + crew->ahead)
		pthread_cond_wait(&crew->changed, &crew->lock);
	if (!crew->stop && crew->next < crew->len)
		piece = &crew->pieces[crew->next++];
	pthread_mutex_unlock(&crew->lock);
	return piece;
}

static void *work(void *context)
{
	struct crew *crew = context;
	struct piece *piece;

	while ((piece = take(crew))) {
		struct dv_error *err = dv_look_run(crew->recording, &piece->look, &piece->result);

		pthread_mutex_lock(&crew->lock);
		piece->err = err;
		piece->done = true;
		pthread_cond_broadcast(&crew->changed);
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

static void stop(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->stop = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

/* Hands over what is done, in order. */
static struct dv_error *deliver(struct crew *crew)
{
	for (size_t i = 0; i < crew->len; i++) {
		struct piece *piece = &crew->pieces[i];
		bool more;

		pthread_mutex_lock(&crew->lock);
		while (!piece->done)
			pthread_cond_wait(&crew->changed, &crew->lock);
		pthread_mutex_unlock(&crew->lock);
		if (piece->err)
			return dv_steal(piece->err);
		more = crew->segments->deliver(crew->segments->context, &piece->look, &piece->result);
		dv_look_result_deinit(&piece->result);
		if (!more)
			return NULL;
		pthread_mutex_lock(&crew->lock);
		crew->delivered = i + 1;
		pthread_cond_broadcast(&crew->changed);
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

static struct dv_error *run_crew(struct crew *crew, unsigned jobs)
{
	pthread_t threads[DV_JOBS_MAX];
	struct dv_error *err = NULL;
	unsigned started = 0;

	while (started < jobs && started < crew->len && !pthread_create(&threads[started], NULL, work, crew))
		started++;
	err = started ? deliver(crew) : dv_error_new(DV_ERROR_NO_MEMORY, "no thread could be started");
	stop(crew);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return err;
}

static struct dv_error *make_pieces(struct crew *crew, unsigned jobs)
{
	_cleanup_free_ struct dv_segment *cuts = calloc(DV_SEGMENTS_MAX, sizeof(*cuts));

	if (!cuts)
		return dv_error_no_memory();
	crew->len = dv_segments_cut(crew->segments, jobs, cuts);
	crew->pieces = calloc(crew->len + 1, sizeof(*crew->pieces));
	if (!crew->pieces)
		return dv_error_no_memory();
	for (size_t i = 0; i < crew->len; i++) {
		struct piece *piece = &crew->pieces[i];

		piece->crew = crew;
		piece->look = crew->segments->look;
		piece->look.checkpoints = crew->segments->checkpoints;
		piece->look.from_icount = piece->at_icount = cuts[i].from_icount;
		piece->look.to_icount = cuts[i].to_icount;
		piece->look.progress = on_progress;
		piece->look.context = piece;
	}
	return NULL;
}

struct dv_error *dv_segments_run(const struct dv_recording *recording, const struct dv_segments *segments)
{
	unsigned jobs = dv_jobs_that_fit(recording, segments->jobs, NULL);
	struct crew crew = {.recording = recording, .segments = segments, .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER};
	struct dv_error *err;

	crew.ahead = 2 * jobs;
	err = make_pieces(&crew, jobs);
	if (!err)
		err = run_crew(&crew, jobs);
	for (size_t i = 0; i < crew.len; i++) {
		dv_error_destroy(crew.pieces[i].err);
		dv_look_result_deinit(&crew.pieces[i].result);
	}
	free(crew.pieces);
	pthread_cond_destroy(&crew.changed);
	pthread_mutex_destroy(&crew.lock);
	return err;
}
