/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands behind `-plugin libdejaview-plugin.so,`: parsed and checked before anything starts. */
#ifndef DV_PLUGIN_OPTIONS_H
#define DV_PLUGIN_OPTIONS_H

#include "base/error.h"
#include "callgraph/callgraph.h"

enum dv_plugin_clock {
	DV_PLUGIN_CLOCK_AUTO,	 /* icount where QEMU counts and exports it, else counter or host */
	DV_PLUGIN_CLOCK_COUNTER, /* instructions counted by the plugin: drifts at faults, not exact */
	DV_PLUGIN_CLOCK_HOST,	 /* host nanoseconds */
};

#define DV_PLUGIN_MAX_DISKS 16
#define DV_PLUGIN_MAX_SEGMENTS 64

struct dv_plugin_options {
	const char *symbols_from; /* NULL: QEMU's own -kernel */
	const char *sysroot;	  /* a folder like the guest's root, for user symbols; NULL: none */
	const char *initrd;	  /* NULL: QEMU's own -initrd */
	const char *disks[DV_PLUGIN_MAX_DISKS + 1]; /* the guest's images; NULL-terminated */
	const char *debug_info;	  /* a vmlinux with DWARF or a folder of such; NULL: where packages put it */
	const char *out;	  /* default dejaview.dvtrace */
	const char *status;	  /* NULL: none */
	/*
	 * A recording traced in segments, each by a QEMU of its own: from the first event at or after `from` to
	 * before the first at or after `to`. The first segment writes the trace, and goes on with the events of the
	 * files of `then`, in order; each of the others puts its events into such a file, `spool`.
	 */
	const char *spool;	  /* NULL: this one writes the trace */
	uint64_t from, to;	  /* to: default UINT64_MAX */
	const char *then[DV_PLUGIN_MAX_SEGMENTS + 1]; /* NULL-terminated */
	const char *starting_from, *stopping_at, *ignore_below; /* function names or NULL */
	const char *during;	  /* comm or NULL */
	const char *watch, *capture; /* the closer looks' places (watch.h, capture.h) or NULL: then it traces */
	uint64_t min_insns;
	uint32_t max_depth;
	enum dv_plugin_clock clock;
};

/* argv as QEMU hands it over: "key=value" each; strings are borrowed. Errors: DV_ERROR_INVALID. */
struct dv_error *dv_plugin_options_parse(int argc, char *const *argv, struct dv_plugin_options *ret);

#endif
