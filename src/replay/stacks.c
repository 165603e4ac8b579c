/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/stacks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/thread.h"
#include "base/vec.h"

/* A thread's open frames, as they are at the beginning of a block. */
struct saved {
	uint64_t thread_id;
	struct dv_frame *frames;
	size_t len;
};

struct saved_block {
	struct saved *threads;
	size_t len;
};

struct running {
	uint64_t thread_id;
	struct dv_frame *frames;
	size_t len, cap;
};

struct dv_stacks {
	struct dv_trace_reader *reader, *passing;
	pthread_t pass;
	bool has_pass, joined;
	atomic_bool stop, passed;
	struct dv_error *pass_error;
	struct saved_block *blocks;
	size_t blocks_len;
};

/* A pass over events that keeps the open frames of every thread. */
struct follower {
	struct running *threads;
	size_t len, cap;
	struct dv_map by_id; /* id -> index + 1 */
};

static struct running *follow(struct follower *f, uint64_t thread_id)
{
	uint64_t *index = dv_map_put(&f->by_id, thread_id);

	if (!index)
		return NULL;
	if (*index)
		return &f->threads[*index - 1];
	if (!DV_VEC_ROOM(f->threads, f->len, f->cap))
		return NULL;
	f->threads[f->len] = (struct running){.thread_id = thread_id};
	*index = ++f->len;
	return &f->threads[f->len - 1];
}

static struct dv_error *take(struct follower *f, const struct dv_trace_event *e)
{
	struct running *r = follow(f, e->thread_id);

	if (!r)
		return dv_error_no_memory();
	if (e->type == DV_TRACE_END) {
		r->len -= r->len > 0;
		return NULL;
	}
	if (!DV_VEC_ROOM(r->frames, r->len, r->cap))
		return dv_error_no_memory();
	r->frames[r->len++] = (struct dv_frame){e->icount, e->function, e->kind};
	return NULL;
}

static void follower_deinit(struct follower *f)
{
	for (size_t i = 0; i < f->len; i++)
		free(f->threads[i].frames);
	free(f->threads);
	dv_map_deinit(&f->by_id);
}

static struct dv_error *save(const struct follower *f, struct saved_block *ret)
{
	ret->threads = calloc(f->len + 1, sizeof(*ret->threads));
	if (!ret->threads)
		return dv_error_no_memory();
	for (size_t i = 0; i < f->len; i++) {
		const struct running *r = &f->threads[i];
		struct saved *s = &ret->threads[ret->len];

		if (!r->len)
			continue;
		*s = (struct saved){r->thread_id, malloc(r->len * sizeof(*r->frames)), r->len};
		if (!s->frames)
			return dv_error_no_memory();
		memcpy(s->frames, r->frames, r->len * sizeof(*r->frames));
		ret->len++;
	}
	return NULL;
}

struct taking {
	struct follower *follower;
	atomic_bool *stop;
};

static struct dv_error *take_all(void *context, const struct dv_trace_event *events, size_t count)
{
	struct taking *t = context;

	if (*t->stop)
		return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
	for (size_t i = 0; i < count; i++)
		DV_TRY(take(t->follower, &events[i]));
	return NULL;
}

static void *run_pass(void *context)
{
	struct dv_stacks *s = context;
	struct follower f = {0};
	struct taking taking = {&f, &s->stop};

	for (size_t i = 0; i < s->blocks_len && !s->pass_error; i++) {
		s->pass_error = save(&f, &s->blocks[i]);
		if (!s->pass_error)
			s->pass_error = dv_trace_reader_visit_block(s->passing, i, take_all, &taking);
	}
	follower_deinit(&f);
	atomic_store(&s->passed, true);
	return NULL;
}

struct dv_error *dv_stacks_create(const char *trace, struct dv_stacks **ret)
{
	_cleanup_(dv_stacks_destroyp) struct dv_stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return dv_error_no_memory();
	/* Two readers: a function's number may differ between them, so the pass's stays in the pass's. */
	DV_TRY(dv_trace_reader_open(trace, &s->reader));
	if (dv_trace_reader_metadata(s->reader)->clock != DV_TRACE_CLOCK_ICOUNT)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: its timestamps are no instruction counts", trace);
	DV_TRY(dv_trace_reader_open(trace, &s->passing));
	s->blocks_len = dv_trace_reader_block_count(s->reader);
	s->blocks = calloc(s->blocks_len + 1, sizeof(*s->blocks));
	if (!s->blocks)
		return dv_error_no_memory();
	DV_TRY(dv_thread_start(&s->pass, NULL, run_pass, s));
	s->has_pass = true;
	*ret = dv_steal(s);
	return NULL;
}

void dv_stacks_destroy(struct dv_stacks *stacks)
{
	if (!stacks)
		return;
	atomic_store(&stacks->stop, true);
	if (stacks->has_pass && !stacks->joined)
		pthread_join(stacks->pass, NULL);
	for (size_t i = 0; i < stacks->blocks_len && stacks->blocks; i++) {
		for (size_t k = 0; k < stacks->blocks[i].len; k++)
			free(stacks->blocks[i].threads[k].frames);
		free(stacks->blocks[i].threads);
	}
	free(stacks->blocks);
	dv_trace_reader_close(stacks->passing);
	dv_trace_reader_close(stacks->reader);
	dv_error_destroy(stacks->pass_error);
	free(stacks);
}

/* From here on the pass's reader is the only one: its function numbers are those of the saved stacks. */
static void wait_for_pass(struct dv_stacks *s)
{
	if (s->joined)
		return;
	pthread_join(s->pass, NULL);
	s->joined = true;
}

struct dv_trace_reader *dv_stacks_reader(struct dv_stacks *stacks)
{
	wait_for_pass(stacks);
	return stacks->passing;
}

struct dv_trace_reader *dv_stacks_headers(struct dv_stacks *stacks)
{
	return stacks->reader;
}

uint64_t dv_stacks_thread_at(struct dv_stacks *stacks, uint64_t icount)
{
	/* Switches are in the headers: no need to wait. */
	const struct dv_trace_switch *last = dv_trace_reader_switch_at(stacks->reader, icount);

	if (last)
		return last->next_id;
	return dv_trace_reader_switch_count(stacks->reader) ? dv_trace_reader_switches(stacks->reader)->prev_id : 0;
}

/* The last block that begins at or before icount. Blocks may overlap a little: the one before it, too. */
static size_t block_for(const struct dv_stacks *s, uint64_t icount)
{
	size_t low = 0, high = s->blocks_len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (dv_trace_reader_block(s->reader, mid)->first_icount <= icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? low - 1 : 0;
}

bool dv_stacks_ready(const struct dv_stacks *stacks)
{
	return stacks->passed;
}

struct entry_search {
	struct dv_trace_reader *reader;
	uint64_t icount, thread_id, vaddr;
	bool found;
};

static struct dv_error *find_entry(void *context, const struct dv_trace_event *events, size_t count)
{
	struct entry_search *e = context;

	for (size_t i = 0; i < count && !e->found; i++)
		if (events[i].icount == e->icount && events[i].type == DV_TRACE_BEGIN && events[i].thread_id == e->thread_id &&
		    events[i].kind != DV_SLICE_INTERRUPT && events[i].kind != DV_SLICE_EXCEPTION)
			e->found = dv_trace_reader_entry_vaddr(e->reader, events[i].function, e->thread_id, e->icount,
							       &e->vaddr);
	return NULL;
}

struct dv_error *dv_stacks_entry_at(struct dv_stacks *stacks, uint64_t icount, uint64_t *ret_vaddr, bool *ret_found)
{
	struct entry_search e = {stacks->reader, icount, dv_stacks_thread_at(stacks, icount), 0, false};

	*ret_found = false;
	if (!stacks->blocks_len || !dv_trace_reader_metadata(stacks->reader)->exact)
		return NULL;
	for (size_t last = block_for(stacks, icount), i = last ? last - 1 : 0; i <= last && !e.found; i++)
		if (dv_trace_reader_block(stacks->reader, i)->last_icount >= icount)
			DV_TRY(dv_trace_reader_visit_block(stacks->reader, i, find_entry, &e));
	*ret_found = e.found;
	*ret_vaddr = e.vaddr;
	return NULL;
}

struct asking {
	uint64_t thread_id, icount;
	struct follower follower;
};

static struct dv_error *take_until(void *context, const struct dv_trace_event *events, size_t count)
{
	struct asking *a = context;

	for (size_t i = 0; i < count; i++)
		if (events[i].thread_id == a->thread_id && events[i].icount <= a->icount)
			DV_TRY(take(&a->follower, &events[i]));
	return NULL;
}

struct dv_error *dv_stacks_at(struct dv_stacks *stacks, uint64_t thread_id, uint64_t icount, struct dv_frame **ret,
			      size_t *ret_len)
{
	struct asking a = {.thread_id = thread_id, .icount = icount};
	struct dv_error *err = NULL;
	struct running *stack;
	size_t last, first;

	wait_for_pass(stacks);
	if (stacks->pass_error && stacks->pass_error->code == DV_ERROR_NO_MEMORY)
		return dv_error_no_memory();
	last = block_for(stacks, icount);
	first = last ? last - 1 : 0;
	stack = follow(&a.follower, thread_id);
	if (!stack)
		return dv_error_no_memory();
	for (size_t i = 0; stacks->blocks_len && i < stacks->blocks[first].len; i++) {
		const struct saved *saved = &stacks->blocks[first].threads[i];

		for (size_t k = 0; k < saved->len && saved->thread_id == thread_id && !err; k++)
			err = take(&a.follower, &(struct dv_trace_event){.icount = saved->frames[k].start_icount,
									 .thread_id = thread_id,
									 .function = saved->frames[k].function,
									 .type = DV_TRACE_BEGIN,
									 .kind = saved->frames[k].kind});
	}
	for (size_t i = first; i <= last && i < stacks->blocks_len && !err; i++)
		err = dv_trace_reader_visit_block(stacks->passing, i, take_until, &a);
	stack = follow(&a.follower, thread_id);
	if (!err) {
		*ret = dv_steal(stack->frames);
		*ret_len = stack->len;
	}
	follower_deinit(&a.follower);
	return err;
}

/* What is looked for among the begins: the first of them, or the last. */
struct looking {
	struct dv_stacks *stacks;
	const char *name; /* NULL: at icount, in the thread of tid, at depth */
	uint64_t icount;
	bool backward;
	uint64_t nth; /* 0: by icount */
	int32_t tid;
	uint32_t depth;
	struct dv_call found;
	bool has_found;
	struct dv_map depths; /* thread -> open frames */
};

static bool named(struct looking *l, const struct dv_trace_event *e)
{
	const struct dv_trace_reader_function *f = dv_trace_reader_function(l->stacks->passing, e->function);
	const char *bare = f && *f->is.name == '[' ? strstr(f->is.name, "] ") : NULL;

	return f && (!strcmp(f->is.name, l->name) || (bare && !strcmp(bare + 2, l->name)));
}

static struct dv_error *look(void *context, const struct dv_trace_event *events, size_t count)
{
	struct looking *l = context;

	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_event *e = &events[i];
		uint64_t *depth = dv_map_put(&l->depths, e->thread_id);
		const struct dv_trace_thread *thread;
		bool match;

		if (!depth)
			return dv_error_no_memory();
		if (e->type == DV_TRACE_END) {
			*depth -= *depth > 0;
			continue;
		}
		++*depth;
		if (!l->name) {
			thread = e->icount == l->icount ? dv_trace_reader_thread(l->stacks->passing, e->thread_id) : NULL;
			match = thread && thread->tid == l->tid && *depth - 1 == l->depth;
		} else if (l->nth) {
			match = named(l, e) && --l->nth == 0;
			if (match)
				l->nth = UINT64_MAX; /* no other comes to be the one */
		} else {
			match = (l->backward ? e->icount < l->icount : e->icount > l->icount && !l->has_found) && named(l, e);
		}
		if (!match || (l->has_found && !l->backward))
			continue;
		l->found = (struct dv_call){e->icount, e->thread_id, e->function, (uint32_t)*depth - 1, e->kind};
		l->has_found = true;
	}
	return NULL;
}

static struct dv_error *look_in_block(struct looking *l, size_t block)
{
	const struct saved_block *saved = &l->stacks->blocks[block];

	dv_map_clear(&l->depths);
	for (size_t i = 0; i < saved->len; i++) {
		uint64_t *depth = dv_map_put(&l->depths, saved->threads[i].thread_id);

		if (!depth)
			return dv_error_no_memory();
		*depth = saved->threads[i].len;
	}
	return dv_trace_reader_visit_block(l->stacks->passing, block, look, l);
}

static struct dv_error *search(struct looking *l, struct dv_call *ret, bool *ret_found)
{
	struct dv_stacks *s = l->stacks;
	struct dv_error *err = NULL;
	size_t at, first;

	*ret_found = false;
	wait_for_pass(s);
	if (!s->blocks_len)
		return NULL;
	at = l->nth ? 0 : block_for(s, l->icount);
	first = at && !l->nth ? at - 1 : at;
	if (l->backward)
		for (size_t i = at + 1; i > 0 && !err && !l->has_found; i--)
			err = look_in_block(l, i - 1);
	else
		for (size_t i = first; i < s->blocks_len && !err && !l->has_found && (l->name || i <= at); i++)
			err = look_in_block(l, i);
	dv_map_deinit(&l->depths);
	*ret_found = !err && l->has_found;
	if (*ret_found)
		*ret = l->found;
	return err;
}

struct dv_error *dv_stacks_find_call(struct dv_stacks *stacks, const char *name, uint64_t icount, bool backward,
				     struct dv_call *ret, bool *ret_found)
{
	struct looking l = {.stacks = stacks, .name = name, .icount = icount, .backward = backward};

	return search(&l, ret, ret_found);
}

struct dv_error *dv_stacks_nth_call(struct dv_stacks *stacks, const char *name, uint64_t n, struct dv_call *ret,
				    bool *ret_found)
{
	struct looking l = {.stacks = stacks, .name = name, .nth = n ? n : 1};

	return search(&l, ret, ret_found);
}

struct dv_error *dv_stacks_find_slice(struct dv_stacks *stacks, uint64_t icount, int32_t tid, uint32_t depth,
				      struct dv_call *ret, bool *ret_found)
{
	struct looking l = {.stacks = stacks, .icount = icount, .tid = tid, .depth = depth};

	return search(&l, ret, ret_found);
}
