/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An encoder and its thread: see stream.h. */
#include "trace/stream.h"

#include <string.h>
#include "base/thread.h"

#define SLOTS 16u

struct chunk {
	size_t count;
	uint64_t words[STREAM_CHUNK_WORDS];
};

struct stream {
	struct encoder *encoder;
	size_t words;

	/* With a thread: chunks on their way to it. The encoder is its own while there are any. */
	struct chunk *chunks; /* NULL: there is no thread */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t to_thread, to_writer;
	uint64_t put, taken; /* chunks so far, under the lock */
	bool closed;
};

static void *encode(void *context)
{
	struct stream *s = context;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		const struct chunk *chunk = &s->chunks[s->taken % SLOTS];

		while (s->taken == s->put && !s->closed)
			pthread_cond_wait(&s->to_thread, &s->lock);
		if (s->taken == s->put)
			break;
		pthread_mutex_unlock(&s->lock);
		encoder_add(s->encoder, chunk->words, chunk->count);
		pthread_mutex_lock(&s->lock);
		s->taken++;
		pthread_cond_signal(&s->to_writer);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static struct dv_error *start_thread(struct stream *s)
{
	struct dv_error *err;

	s->chunks = calloc(SLOTS, sizeof(*s->chunks));
	if (!s->chunks)
		return dv_error_no_memory();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->to_thread, NULL);
	pthread_cond_init(&s->to_writer, NULL);
	err = dv_thread_start(&s->thread, "dejaview-encode", encode, s);
	if (err) {
		free(s->chunks);
		s->chunks = NULL;
	}
	return err;
}

struct dv_error *stream_create(bool apart, struct stream **ret)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct dv_error *err;

	if (!s)
		return dv_error_no_memory();
	err = encoder_create(&s->encoder);
	if (!err && apart)
		err = start_thread(s);
	if (err) {
		stream_destroy(s);
		return err;
	}
	*ret = s;
	return NULL;
}

static void stop_thread(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->closed = true;
	pthread_cond_signal(&s->to_thread);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->to_thread);
	pthread_cond_destroy(&s->to_writer);
	free(s->chunks);
}

void stream_destroy(struct stream *s)
{
	if (!s)
		return;
	if (s->chunks)
		stop_thread(s);
	encoder_destroy(s->encoder);
	free(s);
}

/* Until at most this many chunks wait. */
static void wait_for_thread(struct stream *s, uint64_t left)
{
	while (s->put - s->taken > left)
		pthread_cond_wait(&s->to_writer, &s->lock);
}

void stream_add(struct stream *s, const uint64_t *words, size_t count)
{
	struct chunk *chunk;

	dv_assert(count <= STREAM_CHUNK_WORDS);
	s->words += count;
	if (!s->chunks) {
		encoder_add(s->encoder, words, count);
		return;
	}
	pthread_mutex_lock(&s->lock);
	wait_for_thread(s, SLOTS - 1);
	pthread_mutex_unlock(&s->lock);
	chunk = &s->chunks[s->put % SLOTS];
	chunk->count = count;
	memcpy(chunk->words, words, count * sizeof(*words));
	pthread_mutex_lock(&s->lock);
	s->put++;
	pthread_cond_signal(&s->to_thread);
	pthread_mutex_unlock(&s->lock);
}

size_t stream_words(const struct stream *s)
{
	return s->words;
}

size_t stream_finish(struct stream *s, struct dv_buf *out)
{
	size_t raw_bytes;

	if (s->chunks) {
		pthread_mutex_lock(&s->lock);
		wait_for_thread(s, 0);
		pthread_mutex_unlock(&s->lock);
	}
	raw_bytes = encoder_raw_bytes(s->encoder);
	encoder_finish(s->encoder, out);
	s->words = 0;
	return raw_bytes;
}
