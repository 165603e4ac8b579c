/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds where KASLR has put the kernel, by its own code: a piece of running code looks like the same
 * piece of the image, and a slide keeps the address modulo slide_step.
 */
#ifndef DV_GUEST_SLIDE_H
#define DV_GUEST_SLIDE_H

#include <stddef.h>
#include <stdint.h>
#include "guest/arch.h"
#include "guest/memory.h"
#include "symbols/kernel.h"

/* Shorter pieces are too likely to be found in two places. */
#define DV_SLIDE_MIN_BYTES 20

/*
 * True, with the slide (runtime minus link-time address), when exactly one slide puts these len bytes
 * of code at vaddr. False for code that is not the image's, is patched, holds relocated immediates, or
 * would fit in more than one place: ask again with other code.
 */
bool dv_slide_match(const struct dv_kernel *kernel, const struct dv_arch *arch, uint64_t vaddr,
		    const void *code, size_t len, uint64_t *ret_slide);

/*
 * The same of a kernel that is up: by where its table of exception entries says that they are. False when there
 * is no such table (yet), or its entries do not agree.
 */
bool dv_slide_from_vectors(const struct dv_kernel *kernel, const struct dv_arch *arch,
			   const struct dv_guest_memory *memory, uint64_t *ret_slide);

#endif
