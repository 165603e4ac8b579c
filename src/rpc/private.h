/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon's files share. */
#ifndef DV_RPC_PRIVATE_H
#define DV_RPC_PRIVATE_H

#include <pthread.h>
#include "query/query.h"
#include "replay/recording.h"
#include "replay/subject.h"
#include "replay/timeline.h"
#include "rpc/protocol.h"
#include "rpc/rpc.h"
#include "rpc/text.h"

#define MAX_WORKERS 16
#define QUICK_WORKERS 2 /* which long requests leave alone */
#define MAX_SEARCHES 8
#define MAX_LOOKS 1 /* requests at a time that replay on their own, with a QEMU for each CPU */

struct job;
/* Runs on a worker; what it returns ends the request. *ret: a new reference, {} when left NULL. */
typedef struct dv_error *(*dv_rpc_handler)(struct job *job, json_t **ret);

struct dv_rpc_client {
	struct dv_rpc *rpc;
	const struct dv_rpc_sink *sink;
	void *peer;
	/* Under the daemon's lock. */
	unsigned refs;
	bool is_gone;
	struct job *jobs; /* unanswered, by next_of_client */
	unsigned job_count, running;
	struct dv_rpc_client *next, **link;
};

/* A request on its way. */
struct job {
	struct dv_rpc *rpc;
	struct dv_rpc_client *client; /* referenced; NULL: not one of a client's */
	const struct dv_rpc_method *method;
	void (*run)(struct job *job);
	void *context; /* of run */
	uint32_t id;
	json_t *params;
	bool is_long;
	bool is_look; /* replays on its own */

	volatile bool cancel; /* set once, asked by what runs */
	bool is_timed_out;
	uint64_t timeout_ms, deadline_ms; /* monotonic; 0: none */
	char hint[200];
	int error_code; /* enum dv_rpc_error_code, when that is not what the error's own code says; else -1 */

	/* Under the daemon's lock. */
	bool is_running;
	struct dv_sql *sql; /* runs, and may be interrupted */
	struct dv_timeline *timeline; /* moves for this request */
	struct job *next;	    /* in the queue, or among those that run */
	struct job *next_of_client;
};

struct search {
	char *pattern;
	bool match_case;
	struct dv_query_search *search;
	unsigned refs; /* under the daemon's lock */
	uint64_t used;
};

struct dv_rpc {
	struct dv_rpc_options options;
	struct dv_recording *recording; /* NULL: a trace alone */
	struct dv_query *query;		/* once state is ready */

	pthread_mutex_t lock;
	pthread_cond_t work;  /* the queue has something, or all is over */
	pthread_cond_t ticks; /* for the clock: deadlines have changed */
	bool ends;
	pthread_t loader, clock, workers[MAX_WORKERS];
	unsigned worker_count, long_running, looks_running;
	bool loader_started, clock_started, load_cancelled;
	struct job *queue, **queue_tail, *running;
	struct dv_rpc_client *clients;

	int state; /* enum dv_rpc_state */
	uint64_t done_bytes, total_bytes;
	struct dv_error *load_error;

	struct search *searches[MAX_SEARCHES];
	uint64_t search_uses;
	const char **files; /* names of source files in the trace, sorted */
	size_t file_count;
	bool has_files;

	struct replay *replay;

	pthread_mutex_t marks_lock;
	json_t *marks; /* NULL: not read yet */
	char *marks_path;
	uint64_t marks_revision;
};

/* rpc.c */
void dv_rpc_broadcast(struct dv_rpc *rpc, const char *event, json_t *data, const struct dv_rpc_client *except);
/* The trace's state as the event has it; with the lock. New reference. */
json_t *dv_rpc_state_json(struct dv_rpc *rpc);

/* dispatch.c */
void dv_rpc_client_unref(struct dv_rpc_client *client);
bool dv_rpc_client_send_json(struct dv_rpc_client *client, json_t *message); /* takes the reference */
dv_rpc_handler dv_rpc_handler_of(const struct dv_rpc_method *method);
json_t *dv_rpc_error_json(int code, const char *message, const char *hint);
int dv_rpc_error_code(const struct dv_error *err);

/* workers.c */
struct dv_error *dv_rpc_workers_start(struct dv_rpc *rpc);
void dv_rpc_workers_stop(struct dv_rpc *rpc);
/* Takes the job over; with the lock. */
void dv_rpc_enqueue(struct dv_rpc *rpc, struct job *job);
/* With the lock. */
void dv_rpc_cancel(struct job *job);
void dv_rpc_job_free(struct job *job);
uint64_t dv_rpc_now_ms(void);

/* For handlers (dispatch.c): each false, or DV_ERROR_CANCELLED, when the request is not wanted any more. */
bool job_is_cancelled(const struct job *job);
struct dv_error *job_cancelled(struct job *job);
struct dv_error *job_send(struct job *job, bool is_text, const void *data, size_t len);
struct dv_error *job_part(struct job *job, json_t *part); /* takes the reference */
void job_progress(struct job *job, double done, double total, const char *what);
void job_hint(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A connection of its own, which is interrupted when the request is cancelled. */
struct dv_error *job_sql_open(struct job *job, struct dv_sql **ret);
void job_sql_close(struct job *job, struct dv_sql *sql);

/* The recording that is served, to be replayed (writes.c). Errors: those of dv_subject_init(), and
 * DV_ERROR_UNSUPPORTED for what does not replay. */
struct dv_error *job_subject(const struct job *job, struct dv_subject *ret);

/* How far a replay is, told when that has changed by a thousandth (writes.c). False: the request was cancelled. */
bool job_replayed(struct job *job, uint64_t done_icount, uint64_t total_icount, const char *what,
		  uint64_t *told_permille);

/* Parameters that were checked; with the value of an absent one. */
uint64_t param_count(const struct job *job, const char *name, uint64_t otherwise);
const char *param_string(const struct job *job, const char *name);
bool param_bool(const struct job *job, const char *name);

/* describe.c: the protocol's types. New references. */
json_t *describe_thread(const struct dv_query *q, uint32_t utid);
json_t *describe_process(const struct dv_query *q, uint32_t upid);
json_t *describe_track(const struct dv_query *q, uint32_t track);
json_t *describe_function(const struct dv_query *q, uint32_t function);
json_t *describe_slice(const struct dv_query *q, uint32_t id); /* NULL for none */
json_t *describe_trace(const struct dv_query *q);
/* Sets a member unless it is NULL. Takes the reference. */
void set_member(json_t *object, const char *name, json_t *value);

/* search.c */
struct dv_error *search_get(struct dv_rpc *rpc, const char *pattern, bool match_case, struct search **ret);
/* The search whose matches include all calls of a function. */
struct dv_error *search_function(struct dv_rpc *rpc, uint32_t function, struct search **ret);
void search_put(struct dv_rpc *rpc, struct search *search);

#define HANDLER(name) struct dv_error *name(struct job *job, json_t **ret)
HANDLER(handle_hello);
HANDLER(handle_load_cancel);
HANDLER(handle_load_start);
HANDLER(handle_threads);
HANDLER(handle_timeline);
HANDLER(handle_sched);
HANDLER(handle_search);
HANDLER(handle_search_next);
HANDLER(handle_slice);
HANDLER(handle_ancestors);
HANDLER(handle_children);
HANDLER(handle_neighbour);
HANDLER(handle_histogram);
HANDLER(handle_stack_at);
HANDLER(handle_functions);
HANDLER(handle_flamegraph);
HANDLER(handle_callers);
HANDLER(handle_callees);
HANDLER(handle_function_stats);
HANDLER(handle_console);
HANDLER(handle_query);
HANDLER(handle_source);
HANDLER(handle_marks_get);
HANDLER(handle_marks_set);
HANDLER(handle_replay_open);
HANDLER(handle_replay_close);
HANDLER(handle_replay_state);
HANDLER(handle_replay_seek);
HANDLER(handle_replay_step);
HANDLER(handle_replay_step_back);
HANDLER(handle_replay_continue);
HANDLER(handle_replay_reverse_continue);
HANDLER(handle_replay_interrupt);
HANDLER(handle_replay_stack);
HANDLER(handle_replay_locals);
HANDLER(handle_replay_registers);
HANDLER(handle_replay_evaluate);
HANDLER(handle_replay_memory);
HANDLER(handle_replay_breakpoints);
HANDLER(handle_replay_breakpoint_add);
HANDLER(handle_replay_breakpoint_remove);
HANDLER(handle_replay_breakpoint_enable);
HANDLER(handle_writes);
HANDLER(handle_calls);
HANDLER(handle_terminal_open);
HANDLER(handle_terminal_input);
HANDLER(handle_terminal_resize);
HANDLER(handle_terminal_close);

#endif
