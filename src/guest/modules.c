/* SPDX-License-Identifier: GPL-2.0-or-later */
/* struct module and its kallsyms: see modules.h. */
#include "guest/modules.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/vec.h"
#include "guest/arch.h"
#include "symbols/elffile.h"

#define MAX_SYMBOLS	 (1u << 18)
#define MAX_STRINGS	 (16u << 20)
#define MAX_TEXT	 (256u << 20)
#define MAX_NOTES	 64
#define MAX_NOTE_BYTES	 4096
#define BUILD_ID_BYTES	 20 /* BUILD_ID_SIZE_MAX */
#define MAX_NAME	 512 /* KSYM_NAME_LEN, 6.1 */
#define MOD_TEXT	 0   /* enum mod_mem_type, include/linux/module.h, 6.4 */
#define MOD_INIT_TEXT	 4

static struct dv_error *find_mem(struct dv_modules_layout *l, const struct dv_btf *btf)
{
	DV_TRY(dv_btf_struct_size(btf, "module_memory", &l->mem_bytes));
	DV_TRY(dv_btf_member(btf, "module_memory", "base", &l->base));
	DV_TRY(dv_btf_member(btf, "module_memory", "size", &l->text_bytes));
	l->init = l->core;
	l->core.offset_bytes += MOD_TEXT * l->mem_bytes;
	l->init.offset_bytes += MOD_INIT_TEXT * l->mem_bytes;
	return NULL;
}

static struct dv_error *find_layouts(struct dv_modules_layout *l, const struct dv_btf *btf)
{
	DV_TRY(dv_btf_member(btf, "module", "core_layout", &l->core));
	DV_TRY(dv_btf_member(btf, "module", "init_layout", &l->init));
	DV_TRY(dv_btf_member(btf, "module_layout", "base", &l->base));
	return dv_btf_member(btf, "module_layout", "text_size", &l->text_bytes);
}

static bool has(struct dv_error *err)
{
	bool none = err != NULL;

	dv_error_destroy(err);
	return !none;
}

static struct dv_error *find_notes(struct dv_modules_layout *l, const struct dv_btf *btf)
{
	DV_TRY(dv_btf_member(btf, "module", "notes_attrs", &l->notes_attrs));
	DV_TRY(dv_btf_member(btf, "bin_attribute", "size", &l->note_bytes));
	DV_TRY(dv_btf_member(btf, "bin_attribute", "private", &l->note_vaddr));
	l->has_note_list = has(dv_btf_member(btf, "module_notes_attrs", "grp.bin_attrs", &l->note_list));
	if (l->has_note_list)
		return NULL;
	DV_TRY(dv_btf_member(btf, "module_notes_attrs", "notes", &l->notes_count));
	DV_TRY(dv_btf_member(btf, "module_notes_attrs", "attrs", &l->notes));
	return dv_btf_struct_size(btf, "bin_attribute", &l->note_attr_bytes);
}

struct dv_error *dv_modules_init(struct dv_modules_layout *ret, const struct dv_kernel *kernel)
{
	const struct dv_btf *btf = dv_kernel_btf(kernel);

	if (!btf)
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): modules cannot be read");
	return dv_modules_init_btf(ret, btf);
}

struct dv_error *dv_modules_init_btf(struct dv_modules_layout *ret, const struct dv_btf *btf)
{
	struct dv_modules_layout l = {0};

	DV_TRY(dv_btf_member(btf, "module", "list", &l.list));
	DV_TRY(dv_btf_member(btf, "module", "name", &l.name));
	DV_TRY(dv_btf_member(btf, "module", "kallsyms", &l.kallsyms));
	DV_TRY(dv_btf_member(btf, "mod_kallsyms", "symtab", &l.symtab));
	DV_TRY(dv_btf_member(btf, "mod_kallsyms", "num_symtab", &l.num_symtab));
	DV_TRY(dv_btf_member(btf, "mod_kallsyms", "strtab", &l.strtab));
	l.has_typetab = has(dv_btf_member(btf, "mod_kallsyms", "typetab", &l.typetab));
	l.has_build_id = has(dv_btf_member(btf, "module", "build_id", &l.build_id));
	l.has_notes = has(find_notes(&l, btf));
	l.has_mem = has(dv_btf_member(btf, "module", "mem", &l.core));
	DV_TRY(l.has_mem ? find_mem(&l, btf) : find_layouts(&l, btf));
	*ret = l;
	return NULL;
}

static bool read_text(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t vaddr,
		      uint64_t *ret_base, uint64_t *ret_bytes)
{
	uint32_t bytes;

	if (!dv_guest_read_u64(memory, vaddr + l->base.offset_bytes, ret_base) ||
	    !dv_guest_read_u32(memory, vaddr + l->text_bytes.offset_bytes, &bytes) || bytes > MAX_TEXT)
		return false;
	*ret_bytes = bytes;
	return true;
}

/* Up to the end of the last string: how long the table is, is not kept. */
static bool read_strings(const struct dv_guest_memory *memory, uint64_t vaddr, uint32_t last, struct dv_module *m)
{
	size_t bytes = last + 1u;

	if (bytes > MAX_STRINGS - MAX_NAME)
		return false;
	m->strings = malloc(bytes + MAX_NAME);
	if (!m->strings || !dv_guest_read(memory, vaddr, m->strings, bytes))
		return false;
	while (m->strings[bytes - 1] && bytes < last + MAX_NAME &&
	       dv_guest_read(memory, vaddr + bytes, &m->strings[bytes], 1))
		bytes++;
	m->strings[bytes - 1] = 0;
	m->strings_bytes = bytes;
	return true;
}

static Elf64_Sym symbol_at(const struct dv_module *m, uint32_t i)
{
	Elf64_Sym symbol;

	memcpy(&symbol, m->symbols + i * sizeof(symbol), sizeof(symbol));
	return symbol;
}

static bool read_symbols(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t kallsyms,
			 struct dv_module *m)
{
	uint64_t symtab, strtab, typetab = 0;
	uint32_t count, last = 0;

	if (!dv_guest_read_u64(memory, kallsyms + l->symtab.offset_bytes, &symtab) ||
	    !dv_guest_read_u32(memory, kallsyms + l->num_symtab.offset_bytes, &count) ||
	    !dv_guest_read_u64(memory, kallsyms + l->strtab.offset_bytes, &strtab) || !count || count > MAX_SYMBOLS)
		return false;
	m->symbols = malloc(count * sizeof(Elf64_Sym));
	if (!m->symbols || !dv_guest_read(memory, symtab, m->symbols, count * sizeof(Elf64_Sym)))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (symbol_at(m, i).st_name > last)
			last = symbol_at(m, i).st_name;
	}
	if (!read_strings(memory, strtab, last, m))
		return false;
	m->symbol_count = count;
	if (!l->has_typetab || !dv_guest_read_u64(memory, kallsyms + l->typetab.offset_bytes, &typetab))
		return true;
	m->types = malloc(count);
	if (m->types && !dv_guest_read(memory, typetab, m->types, count)) {
		free(m->types);
		m->types = NULL;
	}
	return true;
}

/* One section of notes, as /sys/module/X/notes/Y shows it. */
static bool read_note(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t attr,
		      char ret[DV_MODULE_BUILD_ID_CHARS])
{
	_cleanup_free_ char *id = NULL;
	uint8_t bytes[MAX_NOTE_BYTES];
	uint64_t size, vaddr;

	if (!dv_guest_read_u64(memory, attr + l->note_bytes.offset_bytes, &size) ||
	    !dv_guest_read_u64(memory, attr + l->note_vaddr.offset_bytes, &vaddr) || size > sizeof(bytes) ||
	    !dv_guest_read(memory, vaddr, bytes, size))
		return false;
	id = dv_elf_notes_build_id(bytes, size);
	if (!id || strlen(id) >= DV_MODULE_BUILD_ID_CHARS)
		return false;
	memcpy(ret, id, strlen(id) + 1);
	return true;
}

/* The attribute of the ith section of notes; false: there is none. */
static bool note_at(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t attrs, uint32_t i,
		    uint64_t *ret)
{
	uint64_t list;
	uint32_t count;

	if (l->has_note_list)
		return dv_guest_read_u64(memory, attrs + l->note_list.offset_bytes, &list) && list &&
		       dv_guest_read_u64(memory, list + i * sizeof(uint64_t), ret) && *ret;
	*ret = attrs + l->notes.offset_bytes + (uint64_t)i * l->note_attr_bytes;
	return dv_guest_read_u32(memory, attrs + l->notes_count.offset_bytes, &count) && i < count;
}

static void read_build_id(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t module,
			  char ret[DV_MODULE_BUILD_ID_CHARS])
{
	uint8_t id[BUILD_ID_BYTES], none[BUILD_ID_BYTES] = {0};
	uint64_t attrs, note;

	if (l->has_build_id && dv_guest_read(memory, module + l->build_id.offset_bytes, id, sizeof(id)) &&
	    memcmp(id, none, sizeof(id))) {
		for (size_t i = 0; i < sizeof(id); i++)
			snprintf(ret + 2 * i, 3, "%02x", id[i]);
		return;
	}
	if (!l->has_notes || !dv_guest_read_u64(memory, module + l->notes_attrs.offset_bytes, &attrs) || !attrs)
		return;
	for (uint32_t i = 0; i < MAX_NOTES && note_at(l, memory, attrs, i, &note); i++) {
		if (read_note(l, memory, note, ret))
			return;
	}
}

bool dv_modules_read(const struct dv_modules_layout *l, const struct dv_guest_memory *memory, uint64_t vaddr,
		     struct dv_module *ret)
{
	struct dv_module m = {.vaddr = vaddr};
	uint64_t kallsyms;

	if (!dv_guest_read(memory, vaddr + l->name.offset_bytes, m.name, sizeof(m.name) - 1) || !m.name[0] ||
	    !read_text(l, memory, vaddr + l->core.offset_bytes, &m.base_vaddr, &m.size_bytes) ||
	    !dv_is_kernel_vaddr(m.base_vaddr))
		return false;
	for (char *c = m.name; *c; c++)
		*c = *c > ' ' && *c < 0x7f ? *c : '?';
	if (!read_text(l, memory, vaddr + l->init.offset_bytes, &m.init_vaddr, &m.init_size_bytes) || !m.init_vaddr)
		m.init_vaddr = m.init_size_bytes = 0;
	read_build_id(l, memory, vaddr, m.build_id);
	if (dv_guest_read_u64(memory, vaddr + l->kallsyms.offset_bytes, &kallsyms) && kallsyms &&
	    !read_symbols(l, memory, kallsyms, &m)) {
		m.symbol_count = 0;
		m.strings_bytes = 0;
	}
	*ret = m;
	return true;
}

void dv_module_deinit(struct dv_module *m)
{
	free(m->symbols);
	free(m->types);
	free(m->strings);
	m->symbols = NULL;
	m->types = m->strings = NULL;
}

static bool is_inside(uint64_t vaddr, uint64_t start, uint64_t bytes)
{
	return vaddr >= start && vaddr - start < bytes;
}

static struct dv_error *add_symbols(const struct dv_module *m, struct dv_symtab *symtab)
{
	for (uint32_t i = 0; i < m->symbol_count; i++) {
		Elf64_Sym s = symbol_at(m, i);
		char type = ELF64_ST_BIND(s.st_info) == STB_LOCAL ? 't' : 'T';

		if (!is_inside(s.st_value, m->base_vaddr, m->size_bytes) &&
		    !is_inside(s.st_value, m->init_vaddr, m->init_size_bytes))
			continue;
		if (s.st_shndx == SHN_UNDEF || s.st_name >= m->strings_bytes || !m->strings[s.st_name])
			continue;
		/* Aliases of the functions that module_init() and module_exit() name. */
		if (!strcmp(m->strings + s.st_name, "init_module") || !strcmp(m->strings + s.st_name, "cleanup_module"))
			type = 'w';
		/* Sections, files, mapping symbols. */
		if (ELF64_ST_TYPE(s.st_info) == STT_SECTION || ELF64_ST_TYPE(s.st_info) == STT_FILE ||
		    (m->types && (!m->types[i] || !strchr("tTwW", m->types[i]))))
			continue;
		DV_TRY(dv_symtab_add(symtab, s.st_value, s.st_size, type, m->strings + s.st_name));
	}
	return NULL;
}

static struct dv_error *make_symtab(const struct dv_module *m, struct dv_symtab **ret)
{
	_cleanup_(dv_symtab_destroyp) struct dv_symtab *symtab = NULL;

	DV_TRY(dv_symtab_create(&symtab));
	DV_TRY(dv_symtab_add_text(symtab, m->base_vaddr, m->base_vaddr + m->size_bytes));
	if (m->init_size_bytes)
		DV_TRY(dv_symtab_add_text(symtab, m->init_vaddr, m->init_vaddr + m->init_size_bytes));
	DV_TRY(add_symbols(m, symtab));
	DV_TRY(dv_symtab_seal(symtab));
	*ret = dv_steal(symtab);
	return NULL;
}

struct dv_error *dv_module_code_create(const struct dv_module *m, struct dv_module_code **ret)
{
	struct dv_module_code *code = calloc(1, sizeof(*code));
	struct dv_error *err;

	if (!code)
		return dv_error_no_memory();
	*code = (struct dv_module_code){
		.references = 1,
		.vaddr = m->vaddr,
		.base_vaddr = m->base_vaddr,
		.size_bytes = m->size_bytes,
		.init_vaddr = m->init_vaddr,
		.init_size_bytes = m->init_size_bytes,
	};
	memcpy(code->name, m->name, sizeof(code->name));
	memcpy(code->build_id, m->build_id, sizeof(code->build_id));
	err = make_symtab(m, &code->symtab);
	if (err) {
		free(code);
		return err;
	}
	*ret = code;
	return NULL;
}

struct dv_module_code *dv_module_code_ref(struct dv_module_code *code)
{
	__atomic_add_fetch(&code->references, 1, __ATOMIC_RELAXED);
	return code;
}

void dv_module_code_unref(struct dv_module_code *code)
{
	if (!code || __atomic_sub_fetch(&code->references, 1, __ATOMIC_ACQ_REL))
		return;
	dv_symtab_destroy(code->symtab);
	free(code);
}

void dv_module_list_deinit(struct dv_module_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		dv_module_code_unref(list->items[i]);
	free(list->items);
	*list = (struct dv_module_list){0};
}

bool dv_module_list_add(struct dv_module_list *list, struct dv_module_code *code)
{
	dv_module_list_remove(list, code->vaddr); /* whose end was not seen */
	if (!DV_VEC_ROOM(list->items, list->len, list->cap))
		return false;
	list->items[list->len++] = dv_module_code_ref(code);
	return true;
}

void dv_module_list_remove(struct dv_module_list *list, uint64_t module_vaddr)
{
	for (size_t i = 0; i < list->len; i++) {
		if (list->items[i]->vaddr != module_vaddr)
			continue;
		dv_module_code_unref(list->items[i]);
		memmove(list->items + i, list->items + i + 1, (--list->len - i) * sizeof(list->items[0]));
		return;
	}
}

struct dv_module_code *dv_module_list_get(const struct dv_module_list *list, uint64_t module_vaddr)
{
	for (size_t i = 0; i < list->len; i++) {
		if (list->items[i]->vaddr == module_vaddr)
			return list->items[i];
	}
	return NULL;
}

struct dv_module_code *dv_module_list_find(const struct dv_module_list *list, uint64_t vaddr,
					   const struct dv_symbol **ret_function)
{
	for (size_t i = list->len; i-- > 0;) {
		struct dv_module_code *code = list->items[i];

		if (!is_inside(vaddr, code->base_vaddr, code->size_bytes) &&
		    !is_inside(vaddr, code->init_vaddr, code->init_size_bytes))
			continue;
		*ret_function = dv_symtab_function_at(code->symtab, vaddr);
		return code;
	}
	return NULL;
}
