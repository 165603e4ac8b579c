/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors are values. A function that can fail returns `struct dv_error *`: NULL is success, anything
 * else is owned by the caller, who consumes it once (prints it, translates it, or passes it on with
 * dv_error_prefix()). The message names the thing (path, offset, address, expected and found) and,
 * where there is one, the way out. Libraries never print and never exit.
 */
#ifndef DV_BASE_ERROR_H
#define DV_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include "base/cleanup.h"

enum dv_error_code {
	DV_ERROR_NO_MEMORY,
	DV_ERROR_OS,	      /* errno says why: err->os_errno */
	DV_ERROR_INVALID,     /* an argument or option of the user's */
	DV_ERROR_FORMAT,      /* bytes of a file, of the guest or of a peer do not parse */
	DV_ERROR_TRUNCATED,   /* ... because they end too early */
	DV_ERROR_UNSUPPORTED, /* understood, but cannot be done */
	DV_ERROR_NOT_FOUND,
	DV_ERROR_FAULT,	      /* guest memory that is not mapped */
	DV_ERROR_MISMATCH,    /* two things that must belong together do not */
	DV_ERROR_PROTOCOL,    /* a peer (QMP, gdb) answered with an error or out of order */
	DV_ERROR_TIMEOUT,
	DV_ERROR_CANCELLED,
	DV_ERROR_EXITED,      /* a child process ended when it should not have */
};

struct dv_error {
	enum dv_error_code code;
	int os_errno; /* of DV_ERROR_OS, else 0 */
	char *message; /* no trailing newline or full stop */
};

/* NULL-safe. The out-of-memory error is static: destroying it is a no-op. */
void dv_error_destroy(struct dv_error *err);
DV_DEFINE_CLEANUP(struct dv_error, dv_error_destroy);
#define _cleanup_error_ _cleanup_(dv_error_destroyp)

/* Makes an error. Never returns NULL: when memory is short it is the static out-of-memory error. */
struct dv_error *dv_error_new(enum dv_error_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

/* As dv_error_new(DV_ERROR_OS), with ": " and strerror(os_errno) appended. */
struct dv_error *dv_error_os(int os_errno, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

struct dv_error *dv_error_no_memory(void) __attribute__((returns_nonnull));

/* Puts "TEXT: " before the message of err, which it takes over and returns. NULL stays NULL. */
struct dv_error *dv_error_prefix(struct dv_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Returns from the calling function with the error, if there is one. */
#define DV_TRY(expr)                                \
	do {                                        \
		struct dv_error *try_err_ = (expr); \
		if (try_err_)                       \
			return try_err_;            \
	} while (0)

/*
 * Asserts are for bugs of our own, and stay on in release builds. Bytes from outside never trip one.
 */
#define dv_assert(cond)                                                       \
	do {                                                                  \
		if (__builtin_expect(!(cond), 0))                             \
			dv_assert_failed(#cond, __FILE__, __LINE__);          \
	} while (0)
void dv_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

#endif
