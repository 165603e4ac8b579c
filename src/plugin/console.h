/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sees the guest print, on the vCPU's thread:
 *  - serial: `out` to a PC's 8250. Port I/O makes no memory callback, so that the instruction's registers
 *    are read before it runs;
 *  - printk: prb_commit() and prb_final_commit(), where the record's text is in the ring buffer;
 *  - hvc: the put_chars() of each driver that hvc_alloc() or hvc_instantiate() is given.
 */
#ifndef DV_PLUGIN_CONSOLE_H
#define DV_PLUGIN_CONSOLE_H

#include "guest/arch.h"
#include "plugin/qemu_api.h"

struct dv_kernel;

/* kernel may be NULL: then only serial ports are seen. */
void dv_console_start(const struct dv_arch *arch, const struct dv_kernel *kernel);
/* The kernel's symbols have addresses from now on. */
void dv_console_found_slide(void);
/* Drivers of hvc that are there already, where tracing starts in the middle. With the kernel's memory mapped. */
void dv_console_find_drivers(void);

/* For each block at a kernel address. */
void dv_console_instrument_entry(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr);
/* For each instruction of class PORT_OUT or PORT_OUT_STRING; insns: how many come before the block's end,
 * itself included. */
void dv_console_instrument_out(struct qemu_plugin_insn *insn, enum dv_insn_class class, size_t insns);

#endif
