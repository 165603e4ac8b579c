/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints where code lies in a trace, fields separated by tabs: with --functions a line per function (key,
 * address, size, space, module, source file, line, name), with --mappings one per mapping of a process
 * (from, to, tgid, start, end, offset, path, build id), with --modules one per kernel module (from, to, name,
 * base, size, init's base, size, build id). Addresses are hexadecimal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "trace/reader.h"

static struct dv_error *print_functions(struct dv_trace_reader *r)
{
	for (size_t b = 0; b < dv_trace_reader_block_count(r); b++) {
		const struct dv_trace_event *events;
		size_t count;

		DV_TRY(dv_trace_reader_read_block(r, b, &events, &count));
	}
	for (uint32_t i = 0; i < dv_trace_reader_function_count(r); i++) {
		const struct dv_trace_reader_function *f = dv_trace_reader_function(r, i);

		printf("%" PRIx64 "\t%" PRIx64 "\t%" PRIu64 "\t%d\t%s\t%s\t%u\t%s\n", f->key, f->is.vaddr,
		       f->is.size_bytes, f->is.space, f->is.module ? f->is.module : "", f->is.file ? f->is.file : "",
		       f->is.line, f->is.name);
	}
	return NULL;
}

static struct dv_error *print_mappings(struct dv_trace_reader *r)
{
	const struct dv_trace_mapping *m;
	size_t count;

	DV_TRY(dv_trace_reader_mappings(r, &m, &count));
	for (size_t i = 0; i < count; i++, m++)
		printf("%" PRIu64 "\t%" PRId64 "\t%d\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%s\t%s\n", m->from_icount,
		       (int64_t)m->to_icount, m->tgid, m->start_vaddr, m->end_vaddr, m->offset_bytes,
		       m->file ? m->file->path : "", m->file && m->file->build_id ? m->file->build_id : "");
	return NULL;
}

static struct dv_error *print_modules(struct dv_trace_reader *r)
{
	const struct dv_trace_module *m;
	size_t count;

	DV_TRY(dv_trace_reader_modules(r, &m, &count));
	for (size_t i = 0; i < count; i++, m++)
		printf("%" PRIu64 "\t%" PRId64 "\t%s\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%s\n",
		       m->from_icount, (int64_t)m->to_icount, m->name, m->base_vaddr, m->size_bytes, m->init_vaddr,
		       m->init_size_bytes, m->build_id ? m->build_id : "");
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 3) {
		fprintf(stderr, "usage: dump-places --functions|--mappings|--modules TRACE\n");
		return 2;
	}
	err = dv_trace_reader_open(argv[2], &r);
	if (!err && !strcmp(argv[1], "--functions"))
		err = print_functions(r);
	else if (!err && !strcmp(argv[1], "--mappings"))
		err = print_mappings(r);
	else if (!err)
		err = print_modules(r);
	if (err)
		fprintf(stderr, "%s\n", err->message);
	return err ? 1 : 0;
}
