/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * open_slices TRACE ICOUNT...: what the running thread has open at each icount (rising), a line per slice:
 * icount, depth, kind, function's address, its name; separated by tabs. The last line is the address at which
 * start_kernel ran, with icount 0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trace/reader.h"

struct probe {
	uint64_t icount, thread_id;
};

struct probes {
	struct dv_trace_reader *reader;
	struct probe *rows;
	size_t len;
};

static void find_threads(struct probes *p)
{
	const struct dv_trace_switch *s = dv_trace_reader_switches(p->reader);
	size_t count = dv_trace_reader_switch_count(p->reader), at = 0;

	for (size_t i = 0; i < p->len; i++) {
		while (at < count && s[at].icount <= p->rows[i].icount)
			at++;
		p->rows[i].thread_id = at ? s[at - 1].next_id : count ? s[0].prev_id : 0;
	}
}

static size_t first_from(const struct probes *p, uint64_t icount)
{
	size_t low = 0, high = p->len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (p->rows[mid].icount < icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool visit(void *context, const struct dv_trace_slice *slice)
{
	struct probes *p = context;
	const struct dv_trace_reader_function *f;

	for (size_t i = first_from(p, slice->start_icount); i < p->len && p->rows[i].icount < slice->end_icount; i++) {
		if (p->rows[i].thread_id != slice->thread_id)
			continue;
		f = dv_trace_reader_function(p->reader, slice->function);
		printf("%" PRIu64 "\t%u\t%u\t%" PRIx64 "\t%s\n", p->rows[i].icount, slice->depth, slice->kind,
		       f->is.vaddr, f->is.name);
	}
	return true;
}

static struct dv_error *run(int argc, char **argv)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *reader = NULL;
	_cleanup_free_ struct probe *rows = calloc((size_t)argc, sizeof(*rows));
	struct probes p = {.rows = rows};

	if (!rows)
		return dv_error_no_memory();
	DV_TRY(dv_trace_reader_open(argv[1], &reader));
	p.reader = reader;
	for (int i = 2; i < argc; i++)
		p.rows[p.len++].icount = strtoull(argv[i], NULL, 10);
	find_threads(&p);
	DV_TRY(dv_trace_reader_slices(reader, visit, &p));
	for (uint32_t i = 0; i < dv_trace_reader_function_count(reader); i++) {
		const struct dv_trace_reader_function *f = dv_trace_reader_function(reader, i);

		if (!strcmp(f->is.name, "start_kernel"))
			printf("0\t0\t0\t%" PRIx64 "\tstart_kernel\n", f->is.vaddr);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc < 3) {
		fputs("usage: open_slices TRACE ICOUNT...\n", stderr);
		return 2;
	}
	err = run(argc, argv);
	if (err)
		fprintf(stderr, "open_slices: %s\n", err->message);
	return err != NULL;
}
