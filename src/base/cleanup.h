/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound cleanup: `_cleanup_free_ char *s = strdup(x);` frees s on every way out of the block.
 * `_cleanup_(fn)` calls fn with the variable's address; DV_DEFINE_CLEANUP makes such an fn from a
 * NULL-safe destructor. dv_steal() hands the value on and leaves NULL behind.
 */
#ifndef DV_BASE_CLEANUP_H
#define DV_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void dv_freep(void *p)
{
	free(*(void **)p);
}

static inline void dv_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void dv_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_free_ _cleanup_(dv_freep)
#define _cleanup_close_ _cleanup_(dv_closep)
#define _cleanup_fclose_ _cleanup_(dv_fclosep)

#define DV_DEFINE_CLEANUP(type, destroy)            \
	static inline void destroy##p(type **p)     \
	{                                           \
		if (*p)                             \
			destroy(*p);                \
	}                                           \
	struct dv_cleanup_##destroy##_semicolon

#define dv_steal(ptr)                         \
	({                                    \
		__typeof__(ptr) stolen = (ptr); \
		(ptr) = NULL;                 \
		stolen;                       \
	})

#define DV_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
