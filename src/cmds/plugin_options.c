/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmds/plugin_options.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"

static const char *const names[] = {"symbols_from", "starting_from", "stopping_at", "during",
				    "min_insns",    "max_depth",     "ignore_below"};

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
	if (i == 0 && (path = realpath(value, NULL)))
		value = path; /* QEMU runs in another directory */
	return add(args, names[i], value);
}

struct dv_error *dv_plugin_args_finish(struct dv_plugin_args *args, const struct dv_recording *recording,
				       const char *out)
{
	const struct dv_qemu_plan *plan = recording->plan;
	bool has_symbols = false;

	if (!out || !add(args, "out", out))
		return dv_error_no_memory();
	for (size_t i = 0; i < args->len; i++)
		has_symbols |= !strncmp(args->args[i], "symbols_from=", strlen("symbols_from="));
	for (size_t i = 0; i < plan->files_len && !has_symbols; i++) {
		_cleanup_free_ char *path = NULL;

		if (strcmp(plan->files[i].role, "kernel"))
			continue;
		path = dv_qemu_file_path(plan, i, recording->folder);
		if (!path || !add(args, "symbols_from", path))
			return dv_error_no_memory();
		has_symbols = true;
	}
	return NULL;
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
