/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A forwarded port's rule, as QEMU's user network takes it in hostfwd=:
 *
 *	[tcp|udp]:[HOST ADDRESS]:HOST PORT-[GUEST ADDRESS]:GUEST PORT
 *
 * with addresses in dotted form and ports in C's notation.
 */
#ifndef DV_QEMU_FORWARD_H
#define DV_QEMU_FORWARD_H

#include <stdbool.h>
#include "base/error.h"

/* Whether it is one. What is none is left to QEMU, which says why, or knows more than this. */
bool dv_forward_is_rule(const char *rule);

/*
 * Whether the host's side of a rule is free now, as QEMU would find when it starts. Nothing is kept. Errors: DV_ERROR_OS
 * with the way out; DV_ERROR_INVALID for what is no rule.
 */
struct dv_error *dv_forward_check(const char *rule);

#endif
