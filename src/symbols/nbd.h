/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk image's bytes, whatever its format, from a qemu-nbd that is started for it and ends with it. */
#ifndef DV_SYMBOLS_NBD_H
#define DV_SYMBOLS_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_nbd;

/* Errors: DV_ERROR_PROTOCOL, with what qemu-nbd or libnbd says, and the image. */
struct dv_error *dv_nbd_open(const char *image, struct dv_nbd **ret);
void dv_nbd_close(struct dv_nbd *nbd);

uint64_t dv_nbd_size(const struct dv_nbd *nbd);
/* All or nothing; through a small cache. */
bool dv_nbd_read(struct dv_nbd *nbd, uint64_t offset, void *to, size_t len);

#endif
