/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file as a kernel image: containers, compressions, ELF, kallsyms, BTF, notes. */
#include "fuzz.h"

#include "symbols/kernel.h"

#define MAX_UNPACKED_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct dv_error *err = NULL;
	const struct dv_symtab *symtab;
	struct dv_kernel *kernel;

	err = dv_kernel_open_memory(data, size, MAX_UNPACKED_BYTES, &kernel);
	if (err)
		return 0;
	symtab = dv_kernel_symtab(kernel);
	for (size_t i = 0; i < dv_symtab_count(symtab); i++) {
		const struct dv_symbol *s = dv_symtab_get(symtab, i);
		const struct dv_symbol *at = dv_symtab_function_at(symtab, s->vaddr);

		dv_assert(dv_symtab_find(symtab, s->name)->vaddr <= s->vaddr);
		dv_assert(!s->is_function || (at && at->vaddr <= s->vaddr));
		dv_kernel_bytes(kernel, s->vaddr, s->size_bytes);
	}
	dv_kernel_destroy(kernel);
	return 0;
}
