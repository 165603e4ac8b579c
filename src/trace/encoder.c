/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event words to a zlib stream: see events.h. A general compressor looks for matches at every byte;
 * here they can only start where an event starts, and events are equal when their words are. So:
 *  - two events in a row that were seen before start a match, which goes on while words are equal and
 *    then over what the next event has in common with its counterpart, mostly all but its delta;
 *  - else one that was seen before;
 *  - else what an event has in common with the last of its name, or of its type; the rest is literals.
 * Events of the last 32 KiB are kept as words and as bytes.
 */
#include <libdeflate.h>
#include <string.h>
#include "trace/events.h"
#include "trace/huffman.h"

#define CHUNK_EVENTS 4096
#define HISTORY_EVENTS 3300 /* what 32 KiB hold: none is under 10 bytes */
#define MAX_EVENTS (HISTORY_EVENTS + CHUNK_EVENTS)
#define PAIR_BITS 13
#define SINGLE_BITS 12
#define SHAPE_BITS 11
#define FULL_TOKENS 32768 /* a deflate block is closed at */
#define MIN_MATCH 4
#define PADDING 16 /* behind the last event's bytes: they are compared 16 at a time */

struct encoder {
	/* Events number from 1; those from `base` on are in words[] and offsets[]. */
	uint32_t base, count;
	uint64_t serial; /* makes events that equal no other: those that one word does not say all of */
	uint64_t words[MAX_EVENTS + 1];
	uint32_t offsets[MAX_EVENTS + 1]; /* into raw; one more than there are events */
	uint8_t raw[(HISTORY_EVENTS + CHUNK_EVENTS) * EVENT_MAX_BYTES + PADDING];
	/* The last event with this hash: of it and the next one, of it, of it but for the delta. */
	uint32_t pairs[1 << PAIR_BITS], singles[1 << SINGLE_BITS], shapes[1 << SHAPE_BITS], types[8];

	struct deflate_tokens tokens;
	struct deflate_bits bits;
	struct dv_buf stream;
	size_t raw_bytes;
	uint32_t adler;
};

static void restart(struct encoder *e)
{
	static const uint8_t head[] = {0x78, 0x01};

	if (e->base > UINT32_MAX / 2) {
		memset(e->pairs, 0, sizeof(e->pairs));
		memset(e->singles, 0, sizeof(e->singles));
		memset(e->shapes, 0, sizeof(e->shapes));
		memset(e->types, 0, sizeof(e->types));
		e->base = 1;
		e->count = 0;
	}
	/* What the tables hold is older than base: nothing matches across streams. */
	e->base += e->count;
	e->count = 0;
	e->offsets[0] = 0;
	e->raw_bytes = 0;
	e->adler = 1;
	dv_buf_clear(&e->stream);
	dv_buf_append(&e->stream, head, sizeof(head));
}

struct dv_error *encoder_create(struct encoder **ret)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return dv_error_no_memory();
	e->tokens.tokens = malloc((FULL_TOKENS + CHUNK_EVENTS * EVENT_MAX_BYTES) * sizeof(uint32_t));
	if (!e->tokens.tokens) {
		encoder_destroy(e);
		return dv_error_no_memory();
	}
	e->base = 1;
	restart(e);
	*ret = e;
	return NULL;
}

void encoder_destroy(struct encoder *e)
{
	if (!e)
		return;
	free(e->tokens.tokens);
	dv_buf_deinit(&e->stream);
	free(e);
}

/* Tokens */

static inline void put_literals(struct encoder *e, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		e->tokens.tokens[e->tokens.count++] = e->raw[i];
		e->tokens.literals[e->raw[i]]++;
	}
}

static inline void put_match(struct encoder *e, uint32_t len, uint32_t distance)
{
	while (len) {
		uint32_t part = len;

		/* Never leave a rest that is too short to be a match. */
		if (part > DEFLATE_MAX_MATCH)
			part = len < DEFLATE_MAX_MATCH + 3 ? len - 3 : DEFLATE_MAX_MATCH;
		e->tokens.tokens[e->tokens.count++] = TOKEN_MATCH | (part - 3) << 16 | (distance - 1);
		e->tokens.literals[length_symbol(part - 3)]++;
		e->tokens.distances[distance_symbol(distance - 1)]++;
		len -= part;
	}
}

/* Matches */

static inline uint32_t hash(uint64_t x, unsigned bits)
{
	return (uint32_t)(x * 0x9e3779b97f4a7c15ull >> (64 - bits));
}

static inline uint32_t *pair_slot(struct encoder *e, uint32_t i)
{
	return &e->pairs[hash(e->words[i] ^ (e->words[i + 1] << 29 | e->words[i + 1] >> 35) * 5, PAIR_BITS)];
}

static inline uint32_t *single_slot(struct encoder *e, uint32_t i)
{
	return &e->singles[hash(e->words[i], SINGLE_BITS)];
}

static inline uint32_t *shape_slot(struct encoder *e, uint32_t i)
{
	return &e->shapes[hash(e->words[i] >> WORD_ARG_SHIFT, SHAPE_BITS)];
}

/* Whether the event numbered `number` is still in the window of event i; ret is its index. */
static inline bool is_near(const struct encoder *e, uint32_t i, uint32_t number, uint32_t *ret)
{
	*ret = number - e->base;
	return number >= e->base && e->offsets[i] - e->offsets[*ret] <= DEFLATE_WINDOW;
}

/* How many bytes two events have in common from their start on. */
static inline uint32_t common_bytes(const struct encoder *e, uint32_t a, uint32_t b)
{
	uint32_t len = e->offsets[a + 1] - e->offsets[a], common = 0;
	uint64_t x, y;

	for (; common < 16; common += 8) {
		memcpy(&x, e->raw + e->offsets[a] + common, sizeof(x));
		memcpy(&y, e->raw + e->offsets[b] + common, sizeof(y));
		if (x != y) {
			common += (uint32_t)__builtin_ctzll(x ^ y) / 8;
			break;
		}
	}
	return common < len ? common : len;
}

static inline void remember(struct encoder *e, uint32_t i, uint32_t end)
{
	*single_slot(e, i) = e->base + i;
	if (i + 1 < end)
		*pair_slot(e, i) = e->base + i;
}

static inline void remember_shape(struct encoder *e, uint32_t i)
{
	*shape_slot(e, i) = e->base + i;
	e->types[word_op(e->words[i])] = e->base + i;
}

static inline bool pair_matches(struct encoder *e, uint32_t i, uint32_t end, uint32_t *ret)
{
	return i + 1 < end && is_near(e, i, *pair_slot(e, i), ret) && e->words[*ret] == e->words[i] &&
	       e->words[*ret + 1] == e->words[i + 1];
}

/* Event i starts a match with event `from`. Returns the first event that is not done with. */
static inline uint32_t put_run(struct encoder *e, uint32_t i, uint32_t from, uint32_t end)
{
	uint32_t distance = e->offsets[i] - e->offsets[from], start = i, common = 0, unused;

	do {
		remember(e, i, end);
		i++;
		from++;
	} while (i < end && e->words[i] == e->words[from]);
	if (i < end && !pair_matches(e, i, end, &unused))
		common = common_bytes(e, i, from);
	put_match(e, e->offsets[i] - e->offsets[start] + common, distance);
	if (!common)
		return i;
	put_literals(e, e->offsets[i] + common, e->offsets[i + 1]);
	remember(e, i, end);
	remember_shape(e, i);
	return i + 1;
}

static inline void put_alone(struct encoder *e, uint32_t i, uint32_t end)
{
	uint32_t common = 0, from;

	if (is_near(e, i, *shape_slot(e, i), &from))
		common = common_bytes(e, i, from);
	if (common < MIN_MATCH && is_near(e, i, e->types[word_op(e->words[i])], &from))
		common = common_bytes(e, i, from);
	if (common >= MIN_MATCH)
		put_match(e, common, e->offsets[i] - e->offsets[from]);
	else
		common = 0;
	put_literals(e, e->offsets[i] + common, e->offsets[i + 1]);
	remember(e, i, end);
	remember_shape(e, i);
}

static void put_events(struct encoder *e, uint32_t i, uint32_t end)
{
	uint32_t from;

	while (i < end) {
		if (pair_matches(e, i, end, &from) ||
		    (is_near(e, i, *single_slot(e, i), &from) && e->words[from] == e->words[i]))
			i = put_run(e, i, from, end);
		else
			put_alone(e, i++, end);
	}
}

/* Drops what is out of the window. */
static void trim(struct encoder *e)
{
	uint32_t drop = e->count > HISTORY_EVENTS ? e->count - HISTORY_EVENTS : 0;
	uint32_t bytes = e->offsets[drop];

	if (!drop)
		return;
	memmove(e->raw, e->raw + bytes, e->offsets[e->count] - bytes);
	memmove(e->words, e->words + drop, (e->count - drop) * sizeof(*e->words));
	for (uint32_t i = drop; i <= e->count; i++)
		e->offsets[i - drop] = e->offsets[i] - bytes;
	e->base += drop;
	e->count -= drop;
}

void encoder_add(struct encoder *e, const uint64_t *words, size_t count)
{
	uint32_t first = e->count, start = e->offsets[first], end = first, len;

	dv_assert(count <= CHUNK_EVENTS);
	events_put(e->raw + start, words, count, start, e->offsets + first + 1);
	for (size_t i = 0; i < count; i++) {
		uint64_t word = words[i];

		if (word_is_double(word)) {
			if (word & (WORD_WIDE | WORD_AT))
				word = WORD_WIDE | WORD_AT | e->serial++;
			i++;
		}
		e->words[end++] = word;
	}
	e->count = end;
	len = e->offsets[end] - start;
	e->adler = libdeflate_adler32(e->adler, e->raw + start, len);
	e->raw_bytes += len;
	put_events(e, first, end);
	if (e->tokens.count >= FULL_TOKENS)
		deflate_put_block(&e->stream, &e->bits, &e->tokens, false);
	trim(e);
}

size_t encoder_raw_bytes(const struct encoder *e)
{
	return e->raw_bytes;
}

void encoder_finish(struct encoder *e, struct dv_buf *out)
{
	uint32_t adler = __builtin_bswap32(e->adler);

	deflate_put_block(&e->stream, &e->bits, &e->tokens, true);
	deflate_align(&e->stream, &e->bits);
	dv_buf_append(&e->stream, &adler, sizeof(adler));
	out->failed |= e->stream.failed;
	dv_buf_append(out, e->stream.data, e->stream.len);
	restart(e);
}
