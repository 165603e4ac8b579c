/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overlays on the bytes of qcow2 files; see layers.h. */
#include "qemu/layers.h"

#include <jansson.h>
#include <string.h>
#include "base/io.h"
#include "qemu/disks.h"
#include "qemu/process.h"

/* Far more than any file will have: it costs nothing until it is written. */
#define LAYER_SIZE "1T"
/* Small pieces (4 KiB) so that what is written next to each other needs nothing read from below. */
#define LAYER_OPTIONS "extended_l2=on,cluster_size=128k"
#define MAX_OUTPUT 4096

static struct dv_error *create_file(const char *folder, const char *name)
{
	_cleanup_free_ char *path = dv_path_join(folder, name);
	char *argv[] = {(char *)"qemu-img", (char *)"create", (char *)"-q", (char *)"-f", (char *)"qcow2", (char *)"-o",
			(char *)LAYER_OPTIONS, path, (char *)LAYER_SIZE, NULL};

	return path ? dv_qemu_img(argv, MAX_OUTPUT, NULL) : dv_error_no_memory();
}

struct dv_error *dv_qemu_layer_create(const struct dv_qemu_plan *plan, const char *folder)
{
	DV_TRY(create_file(folder, DV_QEMU_SNAPSHOTS));
	for (size_t i = 0; i < plan->images_len; i++)
		if (plan->images[i].overlay)
			DV_TRY(create_file(folder, plan->images[i].overlay));
	return NULL;
}

/* A node of QEMU's block graph: the file of a folder, read or written, as a qcow2 over below (taken over). */
static json_t *node(const char *driver, const char *folder, const char *name, bool writable, json_t *below)
{
	_cleanup_free_ char *path = dv_path_join(folder, name);
	json_t *file = json_pack("{s:s, s:s}", "driver", "file", "filename", path ?: "");
	json_t *made = json_pack("{s:s, s:o, s:o*}", "driver", driver, "file", file, "backing", below);

	if (!path || !made) {
		json_decref(made);
		return NULL;
	}
	if (writable) { /* the session's own, gone when it ends: never synced */
		json_object_set_new(file, "cache", json_pack("{s:b}", "no-flush", true));
		json_object_set_new(made, "cache", json_pack("{s:b}", "no-flush", true));
	} else {
		json_object_set_new(file, "read-only", json_true());
		json_object_set_new(made, "read-only", json_true());
	}
	return made;
}

/* "json:{...}" with its commas doubled. */
static struct dv_error *describe(const struct dv_qemu_run *run, const char *name, struct dv_buf *out)
{
	json_t *graph = node("raw", run->folder, name, false, NULL);
	_cleanup_free_ char *text = NULL;

	for (const char *const *layer = run->layers; *layer && graph; layer++)
		graph = node("qcow2", *layer, name, false, graph);
	if (graph)
		graph = node("qcow2", run->disks, name, true, graph);
	graph = graph ? json_pack("{s:s, s:o}", "driver", "qcow2", "file", graph) : NULL;
	text = graph ? json_dumps(graph, JSON_COMPACT) : NULL;
	json_decref(graph);
	if (!text)
		return dv_error_no_memory();
	dv_buf_printf(out, "json:");
	for (const char *p = text; *p; p++)
		dv_buf_append(out, (const char[]){*p, *p}, *p == ',' ? 2 : 1);
	return NULL;
}

static struct dv_error *apply(const struct dv_qemu_run *run, const char *prefix, char **arg)
{
	char *file = strstr(*arg, prefix);
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	_cleanup_free_ char *name = NULL;
	size_t before, len;
	char *text;

	if (!file || (file != *arg && file[-1] != ','))
		return NULL;
	before = (size_t)(file - *arg) + strlen("file=");
	file += strlen(prefix);
	len = strcspn(file, ","); /* the names are ours, with no comma in them */
	name = strndup(file, len);
	if (!name)
		return dv_error_no_memory();
	dv_buf_append(&out, *arg, before);
	DV_TRY(describe(run, name, &out));
	dv_buf_append(&out, file + len, strlen(file + len));
	text = dv_buf_steal_string(&out);
	if (!text)
		return dv_error_no_memory();
	free(*arg);
	*arg = text;
	return NULL;
}

struct dv_error *dv_qemu_layers_apply(const struct dv_qemu_run *run, char **argv)
{
	_cleanup_buf_ struct dv_buf prefix = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL;

	dv_buf_printf(&prefix, "file=");
	for (const char *p = run->disks; *p; p++)
		dv_buf_append(&prefix, (const char[]){*p, *p}, *p == ',' ? 2 : 1);
	dv_buf_printf(&prefix, "/");
	text = dv_buf_steal_string(&prefix);
	if (!text)
		return dv_error_no_memory();
	for (; *argv; argv++)
		DV_TRY(apply(run, text, argv));
	return NULL;
}
