/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the trace writer costs: CPU time per event, all in (compression and writing the file too), and
 * bytes per event. The stream is a trace's own events (trace-writer FILE.dvtrace [OUT]) or, without
 * one, a synthetic call tree. Then what reading costs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "trace/reader.h"
#include "trace/writer.h"

#define SYNTHETIC_EVENTS 20000000u
#define MAX_EVENTS 60000000u
#define FUNCTIONS 3000u
#define CALLEES 8u

struct event {
	uint64_t icount;
	uint32_t thread_id, key; /* key 0: an end */
	uint8_t kind;
};

struct stream {
	struct event *events;
	size_t count;
	struct dv_trace_reader *from; /* NULL when synthetic; names are its functions */
};

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct stream *s, struct event event)
{
	if (s->count < MAX_EVENTS)
		s->events[s->count++] = event;
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* A function calls a few others, mostly in the same order, with mostly the same instructions between. */
static void call(struct stream *s, uint64_t *icount, uint64_t *random, uint32_t function, unsigned depth)
{
	uint32_t thread = 1 + (uint32_t)(s->count / 20000 % 30);

	add(s, (struct event){*icount, thread, function + 1, 0});
	for (unsigned i = 0; i < CALLEES && depth < 20 && s->count < SYNTHETIC_EVENTS; i++) {
		uint32_t shape = (function * 2654435761u + i * 40503u) >> 8;
		uint64_t r = next_random(random);

		*icount += shape % 23 + 2 + (r % 16 == 0 ? r / 16 % 60 : 0);
		if (shape % 13 < 3 + (r / 1024 % 16 == 0))
			call(s, icount, random, (shape ^ function * 7) % FUNCTIONS, depth + 1);
	}
	*icount += function % 9 + 1;
	add(s, (struct event){*icount, thread, 0, 0});
}

static struct dv_error *read_stream(const char *path, struct stream *s)
{
	DV_TRY(dv_trace_reader_open(path, &s->from));
	for (size_t b = 0; b < dv_trace_reader_block_count(s->from); b++) {
		const struct dv_trace_event *e;
		size_t n;

		DV_TRY(dv_trace_reader_read_block(s->from, b, &e, &n));
		for (size_t i = 0; i < n; i++)
			add(s, (struct event){e[i].icount, (uint32_t)e[i].thread_id,
					      e[i].type == DV_TRACE_BEGIN ? e[i].function + 1 : 0, e[i].kind});
	}
	return NULL;
}

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	const struct stream *s = context;
	static char name[32];

	if (s->from) {
		*ret = dv_trace_reader_function(s->from, (uint32_t)key - 1)->is;
		return;
	}
	snprintf(name, sizeof(name), "function_%" PRIu64, key);
	*ret = (struct dv_trace_function){.name = name, .vaddr = 0xffffffff81000000 + key * 64};
}

static struct dv_error *write_stream(struct stream *s, const char *out)
{
	struct dv_trace_options options = {.path = out, .describe = describe, .describe_context = s};
	struct dv_trace_totals totals;
	struct dv_trace_writer *w;
	double start = cpu_seconds(), seconds;

	DV_TRY(dv_trace_writer_create(&options, &w));
	for (size_t i = 0; i < s->count; i++) {
		const struct event *e = &s->events[i];

		if (e->key)
			dv_trace_writer_begin(w, e->thread_id, e->icount, e->key, e->kind);
		else
			dv_trace_writer_end(w, e->thread_id, e->icount);
	}
	dv_trace_writer_flush(w);
	totals = dv_trace_writer_totals(w);
	DV_TRY(dv_trace_writer_finish(w, s->events[s->count - 1].icount));
	seconds = cpu_seconds() - start;
	printf("write: %zu events, %.2f s CPU, %.1f ns per event, %.2f bytes per event (%.2f raw), %" PRIu64
	       " blocks\n",
	       s->count, seconds, seconds * 1e9 / (double)s->count,
	       (double)totals.file_bytes / (double)s->count, (double)totals.raw_bytes / (double)s->count,
	       totals.blocks);
	return NULL;
}

static bool nothing(void *context, const struct dv_trace_slice *slice)
{
	return true;
}

static struct dv_error *read_back(const char *path, size_t count)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	double start = cpu_seconds(), decoded;

	DV_TRY(dv_trace_reader_open(path, &r));
	for (size_t b = 0; b < dv_trace_reader_block_count(r); b++) {
		const struct dv_trace_event *e;
		size_t n;

		DV_TRY(dv_trace_reader_read_block(r, b, &e, &n));
	}
	decoded = cpu_seconds();
	DV_TRY(dv_trace_reader_slices(r, nothing, NULL));
	printf("read: %.1f ns per event to decode, %.1f to match slices too\n",
	       (decoded - start) * 1e9 / (double)count, (cpu_seconds() - decoded) * 1e9 / (double)count);
	return NULL;
}

static struct dv_error *run(int argc, char **argv)
{
	const char *out = argc > 2 ? argv[2] : "trace-writer-bench.dvtrace";
	struct stream s = {.events = malloc(MAX_EVENTS * sizeof(*s.events))};
	uint64_t icount = 0, random = 1;

	if (!s.events)
		return dv_error_no_memory();
	if (argc > 1)
		DV_TRY(read_stream(argv[1], &s));
	while (argc < 2 && s.count < SYNTHETIC_EVENTS)
		call(&s, &icount, &random, (uint32_t)(next_random(&random) % FUNCTIONS), 0);
	for (int i = 0; i < 3; i++)
		DV_TRY(write_stream(&s, out));
	DV_TRY(read_back(out, s.count));
	unlink(out);
	dv_trace_reader_close(s.from);
	free(s.events);
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = run(argc, argv);

	if (err)
		fprintf(stderr, "trace-writer: %s\n", err->message);
	return err != NULL;
}
