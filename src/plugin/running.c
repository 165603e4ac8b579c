/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of running code: see running.h. */
#include "plugin/running.h"

/* QEMU may have set the register to the end of the instruction that runs. */
#define MAX_INSN_BYTES 15
#define PAGE_BYTES     4096u

uint64_t dv_running_vaddr(uint64_t translated_vaddr, uint64_t rip)
{
	uint64_t base = rip - MAX_INSN_BYTES;

	return base + (translated_vaddr - base) % PAGE_BYTES;
}
