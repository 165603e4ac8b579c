/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KASLR's slide: see slide.h. */
#include "guest/slide.h"

#include <string.h>

bool dv_slide_match(const struct dv_kernel *kernel, const struct dv_arch *arch, uint64_t vaddr,
		    const void *code, size_t len, uint64_t *ret_slide)
{
	unsigned matches = 0;
	uint64_t found = 0;

	if (len < DV_SLIDE_MIN_BYTES || vaddr < arch->kernel_min || vaddr >= arch->kernel_max)
		return false;
	for (uint64_t slide = 0; slide < arch->slide_max; slide += arch->slide_step) {
		const uint8_t *image = dv_kernel_bytes(kernel, vaddr - slide, len);

		if (!image || memcmp(image, code, len))
			continue;
		found = slide;
		matches++;
	}
	if (matches != 1)
		return false;
	*ret_slide = found;
	return true;
}

/* A gate of the IDT (Intel SDM volume 3, 6.14.1): the address lies in bits 0 to 15, 48 to 63 and 64 to 95. */
static bool read_gate(const struct dv_guest_memory *memory, uint64_t vaddr, uint64_t *ret)
{
	uint64_t gate[2];

	if (!dv_guest_read(memory, vaddr, gate, sizeof(gate)))
		return false;
	*ret = (gate[0] & 0xffff) | (gate[0] >> 48 << 16) | gate[1] << 32;
	return true;
}

/* The entries of which most must agree; some vectors have other entries on some machines (NMI, #VC). */
#define MIN_AGREEING 4

bool dv_slide_from_vectors(const struct dv_kernel *kernel, const struct dv_arch *arch,
			   const struct dv_guest_memory *memory, uint64_t *ret_slide)
{
	unsigned agreeing = 0, others = 0;
	uint64_t slide = 0;

	for (const struct dv_entry_vector *v = arch->vectors; arch->vector_table_vaddr && v->symbol; v++) {
		const struct dv_symbol *symbol = v->mnemonic ? dv_symtab_find(dv_kernel_symtab(kernel), v->symbol) : NULL;
		uint64_t entry;

		if (!symbol)
			continue;
		if (!read_gate(memory, arch->vector_table_vaddr + 16 * v->vector, &entry))
			return false;
		if (!agreeing)
			slide = entry - symbol->vaddr;
		if (entry - symbol->vaddr == slide)
			agreeing++;
		else
			others++;
	}
	if (agreeing < MIN_AGREEING || others > agreeing || slide % arch->slide_step || slide >= arch->slide_max)
		return false;
	*ret_slide = slide;
	return true;
}
