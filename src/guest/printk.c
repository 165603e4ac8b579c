/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of the kernel's log: see printk.h. */
#include "guest/printk.h"

#define MAX_BITS 31 /* of the counts of descriptors and of bytes: LOG_BUF_LEN_MAX is 2 GiB */

struct dv_error *dv_printk_init(struct dv_printk *p, const struct dv_btf *btf)
{
	const struct {
		const char *type, *path;
		struct dv_btf_member *member;
	} wanted[] = {
		{"prb_reserved_entry", "rb", &p->entry_rb},
		{"prb_reserved_entry", "id", &p->entry_id},
		{"printk_ringbuffer", "desc_ring.count_bits", &p->count_bits},
		{"printk_ringbuffer", "desc_ring.descs", &p->descs},
		{"printk_ringbuffer", "desc_ring.infos", &p->infos},
		{"printk_ringbuffer", "text_data_ring.size_bits", &p->size_bits},
		{"printk_ringbuffer", "text_data_ring.data", &p->data},
		{"prb_desc", "text_blk_lpos.begin", &p->begin},
		{"prb_desc", "text_blk_lpos.next", &p->next},
		{"printk_info", "text_len", &p->text_len},
		{"printk_info", "facility", &p->facility},
	};

	for (size_t i = 0; i < DV_ARRAY_SIZE(wanted); i++)
		DV_TRY(dv_btf_member(btf, wanted[i].type, wanted[i].path, wanted[i].member));
	DV_TRY(dv_btf_struct_size(btf, "prb_desc", &p->desc_bytes));
	DV_TRY(dv_btf_struct_size(btf, "printk_info", &p->info_bytes));
	p->data_header_bytes = 8; /* struct prb_data_block: the id */
	return NULL;
}

/* Where the text of a block from begin to next lies. Odd positions are no blocks: no text, or none stored. */
static bool text_vaddr(const struct dv_printk *p, const struct dv_guest_memory *memory, uint64_t rb,
		       uint64_t begin, uint64_t next, uint64_t *ret_vaddr, uint64_t *ret_room)
{
	uint64_t data, size, at = begin;
	uint32_t bits;

	if (begin & 1 || next <= begin)
		return false;
	if (!dv_guest_read_u32(memory, rb + p->size_bits.offset_bytes, &bits) || bits > MAX_BITS ||
	    !dv_guest_read_u64(memory, rb + p->data.offset_bytes, &data))
		return false;
	size = 1ull << bits;
	if (begin / size != (next - 1) / size)
		at = (next - 1) / size * size;
	if (next - begin > 2 * size || next - at <= p->data_header_bytes || next - at > size)
		return false;
	*ret_vaddr = data + at % size + p->data_header_bytes;
	*ret_room = next - at - p->data_header_bytes;
	return true;
}

static bool read_text(const struct dv_printk *p, const struct dv_guest_memory *memory, uint64_t rb, uint64_t desc,
		      struct dv_printk_record *record)
{
	uint64_t begin, next, vaddr, room;

	if (!record->len)
		return true;
	if (!dv_guest_read_u64(memory, desc + p->begin.offset_bytes, &begin) ||
	    !dv_guest_read_u64(memory, desc + p->next.offset_bytes, &next) ||
	    !text_vaddr(p, memory, rb, begin, next, &vaddr, &room))
		return false;
	if (record->len > room)
		record->len = (uint16_t)room;
	if (record->len > sizeof(record->text))
		record->len = sizeof(record->text);
	return dv_guest_read(memory, vaddr, record->text, record->len);
}

bool dv_printk_read(const struct dv_printk *p, const struct dv_guest_memory *memory, uint64_t vaddr,
		    struct dv_printk_record *ret)
{
	uint64_t rb, descs, infos, index, info;
	uint32_t bits;
	uint8_t level;

	if (!dv_guest_read_u64(memory, vaddr + p->entry_rb.offset_bytes, &rb) ||
	    !dv_guest_read_u64(memory, vaddr + p->entry_id.offset_bytes, &ret->id) ||
	    !dv_guest_read_u32(memory, rb + p->count_bits.offset_bytes, &bits) || bits > MAX_BITS ||
	    !dv_guest_read_u64(memory, rb + p->descs.offset_bytes, &descs) ||
	    !dv_guest_read_u64(memory, rb + p->infos.offset_bytes, &infos))
		return false;
	index = ret->id & ((1ull << bits) - 1);
	info = infos + index * p->info_bytes;
	if (!dv_guest_read(memory, info + p->text_len.offset_bytes, &ret->len, sizeof(ret->len)) ||
	    !dv_guest_read(memory, info + p->facility.offset_bytes + 1, &level, sizeof(level)))
		return false;
	ret->level = level >> 5;
	return read_text(p, memory, rb, descs + index * p->desc_bytes, ret);
}
