/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a .dvtrace that writer.h wrote: finished, cut short (its writer was killed or the disk was
 * full), or damaged. All up to the damage can be read, and where the file has its index, which says where each
 * block is, also the blocks behind it; dv_trace_reader_damage() says where it is and what was found. It knows our own subset of Perfetto's format, no more.
 *
 * The file is mapped. A reader is used by one thread at a time; dv_trace_reader_again() makes more of
 * them for more threads.
 */
#ifndef DV_TRACE_READER_H
#define DV_TRACE_READER_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "trace/format.h"

struct dv_trace_reader;

struct dv_trace_note {
	const char *key, *value;
};

/* What the head and the blocks' headers say. Strings belong to the reader; NULL where not given. */
struct dv_trace_metadata {
	uint32_t version;
	enum dv_trace_clock clock;
	bool exact;
	const char *exact_reason, *kernel_banner, *kernel_build_id, *directory;
	const char *const *command; /* NULL-terminated */
	const struct dv_trace_note *notes; /* in the order they were made; a key may come again */
	size_t note_count;
	bool finished;		/* has its index: everything was written */
	uint64_t first_icount;	/* of the first block; 0 without one */
	uint64_t last_icount;	/* of the end of the recording, else of the last block */
	uint64_t begins, ends, switches; /* in all blocks whose headers can be read */
	uint64_t raw_bytes, file_bytes;
};

struct dv_trace_block_info {
	uint64_t offset, file_bytes; /* of its packets, without the header that follows */
	uint64_t first_icount, last_icount; /* inclusive; blocks may overlap a little */
	uint64_t raw_bytes, begins, ends, switches;
	bool after_gap; /* what is before it in the file could not be read: blocks are missing */
};

/* A thread as it is from icount on: one row for each time that something of it changed (exec, exit). */
struct dv_trace_thread_state {
	uint64_t icount;
	struct dv_trace_thread thread;
};

struct dv_trace_switch {
	uint64_t icount;
	uint64_t prev_id, next_id;
	uint32_t cpu;
};

/* Function numbers are the reader's own: an index of dv_trace_reader_function(). */
struct dv_trace_reader_function {
	uint64_t key;
	struct dv_trace_function is; /* strings belong to the reader */
};

enum dv_trace_event_type { DV_TRACE_BEGIN, DV_TRACE_END };

struct dv_trace_event {
	uint64_t icount;
	uint64_t thread_id;
	uint32_t function; /* of a begin */
	uint8_t type;	   /* enum dv_trace_event_type */
	uint8_t kind;	   /* enum dv_slice_kind; of a begin */
};

/*
 * Opens a file. A file that is cut or damaged behind its head opens. Errors: DV_ERROR_OS,
 * DV_ERROR_FORMAT (not a .dvtrace), DV_ERROR_TRUNCATED (not even a whole head), DV_ERROR_UNSUPPORTED
 * (a newer version).
 */
struct dv_error *dv_trace_reader_open(const char *path, struct dv_trace_reader **ret);
/* As above, of bytes in memory, which must outlive the reader. name is for messages. */
struct dv_error *dv_trace_reader_open_bytes(const void *data, size_t len, const char *name,
					    struct dv_trace_reader **ret);
void dv_trace_reader_close(struct dv_trace_reader *r);
DV_DEFINE_CLEANUP(struct dv_trace_reader, dv_trace_reader_close);

const struct dv_trace_metadata *dv_trace_reader_metadata(const struct dv_trace_reader *r);

/*
 * The first damage known so far, or NULL: DV_ERROR_TRUNCATED for a file that just ends,
 * DV_ERROR_FORMAT for bytes that do not fit. Opening checks the headers; reading a block may add to
 * it. Belongs to the reader.
 */
const struct dv_error *dv_trace_reader_damage(const struct dv_trace_reader *r);

/* Blocks that the index has, and whose headers could not be read; they are none of those below. */
size_t dv_trace_reader_gap_blocks(const struct dv_trace_reader *r);
size_t dv_trace_reader_block_count(const struct dv_trace_reader *r);
const struct dv_trace_block_info *dv_trace_reader_block(const struct dv_trace_reader *r, size_t block);

/* In the order of the file. Of one thread, icounts do not decrease. */
size_t dv_trace_reader_thread_state_count(const struct dv_trace_reader *r);
const struct dv_trace_thread_state *dv_trace_reader_thread_state(const struct dv_trace_reader *r, size_t i);
/* The newest state of a thread; NULL for an id that the trace does not have. */
const struct dv_trace_thread *dv_trace_reader_thread(const struct dv_trace_reader *r, uint64_t thread_id);

/* In the order of the file, which on each CPU is that of time. No block is read for it. */
size_t dv_trace_reader_switch_count(const struct dv_trace_reader *r);
const struct dv_trace_switch *dv_trace_reader_switches(const struct dv_trace_reader *r);
/* Of a machine with one CPU: the last switch at or before icount; NULL when there is none. */
const struct dv_trace_switch *dv_trace_reader_switch_at(const struct dv_trace_reader *r, uint64_t icount);

/* What the guest printed, in the order of the file. No block is read for it; texts belong to the reader. */
size_t dv_trace_reader_console_line_count(const struct dv_trace_reader *r);
const struct dv_console_line *dv_trace_reader_console_lines(const struct dv_trace_reader *r);

/* What processes ran, in the order of the file. No block is read for it; texts belong to the reader. */
size_t dv_trace_reader_command_count(const struct dv_trace_reader *r);
const struct dv_trace_command *dv_trace_reader_commands(const struct dv_trace_reader *r);

/* Functions that the blocks read so far have; numbers stay. */
size_t dv_trace_reader_function_count(const struct dv_trace_reader *r);
const struct dv_trace_reader_function *dv_trace_reader_function(const struct dv_trace_reader *r, uint32_t i);

/* Where user code lies: one row per process and mapping, from the headers, no block is read for it. */
struct dv_trace_mapping {
	uint64_t from_icount, to_icount; /* to: exclusive; UINT64_MAX while it lasts */
	int32_t tgid;
	uint32_t space;
	uint64_t start_vaddr, end_vaddr; /* end exclusive */
	uint64_t offset_bytes;
	const struct dv_trace_mapped_file *file; /* NULL: of no known file */
};

struct dv_trace_module {
	uint64_t from_icount, to_icount; /* as above */
	uint64_t base_vaddr, size_bytes, init_vaddr, init_size_bytes;
	const char *name, *build_id; /* build_id may be NULL */
};

/* All rows in the order they began; they and what they point to belong to the reader. The first call
 * of mappings works them out. Errors: DV_ERROR_UNSUPPORTED for more mappings than anything makes. */
struct dv_error *dv_trace_reader_mappings(struct dv_trace_reader *r, const struct dv_trace_mapping **ret,
					  size_t *ret_count);
struct dv_error *dv_trace_reader_modules(struct dv_trace_reader *r, const struct dv_trace_module **ret,
					 size_t *ret_count);
/* Files by the id in a function's key, as last said; NULL for one that the trace does not have. */
const struct dv_trace_mapped_file *dv_trace_reader_mapped_file(const struct dv_trace_reader *r, uint32_t id);

/*
 * The address where the guest ran a function's first instruction: the kernel's own, or where the
 * thread's process had mapped the file at that icount. False when that is not known.
 */
bool dv_trace_reader_entry_vaddr(struct dv_trace_reader *r, uint32_t function, uint64_t thread_id,
				 uint64_t icount, uint64_t *ret);

static inline bool dv_trace_mapping_is_at(const struct dv_trace_mapping *m, uint64_t icount)
{
	return m->from_icount <= icount && icount < m->to_icount;
}
static inline bool dv_trace_module_is_at(const struct dv_trace_module *m, uint64_t icount)
{
	return m->from_icount <= icount && icount < m->to_icount;
}

/*
 * Decodes a block. The events, in the order they were written, belong to the reader and stay until the
 * next call. Errors: DV_ERROR_FORMAT, DV_ERROR_TRUNCATED; none of the block's events are given then.
 */
struct dv_error *dv_trace_reader_read_block(struct dv_trace_reader *r, size_t block,
					    const struct dv_trace_event **ret, size_t *ret_count);

/*
 * As above, but gives the events in pieces while it decodes. Events may have been given when it fails;
 * an error of fn's is passed on.
 */
typedef struct dv_error *(*dv_trace_events_fn)(void *context, const struct dv_trace_event *events, size_t count);
struct dv_error *dv_trace_reader_visit_block(struct dv_trace_reader *r, size_t block, dv_trace_events_fn fn,
					     void *context);

/*
 * Another reader of the same file, for another thread: it reads blocks and numbers functions by itself,
 * and has no threads, switches or metadata. r must outlive it and is not changed. Errors: NO_MEMORY.
 */
struct dv_error *dv_trace_reader_again(const struct dv_trace_reader *r, struct dv_trace_reader **ret);

struct dv_trace_slice {
	uint64_t thread_id;
	uint64_t start_icount, end_icount; /* end: the trace's last for one that is open */
	uint64_t cpu_icount; /* instructions that its thread executed in it */
	uint64_t own_icount; /* ... while it was the thread's innermost slice */
	uint32_t function;
	uint32_t depth; /* 0 for the outermost of its thread */
	uint8_t kind;	/* enum dv_slice_kind */
	bool is_open;	/* never ended */
};

/* Called for each slice when it ends. Returns false to stop. */
typedef bool (*dv_trace_slice_fn)(void *context, const struct dv_trace_slice *slice);

/*
 * Streams over the whole trace, matching begins and ends by thread; the visitor sees a slice when it
 * has ended, and those still open last, innermost first. Time on the CPU comes from the switches; where
 * there is none a thread counts as running. Memory: the open slices and the switches. Damage, and a gap, end the
 * pass early and is not an error: see dv_trace_reader_damage().
 */
struct dv_error *dv_trace_reader_slices(struct dv_trace_reader *r, dv_trace_slice_fn visit, void *context);

#endif
