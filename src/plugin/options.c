/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin's options: see options.h. */
#include "plugin/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum option_type { OPTION_STRING, OPTION_U64, OPTION_U32, OPTION_CLOCK, OPTION_LIST };

static const struct option_row {
	const char *name;
	enum option_type type;
	size_t offset;
	size_t max; /* of a list */
} rows[] = {
	{"symbols_from", OPTION_STRING, offsetof(struct dv_plugin_options, symbols_from)},
	{"sysroot", OPTION_STRING, offsetof(struct dv_plugin_options, sysroot)},
	{"initrd", OPTION_STRING, offsetof(struct dv_plugin_options, initrd)},
	{"disk", OPTION_LIST, offsetof(struct dv_plugin_options, disks), DV_PLUGIN_MAX_DISKS},
	{"debug_info", OPTION_STRING, offsetof(struct dv_plugin_options, debug_info)},
	{"out", OPTION_STRING, offsetof(struct dv_plugin_options, out)},
	{"status", OPTION_STRING, offsetof(struct dv_plugin_options, status)},
	{"starting_from", OPTION_STRING, offsetof(struct dv_plugin_options, starting_from)},
	{"stopping_at", OPTION_STRING, offsetof(struct dv_plugin_options, stopping_at)},
	{"ignore_below", OPTION_STRING, offsetof(struct dv_plugin_options, ignore_below)},
	{"during", OPTION_STRING, offsetof(struct dv_plugin_options, during)},
	{"watch", OPTION_STRING, offsetof(struct dv_plugin_options, watch)},
	{"capture", OPTION_STRING, offsetof(struct dv_plugin_options, capture)},
	{"min_insns", OPTION_U64, offsetof(struct dv_plugin_options, min_insns)},
	{"max_depth", OPTION_U32, offsetof(struct dv_plugin_options, max_depth)},
	{"spool", OPTION_STRING, offsetof(struct dv_plugin_options, spool)},
	{"from", OPTION_U64, offsetof(struct dv_plugin_options, from)},
	{"to", OPTION_U64, offsetof(struct dv_plugin_options, to)},
	{"then", OPTION_LIST, offsetof(struct dv_plugin_options, then), DV_PLUGIN_MAX_SEGMENTS},
	{"clock", OPTION_CLOCK, offsetof(struct dv_plugin_options, clock)},
};

static struct dv_error *parse_number(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (!*text || *end || errno || *text == '-' || *ret > max)
		return dv_error_new(DV_ERROR_INVALID, "option %s: '%s' is not a number from 0 to %llu", name, text,
				    (unsigned long long)max);
	return NULL;
}

static struct dv_error *parse_clock(const char *text, enum dv_plugin_clock *ret)
{
	if (!strcmp(text, "auto"))
		*ret = DV_PLUGIN_CLOCK_AUTO;
	else if (!strcmp(text, "counter"))
		*ret = DV_PLUGIN_CLOCK_COUNTER;
	else if (!strcmp(text, "host"))
		*ret = DV_PLUGIN_CLOCK_HOST;
	else
		return dv_error_new(DV_ERROR_INVALID, "option clock: '%s' is none of auto, counter, host", text);
	return NULL;
}

static struct dv_error *add_to_list(const struct option_row *row, const char *value, const char **list)
{
	for (size_t i = 0; i < row->max; i++) {
		if (list[i])
			continue;
		list[i] = value;
		return NULL;
	}
	return dv_error_new(DV_ERROR_INVALID, "option %s: more than %zu of them", row->name, row->max);
}

static struct dv_error *apply(const struct option_row *row, const char *value, struct dv_plugin_options *options)
{
	void *field = (char *)options + row->offset;
	uint64_t number;

	if ((row->type == OPTION_STRING || row->type == OPTION_LIST) && !*value)
		return dv_error_new(DV_ERROR_INVALID, "option %s needs a value", row->name);
	switch (row->type) {
	case OPTION_LIST:
		return add_to_list(row, value, field);
	case OPTION_STRING:
		*(const char **)field = value;
		break;
	case OPTION_U64:
		DV_TRY(parse_number(row->name, value, UINT64_MAX, field));
		break;
	case OPTION_U32:
		DV_TRY(parse_number(row->name, value, UINT32_MAX, &number));
		*(uint32_t *)field = (uint32_t)number;
		break;
	case OPTION_CLOCK:
		DV_TRY(parse_clock(value, field));
		break;
	}
	return NULL;
}

static struct dv_error *parse_one(const char *arg, struct dv_plugin_options *options)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, arg, len) && arg[len] == '=')
			return apply(&rows[i], arg + len + 1, options);
	}
	return dv_error_new(DV_ERROR_INVALID,
			    "unknown option '%s'; there are symbols_from, sysroot, initrd, disk, debug_info, out, status, starting_from, stopping_at, "
			    "during, min_insns, max_depth, ignore_below, clock, watch, capture, spool, from, to, then",
			    arg);
}

struct dv_error *dv_plugin_options_parse(int argc, char *const *argv, struct dv_plugin_options *ret)
{
	struct dv_plugin_options options = {.out = "dejaview.dvtrace", .to = UINT64_MAX};

	for (int i = 0; i < argc; i++)
		DV_TRY(parse_one(argv[i], &options));
	*ret = options;
	return NULL;
}
