/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the entries of procedure linkage tables. However a linker lays them out (.plt, .plt.sec with
 * IBT, .plt.got), an entry that goes on to another file jumps through a slot of the GOT, and a relocation
 * fills that slot with a symbol: `jmp *slot(%rip)` is looked for in each entry.
 */
#include <gelf.h>
#include <string.h>
#include "base/map.h"
#include "symbols/elffile_private.h"

#define ENTRY_BYTES 16
#define SHORT_ENTRY_BYTES 8 /* .plt.got without IBT */

struct plt {
	const struct dv_elf *elf;
	struct dv_map slots; /* address of a GOT slot -> dynamic symbol's index, plus 1 */
	Elf_Data *symbols;
	size_t strings; /* section of their names */
};

static void gather_slots(struct plt *p, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = data ? data->d_size / sizeof(Elf64_Rela) : 0;

	for (size_t i = 0; i < n; i++) {
		GElf_Rela rela;
		uint64_t *slot;

		if (!gelf_getrela(data, (int)i, &rela) || (GELF_R_TYPE(rela.r_info) != R_X86_64_JUMP_SLOT &&
							  GELF_R_TYPE(rela.r_info) != R_X86_64_GLOB_DAT))
			continue;
		slot = dv_map_put(&p->slots, rela.r_offset);
		if (slot)
			*slot = GELF_R_SYM(rela.r_info) + 1;
	}
}

static void gather(struct plt *p)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(p->elf->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_RELA && shdr.sh_flags & SHF_ALLOC)
			gather_slots(p, scn, &shdr);
		if (shdr.sh_type == SHT_DYNSYM) {
			p->symbols = elf_getdata(scn, NULL);
			p->strings = shdr.sh_link;
		}
	}
}

/* The slot that the entry jumps through: ff 25 rel32, within its first bytes. */
static bool entry_slot(const uint8_t *entry, size_t len, uint64_t vaddr, uint64_t *ret)
{
	for (size_t i = 0; i + 6 <= len && i <= 5; i++) {
		int32_t rel;

		if (entry[i] != 0xff || entry[i + 1] != 0x25)
			continue;
		memcpy(&rel, entry + i + 2, sizeof(rel));
		*ret = vaddr + i + 6 + (uint64_t)(int64_t)rel;
		return true;
	}
	return false;
}

static struct dv_error *name_entry(struct plt *p, const uint8_t *entry, size_t len, uint64_t vaddr,
				   struct dv_symtab *symtab)
{
	const uint64_t *index;
	char name[512];
	const char *symbol;
	uint64_t slot;
	GElf_Sym sym;

	if (!entry_slot(entry, len, vaddr, &slot))
		return NULL;
	index = dv_map_get(&p->slots, slot);
	if (!index || !p->symbols || !gelf_getsym(p->symbols, (int)(*index - 1), &sym))
		return NULL;
	symbol = elf_strptr(p->elf->elf, p->strings, sym.st_name);
	if (!symbol || !dv_elf_is_name(symbol))
		return NULL;
	snprintf(name, sizeof(name), "%.*s@plt", (int)strcspn(symbol, "@") % 500, symbol);
	return dv_symtab_add(symtab, vaddr, len, 't', name);
}

static struct dv_error *name_entries(struct plt *p, Elf_Scn *scn, const GElf_Shdr *shdr, struct dv_symtab *symtab)
{
	Elf_Data *data = elf_rawdata(scn, NULL);
	size_t step = shdr->sh_entsize == SHORT_ENTRY_BYTES ? SHORT_ENTRY_BYTES : ENTRY_BYTES;

	for (size_t at = 0; data && data->d_buf && at + step <= data->d_size; at += step)
		DV_TRY(name_entry(p, (const uint8_t *)data->d_buf + at, step, shdr->sh_addr + at, symtab));
	return NULL;
}

static bool is_plt(const struct dv_elf *elf, Elf_Scn *scn, GElf_Shdr *shdr)
{
	const char *name;

	if (!gelf_getshdr(scn, shdr) || shdr->sh_type != SHT_PROGBITS || !(shdr->sh_flags & SHF_EXECINSTR))
		return false;
	name = elf_strptr(elf->elf, elf->section_names, shdr->sh_name);
	return name && !strncmp(name, ".plt", 4);
}

static struct dv_error *name_all(struct plt *p, struct dv_symtab *symtab)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while (p->elf->section_names && (scn = elf_nextscn(p->elf->elf, scn))) {
		if (is_plt(p->elf, scn, &shdr))
			DV_TRY(name_entries(p, scn, &shdr, symtab));
	}
	return NULL;
}

size_t dv_elf_plt_ranges(const struct dv_elf *elf, struct dv_vaddr_range *ret, size_t max)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t n = 0;

	while (elf->section_names && n < max && (scn = elf_nextscn(elf->elf, scn))) {
		if (is_plt(elf, scn, &shdr) && shdr.sh_size <= UINT64_MAX - shdr.sh_addr)
			ret[n++] = (struct dv_vaddr_range){shdr.sh_addr, shdr.sh_addr + shdr.sh_size};
	}
	return n;
}

struct dv_error *dv_elf_add_plt(const struct dv_elf *elf, struct dv_symtab *symtab)
{
	struct plt p = {.elf = elf};
	struct dv_error *err = NULL;

	if (elf->header.e_machine != EM_X86_64)
		return NULL;
	gather(&p);
	if (p.slots.len)
		err = name_all(&p, symtab);
	dv_map_deinit(&p.slots);
	return err;
}
