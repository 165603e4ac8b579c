/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loaded trace: flat arrays (columns.def) that are either in memory of their own or in a mapped cache
 * file. Private to src/query. Nothing changes once loading is done.
 */
#ifndef DV_QUERY_COLUMNS_H
#define DV_QUERY_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "query/query.h"

#define START_GROUP 256u
#define FAR_GROUP (1ull << 63)
#define DUR_OPEN UINT32_MAX
#define DUR_BIG (UINT32_MAX - 1)
#define LANE_GROUP 8u
#define MAX_SLICES 0xfff00000u /* beyond are marks */

#define CALL_FUNCTION 0xffffffu
#define CALL_KIND_SHIFT 24
#define CALL_KIND 7u
#define CALL_RECURSIVE (1u << 27) /* its function is also further out on its stack */
#define CALL_INSTANT (1u << 28)

struct big_value {
	uint64_t value;
	uint32_t id, unused;
};

/* Strings are offsets into `strings`. */
struct function_row {
	uint64_t vaddr, key, size;
	uint32_t name, slice_name, module, file, category;
	uint32_t line;
	uint32_t space;
	uint32_t number; /* of a system call, or a vector; UINT32_MAX: none */
	uint32_t mnemonic, unused;
};

struct stats_row {
	uint64_t calls, own, total, elapsed, min, max;
};

struct thread_row {
	int64_t tid;
	uint64_t start, end; /* UINT64_MAX: not known */
	uint64_t id;	     /* the trace's own number for it */
	uint64_t slices, cpu;
	uint32_t name, upid, track;
	uint32_t first_spell, spells;
	uint32_t creator;    /* utid or DV_QUERY_NONE */
	int32_t exit_code;
	uint8_t is_kernel, is_idle, is_main, unused;
	uint32_t unused_too;
};

struct process_row {
	int64_t pid;
	uint64_t start, end;
	uint32_t name, parent, cmdline, unused;
};

struct track_row {
	uint64_t uuid, slices;
	uint32_t name, parent, type, utid, upid;
	uint32_t first_lane, depths;
	uint32_t counter_unit; /* a counter's track: its unit, or "" */
	uint32_t is_counter, arg_set;
};

struct spell_row {
	uint64_t start, end; /* exclusive */
	uint64_t before;     /* what the thread ran in the spells before this one */
	uint32_t utid, cpu;
	uint32_t end_state, priority; /* end_state: a string */
	uint32_t is_open, unused;     /* the last of its CPU: not known to have ended */
};

struct state_row {
	uint64_t start, end; /* end UINT64_MAX: not ended */
	uint32_t utid, cpu;  /* cpu: DV_QUERY_NONE while off the CPU */
	uint32_t state;	     /* a string; 0: not known */
	uint32_t waker, waker_row, in_interrupt; /* DV_QUERY_NONE: not known */
};

struct console_row {
	uint64_t icount;
	uint32_t utid, level, source, text;
};

struct slice_args_row {
	uint32_t id, set;
};

enum arg_type { ARG_NULL, ARG_INT, ARG_UINT, ARG_REAL, ARG_STRING, ARG_BOOL, ARG_POINTER };
struct args_row {
	uint64_t value; /* bits of a real; a string's offset */
	uint32_t set, flat_key, key, type;
	uint32_t order, unused; /* within the set */
};

struct flow_row {
	uint32_t from, to; /* slices */
};

struct counter_row {
	uint64_t ts, value_bits;
	uint32_t track, unused;
};

struct metadata_row {
	uint32_t name, value;
};

struct trace_stat_row {
	uint32_t name, severity, source, unused;
	int64_t value;
};

enum { STAT_INFO, STAT_DATA_LOSS, STAT_ERROR };
enum { STAT_TRACE, STAT_ANALYSIS };

struct mapping_row {
	uint64_t start, end, offset, icount, to_icount; /* ends: exclusive; to_icount UINT64_MAX: it lasts */
	uint32_t upid, path, build_id, unused;
};

struct module_row {
	uint64_t base, size, icount, to_icount;
	uint32_t name, build_id;
};

struct clock_row {
	uint64_t ts;
	int64_t value;
	uint32_t id, name, snapshot, unused;
};

struct columns {
#define COLUMN(name, type) type *name; size_t n_##name;
#include "query/columns.def"
#undef COLUMN
	uint32_t n; /* slices */
	uint32_t max_depth, cpus;
	uint32_t clock, exact, is_dejaview;
	uint64_t first_icount, last_icount;
	uint64_t file_bytes;
	uint32_t longest_levels[16]; /* where each level of `longest` starts; level 0 is of lanes themselves */
	uint32_t level_count;
	char identity[33];
	char *damage; /* owned; NULL */
	void *mapping; /* of a cache file, else NULL: then each column is its own memory */
	size_t mapping_len;
};

void columns_deinit(struct columns *c);
uint64_t columns_bytes(const struct columns *c);

/* Memory for a large column: zero, and not there until it is touched. NULL when there is none. */
void *column_alloc(size_t count, size_t size);
void column_free(void *column, size_t count, size_t size);

/* Cuts the columns of slices, which have room for that many, down to n. */
void columns_shrink(struct columns *c, uint32_t room);
/* Fills in stats (which is there) by a pass over the slices. */
void columns_count_stats(struct columns *c);

struct column_meta {
	const char *name;
	size_t size;
	size_t pointer, count; /* offsets in struct columns */
};
extern const struct column_meta column_metas[];
extern const size_t column_meta_count;

static inline uint64_t slice_start(const struct columns *c, uint32_t id)
{
	uint64_t base = c->base[id / START_GROUP];

	if (__builtin_expect(!(base & FAR_GROUP), 1))
		return base + c->start[id];
	return c->far[(base & ~FAR_GROUP) + id % START_GROUP];
}

uint64_t big_value_find(const struct big_value *values, size_t n, uint32_t id);

/* DV_QUERY_OPEN for one that never ended. */
static inline uint64_t slice_dur(const struct columns *c, uint32_t id)
{
	uint32_t dur = c->dur[id];

	if (__builtin_expect(dur < DUR_BIG, 1))
		return dur;
	return dur == DUR_OPEN ? DV_QUERY_OPEN : big_value_find(c->big_dur, c->n_big_dur, id);
}

/* As slice_dur(); one that never ended lasts to the trace's end. */
static inline uint64_t slice_elapsed(const struct columns *c, uint32_t id)
{
	uint64_t dur = slice_dur(c, id), start;

	if (dur != DV_QUERY_OPEN)
		return dur;
	start = slice_start(c, id);
	return c->last_icount > start ? c->last_icount - start : 0;
}

static inline uint64_t slice_own(const struct columns *c, uint32_t id)
{
	uint32_t own = c->own[id];

	return __builtin_expect(own != DUR_BIG, 1) ? own : big_value_find(c->big_own, c->n_big_own, id);
}

/* Exclusive; for one that never ended, beyond the trace's end. */
static inline uint64_t slice_end(const struct columns *c, uint32_t id)
{
	uint64_t dur = slice_dur(c, id);

	return dur == DV_QUERY_OPEN ? UINT64_MAX : slice_start(c, id) + dur;
}

static inline uint32_t slice_function(const struct columns *c, uint32_t id)
{
	return c->call[id] & CALL_FUNCTION;
}

static inline uint8_t slice_kind(const struct columns *c, uint32_t id)
{
	return (uint8_t)(c->call[id] >> CALL_KIND_SHIFT & CALL_KIND);
}

/* NULL for 0. */
static inline const char *column_string(const struct columns *c, uint32_t offset)
{
	return offset ? c->strings + offset : NULL;
}

/* The first slice that starts at ts or later; n when there is none. */
uint32_t first_slice_at(const struct columns *c, uint64_t ts);
/* Whether what a slice ran is less than how long it took. Other traces' times are the clock's all the same. */
static inline bool columns_know_cpu(const struct columns *c)
{
	return c->n_spells && c->is_dejaview;
}
/* What a thread ran until ts. Without switches in the trace: ts itself. */
uint64_t thread_cpu_until(const struct columns *c, uint32_t utid, uint64_t ts);
/* What a slice's thread ran in it. */
uint64_t slice_cpu(const struct columns *c, uint32_t id);

/* The elements of a lane, as indexes into lanes. */
struct lane {
	uint32_t first, end;
};
static inline struct lane track_lane(const struct columns *c, const struct track_row *track, uint32_t depth)
{
	uint32_t lane = track->first_lane + depth;

	return (struct lane){c->lane_first[lane], c->lane_first[lane + 1]};
}
/* The first element of [first, end) of lanes whose id is `id` or more; end when there is none. */
uint32_t lane_find(const struct columns *c, uint32_t first, uint32_t end, uint32_t id);
/* The longest slice (the first of equals) of a range of lanes that is not empty; its id. */
uint32_t lane_longest(const struct columns *c, uint32_t first, uint32_t end);

#endif
