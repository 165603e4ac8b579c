/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugging session: a timeline, the recording's trace and symbols, a gdb on a terminal of its own, and a
 * socket on which gdb's `dv` commands (dejaview.py) and others ask.
 *
 * The socket is SOCK_STREAM, a JSON object a line each way. {"do": "seek", "to": "..."} is answered by
 * {"ok": true, "text": "...", ...} or {"ok": false, "error": "..."}. After {"do": "listen"} a line comes for
 * each stop: {"event": "moved", "icount": N, "why": "...", "by_gdb": false}. docs/man/dejaview-debug.1 has
 * the commands.
 */
#ifndef DV_REPLAY_SESSION_H
#define DV_REPLAY_SESSION_H

#include <jansson.h>
#include "base/error.h"
#include "replay/stacks.h"
#include "replay/timeline.h"
#include "symbols/kernel.h"

struct dv_session;

struct dv_session_options {
	struct dv_timeline_options timeline;
	const char *debug_info; /* a vmlinux with DWARF or a folder with one; NULL: where packages put it */
	const char *sysroot;	/* a folder like the guest's root, with user programs that have symbols; or NULL */
};

/* recording is borrowed and must have been checked. Errors: those of the parts. */
struct dv_error *dv_session_create(const struct dv_recording *recording, const struct dv_session_options *options,
				   struct dv_session **ret);
void dv_session_destroy(struct dv_session *session);
DV_DEFINE_CLEANUP(struct dv_session, dv_session_destroy);

struct dv_timeline *dv_session_timeline(struct dv_session *session);
/* NULL: the recording has no trace. */
struct dv_stacks *dv_session_stacks(struct dv_session *session);

/*
 * A moment as people write it: ICOUNT, ICOUNT@ADDRESS, a slice's START:TID:DEPTH, the nth call FUNC#N (or
 * FUNC: the first), "end". Errors: DV_ERROR_INVALID, DV_ERROR_NOT_FOUND.
 */
struct dv_error *dv_session_resolve(struct dv_session *session, const char *text,
				    struct dv_timeline_command *ret);

/* What a line on the socket gets for an answer: a new reference, never NULL. For tests, and for who has no
 * socket. */
json_t *dv_session_answer(struct dv_session *session, const json_t *request);

struct dv_gdb_options {
	const char *gdb;	    /* NULL: "gdb-multiarch" or "gdb", whichever is there */
	const char *const *scripts; /* gdb's -x, after ours; NULL-terminated; NULL: none */
	unsigned rows, columns;	    /* of the terminal; 0: 24, 80 */
	bool mi;		    /* a second terminal that speaks MI */
};

/*
 * Starts gdb, connected to the timeline, symbols loaded. It dies with the calling thread. Errors:
 * DV_ERROR_NOT_FOUND when there is no gdb, with the package it is in.
 */
struct dv_error *dv_session_start_gdb(struct dv_session *session, const struct dv_gdb_options *options);
/* The terminal's other end: what gdb prints is read from it, what is typed is written to it. -1: no gdb. */
int dv_session_terminal_fd(const struct dv_session *session);
/* The same of the MI terminal (dv_mi_create() takes a dup of it). */
int dv_session_mi_fd(const struct dv_session *session);
void dv_session_resize(struct dv_session *session, unsigned rows, unsigned columns);
/* Readable when gdb has ended; *ret_status then is waitpid()'s. */
int dv_session_gdb_pidfd(const struct dv_session *session);
bool dv_session_gdb_ended(struct dv_session *session, int *ret_status);

#endif
