/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The query engine: a trace as columns in memory, what a viewer asks of it, and SQL over it.
 *
 * Threads. A `struct dv_query` does not change once it is open: every function that takes it as const
 * may be called from any thread, at the same time, and gives the same answer. What a function returns by
 * pointer into it (rows, strings, arrays) lives until dv_query_close(). A `struct dv_sql` is a
 * connection: one thread at a time uses it, and dv_sql_interrupt() alone may be called from another.
 * One connection per client is the way; it costs some 200 KB. dv_query_close() comes last, after
 * all connections, searches and calls.
 *
 * Numbers. Timestamps (_icount) are the trace's own clock: instruction counts, or nanoseconds of other
 * traces (dv_query_info.clock). A slice's id is its row: slices are numbered from 0 by their start, an
 * outer one before an inner one, so that ids are sorted as starts are. Ids are for queries on one file:
 * what names a slice in all traces of a recording is (start, thread, depth). utid, upid, track and
 * function are indexes from 0 into the arrays of the same name.
 */
#ifndef DV_QUERY_QUERY_H
#define DV_QUERY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_query;

#define DV_QUERY_NONE UINT32_MAX      /* no such row: a parent, a thread, a function */
#define DV_QUERY_OPEN UINT64_MAX      /* the duration of a slice that never ended */
#define DV_QUERY_ALL_TRACKS UINT32_MAX
#define DV_QUERY_MAX_DEPTH 65535

/* Opening */

/* Called now and then from the thread that opens; false cancels (DV_ERROR_CANCELLED). */
typedef bool (*dv_query_progress_fn)(void *context, uint64_t done_bytes, uint64_t total_bytes);

struct dv_query_options {
	dv_query_progress_fn progress; /* may be NULL */
	void *context;
	unsigned threads;	   /* 0: one for each CPU */
	bool no_cache;		   /* neither use nor make the cache file */
	uint64_t max_memory_bytes; /* 0: nine tenths of what the machine (or the cgroup) has to give now */
};

/*
 * Opens a .dvtrace, any other Perfetto trace of TrackEvents, or a recording's folder, which stands for
 * the trace in it. options may be NULL. Of a trace that is cut or damaged, blocks that cannot be
 * decoded are left out: see dv_query_damage(). Errors: DV_ERROR_OS, DV_ERROR_FORMAT (no trace),
 * DV_ERROR_NO_MEMORY (with the numbers: what it needs and what there is), DV_ERROR_CANCELLED,
 * DV_ERROR_UNSUPPORTED.
 */
struct dv_error *dv_query_open(const char *path, const struct dv_query_options *options, struct dv_query **ret);
/* As above, of bytes in memory, which may go once it returns. Never cached. name is for messages. */
struct dv_error *dv_query_open_bytes(const void *data, size_t len, const char *name,
				     const struct dv_query_options *options, struct dv_query **ret);
/* Waits for the cache file to be written, if that is under way. NULL-safe. */
void dv_query_close(struct dv_query *q);
DV_DEFINE_CLEANUP(struct dv_query, dv_query_close);

enum dv_query_clock { DV_QUERY_CLOCK_ICOUNT, DV_QUERY_CLOCK_NS };

struct dv_query_info {
	const char *path;	       /* of the trace file; the name of bytes */
	enum dv_query_clock clock;
	bool is_dejaview;	       /* one of our own: functions have addresses, slices own instructions */
	bool exact;		       /* each start is the icount of its function's first instruction */
	bool from_cache;	       /* opened by its cache file */
	uint64_t first_icount, last_icount; /* bounds, both inclusive */
	uint32_t slices, threads, processes, tracks, functions, cpus;
	uint32_t max_depth;	       /* of any slice */
	uint64_t column_bytes;	       /* what the columns take in memory */
	uint64_t file_bytes;
};
const struct dv_query_info *dv_query_info(const struct dv_query *q);
/* What was wrong with the file, or NULL. */
const char *dv_query_damage(const struct dv_query *q);
/* 32 hexadecimal digits: of the trace's contents, the same wherever the file lies. */
const char *dv_query_identity(const struct dv_query *q);
/* A name and a value, as the SQL table `metadata` has them; false from the end on. */
bool dv_query_metadata(const struct dv_query *q, size_t i, const char **ret_name, const char **ret_value);

/* Threads, processes, tracks, functions. The index must be below the count in dv_query_info. */

struct dv_query_thread {
	uint32_t utid, upid; /* upid: DV_QUERY_NONE when not known */
	uint32_t track;	     /* its track of slices; DV_QUERY_NONE when it has none */
	int64_t tid;	     /* 0 for an idle task */
	const char *name;    /* the newest; never NULL */
	uint64_t start_icount, end_icount; /* UINT64_MAX: not known */
	uint64_t slices;
	uint64_t cpu_icount; /* instructions (or ns) that it ran */
	uint32_t creator_utid; /* who made it; DV_QUERY_NONE: not known */
	int32_t exit_code;   /* as wait() gives it; meaningful with end_icount */
	bool is_kernel, is_idle, is_main;
};

struct dv_query_process {
	uint32_t upid, parent_upid; /* parent: DV_QUERY_NONE when not known */
	int64_t pid;
	const char *name; /* never NULL */
	uint64_t start_icount, end_icount; /* UINT64_MAX: not known */
};

enum dv_query_track_type { DV_TRACK_THREAD, DV_TRACK_PROCESS, DV_TRACK_GLOBAL };
struct dv_query_track {
	uint32_t track, parent; /* parent: DV_QUERY_NONE at the top */
	enum dv_query_track_type type;
	uint32_t utid, upid; /* DV_QUERY_NONE where it has none */
	const char *name;    /* may be NULL */
	uint32_t depths;     /* one more than its deepest slice; 0 without slices */
	uint64_t slices;
};

struct dv_query_function {
	uint32_t function;
	const char *name;   /* never NULL; of a kernel module's with no "[module] " before it */
	const char *slice_name; /* as the table slice and stock Perfetto have it, with it */
	const char *module; /* NULL: the kernel itself, or not known */
	const char *file;   /* NULL: not known */
	const char *category; /* of other traces; NULL */
	uint32_t line;	    /* 0: not known */
	uint8_t space;	    /* enum dv_function_space */
	uint64_t vaddr;	    /* of a user-space function the file's own */
	uint64_t key;	    /* the function's identity in the trace */
	uint64_t size;	    /* 0: not known */
	uint32_t number;    /* a system call's, or an interrupt's or exception's vector; UINT32_MAX: none */
	const char *mnemonic; /* an exception's: "#PF"; NULL */
};

const struct dv_query_thread *dv_query_thread(const struct dv_query *q, uint32_t utid);
const struct dv_query_process *dv_query_process(const struct dv_query *q, uint32_t upid);
const struct dv_query_track *dv_query_track(const struct dv_query *q, uint32_t track);
/* Functions are numbered by name (strcmp of slice_name). */
const struct dv_query_function *dv_query_function(const struct dv_query *q, uint32_t function);
/* The threads called by a tid at an icount (tids come again); DV_QUERY_NONE when there is none. */
uint32_t dv_query_find_thread(const struct dv_query *q, int64_t tid, uint64_t icount);

/* Slices */

struct dv_query_slice {
	uint32_t id, parent; /* parent: DV_QUERY_NONE at the bottom */
	uint32_t track, utid, function;
	uint32_t depth;	     /* 0: the outermost */
	uint8_t kind;	     /* enum dv_slice_kind */
	uint64_t start_icount;
	uint64_t dur_icount; /* DV_QUERY_OPEN when it never ended */
	uint64_t cpu_icount; /* instructions that its thread ran in it */
	uint64_t own_icount; /* ... while it was the innermost */
};

/* False when there is no such slice. */
bool dv_query_slice(const struct dv_query *q, uint32_t id, struct dv_query_slice *ret);
/* When its first instruction runs: later than its start where an interrupt or a fault came before it. id exists. */
uint64_t dv_query_first_instruction(const struct dv_query *q, uint32_t id);
/* By the name that it has in every trace of the recording; DV_QUERY_NONE when there is none. */
uint32_t dv_query_slice_by_key(const struct dv_query *q, uint64_t start_icount, uint32_t utid, uint32_t depth);

/*
 * By what does not change when a recording is traced again: the slice of this depth that a thread of this tid
 * begins at start_icount, else its only one there (filters move depths). tid negative: of any thread.
 */
uint32_t dv_query_slice_by_tid(const struct dv_query *q, uint64_t start_icount, int64_t tid, uint32_t depth);

/* The frames of a track that were open at icount, outermost first: ids to ret, at most max; the count. */
size_t dv_query_stack_at(const struct dv_query *q, uint32_t track, uint64_t icount, uint32_t *ret, size_t max);
/* The outermost first, without itself. */
size_t dv_query_ancestors(const struct dv_query *q, uint32_t id, uint32_t *ret, size_t max);
/* From a slice on, those right below it, in order; the count of all (max limits what is stored). */
size_t dv_query_children(const struct dv_query *q, uint32_t id, uint32_t *ret, size_t max);
/* The thread that a CPU ran at icount; DV_QUERY_NONE when not known. */
uint32_t dv_query_running_at(const struct dv_query *q, uint32_t cpu, uint64_t icount);
/* Its innermost open call's function; DV_QUERY_NONE when not known. */
uint32_t dv_query_function_at(const struct dv_query *q, uint32_t cpu, uint64_t icount);

/*
 * The kernel's functions of this name (static ones may share it; a module's with or without "[module] "), or
 * at this 0xADDRESS; where it has none, those of user space ("read", or "libc.so.6:read"): at most max to ret.
 * Errors: DV_ERROR_NOT_FOUND for none, DV_ERROR_UNSUPPORTED for more than max.
 */
struct dv_error *dv_query_functions(const struct dv_query *q, const char *name, uint32_t *ret, size_t max,
					   size_t *ret_len);
/* Their calls that start in [from_icount, to_icount), by start, the first max of them. free() *ret. */
struct dv_error *dv_query_calls_of(const struct dv_query *q, const uint32_t *functions, size_t functions_len,
				   uint64_t from_icount, uint64_t to_icount, size_t max, struct dv_query_slice **ret,
				   size_t *ret_len);

/* The timeline */

/* A cell stands for the slices of one depth that start in one bucket of time. */
struct dv_query_timeline {
	size_t len;
	/* Arrays of len, sorted by depth, then start; all in the memory block of the struct. */
	uint64_t *start_icount; /* of the longest of them */
	uint64_t *dur_icount;	/* ... DV_QUERY_OPEN when it never ended */
	uint32_t *id, *function;
	uint32_t *count; /* how many slices the cell stands for */
	uint16_t *depth;
	uint8_t *kind;
};

/*
 * One track's slices that touch [from, to): per depth and bucket of bucket_icount (from + n * bucket) the
 * longest slice that starts in it, and how many start in it. A slice that began before `from` and reaches
 * into the area is a cell by itself, of count 1. bucket_icount 0 gives every slice. At most max_depth
 * depths (0: all). Freed with free(). Errors: DV_ERROR_INVALID, DV_ERROR_NO_MEMORY.
 */
struct dv_error *dv_query_timeline(const struct dv_query *q, uint32_t track, uint64_t from_icount,
				   uint64_t to_icount, uint64_t bucket_icount, uint32_t max_depth,
				   struct dv_query_timeline **ret);

/* Who ran on a CPU, or when a thread ran: a cell is the longest spell that starts in the bucket. */
struct dv_query_sched {
	size_t len;
	uint64_t *start_icount, *dur_icount;
	uint32_t *utid, *cpu;
	uint32_t *count;
};
/* cpu or utid may be DV_QUERY_NONE: any. Idle tasks are there too. Freed with free(). */
struct dv_error *dv_query_sched_timeline(const struct dv_query *q, uint32_t cpu, uint32_t utid,
					 uint64_t from_icount, uint64_t to_icount, uint64_t bucket_icount,
					 struct dv_query_sched **ret);

/* Functions: statistics, callers, callees, flame graphs */

/* What to look at. All zero but for to_icount = UINT64_MAX and the DV_QUERY_NONEs is the whole trace. */
struct dv_query_area {
	uint64_t from_icount, to_icount; /* slices that start in [from, to) */
	uint32_t utid, upid; /* DV_QUERY_NONE: any */
};
#define DV_QUERY_WHOLE ((struct dv_query_area){0, UINT64_MAX, DV_QUERY_NONE, DV_QUERY_NONE})

struct dv_query_function_stats {
	uint32_t function;
	uint64_t calls;
	uint64_t own_icount;   /* instructions in the function itself */
	uint64_t total_icount; /* ... and in what it called; of recursive calls the outermost counts */
	/*
	 * From its calls' begins to their ends, what other threads ran meanwhile included: never less than total_icount.
	 * As there, the part within the area; of recursive calls the outermost; one that never ended, to the trace's
	 * end. Calls of several threads that overlap count each, so that it may exceed the area.
	 */
	uint64_t elapsed_icount;
	uint64_t min_icount, max_icount; /* the least and the most that one call ran, with what it called */
};
/*
 * One row per function that was called or open there, by function. The whole trace's are ready; an area is a pass over
 * its slices. cancel may be NULL, else it is asked now and then. Freed with free().
 */
struct dv_error *dv_query_function_stats(const struct dv_query *q, const struct dv_query_area *area,
					 const volatile bool *cancel, struct dv_query_function_stats **ret,
					 size_t *ret_len);

/* A tree of calls: the node's children follow it, first child at once. Node 0 is the root: all. */
struct dv_query_tree_node {
	uint32_t function; /* DV_QUERY_NONE: the root */
	uint32_t parent;   /* index; DV_QUERY_NONE: the root */
	uint32_t depth;	   /* 0: the root */
	uint32_t next;	   /* index of the next sibling; DV_QUERY_NONE: the last */
	uint64_t calls, own_icount, total_icount;
	uint64_t elapsed_icount; /* of its calls, the thread's time off the CPU included */
};
enum dv_query_tree_kind {
	DV_TREE_FLAMEGRAPH, /* by stacks, from the outermost function inwards; function is ignored */
	DV_TREE_CALLEES,    /* what function called, and what that called ... */
	DV_TREE_CALLERS,    /* who called it, and who called that ...: calls and instructions are function's */
};
/* Siblings come by total, most first. At most max_nodes (0: 1,000,000); the rest is left out. free(). */
struct dv_error *dv_query_tree(const struct dv_query *q, enum dv_query_tree_kind kind, uint32_t function,
			       const struct dv_query_area *area, uint32_t max_depth, uint32_t max_nodes,
			       const volatile bool *cancel, struct dv_query_tree_node **ret, size_t *ret_len);

/* Search */

struct dv_query_search;
/*
 * The slices whose name fits: a glob (* ? [a-z]) of the whole name, or without these letters a part of
 * it; letters of both cases are the same unless match_case. utid, area etc. do not matter yet. Errors:
 * DV_ERROR_INVALID (pattern), DV_ERROR_NO_MEMORY. A search is immutable: any thread may use it.
 */
struct dv_error *dv_query_search_create(const struct dv_query *q, const char *pattern, bool match_case,
					struct dv_query_search **ret);
void dv_query_search_destroy(struct dv_query_search *s);
DV_DEFINE_CLEANUP(struct dv_query_search, dv_query_search_destroy);

/* How many slices match: in all, and on a track. And how many functions do. */
uint64_t dv_query_search_count(const struct dv_query_search *s, uint32_t track_or_all);
/* How many slices before id match: what number of the matches id is, from 0. Of all tracks. */
uint64_t dv_query_search_rank(const struct dv_query_search *s, uint32_t id);
uint32_t dv_query_search_functions(const struct dv_query_search *s);
bool dv_query_search_matches(const struct dv_query_search *s, uint32_t function);
/* Adds to counts[n] how many matching slices start in [from + n * bucket, from + (n + 1) * bucket). */
void dv_query_search_buckets(const struct dv_query_search *s, uint32_t track_or_all, uint64_t from_icount,
			     uint64_t bucket_icount, uint32_t *counts, size_t buckets);
/* The same for all tracks in one pass: counts[track * buckets + n]. */
void dv_query_search_grid(const struct dv_query_search *s, uint64_t from_icount, uint64_t bucket_icount,
			  uint32_t *counts, size_t buckets);
/* The first match of id `from` or later; or of `from` or earlier. DV_QUERY_NONE: none. */
uint32_t dv_query_search_next(const struct dv_query_search *s, uint32_t track_or_all, uint32_t from_id);
uint32_t dv_query_search_prev(const struct dv_query_search *s, uint32_t track_or_all, uint32_t from_id);
/* The id of the first slice that starts at icount or later: where next and prev begin. */
uint32_t dv_query_id_at(const struct dv_query *q, uint64_t icount);

/* The console */

struct dv_query_console_line {
	uint64_t icount; /* of its first byte */
	uint32_t utid;	 /* DV_QUERY_NONE: not known */
	uint8_t level;	 /* of printk, 0 to 7; 255: not known */
	const char *source; /* "printk", "hvc", "serial" ... */
	const char *text;   /* without the newline */
};
/* By icount. */
size_t dv_query_console_count(const struct dv_query *q);
const struct dv_query_console_line *dv_query_console(const struct dv_query *q, size_t i);

/* SQL */

struct dv_sql;
struct dv_sql_statement;

struct dv_error *dv_sql_open(const struct dv_query *q, struct dv_sql **ret);
/* Finalize all statements first. NULL-safe. */
void dv_sql_close(struct dv_sql *sql);
DV_DEFINE_CLEANUP(struct dv_sql, dv_sql_close);

/*
 * Called about every `every_ms` while a statement runs, from the thread that steps it, with the rows of
 * virtual tables read so far; false stops the statement (DV_ERROR_CANCELLED). NULL takes it away.
 */
typedef bool (*dv_sql_progress_fn)(void *context, uint64_t rows_read);
void dv_sql_set_progress(struct dv_sql *sql, dv_sql_progress_fn progress, void *context, unsigned every_ms);
/* A statement that runs longer stops with DV_ERROR_TIMEOUT; 0: none. Counted from its first step. */
void dv_sql_set_timeout(struct dv_sql *sql, unsigned ms);
/* Bytes that SQLite may use for all connections of the process; 0: no limit. */
void dv_sql_set_memory_limit(struct dv_sql *sql, uint64_t bytes);
/* From any thread: what runs stops with DV_ERROR_CANCELLED. Nothing happens when nothing runs. */
void dv_sql_interrupt(struct dv_sql *sql);

/*
 * Prepares the first statement of text. *ret_tail is where the next one starts. *ret is NULL when there
 * was only space and comments. Errors: DV_ERROR_INVALID, with SQLite's words; dv_sql_error_offset() then
 * says which byte of text it is about, -1 when not known.
 */
struct dv_error *dv_sql_prepare(struct dv_sql *sql, const char *text, struct dv_sql_statement **ret,
				const char **ret_tail);
int dv_sql_error_offset(const struct dv_sql *sql);
void dv_sql_finalize(struct dv_sql_statement *st);
DV_DEFINE_CLEANUP(struct dv_sql_statement, dv_sql_finalize);

/* *ret_row: whether there is a row; false at the end. Errors: INVALID, CANCELLED, TIMEOUT, NO_MEMORY. */
struct dv_error *dv_sql_step(struct dv_sql_statement *st, bool *ret_row);
int dv_sql_column_count(const struct dv_sql_statement *st); /* 0: it gives no rows */
const char *dv_sql_column_name(const struct dv_sql_statement *st, int column);
const char *dv_sql_text(const struct dv_sql_statement *st); /* the statement itself, without its end */

enum dv_sql_type { DV_SQL_NULL, DV_SQL_INTEGER, DV_SQL_REAL, DV_SQL_TEXT, DV_SQL_BLOB };
struct dv_sql_value {
	enum dv_sql_type type;
	int64_t integer;
	double real;
	const char *text; /* NUL-terminated; or a blob's bytes. Valid until the next step */
	size_t len;
};
/* Of the row that the last step gave. */
struct dv_sql_value dv_sql_column(struct dv_sql_statement *st, int column);
/* Binds ?1, ?2 ... of a statement that was not stepped yet. text is copied. */
struct dv_error *dv_sql_bind_integer(struct dv_sql_statement *st, int index, int64_t value);
struct dv_error *dv_sql_bind_text(struct dv_sql_statement *st, int index, const char *text);

/* What SQL has: for completion, docs and clients. */
struct dv_sql_column_doc {
	const char *name, *type, *doc; /* type: "id", "icount", "int", "string", "real" ... */
};
struct dv_sql_table_doc {
	const char *name;
	const char *arguments; /* of a table function, as "slice_id"; else NULL */
	const char *doc;
	const struct dv_sql_column_doc *columns; /* ends with a NULL name */
};
const struct dv_sql_table_doc *dv_sql_tables(size_t *ret_count);

#endif
