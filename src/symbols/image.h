/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel file opened down to its uncompressed bytes: an ELF, or the raw Image of arm64 and riscv. */
#ifndef DV_SYMBOLS_IMAGE_H
#define DV_SYMBOLS_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"

struct dv_image {
	const uint8_t *data; /* of the mapping or of the buffer */
	size_t len;
	uint16_t raw_machine; /* EM_AARCH64 or EM_RISCV of a raw Image; 0 for an ELF */
	struct dv_mapped_file file;
	struct dv_buf unpacked;
};

/*
 * Errors: DV_ERROR_OS; DV_ERROR_FORMAT, _TRUNCATED or _UNSUPPORTED that say which container was found,
 * where in the file, and what is wrong in it. They do not begin with the path.
 */
struct dv_error *dv_image_init(const char *path, struct dv_image *ret);
/* The same of bytes in memory, which are borrowed. */
struct dv_error *dv_image_init_memory(const uint8_t *data, size_t len, size_t max_bytes, struct dv_image *ret);
void dv_image_deinit(struct dv_image *image);

#endif
