/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error values: see error.h. */
#include "base/error.h"

#include <string.h>

static struct dv_error no_memory = {
	.code = DV_ERROR_NO_MEMORY,
	.message = (char *)"out of memory",
};

void dv_error_destroy(struct dv_error *err)
{
	if (!err || err == &no_memory)
		return;
	free(err->message);
	free(err);
}

struct dv_error *dv_error_no_memory(void)
{
	return &no_memory;
}

static struct dv_error *wrap(enum dv_error_code code, int os_errno, char *message)
{
	struct dv_error *err;

	if (!message)
		return &no_memory;
	err = malloc(sizeof(*err));
	if (!err) {
		free(message);
		return &no_memory;
	}
	*err = (struct dv_error){.code = code, .os_errno = os_errno, .message = message};
	return err;
}

struct dv_error *dv_error_new(enum dv_error_code code, const char *format, ...)
{
	char *message;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	return wrap(code, 0, message);
}

struct dv_error *dv_error_os(int os_errno, const char *format, ...)
{
	_cleanup_free_ char *what = NULL;
	char *message;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	va_end(ap);
	if (!what || asprintf(&message, "%s: %s", what, strerror(os_errno)) < 0)
		message = NULL;
	return wrap(DV_ERROR_OS, os_errno, message);
}

struct dv_error *dv_error_prefix(struct dv_error *err, const char *format, ...)
{
	_cleanup_free_ char *what = NULL;
	char *message;
	va_list ap;

	if (!err || err == &no_memory)
		return err;
	va_start(ap, format);
	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	va_end(ap);
	if (!what || asprintf(&message, "%s: %s", what, err->message) < 0)
		return err;
	free(err->message);
	err->message = message;
	return err;
}

void dv_assert_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "dejaview: bug: %s does not hold at %s:%d\n", cond, file, line);
	abort();
}
