/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What checkpoints.c and checkpoint_maker.c share: the folder's names and its lock. */
#ifndef DV_REPLAY_CHECKPOINTS_PRIVATE_H
#define DV_REPLAY_CHECKPOINTS_PRIVATE_H

#include "replay/checkpoints.h"

#define LAYER_JSON "layer.json"
#define MAKING ".making-"

/* The folder of the nth layer, from 1; free(); NULL: none left. */
char *dv_layer_path(const char *dir, size_t n);
uint64_t dv_layer_bytes(const char *layer);
void dv_layer_remove(const char *layer);
/* Makes dir when it is missing. The lock is let go by closing. Errors: DV_ERROR_INVALID when it is taken. */
struct dv_error *dv_checkpoints_lock(const char *dir, int *ret_fd);
/* Under the lock: removes what killed makers have left, and all layers too if asked. Returns the bytes. */
uint64_t dv_checkpoints_sweep(const char *dir, bool layers_too);

#endif
