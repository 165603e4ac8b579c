/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording to ask questions of: opened, checked against the QEMU that is here, with its kernel's names at
 * their run-time addresses and its trace's threads. What `writes` and `calls` have in common.
 */
#ifndef DV_REPLAY_SUBJECT_H
#define DV_REPLAY_SUBJECT_H

#include <jansson.h>
#include "guest/arch.h"
#include "replay/recording.h"
#include "symbols/kernel.h"
#include "trace/reader.h"

#define DV_SUBJECT_MAX_IMAGES 16

struct dv_subject_options {
	const char *folder, *qemu; /* qemu NULL: the plan's */
	const char *images[DV_SUBJECT_MAX_IMAGES]; /* --image, as dv_recording_set_image() takes them */
	size_t images_len;
};

struct dv_subject {
	struct dv_recording *recording;
	const char *qemu;
	const struct dv_arch *arch;
	struct dv_kernel *kernel; /* NULL: it has no image with symbols */
	struct dv_trace_reader *trace;
	uint64_t slide;
};

/* Errors: what dv_recording_check() gives, and DV_ERROR_NOT_FOUND without an exact trace. */
struct dv_error *dv_subject_init(const struct dv_subject_options *options, struct dv_subject *ret);
void dv_subject_deinit(struct dv_subject *subject);
#define _cleanup_subject_ _cleanup_(dv_subject_deinit)

/*
 * "0xADDRESS", "SYMBOL" or "SYMBOL+OFFSET", with ":BYTES" behind it or without (then *ret_bytes is the
 * symbol's size, or 0). Errors: DV_ERROR_INVALID, DV_ERROR_NOT_FOUND with names that come near.
 */
struct dv_error *dv_subject_resolve(const struct dv_subject *subject, const char *text, uint64_t *ret_vaddr,
				    uint64_t *ret_bytes);

/* The kernel's function at a run-time address and how far in; NULL when there is none. */
const struct dv_symbol *dv_subject_function_at(const struct dv_subject *subject, uint64_t vaddr,
					       uint64_t *ret_offset);
/* The thread that ran at icount (one CPU), or NULL. */
const struct dv_trace_thread *dv_subject_thread_at(const struct dv_subject *subject, uint64_t icount);
/* The last moment before before_icount at which the thread runs: its page tables are in use then. Errors:
 * DV_ERROR_NOT_FOUND. */
struct dv_error *dv_subject_thread_ran_before(const struct dv_subject *subject, int32_t tid, uint64_t before_icount,
					      uint64_t *ret_icount);

#endif
