/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source files and lines from DWARF (elfutils' libdw reads it): what lies at an address, with the functions
 * that were inlined there; and a small table of where each function is declared, for when the DWARF itself
 * is too large to keep. Addresses are link-time ones, of a relocatable file (.ko, .o) those of dv_elf_create_at().
 */
#ifndef DV_SYMBOLS_DEBUGINFO_H
#define DV_SYMBOLS_DEBUGINFO_H

#include "symbols/elffile.h"

struct dv_dwarf;

/* elf is borrowed; of a relocatable file it must be one of dv_elf_create_at(), and its DWARF is relocated in it.
 * Errors: DV_ERROR_NOT_FOUND when it has no DWARF, DV_ERROR_UNSUPPORTED, DV_ERROR_FORMAT with libdw's words. */
struct dv_error *dv_dwarf_create(const struct dv_elf *elf, struct dv_dwarf **ret);
void dv_dwarf_destroy(struct dv_dwarf *dwarf);
DV_DEFINE_CLEANUP(struct dv_dwarf, dv_dwarf_destroy);

#define DV_DWARF_MAX_FRAMES 64

/* One step of a chain of inlined functions. */
struct dv_dwarf_frame {
	const char *function; /* NULL: not known. All strings belong to the dv_dwarf. */
	const char *file;     /* relative to where it was compiled, when it lies below that; NULL: not known */
	uint32_t line;	      /* 0: not known */
	bool is_inlined;      /* into the function of the next frame */
};

/* What is at an address: innermost first, each next one with the line that the one before was inlined at.
 * Returns how many, 0 when the DWARF does not have the address. */
size_t dv_dwarf_where(struct dv_dwarf *dwarf, uint64_t vaddr, struct dv_dwarf_frame frames[DV_DWARF_MAX_FRAMES]);

/* Where functions are declared, by the address of their first instruction. Immutable once made. */
struct dv_sources;

/* Reads all compilation units once; needs dwarf no longer afterwards. */
struct dv_error *dv_sources_create(struct dv_dwarf *dwarf, struct dv_sources **ret);
void dv_sources_destroy(struct dv_sources *sources);
DV_DEFINE_CLEANUP(struct dv_sources, dv_sources_destroy);
size_t dv_sources_count(const struct dv_sources *sources);
/* False when no function begins there. file belongs to the table. */
bool dv_sources_find(const struct dv_sources *sources, uint64_t vaddr, const char **ret_file, uint32_t *ret_line);

/*
 * The table of a file's DWARF; the file is mapped only meanwhile. build_id: what its build id must be, or
 * NULL. place: of a kernel module, or NULL. Errors: those of dv_dwarf_create and dv_elf_create_at, DV_ERROR_OS,
 * DV_ERROR_MISMATCH for another build; they name path.
 */
struct dv_error *dv_sources_open(const char *path, const char *build_id, const struct dv_module_place *place,
				 struct dv_sources **ret);

#endif
