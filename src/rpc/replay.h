/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one replay that all clients share: a session (replay/session.h) with its gdb, and a thread that keeps
 * them alive, reads gdb's terminal and tells clients what changes.
 */
#ifndef DV_RPC_REPLAY_H
#define DV_RPC_REPLAY_H

#include "replay/mi.h"
#include "replay/session.h"
#include "rpc/private.h"

struct replay;

struct dv_error *replay_create(struct dv_rpc *rpc, struct replay **ret);
/* Ends QEMU and gdb. No handler may be at work any more, or it must have been cancelled. NULL-safe. */
void replay_destroy(struct replay *replay);

/* Starts QEMU and gdb, unless they run; waits for it. */
struct dv_error *replay_open(struct replay *replay);
/* Waits for handlers that are at work, which it interrupts. */
void replay_close(struct replay *replay);

/*
 * Keeps the session while a handler uses it. While `moves` is not NULL a cancelled request interrupts the
 * timeline. Errors: DV_ERROR_NOT_FOUND when there is no replay.
 */
struct dv_error *replay_get(struct replay *replay, struct job *moves, struct dv_session **ret);
void replay_put(struct replay *replay, struct job *moves);

/* A ReplayStatus. New reference. */
json_t *replay_status(struct replay *replay);
/* Between replay_get and replay_put. Errors: DV_ERROR_UNSUPPORTED without gdb, DV_ERROR_INVALID while it runs. */
struct dv_error *replay_gdb(struct replay *replay, struct dv_mi **ret);
/* Runs one of gdb's -exec- commands and waits until the guest stands again. */
struct dv_error *replay_exec(struct replay *replay, struct job *job, const char *command);
/* Breakpoints have changed: clients are told. */
void replay_breakpoints_changed(struct replay *replay);
/* The list of BREAKPOINTs by gdb's -break-list. */
struct dv_error *replay_list_breakpoints(struct replay *replay, json_t **ret);

/* The client gets what gdb's terminal prints, with the last of what it has printed before. */
void replay_terminal_open(struct replay *replay, struct dv_rpc_client *client, unsigned columns, unsigned rows);
void replay_terminal_close(struct replay *replay, struct dv_rpc_client *client);
/* Does not block. False: there is no terminal. */
bool replay_terminal_input(struct replay *replay, const void *data, size_t len);

#endif
