/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Layers over a recording's qcow2 files: what a replay writes, with nothing copied.
 *
 * A qcow2's internal snapshots cannot be seen through an overlay on it, and no two processes may write one
 * file. So the *bytes* of the file get an overlay: each layer is a qcow2 whose guest-visible contents are the
 * bytes of the file below it, and QEMU's qcow2 driver for the drive stands on the topmost one:
 *
 *	drive -> qcow2 (snapshots, the disk) -> qcow2 (the session's layer, written)
 *					     -> qcow2 (a layer with checkpoints, read)
 *					     -> the recording's file, read
 *
 * A layer is a folder with one file for each of the recording's, of the same name.
 */
#ifndef DV_QEMU_LAYERS_H
#define DV_QEMU_LAYERS_H

#include "qemu/plan.h"

/* Makes in folder, which exists, a layer that changes nothing yet. Errors: as dv_qemu_disks_create(). */
struct dv_error *dv_qemu_layer_create(const struct dv_qemu_plan *plan, const char *folder);

/*
 * In argv, as dv_qemu_plan_argv() has made it, replaces each `file=DISKS/NAME` by NAME of the recording with
 * run->layers and run->disks upon it. Used by that function.
 */
struct dv_error *dv_qemu_layers_apply(const struct dv_qemu_run *run, char **argv);

#endif
