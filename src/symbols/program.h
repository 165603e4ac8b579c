/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file with code (a kernel, a module, a program, a library) to be asked what lies where: its functions, and its
 * DWARF, out of itself or out of its debug file.
 */
#ifndef DV_SYMBOLS_PROGRAM_H
#define DV_SYMBOLS_PROGRAM_H

#include "symbols/debuginfo.h"
#include "symbols/files.h"

struct dv_program;

/*
 * A file of this machine. build_id: what it must be, or NULL. place: of a kernel module, or NULL. Errors: those of
 * dv_elf_create_at and dv_dwarf_create, DV_ERROR_OS, DV_ERROR_MISMATCH for another build; they name path.
 */
struct dv_error *dv_program_open(const char *path, const char *build_id, const struct dv_module_place *place,
				 struct dv_program **ret);
/* A file of the guest's; takes copy's bytes. It may have no DWARF. Errors as above, without a name. */
struct dv_error *dv_program_take(struct dv_file_copy *copy, const char *build_id, struct dv_program **ret);
void dv_program_destroy(struct dv_program *program);
DV_DEFINE_CLEANUP(struct dv_program, dv_program_destroy);

/* Its functions, by its own addresses. */
const struct dv_object *dv_program_object(const struct dv_program *program);
/* NULL: there is none. */
struct dv_dwarf *dv_program_dwarf(const struct dv_program *program);

#endif
