/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tracer's files share, all of it on the vCPU's thread. */
#ifndef DV_PLUGIN_TRACER_PRIVATE_H
#define DV_PLUGIN_TRACER_PRIVATE_H

#include "callgraph/event.h"
#include "guest/memory.h"
#include "plugin/tracer.h"

/* The guest's memory as the running instruction sees it. */
extern const struct dv_guest_memory dv_tracer_memory;

/* In a callback with QEMU_PLUGIN_CB_R_REGS. False when the register is not there. */
bool dv_tracer_read_register(struct qemu_plugin_register *handle, uint64_t *ret);
/* An argument of the C function whose first instruction runs, 0 to 2. */
bool dv_tracer_read_argument(unsigned index, uint64_t *ret);
/* By gdb's name, once a vCPU is there; NULL when it has none. */
struct qemu_plugin_register *dv_tracer_find_register(const char *name);
/* Runtime address of the kernel's symbol, once the slide is known; 0 when it has none. */
uint64_t dv_tracer_symbol(const char *name);

/*
 * Time can only be read on a block's last instruction. Userdata of such a callback: how many instructions
 * before the end the moment lies that is meant, and the block's address.
 */
void *dv_tracer_pack_block(uint64_t vaddr, size_t insns);
uint64_t dv_tracer_block_icount(void *block);
void dv_tracer_put(enum dv_event_kind kind, unsigned cpu, uint64_t icount, uint64_t a, uint64_t b);
/* On a block's last instruction. */
void dv_tracer_put_now(enum dv_event_kind kind, unsigned cpu, uint64_t a, uint64_t b);

/* In a callback with QEMU_PLUGIN_CB_R_REGS: the stack pointer, and where QEMU says that the CPU is. */
bool dv_tracer_read_place(uint64_t *ret_stack, uint64_t *ret_counter);
/* The register that an indirect call or jump goes by, dv_insn.reg. */
bool dv_tracer_read_target(unsigned reg, uint64_t *ret);
/* What was loaded as an address, in full. */
uint64_t dv_tracer_read_value(qemu_plugin_meminfo_t info);

#endif
