/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page cache: see pagecache.h. */
#include "guest/pagecache.h"

#include "guest/arch.h"

#define PAGE_BYTES 4096u
#define MAX_LEVELS 12 /* 64 bits of index, 6 a level */

struct dv_error *dv_pagecache_init(struct dv_pagecache *ret, const struct dv_kernel *kernel)
{
	const struct dv_symbol *vmemmap = dv_symtab_find(dv_kernel_symtab(kernel), "vmemmap_base");
	const struct dv_symbol *page_offset = dv_symtab_find(dv_kernel_symtab(kernel), "page_offset_base");
	const struct dv_btf *btf = dv_kernel_btf(kernel);
	struct dv_pagecache c = {0};
	struct dv_btf_member head;

	if (!btf)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)");
	if (!vmemmap || !page_offset)
		return dv_error_new(DV_ERROR_NOT_FOUND, "no vmemmap_base or page_offset_base");
	c.vmemmap_symbol = vmemmap->vaddr;
	c.page_offset_symbol = page_offset->vaddr;
	DV_TRY(dv_btf_member(btf, "file", "f_mapping", &c.file_mapping));
	DV_TRY(dv_btf_member(btf, "address_space", "i_pages.xa_head", &head));
	c.xa_head = head;
	DV_TRY(dv_btf_member(btf, "xa_node", "shift", &c.node_shift));
	DV_TRY(dv_btf_member(btf, "xa_node", "slots", &c.node_slots));
	DV_TRY(dv_btf_member(btf, "page", "index", &c.page_index));
	DV_TRY(dv_btf_struct_size(btf, "page", &c.page_bytes));
	*ret = c;
	return NULL;
}

/*
 * include/linux/xarray.h: an entry whose low bits are 10 is internal: above 4096 a node of 64 slots, else the
 * number of the slot that has the entry (one of several indices); low bit 1 is a value, as of a page that was
 * reclaimed.
 */
static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

static bool find_entry(const struct dv_pagecache *c, const struct dv_guest_memory *memory, uint64_t mapping,
		       uint64_t index, uint64_t *ret)
{
	uint64_t entry, slots;
	uint8_t shift;

	if (!dv_guest_read_u64(memory, mapping + c->xa_head.offset_bytes, &entry))
		return false;
	for (int level = 0; is_node(entry) && level < MAX_LEVELS; level++) {
		if (!dv_guest_read(memory, entry - 2 + c->node_shift.offset_bytes, &shift, 1) || shift > 60 ||
		    (!level && index >> shift >> 6))
			return false;
		slots = entry - 2 + c->node_slots.offset_bytes;
		if (!dv_guest_read_u64(memory, slots + (index >> shift & 63) * 8, &entry))
			return false;
		if ((entry & 3) == 2 && entry < 64 << 2 && !dv_guest_read_u64(memory, slots + (entry >> 2) * 8, &entry))
			return false;
	}
	*ret = entry;
	return dv_is_kernel_vaddr(entry) && !(entry & 3);
}

/* The entry is the first page of a folio, which has the index looked for. */
static bool page_vaddr(const struct dv_pagecache *c, const struct dv_guest_memory *memory, uint64_t slide,
		       uint64_t folio, uint64_t index, uint64_t *ret)
{
	uint64_t first, vmemmap, page_offset;

	if (!dv_guest_read_u64(memory, folio + c->page_index.offset_bytes, &first) || first > index ||
	    !dv_guest_read_u64(memory, c->vmemmap_symbol + slide, &vmemmap) ||
	    !dv_guest_read_u64(memory, c->page_offset_symbol + slide, &page_offset) || folio < vmemmap ||
	    (folio - vmemmap) % c->page_bytes)
		return false;
	*ret = page_offset + ((folio - vmemmap) / c->page_bytes + (index - first)) * PAGE_BYTES;
	return true;
}

bool dv_pagecache_read(const struct dv_pagecache *c, const struct dv_guest_memory *memory, uint64_t slide,
		       uint64_t file_vaddr, uint64_t offset, void *to, size_t len)
{
	uint64_t mapping, entry, vaddr;

	if (!dv_guest_read_u64(memory, file_vaddr + c->file_mapping.offset_bytes, &mapping))
		return false;
	while (len) {
		uint64_t in_page = offset % PAGE_BYTES;
		size_t n = PAGE_BYTES - in_page < len ? PAGE_BYTES - in_page : len;

		if (!find_entry(c, memory, mapping, offset / PAGE_BYTES, &entry) ||
		    !page_vaddr(c, memory, slide, entry, offset / PAGE_BYTES, &vaddr) ||
		    !dv_guest_read(memory, vaddr + in_page, to, n))
			return false;
		to = (char *)to + n;
		offset += n;
		len -= n;
	}
	return true;
}
