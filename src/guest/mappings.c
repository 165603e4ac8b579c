/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMAs, their files' paths, and the trees they hang in: see mappings.h. */
#include "guest/mappings.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "guest/arch.h"
#include "symbols/dynamic.h"

#define VM_EXEC	       0x00000004 /* include/linux/mm.h */
#define PAGE_SHIFT     12
#define MAX_PATH_PARTS 256
#define MAX_NAME_BYTES 255 /* NAME_MAX */
#define MAX_PATH_BYTES 4096
#define MAX_VMAS       65536 /* vm.max_map_count is 65530 */
#define MAX_TREE_DEPTH 12    /* MAPLE_HEIGHT_MAX is 31; 16^8 VMAs are more than there can be */
#define MAX_NODE_BYTES 256   /* struct maple_node */

struct member_row {
	const char *type, *path;
	struct dv_btf_member *member;
};

static struct dv_error *find_rows(const struct dv_btf *btf, const struct member_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		DV_TRY(dv_btf_member(btf, rows[i].type, rows[i].path, rows[i].member));
	return NULL;
}

static struct dv_error *find_tree(struct dv_mappings_layout *l, const struct dv_btf *btf)
{
	struct dv_error *err = dv_btf_member(btf, "mm_struct", "mm_mt.ma_root", &l->mm_vmas);
	const struct member_row rows[] = {
		{"maple_range_64", "pivot", &l->range_pivot},
		{"maple_range_64", "slot", &l->range_slot},
		{"maple_arange_64", "pivot", &l->arange_pivot},
		{"maple_arange_64", "slot", &l->arange_slot},
	};

	l->has_maple_tree = !err;
	if (!err)
		return find_rows(btf, rows, DV_ARRAY_SIZE(rows));
	dv_error_destroy(err);
	DV_TRY(dv_btf_member(btf, "mm_struct", "mmap", &l->mm_vmas));
	return dv_btf_member(btf, "vm_area_struct", "vm_next", &l->vm_next);
}

struct dv_error *dv_mappings_init(struct dv_mappings_layout *ret, const struct dv_kernel *kernel)
{
	const struct dv_btf *btf = dv_kernel_btf(kernel);
	const struct dv_symbol *special = dv_symtab_find(dv_kernel_symtab(kernel), "special_mapping_vmops");
	struct dv_error *err;
	struct dv_mappings_layout l = {.special_ops_vaddr = special ? special->vaddr : 0};
	const struct member_row rows[] = {
		{"vm_area_struct", "vm_start", &l.vm_start},
		{"vm_area_struct", "vm_end", &l.vm_end},
		{"vm_area_struct", "vm_flags", &l.vm_flags},
		{"vm_area_struct", "vm_pgoff", &l.vm_pgoff},
		{"vm_area_struct", "vm_file", &l.vm_file},
		{"vm_area_struct", "vm_mm", &l.vm_mm},
		{"vm_area_struct", "vm_ops", &l.vm_ops},
		{"vm_area_struct", "vm_private_data", &l.vm_private_data},
		{"file", "f_path.mnt", &l.file_mnt},
		{"file", "f_path.dentry", &l.file_dentry},
		{"dentry", "d_name.name", &l.dentry_name},
		{"dentry", "d_name.len", &l.dentry_name_len},
		{"dentry", "d_parent", &l.dentry_parent},
		{"dentry", "d_inode", &l.dentry_inode},
		{"inode", "i_ino", &l.inode_number},
		{"inode", "i_sb", &l.inode_sb},
		{"super_block", "s_dev", &l.sb_dev},
		{"mount", "mnt", &l.mount_mnt},
		{"mount", "mnt_parent", &l.mount_parent},
		{"mount", "mnt_mountpoint", &l.mount_mountpoint},
		{"vfsmount", "mnt_root", &l.mnt_root},
		{"task_struct", "mm", &l.task_mm},
		{"vm_special_mapping", "name", &l.special_name},
	};

	if (!btf)
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): mappings cannot be followed");
	DV_TRY(find_rows(btf, rows, DV_ARRAY_SIZE(rows)));
	DV_TRY(find_tree(&l, btf));
	err = dv_btf_member(btf, "mm_struct", "arg_start", &l.arg_start);
	if (!err)
		err = dv_btf_member(btf, "mm_struct", "arg_end", &l.arg_end);
	l.has_arguments = !err;
	dv_error_destroy(err);
	*ret = l;
	return NULL;
}

bool dv_mappings_read_mm(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory,
			 uint64_t task_vaddr, uint64_t *ret)
{
	return dv_guest_read_u64(memory, task_vaddr + l->task_mm.offset_bytes, ret);
}

size_t dv_mappings_read_command(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory,
				uint64_t mm_vaddr, char *to, size_t max)
{
	uint64_t start, end;

	if (!l->has_arguments || !dv_guest_read_u64(memory, mm_vaddr + l->arg_start.offset_bytes, &start) ||
	    !dv_guest_read_u64(memory, mm_vaddr + l->arg_end.offset_bytes, &end) || start >= end)
		return 0;
	max = end - start < max ? end - start : max;
	if (!dv_guest_read(memory, start, to, max))
		return 0;
	while (max && !to[max - 1])
		max--;
	return max;
}

/* Paths, put together from their end */

struct path {
	char text[MAX_PATH_BYTES + 1];
	size_t start; /* text from here to the end is the path so far */
};

static bool prepend(struct path *p, const char *name, size_t len)
{
	if (len + 1 > p->start)
		return false;
	p->start -= len;
	memcpy(p->text + p->start, name, len);
	p->text[--p->start] = '/';
	return true;
}

static bool prepend_dentry(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t dentry,
			   struct path *p)
{
	char name[MAX_NAME_BYTES];
	uint64_t name_vaddr;
	uint32_t len;

	if (!dv_guest_read_u32(memory, dentry + l->dentry_name_len.offset_bytes, &len) || !len ||
	    len > sizeof(name) ||
	    !dv_guest_read_u64(memory, dentry + l->dentry_name.offset_bytes, &name_vaddr) ||
	    !dv_guest_read(memory, name_vaddr, name, len))
		return false;
	for (uint32_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < ' ' || name[i] == '/')
			name[i] = name[i] == '/' ? '/' : '?';
	}
	return prepend(p, name, len);
}

/* One step towards the root: to the parent, or from a mount's root to where it is mounted. False at the
 * end of the way. */
static bool step_up(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t *dentry,
		    uint64_t *mnt, struct path *p)
{
	uint64_t root, parent, mount = *mnt - l->mount_mnt.offset_bytes;

	if (!dv_guest_read_u64(memory, *mnt + l->mnt_root.offset_bytes, &root))
		return false;
	if (*dentry == root) {
		if (!dv_guest_read_u64(memory, mount + l->mount_parent.offset_bytes, &parent) || parent == mount ||
		    !dv_guest_read_u64(memory, mount + l->mount_mountpoint.offset_bytes, dentry))
			return false;
		*mnt = parent + l->mount_mnt.offset_bytes;
		return true;
	}
	if (!dv_guest_read_u64(memory, *dentry + l->dentry_parent.offset_bytes, &parent) || parent == *dentry ||
	    !prepend_dentry(l, memory, *dentry, p))
		return false;
	*dentry = parent;
	return true;
}

/* Of a mount that is in no tree (memfd, anonymous files) the name alone: "/memfd:x". */
static char *read_path(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t file)
{
	struct path p = {.start = MAX_PATH_BYTES};
	uint64_t dentry, mnt, first;

	if (!dv_guest_read_u64(memory, file + l->file_dentry.offset_bytes, &dentry) ||
	    !dv_guest_read_u64(memory, file + l->file_mnt.offset_bytes, &mnt))
		return NULL;
	first = dentry;
	for (int i = 0; i < MAX_PATH_PARTS && step_up(l, memory, &dentry, &mnt, &p); i++)
		;
	if (p.start == MAX_PATH_BYTES && !prepend_dentry(l, memory, first, &p))
		return NULL;
	return strdup(p.text + p.start);
}

/* "[vdso]": vm_private_data is a struct vm_special_mapping, whose name says it. */
static char *special_name(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t slide,
			  uint64_t vma)
{
	uint64_t ops, private_data, name;
	char text[32] = "";

	if (!l->special_ops_vaddr || !dv_guest_read_u64(memory, vma + l->vm_ops.offset_bytes, &ops) ||
	    ops != l->special_ops_vaddr + slide ||
	    !dv_guest_read_u64(memory, vma + l->vm_private_data.offset_bytes, &private_data) ||
	    !dv_guest_read_u64(memory, private_data + l->special_name.offset_bytes, &name))
		return strdup("[anon]");
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		if (!dv_guest_read(memory, name + i, &text[i], 1) || !text[i])
			break;
	}
	return strdup(text[0] == '[' ? text : "[anon]");
}

static void read_inode(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t file,
		       struct dv_mapping *m)
{
	uint64_t dentry, inode, sb;
	uint32_t device;

	if (!dv_guest_read_u64(memory, file + l->file_dentry.offset_bytes, &dentry) ||
	    !dv_guest_read_u64(memory, dentry + l->dentry_inode.offset_bytes, &inode) ||
	    !dv_guest_read_u64(memory, inode + l->inode_number.offset_bytes, &m->inode) ||
	    !dv_guest_read_u64(memory, inode + l->inode_sb.offset_bytes, &sb) ||
	    !dv_guest_read_u32(memory, sb + l->sb_dev.offset_bytes, &device))
		return;
	m->device = device;
}

bool dv_mappings_read(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t slide,
		      uint64_t vma, struct dv_mapping *ret)
{
	struct dv_mapping m = {0};
	uint64_t flags, file, pgoff;

	if (!dv_guest_read_u64(memory, vma + l->vm_start.offset_bytes, &m.start_vaddr) ||
	    !dv_guest_read_u64(memory, vma + l->vm_end.offset_bytes, &m.end_vaddr) ||
	    !dv_guest_read_u64(memory, vma + l->vm_flags.offset_bytes, &flags) ||
	    !dv_guest_read_u64(memory, vma + l->vm_mm.offset_bytes, &m.mm_vaddr) ||
	    m.start_vaddr >= m.end_vaddr || dv_is_kernel_vaddr(m.end_vaddr - 1))
		return false;
	m.executable = flags & VM_EXEC;
	if (m.executable) {
		if (!dv_guest_read_u64(memory, vma + l->vm_file.offset_bytes, &file) ||
		    !dv_guest_read_u64(memory, vma + l->vm_pgoff.offset_bytes, &pgoff))
			return false;
		m.file_vaddr = file;
		if (file) {
			m.offset_bytes = pgoff << PAGE_SHIFT;
			read_inode(l, memory, file, &m);
			m.path = read_path(l, memory, file);
		} else {
			m.path = special_name(l, memory, slide, vma);
		}
		if (!m.path)
			return false;
	}
	*ret = m;
	return true;
}

void dv_mapping_deinit(struct dv_mapping *m)
{
	free(m->path);
	dv_dynamic_destroy(m->dynamic);
	m->path = NULL;
	m->dynamic = NULL;
}

/* Trees */

/*
 * lib/maple_tree.c, 6.1: a node's pointer has its type in bits 3 to 6 (1 a leaf, 2 a range node, 3 one
 * with gaps) and 2 in its low bits; nodes are 256 bytes, aligned so. pivot[i] is the last index that
 * slot[i] covers; after the first, a pivot of 0 says that this slot is the node's last.
 */
struct walk {
	const struct dv_mappings_layout *layout;
	const struct dv_guest_memory *memory;
	dv_vma_fn visit;
	void *context;
	unsigned visited;
};

enum { MAPLE_LEAF = 1, MAPLE_RANGE, MAPLE_ARANGE };

static bool visit(struct walk *w, uint64_t vma)
{
	return w->visited++ < MAX_VMAS && w->visit(w->context, vma);
}

static uint64_t word_at(const uint8_t *node, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, node + offset, sizeof(word));
	return word;
}

static bool walk_node(struct walk *w, uint64_t entry, uint64_t max, unsigned depth)
{
	const unsigned type = entry >> 3 & 15;
	const struct dv_mappings_layout *l = w->layout;
	const struct dv_btf_member *pivots = type == MAPLE_ARANGE ? &l->arange_pivot : &l->range_pivot;
	const struct dv_btf_member *slots = type == MAPLE_ARANGE ? &l->arange_slot : &l->range_slot;
	uint8_t node[MAX_NODE_BYTES];

	if (type < MAPLE_LEAF || type > MAPLE_ARANGE || depth > MAX_TREE_DEPTH ||
	    slots->offset_bytes + slots->size_bytes > sizeof(node) ||
	    pivots->offset_bytes + pivots->size_bytes > sizeof(node) ||
	    !dv_guest_read(w->memory, entry & ~(uint64_t)(MAX_NODE_BYTES - 1), node, sizeof(node)))
		return true;
	for (uint32_t i = 0; i < slots->size_bytes / 8; i++) {
		uint64_t slot = word_at(node, slots->offset_bytes + i * 8);
		uint64_t pivot = i < pivots->size_bytes / 8 ? word_at(node, pivots->offset_bytes + i * 8) : max;

		if (i && !pivot)
			pivot = max;
		if (type != MAPLE_LEAF && slot && !walk_node(w, slot, pivot, depth + 1))
			return false;
		if (type == MAPLE_LEAF && dv_is_kernel_vaddr(slot) && !(slot & 3) && !visit(w, slot))
			return false;
		if (pivot >= max)
			break;
	}
	return true;
}

void dv_mappings_walk(const struct dv_mappings_layout *l, const struct dv_guest_memory *memory, uint64_t mm_vaddr,
		      dv_vma_fn fn, void *context)
{
	struct walk w = {l, memory, fn, context, 0};
	uint64_t vma;

	if (!dv_guest_read_u64(memory, mm_vaddr + l->mm_vmas.offset_bytes, &vma) || !vma)
		return;
	if (!l->has_maple_tree) {
		while (dv_is_kernel_vaddr(vma) && visit(&w, vma) &&
		       dv_guest_read_u64(memory, vma + l->vm_next.offset_bytes, &vma))
			;
	} else if ((vma & 3) == 2) {
		walk_node(&w, vma, UINT64_MAX, 0);
	} else if (dv_is_kernel_vaddr(vma)) {
		visit(&w, vma); /* the only one */
	}
}
