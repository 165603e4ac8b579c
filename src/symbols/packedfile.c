/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that may be compressed: see packedfile.h. */
#include "symbols/packedfile.h"

#include <string.h>
#include "symbols/unpack.h"

#define MAX_UNPACKED_BYTES (512u << 20)

struct dv_error *dv_packed_file_init(const char *path, struct dv_packed_file *ret)
{
	struct dv_packed_file f = {.unpacked = DV_BUF_INIT};
	const struct dv_packer *packer;
	struct dv_error *err;

	DV_TRY(dv_mapped_file_init(path, &f.file));
	f.data = f.file.data;
	f.len = f.file.len;
	packer = f.data ? dv_packer_detect(f.data, f.len) : NULL;
	if (packer) {
		err = dv_unpack(packer, f.data, f.len, 0, MAX_UNPACKED_BYTES, &f.unpacked);
		dv_mapped_file_deinit(&f.file);
		f.file = (struct dv_mapped_file){0};
		if (err) {
			dv_buf_deinit(&f.unpacked);
			return dv_error_prefix(err, "%s", path);
		}
		f.data = f.unpacked.data;
		f.len = f.unpacked.len;
		f.is_packed = true;
	}
	*ret = f;
	return NULL;
}

void dv_packed_file_deinit(struct dv_packed_file *f)
{
	dv_mapped_file_deinit(&f->file);
	dv_buf_deinit(&f->unpacked);
	*f = (struct dv_packed_file){0};
}

size_t dv_packed_name_len(const char *name)
{
	static const char *const endings[] = {".xz", ".zst", ".gz"};
	size_t len = strlen(name);

	for (size_t i = 0; i < DV_ARRAY_SIZE(endings); i++) {
		size_t end = strlen(endings[i]);

		if (len > end && !strcmp(name + len - end, endings[i]))
			return len - end;
	}
	return len;
}
