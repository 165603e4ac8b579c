/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of an adapter. adapter.c has the loop and the life of a session, stops.c says why the guest
 * stopped, run.c makes it move, frames.c shows stacks and values, points.c keeps breakpoints, code.c memory
 * and instructions. A request's handler fills in a body; what it returns as an error goes to the editor.
 */
#ifndef DV_DAP_PRIVATE_H
#define DV_DAP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "dap/adapter.h"

#define MI_TIMEOUT_MS 30000
#define CPU_THREAD 1 /* the one that gdb has: the guest's CPU */
#define FIRST_TRACE_THREAD 2 /* + utid: threads that do not run, by the trace */
#define MAX_FRAMES 4096

/* What a variablesReference stands for, until the guest moves. */
enum handle_kind { HANDLE_LOCALS, HANDLE_REGISTERS, HANDLE_CHILDREN, HANDLE_SLICE };
struct handle {
	enum handle_kind kind;
	int frame;	   /* of LOCALS and REGISTERS */
	char variable[64]; /* gdb's variable object, of CHILDREN */
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
	bool is_open, is_done, wants_progress, lines_from_1;
	uint64_t subscription;
	atomic_uint seq;
	atomic_bool is_stale;	/* the guest moved behind gdb's back */
	atomic_bool is_ready;	/* configurationDone came: stops may be told */
	atomic_bool is_running; /* gdb has been told to go on, and has not said that it stopped */
	atomic_bool own_seek;
	atomic_bool in_progress;
	struct handle *handles;
	size_t handles_len;
	struct group *groups;
	size_t groups_len;
	/* What the console prints while a typed command runs. */
	pthread_mutex_t lock;
	struct dv_buf *capture;
};

/* Sends an event; body is taken over and may be NULL. */
void dap_event(struct adapter *a, const char *event, json_t *body);
void dap_respond(struct adapter *a, int64_t request_seq, const char *command, json_t *body, struct dv_error *err);

/* As dv_mi_run(), and makes gdb forget what it knew of a guest that others have moved. */
struct dv_error *dap_mi(struct adapter *a, json_t **ret, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* stops.c */
void dap_on_line(void *context, const struct dv_mi_line *line);
void dap_on_change(void *context, const struct dv_timeline_now *now);
void dap_forget(struct adapter *a); /* handles: the guest has moved */

typedef struct dv_error *(*dap_handler)(struct adapter *a, const json_t *arguments, json_t *body);

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
struct dv_error *dap_scopes(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_variables(struct adapter *a, const json_t *arguments, json_t *body);
struct dv_error *dap_evaluate(struct adapter *a, const json_t *arguments, json_t *body);

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
