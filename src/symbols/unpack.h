/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compressions that kernels are packed with, told apart by their first bytes. */
#ifndef DV_SYMBOLS_UNPACK_H
#define DV_SYMBOLS_UNPACK_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"

/* What a compressed kernel may unpack to, and what a decoder may use beside that. */
#define DV_UNPACK_MAX_BYTES	   (1024u << 20)
#define DV_UNPACK_MAX_DECODER_BYTES (192u << 20)

struct dv_packer;

/* The compression these bytes begin with, or NULL. */
const struct dv_packer *dv_packer_detect(const uint8_t *data, size_t len);
const char *dv_packer_name(const struct dv_packer *packer);
/* "gzip, xz, ...": all that are known, for messages. */
#define DV_PACKER_NAMES "gzip, xz, zstd, lz4, bzip2 or lzma"

/*
 * Appends to ret what data unpacks to. Bytes after the end of the compressed stream are ignored: a
 * bzImage appends the unpacked size. size_hint is that size, or 0; wrong ones only cost time.
 * max_bytes is at most DV_UNPACK_MAX_BYTES.
 * Errors: DV_ERROR_FORMAT, _TRUNCATED or _UNSUPPORTED, beginning with the compression's name.
 */
struct dv_error *dv_unpack(const struct dv_packer *packer, const uint8_t *data, size_t len,
			   size_t size_hint, size_t max_bytes, struct dv_buf *ret);

/* The same; ret_consumed: how many bytes of data the stream has, behind which another may follow. */
struct dv_error *dv_unpack_one(const struct dv_packer *packer, const uint8_t *data, size_t len, size_t max_bytes,
			       struct dv_buf *ret, size_t *ret_consumed);

#endif
