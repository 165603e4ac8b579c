/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folders of a process's own, for sockets and a replay's disks. Its maker holds a flock on it, which goes with
 * the process however that ends: whoever makes the next one beside it removes those that nobody holds.
 */
#ifndef DV_REPLAY_SCRATCH_H
#define DV_REPLAY_SCRATCH_H

#include "base/error.h"

struct dv_scratch {
	char *path;  /* NULL: none */
	int lock_fd; /* with a path */
};

#define DV_SCRATCH_INIT {.lock_fd = -1}

/* "PARENT/PREFIXxxxxxx", after removing what dead ones have left there. Errors: DV_ERROR_OS. */
struct dv_error *dv_scratch_create(const char *parent, const char *prefix, struct dv_scratch *ret);
/*
 * With a path short enough for a socket in it: in $XDG_RUNTIME_DIR, else in the user's cache
 * ($XDG_CACHE_HOME/dejaview/run, ~/.cache/dejaview/run), and in /tmp if both are too long or cannot be written.
 */
struct dv_error *dv_scratch_create_short(struct dv_scratch *ret);
/* Where files go that have no place beside what they belong to: the cache above, made if need be. free(). */
struct dv_error *dv_scratch_cache(char **ret);
/* Removes the folder with the plain files in it. Nothing where there is none. */
void dv_scratch_remove(struct dv_scratch *scratch);

#endif
