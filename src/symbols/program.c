/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files with code: see program.h. */
#include "symbols/program.h"

#include <stdlib.h>
#include <string.h>
#include "symbols/packedfile.h"

struct dv_program {
	struct dv_packed_file file; /* of one that was opened */
	struct dv_file_copy copy;   /* of one that was taken */
	struct dv_elf *elf, *debug, *alt; /* debug: NULL without a debug file; alt: without one of dwz(1) */
	struct dv_dwarf *dwarf;
	struct dv_object *object;
};

void dv_program_destroy(struct dv_program *p)
{
	if (!p)
		return;
	dv_object_destroy(p->object);
	dv_dwarf_destroy(p->dwarf);
	dv_elf_destroy(p->elf);
	dv_elf_destroy(p->debug);
	dv_elf_destroy(p->alt);
	dv_packed_file_deinit(&p->file);
	dv_file_copy_deinit(&p->copy);
	free(p);
}

static struct dv_error *check_build(const struct dv_elf *elf, const char *build_id)
{
	_cleanup_free_ char *its_id = build_id ? dv_elf_build_id(elf) : NULL;

	if (its_id && strcmp(its_id, build_id))
		return dv_error_new(DV_ERROR_MISMATCH, "it is of another build (%s) than what ran (%s)", its_id, build_id);
	return NULL;
}

static struct dv_error *read_file(struct dv_program *p, const char *build_id, const struct dv_module_place *place)
{
	DV_TRY(dv_elf_create_at(p->file.data, p->file.len, place, &p->elf));
	DV_TRY(check_build(p->elf, build_id));
	DV_TRY(dv_dwarf_create(p->elf, &p->dwarf));
	return dv_object_names(p->elf, NULL, &p->object);
}

struct dv_error *dv_program_open(const char *path, const char *build_id, const struct dv_module_place *place,
				 struct dv_program **ret)
{
	_cleanup_(dv_program_destroyp) struct dv_program *p = calloc(1, sizeof(*p));

	if (!p)
		return dv_error_no_memory();
	DV_TRY(dv_packed_file_init(path, &p->file));
	DV_TRY(dv_error_prefix(read_file(p, build_id, place), "%s", path));
	*ret = dv_steal(p);
	return NULL;
}

/* The debug file's first: the file itself has mostly been stripped of it. What is wrong there is no reason to do
 * without names. */
static void read_dwarf(struct dv_program *p)
{
	if (p->debug)
		dv_error_destroy(dv_dwarf_create(p->debug, &p->dwarf));
	if (!p->dwarf)
		dv_error_destroy(dv_dwarf_create(p->elf, &p->dwarf));
}

struct dv_error *dv_program_take(struct dv_file_copy *copy, const char *build_id, struct dv_program **ret)
{
	_cleanup_(dv_program_destroyp) struct dv_program *p = calloc(1, sizeof(*p));

	if (!p)
		return dv_error_no_memory();
	p->copy = *copy;
	*copy = (struct dv_file_copy){0};
	DV_TRY(dv_elf_create(p->copy.bytes.data, p->copy.bytes.len, &p->elf));
	DV_TRY(check_build(p->elf, build_id));
	if (p->copy.debug.len)
		dv_error_destroy(dv_elf_create(p->copy.debug.data, p->copy.debug.len, &p->debug));
	if (p->copy.alt.len)
		dv_error_destroy(dv_elf_create(p->copy.alt.data, p->copy.alt.len, &p->alt));
	dv_elf_set_alt(p->elf, p->alt);
	if (p->debug)
		dv_elf_set_alt(p->debug, p->alt);
	read_dwarf(p);
	DV_TRY(dv_object_names(p->elf, p->debug, &p->object));
	*ret = dv_steal(p);
	return NULL;
}

const struct dv_object *dv_program_object(const struct dv_program *p)
{
	return p->object;
}

struct dv_dwarf *dv_program_dwarf(const struct dv_program *p)
{
	return p->dwarf;
}
