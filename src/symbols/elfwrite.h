/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes an ELF file that holds nothing but symbols, for a debugger: names at the addresses where they ran. */
#ifndef DV_SYMBOLS_ELFWRITE_H
#define DV_SYMBOLS_ELFWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct dv_elf_symbol {
	const char *name; /* borrowed */
	uint64_t vaddr, size_bytes;
	bool is_function;
};

/*
 * Sorts symbols by address and writes them to path. machine is ELF's e_machine. Neighbours of one kind
 * share a section without contents, since a debugger finds code by sections. Errors: DV_ERROR_OS.
 */
struct dv_error *dv_elf_write_symbols(const char *path, uint16_t machine, struct dv_elf_symbol *symbols,
				      size_t count);

#endif
