/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which functions are captured: see capture.h. Apart from the callbacks, so that it is tested without QEMU. */
#include <errno.h>
#include "plugin/capture.h"

static struct dv_error *parse_number(const char **text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(*text, &end, 0);
	if (end == *text || errno)
		return dv_error_new(DV_ERROR_INVALID, "option capture: '%s' does not begin with a number", *text);
	*text = end;
	return NULL;
}

static struct dv_error *parse_function(const char **text, struct dv_capture *capture)
{
	const char *start = *text;
	uint64_t vaddr, mask;

	if (capture->len == DV_CAPTURE_MAX_FUNCTIONS)
		return dv_error_new(DV_ERROR_INVALID, "option capture: more than %d functions", DV_CAPTURE_MAX_FUNCTIONS);
	DV_TRY(parse_number(text, &vaddr));
	if (*(*text)++ != ':')
		return dv_error_new(DV_ERROR_INVALID, "option capture: '%s' is not ADDRESS:STRINGS", start);
	DV_TRY(parse_number(text, &mask));
	if (mask >> DV_CAPTURE_ARGUMENTS)
		return dv_error_new(DV_ERROR_INVALID, "option capture: '%s': STRINGS has a bit for each of %d arguments",
				    start, DV_CAPTURE_ARGUMENTS);
	capture->functions[capture->len].vaddr = vaddr;
	capture->functions[capture->len++].strings_mask = (uint32_t)mask;
	return NULL;
}

static struct dv_error *parse_slot(const char **text, struct dv_capture *capture)
{
	if (capture->open_len == DV_CAPTURE_MAX_OPEN)
		return dv_error_new(DV_ERROR_INVALID, "option capture: more than %d slots", DV_CAPTURE_MAX_OPEN);
	return parse_number(text, &capture->open[capture->open_len++]);
}

struct dv_error *dv_capture_parse(const char *text, struct dv_capture *ret)
{
	struct dv_error *(*parse)(const char **text, struct dv_capture *capture) = parse_function;
	_cleanup_free_ struct dv_capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return dv_error_no_memory();
	if (*text == '@') {
		parse = parse_slot;
		text++;
	}
	for (;;) {
		DV_TRY(parse(&text, capture));
		if (!*text)
			break;
		if (*text == '@' && parse == parse_function)
			parse = parse_slot;
		else if (*text != '+')
			return dv_error_new(DV_ERROR_INVALID, "option capture: '%s' is left over", text);
		text++;
	}
	*ret = *capture;
	return NULL;
}
