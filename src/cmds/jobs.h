/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --jobs, of the verbs that replay in segments. */
#ifndef DV_CMDS_JOBS_H
#define DV_CMDS_JOBS_H

#include <stdbool.h>
#include "replay/jobs.h"

/* False for what is no such number, which has been said. */
bool dv_jobs_parse(const char *verb, const char *text, unsigned *ret);
/* As many of those wanted (0: one for each CPU) as fit into memory; fewer is said unless quiet. */
unsigned dv_jobs_choose(const char *verb, const struct dv_recording *recording, unsigned wanted, bool quiet);

#endif
