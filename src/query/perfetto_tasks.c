/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a Perfetto trace says of tasks besides TrackEvents, to task events: see perfetto.h.
 *
 *	ftrace bundles	of one CPU: events of the kernel, and those of its scheduler also in a compact form,
 *			an array for each of their members
 *	process trees	what /proc had: processes with their parents and command lines, and threads
 *	process stats	counters of /proc/PID/status
 */
#include <stdio.h>
#include <string.h>
#include "query/perfetto.h"

#define MAX_CPUS 1024u
#define CLOCK_OF_FTRACE 64u
#define CLOCK_MONOTONIC_RAW 5u
#define KTHREADD_PID 2
#define KIB 1024

enum {
	BUNDLE_CPU = 1, BUNDLE_EVENT = 2, BUNDLE_COMPACT = 4, BUNDLE_CLOCK = 5, BUNDLE_FTRACE_NS = 6, BUNDLE_BOOT_NS = 7,
};
enum { FTRACE_CLOCK_GLOBAL = 2, FTRACE_CLOCK_MONO_RAW = 4 };
enum {
	FTRACE_TIMESTAMP = 1, FTRACE_PID = 2, FTRACE_SCHED_SWITCH = 4, FTRACE_SCHED_WAKING = 20,
	FTRACE_TASK_NEWTASK = 235, FTRACE_TASK_RENAME = 236, FTRACE_SCHED_PROCESS_FREE = 240,
};
enum {
	COMPACT_SWITCH_TIME = 1, COMPACT_STATE, COMPACT_NEXT, COMPACT_PRIORITY, COMPACT_STRINGS, COMPACT_COMM,
	COMPACT_WAKING_TIME, COMPACT_WAKEE, COMPACT_WAKEE_CPU, COMPACT_WAKEE_PRIORITY, COMPACT_WAKEE_COMM,
	COMPACT_WAKING_FLAGS, COMPACT_FIELDS,
};

/* Whose bundle it is, and its clock. */
struct bundle {
	uint32_t cpu, clock, sequence;
};

static bool add_task(struct importer *im, const struct task_event *task)
{
	struct task_event *slot = dv_vec_add(&im->tasks);

	if (!slot)
		return false;
	*slot = *task;
	slot->order = im->order++;
	return true;
}

bool importer_take_described(struct importer *im, const struct descriptor *d)
{
	return add_task(im, &(struct task_event){.type = TASK_DESCRIBED, .index = (uint32_t)(d - im->descriptors.v)});
}

bool importer_take_process_named(struct importer *im, int64_t pid, uint32_t name)
{
	return add_task(im, &(struct task_event){.type = TASK_PROCESS_NAMED, .tid = pid, .name = name});
}

/* ftrace events one by one */

static int64_t to_pid(uint64_t value)
{
	return (int32_t)value;
}

static void take_switch(struct importer *im, struct dv_cursor c, struct task_event *t)
{
	struct proto_field f;

	t->type = TASK_SWITCH;
	t->tid = 0;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t->name = importer_string(im, &f);
		else if (f.number == 2)
			t->tid = to_pid(f.value);
		else if (f.number == 4)
			t->state = (int64_t)f.value;
		else if (f.number == 5)
			t->other_name = importer_string(im, &f);
		else if (f.number == 6)
			t->other = to_pid(f.value);
		else if (f.number == 7)
			t->priority = (int32_t)f.value;
	}
}

static void take_waking(struct importer *im, struct dv_cursor c, struct task_event *t)
{
	struct proto_field f;

	t->type = TASK_WAKING;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t->name = importer_string(im, &f);
		else if (f.number == 2)
			t->other = to_pid(f.value);
	}
}

static void take_new(struct importer *im, struct dv_cursor c, struct task_event *t)
{
	struct proto_field f;

	t->type = TASK_NEW;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t->other = to_pid(f.value);
		else if (f.number == 2)
			t->name = importer_string(im, &f);
		else if (f.number == 3)
			t->state = (int64_t)f.value;
	}
}

static void take_rename(struct importer *im, struct dv_cursor c, struct task_event *t)
{
	struct proto_field f;

	t->type = TASK_RENAME;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t->other = to_pid(f.value);
		else if (f.number == 3)
			t->name = importer_string(im, &f);
	}
}

static void take_free(struct dv_cursor c, struct task_event *t)
{
	struct proto_field f;

	t->type = TASK_FREE;
	while (proto_next(&c, &f)) {
		if (f.number == 2)
			t->other = to_pid(f.value);
	}
}

static bool take_ftrace_event(struct importer *im, const struct bundle *b, struct dv_cursor c)
{
	struct task_event t = {.type = TASK_SEEN, .clock = b->clock, .sequence = b->sequence, .index = b->cpu};
	struct proto_field f, body = {0};

	while (proto_next(&c, &f)) {
		if (f.number == FTRACE_TIMESTAMP && f.wire == PROTO_VARINT) {
			t.ts = f.value;
			t.has_time = true;
		} else if (f.number == FTRACE_PID) {
			t.tid = to_pid(f.value);
		} else if (f.wire == PROTO_BYTES && !body.data) {
			body = f;
		}
	}
	if (c.truncated || !t.has_time || !body.data) {
		im->bad_ftrace++;
		return true;
	}
	if (body.number == FTRACE_SCHED_SWITCH)
		take_switch(im, proto_message(&body), &t);
	else if (body.number == FTRACE_SCHED_WAKING)
		take_waking(im, proto_message(&body), &t);
	else if (body.number == FTRACE_TASK_NEWTASK)
		take_new(im, proto_message(&body), &t);
	else if (body.number == FTRACE_TASK_RENAME)
		take_rename(im, proto_message(&body), &t);
	else if (body.number == FTRACE_SCHED_PROCESS_FREE)
		take_free(proto_message(&body), &t);
	else
		im->unread_ftrace++;
	return add_task(im, &t);
}

/* The compact form */

struct compact {
	struct dv_cursor fields[COMPACT_FIELDS]; /* packed arrays of varints */
	DV_VEC(uint32_t) strings;
};

static bool has_left(const struct compact *p, int first, int last)
{
	for (int i = first; i <= last; i++) {
		if (i != COMPACT_STRINGS && (!dv_cursor_left(&p->fields[i]) || p->fields[i].truncated))
			return false;
	}
	return true;
}

/* Arrays are as long as each other, and strings are there: what is not so ends them. */
static bool take_compact_switches(struct importer *im, const struct bundle *b, struct compact *p)
{
	struct task_event t = {.type = TASK_SWITCH_COMPACT, .clock = b->clock, .sequence = b->sequence, .index = b->cpu,
			       .has_time = true};

	while (has_left(p, COMPACT_SWITCH_TIME, COMPACT_COMM)) {
		uint64_t comm;

		t.ts += proto_varint(&p->fields[COMPACT_SWITCH_TIME]);
		t.state = (int64_t)proto_varint(&p->fields[COMPACT_STATE]);
		t.other = to_pid(proto_varint(&p->fields[COMPACT_NEXT]));
		t.priority = (int32_t)proto_varint(&p->fields[COMPACT_PRIORITY]);
		comm = proto_varint(&p->fields[COMPACT_COMM]);
		if (comm >= p->strings.n)
			break;
		t.other_name = p->strings.v[comm];
		if (!add_task(im, &t))
			return false;
	}
	for (int i = COMPACT_SWITCH_TIME; i <= COMPACT_COMM; i++)
		im->bad_ftrace += dv_cursor_left(&p->fields[i]) > 0 || p->fields[i].truncated;
	return true;
}

static bool take_compact_wakings(struct importer *im, const struct bundle *b, struct compact *p)
{
	enum { HARD_OR_SOFT_INTERRUPT = 0x18 };
	struct task_event t = {.type = TASK_WAKING_COMPACT, .clock = b->clock, .sequence = b->sequence, .index = b->cpu,
			       .has_time = true};

	while (has_left(p, COMPACT_WAKING_TIME, COMPACT_WAKEE_COMM)) {
		uint64_t comm;

		t.ts += proto_varint(&p->fields[COMPACT_WAKING_TIME]);
		t.other = to_pid(proto_varint(&p->fields[COMPACT_WAKEE]));
		proto_varint(&p->fields[COMPACT_WAKEE_CPU]);
		proto_varint(&p->fields[COMPACT_WAKEE_PRIORITY]);
		comm = proto_varint(&p->fields[COMPACT_WAKEE_COMM]);
		/* Recorders before v31 had no flags. */
		t.flag = dv_cursor_left(&p->fields[COMPACT_WAKING_FLAGS]) > 0 &&
			 (proto_varint(&p->fields[COMPACT_WAKING_FLAGS]) & HARD_OR_SOFT_INTERRUPT);
		if (comm >= p->strings.n)
			break;
		if (!add_task(im, &t))
			return false;
	}
	for (int i = COMPACT_WAKING_TIME; i <= COMPACT_WAKEE_COMM; i++)
		im->bad_ftrace += dv_cursor_left(&p->fields[i]) > 0 || p->fields[i].truncated;
	return true;
}

static bool take_compact(struct importer *im, const struct bundle *b, struct dv_cursor c)
{
	struct compact p = {0};
	struct proto_field f;
	bool good = true;

	while (good && proto_next(&c, &f)) {
		if (f.wire != PROTO_BYTES || f.number >= COMPACT_FIELDS)
			continue;
		if (f.number == COMPACT_STRINGS) {
			uint32_t *string = dv_vec_add(&p.strings);

			good = string;
			if (string)
				*string = importer_string(im, &f);
		} else {
			p.fields[f.number] = proto_message(&f);
		}
	}
	good = good && take_compact_switches(im, b, &p) && take_compact_wakings(im, b, &p);
	free(p.strings.v);
	return good;
}

/*
 * Times are the boot clock's, or those of another, with one time of each clock in the bundle to go by. The
 * clocks "local" and "unknown" say nothing that holds for other CPUs: their events are not taken.
 */
static bool take_clock(struct importer *im, const struct sequence *s, struct bundle *b, uint64_t clock, uint64_t ftrace_ns,
		       uint64_t boot_ns)
{
	if (clock == FTRACE_CLOCK_GLOBAL) {
		b->clock = CLOCK_OF_FTRACE;
		b->sequence = s->id;
	} else if (clock == FTRACE_CLOCK_MONO_RAW) {
		b->clock = CLOCK_MONOTONIC_RAW;
	} else if (clock) {
		im->bad_ftrace++;
		b->cpu = MAX_CPUS;
	}
	if (!clock || b->cpu == MAX_CPUS || !ftrace_ns || !boot_ns)
		return true;
	return importer_add_snapshot(im, b->sequence, b->clock, ftrace_ns, boot_ns);
}

bool importer_take_ftrace(struct importer *im, const struct sequence *s, struct dv_cursor c)
{
	struct bundle b = {.cpu = MAX_CPUS, .clock = CLOCK_BOOTTIME};
	uint64_t clock = 0, ftrace_ns = 0, boot_ns = 0;
	struct dv_cursor again = c;
	struct proto_field f;
	bool good;

	while (proto_next(&c, &f)) {
		if (f.number == BUNDLE_CPU && f.wire == PROTO_VARINT)
			b.cpu = f.value < MAX_CPUS ? (uint32_t)f.value : MAX_CPUS;
		else if (f.number == BUNDLE_CLOCK)
			clock = f.value;
		else if (f.number == BUNDLE_FTRACE_NS)
			ftrace_ns = f.value;
		else if (f.number == BUNDLE_BOOT_NS)
			boot_ns = f.value;
	}
	im->bad_ftrace += b.cpu == MAX_CPUS;
	good = take_clock(im, s, &b, clock, ftrace_ns, boot_ns);
	while (good && b.cpu < MAX_CPUS && proto_next(&again, &f)) {
		if (f.number == BUNDLE_EVENT && f.wire == PROTO_BYTES)
			good = take_ftrace_event(im, &b, proto_message(&f));
		else if (f.number == BUNDLE_COMPACT && f.wire == PROTO_BYTES)
			good = take_compact(im, &b, proto_message(&f));
	}
	return good;
}

/* Processes, as /proc has them */

/* A packet's time, if it has one. */
static struct task_event timed_task(struct importer *im, struct sequence *s, const struct packet *p, uint8_t type)
{
	struct event e = {0};

	if (p->has_timestamp)
		importer_take_time(im, s, &e, p->timestamp, p->has_clock ? p->clock : s->default_clock);
	return (struct task_event){.type = type, .ts = e.ts, .clock = e.clock, .sequence = e.sequence,
				   .has_time = p->has_timestamp};
}

/* A kworker's comm has what it works for behind it in /proc: "kworker/45:2-mm_percpu_wq". That passes. */
static size_t worker_name_len(const char *name, size_t len)
{
	static const char worker[] = "kworker/";
	size_t at = sizeof(worker) - 1;

	if (len <= at || memcmp(name, worker, at))
		return len;
	while (at < len && name[at] != '+' && name[at] != '-')
		at++;
	return at;
}

/* Of the command line: its first word names the process. */
static void take_command(struct importer *im, struct task_event *t, const struct dv_buf *line, size_t first, size_t words)
{
	const char *text = (const char *)line->data;
	size_t len = t->other == KTHREADD_PID ? worker_name_len(text, first) : first;

	t->other_name = strings_add(&im->l->strings, text, len < first ? len : line->len);
	/* Some programs write theirs with blanks between the words. */
	if (words == 1 && memchr(text, ' ', len))
		len = (size_t)((const char *)memchr(text, ' ', len) - text);
	t->name = strings_add(&im->l->strings, text, len);
}

static bool take_tree_process(struct importer *im, struct task_event t, struct dv_cursor c)
{
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;
	size_t words = 0, first = 0;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t.tid = to_pid(f.value);
		else if (f.number == 2)
			t.other = to_pid(f.value);
		else if (f.number == 9)
			t.flag = f.value;
		else if (f.number == 7)
			t.state = (int64_t)f.value;
		else if (f.number == 3 && f.wire == PROTO_BYTES) {
			if (words++)
				dv_buf_append(&line, " ", 1);
			dv_buf_append(&line, f.data, f.len);
			first = words == 1 ? line.len : first;
		}
	}
	if (!words || line.failed)
		return !line.failed;
	dv_buf_append(&line, "", 1);
	line.len--;
	take_command(im, &t, &line, first, words);
	return !line.failed && add_task(im, &t);
}

static bool take_tree_thread(struct importer *im, struct task_event t, struct dv_cursor c)
{
	struct proto_field f;

	t.type = TASK_THREAD;
	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t.tid = to_pid(f.value);
		else if (f.number == 2)
			t.name = importer_string(im, &f);
		else if (f.number == 3)
			t.other = to_pid(f.value);
	}
	return add_task(im, &t);
}

bool importer_take_tree(struct importer *im, struct sequence *s, const struct packet *p, struct dv_cursor c)
{
	struct task_event t = timed_task(im, s, p, TASK_PROCESS);
	struct dv_cursor again = c;
	struct proto_field f;
	bool good = true;

	while (good && proto_next(&c, &f)) {
		if (f.number == 1 && f.wire == PROTO_BYTES)
			good = take_tree_process(im, t, proto_message(&f));
	}
	while (good && proto_next(&again, &f)) {
		if (f.number == 2 && f.wire == PROTO_BYTES)
			good = take_tree_thread(im, t, proto_message(&f));
	}
	return good;
}

/* Counters of processes: by field, their names and what their numbers are to be multiplied by. */
static const struct {
	const char *name;
	int64_t factor;
} process_counters[] = {
	[2] = {"mem.virt", KIB}, [3] = {"mem.rss", KIB}, [4] = {"mem.rss.anon", KIB}, [5] = {"mem.rss.file", KIB},
	[6] = {"mem.rss.shmem", KIB}, [7] = {"mem.swap", KIB}, [8] = {"mem.locked", KIB}, [9] = {"mem.rss.watermark", KIB},
	[10] = {"oom_score_adj", 1},
	[16] = {"mem.smaps.rss", KIB}, [17] = {"mem.smaps.pss", KIB}, [18] = {"mem.smaps.pss.anon", KIB},
	[19] = {"mem.smaps.pss.file", KIB}, [20] = {"mem.smaps.pss.smem", KIB}, [21] = {"runtime.user_ns", 1},
	[22] = {"runtime.kernel_ns", 1}, [23] = {"mem.smaps.swap.pss", KIB}, [24] = {"mem.dmabuf_rss", KIB},
};

static bool take_stats_process(struct importer *im, struct task_event t, struct dv_cursor c)
{
	struct dv_cursor again = c;
	struct proto_field f, tid;
	bool good = true;

	while (proto_next(&c, &f)) {
		if (f.number == 1)
			t.tid = to_pid(f.value);
	}
	while (good && proto_next(&again, &f)) {
		if (f.number == 11 && f.wire == PROTO_BYTES) {
			struct task_event thread = t;

			thread.type = TASK_THREAD;
			thread.other = t.tid;
			for (struct dv_cursor m = proto_message(&f); proto_next(&m, &tid);)
				thread.tid = tid.number == 1 ? to_pid(tid.value) : thread.tid;
			good = add_task(im, &thread);
		} else if (f.number < DV_ARRAY_SIZE(process_counters) && process_counters[f.number].name) {
			t.name = strings_put(&im->l->strings, process_counters[f.number].name);
			t.state = (int64_t)(f.value * (uint64_t)process_counters[f.number].factor);
			good = add_task(im, &t);
		}
	}
	return good;
}

bool importer_take_process_stats(struct importer *im, struct sequence *s, const struct packet *p, struct dv_cursor c)
{
	struct task_event t = timed_task(im, s, p, TASK_COUNTER);
	struct proto_field f;
	bool good = true;

	while (good && proto_next(&c, &f)) {
		if (f.number == 1 && f.wire == PROTO_BYTES)
			good = take_stats_process(im, t, proto_message(&f));
	}
	return good;
}
