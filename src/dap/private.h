/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of an adapter. adapter.c has the loop and the table of requests, inbox.c reads them, launch.c
 * begins and ends a session, stops.c says why the guest stopped, run.c makes it move, frames.c shows stacks,
 * values.c what is in them, points.c keeps breakpoints, code.c memory and instructions. A request's handler
 * fills in a body; what it returns as an error goes to the editor.
 */
#ifndef DV_DAP_PRIVATE_H
#define DV_DAP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "dap/adapter.h"

#define MI_TIMEOUT_MS 30000
#define TYPED_TIMEOUT_MS 600000 /* a seek without checkpoints, a "whatis" that reads all debug information */
#define CPU_THREAD 1 /* the one that gdb has: the guest's CPU */
#define FIRST_TRACE_THREAD 2 /* + utid: threads that do not run, by the trace */
#define MAX_FRAMES 4096
#define TRACE_FRAME_BASE (1 << 24) /* frame ids: gdb's levels from 1 on; from here on slices' ids */

/* What a variablesReference stands for, until the guest moves. */
enum handle_kind { HANDLE_LOCALS, HANDLE_REGISTERS, HANDLE_CHILDREN, HANDLE_SLICE };
struct handle {
	enum handle_kind kind;
	int frame;	   /* of LOCALS and REGISTERS */
	int number;	   /* in dejaview_mi.py, of CHILDREN */
	uint32_t slice;	   /* of SLICE */
};

/* Breakpoints of one kind and, for lines, of one file: the editor always gives all of them anew. */
struct group {
	char *key;
	int *numbers;
	size_t len;
};

struct adapter {
	struct dv_dap_transport *transport;
	const struct dv_dap_host *host;
	struct dv_dap_target target;
	bool is_open, is_done, is_answered, wants_progress, lines_from_1;
	bool is_typed;	    /* what runs was typed into the console */
	bool is_subscribed; /* to the timeline, as subscription */
	uint64_t subscription;
	atomic_uint seq;
	atomic_bool is_stale;	/* the guest moved behind gdb's back */
	atomic_bool is_ready;	/* configurationDone came: stops may be told */
	atomic_bool is_running; /* gdb has been told to go on, and has not said that it stopped */
	atomic_bool is_told;	/* the editor knows that it runs */
	atomic_bool own_seek;
	atomic_bool in_progress;
	atomic_uint moves; /* how often the guest has */
	struct handle *handles;
	size_t handles_len;
	unsigned handles_moves;	 /* moves, when they were made */
	int64_t handles_before;	 /* how many there were before these: none is used twice */
	struct group *groups;
	size_t groups_len;
	pthread_mutex_t lock; /* of the next two */
	/* What the console prints while a typed command runs. */
	struct dv_buf *capture;
	struct dv_timeline *interruptible; /* by the reading thread; NULL: nothing is open */
	/* The request that is being handled. */
	int64_t request_seq;
	const char *command;
};

/* Sends an event; body is taken over and may be NULL. */
void dap_event(struct adapter *a, const char *event, json_t *body);
void dap_respond(struct adapter *a, int64_t request_seq, const char *command, json_t *body, struct dv_error *err);

/* A line in the debug console that every editor shows as an error. */
void dap_complain(struct adapter *a, const char *message);

/* Refused while the guest runs: gdb would answer when it stops. As dv_mi_run() else, and makes gdb forget what it knew of a guest that others have moved. */
struct dv_error *dap_mi(struct adapter *a, json_t **ret, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* stops.c */
void dap_on_line(void *context, const struct dv_mi_line *line);
void dap_on_change(void *context, const struct dv_timeline_now *now);
void dap_forget(struct adapter *a); /* handles: the guest has moved; on any thread */

typedef struct dv_error *(*dap_handler)(struct adapter *a, const json_t *arguments, json_t *body);

/* launch.c */
struct dv_error *dap_launch(struct adapter *a, const json_t *arguments, json_t *body);
void dap_close(struct adapter *a);

/* run.c */
struct dv_error *dap_continue(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_reverse_continue(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_next(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_step_in(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_step_out(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_step_back(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_pause(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_goto_icount(struct adapter *a, const json_t *arguments, json_t *body);

/* frames.c */
struct dv_error *dap_threads(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_stack_trace(struct adapter *a, const json_t *arguments, json_t *body);

/* values.c */
struct dv_error *dap_scopes(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_variables(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_evaluate(struct adapter *a, const json_t *arguments, json_t *body);
/* Where a variable lies: an expression that holds everywhere. reference: what it is in, 0: an expression. free(). */
struct dv_error *dap_place(struct adapter *a, int64_t reference, int64_t frame, const char *name, char **ret);

/* points.c */
struct dv_error *dap_set_breakpoints(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_set_function_breakpoints(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_set_instruction_breakpoints(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_data_breakpoint_info(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_set_data_breakpoints(struct adapter *a, const json_t *arguments, json_t *body);
void dap_free_points(struct adapter *a);

/* code.c */
struct dv_error *dap_disassemble(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_read_memory(struct adapter *a, const json_t *arguments, json_t *body);

static inline const char *dap_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
static inline int64_t dap_integer(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

#endif
