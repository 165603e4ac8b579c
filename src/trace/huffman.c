/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Huffman-coded deflate blocks: see huffman.h. */
#include "trace/huffman.h"

#include <stdlib.h>
#include <string.h>

#define END_OF_BLOCK 256
#define MAX_CODE_BITS 15
#define LENGTH_SYMBOLS 19
#define MAX_LENGTH_BITS 7
#define MAX_SYMBOLS DEFLATE_LITERALS

struct code {
	uint16_t bits[MAX_SYMBOLS]; /* as they go out: the first lowest */
	uint8_t len[MAX_SYMBOLS];
};

static int compare_weights(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * How many codes have each length: Huffman's tree over weights that are in ascending order, by two
 * queues (leaves and inner nodes both come in ascending order).
 */
static void count_lengths(const uint64_t *weights, unsigned n, unsigned limit, unsigned *counts)
{
	uint64_t inner[MAX_SYMBOLS];
	uint16_t parent[2 * MAX_SYMBOLS];
	uint8_t depth[2 * MAX_SYMBOLS];
	unsigned leaf = 0, node = 0;
	uint32_t total = 0;

	for (unsigned made = 0; made + 1 < n; made++) {
		inner[made] = 0;
		for (int i = 0; i < 2; i++) {
			bool take_leaf = leaf < n && (node == made || weights[leaf] >> 16 <= inner[node]);

			inner[made] += take_leaf ? weights[leaf] >> 16 : inner[node];
			parent[take_leaf ? leaf++ : n + node++] = (uint16_t)(n + made);
		}
	}
	depth[2 * n - 2] = 0;
	for (unsigned i = 2 * n - 2; i-- > 0;) {
		unsigned d = depth[parent[i]] + 1u;

		depth[i] = (uint8_t)d;
		if (i < n)
			counts[d < limit ? d : limit]++;
	}
	/* Codes that were cut to the limit take more room than there is: lengthen others for it. */
	for (unsigned l = 1; l <= limit; l++)
		total += counts[l] << (limit - l);
	for (; total > 1u << limit; total--) {
		unsigned l = limit - 1;

		while (!counts[l])
			l--;
		counts[limit]--;
		counts[l]--;
		counts[l + 1] += 2;
	}
}

static uint16_t reversed(unsigned code, unsigned len)
{
	unsigned r = 0;

	for (unsigned i = 0; i < len; i++)
		r |= (code >> i & 1) << (len - 1 - i);
	return (uint16_t)r;
}

/* The canonical code of RFC 1951, 3.2.2. */
static void assign_codes(struct code *code, unsigned symbols, const unsigned *counts)
{
	unsigned next[MAX_CODE_BITS + 2] = {0};

	for (unsigned l = 1; l <= MAX_CODE_BITS; l++)
		next[l + 1] = (next[l] + counts[l]) << 1;
	for (unsigned s = 0; s < symbols; s++) {
		if (code->len[s])
			code->bits[s] = reversed(next[code->len[s]]++, code->len[s]);
	}
}

static void make_code(const uint32_t *frequencies, unsigned symbols, unsigned limit, struct code *code)
{
	uint64_t weights[MAX_SYMBOLS];
	unsigned counts[MAX_CODE_BITS + 2] = {0}, n = 0;

	memset(code, 0, sizeof(*code));
	for (unsigned s = 0; s < symbols; s++) {
		if (frequencies[s])
			weights[n++] = (uint64_t)frequencies[s] << 16 | s;
	}
	qsort(weights, n, sizeof(*weights), compare_weights);
	if (n < 2) {
		code->len[n ? weights[0] & 0xffff : 0] = 1;
		counts[1] = 1;
	} else {
		unsigned at = 0;

		count_lengths(weights, n, limit, counts);
		for (unsigned l = limit; l > 0; l--) {
			for (unsigned i = 0; i < counts[l]; i++)
				code->len[weights[at++] & 0xffff] = (uint8_t)l;
		}
	}
	assign_codes(code, symbols, counts);
}

/* Bits */

static inline void add_bits(struct deflate_bits *b, uint64_t bits, unsigned count)
{
	b->bits |= bits << b->count;
	b->count += count;
}

/* Moves whole bytes out; room for 8 is needed. */
static inline uint8_t *move_bits(struct deflate_bits *b, uint8_t *p)
{
	memcpy(p, &b->bits, sizeof(b->bits));
	p += b->count / 8;
	b->bits = b->count / 8 == 8 ? 0 : b->bits >> (b->count & ~7u);
	b->count &= 7;
	return p;
}

/* The lengths of both codes, run-length coded (3.2.7): symbols, each with its repeat count's bits. */
struct lengths {
	uint8_t symbol[MAX_SYMBOLS + DEFLATE_DISTANCES];
	uint8_t extra[MAX_SYMBOLS + DEFLATE_DISTANCES];
	unsigned count;
	uint32_t frequencies[LENGTH_SYMBOLS];
};

static void add_length(struct lengths *r, unsigned symbol, unsigned extra)
{
	r->symbol[r->count] = (uint8_t)symbol;
	r->extra[r->count++] = (uint8_t)extra;
	r->frequencies[symbol]++;
}

static void run_lengths(const uint8_t *len, unsigned n, struct lengths *r)
{
	for (unsigned i = 0; i < n;) {
		unsigned run = 1;

		while (i + run < n && len[i + run] == len[i] && run < 138)
			run++;
		if (len[i] == 0 && run >= 11) {
			add_length(r, 18, run - 11);
		} else if (len[i] == 0 && run >= 3) {
			run = run < 10 ? run : 10;
			add_length(r, 17, run - 3);
		} else {
			unsigned again = run - 1;

			add_length(r, len[i], 0);
			again = again > 6 ? 6 : again;
			run = again < 3 ? 1 : 1 + again;
			if (again >= 3)
				add_length(r, 16, again - 3);
		}
		i += run;
	}
}

static uint8_t *put_codes(uint8_t *p, struct deflate_bits *b, const struct code *literal,
			  const struct code *distance)
{
	static const uint8_t order[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8,	 7, 9,	6, 10, 5,
						      11, 4,  12, 3, 13, 2, 14, 1, 15};
	static const uint8_t extra_bits[LENGTH_SYMBOLS] = {[16] = 2, [17] = 3, [18] = 7};
	unsigned literals = DEFLATE_LITERALS, distances = DEFLATE_DISTANCES, lengths = LENGTH_SYMBOLS;
	struct lengths runs = {0};
	struct code code;

	while (literals > 257 && !literal->len[literals - 1])
		literals--;
	while (distances > 1 && !distance->len[distances - 1])
		distances--;
	run_lengths(literal->len, literals, &runs);
	run_lengths(distance->len, distances, &runs);
	make_code(runs.frequencies, LENGTH_SYMBOLS, MAX_LENGTH_BITS, &code);
	while (lengths > 4 && !code.len[order[lengths - 1]])
		lengths--;
	add_bits(b, literals - 257, 5);
	add_bits(b, distances - 1, 5);
	add_bits(b, lengths - 4, 4);
	p = move_bits(b, p);
	for (unsigned i = 0; i < lengths; i++) {
		add_bits(b, code.len[order[i]], 3);
		p = move_bits(b, p);
	}
	for (unsigned i = 0; i < runs.count; i++) {
		unsigned s = runs.symbol[i];

		add_bits(b, code.bits[s], code.len[s]);
		add_bits(b, runs.extra[i], extra_bits[s]);
		p = move_bits(b, p);
	}
	return p;
}

/* A match takes 48 bits at most, so that it fits a word that has fewer than 8. */
static inline void add_match(struct deflate_bits *b, uint32_t token, const struct code *literal,
			     const struct code *distance)
{
	uint32_t l = token >> 16 & 0xff, d = token & 0x7fff;
	unsigned symbol = length_symbol(l);

	add_bits(b, literal->bits[symbol], literal->len[symbol]);
	if (symbol >= 265 && symbol < 285)
		add_bits(b, l & ((1u << (log2_of(l) - 2)) - 1), log2_of(l) - 2);
	symbol = distance_symbol(d);
	add_bits(b, distance->bits[symbol], distance->len[symbol]);
	if (symbol >= 4)
		add_bits(b, d & ((1u << (log2_of(d) - 1)) - 1), log2_of(d) - 1);
}

void deflate_put_block(struct dv_buf *out, struct deflate_bits *b, struct deflate_tokens *t, bool is_final)
{
	struct code literal, distance;
	uint8_t *start = dv_buf_reserve(out, t->count * 6 + 2048), *p = start;

	if (!start)
		return;
	t->literals[END_OF_BLOCK] = 1;
	make_code(t->literals, DEFLATE_LITERALS, MAX_CODE_BITS, &literal);
	make_code(t->distances, DEFLATE_DISTANCES, MAX_CODE_BITS, &distance);
	add_bits(b, is_final, 1);
	add_bits(b, 2, 2);
	p = put_codes(p, b, &literal, &distance);
	for (size_t i = 0; i < t->count; i++) {
		uint32_t token = t->tokens[i];

		if (token & TOKEN_MATCH)
			add_match(b, token, &literal, &distance);
		else
			add_bits(b, literal.bits[token], literal.len[token]);
		p = move_bits(b, p);
	}
	add_bits(b, literal.bits[END_OF_BLOCK], literal.len[END_OF_BLOCK]);
	p = move_bits(b, p);
	out->len += (size_t)(p - start);
	t->count = 0;
	memset(t->literals, 0, sizeof(t->literals));
	memset(t->distances, 0, sizeof(t->distances));
}

void deflate_align(struct dv_buf *out, struct deflate_bits *b)
{
	uint8_t last = (uint8_t)b->bits;

	if (b->count)
		dv_buf_append(out, &last, 1);
	*b = (struct deflate_bits){0};
}
