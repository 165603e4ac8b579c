/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests: `TEST(name) { CHECK(...); }` in any file linked with runner.c. Each test runs in a child
 * process of its own and is reported as a line of TAP.
 */
#ifndef DV_TESTS_TEST_H
#define DV_TESTS_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"

struct dv_test {
	const char *name;
	void (*run)(void);
};

#define TEST(id)                                                                         \
	static void test_##id(void);                                                     \
	static const struct dv_test dv_test_##id = {#id, test_##id};                     \
	__attribute__((section("dv_tests"), used)) static const struct dv_test *const    \
		dv_test_ptr_##id = &dv_test_##id;                                        \
	static void test_##id(void)

/* Ends the running test as failed, with a message. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define CHECK(cond)                                                    \
	do {                                                           \
		if (!(cond))                                           \
			test_fail(__FILE__, __LINE__, "%s", #cond);    \
	} while (0)

#define CHECK_EQ(got, want)                                                              \
	do {                                                                             \
		long long got_ = (long long)(got), want_ = (long long)(want);            \
		if (got_ != want_)                                                       \
			test_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), not %lld (0x%llx)", \
				  #got, got_, got_, want_, want_);                       \
	} while (0)

#define CHECK_STR(got, want)                                                             \
	do {                                                                             \
		const char *got_ = (got), *want_ = (want);                               \
		if (!got_ || strcmp(got_, want_))                                        \
			test_fail(__FILE__, __LINE__, "%s is\n#   \"%s\", not\n#   \"%s\"", #got, \
				  got_ ? got_ : "(null)", want_);                        \
	} while (0)

/* The call succeeds. */
#define CHECK_OK(expr)                                                                   \
	do {                                                                             \
		struct dv_error *ok_err_ = (expr);                                       \
		if (ok_err_)                                                             \
			test_fail(__FILE__, __LINE__, "%s: %s", #expr, ok_err_->message); \
	} while (0)

/* The call fails with this code and exactly this message. */
#define CHECK_ERROR(expr, want_code, want_message)                                       \
	do {                                                                             \
		_cleanup_error_ struct dv_error *bad_err_ = (expr);                      \
		if (!bad_err_)                                                           \
			test_fail(__FILE__, __LINE__, "%s succeeded", #expr);            \
		CHECK_STR(bad_err_->message, want_message);                              \
		CHECK_EQ(bad_err_->code, want_code);                                     \
	} while (0)

/* A fresh directory for this test, removed when it ends. */
const char *test_dir(void);

#endif
