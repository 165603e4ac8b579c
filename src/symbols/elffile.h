/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wanted of a 64-bit little-endian ELF file in memory: segments, symbols, sections, build id. */
#ifndef DV_SYMBOLS_ELFFILE_H
#define DV_SYMBOLS_ELFFILE_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "symbols/symtab.h"

/* Bytes of the file that are loaded at vaddr: of a PT_LOAD, its part with bytes in the file. */
struct dv_segment {
	uint64_t vaddr;
	uint64_t size_bytes;
	size_t offset; /* offset + size_bytes <= the file's length */
	bool executable;
};

#define DV_ELF_MAX_SEGMENTS 64

struct dv_segments {
	struct dv_segment items[DV_ELF_MAX_SEGMENTS];
	size_t count;
};

/* The file offset of [vaddr, vaddr + len) when one segment has all of it; else false. */
bool dv_segments_find(const struct dv_segments *segments, uint64_t vaddr, uint64_t len, size_t *ret_offset);

struct dv_elf;

/* data is borrowed. Errors: DV_ERROR_FORMAT, _TRUNCATED, _UNSUPPORTED: "ELF: ...". */
struct dv_error *dv_elf_create(const uint8_t *data, size_t len, struct dv_elf **ret);
void dv_elf_destroy(struct dv_elf *elf);
DV_DEFINE_CLEANUP(struct dv_elf, dv_elf_destroy);

/* Where the kernel put a module's text. init_bytes is 0 when it has no init text. */
struct dv_module_place {
	uint64_t text_vaddr, text_bytes, init_vaddr, init_bytes;
};

/*
 * The same of a file that may be relocatable (.ko, .o), whose code then is at place, its sections one after
 * another as the kernel's module loader lays them out; at NULL from 0 on, init text behind the rest. data is
 * borrowed all the same. Error: DV_ERROR_MISMATCH when the code is not as long as place says.
 */
struct dv_error *dv_elf_create_at(const uint8_t *data, size_t len, const struct dv_module_place *place,
				  struct dv_elf **ret);

uint16_t dv_elf_machine(const struct dv_elf *elf);
const struct dv_segments *dv_elf_segments(const struct dv_elf *elf);
/* Tells symtab of every executable section; ret_count is how many, 0 when there are no section headers. */
struct dv_error *dv_elf_add_text(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count);
/* Adds the symbols of .symtab; ret_count is 0 when there is none. */
struct dv_error *dv_elf_add_symbols(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count);
/* The same of .dynsym. */
struct dv_error *dv_elf_add_dynamic_symbols(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count);
/* Adds the entries of the procedure linkage tables as "malloc@plt"; x86-64 alone. */
struct dv_error *dv_elf_add_plt(const struct dv_elf *elf, struct dv_symtab *symtab);
/* Where those tables are, end exclusive: at most max of them; returns how many. */
struct dv_vaddr_range {
	uint64_t start, end;
};
size_t dv_elf_plt_ranges(const struct dv_elf *elf, struct dv_vaddr_range *ret, size_t max);
/* The section's bytes, decompressed, owned by elf; false when there is no such section or it is empty. */
bool dv_elf_section(const struct dv_elf *elf, const char *name, const uint8_t **ret_data, size_t *ret_len);
/* Whether there is such a section with bytes in the file; nothing is read of it. */
bool dv_elf_has_section(const struct dv_elf *elf, const char *name);
/* The name in .gnu_debuglink and the checksum of the file that it means; false when there is none. */
bool dv_elf_debuglink(const struct dv_elf *elf, const char **ret_name, uint32_t *ret_crc32);
/* The file that dwz(1) put into .gnu_debugaltlink, which has what several debug files have in common: its name, and its
 * build id in new memory (free()). False when there is none. */
bool dv_elf_altlink(const struct dv_elf *elf, const char **ret_name, char **ret_build_id);
/* alt is that file, borrowed as long as elf's DWARF is read. */
void dv_elf_set_alt(struct dv_elf *elf, const struct dv_elf *alt);
/* The GNU build id among the notes [data, data + len) in lower-case hex (free()), or NULL. */
char *dv_elf_notes_build_id(const uint8_t *data, size_t len);
/* The build id of the PT_NOTE segments, else of SHT_NOTE sections. */
char *dv_elf_build_id(const struct dv_elf *elf);

#endif
