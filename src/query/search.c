/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Search by name. A pattern is matched against each function's name once; slices are then found by their
 * function's bit, going over the column of functions, which is quick enough to need no index.
 */
#include <ctype.h>
#include <string.h>
#include "query/query_private.h"

#define RANK_BLOCK 4096u

struct dv_query_search {
	const struct dv_query *q;
	uint32_t functions;
	uint64_t *counts;  /* by track */
	uint64_t count;
	uint64_t *before;  /* by block of RANK_BLOCK slices: matches in those before it */
	uint64_t *matches; /* a bit per function */
};

static inline bool is_match(const uint64_t *matches, uint32_t function)
{
	return matches[function / 64] >> function % 64 & 1;
}

static char fold(char c, bool match_case)
{
	return match_case ? c : (char)tolower((unsigned char)c);
}

/* One [set] at p, which starts behind the bracket. Returns what follows it, or NULL without an end. */
static const char *match_set(const char *p, char c, bool match_case, bool *ret)
{
	bool negated = *p == '^' || *p == '!', found = false;
	const char *first;

	p += negated;
	for (first = p; *p && (*p != ']' || p == first); p++) {
		char low = fold(*p, match_case), high = low;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			high = fold(p[2], match_case);
			p += 2;
		}
		found |= low <= c && c <= high;
	}
	*ret = found != negated;
	return *p ? p + 1 : NULL;
}

/* Without recursion: on a mismatch the last * takes one letter more. */
static bool glob(const char *p, const char *s, bool match_case)
{
	const char *star = NULL, *star_s = NULL;

	while (*s) {
		char c = fold(*s, match_case);
		const char *next = p;
		bool fits = false;

		if (*p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		if (*p == '[') {
			next = match_set(p + 1, c, match_case, &fits);
			fits = fits && next;
		} else if (*p) {
			fits = *p == '?' || fold(*p, match_case) == c;
			next = p + 1;
		}
		if (fits) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++star_s;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p;
}

static bool contains(const char *s, const char *part, bool match_case)
{
	return match_case ? strstr(s, part) != NULL : strcasestr(s, part) != NULL;
}

static void find_functions(struct dv_query_search *s, const char *pattern, bool match_case)
{
	bool is_glob = strpbrk(pattern, "*?[");

	for (uint32_t i = 0; i < s->q->info.functions; i++) {
		const struct dv_query_function *f = &s->q->functions[i];
		bool fits = is_glob ? glob(pattern, f->slice_name, match_case) || glob(pattern, f->name, match_case) :
				      contains(f->slice_name, pattern, match_case);

		if (!fits)
			continue;
		s->matches[i / 64] |= 1ull << i % 64;
		s->functions++;
	}
}

static void count_slices(struct dv_query_search *s)
{
	const struct columns *c = &s->q->c;

	for (uint32_t first = 0, b = 0; s->functions && first < c->n; b++) {
		uint32_t end = c->n - first < RANK_BLOCK ? c->n : first + RANK_BLOCK;
		uint64_t found = 0;

		for (; first < end; first++) {
			if (is_match(s->matches, slice_function(c, first))) {
				s->counts[c->track[first]]++;
				found++;
			}
		}
		s->before[b + 1] = s->before[b] + found;
	}
	for (size_t t = 0; t < c->n_tracks; t++)
		s->count += s->counts[t];
}

struct dv_error *dv_query_search_create(const struct dv_query *q, const char *pattern, bool match_case,
					struct dv_query_search **ret)
{
	_cleanup_(dv_query_search_destroyp) struct dv_query_search *s = NULL;

	if (!*pattern)
		return dv_error_new(DV_ERROR_INVALID, "a search for nothing");
	s = calloc(1, sizeof(*s));
	if (!s)
		return dv_error_no_memory();
	s->q = q;
	s->matches = calloc(q->info.functions / 64 + 1, sizeof(*s->matches));
	s->counts = calloc(q->c.n_tracks + 1, sizeof(*s->counts));
	s->before = calloc(q->c.n / RANK_BLOCK + 2, sizeof(*s->before));
	if (!s->matches || !s->counts || !s->before)
		return dv_error_no_memory();
	find_functions(s, pattern, match_case);
	count_slices(s);
	*ret = dv_steal(s);
	return NULL;
}

void dv_query_search_destroy(struct dv_query_search *s)
{
	if (!s)
		return;
	free(s->matches);
	free(s->counts);
	free(s->before);
	free(s);
}

uint64_t dv_query_search_count(const struct dv_query_search *s, uint32_t track_or_all)
{
	if (track_or_all == DV_QUERY_ALL_TRACKS)
		return s->count;
	return track_or_all < s->q->c.n_tracks ? s->counts[track_or_all] : 0;
}

uint64_t dv_query_search_rank(const struct dv_query_search *s, uint32_t id)
{
	const struct columns *c = &s->q->c;
	uint64_t rank;

	if (!s->functions)
		return 0;
	if (id > c->n)
		id = c->n;
	rank = s->before[id / RANK_BLOCK];
	for (uint32_t i = id - id % RANK_BLOCK; i < id; i++)
		rank += is_match(s->matches, slice_function(c, i));
	return rank;
}

uint32_t dv_query_search_functions(const struct dv_query_search *s)
{
	return s->functions;
}

bool dv_query_search_matches(const struct dv_query_search *s, uint32_t function)
{
	return function < s->q->info.functions && is_match(s->matches, function);
}

static inline bool fits(const struct dv_query_search *s, uint32_t track_or_all, uint32_t id)
{
	const struct columns *c = &s->q->c;

	return (track_or_all == DV_QUERY_ALL_TRACKS || c->track[id] == track_or_all) &&
	       is_match(s->matches, slice_function(c, id));
}

void dv_query_search_buckets(const struct dv_query_search *s, uint32_t track_or_all, uint64_t from_icount,
			     uint64_t bucket_icount, uint32_t *counts, size_t buckets)
{
	const struct columns *c = &s->q->c;
	uint32_t id = first_slice_at(c, from_icount);

	if (!dv_query_search_count(s, track_or_all) || !bucket_icount)
		return;
	for (size_t b = 0; b < buckets && id < c->n; b++) {
		uint64_t until = from_icount + (b + 1) * bucket_icount;
		uint32_t end = until > from_icount ? first_slice_at(c, until) : c->n;

		for (; id < end; id++)
			counts[b] += fits(s, track_or_all, id);
	}
}

void dv_query_search_grid(const struct dv_query_search *s, uint64_t from_icount, uint64_t bucket_icount,
			  uint32_t *counts, size_t buckets)
{
	const struct columns *c = &s->q->c;
	uint32_t id = first_slice_at(c, from_icount);

	if (!s->count || !bucket_icount)
		return;
	for (size_t b = 0; b < buckets && id < c->n; b++) {
		uint64_t until = from_icount + (b + 1) * bucket_icount;
		uint32_t end = until > from_icount ? first_slice_at(c, until) : c->n;

		for (; id < end; id++)
			if (is_match(s->matches, slice_function(c, id)))
				counts[c->track[id] * buckets + b]++;
	}
}

uint32_t dv_query_search_next(const struct dv_query_search *s, uint32_t track_or_all, uint32_t from_id)
{
	if (!dv_query_search_count(s, track_or_all))
		return DV_QUERY_NONE;
	for (uint32_t id = from_id; id < s->q->c.n; id++) {
		if (fits(s, track_or_all, id))
			return id;
	}
	return DV_QUERY_NONE;
}

uint32_t dv_query_search_prev(const struct dv_query_search *s, uint32_t track_or_all, uint32_t from_id)
{
	uint32_t id = from_id < s->q->c.n ? from_id + 1 : s->q->c.n;

	if (!dv_query_search_count(s, track_or_all))
		return DV_QUERY_NONE;
	while (id-- > 0) {
		if (fits(s, track_or_all, id))
			return id;
	}
	return DV_QUERY_NONE;
}
