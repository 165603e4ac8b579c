/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace-digest TRACE UNTIL: what a trace holds up to an icount, in two lines that are equal for equal
 * traces, whatever the order in the file: slices that ended by then and switches, each with their number
 * and a sum of hashes. Then a line "thread NAME" for each name that a thread has had, a line "calls COUNT
 * NAME" for each kernel function, and one "depths TID DEEPEST FLOOR..." for each thread: the smallest depth at
 * which a slice began in each tenth of the time, -1 where none did.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "trace/reader.h"

#define STRETCHES 10

struct depths {
	uint32_t deepest;
	int64_t floors[STRETCHES]; /* -1: none */
};

struct digest {
	struct dv_trace_reader *reader;
	uint64_t until, slices, sum;
	struct dv_map calls; /* by function number */
	struct dv_map depths; /* by thread's id -> struct depths * */
};

static uint64_t hash(uint64_t seed, uint64_t value)
{
	return dv_hash64(seed * 31 + value);
}

static uint64_t hash_text(uint64_t seed, const char *text)
{
	for (; *text; text++)
		seed = hash(seed, (unsigned char)*text);
	return seed;
}

static struct depths *depths_of(struct digest *digest, uint64_t thread_id)
{
	uint64_t *place = dv_map_put(&digest->depths, thread_id);
	struct depths *depths;

	if (!place || *place)
		return place ? (struct depths *)(uintptr_t)*place : NULL;
	depths = calloc(1, sizeof(*depths));
	if (!depths)
		return NULL;
	for (size_t i = 0; i < STRETCHES; i++)
		depths->floors[i] = -1;
	*place = (uintptr_t)depths;
	return depths;
}

static bool add_depth(struct digest *digest, const struct dv_trace_slice *s)
{
	struct depths *depths = depths_of(digest, s->thread_id);
	int64_t *floor;

	if (!depths)
		return false;
	if (s->start_icount >= digest->until)
		return true;
	floor = &depths->floors[s->start_icount * STRETCHES / digest->until];
	if (*floor < 0 || s->depth < *floor)
		*floor = s->depth;
	if (s->depth > depths->deepest)
		depths->deepest = s->depth;
	return true;
}

static void print_depths(struct digest *digest)
{
	for (size_t i = 0; i < digest->depths.cap; i++) {
		const struct dv_trace_thread *thread;
		struct depths *depths;

		if (!digest->depths.slots[i].used)
			continue;
		depths = (struct depths *)(uintptr_t)digest->depths.slots[i].value;
		thread = dv_trace_reader_thread(digest->reader, digest->depths.slots[i].key);
		printf("depths %d %" PRIu32, thread ? thread->tid : -1, depths->deepest);
		for (size_t k = 0; k < STRETCHES; k++)
			printf(" %" PRId64, depths->floors[k]);
		putchar('\n');
		free(depths);
	}
	dv_map_deinit(&digest->depths);
}

static bool add_slice(void *context, const struct dv_trace_slice *s)
{
	struct digest *digest = context;
	const struct dv_trace_thread *thread = dv_trace_reader_thread(digest->reader, s->thread_id);
	const struct dv_trace_reader_function *function = dv_trace_reader_function(digest->reader, s->function);
	uint64_t *calls = dv_map_put(&digest->calls, s->function);
	uint64_t h = 1;

	if (!calls || !add_depth(digest, s))
		return false;
	++*calls;
	if (s->is_open || s->end_icount > digest->until)
		return true;
	h = hash(h, s->start_icount);
	h = hash(h, s->end_icount);
	h = hash(h, s->depth);
	h = hash(h, s->kind);
	h = hash(h, thread ? (uint64_t)thread->tid : 0);
	h = hash(h, function->is.vaddr);
	digest->sum += hash_text(h, function->is.name);
	digest->slices++;
	return true;
}

static void print_switches(struct dv_trace_reader *r, uint64_t until)
{
	const struct dv_trace_switch *s = dv_trace_reader_switches(r);
	uint64_t count = 0, sum = 0;

	for (size_t i = 0; i < dv_trace_reader_switch_count(r); i++) {
		const struct dv_trace_thread *next = dv_trace_reader_thread(r, s[i].next_id);

		if (s[i].icount > until)
			continue;
		count++;
		sum += hash(hash(hash(1, s[i].icount), s[i].cpu), next ? (uint64_t)next->tid : 0);
	}
	printf("switches %" PRIu64 " %016" PRIx64 "\n", count, sum);
}

static struct dv_error *run(const char *path, uint64_t until)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	_cleanup_(dv_map_deinit) struct dv_map calls = DV_MAP_INIT;
	struct digest digest = {.until = until};

	DV_TRY(dv_trace_reader_open(path, &r));
	digest.reader = r;
	DV_TRY(dv_trace_reader_slices(r, add_slice, &digest));
	calls = digest.calls;
	printf("slices %" PRIu64 " %016" PRIx64 "\n", digest.slices, digest.sum);
	print_switches(r, until);
	for (size_t i = 0; i < dv_trace_reader_thread_state_count(r); i++)
		printf("thread %s\n", dv_trace_reader_thread_state(r, i)->thread.comm);
	for (uint32_t i = 0; i < dv_trace_reader_function_count(r); i++) {
		const struct dv_trace_reader_function *function = dv_trace_reader_function(r, i);
		const uint64_t *count = dv_map_get(&calls, i);

		if (count && function->is.space == DV_FUNCTION_KERNEL)
			printf("calls %" PRIu64 " %s\n", *count, function->is.name);
	}
	print_depths(&digest);
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 3) {
		fprintf(stderr, "usage: trace-digest TRACE UNTIL\n");
		return 2;
	}
	err = run(argv[1], strtoull(argv[2], NULL, 0));
	if (err)
		fprintf(stderr, "trace-digest: %s\n", err->message);
	return err != NULL;
}
