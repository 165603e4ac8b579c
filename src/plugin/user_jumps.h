/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps of user code that may be tail calls: each is sent with the stack pointer and where it goes to in the
 * address space that runs. Only the writer knows whether a function begins there. Of a direct jump, whose
 * target in its file is always the same, it says so: one that goes elsewhere costs no more than a look from
 * then on.
 */
#ifndef DV_PLUGIN_USER_JUMPS_H
#define DV_PLUGIN_USER_JUMPS_H

#include "guest/arch.h"
#include "plugin/qemu_api.h"

void dv_user_jumps_start(qemu_plugin_id_t id);
/* A jump through a slot of the GOT. */
void dv_user_jumps_instrument_linkage(struct qemu_plugin_insn *insn);
/* Any other, a block's last instruction, once the kernel runs. */
void dv_user_jumps_instrument(struct qemu_plugin_insn *insn, const struct dv_insn *decoded);

/* Answers, from any thread: the jump at a site never goes to a function's start; that is not known yet. */
void dv_user_jumps_settle(uint64_t site);
void dv_user_jumps_ask_again(uint64_t site);

#endif
