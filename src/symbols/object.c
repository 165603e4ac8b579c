/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A user program's symbols: see object.h. */
#include "symbols/object.h"

#include <elf.h>
#include <string.h>
#include "symbols/debuginfo.h"
#include "symbols/elffile_private.h"
#include "symbols/unpack.h"

#define MAX_DEBUGDATA_BYTES (64u << 20)
#define MAX_PLT		    4 /* .plt, .plt.sec, .plt.got */

struct dv_object {
	struct dv_symtab *symtab;
	struct dv_segments segments;
	struct dv_vaddr_range plt[MAX_PLT];
	size_t plt_count;
	char *build_id;
	struct dv_sources *sources; /* NULL: no DWARF */
};

/* .gnu_debugdata: an ELF with nothing but a .symtab, in xz ("MiniDebugInfo" in gdb's manual). */
static struct dv_error *add_debugdata(const struct dv_elf *elf, struct dv_symtab *symtab, size_t *ret_count)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *inner = NULL;
	_cleanup_buf_ struct dv_buf bytes = DV_BUF_INIT;
	const struct dv_packer *packer;
	const uint8_t *data;
	size_t len;

	if (!dv_elf_section(elf, ".gnu_debugdata", &data, &len))
		return NULL;
	packer = dv_packer_detect(data, len);
	if (!packer)
		return dv_error_new(DV_ERROR_FORMAT, "ELF: .gnu_debugdata is not compressed by " DV_PACKER_NAMES);
	DV_TRY(dv_unpack(packer, data, len, 0, MAX_DEBUGDATA_BYTES, &bytes));
	DV_TRY(dv_elf_create(bytes.data, bytes.len, &inner));
	return dv_elf_add_symbols(inner, symtab, ret_count);
}

static struct dv_error *add_all(const struct dv_elf *elf, const struct dv_elf *debug, struct dv_symtab *symtab)
{
	size_t count = 0, more = 0;

	DV_TRY(dv_elf_add_text(elf, symtab, &count));
	DV_TRY(dv_elf_add_symbols(elf, symtab, &count));
	if (!count && debug)
		DV_TRY(dv_elf_add_symbols(debug, symtab, &count));
	if (!count) {
		/* What is wrong in an extra is no reason to do without the rest. */
		dv_error_destroy(add_debugdata(elf, symtab, &more));
		DV_TRY(dv_elf_add_dynamic_symbols(elf, symtab, &count));
	}
	return dv_elf_add_plt(elf, symtab);
}

static void add_sources(struct dv_object *object, const struct dv_elf *elf)
{
	struct dv_dwarf *dwarf = NULL;
	struct dv_error *err = object->sources || !elf ? NULL : dv_dwarf_create(elf, &dwarf);

	if (dwarf)
		err = dv_sources_create(dwarf, &object->sources);
	dv_dwarf_destroy(dwarf);
	dv_error_destroy(err); /* names are worth having without lines */
}

static struct dv_error *create(const struct dv_elf *elf, const struct dv_elf *debug, bool with_sources,
			       struct dv_object **ret)
{
	_cleanup_(dv_object_destroyp) struct dv_object *object = calloc(1, sizeof(*object));

	if (!object)
		return dv_error_no_memory();
	DV_TRY(dv_symtab_create(&object->symtab));
	DV_TRY(add_all(elf, debug, object->symtab));
	DV_TRY(dv_symtab_seal(object->symtab));
	if (with_sources) {
		add_sources(object, debug);
		add_sources(object, elf);
	}
	object->segments = *dv_elf_segments(elf);
	object->build_id = dv_elf_build_id(elf);
	object->plt_count = dv_elf_plt_ranges(elf, object->plt, MAX_PLT);
	*ret = dv_steal(object);
	return NULL;
}

struct dv_error *dv_object_create(const struct dv_elf *elf, const struct dv_elf *debug, struct dv_object **ret)
{
	return create(elf, debug, true, ret);
}

struct dv_error *dv_object_names(const struct dv_elf *elf, const struct dv_elf *debug, struct dv_object **ret)
{
	return create(elf, debug, false, ret);
}

static struct dv_error *add_dynamic(const struct dv_dynamic *d, struct dv_symtab *symtab)
{
	for (size_t i = 0; i < d->segments.count; i++) {
		const struct dv_segment *s = &d->segments.items[i];

		if (s->executable && s->size_bytes <= UINT64_MAX - s->vaddr)
			DV_TRY(dv_symtab_add_text(symtab, s->vaddr, s->vaddr + s->size_bytes));
	}
	for (uint32_t i = 1; i < d->symbol_count; i++) {
		int kind;
		Elf64_Sym s;

		memcpy(&s, d->symbols + i * sizeof(s), sizeof(s));
		kind = ELF64_ST_TYPE(s.st_info);
		if (s.st_shndx == SHN_UNDEF || (kind != STT_FUNC && kind != STT_GNU_IFUNC) ||
		    s.st_name >= d->strings_bytes || !dv_elf_is_name(d->strings + s.st_name))
			continue;
		DV_TRY(dv_symtab_add(symtab, s.st_value, s.st_size, ELF64_ST_BIND(s.st_info) == STB_WEAK ? 'W' : 'T',
				     d->strings + s.st_name));
	}
	return NULL;
}

struct dv_error *dv_object_from_dynamic(const struct dv_dynamic *d, struct dv_object **ret)
{
	_cleanup_(dv_object_destroyp) struct dv_object *object = calloc(1, sizeof(*object));

	if (!object)
		return dv_error_no_memory();
	DV_TRY(dv_symtab_create(&object->symtab));
	DV_TRY(add_dynamic(d, object->symtab));
	DV_TRY(dv_symtab_seal(object->symtab));
	object->segments = d->segments;
	*ret = dv_steal(object);
	return NULL;
}

void dv_object_destroy(struct dv_object *object)
{
	if (!object)
		return;
	dv_symtab_destroy(object->symtab);
	dv_sources_destroy(object->sources);
	free(object->build_id);
	free(object);
}

bool dv_object_vaddr(const struct dv_object *object, uint64_t offset, uint64_t *ret)
{
	const struct dv_segment *found = NULL;

	/* Pages at a segment's end belong to two segments in the file: code is what is asked for. */
	for (size_t i = 0; i < object->segments.count; i++) {
		const struct dv_segment *s = &object->segments.items[i];

		if (offset >= s->offset && offset - s->offset < s->size_bytes && (!found || s->executable))
			found = s;
	}
	if (!found)
		return false;
	*ret = found->vaddr + (offset - found->offset);
	return true;
}

bool dv_object_is_plt(const struct dv_object *object, uint64_t vaddr)
{
	for (size_t i = 0; i < object->plt_count; i++) {
		if (vaddr >= object->plt[i].start && vaddr < object->plt[i].end)
			return true;
	}
	return false;
}

const struct dv_symbol *dv_object_function_at(const struct dv_object *object, uint64_t vaddr)
{
	return dv_symtab_function_at(object->symtab, vaddr);
}

bool dv_object_source(const struct dv_object *object, uint64_t vaddr, const char **ret_file, uint32_t *ret_line)
{
	return object->sources && dv_sources_find(object->sources, vaddr, ret_file, ret_line);
}

const struct dv_symtab *dv_object_symtab(const struct dv_object *object)
{
	return object->symtab;
}

const char *dv_object_build_id(const struct dv_object *object)
{
	return object->build_id;
}
