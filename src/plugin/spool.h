/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw events on their way from one QEMU to another: a piece of a recording is replayed apart, and what happened
 * in it goes through a file to whoever runs the call-graph machine. Writer and reader side by side; the reader
 * takes nothing for granted.
 *
 *	magic, slide		two words
 *	bytes, events		two 32-bit numbers before each chunk, which comes with one write()
 *	0, 0			the end
 *
 * An event is one word of 32 or 64 bits: its kind, how far its icount lies from the one before, its stack slot by the
 * distance from the last one of its half of the address space, a code address by its place in a table of those that
 * came before. What does not fit follows the word, and what the event points to.
 */
#ifndef DV_PLUGIN_SPOOL_H
#define DV_PLUGIN_SPOOL_H

#include "base/buf.h"
#include "callgraph/event.h"

#define DV_SPOOL_MAGIC 0x324c4f4f50535644ull /* "DVSPOOL2" */
#define DV_SPOOL_HEADER_BYTES 16
#define DV_SPOOL_CHUNK_HEADER_BYTES 8
#define DV_SPOOL_MAX_CHUNK_BYTES (64u << 20)
#define DV_SPOOL_MAX_CHUNK_EVENTS (1u << 20)

#define DV_SPOOL_TABLE_BITS 14

/* What writer and reader both know of the events so far. A zeroed one is the beginning. */
struct dv_spool_state {
	uint64_t icount;
	uint64_t slots[2]; /* the last of user space, and of the kernel */
	uint32_t half;	   /* which of them was the last */
	uint64_t table[1u << DV_SPOOL_TABLE_BITS];
};

void dv_spool_put_header(struct dv_buf *to, uint64_t slide);
/* Appends a chunk of events; frees what they point to. count: 1 to DV_SPOOL_MAX_CHUNK_EVENTS. */
void dv_spool_put(struct dv_spool_state *state, struct dv_buf *to, const struct dv_event *events, size_t count);
void dv_spool_put_end(struct dv_buf *to);

/* Errors: DV_ERROR_FORMAT, also of what follows. data has DV_SPOOL_HEADER_BYTES. */
struct dv_error *dv_spool_get_header(const void *data, uint64_t *ret_slide);
/* Of DV_SPOOL_CHUNK_HEADER_BYTES; both 0 at the end. */
struct dv_error *dv_spool_get_chunk(const void *data, uint32_t *ret_bytes, uint32_t *ret_events);
/*
 * A chunk's bytes to its events: ret has room for count of them. What they point to is the caller's, who hands
 * it on to the machine. After an error there are none.
 */
struct dv_error *dv_spool_get(struct dv_spool_state *state, const void *data, size_t len, struct dv_event *ret,
			      size_t count);

/* Frees what an event points to. */
void dv_spool_free_payload(const struct dv_event *event);

#endif
