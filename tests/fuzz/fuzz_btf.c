/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as BTF, and questions about what may be in it. */
#include "fuzz.h"

#include "symbols/btf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"pid", "in", "in.d", "x", "bits", "in.c.x", "", "."};
	struct dv_btf_member member;
	struct dv_btf *btf;
	uint32_t bytes;

	struct dv_error *err = dv_btf_create(data, size, &btf);

	if (err) {
		dv_error_destroy(err);
		return 0;
	}
	for (size_t i = 0; i < DV_ARRAY_SIZE(paths); i++)
		dv_error_destroy(dv_btf_member(btf, "task_struct", paths[i], &member));
	dv_error_destroy(dv_btf_struct_size(btf, "inner", &bytes));
	dv_btf_destroy(btf);
	return 0;
}
