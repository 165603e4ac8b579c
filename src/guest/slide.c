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
