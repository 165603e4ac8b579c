/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's machine protocol: one JSON object per line, over a UNIX socket. One command is under
 * way at a time; events that come in between are kept until asked for.
 */
#ifndef DV_REPLAY_QMP_H
#define DV_REPLAY_QMP_H

#include <jansson.h>
#include "base/error.h"

struct dv_qmp;

/*
 * Takes over a connected socket (also when it fails), reads the greeting and agrees on capabilities.
 * Errors: DV_ERROR_TIMEOUT, DV_ERROR_PROTOCOL, DV_ERROR_EXITED when the peer has gone.
 */
struct dv_error *dv_qmp_create(int fd, int timeout_ms, struct dv_qmp **ret);
void dv_qmp_destroy(struct dv_qmp *qmp);
DV_DEFINE_CLEANUP(struct dv_qmp, dv_qmp_destroy);

/* For poll(); readable means that dv_qmp_event(qmp, 0, ...) may find something. */
int dv_qmp_fd(const struct dv_qmp *qmp);

/*
 * Runs a command. arguments is taken over and may be NULL; ret (a new reference) may be NULL. Errors as
 * above; DV_ERROR_PROTOCOL has the command's name and QEMU's own words.
 */
struct dv_error *dv_qmp_run(struct dv_qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
			    json_t **ret);

/* Runs a line of the human monitor; its words, which are how it fails, too, in new memory. */
struct dv_error *dv_qmp_human(struct dv_qmp *qmp, const char *line, int timeout_ms, char **ret);

/* The oldest event not yet taken, waited for at most timeout_ms: *ret is NULL when there is none. */
struct dv_error *dv_qmp_event(struct dv_qmp *qmp, int timeout_ms, json_t **ret);

/* Connects to a UNIX socket, trying until timeout_ms have passed: QEMU makes it a moment after it starts. */
struct dv_error *dv_unix_connect(const char *path, int timeout_ms, int *ret_fd);

#endif
