/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DV_GUEST_ARCH_X86_H
#define DV_GUEST_ARCH_X86_H

#include "guest/arch.h"

extern const struct dv_arch dv_arch_x86_64;

#endif
