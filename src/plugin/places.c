/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces and modules as they change: see places.h. */
#include "plugin/places.h"

#include <stdlib.h>
#include "symbols/dynamic.h"

/* A process with more executable mappings than this is followed by those that it makes later. */
#define MAX_WALKED 4096
#define MAX_MODULES 4096

static const char *const hook_symbols[DV_PLACE_HOOKS] = {
	[DV_PLACE_MMAP] = "perf_event_mmap",
	[DV_PLACE_MUNMAP] = "__vm_munmap",
	[DV_PLACE_EXIT] = "exit_mmap",
	[DV_PLACE_FORK] = "wake_up_new_task",
	[DV_PLACE_EXEC] = "finalize_exec",
	[DV_PLACE_MODULE] = "do_init_module",
	[DV_PLACE_UNLOAD] = "free_module",
};

static bool is_of_modules(enum dv_place_hook hook)
{
	return hook == DV_PLACE_MODULE || hook == DV_PLACE_UNLOAD;
}

void dv_places_init(struct dv_places *p, const struct dv_linux *linux_, const struct dv_guest_memory *memory)
{
	struct dv_error *err;

	*p = (struct dv_places){.linux_ = linux_, .memory = memory};
	if (!linux_)
		return;
	err = dv_mappings_init(&p->mappings, linux_->kernel);
	p->has_mappings = !err;
	dv_error_destroy(err);
	err = dv_pagecache_init(&p->pagecache, linux_->kernel);
	p->has_pagecache = !err;
	dv_error_destroy(err);
	err = dv_modules_init(&p->modules, linux_->kernel);
	p->has_modules = !err;
	dv_error_destroy(err);
}

void dv_places_found_slide(struct dv_places *p, uint64_t slide)
{
	p->slide = slide;
	for (enum dv_place_hook hook = DV_PLACE_NONE + 1; p->linux_ && hook < DV_PLACE_HOOKS; hook++) {
		const struct dv_symbol *symbol;

		if (!(is_of_modules(hook) ? p->has_modules : p->has_mappings))
			continue;
		symbol = dv_symtab_find(dv_kernel_symtab(p->linux_->kernel), hook_symbols[hook]);
		p->hooks[hook] = symbol ? symbol->vaddr + slide : 0;
	}
}

enum dv_place_hook dv_places_hook(const struct dv_places *p, uint64_t vaddr)
{
	for (enum dv_place_hook hook = DV_PLACE_NONE + 1; hook < DV_PLACE_HOOKS; hook++) {
		if (p->hooks[hook] == vaddr)
			return hook;
	}
	return DV_PLACE_NONE;
}

static struct dv_event_mapping *new_event(enum dv_mapping_change change, uint64_t mm_vaddr, size_t count)
{
	struct dv_event_mapping *e = calloc(1, sizeof(*e) + count * sizeof(e->mappings[0]));

	if (e) {
		e->change = change;
		e->mm_vaddr = mm_vaddr;
	}
	return e;
}

static bool read_tgid(struct dv_places *p, uint64_t task_vaddr, int32_t *ret)
{
	uint32_t tgid;

	if (!task_vaddr || !dv_guest_read_u32(p->memory, task_vaddr + p->linux_->tgid.offset_bytes, &tgid))
		return false;
	*ret = (int32_t)tgid;
	return true;
}

static void remember(struct dv_places *p, uint64_t mm_vaddr)
{
	uint64_t *place = dv_map_put(&p->known, mm_vaddr);

	if (place)
		*place = 1;
}

static bool is_known(struct dv_places *p, uint64_t mm_vaddr)
{
	return dv_map_get(&p->known, mm_vaddr) != NULL;
}

static bool may_be_known(struct dv_places *p, uint64_t mm_vaddr)
{
	return p->is_continued || is_known(p, mm_vaddr);
}

/* ---- spaces that are there already ---- */

struct walk {
	struct dv_places *places;
	struct dv_event_mapping *event; /* room for cap mappings */
	size_t cap;
};

static bool gather(void *context, uint64_t vma)
{
	struct walk *w = context;
	struct dv_mapping mapping;

	if (!dv_mappings_read(&w->places->mappings, w->places->memory, w->places->slide, vma, &mapping))
		return true;
	if (!mapping.executable) {
		dv_mapping_deinit(&mapping);
		return true;
	}
	if (w->event->count == w->cap) {
		size_t cap = w->cap * 2;
		void *larger = realloc(w->event, sizeof(*w->event) + cap * sizeof(mapping));

		if (!larger || cap > MAX_WALKED) {
			dv_mapping_deinit(&mapping);
			w->event = larger ? larger : w->event;
			return false;
		}
		w->event = larger;
		w->cap = cap;
	}
	w->event->mappings[w->event->count++] = mapping;
	return true;
}

static struct dv_event_mapping *walk(struct dv_places *p, uint64_t mm_vaddr)
{
	struct walk w = {.places = p, .cap = 16};

	w.event = new_event(DV_MAPPING_MAP, mm_vaddr, w.cap);
	if (w.event)
		dv_mappings_walk(&p->mappings, p->memory, mm_vaddr, gather, &w);
	return w.event;
}

uint64_t dv_places_switch(struct dv_places *p, const struct dv_task *next, struct dv_event_mapping **ret_event)
{
	uint64_t mm;

	*ret_event = NULL;
	if (!p->has_mappings || next->is_kernel ||
	    !dv_mappings_read_mm(&p->mappings, p->memory, next->vaddr, &mm) || !mm)
		return 0;
	if (!is_known(p, mm)) {
		*ret_event = walk(p, mm);
		if (*ret_event) {
			(*ret_event)->is_walk = true;
			(*ret_event)->tgid = next->tgid;
			remember(p, mm);
		}
	}
	return mm;
}

/* ---- hooks ---- */

struct mapped_file {
	struct dv_places *places;
	uint64_t vaddr;
};

static bool read_mapped_file(void *context, uint64_t offset, void *to, size_t len)
{
	const struct mapped_file *file = context;

	return dv_pagecache_read(&file->places->pagecache, file->places->memory, file->places->slide, file->vaddr,
				 offset, to, len);
}

/* For a file that is in no place where the host could look: its dynamic symbols, once, as soon as the guest
 * has them in memory. */
static void read_dynamic(struct dv_places *p, struct dv_mapping *m)
{
	struct mapped_file file = {p, m->file_vaddr};
	uint64_t *known;

	if (!p->has_pagecache || !m->file_vaddr)
		return;
	known = dv_map_put(&p->files, dv_mapping_file_key(m));
	if (known && !*known)
		*known = dv_dynamic_read(read_mapped_file, &file, &m->dynamic);
}

static struct dv_event_mapping *on_mmap(struct dv_places *p, uint64_t task, uint64_t vma)
{
	struct dv_event_mapping *e;
	struct dv_mapping mapping;
	uint64_t mm = 0;

	if (!dv_mappings_read(&p->mappings, p->memory, p->slide, vma, &mapping))
		return NULL;
	e = mapping.executable ? new_event(DV_MAPPING_MAP, mapping.mm_vaddr, 1) : NULL;
	if (!e) {
		dv_mapping_deinit(&mapping);
		return NULL;
	}
	read_dynamic(p, &mapping);
	e->mappings[e->count++] = mapping;
	if (task && dv_mappings_read_mm(&p->mappings, p->memory, task, &mm) && mm == mapping.mm_vaddr)
		e->is_current = read_tgid(p, task, &e->tgid);
	remember(p, mapping.mm_vaddr);
	return e;
}

static struct dv_event_mapping *on_munmap(struct dv_places *p, uint64_t task, uint64_t start, uint64_t len)
{
	struct dv_event_mapping *e;
	uint64_t mm;

	if (!task || !dv_mappings_read_mm(&p->mappings, p->memory, task, &mm) || !mm || !may_be_known(p, mm))
		return NULL;
	e = new_event(DV_MAPPING_UNMAP, mm, 0);
	if (!e)
		return NULL;
	e->start_vaddr = start;
	if (__builtin_add_overflow(start, (len + 0xfff) & ~0xfffull, &e->end_vaddr))
		e->end_vaddr = UINT64_MAX;
	return e;
}

static struct dv_event_mapping *on_exit_mmap(struct dv_places *p, uint64_t mm)
{
	bool was_known = may_be_known(p, mm);

	dv_map_remove(&p->known, mm);
	return was_known ? new_event(DV_MAPPING_DROP, mm, 0) : NULL;
}

/* A thread shares its creator's space, and so does what vfork made; fork copies it. */
static struct dv_event_mapping *on_fork(struct dv_places *p, uint64_t task, uint64_t child)
{
	struct dv_event_mapping *e;
	uint64_t mm, child_mm;
	int32_t tgid, child_tgid;

	if (!task || !dv_mappings_read_mm(&p->mappings, p->memory, task, &mm) ||
	    !dv_mappings_read_mm(&p->mappings, p->memory, child, &child_mm) || !mm || !child_mm ||
	    !may_be_known(p, mm) || !read_tgid(p, task, &tgid) || !read_tgid(p, child, &child_tgid) ||
	    tgid == child_tgid)
		return NULL;
	if (child_mm == mm) {
		e = new_event(DV_MAPPING_USE, mm, 0);
	} else {
		e = new_event(DV_MAPPING_COPY, child_mm, 0);
		/* Else it is walked when it first runs: in vain, if the parent is known after all. */
		if (is_known(p, mm))
			remember(p, child_mm);
	}
	if (e) {
		e->from_mm_vaddr = mm;
		e->tgid = child_tgid;
	}
	return e;
}

static struct dv_event_command *on_exec(struct dv_places *p, uint64_t task)
{
	struct dv_event_command *e;
	uint64_t mm;

	if (!task || !dv_mappings_read_mm(&p->mappings, p->memory, task, &mm) || !mm)
		return NULL;
	e = malloc(sizeof(*e) + DV_COMMAND_MAX_BYTES);
	if (!e)
		return NULL;
	e->len = (uint32_t)dv_mappings_read_command(&p->mappings, p->memory, mm, e->text, DV_COMMAND_MAX_BYTES);
	if (!e->len) {
		free(e);
		return NULL;
	}
	return e;
}

static struct dv_event_module *on_module(struct dv_places *p, uint64_t vaddr, bool is_gone)
{
	struct dv_event_module *e = calloc(1, sizeof(*e));
	struct dv_error *err = NULL;
	struct dv_module module;

	if (!e)
		return NULL;
	e->is_gone = is_gone;
	e->module_vaddr = vaddr;
	if (is_gone) {
		dv_module_list_remove(&p->loaded, vaddr);
		return e;
	}
	if (dv_modules_read(&p->modules, p->memory, vaddr, &module)) {
		err = dv_module_code_create(&module, &e->code);
		dv_module_deinit(&module);
	}
	dv_error_destroy(err);
	if (!e->code || !dv_module_list_add(&p->loaded, e->code)) {
		dv_event_module_destroy(e);
		return NULL;
	}
	return e;
}

bool dv_places_find_modules(struct dv_places *p)
{
	const struct dv_symbol *symbol = p->has_modules ? dv_symtab_find(dv_kernel_symtab(p->linux_->kernel), "modules") : NULL;
	uint64_t list = symbol ? symbol->vaddr + p->slide : 0, at;

	if (!list)
		return true;
	if (!dv_guest_read_u64(p->memory, list, &at))
		return false;
	for (unsigned i = 0; at != list && i < MAX_MODULES; i++) {
		struct dv_event_module *e = on_module(p, at - p->modules.list.offset_bytes, false);

		dv_event_module_destroy(e);
		if (!dv_guest_read_u64(p->memory, at, &at))
			break;
	}
	return true;
}

void *dv_places_enter(struct dv_places *p, enum dv_place_hook hook, uint64_t task, const uint64_t arguments[2],
		      enum dv_event_kind *ret_kind)
{
	*ret_kind = is_of_modules(hook)    ? DV_EVENT_MODULE :
		    hook == DV_PLACE_EXEC ? DV_EVENT_COMMAND :
					     DV_EVENT_MAPPING;
	switch (hook) {
	case DV_PLACE_MMAP:
		return on_mmap(p, task, arguments[0]);
	case DV_PLACE_MUNMAP:
		return on_munmap(p, task, arguments[0], arguments[1]);
	case DV_PLACE_EXIT:
		return on_exit_mmap(p, arguments[0]);
	case DV_PLACE_FORK:
		return on_fork(p, task, arguments[0]);
	case DV_PLACE_EXEC:
		return on_exec(p, task);
	case DV_PLACE_MODULE:
	case DV_PLACE_UNLOAD:
		return on_module(p, arguments[0], hook == DV_PLACE_UNLOAD);
	default:
		return NULL;
	}
}
