/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a timeline. timeline.c has the queue, the thread and the subscribers; timeline_moves.c moves
 * the machine; timeline_back.c moves it backward; timeline_gdb.c speaks with gdb. All but the interface's
 * functions run on the timeline's thread.
 */
#ifndef DV_REPLAY_TIMELINE_PRIVATE_H
#define DV_REPLAY_TIMELINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "replay/gdbserver.h"
#include "replay/timeline.h"

#define MAX_POINTS 64

/* A breakpoint or watchpoint. QEMU has it only while the guest runs. */
struct point {
	char type; /* gdb's: '0' to '4' */
	uint64_t vaddr, bytes;
	bool by_gdb, by_us;
	uint64_t value; /* watched, as it was when the run began */
	bool has_value;
};

/* A state of the guest among others at the same icount. */
struct state {
	uint64_t icount, rip;
};

enum request_kind { REQUEST_COMMAND, REQUEST_MEMORY, REQUEST_REGISTERS, REQUEST_POINT };

struct request {
	enum request_kind kind;
	struct dv_timeline_command command;
	uint64_t vaddr, bytes;
	void *to;
	char type;
	bool set;
	dv_timeline_done_fn done; /* of a posted one */
	void *context;
	bool posted;		  /* on the heap, freed when done */
	bool finished;
	struct dv_error *err;
	struct dv_timeline_now now;
	struct request *next;
};

struct subscriber {
	uint64_t id;
	dv_timeline_change_fn change;
	void *context;
	struct subscriber *next;
};

struct dv_timeline {
	const struct dv_recording *recording;
	struct dv_timeline_options options;
	struct dv_scratch run;
	char *gdb_socket;
	uint64_t end_icount; /* the place that is called the end */

	pthread_t thread, maker;
	bool has_thread, has_maker;
	pthread_mutex_t lock; /* of the members down to the blank line */
	pthread_cond_t changed;
	pthread_mutex_t calls; /* held while subscribers are called; recursive */
	struct request *first, **last;
	struct subscriber *subscribers;
	uint64_t last_id;
	struct dv_timeline_now now;
	struct dv_buf notes;
	bool started;
	struct dv_error *start_error;
	size_t queued_commands;

	int wake_fd;
	atomic_bool interrupted, closing, new_checkpoints;

	/* Of the thread alone. */
	struct dv_replay replay;
	bool is_open;
	struct dv_gdb_server server;
	char *gdb_features; /* gdb's qSupported; NULL before it */
	char gdb_thread[32]; /* "thread:p01.01;", for stops */
	bool gdb_waits; /* gdb has set the guest going and waits for its stop */
	struct point points[MAX_POINTS];
	size_t points_len;
	struct state *window; /* consecutive states, the first of them on the near snapshot when there is one */
	size_t window_len, window_cap;
	bool has_near;
	unsigned backs; /* steps back in a row */
	int64_t told_ms;
};

int64_t timeline_ms(void);
/* Says something out of the ordinary, once. */
void timeline_note(struct dv_timeline *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Changes what dv_timeline_now() says and tells the subscribers. */
void timeline_publish(struct dv_timeline *t, const struct dv_timeline_now *now);
/* Fills in where the guest stands and publishes that it stopped. */
struct dv_error *timeline_stopped(struct dv_timeline *t, struct dv_timeline_now *now);
/* Whether what is under way shall stop: Ctrl-C from anywhere; for a run also somebody's next command. */
bool timeline_shall_stop(struct dv_timeline *t, bool also_for_others);

/* timeline_moves.c. Each ends with the guest standing, also when it fails. */
struct dv_error *timeline_open(struct dv_timeline *t);
struct dv_error *timeline_seek(struct dv_timeline *t, uint64_t icount, uint64_t rip, struct dv_where *ret);
struct dv_error *timeline_command(struct dv_timeline *t, const struct dv_timeline_command *command,
				  struct dv_timeline_now *now);
struct dv_error *timeline_insert(struct dv_timeline *t, bool insert);
/* Runs to a point, to limit_icount, or until it shall stop; *why says which, and now->address for a point. */
struct dv_error *timeline_run(struct dv_timeline *t, uint64_t limit_icount, struct dv_timeline_now *now);
/* One step, with the points set, which watchpoints then notice. */
struct dv_error *timeline_step_watching(struct dv_timeline *t, struct dv_timeline_now *now);
struct dv_error *timeline_replace(struct dv_timeline *t, const char *why);
bool timeline_is_gone(const struct dv_error *err);
uint64_t timeline_value(struct dv_timeline *t, const struct point *point, bool *ret_known);
struct point *timeline_point_at(struct dv_timeline *t, uint64_t vaddr, bool watched);

/* timeline_back.c */
struct dv_error *timeline_step_back(struct dv_timeline *t, struct dv_timeline_now *now);
struct dv_error *timeline_reverse_continue(struct dv_timeline *t, struct dv_timeline_now *now);

/* timeline_gdb.c */
void timeline_gdb_packet(struct dv_timeline *t, const char *packet);
/* A new QEMU is told what gdb agreed on with the one before. */
struct dv_error *timeline_gdb_introduce(struct dv_timeline *t);

#endif
