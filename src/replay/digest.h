/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 of files, by nettle. */
#ifndef DV_REPLAY_DIGEST_H
#define DV_REPLAY_DIGEST_H

#include <stdint.h>
#include "base/error.h"

#define DV_DIGEST_TEXT 65 /* 64 hex digits and a NUL */

/* progress may be NULL. Errors: DV_ERROR_OS. */
struct dv_error *dv_digest_file(const char *path,
				void (*progress)(void *context, const char *what, uint64_t done_bytes,
						 uint64_t total_bytes),
				void *context, char ret[static DV_DIGEST_TEXT]);

#endif
