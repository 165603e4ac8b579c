/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user program's or library's symbols: which function an offset in the file is. From .symtab, of the
 * file or of its debug file, .gnu_debugdata, .dynsym, and the procedure linkage tables. Immutable once
 * made; keeps nothing of the file's bytes.
 */
#ifndef DV_SYMBOLS_OBJECT_H
#define DV_SYMBOLS_OBJECT_H

#include "symbols/dynamic.h"
#include "symbols/elffile.h"

struct dv_object;

/* debug: the file with its .symtab, or NULL. Errors: DV_ERROR_FORMAT, _NO_MEMORY. */
struct dv_error *dv_object_create(const struct dv_elf *elf, const struct dv_elf *debug, struct dv_object **ret);
/* Of dynamic symbols alone. */
struct dv_error *dv_object_from_dynamic(const struct dv_dynamic *dynamic, struct dv_object **ret);
/* As dv_object_create, without the table of sources, which takes seconds for a kernel. */
struct dv_error *dv_object_names(const struct dv_elf *elf, const struct dv_elf *debug, struct dv_object **ret);
void dv_object_destroy(struct dv_object *object);
DV_DEFINE_CLEANUP(struct dv_object, dv_object_destroy);

/* The file's own (link-time) address of an offset in it; false for bytes that no segment loads. */
bool dv_object_vaddr(const struct dv_object *object, uint64_t offset_bytes, uint64_t *ret);
/* In a procedure linkage table. */
bool dv_object_is_plt(const struct dv_object *object, uint64_t vaddr);
/* The function at a link-time address, or NULL. */
const struct dv_symbol *dv_object_function_at(const struct dv_object *object, uint64_t vaddr);
/* Where the function that begins at a link-time address is declared; false without DWARF. */
bool dv_object_source(const struct dv_object *object, uint64_t vaddr, const char **ret_file, uint32_t *ret_line);
const struct dv_symtab *dv_object_symtab(const struct dv_object *object);
/* Lower-case hex, or NULL. */
const char *dv_object_build_id(const struct dv_object *object);

#endif
