/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traces of TrackEvents that are not our own: what perfetto.c reads out of the packets, before
 * perfetto_slices.c makes slices of it. Field numbers are those of Perfetto's protos/perfetto/trace/.
 * Private to src/query.
 */
#ifndef DV_QUERY_PERFETTO_H
#define DV_QUERY_PERFETTO_H

#include "base/proto.h"
#include "query/load.h"

#define CLOCK_BOOTTIME 6u /* the trace's own, unless it says otherwise */

enum { INTERNED_CATEGORY = 1, INTERNED_NAME = 2, INTERNED_DEBUG_NAME = 3, INTERNED_DEBUG_STRING = 29 };
enum { EVENT_TRACK_UUID = 11 };
enum event_type { EVENT_BEGIN = 1, EVENT_END, EVENT_INSTANT, EVENT_COUNTER };

/* Strings are offsets into the loader's. */
struct event {
	uint64_t ts, track_uuid, value_bits; /* value: a counter's */
	uint64_t order;			     /* in the file */
	uint32_t name, category;
	uint32_t first_arg, args;   /* in args */
	uint32_t first_flow, flows; /* in flows */
	uint8_t type;
	uint32_t clock, sequence; /* of ts */
};

/* What is said of tasks, by descriptors, by the kernel's ftrace and by /proc: in the order of the file. */
enum task_event_type {
	TASK_DESCRIBED,	     /* index: of the descriptor */
	TASK_PROCESS,	     /* tid: pid; other: its parent's; name; other_name: command line; flag: that is comm's */
	TASK_PROCESS_NAMED,  /* tid: pid; name: if it has none yet */
	TASK_THREAD,	     /* tid; other: pid; name, or 0 */
	TASK_SWITCH,	     /* tid, name: who leaves; other, other_name: who comes, with priority; state; index: CPU */
	TASK_SWITCH_COMPACT, /* the same; who leaves is who came before */
	TASK_WAKING,	     /* tid: the waker; other, name: who wakes */
	TASK_WAKING_COMPACT, /* the same; the waker is who runs on the CPU index; flag: within an interrupt */
	TASK_NEW,	     /* tid: the creator; other, name: the new one; state: clone's flags */
	TASK_RENAME,	     /* tid: who said it; other, name: the task */
	TASK_FREE,	     /* tid: who said it; other: the task */
	TASK_SEEN,	     /* tid: of an event that is not read */
	TASK_COUNTER,	     /* tid: pid; name: the counter's; state: its value */
};

struct task_event {
	uint64_t ts, order;
	uint32_t clock, sequence; /* of ts */
	int64_t tid, other, state;
	uint32_t name, other_name, index;
	int32_t priority;
	uint8_t type;
	bool has_time; /* else it is as late as what came before */
	bool flag;
};

struct flow_use {
	uint64_t id;
	bool ends;
};

struct descriptor {
	uint64_t uuid, parent_uuid;
	uint32_t name, thread_name, process_name, unit, cmdline;
	int64_t pid, tid;
	bool has_parent, has_thread, has_process, has_counter, is_incremental;
	double factor; /* of a counter's values */
};

/* One clock's value in a snapshot; those of one snapshot follow each other. */
struct clock_value {
	uint64_t value, factor;
	uint32_t clock, sequence, snapshot; /* sequence: of clocks from 64 to 127, else 0 */
};

/* What packets of one sequence know of each other. */
struct sequence {
	uint32_t id, generation; /* generation: of the interned names; 0: none yet */
	uint64_t default_track;
	uint32_t default_clock;
	bool has_default_track, is_valid;
	uint64_t thread_uuid; /* of a thread_descriptor, the way before track descriptors */
	uint64_t thread_time_ns;
	DV_VEC(struct clock_value) incremental; /* clocks that count from the packet before */
};

/* How times of a clock were last brought to the trace's, and of which the same holds: [from, until). */
struct conversion {
	bool is_set;
	uint32_t clock, sequence;
	uint64_t from, until, offset;
};

struct importer {
	struct loader *l;
	uint64_t raw_bytes;
	DV_VEC(struct event) events;
	DV_VEC(struct task_event) tasks;
	DV_VEC(struct args_row) args; /* their set is not yet known */
	DV_VEC(struct flow_use) flows;
	DV_VEC(struct descriptor) descriptors;
	DV_VEC(struct clock_value) clocks;
	DV_VEC(struct sequence) sequences;
	struct dv_map by_sequence, by_uuid; /* -> index + 1 */
	struct dv_map interned;		    /* hash of sequence, generation, kind, iid -> string + 1 */
	struct conversion last;
	uint32_t snapshots, trace_clock;
	uint32_t kernel_version;     /* major << 8 | minor; 0: not said */
	uint64_t order, checked;     /* events and tasks so far; when memory was last looked at */
	uint64_t lost_events, failed_clocks, bad_packets;
	uint64_t bad_ftrace, unread_ftrace; /* events */
};

struct packet {
	struct proto_field event;
	uint64_t timestamp;
	uint32_t clock;
	bool has_timestamp, has_clock;
};

/* Reads all packets. Malformed ones are counted. Errors: NO_MEMORY, FORMAT when it is no trace at all. */
struct dv_error *importer_read(struct importer *im, const void *data, size_t len, const char *name);
void importer_deinit(struct importer *im);
/* For what is in the packets; false when out of memory. */
uint32_t importer_string(struct importer *im, const struct proto_field *f);
uint32_t importer_interned(const struct importer *im, const struct sequence *s, uint32_t kind, uint64_t iid);
bool importer_take_event(struct importer *im, struct sequence *s, const struct packet *p);
bool importer_take_snapshot(struct importer *im, struct sequence *s, struct dv_cursor c);
/* A snapshot of two clocks. */
bool importer_add_snapshot(struct importer *im, uint32_t sequence, uint32_t clock, uint64_t value, uint64_t boottime_ns);
/* The time of a packet: a sequence's incremental clocks are counted on here, in the order of the file. */
void importer_take_time(struct importer *im, struct sequence *s, struct event *e, uint64_t timestamp, uint32_t clock);
/* What was said of tasks: a descriptor, a bundle of ftrace events, a process tree, statistics of processes. */
bool importer_take_described(struct importer *im, const struct descriptor *d);
bool importer_take_process_named(struct importer *im, int64_t pid, uint32_t name);
bool importer_take_ftrace(struct importer *im, const struct sequence *s, struct dv_cursor c);
bool importer_take_tree(struct importer *im, struct sequence *s, const struct packet *p, struct dv_cursor c);
bool importer_take_process_stats(struct importer *im, struct sequence *s, const struct packet *p, struct dv_cursor c);
/* Brings the events' and tasks' times to the trace's clock. */
void importer_convert_clocks(struct importer *im);
/* A time of a clock on the trace's clock; false when no snapshot tells. */
bool importer_convert(struct importer *im, uint32_t clock, uint32_t sequence, uint64_t *ts);
/* Makes columns of it. */
struct dv_error *importer_make_columns(struct importer *im);

#endif
