/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Splitting a command line into options; see options.h. */
#include "qemu/options.h"

#include <string.h>

#define OPTION(option_name, arg, what, why) {option_name, arg, DV_OPTION_##what, why},
static const struct dv_option_def defs[] = {
#include "qemu/options.def"
};
#undef OPTION

static const struct dv_option_def unknown_alone = {"", false, DV_OPTION_PASS, NULL};
static const struct dv_option_def unknown_with_arg = {"", true, DV_OPTION_PASS, NULL};
/* `qemu-system-x86_64 disk.img` */
static const struct dv_option_def lone_image = {"", true, DV_OPTION_IMAGE, "index=0,media=disk"};

static const struct dv_option_def *find(const char *name)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(defs); i++)
		if (!strcmp(defs[i].name, name))
			return &defs[i];
	return NULL;
}

void dv_options_deinit(struct dv_options *options)
{
	free(options->items);
	*options = (struct dv_options){0};
}

/* QEMU takes one dash or two. */
static const char *name_of(const char *word)
{
	return word[1] == '-' ? word + 2 : word + 1;
}

struct dv_error *dv_options_parse(int argc, char *const *argv, struct dv_options *ret)
{
	_cleanup_options_ struct dv_options options = {0};

	options.items = calloc((size_t)argc + 1, sizeof(*options.items));
	if (!options.items)
		return dv_error_no_memory();
	for (int i = 0; i < argc; i++) {
		struct dv_option *option = &options.items[options.len++];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		if (argv[i][0] != '-') {
			*option = (struct dv_option){.def = &lone_image, .arg = argv[i]};
			continue;
		}
		option->word = argv[i];
		option->def = find(name_of(argv[i]));
		if (!option->def)
			option->def = next && next[0] != '-' ? &unknown_with_arg : &unknown_alone;
		if (!option->def->has_arg)
			continue;
		if (!next)
			return dv_error_new(DV_ERROR_INVALID, "%s needs an argument", argv[i]);
		option->arg = next;
		i++;
	}
	*ret = options;
	options = (struct dv_options){0};
	return NULL;
}
