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
	VEC(struct clock_value) incremental; /* clocks that count from the packet before */
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
	VEC(struct event) events;
	VEC(struct args_row) args; /* their set is not yet known */
	VEC(struct flow_use) flows;
	VEC(struct descriptor) descriptors;
	VEC(struct clock_value) clocks;
	VEC(struct sequence) sequences;
	struct dv_map by_sequence, by_uuid; /* -> index + 1 */
	struct dv_map interned;		    /* hash of sequence, generation, kind, iid -> string + 1 */
	struct conversion last;
	uint32_t snapshots, trace_clock;
	uint64_t lost_events, failed_clocks, bad_packets;
	uint64_t ftrace_bundles, process_packets; /* not read */
};

/* Reads all packets. Malformed ones are counted. Errors: NO_MEMORY, FORMAT when it is no trace at all. */
struct dv_error *importer_read(struct importer *im, const void *data, size_t len, const char *name);
void importer_deinit(struct importer *im);
/* Brings the events' times to the trace's clock. */
void importer_convert_clocks(struct importer *im);
/* A time of a clock on the trace's clock; false when no snapshot tells. */
bool importer_convert(struct importer *im, uint32_t clock, uint32_t sequence, uint64_t *ts);
/* Makes columns of it. */
struct dv_error *importer_make_columns(struct importer *im);

#endif
