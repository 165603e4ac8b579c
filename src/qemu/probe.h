/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which QEMU is this, and can it do what a recording with a trace needs? */
#ifndef DV_QEMU_PROBE_H
#define DV_QEMU_PROBE_H

#include <stdbool.h>
#include "base/error.h"

#define DV_QEMU_MIN_MAJOR 9
#define DV_QEMU_MIN_MINOR 2

struct dv_qemu_version {
	unsigned major, minor, micro;
	char *text;    /* the first line of `-version` */
	bool plugins;  /* takes -plugin */
};

void dv_qemu_version_deinit(struct dv_qemu_version *version);

/*
 * Runs `BINARY -version`. Errors: DV_ERROR_NOT_FOUND when there is no such program, DV_ERROR_UNSUPPORTED
 * when it is older than 9.2, with where a newer one comes from; DV_ERROR_FORMAT when it is no QEMU.
 */
struct dv_error *dv_qemu_probe(const char *binary, struct dv_qemu_version *ret);

/* The same from the text alone, for tests and for manifests. */
struct dv_error *dv_qemu_version_parse(const char *binary, const char *text, struct dv_qemu_version *ret);

#endif
