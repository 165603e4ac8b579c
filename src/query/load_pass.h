/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slices of a .dvtrace, block by block in several threads at once. A block does not know what was
 * open when it began, so loading takes three steps:
 *
 *	1. decode	all blocks in parallel: slices to their rows (the headers say how many begins each
 *			block has, so that each has its rows); what ends in its block is done; for each
 *			thread of the block, its ends that had no begin, and what stayed open
 *	2. stitch	block after block, with little to do: those ends meet what was open before
 *	3. settle	all blocks in parallel: depths and parents, now that it is known what was below
 *
 * A block that cannot be decoded is lost with its rows, which is known only then: all is decoded anew without
 * it. What is open where it was is cut there, as nobody knows what it ended; after it, threads begin anew.
 *
 * What the files of these steps share. Private to src/query.
 */
#ifndef DV_QUERY_LOAD_PASS_H
#define DV_QUERY_LOAD_PASS_H

#include <stdatomic.h>
#include "query/load.h"
#include "query/parallel.h"

/* In `parent`, before settling: lies below so many open slices less than there were at the block's start. */
#define OUTER_MARK 0xfff00000u
#define MAX_POPS 0xf0000u
#define NO_CPU_LIMIT UINT64_MAX

struct frame {
	uint64_t start, start_cpu;
	uint64_t child_cpu;
	uint32_t id, function;
};

/* An end without its begin. */
struct pop {
	uint64_t icount, cpu;
	uint64_t child_cpu; /* of slices of this block that the slice it ends holds */
};

/* What one thread did in one block. */
struct block_thread {
	uint32_t utid;
	uint32_t first_pop, pops, first_open, opens; /* in its block's arrays */
	uint64_t child_cpu; /* of slices on the floor since the last pop */
	uint32_t outer, depth; /* set by stitching: what was open at the block's start, in outer[] */
};

struct outer {
	uint32_t id, function;
};

struct block {
	uint32_t first, end;	/* its rows */
	unsigned worker;	/* whose function numbers it has */
	DV_VEC(struct block_thread) threads;
	DV_VEC(struct pop) pops;
	DV_VEC(struct frame) opens;
	struct dv_error *error;	/* why it could not be decoded; NULL */
	bool is_lost;		/* it has no rows: its header says what cannot be, or error was found */
};

/* A thread as a worker sees it. */
struct live {
	uint32_t in_block; /* of this number + 1: what is below is of that block */
	uint32_t spell;
	DV_VEC(struct frame) stack;
	DV_VEC(struct pop) pops;
	uint64_t child_cpu;
	/* Of settling: by depth. */
	uint32_t outer, depth;
	DV_VEC(struct outer) frames;
	DV_VEC(uint64_t) signatures;
};

struct worker {
	struct dv_trace_reader *reader;
	struct live *live; /* by utid */
	DV_VEC(uint32_t) touched; /* utids of this block */
	DV_VEC(struct stats_row) stats; /* by the reader's function */
	uint32_t *global; /* by the reader's function */
	DV_VEC(struct big_value) big_dur, big_own;
	struct stats_row *recursive; /* by function: total and elapsed of recursive calls */
	/* The block being decoded. */
	struct pass *pass;
	uint32_t row, end, block;
	uint64_t thread_id;
	struct live *thread;
	uint32_t utid;
};

struct pass {
	struct loader *l;
	struct columns *c;
	struct dv_trace_reader *r;
	struct dv_map utids;
	uint64_t *start;
	uint32_t room; /* rows that start has */
	struct block *blocks;
	uint32_t block_count;
	struct worker workers[PARALLEL_MAX];
	unsigned worker_count;
	atomic_uint next_block;
	atomic_bool stop;
	_Atomic uint64_t done_bytes;
	uint64_t total_bytes;
	_Atomic(struct dv_error *) error;
	DV_VEC(struct outer) outer;
	uint64_t lost, lost_bytes, lost_slices;		  /* lost: blocks */
	uint64_t misplaced_ends, open_slices, cut_slices; /* found by stitching */
};

/* Ends the pass. Takes err over. */
void pass_stop(struct pass *p, struct dv_error *err);
/* Ends a slice at icount; returns what its thread ran in it. *good is false afterwards when memory was short. */
uint64_t pass_end_slice(struct columns *c, struct worker *w, struct stats_row *stats, const struct frame *f,
			uint64_t icount, uint64_t cpu_now, bool *good);

/* Room for the statistics of a function, by its worker's number. */
bool pass_stats_room(struct worker *w, uint32_t function);

/* The steps; the parallel ones as parallel_run() takes them. */
void pass_decode(void *context, unsigned worker, unsigned workers);
struct dv_error *pass_number_functions(struct pass *p);
struct dv_error *pass_stitch(struct pass *p);
void pass_settle(void *context, unsigned worker, unsigned workers);

#endif
