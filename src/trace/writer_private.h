/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the writer's files share: the writer itself (writer.c: the file, begins and ends), its open block
 * (writer_blocks.c), and what else goes into it (writer_news.c). */
#ifndef DV_TRACE_WRITER_PRIVATE_H
#define DV_TRACE_WRITER_PRIVATE_H

#include "base/buf.h"
#include "base/proto.h"
#include "trace/names.h"
#include "trace/stream.h"
#include "trace/threads.h"
#include "trace/writer.h"

#define FULL_SIDE_BYTES (1u << 20) /* of each part of a block but its begins and ends */
#define NO_THREAD UINT64_MAX

struct dv_trace_writer {
	/* What every begin and end touches. */
	uint64_t *next, *limit; /* into chunk; limit leaves room for a double word */
	uint64_t clock_icount;	/* of the last event on the incremental clock */
	uint64_t thread_id;	/* whose track the stream is on */
	struct names names;
	uint64_t begins, ends;

	uint64_t chunk[STREAM_CHUNK_WORDS];
	dv_trace_describe_fn describe;
	void *describe_context;
	struct stream *stream;
	struct writer_threads threads;

	/* The open block. */
	uint32_t block; /* its number, from 1 */
	bool is_open;
	uint64_t base_icount, first_icount, last_icount, block_begins, block_ends, block_switches;
	struct dv_buf interned, own, descriptors, log;
	struct dv_buf *sched; /* per CPU, the events of its ftrace bundle */
	uint32_t cpus;
	struct dv_buf text; /* of the console line at hand */

	/* What the next block's header says. */
	struct dv_buf switches; /* packed; see dv_trace_writer_switch() */
	uint64_t switch_icount;
	struct dv_buf thread_news, notes, console_lines, places;

	/* The file. */
	int fd;
	char *path;
	uint64_t offset, raw_bytes, switch_count;
	struct dv_buf index; /* packed: each block's bytes in the file, from the first block on */
	struct dv_buf raw, out;
	struct libdeflate_compressor *deflate;
	struct dv_error *error; /* the first one */
};

/* Keeps the first error; the writer does nothing more then. Takes err over. */
void writer_fail(struct dv_trace_writer *w, struct dv_error *err);
/* Writes w->out to the file. */
void writer_write_out(struct dv_trace_writer *w);

/* {1: {clock, T}...}: where the clocks of the sequence stand. */
void writer_put_clocks(struct dv_buf *buf, uint64_t icount, bool with_realtime);
void writer_put_interned(struct dv_buf *buf, uint32_t field, uint32_t iid, const char *name);

/* Stretches what the block says of its time over icount; the incremental clock is seen to at its end. */
void writer_cover(struct dv_trace_writer *w, uint64_t icount);
/* Words from the chunk to the stream. */
void writer_drain(struct dv_trace_writer *w);
/* Writes the block, if it has anything. */
void writer_close_block(struct dv_trace_writer *w);
void writer_close_full_block(struct dv_trace_writer *w);

/* Sees to it that the block says what thread this is. False when out of memory, which is then the writer's error. */
bool writer_describe_thread(struct dv_trace_writer *w, uint64_t thread_id, uint32_t *ret_index);

#endif
