/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which options QEMU has, whether they take an argument, and what a recording makes of each: the table is
 * options.def. An option that is not in it is passed on; a word without dash behind it is taken for its
 * argument.
 */
#ifndef DV_QEMU_OPTIONS_H
#define DV_QEMU_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

enum dv_option_action {
	DV_OPTION_PASS,	   /* given to QEMU always, as it is */
	DV_OPTION_RECORD,  /* only while recording: it concerns the host */
	DV_OPTION_TERMINAL, /* only while recording on a terminal */
	DV_OPTION_REFUSE,  /* text: the reason; the way out */
	DV_OPTION_DROP,	   /* left out; text: why */
	DV_OPTION_FILE,	   /* the argument is a file that QEMU reads at start */
	DV_OPTION_FILE_KEY, /* the keys named in text, one or more with | between, are such files */
	DV_OPTION_IMAGE,   /* the argument is a drive's image; text: the -drive options it stands for */
	DV_OPTION_ACCEL, DV_OPTION_AUDIO, DV_OPTION_AUDIODEV, DV_OPTION_BLOCKDEV, DV_OPTION_CHARDEV,
	DV_OPTION_CPU, DV_OPTION_DATA_DIR, DV_OPTION_DEVICE, DV_OPTION_DISPLAY, DV_OPTION_DRIVE,
	DV_OPTION_ENABLE_KVM, DV_OPTION_GLOBAL, DV_OPTION_ICOUNT, DV_OPTION_MACHINE, DV_OPTION_MEMORY,
	DV_OPTION_MONITOR, DV_OPTION_NET, DV_OPTION_NETDEV, DV_OPTION_NIC, DV_OPTION_NODEFAULTS,
	DV_OPTION_NOGRAPHIC, DV_OPTION_NO_HPET, DV_OPTION_OBJECT, DV_OPTION_PARALLEL, DV_OPTION_PLUGIN,
	DV_OPTION_RTC, DV_OPTION_SERIAL, DV_OPTION_SMP,
};

struct dv_option_def {
	const char *name;
	bool has_arg;
	enum dv_option_action action;
	const char *text;
};

/* One option of a command line. Strings are borrowed from argv. */
struct dv_option {
	const struct dv_option_def *def; /* never NULL */
	const char *word; /* as written, with its dashes; NULL for a lone disk image */
	const char *arg;  /* NULL when it takes none */
};

struct dv_options {
	struct dv_option *items;
	size_t len;
};

void dv_options_deinit(struct dv_options *options);
#define _cleanup_options_ _cleanup_(dv_options_deinit)

/* argv without argv[0]. Errors: DV_ERROR_INVALID for an option whose argument is missing. */
struct dv_error *dv_options_parse(int argc, char *const *argv, struct dv_options *ret);

#endif
