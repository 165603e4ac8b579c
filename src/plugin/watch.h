/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory-watching mode: every store that touches one of a few ranges of guest-physical memory becomes a
 * record of trace/capture.h. Nothing is traced besides.
 */
#ifndef DV_PLUGIN_WATCH_H
#define DV_PLUGIN_WATCH_H

#include <stdio.h>
#include "plugin/clock.h"
#include "plugin/qemu_api.h"

/* A range that crosses a page has a piece for each. */
#define DV_WATCH_MAX_PIECES 16
#define DV_WATCH_MAX_BYTES  4096

struct dv_watch_piece {
	uint64_t phys;
	uint32_t bytes; /* within one 4 KiB page */
};

struct dv_watch {
	struct dv_watch_piece pieces[DV_WATCH_MAX_PIECES];
	size_t len;
};

/* "PHYS:BYTES+PHYS:BYTES...". Errors: DV_ERROR_INVALID. */
struct dv_error *dv_watch_parse(const char *text, struct dv_watch *ret);
/* The piece that a store of bytes at phys touches, or NULL. */
const struct dv_watch_piece *dv_watch_find(const struct dv_watch *watch, uint64_t phys, uint32_t bytes);

/* Registers the callbacks; records go to out, which the caller closes when QEMU ends. */
void dv_watch_start(qemu_plugin_id_t id, const struct dv_watch *watch, const struct dv_clock *clock, FILE *out);

#endif
