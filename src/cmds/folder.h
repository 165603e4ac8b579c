/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a recording's folder holds, in a screenful: how it was made, its files, its trace. */
#ifndef DV_CMDS_FOLDER_H
#define DV_CMDS_FOLDER_H

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "replay/recording.h"

/* name: what the user called it. A trace that cannot be read is said, and is no error. */
struct dv_error *dv_folder_print(FILE *to, const struct dv_recording *recording, const char *name);
/* New reference. */
struct dv_error *dv_folder_to_json(const struct dv_recording *recording, json_t **ret);

#endif
