/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plugin's writer thread costs: writer-thread FILE.dvtrace turns a trace's slices back into the
 * events that they came of, feeds those to the call-graph machine with the trace writer behind it, and
 * prints CPU time per event. It is the plugin's second half with no QEMU beside it: for perf and callgrind.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/map.h"
#include "callgraph/callgraph.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define MAX_EVENTS 40000000u
#define PIECE	   8192u /* as the ring hands them out */
#define STACK_TOP  0xffffc90000004000ull
#define MAX_DEPTH  1024u

struct stack {
	uint64_t id;
	uint32_t depth;
	uint64_t slots[MAX_DEPTH]; /* ~0: of an interrupt or system call */
};

struct bench {
	struct dv_trace_reader *reader;
	struct dv_event *events;
	size_t count;
	struct dv_map stacks; /* thread id -> struct stack * */
	uint64_t running;
	struct dv_trace_writer *writer;
};

static void put(struct bench *b, enum dv_event_kind kind, uint64_t icount, uint64_t a, uint64_t to)
{
	if (b->count < MAX_EVENTS)
		b->events[b->count++] = (struct dv_event){dv_event_head(kind, 0, icount), a, to};
}

static struct stack *stack_of(struct bench *b, uint64_t id)
{
	uint64_t *place = dv_map_put(&b->stacks, id);

	dv_assert(place);
	if (!*place) {
		*place = (uintptr_t)calloc(1, sizeof(struct stack));
		dv_assert(*place);
		((struct stack *)(uintptr_t)*place)->id = id;
	}
	return (struct stack *)(uintptr_t)*place;
}

static void put_switch(struct bench *b, uint64_t id, uint64_t icount)
{
	const struct dv_trace_thread *t = dv_trace_reader_thread(b->reader, id);
	struct dv_event_switch *info = calloc(1, sizeof(*info));

	dv_assert(info);
	info->next = (struct dv_task){.vaddr = 0xffff888000000000 + id * 4096, .tid = (int32_t)id, .tgid = (int32_t)id};
	snprintf(info->next.comm, sizeof(info->next.comm), "%s", t ? t->comm : "?");
	put(b, DV_EVENT_SWITCH, icount, (uintptr_t)info, 0);
	b->running = id;
}

/* A frame takes 64 bytes of stack; a tail call shares its caller's slot and ends with it. */
static void take_begin(struct bench *b, struct stack *s, const struct dv_trace_event *e)
{
	uint64_t vaddr = dv_trace_reader_function(b->reader, e->function)->is.vaddr;
	uint64_t slot = STACK_TOP + s->id * 65536 - 64ull * (s->depth % 200);

	if (s->depth == MAX_DEPTH)
		return;
	if (e->kind == DV_SLICE_CALL || !s->depth) {
		put(b, DV_EVENT_CALL, e->icount, slot, vaddr);
	} else if (e->kind == DV_SLICE_TAIL_CALL) {
		slot = s->slots[s->depth - 1];
		put(b, DV_EVENT_JUMP, e->icount, 0, vaddr);
	} else {
		put(b, DV_EVENT_ENTER, e->icount, slot, vaddr);
	}
	s->slots[s->depth++] = slot;
}

static void take_end(struct bench *b, struct stack *s, const struct dv_trace_event *e)
{
	if (!s->depth)
		return;
	s->depth--;
	/* The oldest of a chain of tail calls returns for all. */
	if (!s->depth || s->slots[s->depth - 1] != s->slots[s->depth])
		put(b, DV_EVENT_RETURN, e->icount, s->slots[s->depth], 0);
}

static struct dv_error *gather(struct bench *b)
{
	for (size_t block = 0; block < dv_trace_reader_block_count(b->reader); block++) {
		const struct dv_trace_event *e;
		size_t n;

		DV_TRY(dv_trace_reader_read_block(b->reader, block, &e, &n));
		for (size_t i = 0; i < n; i++) {
			struct stack *s = stack_of(b, e[i].thread_id);

			if (e[i].thread_id != b->running)
				put_switch(b, e[i].thread_id, e[i].icount);
			if (e[i].type == DV_TRACE_BEGIN)
				take_begin(b, s, &e[i]);
			else
				take_end(b, s, &e[i]);
		}
	}
	return NULL;
}

static unsigned resolve(void *context, uint64_t vaddr)
{
	return DV_TARGET_CALLABLE | DV_TARGET_ENTRY;
}

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static char name[32];

	snprintf(name, sizeof(name), "0x%" PRIx64, key);
	*ret = (struct dv_trace_function){.name = name, .vaddr = key};
}

static void sink_thread(void *context, uint64_t icount, const struct dv_trace_thread *thread)
{
	dv_trace_writer_thread(((struct bench *)context)->writer, icount, thread);
}

static void sink_begin(void *context, uint64_t thread_id, uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	dv_trace_writer_begin(((struct bench *)context)->writer, thread_id, icount, key, kind);
}

static void sink_end(void *context, uint64_t thread_id, uint64_t icount)
{
	dv_trace_writer_end(((struct bench *)context)->writer, thread_id, icount);
}

static void sink_switched(void *context, uint64_t icount, unsigned cpu, uint64_t prev_id, uint64_t next_id)
{
	dv_trace_writer_switch(((struct bench *)context)->writer, icount, cpu, prev_id, next_id);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void bench_deinit(struct bench *b)
{
	for (size_t i = 0; i < b->stacks.cap; i++) {
		if (b->stacks.slots[i].used)
			free((void *)(uintptr_t)b->stacks.slots[i].value);
	}
	dv_map_deinit(&b->stacks);
	free(b->events);
	dv_trace_reader_close(b->reader);
}

static struct dv_error *run(const char *path)
{
	_cleanup_(dv_callgraph_destroyp) struct dv_callgraph *cg = NULL;
	_cleanup_(bench_deinit) struct bench b = {.events = malloc(MAX_EVENTS * sizeof(*b.events))};
	struct dv_callgraph_options options = {
		.resolve = resolve, .sink = {sink_thread, sink_begin, sink_end, sink_switched, NULL, NULL, &b}};
	struct dv_trace_options out = {.path = "/dev/null", .exact = true, .describe = describe};
	double start;

	if (!b.events)
		return dv_error_no_memory();
	DV_TRY(dv_trace_reader_open(path, &b.reader));
	DV_TRY(gather(&b));
	DV_TRY(dv_trace_writer_create(&out, &b.writer));
	DV_TRY(dv_callgraph_create(&options, &cg));
	start = cpu_seconds();
	for (size_t i = 0; i < b.count; i += PIECE)
		dv_callgraph_feed(cg, b.events + i, b.count - i < PIECE ? b.count - i : PIECE);
	DV_TRY(dv_trace_writer_finish(b.writer, dv_event_icount(&b.events[b.count - 1])));
	printf("%zu events, %.2f ns of CPU each; %" PRIu64 " unmatched returns\n", b.count,
	       (cpu_seconds() - start) * 1e9 / (double)b.count, dv_callgraph_counts(cg).unmatched_returns);
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 2) {
		fputs("usage: bench-writer-thread FILE.dvtrace\n", stderr);
		return 2;
	}
	err = run(argv[1]);
	if (err)
		fprintf(stderr, "bench-writer-thread: %s\n", err->message);
	return err != NULL;
}
