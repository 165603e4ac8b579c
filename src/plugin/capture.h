/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The argument-capturing mode: each call of a few functions becomes a record with its argument registers and
 * what they point to, and each return from them one with the value (trace/capture.h). Nothing is traced
 * besides.
 */
#ifndef DV_PLUGIN_CAPTURE_H
#define DV_PLUGIN_CAPTURE_H

#include <stdio.h>
#include "guest/arch.h"
#include "plugin/clock.h"
#include "plugin/qemu_api.h"
#include "trace/capture.h"

#define DV_CAPTURE_MAX_FUNCTIONS 64
#define DV_CAPTURE_MAX_OPEN	 1024

struct dv_capture {
	struct {
		uint64_t vaddr;	       /* of the first instruction, as the guest runs it; of user code only the
					  place in the page counts, wherever a process has it */
		uint32_t strings_mask; /* arguments (bit 0: the first) that are C strings */
	} functions[DV_CAPTURE_MAX_FUNCTIONS];
	size_t len;
	/* Stack slots of calls that were made before, and return here. */
	uint64_t open[DV_CAPTURE_MAX_OPEN];
	size_t open_len;
};

/* "VADDR:STRINGS_MASK+VADDR:STRINGS_MASK...@SLOT+SLOT..."; either part may be missing. Errors:
 * DV_ERROR_INVALID. */
struct dv_error *dv_capture_parse(const char *text, struct dv_capture *ret);

/* Registers the callbacks; records go to out, which the caller closes when QEMU ends. */
void dv_capture_start(qemu_plugin_id_t id, const struct dv_capture *capture, const struct dv_arch *arch,
		      const struct dv_clock *clock, FILE *out);

#endif
