/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of the QEMU that we are loaded into. */
#ifndef DV_PLUGIN_COMMAND_H
#define DV_PLUGIN_COMMAND_H

#include "base/buf.h"

/* QEMU's argv, NULL-terminated, in new memory (free()); the strings lie in `text`. NULL when not readable. */
char **dv_own_command(struct dv_buf *text);

#endif
