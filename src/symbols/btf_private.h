/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What btf.c and prototype.c share. */
#ifndef DV_SYMBOLS_BTF_PRIVATE_H
#define DV_SYMBOLS_BTF_PRIVATE_H

#include <bpf/btf.h>
#include "symbols/btf.h"

struct dv_btf {
	struct btf *btf;
};

/* Through typedefs and qualifiers to what the type is, or NULL. */
const struct btf_type *dv_btf_resolve(const struct dv_btf *btf, uint32_t id);

#endif
