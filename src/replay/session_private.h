/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a session: session.c answers, session_gdb.c has gdb and its files, session_user.c user programs,
 * session_modules.c kernel modules.
 */
#ifndef DV_REPLAY_SESSION_PRIVATE_H
#define DV_REPLAY_SESSION_PRIVATE_H

#include <pthread.h>
#include "qemu/process.h"
#include "replay/session.h"

#define MAX_CLIENTS 16

struct session_user;
struct session_modules;

struct session_client {
	struct dv_session *session;
	pthread_t thread;
	pthread_mutex_t writing;
	int fd; /* -1: the place is free, or its thread has ended */
	bool has_thread, listens;
};

struct dv_session {
	const struct dv_recording *recording;
	struct dv_timeline *timeline;
	struct dv_stacks *stacks; /* NULL: no trace */
	struct session_user *user;
	struct session_modules *modules; /* NULL: nobody has looked for them yet */
	struct dv_kernel *kernel; /* NULL: no symbols; why says so */
	char *no_symbols, *debug_info;
	bool has_slide;
	uint64_t slide;

	pthread_mutex_t asking; /* stacks are used by one thread at a time */
	struct session_client clients[MAX_CLIENTS];
	pthread_t acceptor;
	bool has_acceptor;
	int listen_fd, stop_fd;
	char *socket;
	uint64_t subscription;

	struct dv_process gdb;
	int terminal_fd, mi_fd;
	char *files[8]; /* in the run folder, removed at the end */
	size_t files_len;
};

/*
 * session_user.c: what the process that runs now has mapped. Appends {"path", "bias", "name"} to files, and names
 * that no source has to missing. Needs a trace.
 */
struct dv_error *session_user_create(const char *sysroot, struct session_user **ret);
void session_user_destroy(struct session_user *user);
struct dv_error *session_user_symbols(struct dv_session *s, json_t *files, json_t *missing);

/* session_modules.c: looks for the modules' debug files, once, which takes a while. */
struct dv_error *session_modules_find(struct dv_session *s);
void session_modules_destroy(struct session_modules *modules);
/* What is wrong with a file that was found; NULL: nothing. */
const char *session_modules_complaint(const struct dv_session *s);
/* [{"number", "address", "path"}] that gdb is to have at the current moment; null: not looked for yet. */
json_t *session_modules_now(struct dv_session *s);
/* Whether a file that was found has the code there, at some moment. */
bool session_modules_have(const struct dv_session *s, uint64_t vaddr);

/* Writes the file of the functions in modules without a debug file; *ret NULL: there are none. */
struct dv_error *session_gdb_modules(struct dv_session *s, const char **ret);
/* Stops gdb and removes its files. */
void session_gdb_deinit(struct dv_session *s);

#endif
