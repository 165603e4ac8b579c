/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seek_test RECORDING [SPREAD [NEAR [ROUNDS]]]: takes slices of the recording's trace, spread over all
 * of it and next to interrupts, exceptions and system calls, and seeks to the start of each, several times:
 * the guest must stand on the function's first instruction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/io.h"
#include "replay/seek.h"
#include "trace/reader.h"

#define MAX_PROBES 4096
#define NEAR_ICOUNT 2 /* how near to an event is "next to" it */

struct probe {
	uint64_t icount, vaddr;
	uint8_t kind;
	bool near, user;
};

struct probes {
	struct probe rows[MAX_PROBES];
	size_t len;
};

static bool is_event(uint8_t kind)
{
	return kind == DV_SLICE_INTERRUPT || kind == DV_SLICE_EXCEPTION || kind == DV_SLICE_SYSCALL;
}

struct want {
	struct dv_trace_reader *reader;
	struct probes *probes;
	uint64_t seen, every; /* spread: every so-manyeth slice */
	uint64_t seen_near, every_near;
	uint64_t *events;     /* icounts of interrupts, exceptions and system calls, in order; first pass */
	size_t events_len, events_cap;
	uint64_t end;
	bool collecting;
};

/* Where a library's function was in that process is what the trace's mappings say. */
static void add(struct want *w, const struct dv_trace_event *e, bool near)
{
	const struct dv_trace_reader_function *f = dv_trace_reader_function(w->reader, e->function);
	uint64_t vaddr;

	if (w->probes->len < MAX_PROBES && f && e->icount < w->end &&
	    dv_trace_reader_entry_vaddr(w->reader, e->function, e->thread_id, e->icount, &vaddr))
		w->probes->rows[w->probes->len++] = (struct probe){
			.icount = e->icount, .vaddr = vaddr, .kind = e->kind, .near = near,
			.user = f->is.space == DV_FUNCTION_USER};
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool near_event(const struct want *w, uint64_t icount)
{
	size_t low = 0, high = w->events_len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (w->events[mid] + NEAR_ICOUNT < icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low < w->events_len && w->events[low] <= icount + NEAR_ICOUNT;
}

static void take(struct want *w, const struct dv_trace_event *e)
{
	if (e->type != DV_TRACE_BEGIN)
		return;
	if (w->collecting) {
		if (!is_event(e->kind))
			return;
		if (w->events_len == w->events_cap) {
			w->events_cap = w->events_cap ? 2 * w->events_cap : 1024;
			w->events = realloc(w->events, w->events_cap * sizeof(*w->events));
		}
		w->events[w->events_len++] = e->icount;
		return;
	}
	if (w->every && w->seen++ % w->every == w->every / 2)
		add(w, e, false);
	if (w->every_near && near_event(w, e->icount) && w->seen_near++ % w->every_near == w->every_near / 2)
		add(w, e, true);
}

static struct dv_error *pass(struct want *w)
{
	for (size_t i = 0; i < dv_trace_reader_block_count(w->reader); i++) {
		const struct dv_trace_event *events;
		size_t count;

		DV_TRY(dv_trace_reader_read_block(w->reader, i, &events, &count));
		for (size_t k = 0; k < count; k++)
			take(w, &events[k]);
	}
	return NULL;
}

static int by_icount(const void *a, const void *b)
{
	return by_value(&((const struct probe *)a)->icount, &((const struct probe *)b)->icount);
}

/* QEMU may hang for ever in a replay that was stopped and goes on: then another one is begun, and that is said. */
static struct dv_error *seek(struct dv_replay *replay, const struct probe *p)
{
	const struct dv_recording *r = replay->recording;
	struct dv_where where;
	struct dv_error *err = dv_replay_seek(replay, p->icount, p->vaddr, &where);

	if (!err || err->code != DV_ERROR_TIMEOUT)
		return err;
	printf("# begun anew: %s\n", err->message);
	dv_error_destroy(err);
	dv_replay_close(replay);
	DV_TRY(dv_replay_open(r, NULL, replay));
	return dv_replay_seek(replay, p->icount, p->vaddr, &where);
}

static struct dv_error *run(const char *folder, uint64_t spread, uint64_t near, int rounds)
{
	static struct probes probes;
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *reader = NULL;
	_cleanup_replay_ struct dv_replay replay = {.machine = DV_MACHINE_INIT};
	_cleanup_free_ char *trace = dv_path_join(folder, DV_RECORDING_TRACE);
	struct want w = {.probes = &probes, .collecting = true};
	size_t failed = 0;

	DV_TRY(dv_recording_open(folder, &r));
	DV_TRY(dv_trace_reader_open(trace, &reader));
	w.reader = reader;
	w.end = dv_recording_common_icount(r);
	DV_TRY(pass(&w));
	qsort(w.events, w.events_len, sizeof(*w.events), by_value);
	w.collecting = false;
	w.every = dv_trace_reader_metadata(reader)->begins / (spread ? spread : 1);
	w.every_near = near ? w.events_len / near : 0;
	w.every_near += near && !w.every_near;
	DV_TRY(pass(&w));
	free(w.events);
	qsort(probes.rows, probes.len, sizeof(probes.rows[0]), by_icount);
	DV_TRY(dv_replay_open(r, NULL, &replay));
	printf("1..%zu\n", probes.len * (size_t)rounds);
	for (int round = 0, n = 0; round < rounds; round++) {
		for (size_t i = 0; i < probes.len; i++) {
			const struct probe *p = &probes.rows[i];
			_cleanup_error_ struct dv_error *err = seek(&replay, p);

			printf("%sok %d - icount %" PRIu64 " stands on 0x%" PRIx64 " (%s kind %u %s)\n", err ? "not " : "", ++n,
			       p->icount, p->vaddr, p->near ? "near" : "spread", p->kind, p->user ? "user" : "kernel");
			if (err)
				printf("# %s\n", err->message);
			fflush(stdout);
			failed += err != NULL;
		}
	}
	return failed ? dv_error_new(DV_ERROR_MISMATCH, "%zu seeks did not stand where they should", failed) : NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc < 2) {
		fputs("usage: seek_test RECORDING [SPREAD [NEAR [ROUNDS]]]\n", stderr);
		return 2;
	}
	err = run(argv[1], argc > 2 ? strtoull(argv[2], NULL, 10) : 40, argc > 3 ? strtoull(argv[3], NULL, 10) : 50,
		  argc > 4 ? atoi(argv[4]) : 3);
	if (err)
		fprintf(stderr, "seek_test: %s\n", err->message);
	return err ? 1 : 0;
}
