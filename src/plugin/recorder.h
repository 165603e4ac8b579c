/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writer thread: takes events from the ring, runs the call-graph machine over them and writes the
 * trace. Everything that takes time happens here, off the vCPU's thread.
 */
#ifndef DV_PLUGIN_RECORDER_H
#define DV_PLUGIN_RECORDER_H

#include "plugin/names.h"
#include "plugin/options.h"
#include "plugin/ring.h"
#include "trace/writer.h"

struct dv_recorder;

struct dv_recorder_setup {
	const struct dv_plugin_options *options; /* borrowed, as are the next two */
	const struct dv_arch *arch;
	const struct dv_kernel *kernel; /* may be NULL */
	const struct dv_sources *sources; /* may be NULL */
	struct dv_debug_files *debug_files; /* borrowed until it is finished; of modules' lines; may be NULL */
	bool follows_user_space;	/* the tracer sends mappings */
	const char *initrd;		/* may be NULL */
	enum dv_trace_clock clock;
	const char *inexact_reason; /* NULL when timestamps are exact */
};

/* Creates the trace file and starts the thread. */
struct dv_error *dv_recorder_create(const struct dv_recorder_setup *setup, struct dv_recorder **ret);
struct dv_ring *dv_recorder_ring(struct dv_recorder *recorder);

/* Drains the ring, ends the trace, joins the thread, frees. Returns the first error of writing. */
struct dv_error *dv_recorder_finish(struct dv_recorder *recorder);

#endif
