/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings as they change, and the rows that a reader is given: see places.h. The changes are of address
 * spaces; a process has one from its fork or exec on, and with vfork two processes have the same one.
 */
#include "trace/places.h"

#include "trace/fields.h"

/* A space that is copied again and again by a file that was made so: rows are not endless. */
#define MAX_ROWS (4u << 20)

void places_put_file(struct dv_buf *buf, const struct dv_trace_mapped_file *file)
{
	size_t message = proto_open(buf, BLOCK_MAPPED_FILE);

	proto_uint(buf, MAPPED_FILE_ID, file->id);
	proto_string(buf, MAPPED_FILE_PATH, file->path);
	proto_string(buf, MAPPED_FILE_BUILD_ID, file->build_id);
	if (file->device)
		proto_uint(buf, MAPPED_FILE_DEVICE, file->device);
	if (file->inode)
		proto_uint(buf, MAPPED_FILE_INODE, file->inode);
	proto_close(buf, message);
}

static void put_if(struct dv_buf *buf, uint32_t field, uint64_t value)
{
	if (value)
		proto_uint(buf, field, value);
}

void places_put_mapping(struct dv_buf *buf, const struct dv_trace_mapping_change *c)
{
	size_t message = proto_open(buf, BLOCK_MAPPING);

	put_if(buf, MAPPING_CHANGE, c->change);
	proto_uint(buf, MAPPING_ICOUNT, c->icount);
	proto_uint(buf, MAPPING_SPACE, c->space);
	if (c->change == DV_MAPPING_MAP || c->change == DV_MAPPING_UNMAP) {
		proto_uint(buf, MAPPING_START, c->start_vaddr);
		proto_uint(buf, MAPPING_BYTES, c->end_vaddr - c->start_vaddr);
		put_if(buf, MAPPING_OFFSET, c->offset_bytes);
		put_if(buf, MAPPING_FILE, c->file_id);
	}
	put_if(buf, MAPPING_FROM_SPACE, c->from_space);
	put_if(buf, MAPPING_TGID, (uint64_t)(uint32_t)c->tgid);
	proto_close(buf, message);
}

void places_put_module(struct dv_buf *buf, const struct dv_trace_module_change *c)
{
	size_t message = proto_open(buf, BLOCK_MODULE);

	proto_uint(buf, MODULE_ICOUNT, c->icount);
	proto_string(buf, MODULE_NAME, c->name);
	proto_fixed64(buf, MODULE_BASE, c->base_vaddr);
	put_if(buf, MODULE_BYTES, c->size_bytes);
	if (c->init_vaddr)
		proto_fixed64(buf, MODULE_INIT_BASE, c->init_vaddr);
	put_if(buf, MODULE_INIT_BYTES, c->init_size_bytes);
	proto_string(buf, MODULE_BUILD_ID, c->build_id);
	put_if(buf, MODULE_IS_GONE, c->is_gone);
	proto_close(buf, message);
}

/* Reading */

/* A range of a space while it lasts; it becomes a row for each process that has the space. */
struct range {
	uint64_t from_icount, to_icount;
	uint64_t start_vaddr, end_vaddr, offset_bytes;
	uint32_t space, file_id;
};

struct use {
	uint64_t from_icount, to_icount;
	uint32_t space;
	int32_t tgid;
};

struct places {
	DV_VEC(struct dv_trace_mapped_file) files;
	struct dv_map by_id; /* file's id -> index, plus 1 */
	DV_VEC(struct dv_trace_mapping_change) changes;
	DV_VEC(struct dv_trace_module) modules;
	DV_VEC(struct dv_trace_mapping) mappings;
	bool has_mappings; /* worked out */
};

void places_deinit(struct places *p)
{
	if (!p)
		return;
	free(p->files.v);
	free(p->changes.v);
	free(p->modules.v);
	free(p->mappings.v);
	dv_map_deinit(&p->by_id);
	free(p);
}

bool places_is_field(uint32_t field)
{
	return field == BLOCK_MAPPED_FILE || field == BLOCK_MAPPING || field == BLOCK_MODULE;
}

static struct dv_error *take_string(struct dv_trace_reader *r, const struct proto_field *f, const char **ret)
{
	*ret = reader_string(r, f->data, f->len);
	return *ret ? NULL : dv_error_no_memory();
}

static struct dv_error *parse_file(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_mapped_file file = {.path = ""};
	struct places *p = r->places;
	struct proto_field f;
	uint64_t *known;

	while (proto_next(&c, &f)) {
		if (f.number == MAPPED_FILE_ID)
			file.id = (uint32_t)f.value;
		else if (f.number == MAPPED_FILE_PATH)
			DV_TRY(take_string(r, &f, &file.path));
		else if (f.number == MAPPED_FILE_BUILD_ID)
			DV_TRY(take_string(r, &f, &file.build_id));
		else if (f.number == MAPPED_FILE_DEVICE)
			file.device = f.value;
		else if (f.number == MAPPED_FILE_INODE)
			file.inode = f.value;
	}
	known = dv_map_put(&p->by_id, file.id);
	if (!known || (!*known && !dv_vec_push(&p->files)))
		return dv_error_no_memory();
	if (!*known)
		*known = p->files.n;
	p->files.v[*known - 1] = file;
	return NULL;
}

static struct dv_error *parse_mapping(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_mapping_change change = {0}, *slot;
	uint64_t bytes = 0;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case MAPPING_CHANGE:
			change.change = (enum dv_mapping_change)f.value;
			break;
		case MAPPING_ICOUNT:
			change.icount = f.value;
			break;
		case MAPPING_SPACE:
			change.space = (uint32_t)f.value;
			break;
		case MAPPING_START:
			change.start_vaddr = f.value;
			break;
		case MAPPING_BYTES:
			bytes = f.value;
			break;
		case MAPPING_OFFSET:
			change.offset_bytes = f.value;
			break;
		case MAPPING_FILE:
			change.file_id = (uint32_t)f.value;
			break;
		case MAPPING_FROM_SPACE:
			change.from_space = (uint32_t)f.value;
			break;
		case MAPPING_TGID:
			change.tgid = (int32_t)f.value;
			break;
		}
	}
	if (__builtin_add_overflow(change.start_vaddr, bytes, &change.end_vaddr))
		change.end_vaddr = UINT64_MAX;
	slot = dv_vec_push(&r->places->changes);
	if (!slot)
		return dv_error_no_memory();
	*slot = change;
	return NULL;
}

static void module_is_gone(struct places *p, const struct dv_trace_module *gone)
{
	for (size_t i = p->modules.n; i-- > 0;) {
		struct dv_trace_module *m = &p->modules.v[i];

		if (m->base_vaddr == gone->base_vaddr && m->to_icount == UINT64_MAX && !strcmp(m->name, gone->name)) {
			m->to_icount = gone->from_icount;
			return;
		}
	}
}

static struct dv_error *parse_module(struct dv_trace_reader *r, struct dv_cursor c)
{
	struct dv_trace_module module = {.to_icount = UINT64_MAX, .name = ""}, *slot;
	struct proto_field f;
	bool is_gone = false;

	while (proto_next(&c, &f)) {
		switch (f.number) {
		case MODULE_ICOUNT:
			module.from_icount = f.value;
			break;
		case MODULE_NAME:
			DV_TRY(take_string(r, &f, &module.name));
			break;
		case MODULE_BASE:
			module.base_vaddr = f.value;
			break;
		case MODULE_BYTES:
			module.size_bytes = f.value;
			break;
		case MODULE_INIT_BASE:
			module.init_vaddr = f.value;
			break;
		case MODULE_INIT_BYTES:
			module.init_size_bytes = f.value;
			break;
		case MODULE_BUILD_ID:
			DV_TRY(take_string(r, &f, &module.build_id));
			break;
		case MODULE_IS_GONE:
			is_gone = f.value;
			break;
		}
	}
	if (is_gone) {
		module_is_gone(r->places, &module);
		return NULL;
	}
	slot = dv_vec_push(&r->places->modules);
	if (!slot)
		return dv_error_no_memory();
	*slot = module;
	return NULL;
}

struct dv_error *places_parse(struct dv_trace_reader *r, const struct proto_field *f)
{
	if (!r->places)
		r->places = calloc(1, sizeof(*r->places));
	if (!r->places)
		return dv_error_no_memory();
	if (f->number == BLOCK_MAPPED_FILE)
		return parse_file(r, proto_message(f));
	if (f->number == BLOCK_MAPPING)
		return parse_mapping(r, proto_message(f));
	return parse_module(r, proto_message(f));
}

/* Rows: the changes replayed. */

/* A space's ranges: all that there were, and those that last. */
struct replayed_space {
	DV_VEC(size_t) all, live;
};

struct replay {
	DV_VEC(struct range) ranges;
	DV_VEC(struct use) uses;
	DV_VEC(struct replayed_space) spaces;
	struct dv_map by_space, by_tgid; /* -> index of the space; of the newest use; plus 1 */
};

static void replay_deinit(struct replay *replay)
{
	for (size_t i = 0; i < replay->spaces.n; i++) {
		free(replay->spaces.v[i].all.v);
		free(replay->spaces.v[i].live.v);
	}
	free(replay->spaces.v);
	free(replay->ranges.v);
	free(replay->uses.v);
	dv_map_deinit(&replay->by_space);
	dv_map_deinit(&replay->by_tgid);
}

/* Index of the space, or SIZE_MAX when out of memory. */
static size_t space_index(struct replay *replay, uint32_t space)
{
	uint64_t *known = dv_map_put(&replay->by_space, space);

	if (!known || (!*known && !dv_vec_push(&replay->spaces)))
		return SIZE_MAX;
	if (!*known)
		*known = replay->spaces.n;
	return *known - 1;
}

static struct dv_error *add_range(struct replay *replay, const struct range *range)
{
	size_t index = space_index(replay, range->space), *all, *live;
	struct range *slot;

	if (replay->ranges.n >= MAX_ROWS)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %u mappings", MAX_ROWS);
	slot = dv_vec_push(&replay->ranges);
	if (!slot || index == SIZE_MAX)
		return dv_error_no_memory();
	*slot = *range;
	slot->to_icount = UINT64_MAX;
	all = dv_vec_push(&replay->spaces.v[index].all);
	live = dv_vec_push(&replay->spaces.v[index].live);
	if (!all || !live)
		return dv_error_no_memory();
	*all = *live = replay->ranges.n - 1;
	return NULL;
}

/* Takes [start, end) out of what lasts in a space; of a range that it cuts, the rest goes on. */
static struct dv_error *unmap(struct replay *replay, uint32_t space, uint64_t start, uint64_t end, uint64_t icount)
{
	size_t index = space_index(replay, space);

	if (index == SIZE_MAX)
		return dv_error_no_memory();
	for (size_t i = 0; i < replay->spaces.v[index].live.n;) {
		struct replayed_space *s = &replay->spaces.v[index];
		struct range *old = &replay->ranges.v[s->live.v[i]], part = *old;

		if (old->end_vaddr <= start || old->start_vaddr >= end) {
			i++;
			continue;
		}
		old->to_icount = icount;
		s->live.v[i] = s->live.v[--s->live.n];
		part.from_icount = icount;
		if (part.start_vaddr < start) {
			struct range left = part;

			left.end_vaddr = start;
			DV_TRY(add_range(replay, &left));
		}
		if (part.end_vaddr > end) {
			part.offset_bytes += end - part.start_vaddr;
			part.start_vaddr = end;
			DV_TRY(add_range(replay, &part));
		}
	}
	return NULL;
}

static struct dv_error *copy_space(struct replay *replay, const struct dv_trace_mapping_change *c)
{
	size_t from = space_index(replay, c->from_space);

	if (from == SIZE_MAX)
		return dv_error_no_memory();
	if (c->from_space == c->space)
		return NULL;
	for (size_t i = 0; i < replay->spaces.v[from].live.n; i++) {
		struct range copy = replay->ranges.v[replay->spaces.v[from].live.v[i]];

		copy.space = c->space;
		copy.from_icount = c->icount;
		DV_TRY(add_range(replay, &copy));
	}
	return NULL;
}

static struct dv_error *use_space(struct replay *replay, const struct dv_trace_mapping_change *c)
{
	uint64_t *newest = dv_map_put(&replay->by_tgid, (uint32_t)c->tgid);
	struct use *use = newest ? dv_vec_push(&replay->uses) : NULL;

	if (!use)
		return dv_error_no_memory();
	if (*newest && replay->uses.v[*newest - 1].to_icount == UINT64_MAX)
		replay->uses.v[*newest - 1].to_icount = c->icount;
	*use = (struct use){c->icount, UINT64_MAX, c->space, c->tgid};
	*newest = replay->uses.n;
	return NULL;
}

static struct dv_error *replay_one(struct replay *replay, const struct dv_trace_mapping_change *c)
{
	switch (c->change) {
	case DV_MAPPING_MAP:
		DV_TRY(unmap(replay, c->space, c->start_vaddr, c->end_vaddr, c->icount));
		return add_range(replay, &(struct range){
						 .from_icount = c->icount,
						 .start_vaddr = c->start_vaddr,
						 .end_vaddr = c->end_vaddr,
						 .offset_bytes = c->offset_bytes,
						 .space = c->space,
						 .file_id = c->file_id,
					 });
	case DV_MAPPING_UNMAP:
		return unmap(replay, c->space, c->start_vaddr, c->end_vaddr, c->icount);
	case DV_MAPPING_COPY:
		return copy_space(replay, c);
	case DV_MAPPING_DROP:
		return unmap(replay, c->space, 0, UINT64_MAX, c->icount);
	case DV_MAPPING_USE:
		return use_space(replay, c);
	}
	return NULL; /* of a later version */
}

static struct dv_error *add_rows(struct places *p, struct replay *replay, const struct use *use)
{
	size_t index = space_index(replay, use->space);

	if (index == SIZE_MAX)
		return dv_error_no_memory();
	for (size_t i = 0; i < replay->spaces.v[index].all.n; i++) {
		const struct range *range = &replay->ranges.v[replay->spaces.v[index].all.v[i]];
		uint64_t from = range->from_icount > use->from_icount ? range->from_icount : use->from_icount;
		uint64_t to = range->to_icount < use->to_icount ? range->to_icount : use->to_icount;
		const uint64_t *file = dv_map_get(&p->by_id, range->file_id);
		struct dv_trace_mapping *row;

		if (from >= to)
			continue;
		if (p->mappings.n >= MAX_ROWS)
			return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %u mappings", MAX_ROWS);
		row = dv_vec_push(&p->mappings);
		if (!row)
			return dv_error_no_memory();
		*row = (struct dv_trace_mapping){
			.from_icount = from,
			.to_icount = to,
			.tgid = use->tgid,
			.space = use->space,
			.start_vaddr = range->start_vaddr,
			.end_vaddr = range->end_vaddr,
			.offset_bytes = range->offset_bytes,
			.file = file && *file ? &p->files.v[*file - 1] : NULL,
		};
	}
	return NULL;
}

static int by_time(const void *va, const void *vb)
{
	const struct dv_trace_mapping *a = va, *b = vb;

	if (a->from_icount != b->from_icount)
		return a->from_icount < b->from_icount ? -1 : 1;
	if (a->tgid != b->tgid)
		return a->tgid < b->tgid ? -1 : 1;
	return a->start_vaddr < b->start_vaddr ? -1 : a->start_vaddr > b->start_vaddr;
}

static struct dv_error *work_out_rows(struct places *p)
{
	_cleanup_(replay_deinit) struct replay replay = {0};

	for (size_t i = 0; i < p->changes.n; i++)
		DV_TRY(replay_one(&replay, &p->changes.v[i]));
	for (size_t i = 0; i < replay.uses.n; i++)
		DV_TRY(add_rows(p, &replay, &replay.uses.v[i]));
	if (p->mappings.n)
		qsort(p->mappings.v, p->mappings.n, sizeof(*p->mappings.v), by_time);
	p->has_mappings = true;
	return NULL;
}

struct dv_error *dv_trace_reader_mappings(struct dv_trace_reader *r, const struct dv_trace_mapping **ret,
					  size_t *ret_count)
{
	struct places *p = r->places;

	if (p && !p->has_mappings) {
		p->mappings.n = 0;
		DV_TRY(dv_error_prefix(work_out_rows(p), "%s", r->name));
	}
	*ret = p ? p->mappings.v : NULL;
	*ret_count = p ? p->mappings.n : 0;
	return NULL;
}

struct dv_error *dv_trace_reader_modules(struct dv_trace_reader *r, const struct dv_trace_module **ret,
					 size_t *ret_count)
{
	*ret = r->places ? r->places->modules.v : NULL;
	*ret_count = r->places ? r->places->modules.n : 0;
	return NULL;
}

const struct dv_trace_mapped_file *dv_trace_reader_mapped_file(const struct dv_trace_reader *r, uint32_t id)
{
	const uint64_t *known = r->places ? dv_map_get(&r->places->by_id, id) : NULL;

	return known && *known ? &r->places->files.v[*known - 1] : NULL;
}

bool dv_trace_reader_entry_vaddr(struct dv_trace_reader *r, uint32_t function, uint64_t thread_id,
				 uint64_t icount, uint64_t *ret)
{
	const struct dv_trace_reader_function *f = dv_trace_reader_function(r, function);
	const struct dv_trace_thread *thread = dv_trace_reader_thread(r, thread_id);
	const uint64_t offset = dv_file_key_offset(f->key);
	const struct dv_trace_mapping *m = NULL;
	struct dv_error *err;
	size_t count = 0;

	if (!dv_is_file_key(f->key)) {
		*ret = f->is.vaddr;
		return true;
	}
	err = dv_trace_reader_mappings(r, &m, &count);
	dv_error_destroy(err);
	for (size_t i = 0; !err && thread && i < count; i++) {
		if (m[i].tgid != thread->tgid || !dv_trace_mapping_is_at(&m[i], icount) || !m[i].file ||
		    m[i].file->id != dv_file_key_id(f->key) || offset < m[i].offset_bytes ||
		    offset - m[i].offset_bytes >= m[i].end_vaddr - m[i].start_vaddr)
			continue;
		*ret = m[i].start_vaddr + (offset - m[i].offset_bytes);
		return true;
	}
	return false;
}
