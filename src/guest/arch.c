/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The architectures there are: see arch.h. */
#include "guest/arch.h"

#include <string.h>
#include "base/cleanup.h"
#include "guest/arch_x86.h"

static const struct dv_arch *const archs[] = {&dv_arch_x86_64};

const struct dv_arch *dv_arch_find(const char *qemu_target)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(archs); i++) {
		if (!strcmp(archs[i]->qemu_target, qemu_target))
			return archs[i];
	}
	return NULL;
}
