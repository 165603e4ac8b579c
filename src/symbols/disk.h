/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files out of a guest's disk image, whatever format QEMU knows: qemu-nbd serves it read-only, libblkid
 * finds the partitions, libext2fs reads ext2, ext3 and ext4. Nothing is mounted, nothing is written, and an
 * image that a running QEMU has open can be read all the same.
 *
 * The journal is not replayed: what the guest wrote last before it was stopped may be missing.
 */
#ifndef DV_SYMBOLS_DISK_H
#define DV_SYMBOLS_DISK_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"

struct dv_disk;

/* Errors: DV_ERROR_OS, DV_ERROR_PROTOCOL when it cannot be served, DV_ERROR_NOT_FOUND when there is no ext
 * file system on it. They name the image. */
struct dv_error *dv_disk_open(const char *image, struct dv_disk **ret);
void dv_disk_close(struct dv_disk *disk);
DV_DEFINE_CLEANUP(struct dv_disk, dv_disk_close);

/*
 * Reads a regular file of at most max_bytes. path is as the guest sees it: with an inode number it may lie
 * on a file system that is mounted below the root, and is taken for the same only when the number fits; with
 * inode 0 the path alone counts. An image without the file leaves ret as it is.
 */
struct dv_error *dv_disk_read(struct dv_disk *disk, const char *path, uint64_t inode, size_t max_bytes,
			      struct dv_buf *ret);

/* How many file systems were found. */
size_t dv_disk_count(const struct dv_disk *disk);

#endif
