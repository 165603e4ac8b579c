/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as the loaded pages of an ELF file: its dynamic symbols. */
#include "fuzz.h"

#include <string.h>
#include "symbols/object.h"

struct bytes {
	const uint8_t *data;
	size_t len;
};

static bool read_bytes(void *context, uint64_t offset, void *to, size_t len)
{
	const struct bytes *b = context;

	if (offset > b->len || len > b->len - offset)
		return false;
	if (len)
		memcpy(to, b->data + offset, len);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct dv_object *object = NULL;
	struct dv_dynamic *dynamic;

	if (!dv_dynamic_read(read_bytes, &bytes, &dynamic))
		return 0;
	dv_error_destroy(dv_object_from_dynamic(dynamic, &object));
	dv_object_destroy(object);
	dv_dynamic_destroy(dynamic);
	return 0;
}
