/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A random trace: see query_trace.h. */
#include "query_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include "test.h"
#include "trace/writer.h"

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static char name[64];

	/* Every seventh is a module's. */
	snprintf(name, sizeof(name), key % 7 ? "function_%" PRIu64 : "[mod] function_%" PRIu64, key);
	*ret = (struct dv_trace_function){.name = name, .vaddr = 0xffffffff81000000 + key * 64};
	if (key % 7 == 0) {
		ret->module = "mod";
		ret->space = DV_FUNCTION_MODULE;
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

struct held {
	uint64_t icount, key;
	enum dv_slice_kind kind;
};

struct maker {
	struct dv_trace_writer *w;
	uint64_t random, icount, before;
	uint32_t depth[TRACE_THREADS + 1];
	struct held held[TRACE_THREADS + 1][4]; /* begins that a filter keeps back */
	uint32_t held_len[TRACE_THREADS + 1];
	bool holds;
};

static void let_go(struct maker *m, uint32_t thread)
{
	for (uint32_t i = 0; i < m->held_len[thread]; i++) {
		const struct held *h = &m->held[thread][i];

		dv_trace_writer_begin(m->w, thread, h->icount, h->key, h->kind);
		m->depth[thread]++;
	}
	m->held_len[thread] = 0;
}

static void one_event(struct maker *m, uint32_t thread)
{
	uint64_t key = next_random(&m->random) % 90;
	enum dv_slice_kind kind = next_random(&m->random) % 9 ? DV_SLICE_CALL : (enum dv_slice_kind)(key % DV_SLICE_KINDS);

	m->icount += next_random(&m->random) % 30;
	if (next_random(&m->random) % 5 >= 3 - (m->depth[thread] > 20) * 2u) {
		let_go(m, thread);
		dv_trace_writer_end(m->w, thread, m->icount); /* without a begin now and then */
		m->depth[thread] -= m->depth[thread] > 0;
		return;
	}
	m->held[thread][m->held_len[thread]++] = (struct held){m->icount, key, kind};
	if (!m->holds || m->held_len[thread] == 4)
		let_go(m, thread);
}

void make_trace(const char *path, uint64_t seed, uint32_t events, bool held)
{
	struct dv_trace_options options = {.path = path, .exact = true, .describe = describe,
					   .kernel_banner = "Linux version 6.1.0-test (me) #1"};
	struct maker m = {.random = seed, .icount = 1000, .holds = held};
	uint32_t thread = 1;

	CHECK_OK(dv_trace_writer_create(&options, &m.w));
	for (uint32_t id = 1; id <= TRACE_THREADS; id++) {
		struct dv_trace_thread t = {.id = id, .tid = (int32_t)id - 1 + (id > 3 ? 100 : 0), .is_kernel = id == 3};

		t.tgid = id > 3 ? (int32_t)(100 + id / 3 * 3) : t.tid;
		snprintf(t.comm, sizeof(t.comm), id == 1 ? "swapper/0" : "thread-%u", id);
		dv_trace_writer_thread(m.w, id * 10, &t);
	}
	for (uint32_t i = 0; i < events; i++) {
		if (i % 61 == 0) {
			if (!m.holds)
				let_go(&m, thread);
			thread = 1 + (uint32_t)(next_random(&m.random) % TRACE_THREADS);
			dv_trace_writer_switch(m.w, m.icount, 0, m.before, thread);
			m.before = thread;
		}
		if (i % 9001 == 9000)
			m.icount += 5000000000; /* longer than 32 bits */
		one_event(&m, thread);
		if (i % 1777 == 1776)
			dv_trace_writer_flush(m.w);
	}
	for (uint32_t id = 1; id <= TRACE_THREADS; id++)
		let_go(&m, id);
	CHECK_OK(dv_trace_writer_finish(m.w, m.icount + 50));
}

struct sorted {
	struct dv_trace_slice slice;
	size_t order;
};

static bool take_slice(void *context, const struct dv_trace_slice *slice)
{
	struct reference *ref = context;

	ref->slices[ref->count++] = *slice;
	return true;
}

/* The reader gives slices by their ends: an outer one has the lesser depth. */
static int by_start(const void *a, const void *b)
{
	const struct dv_trace_slice *x = a, *y = b;

	if (x->start_icount != y->start_icount)
		return x->start_icount < y->start_icount ? -1 : 1;
	if (x->thread_id != y->thread_id)
		return x->thread_id < y->thread_id ? -1 : 1;
	return x->depth < y->depth ? -1 : x->depth > y->depth;
}

void reference_init(struct reference *ref, const char *path)
{
	*ref = (struct reference){0};
	CHECK_OK(dv_trace_reader_open(path, &ref->reader));
	ref->slices = calloc(dv_trace_reader_metadata(ref->reader)->begins + 1, sizeof(*ref->slices));
	CHECK(ref->slices);
	CHECK_OK(dv_trace_reader_slices(ref->reader, take_slice, ref));
	qsort(ref->slices, ref->count, sizeof(*ref->slices), by_start);
}

void reference_deinit(struct reference *ref)
{
	free(ref->slices);
	dv_trace_reader_close(ref->reader);
}
