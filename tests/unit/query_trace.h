/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A random trace for the tests of src/query, and all its slices by the reader's own slow way. */
#ifndef DV_TESTS_QUERY_TRACE_H
#define DV_TESTS_QUERY_TRACE_H

#include "query/query.h"
#include "trace/reader.h"

#define TRACE_THREADS 14

struct reference {
	struct dv_trace_reader *reader;
	struct dv_trace_slice *slices; /* by start, the outer before the inner */
	size_t count;
};

/* Writes a trace of many small blocks; `held` lets begins come late, as filters do. */
void make_trace(const char *path, uint64_t seed, uint32_t events, bool held);
void reference_init(struct reference *ref, const char *path);
void reference_deinit(struct reference *ref);

#endif
