/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory there is to take. */
#ifndef DV_BASE_MEMORY_H
#define DV_BASE_MEMORY_H

#include <stdint.h>

/* Nine tenths of what this process may still have: of the machine, its cgroups, its address space (ulimit -v). */
uint64_t dv_memory_left(void);
/* The same where /proc and /sys lie in a folder, for tests. */
uint64_t dv_memory_left_in(const char *root);

#endif
