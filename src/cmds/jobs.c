/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmds/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"

bool dv_jobs_parse(const char *verb, const char *text, unsigned *ret)
{
	char *end;
	unsigned long jobs = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !jobs || jobs > DV_JOBS_MAX) {
		fprintf(stderr, "dejaview %s: --jobs: '%s' is not a number from 1 to %u\n", verb, text, DV_JOBS_MAX);
		return false;
	}
	*ret = (unsigned)jobs;
	return true;
}

unsigned dv_jobs_choose(const char *verb, const struct dv_recording *recording, unsigned wanted, bool quiet)
{
	_cleanup_free_ char *why = NULL;
	unsigned jobs = dv_jobs_that_fit(recording, wanted, &why);

	if (why && !quiet)
		fprintf(stderr, "dejaview %s: %s\n", verb, why);
	return jobs;
}
