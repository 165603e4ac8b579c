/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file's bytes out of the guest's page cache: what is mapped need not have been touched yet, but what the
 * kernel has read of it can be read here, through its direct map of all memory.
 */
#ifndef DV_GUEST_PAGECACHE_H
#define DV_GUEST_PAGECACHE_H

#include "guest/linux.h"

struct dv_pagecache {
	struct dv_btf_member file_mapping, xa_head, node_shift, node_slots, page_index;
	uint32_t page_bytes; /* of struct page */
	uint64_t vmemmap_symbol, page_offset_symbol; /* link-time addresses of the variables */
};

/* Errors: DV_ERROR_UNSUPPORTED without BTF, DV_ERROR_NOT_FOUND for a member or symbol. */
struct dv_error *dv_pagecache_init(struct dv_pagecache *cache, const struct dv_kernel *kernel);

/* Reads [offset, offset + len) of the struct file at file_vaddr. False when a page is not there. */
bool dv_pagecache_read(const struct dv_pagecache *cache, const struct dv_guest_memory *memory, uint64_t slide,
		       uint64_t file_vaddr, uint64_t offset, void *to, size_t len);

#endif
