/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a trace holds, in a screenful: its size, its threads, the functions where the instructions went. */
#ifndef DV_CMDS_SUMMARY_H
#define DV_CMDS_SUMMARY_H

#include <jansson.h>
#include <stdio.h>
#include "trace/reader.h"

#define DV_SUMMARY_TOP 10

struct dv_summary_function {
	const char *name; /* belongs to the reader */
	enum dv_function_space space;
	uint64_t calls;
	uint64_t own_icount; /* instructions in the function itself, not in what it calls */
	uint64_t cpu_icount; /* ... and in what it calls, on its thread */
};

struct dv_summary {
	struct dv_trace_reader *reader; /* owned */
	uint64_t slices;
	uint64_t user_slices, interrupts, exceptions, syscalls;
	uint64_t threads, processes;
	uint64_t console_lines[DV_CONSOLE_SOURCES];
	uint64_t own_icount; /* of all slices together */
	uint32_t max_depth;  /* frames of one thread at once */
	struct dv_summary_returns {
		/* Those that closed no frame, by why; see callgraph.h. All 0 in a trace that does not say. */
		uint64_t all, early, outer, made, unmatched;
	} returns;
	struct dv_summary_function top[DV_SUMMARY_TOP]; /* by own instructions, most first */
	size_t top_len;
};

/* Opens the trace and goes over all of it: a second per some ten million slices. Errors: the reader's. */
struct dv_error *dv_summary_of_trace(const char *path, struct dv_summary *ret);
void dv_summary_deinit(struct dv_summary *summary);
#define _cleanup_summary_ _cleanup_(dv_summary_deinit)

void dv_summary_print(FILE *to, const struct dv_summary *summary);
/* New reference. Errors: DV_ERROR_NO_MEMORY. */
struct dv_error *dv_summary_to_json(const struct dv_summary *summary, json_t **ret);

/* "2.58 G", "47": three digits and a decimal prefix. */
const char *dv_format_count(uint64_t count, char buf[16]);
/* "23.8 MB", "512 bytes". */
const char *dv_format_bytes(uint64_t bytes, char buf[24]);

#endif
