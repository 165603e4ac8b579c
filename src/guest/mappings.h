/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User address spaces of Linux, read by the kernel's BTF: what is mapped where, of which file. Members
 * that differ between kernels are tested for: the maple tree of VMAs (6.1) or the list before it.
 */
#ifndef DV_GUEST_MAPPINGS_H
#define DV_GUEST_MAPPINGS_H

#include "guest/linux.h"

struct dv_dynamic; /* symbols/dynamic.h */

struct dv_mapping {
	uint64_t mm_vaddr; /* of the mm_struct it is in */
	uint64_t start_vaddr, end_vaddr; /* end exclusive */
	uint64_t offset_bytes;		 /* in the file of start_vaddr; 0 for what is no file */
	bool executable;
	uint64_t device; /* super_block.s_dev: major << 20 | minor; 0 for what is no file */
	uint64_t inode;
	uint64_t file_vaddr; /* of its struct file; 0: none */
	struct dv_dynamic *dynamic; /* owned; NULL, but for who reads it */
	char *path; /* owned. Absolute in the guest; "[vdso]" and its like, "[anon]" for what is no file */
};

struct dv_mappings_layout {
	struct dv_btf_member vm_start, vm_end, vm_flags, vm_pgoff, vm_file, vm_mm, vm_ops, vm_private_data;
	struct dv_btf_member file_mnt, file_dentry;
	struct dv_btf_member dentry_name, dentry_name_len, dentry_parent, dentry_inode;
	struct dv_btf_member inode_number, inode_sb, sb_dev;
	struct dv_btf_member mount_mnt, mount_parent, mount_mountpoint, mnt_root;
	struct dv_btf_member task_mm;
	/* Where an mm's VMAs are: the maple tree's root, or the first of a list. */
	bool has_maple_tree;
	struct dv_btf_member mm_vmas, vm_next, range_pivot, range_slot, arange_pivot, arange_slot;
	struct dv_btf_member special_name;
	bool has_arguments;
	struct dv_btf_member arg_start, arg_end;
	uint64_t special_ops_vaddr; /* link-time address of special_mapping_vmops; 0 when not found */
};

/* Errors: DV_ERROR_UNSUPPORTED without BTF, DV_ERROR_NOT_FOUND for a member. */
struct dv_error *dv_mappings_init(struct dv_mappings_layout *layout, const struct dv_kernel *kernel);

/* The mm_struct of a task; 0 for a kernel thread. False when memory is not mapped. */
bool dv_mappings_read_mm(const struct dv_mappings_layout *layout, const struct dv_guest_memory *memory,
			 uint64_t task_vaddr, uint64_t *ret);

/*
 * The command line of an mm that is the current one, as /proc/PID/cmdline has it: arguments with a NUL between them,
 * none behind the last. Returns how many bytes, at most max; 0 when there are none that can be read.
 */
size_t dv_mappings_read_command(const struct dv_mappings_layout *layout, const struct dv_guest_memory *memory,
				uint64_t mm_vaddr, char *to, size_t max);

/*
 * Reads the vm_area_struct at vaddr. path is read for executable ones only, else NULL. False when memory
 * is not mapped or does not look like one. slide: the kernel's, runtime minus link-time address.
 */
bool dv_mappings_read(const struct dv_mappings_layout *layout, const struct dv_guest_memory *memory,
		      uint64_t slide, uint64_t vaddr, struct dv_mapping *ret);
void dv_mapping_deinit(struct dv_mapping *mapping);
/* Tells its file from others, near enough. */
static inline uint64_t dv_mapping_file_key(const struct dv_mapping *mapping)
{
	return mapping->device << 40 ^ mapping->inode;
}

/* Visits the vm_area_structs of an mm in order of address. Returns false to stop. */
typedef bool (*dv_vma_fn)(void *context, uint64_t vma_vaddr);
void dv_mappings_walk(const struct dv_mappings_layout *layout, const struct dv_guest_memory *memory,
		      uint64_t mm_vaddr, dv_vma_fn visit, void *context);

#endif
