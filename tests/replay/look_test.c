/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_test RECORDING: what the plugin's closer looks say is held against the guest itself, sought there.
 * Writes: at a write's icount the guest stands on the instruction that writes, memory holds the value
 * before, and one step later the value after. Calls: the same calls, at the same icounts, as in the trace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/io.h"
#include "replay/seek.h"
#include "replay/writes.h"
#include "symbols/kernel.h"
#include "trace/reader.h"

#define WATCHED "jiffies"
#define WATCHED_BYTES 8
#define CALLED "vfs_read"
#define PROBES 12
#define MAX_WRITES 100000
#define STEP_TIMEOUT_MS 10000

static int tests, failed;

static void check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void check(bool good, const char *format, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tests);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failed += !good;
}

struct seen {
	uint64_t icount, rip;
	uint8_t before[WATCHED_BYTES], after[WATCHED_BYTES];
};

struct all_seen {
	struct seen *rows;
	size_t len, not_by_cpu;
};

static bool on_write(void *context, const struct dv_write *w)
{
	struct all_seen *all = context;
	struct seen *seen = &all->rows[all->len];

	if (!w->by_cpu) {
		all->not_by_cpu++;
		return true;
	}
	seen->icount = w->icount;
	seen->rip = w->rip;
	memcpy(seen->before, w->before, WATCHED_BYTES);
	memcpy(seen->after, w->after, WATCHED_BYTES);
	return ++all->len < MAX_WRITES;
}

static struct dv_error *probe(struct dv_replay *replay, uint64_t vaddr, const struct seen *seen)
{
	uint8_t before[WATCHED_BYTES], after[WATCHED_BYTES];
	struct dv_where where;

	DV_TRY(dv_replay_seek(replay, seen->icount, seen->rip, &where));
	DV_TRY(dv_gdb_read_memory(replay->gdb, vaddr, before, sizeof(before)));
	DV_TRY(dv_gdb_step(replay->gdb, STEP_TIMEOUT_MS));
	DV_TRY(dv_gdb_read_memory(replay->gdb, vaddr, after, sizeof(after)));
	check(!memcmp(before, seen->before, sizeof(before)) && !memcmp(after, seen->after, sizeof(after)),
	      "icount %" PRIu64 ": 0x%" PRIx64 " writes what was said", seen->icount, seen->rip);
	return NULL;
}

static struct dv_error *test_writes(const struct dv_recording *r, uint64_t vaddr)
{
	_cleanup_replay_ struct dv_replay replay = {.machine = DV_MACHINE_INIT};
	_cleanup_free_ struct seen *rows = calloc(MAX_WRITES, sizeof(*rows));
	_cleanup_free_ char *option = NULL;
	struct dv_look_result found = {.records = DV_BUF_INIT, .before = DV_BUF_INIT, .after = DV_BUF_INIT};
	struct all_seen all = {.rows = rows};
	struct dv_writes_place place;
	struct dv_where where;
	struct dv_look look = {.to_icount = dv_recording_common_icount(r)};
	struct dv_error *err;
	bool more;

	DV_TRY(dv_replay_open(r, NULL, &replay));
	DV_TRY(dv_replay_seek(&replay, look.to_icount, DV_NO_RIP, &where));
	DV_TRY(dv_writes_locate(&replay.machine, vaddr, WATCHED_BYTES, &place));
	option = dv_writes_option(&place);
	look.option = option;
	look.pieces = place.pieces;
	look.pieces_len = place.pieces_len;
	DV_TRY(dv_look_run(r, &look, &found));
	err = dv_writes_in_segment(&place, &look, &found, on_write, &all, &more);
	dv_look_result_deinit(&found);
	if (err)
		return err;
	check(all.len > 100, WATCHED " was written %zu times", all.len);
	check(all.not_by_cpu == 0, "each of them by an instruction");
	/* Oldest first: seeks that go back start from the beginning. Only those since the kernel is mapped. */
	for (size_t i = 0; i < PROBES && all.len > 100; i++)
		DV_TRY(probe(&replay, vaddr, &rows[(all.len - 100) * (PROBES - 1 - i) / PROBES]));
	return NULL;
}

struct traced {
	const struct dv_trace_reader *reader;
	struct dv_buf slices; /* of struct dv_trace_slice */
	uint64_t end, vaddr;
};

static bool on_slice(void *context, const struct dv_trace_slice *slice)
{
	struct traced *t = context;
	const struct dv_trace_reader_function *f = dv_trace_reader_function(t->reader, slice->function);

	if (f->is.space == DV_FUNCTION_KERNEL && !strcmp(f->is.name, CALLED) && slice->start_icount < t->end) {
		t->vaddr = f->is.vaddr;
		dv_buf_append(&t->slices, slice, sizeof(*slice));
	}
	return true;
}

static bool has_slice(const struct traced *t, uint64_t icount, bool by_end)
{
	const struct dv_trace_slice *slices = (const void *)t->slices.data;

	for (size_t i = 0; i < t->slices.len / sizeof(*slices); i++) {
		if ((by_end ? slices[i].end_icount : slices[i].start_icount) == icount)
			return true;
	}
	return false;
}

static struct dv_error *test_calls(const struct dv_recording *r, struct dv_trace_reader *reader)
{
	struct dv_look_result found = {.records = DV_BUF_INIT, .before = DV_BUF_INIT, .after = DV_BUF_INIT};
	struct traced traced = {.reader = reader, .slices = DV_BUF_INIT, .end = dv_recording_common_icount(r)};
	struct dv_look look = {.to_icount = traced.end};
	const struct dv_capture_record *record;
	size_t offset = 0, calls = 0, returns = 0, strange = 0;
	char option[64];

	DV_TRY(dv_trace_reader_slices(reader, on_slice, &traced));
	snprintf(option, sizeof(option), "capture=0x%" PRIx64 ":0", traced.vaddr);
	look.option = option;
	DV_TRY(dv_look_run(r, &look, &found));
	while ((record = dv_look_next(&found, &offset))) {
		if (record->kind == DV_CAPTURE_CALL) {
			calls++;
			strange += !has_slice(&traced, record->call.icount, false);
		} else {
			returns++;
			strange += !has_slice(&traced, record->returned.icount + 1, true);
		}
	}
	check(calls == traced.slices.len / sizeof(struct dv_trace_slice) && calls > 10,
	      CALLED " was called %zu times, as the trace says", calls);
	check(returns == calls, "and returned %zu times", returns);
	check(!strange, "at the trace's instruction counts");
	dv_look_result_deinit(&found);
	dv_buf_deinit(&traced.slices);
	return NULL;
}

static uint64_t slide_of(const struct dv_trace_reader *reader)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(reader);

	for (size_t i = 0; i < metadata->note_count; i++)
		if (!strcmp(metadata->notes[i].key, "kaslr_slide"))
			return strtoull(metadata->notes[i].value, NULL, 0);
	return 0;
}

static struct dv_error *run(const char *folder)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *reader = NULL;
	_cleanup_(dv_kernel_destroyp) struct dv_kernel *kernel = NULL;
	_cleanup_free_ char *trace = dv_path_join(folder, DV_RECORDING_TRACE), *image = dv_path_join(folder, "kernel");
	const struct dv_symbol *symbol;

	DV_TRY(dv_recording_open(folder, &r));
	DV_TRY(dv_trace_reader_open(trace, &reader));
	DV_TRY(dv_kernel_open(image, &kernel));
	symbol = dv_symtab_find(dv_kernel_symtab(kernel), WATCHED);
	if (!symbol)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the kernel has no " WATCHED);
	DV_TRY(test_writes(r, symbol->vaddr + slide_of(reader)));
	return test_calls(r, reader);
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = argc == 2 ? run(argv[1]) : NULL;

	if (argc != 2) {
		fputs("usage: look_test RECORDING\n", stderr);
		return 2;
	}
	if (err)
		fprintf(stderr, "look_test: %s\n", err->message);
	printf("1..%d\n", tests);
	return err || failed;
}
