/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps of user code that may be tail calls: each is sent with the stack pointer and where it goes to in the
 * address space that runs. Only the writer knows whether a function begins there, and says so: of a direct jump,
 * whose target in its file is always the same, and of the places that indirect ones go to, as long as the address
 * space stays as it is. Those that go elsewhere cost no more than a look from then on.
 */
#ifndef DV_PLUGIN_USER_JUMPS_H
#define DV_PLUGIN_USER_JUMPS_H

#include "guest/arch.h"
#include "plugin/qemu_api.h"

void dv_user_jumps_start(qemu_plugin_id_t id, bool several_cpus);
/* A jump through a slot of the GOT. */
void dv_user_jumps_instrument_linkage(struct qemu_plugin_insn *insn);
/* Any other, a block's last instruction, once the kernel runs. */
void dv_user_jumps_instrument(struct qemu_plugin_insn *insn, const struct dv_insn *decoded);

/* What user addresses mean changes: another address space is going to run (0: none, the last one stays); code is
 * mapped or unmapped. Before the event that tells of it is sent. */
void dv_user_jumps_switched(uint64_t mm_vaddr);
void dv_user_jumps_mapped(void);

/* Answers, from any thread: the jumps asked for never go to a function's start; that is not known yet. */
void dv_user_jumps_settle(uint64_t site);
void dv_user_jumps_ask_again(uint64_t site);

#endif
