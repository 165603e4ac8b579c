/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's entries, by address: which there are, and what one stands for. */
#ifndef DV_PLUGIN_ENTRIES_H
#define DV_PLUGIN_ENTRIES_H

#include "guest/arch.h"
#include "symbols/kernel.h"
#include "trace/format.h"

/* The entry at a link-time address, or NULL. */
const struct dv_entry_pattern *dv_entry_at(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t vaddr);

/* How far apart the stubs of the kernel's arrays of entries are; 0 when that is not known. Needs the
 * image's bytes: ask before they are released. */
uint32_t dv_entry_stub_bytes(const struct dv_arch *arch, const struct dv_kernel *kernel);

/* Adds the vector and mnemonic of the entry at a link-time address, where it has them. */
void dv_entry_describe(const struct dv_arch *arch, const struct dv_kernel *kernel, uint32_t stub_bytes,
		       uint64_t vaddr, struct dv_trace_function *function);

/* What a system call's key stands for; the address is the entry's at link time, 0 when it has none. text
 * holds the name when it must be made up. */
void dv_syscall_describe(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t key, char *text,
			 size_t text_bytes, struct dv_trace_function *ret);

#endif
