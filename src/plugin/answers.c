/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which jumps need not be sent: see answers.h. */
#include "plugin/answers.h"

#include "plugin/user_jumps.h"

struct dv_error *dv_answers_init(struct dv_answers *a, const struct dv_arch *arch, const struct dv_kernel *kernel,
				 const struct dv_plugin_options *options, const char *initrd)
{
	a->names = (struct dv_names){.arch = arch, .kernel = kernel, .options = options};
	return dv_names_open_files(&a->names, initrd);
}

void dv_answers_deinit(struct dv_answers *a)
{
	dv_names_close(&a->names);
}

static void on_switch(struct dv_answers *a, const struct dv_event *e)
{
	const struct dv_event_switch *info = (const struct dv_event_switch *)(uintptr_t)e->a;

	a->current[dv_event_cpu(e)] = info->mm_vaddr ? dv_spaces_find(a->names.spaces, info->mm_vaddr) : NULL;
}

static void on_mapping(struct dv_answers *a, const struct dv_event *e)
{
	const struct dv_event_mapping *info = (const struct dv_event_mapping *)(uintptr_t)e->a;

	dv_spaces_apply(a->names.spaces, dv_event_icount(e), info, NULL);
	if (info->is_current)
		a->current[dv_event_cpu(e)] = dv_spaces_find(a->names.spaces, info->mm_vaddr);
}

static void on_site(struct dv_answers *a, const struct dv_event *e)
{
	const struct dv_space *space = a->current[dv_event_cpu(e)];
	unsigned flags = 0;
	uint64_t key;

	if (space)
		flags = dv_names_resolve_user(&a->names, space, e->a, &key);
	if (flags & DV_TARGET_NEVER)
		dv_user_jumps_settle(e->b);
	else if (!(flags & DV_TARGET_ENTRY))
		dv_user_jumps_ask_again(e->b);
}

void dv_answers_take(struct dv_answers *a, const struct dv_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		switch (dv_event_kind(&events[i])) {
		case DV_EVENT_SWITCH:
			on_switch(a, &events[i]);
			break;
		case DV_EVENT_MAPPING:
			on_mapping(a, &events[i]);
			break;
		case DV_EVENT_SITE:
			on_site(a, &events[i]);
			break;
		default:
			break;
		}
	}
}
