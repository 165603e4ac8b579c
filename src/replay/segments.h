/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A closer look (look.h) at a long part of a recording, cut at the recording's checkpoints and replayed
 * piece by piece, several QEMUs at a time. Without checkpoints it is one piece.
 */
#ifndef DV_REPLAY_SEGMENTS_H
#define DV_REPLAY_SEGMENTS_H

#include "replay/checkpoints.h"
#include "replay/look.h"

/* [from_icount, to_icount) */
struct dv_segment {
	uint64_t from_icount, to_icount;
};

struct dv_segments {
	struct dv_look look; /* from_icount to to_icount: all that is looked at; the pieces differ in these */
	const struct dv_checkpoints *checkpoints;
	bool backward; /* the last piece first */
	/* What is needed, by start: a piece in which none starts is left out, and one ends with what ends in it.
	 * NULL: everything. Forward only. */
	const struct dv_segment *needed;
	size_t needed_len;
	unsigned jobs; /* QEMUs at a time; 0: one for each CPU; fewer where memory is short (jobs.h) */
	/*
	 * Given the pieces in order, one at a time, from the calling thread; false ends it. look says which
	 * piece it is; result may be stolen from.
	 */
	bool (*deliver)(void *context, const struct dv_look *look, struct dv_look_result *result);
	/* Told how far all is, many times a second, from any thread but one at a time; false: give up. May be NULL. */
	bool (*progress)(void *context, uint64_t done_icount, uint64_t total_icount);
	void *context;
};

/* Errors: those of dv_look_run(); what was delivered before stands. look.progress is not used. */
struct dv_error *dv_segments_run(const struct dv_recording *recording, const struct dv_segments *segments);

#define DV_SEGMENTS_MAX 4096

/*
 * The cuts, in the order of delivery; ret has room for DV_SEGMENTS_MAX; returns how many. Backward, pieces
 * grow from one checkpoint's distance on: the first answer comes soon, and later ones waste no starts of
 * QEMU. Forward, each piece is about a share of a worker's work. For tests.
 */
size_t dv_segments_cut(const struct dv_segments *segments, unsigned jobs, struct dv_segment *ret);

#endif
