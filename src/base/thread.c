/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread with all signals blocked: see thread.h. */
#include "base/thread.h"

#include <signal.h>

struct dv_error *dv_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *context)
{
	sigset_t all, before;
	pthread_t thread;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return dv_error_os(failed, "cannot start a thread");
	if (name)
		pthread_setname_np(thread, name);
	*ret = thread;
	return NULL;
}
