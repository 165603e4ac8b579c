/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers as people give them to a verb. */
#ifndef DV_CMDS_NUMBERS_H
#define DV_CMDS_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* "1234567", "0x12d687" or "1.2G", "35M", "7k": an instruction count. False when it is none. */
bool dv_parse_icount(const char *text, uint64_t *ret);
/* "500M", "4G", "4GiB" or bytes; the units are powers of 1024. 0 when it is none. */
uint64_t dv_parse_size(const char *text);

#endif
