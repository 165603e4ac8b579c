/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Debug Adapter Protocol on a replay: an editor launches a recording at a place and steps through it,
 * forwards and backwards. gdb does the work, by its machine interface; where the guest stands is the
 * timeline's, which others may move, too.
 *
 * Beyond the protocol: `launch` takes {recording, at, debugInfo ...}; the request `gotoIcount` {icount} and,
 * typed into the debug console, `dv seek N`, go to an instruction count; the event `dejaview`
 * {icount, why} says where the guest stands whenever it has moved.
 */
#ifndef DV_DAP_ADAPTER_H
#define DV_DAP_ADAPTER_H

#include "dap/transport.h"
#include "query/query.h"
#include "replay/mi.h"
#include "replay/timeline.h"

/* What a launch opened; all borrowed from the host until close. */
struct dv_dap_target {
	struct dv_timeline *timeline;
	bool has_start; /* it shall begin at: */
	struct dv_timeline_command start;
	struct dv_mi *mi;	      /* of a gdb that is connected to the timeline */
	const struct dv_query *query; /* the recording's trace; may be NULL */
};

/* Who opens recordings for the adapter. Errors go to the editor as they are. */
struct dv_dap_host {
	/* arguments: those of `launch`. The timeline, and where to begin. */
	struct dv_error *(*open)(void *context, const json_t *arguments, struct dv_dap_target *ret);
	/* The guest is there: gdb and the trace. on_line is to be given what gdb says by itself, as of dv_mi_create(). */
	struct dv_error *(*start)(void *context, dv_mi_fn on_line, void *line_context, struct dv_dap_target *ret);
	/* Also after an error. */
	void (*close)(void *context);
	void *context;
};

/* Serves one client until it disconnects. Errors: those of dv_dap_receive(). */
struct dv_error *dv_dap_serve(struct dv_dap_transport *transport, const struct dv_dap_host *host);

#endif
