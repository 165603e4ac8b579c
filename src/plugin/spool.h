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
 * An event is a byte of its kind and flags, how far its icount lies from the one before, and its two words: a
 * stack slot by its distance from the last one (a return's is mostly the one that is on top of a small stack), a
 * code address by its place in a table of those that came before. What an event points to follows it.
 */
#ifndef DV_PLUGIN_SPOOL_H
#define DV_PLUGIN_SPOOL_H

#include "base/buf.h"
#include "callgraph/event.h"

#define DV_SPOOL_MAGIC 0x314c4f4f50535644ull /* "DVSPOOL1" */
#define DV_SPOOL_HEADER_BYTES 16
#define DV_SPOOL_CHUNK_HEADER_BYTES 8
#define DV_SPOOL_MAX_CHUNK_BYTES (64u << 20)
#define DV_SPOOL_MAX_CHUNK_EVENTS (1u << 20)

#define DV_SPOOL_TABLE_BITS 13
#define DV_SPOOL_STACK 256u

/* What writer and reader both know of the events so far. A zeroed one is the beginning. */
struct dv_spool_state {
	uint64_t icount, slot;
	uint32_t top; /* of the stack, which goes round */
	uint64_t stack[DV_SPOOL_STACK];
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
