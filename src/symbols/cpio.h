/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An initramfs: the programs and libraries in it. It is what the kernel takes: cpio archives one after
 * another (newc or crc), each as it is or compressed, with zeros between them.
 */
#ifndef DV_SYMBOLS_CPIO_H
#define DV_SYMBOLS_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* What the archives may unpack to, all together. */
#define DV_CPIO_MAX_BYTES (1024u << 20)

struct dv_cpio;

/* Reads all of it and keeps a copy of its ELF files, kernel modules aside. Errors: DV_ERROR_OS, _FORMAT,
 * _TRUNCATED: "PATH: ... at offset N". */
struct dv_error *dv_cpio_open(const char *path, struct dv_cpio **ret);
/* The same of bytes in memory, which are needed no longer afterwards. */
struct dv_error *dv_cpio_open_memory(const void *data, size_t len, struct dv_cpio **ret);
void dv_cpio_close(struct dv_cpio *cpio);
DV_DEFINE_CLEANUP(struct dv_cpio, dv_cpio_close);

/* The bytes of an ELF file; path may begin with "/". False when there is none of that name. Of files with
 * the same name the last counts. */
bool dv_cpio_find(const struct dv_cpio *cpio, const char *path, const uint8_t **ret_data, size_t *ret_len);
/* How many files are kept. */
size_t dv_cpio_count(const struct dv_cpio *cpio);

#endif
