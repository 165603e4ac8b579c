/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes small kernels for tests: an ELF with kallsyms, BTF, banner and build id, and a bzImage of it. */
#ifndef DV_TESTS_KERNEL_IMAGE_H
#define DV_TESTS_KERNEL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define IMAGE_BASE   0xffffffff81000000ull
#define IMAGE_OFFSET 0x100u /* of the byte at IMAGE_BASE in the file */
#define IMAGE_FUNCS  300    /* func_000 ... every 16 bytes from IMAGE_BASE */
#define IMAGE_CPU    0x1fb80 /* where the per-CPU symbol current_task is */

struct image_kind {
	bool since_6_4;	     /* order of the tables */
	bool seqs;	     /* seqs_of_names before the token table, as 6.2 has it */
	bool absolute;	     /* addresses instead of offsets */
	bool no_percpu;	     /* offsets as without CONFIG_KALLSYMS_ABSOLUTE_PERCPU */
	bool wide_markers;   /* as before 4.20 */
	bool no_sections;
	bool no_kallsyms;
	bool symtab;	     /* with .symtab: main (size 8) at IMAGE_BASE, and data */
};

/* Where things are in the file, to be broken. */
struct image_places {
	size_t names, markers, token_table, token_index, offsets, num_syms, btf, btf_len;
};

void image_make(const struct image_kind *kind, struct dv_buf *ret, struct image_places *places);
/* BTF with int, struct inner { int c, d; }, an anonymous struct { int x, y; } and
 * struct task_struct { int pid; struct inner in; struct { int x, y; }; int bits:3; } of 32 bytes. */
void image_make_btf(struct dv_buf *ret);
/* A bzImage with setup header and this payload at 0x600, and bytes after it. */
void image_make_bzimage(const void *payload, size_t len, struct dv_buf *ret);
/* Packs data as name says: gzip, xz, lzma, zstd, lz4, bzip2. */
void image_pack(const char *name, const void *data, size_t len, struct dv_buf *ret);

#endif
