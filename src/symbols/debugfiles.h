/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the debug information of a guest's kernel and modules lies on this machine: in the file or folder that
 * the user gives, else where packages put it. Debian's linux-image-VERSION-dbg has
 *
 *	/usr/lib/debug/boot/vmlinux-RELEASE
 *	/usr/lib/debug/lib/modules/RELEASE/kernel/drivers/block/virtio_blk.ko
 *
 * and nothing under .build-id, others have /usr/lib/debug/.build-id/ab/cdef.debug or
 * /usr/lib/debug/lib/modules/RELEASE/vmlinux. Files of another build are passed over. Modules may be compressed
 * (symbols/packedfile.h reads them).
 */
#ifndef DV_SYMBOLS_DEBUGFILES_H
#define DV_SYMBOLS_DEBUGFILES_H

#include "base/error.h"

struct dv_debug_files;

/*
 * given: a vmlinux with DWARF, with whose build the modules are looked for; or a folder, which is searched whole: a kernel's build, a copy of /usr/lib/debug;
 * or NULL. banner: the guest's "Linux version ...", which has the release; NULL: not known. Errors:
 * DV_ERROR_OS, when given is not there.
 */
struct dv_error *dv_debug_files_create(const char *given, const char *banner, struct dv_debug_files **ret);
void dv_debug_files_destroy(struct dv_debug_files *files);
DV_DEFINE_CLEANUP(struct dv_debug_files, dv_debug_files_destroy);

/* Paths in new memory (free()), NULL when there is no such file. build_id: NULL when not known; then the first of
 * that name. A kernel that is given as a file is taken without a look into it. */
char *dv_debug_files_kernel(struct dv_debug_files *files, const char *build_id);
/* name: the kernel's ("virtio_blk"). */
char *dv_debug_files_module(struct dv_debug_files *files, const char *name, const char *build_id);
/* The folder that was given, or NULL. */
const char *dv_debug_files_folder(const struct dv_debug_files *files);

/* "FOLDER/.build-id/ab/cdef.debug" in new memory, or NULL: of what is there. folder: as "/usr/lib/debug". */
char *dv_debug_by_build_id(const char *folder, const char *build_id);

#endif
