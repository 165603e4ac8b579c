/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where timestamps come from, and how good they are. */
#ifndef DV_PLUGIN_CLOCK_H
#define DV_PLUGIN_CLOCK_H

#include "plugin/options.h"
#include "plugin/qemu_api.h"
#include "trace/format.h"

struct dv_clock {
	/*
	 * The time in a callback on the last instruction of a block, with that instruction counted: under
	 * icount, the number that replay-seek takes to stand before the next instruction.
	 */
	int64_t (*now)(void);
	enum dv_trace_clock kind;
	const char *inexact_reason; /* NULL: exact */
	bool counts_inline;	    /* every instruction adds one to `counter` by an inline operation */
	qemu_plugin_u64 counter;
};

/*
 * Picks QEMU's icount where it is switched on and exported (icount_get_raw; QEMU built with modules
 * exports it), else instructions counted by the plugin, else the host's clock. lookup is dlsym with
 * RTLD_DEFAULT, or a test's table.
 */
struct dv_clock dv_clock_choose(enum dv_plugin_clock wanted, unsigned cpus, void *(*lookup)(const char *symbol));

#endif
