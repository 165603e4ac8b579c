/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU's eye on where code lies: functions of the kernel at whose entry an address space or the
 * modules change, and what is read there into events. Rare enough to allocate and read guest memory.
 *
 * Each executable mapping passes perf_event_mmap(). A fork's space is a copy of its parent's; a space
 * that was there before the plugin (a replay that starts from a snapshot) is walked when it first runs.
 */
#ifndef DV_PLUGIN_PLACES_H
#define DV_PLUGIN_PLACES_H

#include "base/map.h"
#include "callgraph/event.h"
#include "guest/pagecache.h"

enum dv_place_hook {
	DV_PLACE_NONE,
	DV_PLACE_MMAP,	  /* perf_event_mmap(vma) */
	DV_PLACE_MUNMAP,  /* __vm_munmap(start, len, ...) */
	DV_PLACE_EXIT,	  /* exit_mmap(mm) */
	DV_PLACE_FORK,	  /* wake_up_new_task(task) */
	DV_PLACE_EXEC,	  /* finalize_exec(bprm): the new program's stack is made */
	DV_PLACE_MODULE,  /* do_init_module(module) */
	DV_PLACE_UNLOAD,  /* free_module(module) */
	DV_PLACE_HOOKS,
};

struct dv_places {
	const struct dv_linux *linux_; /* NULL: nothing is followed */
	const struct dv_guest_memory *memory;
	bool has_mappings, has_modules, has_pagecache;
	struct dv_pagecache pagecache;
	struct dv_mappings_layout mappings;
	struct dv_modules_layout modules;
	uint64_t slide;
	uint64_t hooks[DV_PLACE_HOOKS]; /* runtime addresses; 0: none */
	/* Tracing starts in the middle of a recording: what is not known may have been told of by who came before. */
	bool is_continued;
	struct dv_map known; /* mm_structs that the events have told of */
	struct dv_module_list loaded;
	struct dv_map files; /* device and inode of those whose dynamic symbols were read */
};

/* linux_ may be NULL. What the kernel does not have is left out. */
void dv_places_init(struct dv_places *p, const struct dv_linux *linux_, const struct dv_guest_memory *memory);
void dv_places_found_slide(struct dv_places *p, uint64_t slide);

/* Modules that are there already, where tracing starts in the middle; no events. False when the kernel's memory
 * is not mapped now. */
bool dv_places_find_modules(struct dv_places *p);

/* The hook at a function's first instruction. */
enum dv_place_hook dv_places_hook(const struct dv_places *p, uint64_t vaddr);

/* What a hook's entry tells, with the kernel function's first two arguments and the running task; kind
 * is DV_EVENT_MAPPING, DV_EVENT_MODULE or DV_EVENT_COMMAND. NULL: nothing. */
void *dv_places_enter(struct dv_places *p, enum dv_place_hook hook, uint64_t task_vaddr,
		      const uint64_t arguments[2], enum dv_event_kind *ret_kind);

/* The address space of a task that is about to run, 0 for none. ret_event: what to say of it before the
 * switch (it is new), or NULL. */
uint64_t dv_places_switch(struct dv_places *p, const struct dv_task *next, struct dv_event_mapping **ret_event);

#endif
