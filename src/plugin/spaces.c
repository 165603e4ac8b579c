/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces by their mm_struct: see spaces.h. */
#include "plugin/spaces.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/vec.h"

/* More mappings than the kernel gives a process (vm.max_map_count) are not kept. */
#define MAX_RANGES 65536

struct range {
	uint64_t start, end; /* end exclusive */
	uint64_t offset_bytes;
	uint32_t file_id; /* 0: in no file */
};

struct space {
	struct dv_space is; /* first: what the machine is given */
	uint32_t id;
	struct range *ranges; /* sorted, none overlap */
	size_t len, cap;
	struct space *next_free;
};

struct dv_spaces {
	struct dv_user_files *files;
	struct dv_map by_mm;   /* -> struct space * */
	struct dv_map by_tgid; /* -> id of its space */
	struct space *free;    /* a space that is gone stays in memory, since threads may still point to it */
	uint32_t last_id, last_generation;
};

struct dv_error *dv_spaces_create(struct dv_user_files *files, struct dv_spaces **ret)
{
	struct dv_spaces *s = calloc(1, sizeof(*s));

	if (!s)
		return dv_error_no_memory();
	s->files = files;
	*ret = s;
	return NULL;
}

static void free_space(struct space *space)
{
	free(space->ranges);
	free(space);
}

void dv_spaces_destroy(struct dv_spaces *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->by_mm.cap; i++) {
		if (s->by_mm.slots[i].used)
			free_space((struct space *)(uintptr_t)s->by_mm.slots[i].value);
	}
	while (s->free) {
		struct space *space = s->free;

		s->free = space->next_free;
		free_space(space);
	}
	dv_map_deinit(&s->by_mm);
	dv_map_deinit(&s->by_tgid);
	free(s);
}

static void changed(struct dv_spaces *s, struct space *space)
{
	space->is.generation = ++s->last_generation;
}

static struct space *find(const struct dv_spaces *s, uint64_t mm_vaddr)
{
	const uint64_t *place = dv_map_get(&s->by_mm, mm_vaddr);

	return place ? (struct space *)(uintptr_t)*place : NULL;
}

/* NULL when out of memory. */
static struct space *make(struct dv_spaces *s, uint64_t mm_vaddr)
{
	uint64_t *place = dv_map_put(&s->by_mm, mm_vaddr);
	struct space *space;

	if (!place)
		return NULL;
	if (*place)
		return (struct space *)(uintptr_t)*place;
	space = s->free;
	if (space)
		s->free = space->next_free;
	else
		space = calloc(1, sizeof(*space));
	if (!space) {
		dv_map_remove(&s->by_mm, mm_vaddr);
		return NULL;
	}
	space->id = ++s->last_id;
	space->len = 0;
	changed(s, space);
	*place = (uintptr_t)space;
	return space;
}

/* Index of the first range that ends behind vaddr. */
static size_t lower_bound(const struct space *space, uint64_t vaddr)
{
	size_t low = 0, high = space->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->ranges[middle].end <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool insert(struct space *space, size_t at, const struct range *range)
{
	if (space->len >= MAX_RANGES || !DV_VEC_ROOM(space->ranges, space->len, space->cap))
		return false;
	memmove(space->ranges + at + 1, space->ranges + at, (space->len - at) * sizeof(*range));
	space->ranges[at] = *range;
	space->len++;
	return true;
}

/* Takes [start, end) out; true when something was there. */
static bool cut(struct space *space, uint64_t start, uint64_t end)
{
	size_t at = lower_bound(space, start);
	bool found = false;

	while (at < space->len && space->ranges[at].start < end) {
		struct range old = space->ranges[at], right = old;

		found = true;
		space->len--;
		memmove(space->ranges + at, space->ranges + at + 1, (space->len - at) * sizeof(old));
		if (old.start < start) {
			old.end = start;
			insert(space, at++, &old);
		}
		if (right.end > end) {
			right.offset_bytes += end - right.start;
			right.start = end;
			insert(space, at++, &right);
		}
	}
	return found;
}

/* ---- the trace ---- */

static void tell(struct dv_trace_writer *writer, const struct dv_trace_mapping_change *change)
{
	if (writer)
		dv_trace_writer_mapping(writer, change);
}

/* The process has this space; said when it had another one. */
static void use(struct dv_spaces *s, uint64_t icount, const struct space *space, int32_t tgid,
		struct dv_trace_writer *writer)
{
	uint64_t *id = dv_map_put(&s->by_tgid, (uint32_t)tgid);

	if (!id || *id == space->id)
		return;
	*id = space->id;
	tell(writer, &(struct dv_trace_mapping_change){
			     .change = DV_MAPPING_USE, .icount = icount, .space = space->id, .tgid = tgid});
}

static void map_one(struct dv_spaces *s, uint64_t icount, struct space *space, const struct dv_mapping *m,
		    struct dv_trace_writer *writer)
{
	struct range range = {m->start_vaddr, m->end_vaddr, m->offset_bytes, 0};
	size_t at = lower_bound(space, m->start_vaddr);

	range.file_id = dv_user_files_id(s->files, m, writer);
	/* Said again, as mprotect does: nothing is new. */
	if (at < space->len && !memcmp(&space->ranges[at].start, &range.start, 3 * sizeof(uint64_t)) &&
	    space->ranges[at].file_id == range.file_id)
		return;
	cut(space, range.start, range.end);
	insert(space, lower_bound(space, range.start), &range);
	changed(s, space);
	tell(writer, &(struct dv_trace_mapping_change){
			     .change = DV_MAPPING_MAP,
			     .icount = icount,
			     .space = space->id,
			     .start_vaddr = range.start,
			     .end_vaddr = range.end,
			     .offset_bytes = range.offset_bytes,
			     .file_id = range.file_id,
		     });
}

static void map(struct dv_spaces *s, uint64_t icount, const struct dv_event_mapping *e,
		struct dv_trace_writer *writer)
{
	struct space *space;

	/* Whoever started in the middle walks spaces that were told of before. */
	if (e->is_walk && find(s, e->mm_vaddr))
		return;
	space = make(s, e->mm_vaddr);
	if (!space)
		return;
	if (e->tgid)
		use(s, icount, space, e->tgid, writer);
	for (size_t i = 0; i < e->count; i++)
		map_one(s, icount, space, &e->mappings[i], writer);
}

static void unmap(struct dv_spaces *s, uint64_t icount, const struct dv_event_mapping *e,
		  struct dv_trace_writer *writer)
{
	struct space *space = find(s, e->mm_vaddr);

	if (!space || !cut(space, e->start_vaddr, e->end_vaddr))
		return;
	changed(s, space);
	tell(writer, &(struct dv_trace_mapping_change){
			     .change = DV_MAPPING_UNMAP,
			     .icount = icount,
			     .space = space->id,
			     .start_vaddr = e->start_vaddr,
			     .end_vaddr = e->end_vaddr,
		     });
}

static void drop(struct dv_spaces *s, uint64_t icount, uint64_t mm_vaddr, struct dv_trace_writer *writer)
{
	struct space *space = find(s, mm_vaddr);

	if (!space)
		return;
	tell(writer, &(struct dv_trace_mapping_change){
			     .change = DV_MAPPING_DROP, .icount = icount, .space = space->id});
	dv_map_remove(&s->by_mm, mm_vaddr);
	changed(s, space);
	space->len = 0;
	space->next_free = s->free;
	s->free = space;
}

static void copy(struct dv_spaces *s, uint64_t icount, const struct dv_event_mapping *e,
		 struct dv_trace_writer *writer)
{
	struct space *from = find(s, e->from_mm_vaddr), *space;

	if (!from)
		return;
	drop(s, icount, e->mm_vaddr, writer); /* whose end was not seen */
	space = make(s, e->mm_vaddr);
	if (!space)
		return;
	for (size_t i = 0; i < from->len; i++)
		insert(space, i, &from->ranges[i]);
	tell(writer, &(struct dv_trace_mapping_change){
			     .change = DV_MAPPING_COPY,
			     .icount = icount,
			     .space = space->id,
			     .from_space = from->id,
		     });
	use(s, icount, space, e->tgid, writer);
}

void dv_spaces_apply(struct dv_spaces *s, uint64_t icount, const struct dv_event_mapping *e,
		     struct dv_trace_writer *writer)
{
	struct space *space;

	switch (e->change) {
	case DV_MAPPING_MAP:
		map(s, icount, e, writer);
		break;
	case DV_MAPPING_UNMAP:
		unmap(s, icount, e, writer);
		break;
	case DV_MAPPING_COPY:
		copy(s, icount, e, writer);
		break;
	case DV_MAPPING_DROP:
		drop(s, icount, e->mm_vaddr, writer);
		break;
	case DV_MAPPING_USE:
		space = find(s, e->mm_vaddr);
		if (space)
			use(s, icount, space, e->tgid, writer);
		break;
	}
}

const struct dv_space *dv_spaces_find(const struct dv_spaces *s, uint64_t mm_vaddr)
{
	const struct space *space = find(s, mm_vaddr);

	return space ? &space->is : NULL;
}

uint64_t dv_spaces_key(const struct dv_space *is, uint64_t vaddr)
{
	const struct space *space = (const struct space *)(const void *)is;
	size_t at = lower_bound(space, vaddr);
	const struct range *r;

	if (at == space->len || vaddr < space->ranges[at].start)
		return vaddr;
	r = &space->ranges[at];
	if (!r->file_id)
		return DV_ANON_KEY | vaddr;
	return dv_file_key(r->file_id, r->offset_bytes + (vaddr - r->start));
}
