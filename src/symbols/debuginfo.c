/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DWARF by address: see debuginfo.h. */
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <string.h>
#include "symbols/debuginfo.h"
#include "base/vec.h"
#include "symbols/elffile_private.h"
#include "symbols/packedfile.h"

#define MAX_UNITS     (1u << 20)
#define MAX_FUNCTIONS (4u << 20)

/* A range of a compilation unit. Clang writes no .debug_aranges for kernels: the units are asked instead. */
struct unit_range {
	uint64_t start, end; /* end exclusive */
	Dwarf_Off offset;    /* of the unit's DIE */
};

struct dv_dwarf {
	Dwarf *dw, *alt; /* alt: what several files have in common, or NULL */
	Dwfl *dwfl; /* which owns dw; NULL, but for a relocatable file */
	struct unit_range *ranges; /* sorted */
	size_t len, cap;
};

static struct dv_error *add_range(struct dv_dwarf *d, uint64_t start, uint64_t end, Dwarf_Off offset)
{
	if (start >= end || d->len >= MAX_UNITS * 4)
		return NULL;
	if (!DV_VEC_ROOM(d->ranges, d->len, d->cap))
		return dv_error_no_memory();
	d->ranges[d->len++] = (struct unit_range){start, end, offset};
	return NULL;
}

static int by_start(const void *va, const void *vb)
{
	const struct unit_range *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* The next compilation unit's DIE: *ret_unit goes on from *offset. False at the end. */
static bool next_unit(Dwarf *dw, Dwarf_Off *offset, Dwarf_Die *ret_unit)
{
	Dwarf_Off next;
	size_t header_bytes;

	while (!dwarf_nextcu(dw, *offset, &next, &header_bytes, NULL, NULL, NULL)) {
		Dwarf_Off die = *offset + header_bytes;

		*offset = next;
		if (dwarf_offdie(dw, die, ret_unit))
			return true;
	}
	return false;
}

static struct dv_error *gather_ranges(struct dv_dwarf *d)
{
	Dwarf_Off offset = 0;
	Dwarf_Die unit;

	while (next_unit(d->dw, &offset, &unit)) {
		Dwarf_Addr base, start, end;
		ptrdiff_t at = 0;

		while ((at = dwarf_ranges(&unit, at, &base, &start, &end)) > 0)
			DV_TRY(add_range(d, start, end, dwarf_dieoffset(&unit)));
	}
	if (d->len)
		qsort(d->ranges, d->len, sizeof(d->ranges[0]), by_start);
	return NULL;
}

/*
 * A relocatable file's DWARF is relocated by libdwfl, as that of a module that runs: it asks for the file, and for
 * the address of each section that has none in its header.
 */
static int give_elf(Dwfl_Module *module, void **elf, const char *name, Dwarf_Addr base, char **path, Elf **ret)
{
	*ret = elf_begin(-1, ELF_C_READ, *elf); /* a reference, which libdwfl ends */
	return -1;
}

static int no_debug_file(Dwfl_Module *module, void **elf, const char *name, Dwarf_Addr base, const char *path,
			 const char *link, GElf_Word crc, char **ret_path)
{
	return -1;
}

static int section_at_zero(Dwfl_Module *module, void **elf, const char *name, Dwarf_Addr base, const char *section,
			   GElf_Word index, const GElf_Shdr *header, Dwarf_Addr *ret)
{
	*ret = 0;
	return 0;
}

static const Dwfl_Callbacks relocation = {
	.find_elf = give_elf, .find_debuginfo = no_debug_file, .section_address = section_at_zero};

static struct dv_error *begin_relocated(struct dv_dwarf *d, const struct dv_elf *elf)
{
	Dwfl_Module *module;
	Dwarf_Addr bias = 0;
	void **userdata;

	d->dwfl = dwfl_begin(&relocation);
	if (!d->dwfl)
		return dv_error_no_memory();
	dwfl_report_begin(d->dwfl);
	module = dwfl_report_module(d->dwfl, "module", 0, UINT64_MAX);
	if (!module || dwfl_report_end(d->dwfl, NULL, NULL) ||
	    !dwfl_module_info(module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL))
		return dv_error_new(DV_ERROR_FORMAT, "DWARF: %s", dwfl_errmsg(-1));
	*userdata = elf->elf;
	d->dw = dwfl_module_getdwarf(module, &bias);
	return d->dw ? NULL : dv_error_new(DV_ERROR_NOT_FOUND, "DWARF: %s", dwfl_errmsg(-1));
}

static struct dv_error *begin(struct dv_dwarf *d, const struct dv_elf *elf)
{
	if (elf->header.e_type == ET_REL && !elf->own_data)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "DWARF: a relocatable file (.ko, .o) without an address");
	if (elf->header.e_type == ET_REL)
		return begin_relocated(d, elf);
	d->dw = dwarf_begin_elf(elf->elf, DWARF_C_READ, NULL);
	if (d->dw && elf->alt)
		d->alt = dwarf_begin_elf(elf->alt->elf, DWARF_C_READ, NULL);
	if (d->alt)
		dwarf_setalt(d->dw, d->alt);
	if (!d->dw && dwarf_errno() == 0)
		return dv_error_new(DV_ERROR_NOT_FOUND, "DWARF: there is none");
	return d->dw ? NULL : dv_error_new(DV_ERROR_NOT_FOUND, "DWARF: %s", dwarf_errmsg(-1));
}

struct dv_error *dv_dwarf_create(const struct dv_elf *elf, struct dv_dwarf **ret)
{
	_cleanup_(dv_dwarf_destroyp) struct dv_dwarf *d = calloc(1, sizeof(*d));

	if (!d)
		return dv_error_no_memory();
	DV_TRY(begin(d, elf));
	DV_TRY(gather_ranges(d));
	if (!d->len)
		return dv_error_new(DV_ERROR_NOT_FOUND, "DWARF: no compilation unit has an address");
	*ret = dv_steal(d);
	return NULL;
}

void dv_dwarf_destroy(struct dv_dwarf *d)
{
	if (!d)
		return;
	if (d->dwfl)
		dwfl_end(d->dwfl);
	else if (d->dw)
		dwarf_end(d->dw);
	if (d->alt)
		dwarf_end(d->alt);
	free(d->ranges);
	free(d);
}

/* The unit that an address lies in. */
static bool find_unit(struct dv_dwarf *d, uint64_t vaddr, Dwarf_Die *ret)
{
	size_t low = 0, high = d->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->ranges[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	/* Ranges do not overlap, but for what a broken file says: a few are looked at. */
	for (size_t i = low; i-- > 0 && low - i <= 8;) {
		if (vaddr < d->ranges[i].end)
			return dwarf_offdie(d->dw, d->ranges[i].offset, ret);
	}
	return false;
}

/* "kernel/sched/core.c" of "/build/linux/kernel/sched/core.c" that was compiled in "/build/linux". */
static const char *relative(Dwarf_Die *unit, const char *file)
{
	Dwarf_Attribute attribute;
	const char *dir = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
	size_t len = dir ? strlen(dir) : 0;

	if (file && len && !strncmp(file, dir, len) && file[len] == '/')
		file += len + 1;
	while (file && file[0] == '.' && file[1] == '/')
		file += 2;
	return file;
}

static const char *call_file(Dwarf_Die *unit, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	Dwarf_Word index;
	size_t count;

	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &index) ||
	    dwarf_getsrcfiles(unit, &files, &count) || index >= count)
		return NULL;
	return relative(unit, dwarf_filesrc(files, index, NULL, NULL));
}

static uint32_t number_attribute(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* File and line of an address by the line table. */
static void source_line(Dwarf_Die *unit, uint64_t vaddr, struct dv_dwarf_frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, vaddr);
	int number = 0;

	if (!line)
		return;
	frame->file = relative(unit, dwarf_linesrc(line, NULL, NULL));
	if (!dwarf_lineno(line, &number) && number > 0)
		frame->line = (uint32_t)number;
}

size_t dv_dwarf_where(struct dv_dwarf *d, uint64_t vaddr, struct dv_dwarf_frame frames[DV_DWARF_MAX_FRAMES])
{
	_cleanup_free_ Dwarf_Die *inner = NULL, *scopes = NULL;
	size_t n = 0;
	Dwarf_Die unit;
	int count;

	if (!find_unit(d, vaddr, &unit))
		return 0;
	memset(frames, 0, DV_DWARF_MAX_FRAMES * sizeof(frames[0]));
	source_line(&unit, vaddr, &frames[0]);
	count = dwarf_getscopes(&unit, vaddr, &inner);
	if (count > 0) /* the DIEs around it as they lie in the file, without those of abstract instances */
		count = dwarf_getscopes_die(&inner[0], &scopes);
	for (int i = 0; i < count && n < DV_DWARF_MAX_FRAMES - 1; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		frames[n].function = dwarf_diename(&scopes[i]);
		frames[n].is_inlined = tag == DW_TAG_inlined_subroutine;
		n++;
		if (tag == DW_TAG_subprogram)
			break;
		frames[n].file = call_file(&unit, &scopes[i]);
		frames[n].line = number_attribute(&scopes[i], DW_AT_call_line);
	}
	return n ? n : frames[0].file != NULL;
}

/* ---- where functions are declared ---- */

struct source {
	uint64_t vaddr;
	uint32_t file, line; /* file: index into files */
};

struct dv_sources {
	struct source *items; /* sorted */
	size_t len, cap;
	char **files;
	size_t files_len, files_cap;
};

/* Of one unit, a file comes again and again: the last ones are looked at first. */
static bool file_index(struct dv_sources *s, size_t first, const char *file, uint32_t *ret)
{
	for (size_t i = s->files_len; i-- > first;) {
		if (!strcmp(s->files[i], file)) {
			*ret = (uint32_t)i;
			return true;
		}
	}
	if (!DV_VEC_ROOM(s->files, s->files_len, s->files_cap))
		return false;
	s->files[s->files_len] = strdup(file);
	if (!s->files[s->files_len])
		return false;
	*ret = (uint32_t)s->files_len++;
	return true;
}

/* Its first instruction. One with a cold part elsewhere has ranges, the first of which begins with it (DWARF 5,
 * 2.18). */
static bool entry_of(Dwarf_Die *die, Dwarf_Addr *ret)
{
	Dwarf_Addr base, end;

	return !dwarf_entrypc(die, ret) || dwarf_ranges(die, 0, &base, ret, &end) > 0;
}

static struct dv_error *add_source(struct dv_sources *s, size_t first_file, Dwarf_Die *unit, Dwarf_Die *die)
{
	const char *file = relative(unit, dwarf_decl_file(die));
	struct source source = {.line = number_attribute(die, DW_AT_decl_line)};
	Dwarf_Addr vaddr;

	if (!file || !entry_of(die, &vaddr) || s->len >= MAX_FUNCTIONS)
		return NULL;
	source.vaddr = vaddr;
	if (!DV_VEC_ROOM(s->items, s->len, s->cap))
		return dv_error_no_memory();
	if (!file_index(s, first_file, file, &source.file))
		return dv_error_no_memory();
	s->items[s->len++] = source;
	return NULL;
}

static struct dv_error *add_unit(struct dv_sources *s, Dwarf_Die *unit)
{
	size_t first_file = s->files_len;
	Dwarf_Die die;
	int rc;

	for (rc = dwarf_child(unit, &die); !rc; rc = dwarf_siblingof(&die, &die)) {
		if (dwarf_tag(&die) == DW_TAG_subprogram)
			DV_TRY(add_source(s, first_file, unit, &die));
	}
	return NULL;
}

static int by_vaddr(const void *va, const void *vb)
{
	const struct source *a = va, *b = vb;

	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

struct dv_error *dv_sources_create(struct dv_dwarf *d, struct dv_sources **ret)
{
	_cleanup_(dv_sources_destroyp) struct dv_sources *s = calloc(1, sizeof(*s));
	Dwarf_Off offset = 0;
	Dwarf_Die unit;

	if (!s)
		return dv_error_no_memory();
	while (next_unit(d->dw, &offset, &unit))
		DV_TRY(add_unit(s, &unit));
	if (s->len)
		qsort(s->items, s->len, sizeof(s->items[0]), by_vaddr);
	*ret = dv_steal(s);
	return NULL;
}

void dv_sources_destroy(struct dv_sources *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->files_len; i++)
		free(s->files[i]);
	free(s->files);
	free(s->items);
	free(s);
}

size_t dv_sources_count(const struct dv_sources *s)
{
	return s->len;
}

bool dv_sources_find(const struct dv_sources *s, uint64_t vaddr, const char **ret_file, uint32_t *ret_line)
{
	const struct source key = {.vaddr = vaddr};
	const struct source *found = s->len ? bsearch(&key, s->items, s->len, sizeof(key), by_vaddr) : NULL;

	if (!found)
		return false;
	*ret_file = s->files[found->file];
	*ret_line = found->line;
	return true;
}

static struct dv_error *read_sources(const struct dv_packed_file *file, const char *build_id,
				     const struct dv_module_place *place, struct dv_sources **ret)
{
	_cleanup_(dv_dwarf_destroyp) struct dv_dwarf *dwarf = NULL;
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	_cleanup_free_ char *its_id = NULL;
	struct dv_error *err;

	DV_TRY(dv_elf_create_at(file->data, file->len, place, &elf));
	its_id = dv_elf_build_id(elf);
	if (build_id && its_id && strcmp(build_id, its_id))
		return dv_error_new(DV_ERROR_MISMATCH, "its build id is %s, not %s: it is of another build", its_id,
				    build_id);
	err = dv_dwarf_create(elf, &dwarf);
	if (!err)
		err = dv_sources_create(dwarf, ret);
	dv_dwarf_destroy(dv_steal(dwarf)); /* before the ELF that it reads from */
	return err;
}

struct dv_error *dv_sources_open(const char *path, const char *build_id, const struct dv_module_place *place,
				 struct dv_sources **ret)
{
	struct dv_packed_file file;
	struct dv_error *err;

	DV_TRY(dv_packed_file_init(path, &file));
	err = dv_error_prefix(read_sources(&file, build_id, place, ret), "%s", path);
	dv_packed_file_deinit(&file);
	return err;
}
