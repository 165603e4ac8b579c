/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where user code runs. QEMU translates a page of a program or library once for all the places that it is mapped
 * at, so that a callback on an instruction of it knows of an address no more than its place in the page.
 */
#ifndef DV_PLUGIN_RUNNING_H
#define DV_PLUGIN_RUNNING_H

#include <stdint.h>

/* translated_vaddr: of an instruction, as its block was translated. rip: the register as QEMU keeps it within a
 * block, at that instruction or up to a page before it. Gives the instruction's address. */
uint64_t dv_running_vaddr(uint64_t translated_vaddr, uint64_t rip);

#endif
