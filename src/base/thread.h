/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread beside those that take signals. */
#ifndef DV_BASE_THREAD_H
#define DV_BASE_THREAD_H

#include <pthread.h>
#include "base/error.h"

/*
 * Starts a thread that is never the one to get a signal: those are the program's, or QEMU's. name, of at most 15
 * characters, is for ps and top; NULL: the program's. Errors: DV_ERROR_OS; *ret is untouched then.
 */
struct dv_error *dv_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *context);

#endif
