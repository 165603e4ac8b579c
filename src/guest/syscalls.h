/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of system calls by number. Numbers are Linux's promise to user space, so that one list serves all
 * kernels; kernels from 6.9 on (and 6.1 with its fixes) have no table of them in memory to be read.
 */
#ifndef DV_GUEST_SYSCALLS_H
#define DV_GUEST_SYSCALLS_H

#include <stdint.h>

enum dv_syscall_table {
	DV_SYSCALLS_NONE,
	DV_SYSCALLS_X86_64, /* with x32's, by the bit that marks them */
	DV_SYSCALLS_IA32,
};

/* "openat", or NULL for a number that has no name. */
const char *dv_syscall_name(enum dv_syscall_table table, uint32_t number);

#endif
