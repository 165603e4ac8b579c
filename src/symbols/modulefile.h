/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel module's file as it ran, for gdb: a relocatable file is no use to it, since it adds one and the same offset,
 * that of .text, to all addresses of its DWARF, and so has the functions of .init.text and .exit.text in .text (gdb
 * 13). Here the code has its addresses, and the DWARF is relocated to them.
 */
#ifndef DV_SYMBOLS_MODULEFILE_H
#define DV_SYMBOLS_MODULEFILE_H

#include "symbols/elffile.h"

/* Appends to ret what the module's file [data, data + len) is at place. Errors: those of dv_elf_create_at() and
 * dv_dwarf_create(). */
struct dv_error *dv_module_file_make(const uint8_t *data, size_t len, const struct dv_module_place *place,
				     struct dv_buf *ret);
/* Writes to path what the module's file from, which may be compressed, is at place. Errors: those of
 * dv_elf_create_at(), dv_dwarf_create() and DV_ERROR_OS; they name the file. */
struct dv_error *dv_module_file_write(const char *from, const struct dv_module_place *place, const char *path);

#endif
