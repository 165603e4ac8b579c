/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a .dvtrace as the guest runs. One thread calls it. Memory is bounded: names are interned per
 * block through the `describe` callback, and a full block is compressed and written at once.
 *
 * Nothing written is ever rewritten: after SIGKILL the file is valid up to its last whole block. The
 * first error (ENOSPC, EIO) is kept; what follows is ignored, and dv_trace_writer_finish returns it.
 */
#ifndef DV_TRACE_WRITER_H
#define DV_TRACE_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "trace/format.h"

struct dv_trace_writer;

/* Fills in ret for a function key; strings stay valid until the next call. Cannot fail. */
typedef void (*dv_trace_describe_fn)(void *context, uint64_t function_key,
				     struct dv_trace_function *ret);

struct dv_trace_options {
	const char *path;
	enum dv_trace_clock clock;
	bool exact;		     /* every timestamp is the icount of the slice's first instruction */
	const char *exact_reason;    /* why not, when not exact; else NULL */
	const char *kernel_banner;   /* may be NULL */
	const char *kernel_build_id; /* may be NULL */
	char *const *command;	     /* QEMU's argv, NULL-terminated; may be NULL */
	const char *directory;	     /* QEMU's working directory; may be NULL */
	bool encodes_apart;	     /* in a thread of its own: sooner done, where a CPU is free */
	dv_trace_describe_fn describe;
	void *describe_context;
};

/* Creates the file (truncating) and writes its head. Errors: DV_ERROR_OS. */
struct dv_error *dv_trace_writer_create(const struct dv_trace_options *options,
					struct dv_trace_writer **ret);

/* Declares a thread, or says that its names changed. Takes effect from icount on. */
void dv_trace_writer_thread(struct dv_trace_writer *w, uint64_t icount,
			    const struct dv_trace_thread *thread);

/*
 * A slice of thread_id begins or ends. icount may go back by a little between calls (filters hold
 * begins back); within one thread it never does. key names the function (see describe).
 */
void dv_trace_writer_begin(struct dv_trace_writer *w, uint64_t thread_id, uint64_t icount, uint64_t key,
			   enum dv_slice_kind kind);
void dv_trace_writer_end(struct dv_trace_writer *w, uint64_t thread_id, uint64_t icount);

/* cpu runs next_id from icount on (both declared before; prev_id 0 at the first switch). */
void dv_trace_writer_switch(struct dv_trace_writer *w, uint64_t icount, uint32_t cpu, uint64_t prev_id,
			    uint64_t next_id);

/* The thread's process runs another program from icount on. arguments: len bytes, a NUL between two. */
void dv_trace_writer_command(struct dv_trace_writer *w, uint64_t icount, uint64_t thread_id, const char *arguments,
			     size_t len);

/* A line that the guest printed. Bytes of its text that are no UTF-8 become U+FFFD; NULs are left out. */
void dv_trace_writer_console(struct dv_trace_writer *w, const struct dv_console_line *line);

/* The KASLR slide or the running kernel's mismatch, found while running: goes into the metadata. */
void dv_trace_writer_note(struct dv_trace_writer *w, const char *key, const char *value);

/* Where code lies: go into the next header. A file is said before the first mapping of it. */
void dv_trace_writer_mapped_file(struct dv_trace_writer *w, const struct dv_trace_mapped_file *file);
void dv_trace_writer_mapping(struct dv_trace_writer *w, const struct dv_trace_mapping_change *change);
void dv_trace_writer_module(struct dv_trace_writer *w, const struct dv_trace_module_change *change);

/* Writes the open block out, so that a reader sees all up to now. */
void dv_trace_writer_flush(struct dv_trace_writer *w);

struct dv_trace_totals {
	uint64_t begins, ends, switches, blocks, raw_bytes, file_bytes;
};
struct dv_trace_totals dv_trace_writer_totals(const struct dv_trace_writer *w);

/* Writes the index, closes, frees w. Returns the first error there was. */
struct dv_error *dv_trace_writer_finish(struct dv_trace_writer *w, uint64_t last_icount);
/* Frees without writing anything more. */
void dv_trace_writer_destroy(struct dv_trace_writer *w);

#endif
