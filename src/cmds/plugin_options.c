/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmds/plugin_options.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"

static const char *const names[] = {"symbols_from", "starting_from", "stopping_at", "during",
				    "min_insns",    "max_depth",     "ignore_below",  "sysroot",
				    "debug_info"};

static bool add(struct dv_plugin_args *args, const char *name, const char *value)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	if (args->len >= DV_PLUGIN_ARGS_MAX - 1)
		return false;
	dv_buf_printf(&text, "%s=%s", name, value);
	args->args[args->len] = dv_buf_steal_string(&text);
	return args->args[args->len] && ++args->len;
}

bool dv_plugin_args_add(struct dv_plugin_args *args, int option, const char *value)
{
	_cleanup_free_ char *path = NULL;
	int i = option - DV_PLUGIN_OPTION_BASE;

	if (i < 0 || (size_t)i >= DV_ARRAY_SIZE(names))
		return false;
	if ((i == 0 || i >= 7) && (path = realpath(value, NULL)))
		value = path; /* QEMU runs in another directory */
	return add(args, names[i], value);
}

static bool has(const struct dv_plugin_args *args, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < args->len; i++) {
		if (!strncmp(args->args[i], name, len) && args->args[i][len] == '=')
			return true;
	}
	return false;
}

/* Adds the recording's file of a role, unless the option is there or there is no such file. */
static struct dv_error *add_file(struct dv_plugin_args *args, const char *name, const char *role,
				 const struct dv_recording *recording)
{
	const struct dv_qemu_plan *plan = recording->plan;

	for (size_t i = 0; i < plan->files_len && !has(args, name); i++) {
		_cleanup_free_ char *path = NULL;

		if (strcmp(plan->files[i].role, role))
			continue;
		path = dv_qemu_file_path(plan, i, recording->folder);
		if (!path || !add(args, name, path))
			return dv_error_no_memory();
	}
	return NULL;
}

/* The images as they were when it was recorded: what the guest wrote since lies in the overlays. */
static struct dv_error *add_disks(struct dv_plugin_args *args, const struct dv_recording *recording)
{
	const struct dv_qemu_plan *plan = recording->plan;

	for (size_t i = 0; i < plan->images_len && args->len < DV_PLUGIN_ARGS_MAX - 1; i++) {
		_cleanup_free_ char *path = dv_qemu_image_path(plan, i, recording->folder);

		if (path && !add(args, "disk", path))
			return dv_error_no_memory();
	}
	return NULL;
}

struct dv_error *dv_plugin_args_finish(struct dv_plugin_args *args, const struct dv_recording *recording,
				       const char *out)
{
	if (!out || !add(args, "out", out))
		return dv_error_no_memory();
	DV_TRY(add_file(args, "symbols_from", "kernel", recording));
	DV_TRY(add_file(args, "initrd", "initrd", recording));
	return add_disks(args, recording);
}

const char *const *dv_plugin_args_strv(const struct dv_plugin_args *args)
{
	return (const char *const *)args->args;
}

json_t *dv_plugin_args_json(const struct dv_plugin_args *args)
{
	json_t *all = json_array();

	for (size_t i = 0; i < args->len; i++)
		json_array_append_new(all, json_string(args->args[i]));
	return all;
}

void dv_plugin_args_deinit(struct dv_plugin_args *args)
{
	for (size_t i = 0; i < args->len; i++)
		free(args->args[i]);
}
