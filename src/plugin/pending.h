/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records that wait for their time. QEMU's instruction count can be read only on a block's last instruction;
 * what happens before waits until then, and its place follows from how many instructions lie between. When
 * a block is left before its end, the next block tells the count of the instruction that it was left at.
 */
#ifndef DV_PLUGIN_PENDING_H
#define DV_PLUGIN_PENDING_H

#include <stdio.h>
#include "plugin/clock.h"
#include "plugin/qemu_api.h"
#include "trace/capture.h"

/* One vCPU. Records go to out, which the caller closes when QEMU ends; the magic is written here. */
void dv_pending_start(const struct dv_clock *clock, FILE *out);

/* Call it first in on_translate: other callbacks on the same instructions come after these. */
void dv_pending_instrument(struct qemu_plugin_tb *tb);

/*
 * To be called from a callback on an instruction with `left` instructions of its block behind it. Fills in
 * the icount, the first word of each kind of record: to stand before that instruction.
 */
void dv_pending_add(const struct dv_capture_record *record, size_t left);

/* An address in 48 bits and a number of instructions in 16, as a callback's userdata. */
static inline void *dv_pending_pack(uint64_t vaddr, size_t insns)
{
	return (void *)(uintptr_t)((vaddr & 0xffffffffffff) | (uint64_t)insns << 48);
}
static inline uint64_t dv_pending_vaddr(uint64_t packed)
{
	return (uint64_t)((int64_t)(packed << 16) >> 16);
}
static inline size_t dv_pending_insns(uint64_t packed)
{
	return packed >> 48;
}

#endif
