/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as an ELF file: every question that is asked of one. */
#include "fuzz.h"

#include "symbols/elffile.h"
#include "symbols/modulefile.h"
#include "symbols/object.h"

static void look_at_object(const struct dv_elf *elf)
{
	struct dv_object *object = NULL;
	const char *link;
	uint64_t vaddr;
	uint32_t crc;
	char *id;

	dv_elf_debuglink(elf, &link, &crc);
	if (dv_elf_altlink(elf, &link, &id))
		free(id);
	dv_error_destroy(dv_object_create(elf, elf, &object));
	for (uint64_t offset = 0; object && offset < 4096; offset += 256) {
		if (dv_object_vaddr(object, offset, &vaddr)) {
			dv_object_function_at(object, vaddr);
			dv_object_is_plt(object, vaddr);
		}
	}
	dv_object_destroy(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dv_buf made = DV_BUF_INIT;
	struct dv_symtab *symtab = NULL;
	const uint8_t *section;
	struct dv_elf *elf;
	size_t count;
	struct dv_error *err = dv_elf_create_at(data, size, NULL, &elf);

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
	look_at_object(elf);
	dv_error_destroy(dv_module_file_make(data, size, &(struct dv_module_place){1 << 20, 4096, 2 << 20, 0}, &made));
	dv_buf_deinit(&made);
	dv_symtab_destroy(symtab);
	dv_elf_destroy(elf);
	return 0;
}
