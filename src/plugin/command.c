/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's own command line, from /proc: see command.h. */
#include "plugin/command.h"

#include <string.h>
#include "base/io.h"

#define MAX_COMMAND_BYTES (1u << 20)

char **dv_own_command(struct dv_buf *text)
{
	struct dv_error *err = dv_read_file("/proc/self/cmdline", MAX_COMMAND_BYTES, text);
	size_t count = 0;
	char **argv;

	dv_error_destroy(err);
	if (err)
		return NULL;
	for (size_t i = 0; i < text->len; i++)
		count += !text->data[i];
	argv = calloc(count + 1, sizeof(*argv));
	for (size_t i = 0, at = 0; argv && i < count; i++) {
		argv[i] = (char *)text->data + at;
		at += strlen(argv[i]) + 1;
	}
	return argv;
}
