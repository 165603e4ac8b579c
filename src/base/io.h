/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and paths: reading, mapping, writing whole files so that a crash leaves the old or the new. */
#ifndef DV_BASE_IO_H
#define DV_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/error.h"

/* A file mapped read-only. data is NULL for an empty file. */
struct dv_mapped_file {
	const uint8_t *data;
	size_t len;
};

/* Maps a regular file. Errors: DV_ERROR_OS, or DV_ERROR_INVALID for what is not a regular file. */
struct dv_error *dv_mapped_file_init(const char *path, struct dv_mapped_file *ret);
void dv_mapped_file_deinit(struct dv_mapped_file *file);

/* Reads a file of at most max_bytes whole; DV_ERROR_INVALID when it is larger. Appends to ret. */
struct dv_error *dv_read_file(const char *path, size_t max_bytes, struct dv_buf *ret);

/* Writes all bytes, going on after short writes and EINTR. path is for the message alone. */
struct dv_error *dv_write_all(int fd, const void *data, size_t len, const char *path);

/* Replaces path with data by way of a temporary file beside it, fsync and rename. */
struct dv_error *dv_replace_file(const char *path, const void *data, size_t len, mode_t mode);

/* mkdir -p. */
struct dv_error *dv_make_dirs(const char *path);

/* Copies a file, with reflink where the file system can, else keeping holes. Refuses an existing to. */
struct dv_error *dv_copy_file(const char *from, const char *to);

/* "DIR/NAME" in new memory (free()); NULL when out of memory. name may be absolute: then a copy of it. */
char *dv_path_join(const char *dir, const char *name);

#endif
