/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool read to its end while another process still writes it. */
#ifndef DV_PLUGIN_SPOOL_DRAIN_H
#define DV_PLUGIN_SPOOL_DRAIN_H

#include "base/error.h"
#include "callgraph/event.h"

struct dv_spool_source {
	const char *path; /* made before its writer starts */
	uint64_t slide;	  /* the kernel's, that the writer must have found too */
	/* Given the events in pieces, and none from time to time while it waits; takes over what they point to. */
	void (*take)(void *context, const struct dv_event *events, size_t count);
	void *context;
};

/*
 * Returns at the spool's end. One whose writer has died never ends: whoever watches the writer ends this process
 * too. Errors: DV_ERROR_OS; DV_ERROR_FORMAT; DV_ERROR_MISMATCH of the slide.
 */
struct dv_error *dv_spool_drain(const struct dv_spool_source *source);

#endif
