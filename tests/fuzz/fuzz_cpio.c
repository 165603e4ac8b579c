/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as an initramfs. */
#include "fuzz.h"

#include "base/error.h"
#include "symbols/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dv_cpio *cpio = NULL;
	const uint8_t *found;
	size_t len;

	dv_error_destroy(dv_cpio_open_memory(data, size, &cpio));
	if (!cpio)
		return 0;
	if (dv_cpio_find(cpio, "/init", &found, &len))
		dv_assert(len >= 4 && found[0] == 0x7f);
	dv_assert(dv_cpio_count(cpio) <= size);
	dv_cpio_close(cpio);
	return 0;
}
