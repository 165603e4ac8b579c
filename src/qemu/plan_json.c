/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan as JSON, for the recording's manifest; reader and writer side by side. */
#include "qemu/plan.h"

#include <string.h>
#include "base/buf.h"
#include "qemu/plan_build.h"

#define MAX_ENTRIES 10000

static const struct {
	unsigned bit;
	const char *name;
} whens[] = {
	{DV_WHEN_TERMINAL, "record-terminal"},
	{DV_WHEN_QUIET, "record-quiet"},
	{DV_WHEN_REPLAY, "replay"},
	{DV_WHEN_SAVING, "replay-console"},
};

static json_t *string_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *strv_to_json(char *const *strv)
{
	json_t *array = json_array();

	for (; array && strv && *strv; strv++)
		if (json_array_append_new(array, json_string(*strv))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *arg_to_json(const struct dv_qemu_plan_arg *arg)
{
	json_t *array = json_array();
	json_t *when;

	if (!array)
		return NULL;
	if (json_array_append_new(array, json_string(arg->option)) ||
	    (arg->value && json_array_append_new(array, json_string(arg->value))))
		goto fail;
	if (arg->when == DV_WHEN_ALWAYS)
		return array;
	when = json_array();
	for (size_t i = 0; i < DV_ARRAY_SIZE(whens); i++)
		if (arg->when & whens[i].bit)
			json_array_append_new(when, json_string(whens[i].name));
	return json_pack("{s:o, s:o}", "args", array, "when", when);
fail:
	json_decref(array);
	return NULL;
}

static json_t *image_to_json(const struct dv_qemu_image *image)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "name", image->name, "path", image->path,
			 "format", string_or_null(image->format), "overlay", string_or_null(image->overlay),
			 "virtual_bytes", (json_int_t)image->virtual_bytes, "backing",
			 strv_to_json(image->backing));
}

static json_t *file_to_json(const struct dv_qemu_file *file)
{
	return json_pack("{s:s, s:s, s:o}", "role", file->role, "path", file->path, "stored",
			 string_or_null(file->stored));
}

struct dv_error *dv_qemu_plan_to_json(const struct dv_qemu_plan *plan, json_t **ret)
{
	json_t *args = json_array(), *images = json_array(), *files = json_array(), *json;

	/* json_array_append_new takes NULL as an error; json_pack then makes nothing of the whole. */
	for (size_t i = 0; i < plan->args_len; i++)
		if (json_array_append_new(args, arg_to_json(&plan->args[i])))
			goto fail;
	for (size_t i = 0; i < plan->images_len; i++)
		if (json_array_append_new(images, image_to_json(&plan->images[i])))
			goto fail;
	for (size_t i = 0; i < plan->files_len; i++)
		if (json_array_append_new(files, file_to_json(&plan->files[i])))
			goto fail;
	json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:o, s:o, s:o, s:o, s:o}", "binary",
			 plan->binary, "arch", plan->arch, "directory", plan->directory, "icount",
			 plan->icount, "has_network", plan->has_network, "has_console", plan->has_console,
			 "cannot_restore", plan->cannot_restore, "memory_bytes", (json_int_t)plan->memory_bytes, "command",
			 strv_to_json(plan->command), "notes", strv_to_json(plan->notes), "images", images,
			 "files", files, "args", args);
	if (!json)
		return dv_error_new(DV_ERROR_INVALID, "QEMU's command line holds text that is not UTF-8");
	*ret = json;
	return NULL;
fail:
	json_decref(args);
	json_decref(images);
	json_decref(files);
	return dv_error_new(DV_ERROR_INVALID, "QEMU's command line holds text that is not UTF-8");
}

static struct dv_error *bad(const char *member, const char *expected)
{
	return dv_error_new(DV_ERROR_FORMAT, "the plan's \"%s\" is not %s", member, expected);
}

static struct dv_error *read_string(const json_t *json, const char *key, bool optional, char **ret)
{
	const json_t *value = json_object_get(json, key);

	if (optional && (!value || json_is_null(value)))
		return NULL;
	if (!json_is_string(value))
		return bad(key, "a string");
	*ret = strdup(json_string_value(value));
	return *ret ? NULL : dv_error_no_memory();
}

static struct dv_error *read_size(const json_t *json, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return bad(key, "a size");
	*ret = (uint64_t)json_integer_value(value);
	return NULL;
}

static struct dv_error *read_bool(const json_t *json, const char *key, bool *ret)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_boolean(value))
		return bad(key, "true or false");
	*ret = json_is_true(value);
	return NULL;
}

static struct dv_error *get_array(const json_t *json, const char *key, json_t **ret)
{
	json_t *value = json_object_get(json, key);

	if (!json_is_array(value) || json_array_size(value) > MAX_ENTRIES)
		return bad(key, "an array");
	*ret = value;
	return NULL;
}

static struct dv_error *read_strv(const json_t *json, const char *key, char ***ret, size_t *ret_len)
{
	json_t *array;
	size_t len;

	DV_TRY(get_array(json, key, &array));
	len = json_array_size(array);
	*ret = calloc(len + 1, sizeof(**ret));
	if (!*ret)
		return dv_error_no_memory();
	for (size_t i = 0; i < len; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return bad(key, "an array of strings");
		(*ret)[i] = strdup(text);
		if (!(*ret)[i])
			return dv_error_no_memory();
	}
	if (ret_len)
		*ret_len = len;
	return NULL;
}

static unsigned when_bit(const json_t *name)
{
	for (size_t i = 0; json_is_string(name) && i < DV_ARRAY_SIZE(whens); i++)
		if (!strcmp(whens[i].name, json_string_value(name)))
			return whens[i].bit;
	return 0;
}

static struct dv_error *read_arg(struct dv_qemu_plan *plan, const json_t *json)
{
	const json_t *args = json_is_object(json) ? json_object_get(json, "args") : json;
	const json_t *when = json_is_object(json) ? json_object_get(json, "when") : NULL;
	const char *option = json_string_value(json_array_get(args, 0));
	const json_t *value = json_array_get(args, 1);
	unsigned bits = when ? 0 : DV_WHEN_ALWAYS;

	for (size_t i = 0; i < json_array_size(when); i++)
		bits |= when_bit(json_array_get(when, i));
	if (!option || !bits || json_array_size(args) > 2 || (value && !json_is_string(value)))
		return bad("args", "an array of options");
	return dv_plan_add(plan, bits, option, json_string_value(value));
}

static struct dv_error *read_image(struct dv_qemu_plan *plan, const json_t *json)
{
	struct dv_qemu_image *image;

	DV_TRY(dv_plan_new_image(plan, &image));
	DV_TRY(read_string(json, "name", false, &image->name));
	DV_TRY(read_string(json, "path", false, &image->path));
	DV_TRY(read_string(json, "format", true, &image->format));
	DV_TRY(read_string(json, "overlay", true, &image->overlay));
	DV_TRY(read_size(json, "virtual_bytes", &image->virtual_bytes));
	if (image->overlay && strchr(image->overlay, '/'))
		return bad("overlay", "a file name in the recording");
	return read_strv(json, "backing", &image->backing, NULL);
}

static struct dv_error *read_file(struct dv_qemu_plan *plan, const json_t *json)
{
	_cleanup_free_ char *role = NULL, *path = NULL;
	size_t i;

	DV_TRY(read_string(json, "role", false, &role));
	DV_TRY(read_string(json, "path", false, &path));
	DV_TRY(dv_plan_new_file(plan, role, path, &i));
	return read_string(json, "stored", true, &plan->files[i].stored);
}

static struct dv_error *read_each(struct dv_qemu_plan *plan, const json_t *json, const char *key,
				  struct dv_error *(*read)(struct dv_qemu_plan *, const json_t *))
{
	json_t *array;

	DV_TRY(get_array(json, key, &array));
	for (size_t i = 0; i < json_array_size(array); i++)
		DV_TRY(read(plan, json_array_get(array, i)));
	return NULL;
}

struct dv_error *dv_qemu_plan_from_json(const json_t *json, struct dv_qemu_plan **ret)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return dv_error_no_memory();
	DV_TRY(read_string(json, "binary", false, &plan->binary));
	DV_TRY(read_string(json, "arch", false, &plan->arch));
	DV_TRY(read_string(json, "directory", false, &plan->directory));
	DV_TRY(read_string(json, "icount", false, &plan->icount));
	DV_TRY(read_bool(json, "has_network", &plan->has_network));
	DV_TRY(read_bool(json, "has_console", &plan->has_console));
	plan->cannot_restore = json_is_true(json_object_get(json, "cannot_restore"));
	DV_TRY(read_size(json, "memory_bytes", &plan->memory_bytes));
	DV_TRY(read_strv(json, "command", &plan->command, NULL));
	DV_TRY(read_strv(json, "notes", &plan->notes, &plan->notes_len));
	DV_TRY(read_each(plan, json, "images", read_image));
	DV_TRY(read_each(plan, json, "files", read_file));
	DV_TRY(read_each(plan, json, "args", read_arg));
	*ret = dv_steal(plan);
	return NULL;
}
