/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A closer look at a part of a recording: it is replayed with the plugin in its watching or capturing mode
 * (trace/capture.h), as far as needed and no further.
 */
#ifndef DV_REPLAY_LOOK_H
#define DV_REPLAY_LOOK_H

#include "base/buf.h"
#include "replay/checkpoints.h"
#include "replay/machine.h"
#include "trace/capture.h"

/* Guest-physical memory within one page. */
struct dv_phys_piece {
	uint64_t phys;
	uint32_t bytes;
};

struct dv_look {
	uint64_t from_icount, to_icount; /* records from from_icount up to and without to_icount */
	const char *option;		 /* of the plugin: "watch=..." or "capture=..." */
	const char *qemu;		 /* NULL: the plan's */
	const struct dv_checkpoints *checkpoints; /* to start from one of them; NULL: from the beginning */
	const struct dv_phys_piece *pieces; /* guest-physical memory that is read at both ends */
	size_t pieces_len;
	dv_machine_progress_fn progress; /* may be NULL */
	void *context;
};

struct dv_look_result {
	struct dv_buf records;	       /* for dv_look_next() */
	struct dv_buf before, after;   /* the memory at from_icount and at to_icount */
};
void dv_look_result_deinit(struct dv_look_result *result);

/* Errors: those of dv_machine_start(); DV_ERROR_TIMEOUT for a replay that is stuck; DV_ERROR_CANCELLED. */
struct dv_error *dv_look_run(const struct dv_recording *recording, const struct dv_look *look,
			     struct dv_look_result *ret);

/* Guest-physical memory of a machine that is paused, by QEMU's monitor. Appended to ret. */
struct dv_error *dv_machine_read_phys(struct dv_machine *machine, const struct dv_phys_piece *piece,
				      struct dv_buf *ret);
/* The physical address behind vaddr in the page tables that the CPU uses now. DV_ERROR_FAULT: not mapped. */
struct dv_error *dv_machine_translate(struct dv_machine *machine, uint64_t vaddr, uint64_t *ret_phys);

/*
 * The record at *offset, which is moved behind it; NULL at the end. Only the part of its kind is there. Start
 * with *offset 0.
 */
const struct dv_capture_record *dv_look_next(const struct dv_look_result *result, size_t *offset);

#endif
