/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as an ELF file: every question that is asked of one. */
#include "fuzz.h"

#include "symbols/elffile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dv_symtab *symtab = NULL;
	const uint8_t *section;
	struct dv_elf *elf;
	size_t count;
	struct dv_error *err = dv_elf_create(data, size, &elf);

	if (err) {
		dv_error_destroy(err);
		return 0;
	}
	dv_error_destroy(dv_symtab_create(&symtab));
	dv_error_destroy(dv_elf_add_text(elf, symtab, &count));
	dv_error_destroy(dv_elf_add_symbols(elf, symtab, &count));
	dv_error_destroy(dv_symtab_seal(symtab));
	for (uint64_t address = 0; address < 64; address++)
		dv_symtab_function_at(symtab, address << 58);
	if (dv_elf_section(elf, ".BTF", &section, &count))
		free(dv_elf_notes_build_id(section, count));
	free(dv_elf_build_id(elf));
	dv_symtab_destroy(symtab);
	dv_elf_destroy(elf);
	return 0;
}
