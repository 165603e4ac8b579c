/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overlays and the snapshot file, by qemu-img; see disks.h. */
#include "qemu/disks.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"
#include "qemu/plan_build.h"
#include "qemu/process.h"

#define MAX_OUTPUT (1 << 20)
#define MAX_CHAIN  200

/* Machine states are kept outside the virtual disk: its size does not matter. */
#define SNAPSHOTS_SIZE "1M"

struct dv_error *dv_qemu_img(char *const *argv, size_t max_bytes, struct dv_buf *ret)
{
	struct dv_error *err = dv_process_run(argv, max_bytes, ret);

	if (err && err->code == DV_ERROR_NOT_FOUND) {
		dv_error_destroy(err);
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "qemu-img is missing: install the package qemu-utils");
	}
	return err;
}

#define QEMU_IMG(ret, ...) \
	dv_qemu_img((char *const[]){(char *)"qemu-img", ##__VA_ARGS__, NULL}, MAX_OUTPUT, ret)
#define ARG(text) ((char *)(text))

/* Reads `qemu-img info --backing-chain`'s array: the image first, what it is based on after it. */
static struct dv_error *read_chain(struct dv_qemu_image *image, const json_t *chain)
{
	const json_t *top = json_array_get(chain, 0);
	const char *format = json_string_value(json_object_get(top, "format"));
	json_int_t size = json_integer_value(json_object_get(top, "virtual-size"));
	size_t len = json_array_size(chain);
	char **backing;

	if (!format || size < 0 || !len || len > MAX_CHAIN)
		return dv_error_new(DV_ERROR_FORMAT, "%s: qemu-img info says nothing of use", image->path);
	if (!image->format)
		image->format = strdup(format);
	image->virtual_bytes = (uint64_t)size;
	backing = calloc(len, sizeof(*backing));
	if (!image->format || !backing) {
		free(backing);
		return dv_error_no_memory();
	}
	for (size_t i = 1; i < len; i++) {
		const char *name = json_string_value(json_object_get(json_array_get(chain, i), "filename"));
		char *real = name ? realpath(name, NULL) : NULL;

		backing[i - 1] = real ? real : strdup(name ? name : "");
	}
	dv_strv_free(image->backing);
	image->backing = backing;
	return NULL;
}

static struct dv_error *look(struct dv_qemu_image *image, const char *path)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	struct dv_error *err;
	json_error_t error;
	json_t *chain;

	if (access(path, R_OK))
		return errno == ENOENT ? dv_error_new(DV_ERROR_NOT_FOUND, "%s: no such image", path) :
					 dv_error_os(errno, "%s", path);
	/* -U: another QEMU may have it open; it is only read here. */
	if (image->format)
		DV_TRY(QEMU_IMG(&out, ARG("info"), ARG("-U"), ARG("--backing-chain"), ARG("--output=json"),
				ARG("-f"), image->format, ARG(path)));
	else
		DV_TRY(QEMU_IMG(&out, ARG("info"), ARG("-U"), ARG("--backing-chain"), ARG("--output=json"),
				ARG(path)));
	chain = json_loadb((char *)out.data, out.len, 0, &error);
	err = read_chain(image, chain);
	json_decref(chain);
	return err;
}

struct dv_error *dv_qemu_disks_create(struct dv_qemu_plan *plan, const char *folder)
{
	_cleanup_free_ char *snapshots = dv_path_join(folder, DV_QEMU_SNAPSHOTS);

	if (!snapshots)
		return dv_error_no_memory();
	for (size_t i = 0; i < plan->images_len; i++) {
		struct dv_qemu_image *image = &plan->images[i];
		_cleanup_free_ char *path = dv_qemu_image_path(plan, i, folder);
		_cleanup_free_ char *overlay = NULL;

		if (!path)
			return dv_error_no_memory();
		DV_TRY(look(image, path));
		if (!image->overlay)
			continue;
		overlay = dv_path_join(folder, image->overlay);
		if (!overlay)
			return dv_error_no_memory();
		DV_TRY(QEMU_IMG(NULL, ARG("create"), ARG("-q"), ARG("-f"), ARG("qcow2"), ARG("-F"),
				image->format, ARG("-b"), path, overlay));
	}
	return QEMU_IMG(NULL, ARG("create"), ARG("-q"), ARG("-f"), ARG("qcow2"), snapshots,
			ARG(SNAPSHOTS_SIZE));
}
