/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dynamic symbols of a 64-bit ELF file of which only parts can be had, as its loaded pages: found by its
 * program headers and .dynamic, with no section header.
 */
#ifndef DV_SYMBOLS_DYNAMIC_H
#define DV_SYMBOLS_DYNAMIC_H

#include "symbols/elffile.h"

struct dv_dynamic {
	struct dv_segments segments; /* with the offsets in the file; the bytes are not there */
	uint8_t *symbols;	     /* Elf64_Sym[]; owned, as is the next */
	uint32_t symbol_count;
	char *strings; /* NUL at its end */
	size_t strings_bytes;
};

/* Reads [offset, offset + len) of the file, all or nothing. */
typedef bool (*dv_file_read_fn)(void *context, uint64_t offset, void *to, size_t len);

/* False when it is no such file, has no dynamic symbols, or its bytes are not all there. */
bool dv_dynamic_read(dv_file_read_fn read, void *context, struct dv_dynamic **ret);
/* NULL-safe. */
void dv_dynamic_destroy(struct dv_dynamic *dynamic);

#endif
