/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that read an ELF share. */
#ifndef DV_SYMBOLS_ELFFILE_PRIVATE_H
#define DV_SYMBOLS_ELFFILE_PRIVATE_H

#include <gelf.h>
#include <libelf.h>
#include "symbols/elffile.h"

struct dv_elf {
	Elf *elf;
	const uint8_t *data;
	size_t len;
	size_t section_names; /* index of .shstrtab, 0 when there are no sections */
	GElf_Ehdr header;
	struct dv_segments segments;
	void *own_data; /* data, where it is a copy */
	const struct dv_elf *alt; /* borrowed; NULL: none */
};

/* Of a name's characters a terminal or a file may be shown, and not the assembler's own. */
bool dv_elf_is_name(const char *name);
/* Of the functions that a kernel module's module_init() and module_exit() name. */
bool dv_elf_is_module_alias(const char *name);

#endif
