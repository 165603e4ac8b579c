/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qcow2 files of a recording, made with qemu-img: one overlay per writable drive, and the one that
 * holds the machine's snapshots. */
#ifndef DV_QEMU_DISKS_H
#define DV_QEMU_DISKS_H

#include "base/buf.h"
#include "qemu/plan.h"

/*
 * Looks at every image (fills in format, virtual_bytes and backing) and makes in the folder the overlays
 * and DV_QEMU_SNAPSHOTS. The images are only read. Errors: DV_ERROR_NOT_FOUND for a missing image or a
 * missing qemu-img; DV_ERROR_EXITED with qemu-img's own words.
 */
struct dv_error *dv_qemu_disks_create(struct dv_qemu_plan *plan, const char *folder);

/* Runs qemu-img (argv[0]) as dv_process_run() does; a missing one is said with the package it is in. */
struct dv_error *dv_qemu_img(char *const *argv, size_t max_bytes, struct dv_buf *ret);

#endif
