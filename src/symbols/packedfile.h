/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of this machine, read whole and unpacked where it is compressed: modules are installed as .ko.xz, .ko.zst or
 * .ko.gz (the kernel's CONFIG_MODULE_COMPRESS).
 */
#ifndef DV_SYMBOLS_PACKEDFILE_H
#define DV_SYMBOLS_PACKEDFILE_H

#include "base/io.h"

struct dv_packed_file {
	const uint8_t *data; /* what is in it */
	size_t len;
	bool is_packed; /* data is other than the file's own bytes */
	struct dv_mapped_file file;
	struct dv_buf unpacked;
};

/* Errors: those of dv_mapped_file_init() and, naming path, of dv_unpack(). ret needs no deinit after one. */
struct dv_error *dv_packed_file_init(const char *path, struct dv_packed_file *ret);
void dv_packed_file_deinit(struct dv_packed_file *file);

/* Where such an ending begins in a file's name (".xz", ".zst", ".gz"), or at its end: how long it is without. */
size_t dv_packed_name_len(const char *name);

#endif
