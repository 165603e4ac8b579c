/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux kernel image as symbols: from a bzImage/Image (gzip, xz, zstd, lz4, lzma, bzip2) or from a
 * vmlinux, with or without DWARF. Names come from the ELF symbol table where there is one, else from
 * kallsyms inside the image; layouts from the BTF inside it.
 */
#ifndef DV_SYMBOLS_KERNEL_H
#define DV_SYMBOLS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "symbols/btf.h"
#include "symbols/symtab.h"

struct dv_kernel;

/* Errors name the file, what was looked for in it, and where: "X: no kallsyms found ...". */
struct dv_error *dv_kernel_open(const char *path, struct dv_kernel **ret);
/* The same of a file in memory, borrowed until dv_kernel_release_image or _destroy. The unpacked image may
 * have max_unpacked_bytes, at most 1 GiB. */
struct dv_error *dv_kernel_open_memory(const void *data, size_t len, size_t max_unpacked_bytes,
				       struct dv_kernel **ret);
void dv_kernel_destroy(struct dv_kernel *kernel);
DV_DEFINE_CLEANUP(struct dv_kernel, dv_kernel_destroy);

const struct dv_symtab *dv_kernel_symtab(const struct dv_kernel *kernel);
/* NULL when the kernel was built without CONFIG_DEBUG_INFO_BTF. */
const struct dv_btf *dv_kernel_btf(const struct dv_kernel *kernel);
/* "Linux version 6.1.0-..." without the trailing newline, or NULL when not found. */
const char *dv_kernel_banner(const struct dv_kernel *kernel);
/* Lower-case hex of the GNU build id, or NULL. */
const char *dv_kernel_build_id(const struct dv_kernel *kernel);
/* Where the names came from: "symtab" or "kallsyms". */
const char *dv_kernel_symbol_source(const struct dv_kernel *kernel);
/* ELF e_machine: EM_X86_64, EM_AARCH64, EM_RISCV. */
uint16_t dv_kernel_machine(const struct dv_kernel *kernel);

/*
 * The image's own bytes at link-time address vaddr, before relocation and alternatives: how the
 * running kernel is recognised and its slide found. NULL when [vaddr, vaddr+len) is not all in the
 * file, or after dv_kernel_release_image.
 */
const uint8_t *dv_kernel_bytes(const struct dv_kernel *kernel, uint64_t vaddr, size_t len);
/* The bytes of the kernel's own 64-bit vDSO, an ELF file, until dv_kernel_release_image; false when they are
 * not found. */
bool dv_kernel_vdso(const struct dv_kernel *kernel, const uint8_t **ret_data, size_t *ret_len);
/* Frees the image's bytes (tens of MB) and keeps symbols, BTF, banner and build id. */
void dv_kernel_release_image(struct dv_kernel *kernel);

#endif
