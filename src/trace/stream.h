/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events of a block, made into a zlib stream by an encoder: in the caller's thread, or in one of the stream's
 * own, which takes a third of the work off a writer that has to hurry. What comes out is the same.
 * Private to src/trace.
 */
#ifndef DV_TRACE_STREAM_H
#define DV_TRACE_STREAM_H

#include "trace/events.h"

struct stream;

/* apart: with a thread of its own. Errors: DV_ERROR_NO_MEMORY; DV_ERROR_OS when there can be no thread. */
struct dv_error *stream_create(bool apart, struct stream **ret);
/* Lets go of what was taken in. NULL is fine. */
void stream_destroy(struct stream *s);

/* Takes the words in, at most STREAM_CHUNK_WORDS of them; those that come in two may not be cut apart. */
#define STREAM_CHUNK_WORDS 4096
void stream_add(struct stream *s, const uint64_t *words, size_t count);
/* How many words it took in since the last stream_finish(). */
size_t stream_words(const struct stream *s);
/* Appends the zlib stream of all that was taken in to out, and starts anew. Returns how many bytes it unpacks to. */
size_t stream_finish(struct stream *s, struct dv_buf *out);

#endif
