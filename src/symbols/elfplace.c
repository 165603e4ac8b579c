/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses for a kernel module's sections. layout_sections() and module_get_offset() of the kernel
 * (kernel/module/main.c) put executable sections one after another, each at its alignment, in the order of
 * their headers; those whose name begins with ".init" into memory of their own, which is freed later.
 */
#include <stdlib.h>
#include <string.h>
#include "symbols/elffile_private.h"

#define PAGE_BYTES 4096u

/* The next address of each memory. */
struct layout {
	uint64_t text, init;
};

static bool is_code(const GElf_Shdr *shdr)
{
	return shdr->sh_flags & SHF_ALLOC && shdr->sh_flags & SHF_EXECINSTR;
}

static bool is_init(const struct dv_elf *elf, const GElf_Shdr *shdr)
{
	const char *name = elf->section_names ? elf_strptr(elf->elf, elf->section_names, shdr->sh_name) : NULL;

	return name && !strncmp(name, ".init", 5);
}

static bool take(uint64_t *next, const GElf_Shdr *shdr, uint64_t *ret)
{
	uint64_t align = shdr->sh_addralign ? shdr->sh_addralign : 1, start;

	if (align & (align - 1) || __builtin_add_overflow(*next, align - 1, &start))
		return false;
	start &= ~(align - 1);
	if (__builtin_add_overflow(start, shdr->sh_size, next))
		return false;
	*ret = start;
	return true;
}

/* With store the sections get the addresses, else they are only counted. */
static struct dv_error *lay_out(struct dv_elf *elf, struct layout *at, bool store)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf->elf, scn))) {
		uint64_t vaddr;
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || !is_code(&shdr))
			continue;
		if (!take(is_init(elf, &shdr) ? &at->init : &at->text, &shdr, &vaddr))
			return dv_error_new(DV_ERROR_FORMAT, "ELF: section %zu has a size or alignment that cannot be",
					    elf_ndxscn(scn));
		shdr.sh_addr = vaddr;
		if (store && !gelf_update_shdr(scn, &shdr))
			return dv_error_new(DV_ERROR_FORMAT, "ELF: section %zu: %s", elf_ndxscn(scn), elf_errmsg(-1));
	}
	return NULL;
}

/* The kernel says how much text a module has, in whole pages where it protects them: another length is another
 * file, or a layout that we do not know. */
static bool fits(uint64_t bytes, uint64_t want)
{
	return bytes == want || (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES == want;
}

static struct dv_error *place_sections(struct dv_elf *elf, const struct dv_module_place *place)
{
	struct layout end = {0};
	struct layout at;

	DV_TRY(lay_out(elf, &end, false));
	at = place ? (struct layout){place->text_vaddr, place->init_vaddr} :
		     (struct layout){0, (end.text + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES};
	if (place && (!fits(end.text, place->text_bytes) || (place->init_bytes && !fits(end.init, place->init_bytes))))
		return dv_error_new(DV_ERROR_MISMATCH, "ELF: 0x%llx bytes of code and 0x%llx of init code, but the "
				    "module that ran has 0x%llx and 0x%llx", (unsigned long long)end.text,
				    (unsigned long long)end.init, (unsigned long long)place->text_bytes,
				    (unsigned long long)place->init_bytes);
	return lay_out(elf, &at, true);
}

struct dv_error *dv_elf_create_at(const uint8_t *data, size_t len, const struct dv_module_place *place,
				  struct dv_elf **ret)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	_cleanup_free_ void *copy = NULL;

	DV_TRY(dv_elf_create(data, len, &elf));
	if (elf->header.e_type == ET_REL) {
		/* Its headers change, and its DWARF as it is relocated. */
		copy = malloc(len);
		if (!copy)
			return dv_error_no_memory();
		memcpy(copy, data, len);
		dv_elf_destroy(dv_steal(elf));
		DV_TRY(dv_elf_create(copy, len, &elf));
		elf->own_data = dv_steal(copy);
		DV_TRY(place_sections(elf, place));
	}
	*ret = dv_steal(elf);
	return NULL;
}
