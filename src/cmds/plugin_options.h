/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of record and trace that go to the plugin as they are. */
#ifndef DV_CMDS_PLUGIN_OPTIONS_H
#define DV_CMDS_PLUGIN_OPTIONS_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include "replay/recording.h"

#define DV_PLUGIN_ARGS_MAX 48

struct dv_plugin_args {
	char *args[DV_PLUGIN_ARGS_MAX]; /* "name=value"; NULL-terminated */
	size_t len;
};

/* getopt's values: the base and the place in the table of names. */
#define DV_PLUGIN_OPTION_BASE 512
#define DV_PLUGIN_LONG_OPTIONS                                              \
	{"symbols-from", required_argument, NULL, DV_PLUGIN_OPTION_BASE},       \
	{"starting-from", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 1},  \
	{"stopping-at", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 2},    \
	{"during", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 3},         \
	{"min-insns", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 4},      \
	{"max-depth", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 5},      \
	{"ignore-below", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 6},    \
	{"sysroot", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 7},         \
	{"debug-info", required_argument, NULL, DV_PLUGIN_OPTION_BASE + 8}

#define DV_PLUGIN_OPTIONS_USAGE                                                                        \
	"What of the calls is kept in the trace:\n"                                                    \
	"      --symbols-from FILE   the guest kernel's image with symbols (default: QEMU's -kernel)\n" \
	"      --sysroot DIR         a folder like the guest's root: symbols of its programs and libraries,\n" \
	"                            before those of the initramfs and of the disk images\n"                   \
	"      --debug-info PATH     the kernel with DWARF, or a folder with it, modules, .build-id/: functions'\n" \
	"                            source files and lines (default: what is under /usr/lib/debug)\n"        \
	"      --starting-from FUNC  nothing before FUNC is first called\n"                            \
	"      --stopping-at FUNC    nothing after FUNC is called\n"                                   \
	"      --during COMM         only threads of this name\n"                                      \
	"      --min-insns N         only calls of at least N instructions, and their callers\n"       \
	"      --max-depth N         only the outermost N calls of each thread\n"                      \
	"      --ignore-below FUNC   nothing that FUNC calls\n"

/* Takes one option of getopt's; false when it is none of these (or there are too many). */
bool dv_plugin_args_add(struct dv_plugin_args *args, int option, const char *value);
/* Adds out= and, unless given, symbols_from= (the recording's own kernel). */
struct dv_error *dv_plugin_args_finish(struct dv_plugin_args *args, const struct dv_recording *recording,
				       const char *out);
const char *const *dv_plugin_args_strv(const struct dv_plugin_args *args);
/* As an array of strings, new reference. */
json_t *dv_plugin_args_json(const struct dv_plugin_args *args);
void dv_plugin_args_deinit(struct dv_plugin_args *args);

#endif
