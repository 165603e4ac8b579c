/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deflate's entropy coding (RFC 1951, 3.2): tokens (literals and matches) to a block with Huffman codes
 * of its own.
 */
#ifndef DV_TRACE_HUFFMAN_H
#define DV_TRACE_HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define DEFLATE_LITERALS 286
#define DEFLATE_DISTANCES 30
#define DEFLATE_MAX_MATCH 258
#define DEFLATE_WINDOW 32768

/* A literal is its byte; a match is TOKEN_MATCH | (length - 3) << 16 | (distance - 1). */
#define TOKEN_MATCH (1u << 31)

static inline unsigned log2_of(uint32_t x)
{
	return 31u - (unsigned)__builtin_clz(x);
}

/* The symbol of a length less 3. */
static inline unsigned length_symbol(uint32_t l)
{
	if (l < 8)
		return 257 + l;
	if (l == DEFLATE_MAX_MATCH - 3)
		return 285;
	return 257 + 4 * (log2_of(l) - 1) + (l >> (log2_of(l) - 2) & 3);
}

/* The symbol of a distance less 1. */
static inline unsigned distance_symbol(uint32_t d)
{
	return d < 4 ? d : 2 * log2_of(d) + (d >> (log2_of(d) - 1) & 1);
}

struct deflate_tokens {
	uint32_t *tokens;
	size_t count;
	uint32_t literals[DEFLATE_LITERALS]; /* how often each symbol occurs */
	uint32_t distances[DEFLATE_DISTANCES];
};

struct deflate_bits {
	uint64_t bits; /* not yet in a buffer, the first lowest */
	unsigned count; /* fewer than 8 between calls */
};

/* Appends one deflate block of the tokens and empties them. */
void deflate_put_block(struct dv_buf *out, struct deflate_bits *bits, struct deflate_tokens *t, bool is_final);
/* Fills the last byte up. */
void deflate_align(struct dv_buf *out, struct deflate_bits *bits);

#endif
