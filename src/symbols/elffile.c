/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libelf does the reading; sizes and offsets that it does not check are checked here. */
#include "symbols/elffile_private.h"

#include <string.h>

#define MAX_BUILD_ID_BYTES 64

bool dv_segments_find(const struct dv_segments *segments, uint64_t vaddr, uint64_t len, size_t *ret_offset)
{
	for (size_t i = 0; i < segments->count; i++) {
		const struct dv_segment *s = &segments->items[i];

		if (vaddr < s->vaddr || vaddr - s->vaddr > s->size_bytes ||
		    len > s->size_bytes - (vaddr - s->vaddr))
			continue;
		*ret_offset = s->offset + (size_t)(vaddr - s->vaddr);
		return true;
	}
	return false;
}

static struct dv_error *read_segments(struct dv_elf *elf)
{
	size_t count = 0;

	if (elf_getphdrnum(elf->elf, &count))
		return dv_error_new(DV_ERROR_FORMAT, "program headers: %s", elf_errmsg(-1));
	for (size_t i = 0; i < count; i++) {
		struct dv_segments *segments = &elf->segments;
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf->elf, (int)i, &phdr))
			return dv_error_new(DV_ERROR_FORMAT, "program header %zu: %s", i, elf_errmsg(-1));
		if (phdr.p_type != PT_LOAD || !phdr.p_filesz)
			continue;
		if (phdr.p_offset > elf->len || phdr.p_filesz > elf->len - phdr.p_offset)
			return dv_error_new(DV_ERROR_TRUNCATED,
					    "program header %zu: bytes 0x%llx to 0x%llx, but there are 0x%zx", i,
					    (unsigned long long)phdr.p_offset,
					    (unsigned long long)(phdr.p_offset + phdr.p_filesz), elf->len);
		if (segments->count == DV_ELF_MAX_SEGMENTS)
			return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %d segments", DV_ELF_MAX_SEGMENTS);
		segments->items[segments->count++] = (struct dv_segment){
			.vaddr = phdr.p_vaddr,
			.size_bytes = phdr.p_filesz,
			.offset = (size_t)phdr.p_offset,
			.executable = phdr.p_flags & PF_X,
		};
	}
	return NULL;
}

static struct dv_error *read_header(struct dv_elf *elf)
{
	const char *class = elf->len > EI_DATA ? (const char *)elf->data : "\0\0\0\0\0\0";
	size_t sections = 0;

	if (elf->len < sizeof(Elf64_Ehdr))
		return dv_error_new(DV_ERROR_TRUNCATED, "%zu bytes, fewer than its header has", elf->len);
	if (class[EI_CLASS] != ELFCLASS64 || class[EI_DATA] != ELFDATA2LSB)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "not a 64-bit little-endian file (class %d, data %d)",
				    class[EI_CLASS], class[EI_DATA]);
	elf_version(EV_CURRENT);
	elf->elf = elf_memory((char *)elf->data, elf->len);
	if (!elf->elf || elf_kind(elf->elf) != ELF_K_ELF || !gelf_getehdr(elf->elf, &elf->header))
		return dv_error_new(DV_ERROR_FORMAT, "%s", elf->elf ? "bad header" : elf_errmsg(-1));
	if (elf_getshdrnum(elf->elf, &sections) || !sections ||
	    elf_getshdrstrndx(elf->elf, &elf->section_names))
		elf->section_names = 0;
	return read_segments(elf);
}

struct dv_error *dv_elf_create(const uint8_t *data, size_t len, struct dv_elf **ret)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = calloc(1, sizeof(*elf));

	if (!elf)
		return dv_error_no_memory();
	elf->data = data;
	elf->len = len;
	DV_TRY(dv_error_prefix(read_header(elf), "ELF"));
	*ret = dv_steal(elf);
	return NULL;
}

void dv_elf_destroy(struct dv_elf *elf)
{
	if (!elf)
		return;
	elf_end(elf->elf);
	free(elf->own_data);
	free(elf);
}

uint16_t dv_elf_machine(const struct dv_elf *elf)
{
	return elf->header.e_machine;
}

const struct dv_segments *dv_elf_segments(const struct dv_elf *elf)
{
	return &elf->segments;
}

struct dv_error *dv_elf_add_text(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count)
{
	Elf_Scn *scn = NULL;
	size_t count = 0;

	while ((scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || !(shdr.sh_flags & SHF_EXECINSTR) ||
		    !(shdr.sh_flags & SHF_ALLOC) || shdr.sh_size > UINT64_MAX - shdr.sh_addr)
			continue;
		DV_TRY(dv_symtab_add_text(symtab, shdr.sh_addr, shdr.sh_addr + shdr.sh_size));
		count++;
	}
	*ret_count = count;
	return NULL;
}

/* nm's letter for a symbol. */
static char symbol_type(const struct dv_elf *elf, const GElf_Sym *sym)
{
	int bind = GELF_ST_BIND(sym->st_info), kind = GELF_ST_TYPE(sym->st_info);
	char type = 'd';
	GElf_Shdr shdr;

	if (sym->st_shndx == SHN_ABS)
		type = 'a';
	else if (sym->st_shndx == SHN_COMMON)
		type = 'b';
	else if (gelf_getshdr(elf_getscn(elf->elf, sym->st_shndx), &shdr)) {
		bool code = shdr.sh_flags & SHF_EXECINSTR && kind != STT_OBJECT;

		if (kind == STT_GNU_IFUNC)
			return 'i';
		if (bind == STB_WEAK)
			return code ? 'W' : 'V';
		type = code			     ? 't'
		       : shdr.sh_type == SHT_NOBITS  ? 'b'
		       : shdr.sh_flags & SHF_WRITE   ? 'd'
						     : 'r';
	}
	return bind == STB_LOCAL ? type : (char)(type - 'a' + 'A');
}

/* Of a name's characters a terminal or a file may be shown: no control characters. */
bool dv_elf_is_name(const char *name)
{
	for (const char *c = name; *c; c++) {
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			return false;
	}
	/* "$x", "$d": arm64's mapping symbols; ".L": the assembler's own. */
	return name[0] && name[0] != '$' && strncmp(name, ".L", 2) != 0;
}

bool dv_elf_is_module_alias(const char *name)
{
	return !strcmp(name, "init_module") || !strcmp(name, "cleanup_module");
}

/* "clock_gettime@@GLIBC_2.17": the version is no part of the function's name. */
static struct dv_error *add_symbol(const struct dv_elf *elf, const GElf_Sym *sym, const char *name,
				   struct dv_symtab *symtab)
{
	const char *at = strchr(name, '@');
	_cleanup_free_ char *plain = at && at != name ? strndup(name, (size_t)(at - name)) : NULL;
	char type = symbol_type(elf, sym);
	uint64_t vaddr = sym->st_value;
	GElf_Shdr shdr;

	/* A relocatable file counts from its section's start. */
	if (elf->header.e_type == ET_REL && gelf_getshdr(elf_getscn(elf->elf, sym->st_shndx), &shdr))
		vaddr += shdr.sh_addr;
	if (elf->header.e_type == ET_REL && dv_elf_is_module_alias(name))
		type = 'w';
	return dv_symtab_add(symtab, vaddr, sym->st_size, type, plain ? plain : name);
}

static struct dv_error *add_symbols_of(const struct dv_elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr,
				       struct dv_symtab *symtab, size_t *count)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = data ? data->d_size / sizeof(Elf64_Sym) : 0;

	if (!data)
		return dv_error_new(DV_ERROR_FORMAT, "symbol table: %s", elf_errmsg(-1));
	for (size_t i = 1; i < n; i++) {
		const char *name;
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym))
			return dv_error_new(DV_ERROR_FORMAT, "symbol %zu: %s", i, elf_errmsg(-1));
		if (sym.st_shndx == SHN_UNDEF || GELF_ST_TYPE(sym.st_info) == STT_SECTION ||
		    GELF_ST_TYPE(sym.st_info) == STT_FILE)
			continue;
		name = elf_strptr(elf->elf, shdr->sh_link, sym.st_name);
		if (!name)
			return dv_error_new(DV_ERROR_FORMAT, "symbol %zu: its name is at %u, outside of its table", i,
					    sym.st_name);
		if (!dv_elf_is_name(name))
			continue;
		DV_TRY(add_symbol(elf, &sym, name, symtab));
		++*count;
	}
	return NULL;
}

static struct dv_error *add_tables(const struct dv_elf *elf, uint32_t type, struct dv_symtab *symtab,
				   size_t *ret_count)
{
	Elf_Scn *scn = NULL;
	size_t count = 0;

	while ((scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != type)
			continue;
		DV_TRY(dv_error_prefix(add_symbols_of(elf, scn, &shdr, symtab, &count), "ELF"));
	}
	*ret_count = count;
	return NULL;
}

struct dv_error *dv_elf_add_symbols(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count)
{
	return add_tables(elf, SHT_SYMTAB, symtab, ret_count);
}

struct dv_error *dv_elf_add_dynamic_symbols(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count)
{
	return add_tables(elf, SHT_DYNSYM, symtab, ret_count);
}

static bool is_named(const struct dv_elf *elf, Elf_Scn *scn, const char *name)
{
	const char *its_name;
	GElf_Shdr shdr;

	if (!gelf_getshdr(scn, &shdr))
		return false;
	its_name = elf_strptr(elf->elf, elf->section_names, shdr.sh_name);
	return its_name && !strcmp(its_name, name);
}

bool dv_elf_has_section(const struct dv_elf *elf, const char *name)
{
	Elf_Scn *scn = NULL;

	while (elf->section_names && (scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;

		if (is_named(elf, scn, name) && gelf_getshdr(scn, &shdr) && shdr.sh_type != SHT_NOBITS && shdr.sh_size)
			return true;
	}
	return false;
}

bool dv_elf_section(const struct dv_elf *elf, const char *name, const uint8_t **ret_data, size_t *ret_len)
{
	Elf_Scn *scn = NULL;

	while (elf->section_names && (scn = elf_nextscn(elf->elf, scn))) {
		Elf_Data *data;
		GElf_Shdr shdr;

		if (!is_named(elf, scn, name) || !gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0)
			continue;
		data = elf_rawdata(scn, NULL);
		if (!data || !data->d_buf || !data->d_size)
			continue;
		*ret_data = data->d_buf;
		*ret_len = data->d_size;
		return true;
	}
	return false;
}

/* Debugging information in separate files (gdb's manual): a name, padding to 4 bytes, a CRC-32. */
bool dv_elf_debuglink(const struct dv_elf *elf, const char **ret_name, uint32_t *ret_crc32)
{
	const uint8_t *data;
	size_t len, name_len;

	if (!dv_elf_section(elf, ".gnu_debuglink", &data, &len))
		return false;
	name_len = strnlen((const char *)data, len);
	if (!name_len || name_len + 1 > len || ((name_len + 4) & ~(size_t)3) + 4 > len ||
	    memchr(data, '/', name_len))
		return false;
	memcpy(ret_crc32, data + ((name_len + 4) & ~(size_t)3), sizeof(*ret_crc32));
	*ret_name = (const char *)data;
	return true;
}

/* A name with its end, and the build id, by dwz(1). */
bool dv_elf_altlink(const struct dv_elf *elf, const char **ret_name, char **ret_build_id)
{
	_cleanup_buf_ struct dv_buf hex = DV_BUF_INIT;
	const uint8_t *data;
	size_t len, name_len;

	if (!dv_elf_section(elf, ".gnu_debugaltlink", &data, &len))
		return false;
	name_len = strnlen((const char *)data, len);
	if (!name_len || name_len + 1 >= len || len - name_len - 1 > MAX_BUILD_ID_BYTES)
		return false;
	for (size_t i = name_len + 1; i < len; i++)
		dv_buf_printf(&hex, "%02x", data[i]);
	*ret_build_id = dv_buf_steal_string(&hex);
	*ret_name = (const char *)data;
	return *ret_build_id != NULL;
}

void dv_elf_set_alt(struct dv_elf *elf, const struct dv_elf *alt)
{
	elf->alt = alt;
}

/*
 * Notes (gabi, "Note Section"): namesz, descsz and type in 4 bytes each, then name and desc, each padded
 * to 4 bytes. The build id is type 3 of "GNU".
 */
char *dv_elf_notes_build_id(const uint8_t *data, size_t len)
{
	struct dv_cursor c = dv_cursor_make(data, len);

	while (dv_cursor_left(&c) >= 12) {
		uint32_t name_len = dv_cursor_u32(&c), desc_len = dv_cursor_u32(&c);
		uint32_t type = dv_cursor_u32(&c);
		const uint8_t *name = dv_cursor_take(&c, ((size_t)name_len + 3) & ~(size_t)3);
		const uint8_t *desc = dv_cursor_take(&c, ((size_t)desc_len + 3) & ~(size_t)3);
		_cleanup_buf_ struct dv_buf hex = DV_BUF_INIT;

		if (!name || !desc)
			return NULL;
		if (type != NT_GNU_BUILD_ID || name_len != 4 || memcmp(name, "GNU", 4) || !desc_len ||
		    desc_len > MAX_BUILD_ID_BYTES)
			continue;
		for (uint32_t i = 0; i < desc_len; i++)
			dv_buf_printf(&hex, "%02x", desc[i]);
		return dv_buf_steal_string(&hex);
	}
	return NULL;
}

char *dv_elf_build_id(const struct dv_elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t count = 0;

	if (elf_getphdrnum(elf->elf, &count))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr phdr;
		char *id = NULL;

		if (!gelf_getphdr(elf->elf, (int)i, &phdr) || phdr.p_type != PT_NOTE)
			continue;
		if (phdr.p_offset <= elf->len && phdr.p_filesz <= elf->len - phdr.p_offset)
			id = dv_elf_notes_build_id(elf->data + phdr.p_offset, phdr.p_filesz);
		if (id)
			return id;
	}
	while ((scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;
		Elf_Data *data;
		char *id = NULL;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_NOTE)
			continue;
		data = elf_rawdata(scn, NULL);
		if (data && data->d_buf)
			id = dv_elf_notes_build_id(data->d_buf, data->d_size);
		if (id)
			return id;
	}
	return NULL;
}
