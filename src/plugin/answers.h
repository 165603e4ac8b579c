/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers for a segment's jumps (user_jumps.h): its events go to another process, whose answers would come too late.
 * So the mappings are followed here as well, for this alone.
 */
#ifndef DV_PLUGIN_ANSWERS_H
#define DV_PLUGIN_ANSWERS_H

#include "plugin/names.h"

struct dv_answers {
	struct dv_names names;
	const struct dv_space *current[DV_EVENT_MAX_CPUS]; /* NULL: a kernel thread's, or not known */
};

/* kernel and options are borrowed; initrd may be NULL. */
struct dv_error *dv_answers_init(struct dv_answers *a, const struct dv_arch *arch, const struct dv_kernel *kernel,
				 const struct dv_plugin_options *options, const char *initrd);
void dv_answers_deinit(struct dv_answers *a);

/* Takes all events, in their order, and answers those that ask. */
void dv_answers_take(struct dv_answers *a, const struct dv_event *events, size_t count);

#endif
