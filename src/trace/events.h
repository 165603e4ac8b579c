/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events on their way into a block: the writer's hot path packs each into a word (two for the rare
 * ones), an encoder turns the words of a block into TracePackets and those into a zlib stream.
 * Private to src/trace.
 *
 *	63   62    61..59  58..56  55............32  31............0
 *	at   wide  kind    op      argument          delta
 *
 * delta is the distance from the event before, on the sequence's incremental clock. With `wide` the
 * next word holds it, as 64 bits; with `at` the next word is an absolute icount (and the incremental
 * clock stays where it is). A track's next word is its uuid.
 */
#ifndef DV_TRACE_EVENTS_H
#define DV_TRACE_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"

enum word_op {
	WORD_END = 0,
	WORD_BEGIN = 1, /* argument: the name's iid */
	WORD_TRACK = 2, /* argument: the writer's thread index; what follows is on the track of its uuid */
};

#define WORD_OP_SHIFT 56
#define WORD_KIND_SHIFT 59
#define WORD_ARG_SHIFT 32
#define WORD_ARG_MAX 0xffffffu
#define WORD_WIDE (1ull << 62)
#define WORD_AT (1ull << 63)

static inline unsigned word_op(uint64_t word)
{
	return (unsigned)(word >> WORD_OP_SHIFT) & 7;
}

static inline unsigned word_kind(uint64_t word)
{
	return (unsigned)(word >> WORD_KIND_SHIFT) & 7;
}

/* Whether the next word belongs to this one. */
static inline bool word_is_double(uint64_t word)
{
	return (word & (WORD_WIDE | WORD_AT)) || word_op(word) == WORD_TRACK;
}

static inline uint32_t word_arg(uint64_t word)
{
	return (uint32_t)(word >> WORD_ARG_SHIFT) & WORD_ARG_MAX;
}

/* The most bytes that one event becomes. */
#define EVENT_MAX_BYTES 64

/*
 * Writes the TracePackets of the words. Room for count * EVENT_MAX_BYTES is needed. The end of each event's
 * bytes is stored to ends, counted so that p is at `offset`.
 */
void events_put(uint8_t *p, const uint64_t *words, size_t count, uint32_t offset, uint32_t *ends);

struct encoder;

struct dv_error *encoder_create(struct encoder **ret);
void encoder_destroy(struct encoder *e);

/* Takes the words in: at most 4096. */
void encoder_add(struct encoder *e, const uint64_t *words, size_t count);
/* Raw bytes taken in since the last encoder_finish(). */
size_t encoder_raw_bytes(const struct encoder *e);
/* Appends the zlib stream of all that was taken in to out, and starts anew. */
void encoder_finish(struct encoder *e, struct dv_buf *out);

#endif
