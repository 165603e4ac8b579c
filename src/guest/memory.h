/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between introspection and where the guest is: QEMU's plugin API, gdb's remote protocol at a
 * paused replay, or a byte array in a test.
 */
#ifndef DV_GUEST_MEMORY_H
#define DV_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_guest_memory {
	/* Reads [vaddr, vaddr + len) through the current page tables, all or nothing. False: not mapped. */
	bool (*read)(void *context, uint64_t vaddr, void *to, size_t len);
	void *context;
};

static inline bool dv_guest_read(const struct dv_guest_memory *memory, uint64_t vaddr, void *to, size_t len)
{
	return memory->read(memory->context, vaddr, to, len);
}
static inline bool dv_guest_read_u32(const struct dv_guest_memory *memory, uint64_t vaddr, uint32_t *ret)
{
	return dv_guest_read(memory, vaddr, ret, sizeof(*ret));
}
static inline bool dv_guest_read_u64(const struct dv_guest_memory *memory, uint64_t vaddr, uint64_t *ret)
{
	return dv_guest_read(memory, vaddr, ret, sizeof(*ret));
}

#endif
