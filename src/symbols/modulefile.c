/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing a module as it ran: see modulefile.h. */
#include "symbols/modulefile.h"

#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo.h"
#include "symbols/elffile_private.h"
#include "symbols/packedfile.h"

/* Sections keep their numbers, which symbols and links name. */
struct output {
	struct dv_buf file, headers;
	const struct dv_elf *elf;
};

static bool has_address(const struct dv_elf *elf, size_t index)
{
	GElf_Shdr shdr;

	return gelf_getshdr(elf_getscn(elf->elf, index), &shdr) && shdr.sh_flags & SHF_ALLOC && shdr.sh_addr;
}

static bool is_alias(const struct dv_elf *elf, size_t strings, uint32_t name)
{
	const char *text = elf_strptr(elf->elf, strings, name);

	return text && dv_elf_is_module_alias(text);
}

/* From offsets in their sections to addresses. What lies in data goes: where that was is not known. */
static void place_symbols(const struct dv_elf *elf, size_t strings, uint8_t *data, size_t len)
{
	for (size_t at = 0; at + sizeof(Elf64_Sym) <= len; at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;
		GElf_Shdr shdr;

		memcpy(&symbol, data + at, sizeof(symbol));
		if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE)
			continue;
		if (has_address(elf, symbol.st_shndx) && !is_alias(elf, strings, symbol.st_name) &&
		    gelf_getshdr(elf_getscn(elf->elf, symbol.st_shndx), &shdr))
			symbol.st_value += shdr.sh_addr;
		else
			symbol = (Elf64_Sym){0};
		memcpy(data + at, &symbol, sizeof(symbol));
	}
}

static bool is_wanted(const GElf_Shdr *shdr)
{
	if (shdr->sh_flags & SHF_ALLOC)
		return shdr->sh_addr && shdr->sh_size;
	return shdr->sh_type == SHT_PROGBITS || shdr->sh_type == SHT_SYMTAB || shdr->sh_type == SHT_STRTAB;
}

static void add_header(struct output *o, const GElf_Shdr *shdr)
{
	Elf64_Shdr header = {.sh_name = shdr->sh_name, .sh_type = shdr->sh_type, .sh_flags = shdr->sh_flags,
			     .sh_addr = shdr->sh_addr, .sh_offset = shdr->sh_offset, .sh_size = shdr->sh_size,
			     .sh_link = shdr->sh_link, .sh_info = shdr->sh_info, .sh_addralign = shdr->sh_addralign,
			     .sh_entsize = shdr->sh_entsize};

	dv_buf_append(&o->headers, &header, sizeof(header));
}

static struct dv_error *add_section(struct output *o, Elf_Scn *scn)
{
	GElf_Shdr shdr;
	Elf_Data *data;
	size_t start;

	if (!gelf_getshdr(scn, &shdr) || !is_wanted(&shdr)) {
		add_header(o, &(GElf_Shdr){0});
		return NULL;
	}
	/* gdb takes code from the guest's memory. */
	if (shdr.sh_flags & SHF_ALLOC)
		shdr.sh_type = SHT_NOBITS;
	data = shdr.sh_type == SHT_NOBITS ? NULL : elf_getdata(scn, NULL);
	if (shdr.sh_type != SHT_NOBITS && !data)
		return dv_error_new(DV_ERROR_FORMAT, "ELF: section %zu: %s", elf_ndxscn(scn), elf_errmsg(-1));
	while (o->file.len % 16 && !o->file.failed)
		dv_buf_append(&o->file, "", 1);
	start = o->file.len;
	shdr.sh_offset = start;
	if (data) {
		dv_buf_append(&o->file, data->d_buf, data->d_buf ? data->d_size : 0);
		shdr.sh_size = o->file.len - start;
		shdr.sh_flags &= ~(uint64_t)SHF_COMPRESSED;
	}
	if (shdr.sh_type == SHT_SYMTAB && !o->file.failed)
		place_symbols(o->elf, shdr.sh_link, o->file.data + start, o->file.len - start);
	add_header(o, &shdr);
	return NULL;
}

static struct dv_error *add_all(struct output *o)
{
	Elf64_Ehdr head = {.e_type = ET_EXEC, .e_machine = o->elf->header.e_machine, .e_version = EV_CURRENT,
			   .e_ehsize = sizeof(head), .e_shentsize = sizeof(Elf64_Shdr),
			   .e_shstrndx = (Elf64_Half)o->elf->section_names};
	size_t count = 0;

	if (elf_getshdrnum(o->elf->elf, &count) || count >= SHN_LORESERVE)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "ELF: %zu sections", count);
	dv_buf_append(&o->file, &head, sizeof(head));
	add_header(o, &(GElf_Shdr){0});
	for (size_t i = 1; i < count; i++)
		DV_TRY(add_section(o, elf_getscn(o->elf->elf, i)));
	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	head.e_shnum = (Elf64_Half)count;
	head.e_shoff = o->file.len;
	if (!o->headers.failed)
		dv_buf_append(&o->file, o->headers.data, o->headers.len);
	if (o->file.failed || o->headers.failed)
		return dv_error_no_memory();
	memcpy(o->file.data, &head, sizeof(head));
	return NULL;
}

struct dv_error *dv_module_file_make(const uint8_t *bytes, size_t len, const struct dv_module_place *place,
				     struct dv_buf *ret)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	_cleanup_(dv_dwarf_destroyp) struct dv_dwarf *dwarf = NULL; /* goes before what it reads */
	struct output o = {.file = DV_BUF_INIT, .headers = DV_BUF_INIT};
	struct dv_error *err;

	DV_TRY(dv_elf_create_at(bytes, len, place, &elf));
	DV_TRY(dv_dwarf_create(elf, &dwarf)); /* relocates it */
	o.elf = elf;
	err = add_all(&o);
	if (!err)
		dv_buf_append(ret, o.file.data, o.file.len);
	dv_buf_deinit(&o.file);
	dv_buf_deinit(&o.headers);
	return err ? err : ret->failed ? dv_error_no_memory() : NULL;
}

struct dv_error *dv_module_file_write(const char *from, const struct dv_module_place *place, const char *path)
{
	_cleanup_buf_ struct dv_buf made = DV_BUF_INIT;
	struct dv_packed_file file;
	struct dv_error *err;

	DV_TRY(dv_packed_file_init(from, &file));
	err = dv_error_prefix(dv_module_file_make(file.data, file.len, place, &made), "%s", from);
	dv_packed_file_deinit(&file);
	return err ? err : dv_replace_file(path, made.data, made.len, 0600);
}
