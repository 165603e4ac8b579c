/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel_functions KERNEL: "ADDRESS NAME" of each of its functions, by address; aliases lie next to each other. */
#include <inttypes.h>
#include <stdio.h>
#include "symbols/kernel.h"

static struct dv_error *run(const char *path)
{
	_cleanup_(dv_kernel_destroyp) struct dv_kernel *kernel = NULL;
	const struct dv_symtab *symtab;

	DV_TRY(dv_kernel_open(path, &kernel));
	symtab = dv_kernel_symtab(kernel);
	for (size_t i = 0; i < dv_symtab_count(symtab); i++) {
		const struct dv_symbol *s = dv_symtab_get(symtab, i);

		if (s->is_function)
			printf("%" PRIx64 " %s\n", s->vaddr, s->name);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 2) {
		fputs("usage: kernel_functions KERNEL\n", stderr);
		return 2;
	}
	err = run(argv[1]);
	if (err)
		fprintf(stderr, "kernel_functions: %s\n", err->message);
	return err != NULL;
}
