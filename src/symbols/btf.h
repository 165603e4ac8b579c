/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Struct layouts of the guest's kernel from its BTF (libbpf parses it; this asks the questions). */
#ifndef DV_SYMBOLS_BTF_H
#define DV_SYMBOLS_BTF_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_btf;

/* data is copied. Errors: DV_ERROR_FORMAT. */
struct dv_error *dv_btf_create(const void *data, size_t len, struct dv_btf **ret);
void dv_btf_destroy(struct dv_btf *btf);
DV_DEFINE_CLEANUP(struct dv_btf, dv_btf_destroy);

/*
 * Where a member lies in a struct or union. path may go through nested and anonymous members:
 * "mm.pgd" wants an embedded struct mm; "pid" is found inside anonymous structs and unions too.
 * Errors: DV_ERROR_NOT_FOUND naming struct and member; DV_ERROR_UNSUPPORTED for bitfields.
 */
struct dv_btf_member {
	uint32_t offset_bytes;
	uint32_t size_bytes;
};
struct dv_error *dv_btf_member(const struct dv_btf *btf, const char *type_name, const char *path,
			       struct dv_btf_member *ret);
/* sizeof(struct type_name). */
struct dv_error *dv_btf_struct_size(const struct dv_btf *btf, const char *type_name, uint32_t *ret);

#endif
