/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tracer's part that follows address spaces and modules: callbacks at the functions of places.h. */
#ifndef DV_PLUGIN_FOLLOW_H
#define DV_PLUGIN_FOLLOW_H

#include "guest/arch.h"
#include "guest/linux.h"
#include "plugin/qemu_api.h"

/* linux_ may be NULL: then nothing is followed. */
void dv_follow_start(const struct dv_arch *arch, const struct dv_linux *linux_);
void dv_follow_found_slide(uint64_t slide);
void dv_follow_instrument_entry(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr);
/* A task is about to run, at icount; says what is new of its address space, and returns it (0: none). */
uint64_t dv_follow_switch(unsigned cpu, uint64_t icount, const struct dv_task *next);
/* Tracing starts in the middle: what came before was told by somebody else. Before anything is found. */
void dv_follow_continue(void);
/* Modules that are there already, then; false while the kernel's memory is not mapped. */
bool dv_follow_find_modules(void);
/* The function of a module that an address is the start of, or lies in; NULL for none. */
const struct dv_symbol *dv_follow_module_function(uint64_t vaddr);

#endif
