/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every harness defines: libFuzzer calls it, and driver.c does for the corpus. */
#ifndef DV_TESTS_FUZZ_H
#define DV_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Must return 0, free all it takes, and not depend on earlier calls. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
