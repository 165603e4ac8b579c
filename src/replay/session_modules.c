/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel modules' debug information for a session's gdb: their files by build id or name, where packages or the
 * user put them, each written anew with the addresses that the kernel's loader gave to its code.
 *
 * gdb has the modules of the whole recording, so that breakpoints can be set in those that are not loaded yet. Where
 * two had the same place one after the other, it has the one that is there at the current moment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/io.h"
#include "replay/session_private.h"
#include "symbols/debugfiles.h"
#include "symbols/modulefile.h"
#include "symbols/packedfile.h"

struct session_module {
	const struct dv_trace_module *is; /* the reader's */
	char *path;			  /* of the file as it ran; NULL: there is none */
};

struct session_modules {
	struct session_module *items; /* as in the trace: in the order in which they were loaded */
	size_t count;
	char *complaint; /* a file that is there, and cannot be used */
};

void session_modules_destroy(struct session_modules *modules)
{
	if (!modules)
		return;
	for (size_t i = 0; i < modules->count; i++)
		free(modules->items[i].path);
	free(modules->items);
	free(modules->complaint);
	free(modules);
}

/* ---- files ---- */

/* "module-3-virtio_blk.ko" in the session's folder. */
static struct dv_error *take(struct dv_session *s, size_t index, const char *from, struct session_module *m)
{
	const struct dv_module_place place = {m->is->base_vaddr, m->is->size_bytes, m->is->init_vaddr,
					      m->is->init_size_bytes};
	const char *slash = strrchr(from, '/');
	_cleanup_free_ char *name = NULL, *path = NULL;

	slash = slash ? slash + 1 : from;
	if (asprintf(&name, "module-%zu-%.*s", index, (int)dv_packed_name_len(slash), slash) < 0)
		return dv_error_no_memory();
	path = dv_path_join(dv_timeline_run_dir(s->timeline), name);
	if (!path)
		return dv_error_no_memory();
	DV_TRY(dv_module_file_write(from, &place, path));
	m->path = dv_steal(path);
	return NULL;
}

/* One that cannot be used is as one that is not there, but said. */
static void find(struct dv_session *s, struct session_modules *modules, struct dv_debug_files *files, size_t index)
{
	struct session_module *m = &modules->items[index];
	_cleanup_free_ char *path = dv_debug_files_module(files, m->is->name, m->is->build_id);
	struct dv_error *err = path ? take(s, index, path, m) : NULL;

	if (err && !modules->complaint)
		modules->complaint = strdup(err->message);
	dv_error_destroy(err);
}

static struct dv_error *create(struct dv_session *s, struct session_modules **ret)
{
	_cleanup_(dv_debug_files_destroyp) struct dv_debug_files *files = NULL;
	struct dv_trace_reader *headers = dv_stacks_headers(s->stacks);
	const struct dv_trace_module *rows;
	struct session_modules *modules;
	size_t count;

	DV_TRY(dv_trace_reader_modules(headers, &rows, &count));
	DV_TRY(dv_debug_files_create(s->debug_info, dv_trace_reader_metadata(headers)->kernel_banner, &files));
	modules = calloc(1, sizeof(*modules));
	if (!modules || !(modules->items = calloc(count + 1, sizeof(*modules->items)))) {
		free(modules);
		return dv_error_no_memory();
	}
	modules->count = count;
	for (size_t i = 0; i < count; i++) {
		modules->items[i].is = &rows[i];
		find(s, modules, files, i);
	}
	*ret = modules;
	return NULL;
}

/* ---- answers ---- */

static bool is_in(uint64_t vaddr, uint64_t start, uint64_t bytes)
{
	return vaddr >= start && vaddr - start < bytes;
}

static bool overlap(const struct dv_trace_module *a, const struct dv_trace_module *b)
{
	return is_in(a->base_vaddr, b->base_vaddr, b->size_bytes) || is_in(b->base_vaddr, a->base_vaddr, a->size_bytes);
}

bool session_modules_have(const struct dv_session *s, uint64_t vaddr)
{
	for (size_t i = 0; s->modules && i < s->modules->count; i++) {
		const struct session_module *m = &s->modules->items[i];

		if (m->path && (is_in(vaddr, m->is->base_vaddr, m->is->size_bytes) ||
				is_in(vaddr, m->is->init_vaddr, m->is->init_size_bytes)))
			return true;
	}
	return false;
}

/* Of two that had one place, the one that is there now, else the later one. */
static bool is_hidden(const struct session_modules *modules, size_t index, uint64_t icount)
{
	const struct session_module *m = &modules->items[index];

	if (dv_trace_module_is_at(m->is, icount))
		return false;
	for (size_t i = 0; i < modules->count; i++) {
		const struct session_module *other = &modules->items[i];

		if (other != m && other->path && overlap(other->is, m->is) &&
		    (i > index || dv_trace_module_is_at(other->is, icount)))
			return true;
	}
	return false;
}

struct dv_error *session_modules_find(struct dv_session *s)
{
	return s->modules || !s->stacks ? NULL : create(s, &s->modules);
}

const char *session_modules_complaint(const struct dv_session *s)
{
	return s->modules ? s->modules->complaint : NULL;
}

json_t *session_modules_now(struct dv_session *s)
{
	struct dv_timeline_now now;
	json_t *rows;

	if (!s->modules)
		return json_null();
	rows = json_array();
	dv_timeline_now(s->timeline, &now);
	for (size_t i = 0; i < s->modules->count; i++) {
		const struct session_module *m = &s->modules->items[i];

		if (m->path && !is_hidden(s->modules, i, now.where.icount))
			json_array_append_new(rows, json_pack("{s:i, s:I, s:s}", "number", (int)i, "address",
							      (json_int_t)m->is->base_vaddr, "path", m->path));
	}
	return rows;
}
