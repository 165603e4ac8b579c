/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reader's files share. */
#ifndef DV_TRACE_READER_PRIVATE_H
#define DV_TRACE_READER_PRIVATE_H

#include "base/buf.h"
#include "base/io.h"
#include "base/map.h"
#include "base/proto.h"
#include "base/vec.h"
#include "trace/reader.h"

struct libdeflate_decompressor;

struct block_place {
	struct dv_trace_block_info info;
	uint32_t crc32;
};

/* What an iid or a track stands for in the block being decoded. */
struct block_name {
	uint32_t generation; /* of the block it is of */
	uint32_t function;
	const uint8_t *name; /* borrowed from the raw bytes */
	size_t name_len;
};

struct dv_trace_reader {
	struct dv_mapped_file file; /* owned when is_mapped */
	bool is_mapped;
	bool is_again; /* file and blocks belong to another reader */
	char *name; /* for messages */
	struct dv_trace_metadata metadata;
	DV_VEC(char *) strings; /* owned, of everything below */
	DV_VEC(const char *) command;
	DV_VEC(struct dv_trace_note) notes;
	DV_VEC(struct block_place) blocks;
	DV_VEC(struct dv_trace_thread_state) states;
	struct dv_map newest; /* thread id -> index of its newest state, plus 1 */
	DV_VEC(struct dv_trace_switch) switches;
	DV_VEC(struct dv_console_line) console;
	DV_VEC(struct dv_trace_command) commands;
	struct places *places; /* NULL before the first record of one */
	struct dv_error *damage;
	size_t gap_blocks;
	bool after_gap; /* the next block is */

	DV_VEC(struct dv_trace_reader_function) functions;
	struct dv_map by_key; /* hash of key, name and place -> function, plus 1 */

	/* Of the block being decoded. */
	struct libdeflate_decompressor *inflate;
	struct dv_buf raw;
	uint32_t generation;
	DV_VEC(struct block_name) names; /* by iid */
	DV_VEC(struct dv_trace_event) events;
	dv_trace_events_fn visit; /* NULL: events are kept for the whole block */
	void *visit_context;
	uint64_t begins, ends;
	uint64_t clock_icount, default_track;
	bool has_clock, default_is_delta;
};

/* Copies bytes into a string that the reader owns; stops at a NUL among them. NULL when out of memory. */
const char *reader_string(struct dv_trace_reader *r, const void *data, size_t len);

/* The first packet, which says whose trace it is. Errors: DV_ERROR_FORMAT, _TRUNCATED, _UNSUPPORTED, _NO_MEMORY. */
struct dv_error *reader_take_head(struct dv_trace_reader *r, struct dv_cursor *file);
/* The header, found at offset `at`, of the block that starts at `start`. Errors: DV_ERROR_FORMAT, _NO_MEMORY. */
struct dv_error *reader_take_block(struct dv_trace_reader *r, struct dv_cursor c, uint64_t start, uint64_t at);
/* Whether the message ends with a right checksum (in a field 15) of all that is before it. */
bool reader_crc_is_right(struct dv_cursor message);
/* Takes in all headers from c on. Errors: the last damage, which ends the trace; DV_ERROR_NO_MEMORY. */
struct dv_error *reader_walk(struct dv_trace_reader *r, struct dv_cursor *c);

/* Keeps the first damage. Takes err over. */
void reader_damaged(struct dv_trace_reader *r, struct dv_error *err);

/* "NAME: offset N: " and the text. */
struct dv_error *reader_error(const struct dv_trace_reader *r, enum dv_error_code code, uint64_t offset,
			      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
