/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of system calls: see syscalls.h. */
#include "guest/syscalls.h"

#include <stddef.h>
#include "base/cleanup.h"

#define X32_BIT	  0x40000000u /* __X32_SYSCALL_BIT, arch/x86/include/uapi/asm/unistd.h */
#define X32_FIRST 512

#define SYSCALL(number, name) [number] = #name,
static const char *const x86_64[] = {
#include "guest/syscalls_x86_64.def"
};

static const char *const ia32[] = {
#include "guest/syscalls_ia32.def"
};

const char *dv_syscall_name(enum dv_syscall_table table, uint32_t number)
{
	if (table == DV_SYSCALLS_IA32)
		return number < DV_ARRAY_SIZE(ia32) ? ia32[number] : NULL;
	if (table != DV_SYSCALLS_X86_64)
		return NULL;
	if (number & X32_BIT)
		number &= ~X32_BIT;
	else if (number >= X32_FIRST)
		return NULL;
	return number < DV_ARRAY_SIZE(x86_64) ? x86_64[number] : NULL;
}
