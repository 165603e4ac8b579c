/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instead of a recorder, where a recording is traced in segments: the thread that takes one segment's events
 * from the ring and puts them into a file (spool.h), for the recorder of the first segment.
 */
#ifndef DV_PLUGIN_SPOOLER_H
#define DV_PLUGIN_SPOOLER_H

#include "plugin/answers.h"
#include "plugin/ring.h"

struct dv_spooler;

/* options: spool, from, to, status; borrowed, as are answers, which have all events first. Creates the file, unless
 * it is there, and starts the thread. */
struct dv_error *dv_spooler_create(const struct dv_plugin_options *options, struct dv_answers *answers,
				   struct dv_spooler **ret);
struct dv_ring *dv_spooler_ring(struct dv_spooler *spooler);
/* Drains the ring, ends the file, joins the thread, frees. Returns the first error. */
struct dv_error *dv_spooler_finish(struct dv_spooler *spooler);

#endif
