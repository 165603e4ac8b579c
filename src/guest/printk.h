/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's log: a record out of printk's ring buffer (kernel/printk/printk_ringbuffer.h, from 5.10 on),
 * read at the moment when it is committed.
 *
 * prb_commit(e) and prb_final_commit(e) get a struct prb_reserved_entry, which names the ring buffer and
 * the record's id. The low bits of the id are the index of its descriptor and of its printk_info; the
 * descriptor has where the text lies, as two positions that count on for ever:
 *
 *	descs[id]: state_var, text_blk_lpos { begin, next }	infos[id]: text_len, facility, flags:5 level:3
 *	data[begin]: id, text...	(a block that would cross the end lies at the start instead)
 */
#ifndef DV_GUEST_PRINTK_H
#define DV_GUEST_PRINTK_H

#include "guest/memory.h"
#include "symbols/btf.h"

/* LOG_LINE_MAX and PRINTKRB_RECORD_MAX are 1024 to this; more is not believed. */
#define DV_PRINTK_MAX_TEXT 8192

struct dv_printk {
	struct dv_btf_member entry_rb, entry_id;
	struct dv_btf_member count_bits, descs, infos, size_bits, data; /* in the ring buffer */
	struct dv_btf_member begin, next;	 /* in a descriptor */
	struct dv_btf_member text_len, facility; /* in an info; the level is in the byte after the next */
	uint32_t desc_bytes, info_bytes, data_header_bytes;
};

/* Looks the layouts up. Errors: DV_ERROR_NOT_FOUND (another kind of kernel). */
struct dv_error *dv_printk_init(struct dv_printk *printk, const struct dv_btf *btf);

struct dv_printk_record {
	uint64_t id; /* a continued line is committed again, longer, with the same id */
	int level;
	uint16_t len;
	char text[DV_PRINTK_MAX_TEXT]; /* len bytes, not NUL-terminated */
};

/* Reads the record of the prb_reserved_entry at vaddr. False when something is not as it should be. */
bool dv_printk_read(const struct dv_printk *printk, const struct dv_guest_memory *memory, uint64_t vaddr,
		    struct dv_printk_record *ret);

#endif
