/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who wrote this? The changes of a few bytes of guest-physical memory, found by replaying segments of the
 * recording, the last one first. Memory is matched by its physical address: whichever alias it was written
 * by counts. A change that no store of the CPU's explains (a device's DMA, the loader) is found by
 * comparing memory at the segments' ends, and is reported between two instruction counts.
 */
#ifndef DV_REPLAY_WRITES_H
#define DV_REPLAY_WRITES_H

#include "replay/segments.h"
#include "replay/subject.h"

#define DV_WRITES_MAX_BYTES 4096u
#define DV_WRITES_MAX_PIECES 2u

#define DV_WRITES_DEFAULT_BYTES 8u

/*
 * What dv_subject_resolve() takes. bytes 0: as many as the text says behind ':', or the symbol has, but then
 * DV_WRITES_DEFAULT_BYTES at most. Errors: DV_ERROR_INVALID for more than DV_WRITES_MAX_BYTES, and
 * dv_subject_resolve()'s.
 */
struct dv_error *dv_writes_resolve(const struct dv_subject *subject, const char *text, uint64_t bytes,
				   uint64_t *ret_vaddr, uint32_t *ret_bytes);

struct dv_writes_place {
	struct dv_phys_piece pieces[DV_WRITES_MAX_PIECES];
	size_t pieces_len;
	uint32_t bytes; /* in all */
};

/* Where [vaddr, vaddr + bytes) lies now. Errors: DV_ERROR_FAULT, DV_ERROR_INVALID (more than MAX_BYTES). */
struct dv_error *dv_writes_locate(struct dv_machine *machine, uint64_t vaddr, uint32_t bytes,
				  struct dv_writes_place *ret);

struct dv_write {
	bool by_cpu;	 /* else between icount and until_icount, by something else */
	uint64_t icount; /* of the instruction that writes; replay-seek to it stands before it */
	uint64_t until_icount;
	uint64_t rip, vaddr; /* of by_cpu */
	uint32_t offset, size_bytes; /* the part of the place that was written */
	const uint8_t *before, *after; /* the whole place: place->bytes bytes each; valid in the callback */
};

/*
 * The values before and after as text: of a place of up to 8 bytes all of it, as a number; else what was
 * written, a number or the first bytes in the order of memory. Appended.
 */
void dv_write_print_change(const struct dv_write *write, uint32_t place_bytes, struct dv_buf *before,
			   struct dv_buf *after);

/* Told of each, the newest first. False ends the search. */
typedef bool (*dv_writes_fn)(void *context, const struct dv_write *write);

/*
 * The writes that a segment's look found: `before` is memory at its start, `after` at its end. Calls fn, the
 * newest first; *ret_more is false when fn ended the search. Pure: for dv_writes_find() and for tests.
 */
struct dv_error *dv_writes_in_segment(const struct dv_writes_place *place, const struct dv_look *look,
				      const struct dv_look_result *found, dv_writes_fn fn, void *context,
				      bool *ret_more);

/* "watch=..." for the plugin. free(). */
char *dv_writes_option(const struct dv_writes_place *place);

struct dv_writes_search {
	uint64_t vaddr;
	uint32_t bytes;	       /* 1 to DV_WRITES_MAX_BYTES */
	uint64_t from_icount;  /* writes in [from_icount, to_icount) */
	uint64_t to_icount;    /* 0, or more than there is: up to the recording's end */
	uint64_t moment_icount; /* when vaddr is looked up in the page tables; 0: at to_icount */
	const char *qemu;      /* NULL: the plan's */
	const struct dv_checkpoints *checkpoints; /* may be NULL */
	unsigned jobs;	       /* QEMUs at a time; 0: one for each CPU */
	/* Called once, when the place is known; may be NULL. */
	void (*located)(void *context, const struct dv_writes_place *place);
	dv_writes_fn write;    /* from the calling thread */
	bool (*progress)(void *context, uint64_t done_icount, uint64_t total_icount); /* as of dv_segments; finding the place is part of it */
	void *context;
};

/* Finds writes, the newest first, until `write` says that it is enough. Errors: those of dv_writes_locate(),
 * dv_replay_seek() and dv_segments_run(). */
struct dv_error *dv_writes_find(const struct dv_recording *recording, const struct dv_writes_search *search);

#endif
