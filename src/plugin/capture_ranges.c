/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which functions are captured: see capture.h. Apart from the callbacks, so that it is tested without QEMU. */
#include <errno.h>
#include "plugin/capture.h"

struct dv_error *dv_capture_parse(const char *text, struct dv_capture *ret)
{
	struct dv_capture capture = {0};

	for (;; text++) {
		unsigned long long vaddr, mask;
		char *end;

		if (capture.len == DV_CAPTURE_MAX_FUNCTIONS)
			return dv_error_new(DV_ERROR_INVALID, "option capture: more than %d functions",
					    DV_CAPTURE_MAX_FUNCTIONS);
		errno = 0;
		vaddr = strtoull(text, &end, 0);
		if (end == text || *end != ':' || errno)
			return dv_error_new(DV_ERROR_INVALID, "option capture: '%s' is not ADDRESS:STRINGS", text);
		text = end + 1;
		mask = strtoull(text, &end, 0);
		if (end == text || errno || mask >> DV_CAPTURE_ARGUMENTS)
			return dv_error_new(DV_ERROR_INVALID,
					    "option capture: STRINGS has a bit for each of %d arguments, not '%s'",
					    DV_CAPTURE_ARGUMENTS, text);
		text = end;
		capture.functions[capture.len].vaddr = vaddr;
		capture.functions[capture.len++].strings_mask = (uint32_t)mask;
		if (!*text)
			break;
		if (*text != '+')
			return dv_error_new(DV_ERROR_INVALID, "option capture: '%s' follows a function; '+' does", text);
	}
	*ret = capture;
	return NULL;
}
