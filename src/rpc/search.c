/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Searches, kept for a while: a client that walks from match to match asks for the same one again and again. */
#include <string.h>
#include "rpc/private.h"

void search_put(struct dv_rpc *rpc, struct search *search)
{
	bool last;

	pthread_mutex_lock(&rpc->lock);
	last = !--search->refs;
	pthread_mutex_unlock(&rpc->lock);
	if (!last)
		return;
	dv_query_search_destroy(search->search);
	free(search->pattern);
	free(search);
}

/* With the lock. */
static struct search *find(struct dv_rpc *rpc, const char *pattern, bool match_case)
{
	for (size_t i = 0; i < MAX_SEARCHES; i++) {
		struct search *search = rpc->searches[i];

		if (search && search->match_case == match_case && !strcmp(search->pattern, pattern)) {
			search->refs++;
			search->used = ++rpc->search_uses;
			return search;
		}
	}
	return NULL;
}

/* Puts it into the place of the one that was not used for longest, which is returned; with the lock. */
static struct search *keep(struct dv_rpc *rpc, struct search *search)
{
	size_t oldest = 0;
	struct search *old;

	for (size_t i = 0; i < MAX_SEARCHES && rpc->searches[oldest]; i++)
		if (!rpc->searches[i] || rpc->searches[i]->used < rpc->searches[oldest]->used)
			oldest = i;
	old = rpc->searches[oldest];
	rpc->searches[oldest] = search;
	search->refs++;
	search->used = ++rpc->search_uses;
	return old;
}

static struct dv_error *make(struct dv_rpc *rpc, const char *pattern, bool match_case, struct search **ret)
{
	struct search *search = calloc(1, sizeof(*search));
	struct dv_error *err;

	if (!search)
		return dv_error_no_memory();
	search->refs = 1;
	search->match_case = match_case;
	search->pattern = strdup(pattern);
	err = search->pattern ? dv_query_search_create(rpc->query, pattern, match_case, &search->search) :
				dv_error_no_memory();
	if (err) {
		free(search->pattern);
		free(search);
		return err;
	}
	*ret = search;
	return NULL;
}

struct dv_error *search_get(struct dv_rpc *rpc, const char *pattern, bool match_case, struct search **ret)
{
	struct search *search, *old;

	pthread_mutex_lock(&rpc->lock);
	search = find(rpc, pattern, match_case);
	pthread_mutex_unlock(&rpc->lock);
	if (!search) {
		DV_TRY(make(rpc, pattern, match_case, &search));
		pthread_mutex_lock(&rpc->lock);
		old = keep(rpc, search);
		pthread_mutex_unlock(&rpc->lock);
		if (old)
			search_put(rpc, old);
	}
	*ret = search;
	return NULL;
}

struct dv_error *search_function(struct dv_rpc *rpc, uint32_t function, struct search **ret)
{
	const char *name = dv_query_function(rpc->query, function)->slice_name;
	_cleanup_buf_ struct dv_buf pattern = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL;

	/* The letters of globs stand for themselves in brackets. */
	for (const char *c = name; *c; c++)
		dv_buf_printf(&pattern, strchr("*?[", *c) ? "[%c]" : "%c", *c);
	text = dv_buf_steal_string(&pattern);
	return text ? search_get(rpc, text, true, ret) : dv_error_no_memory();
}
