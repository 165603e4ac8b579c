/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmds/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool dv_parse_icount(const char *text, uint64_t *ret)
{
	static const char prefixes[] = "kMGT";
	const char *prefix;
	double factor = 1, value;
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (end != text && !*end && !errno && *text != '-')
		return true;
	value = strtod(text, &end);
	prefix = *end ? strchr(prefixes, *end) : NULL;
	if (end == text || !prefix || end[1] || value < 0)
		return false;
	for (const char *p = prefixes; p <= prefix; p++)
		factor *= 1000;
	*ret = (uint64_t)(value * factor);
	return true;
}

uint64_t dv_parse_size(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	double value = strtod(text, &end);
	const char *unit = end == text || !*end ? NULL : strchr(units, toupper((unsigned char)*end));

	if (end == text || value <= 0)
		return 0;
	for (const char *u = units; unit && u <= unit; u++)
		value *= 1024;
	end += unit != NULL;
	if (*end && strcmp(end, "B") && strcmp(end, "iB"))
		return 0;
	return value > 1e18 ? 0 : (uint64_t)value;
}
