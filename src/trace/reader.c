/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a trace, closing it, and what it holds but for its events: see reader.h. */
#include "trace/reader.h"

#include <errno.h>
#include <libdeflate.h>
#include "trace/places.h"
#include "trace/reader_private.h"

const char *reader_string(struct dv_trace_reader *r, const void *data, size_t len)
{
	char *copy = strndup(len ? data : "", len), **slot;

	if (!copy)
		return NULL;
	slot = dv_vec_push(&r->strings);
	if (!slot) {
		free(copy);
		return NULL;
	}
	*slot = copy;
	return copy;
}

void reader_damaged(struct dv_trace_reader *r, struct dv_error *err)
{
	if (r->damage)
		dv_error_destroy(err);
	else
		r->damage = err;
}

struct dv_error *reader_error(const struct dv_trace_reader *r, enum dv_error_code code, uint64_t offset,
			      const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return dv_error_new(code, "%s: offset %llu: %s", r->name, (unsigned long long)offset, what);
}

/* Opening and closing */

static struct dv_error *open_reader(struct dv_trace_reader *r)
{
	struct dv_cursor c = dv_cursor_make(r->file.data, r->file.len);
	struct dv_error *err;

	r->inflate = libdeflate_alloc_decompressor();
	if (!r->inflate)
		return dv_error_no_memory();
	DV_TRY(reader_take_head(r, &c));
	err = reader_walk(r, &c);
	if (err && err->code == DV_ERROR_NO_MEMORY)
		return err;
	if (err)
		reader_damaged(r, err);
	r->metadata.command = r->command.v;
	r->metadata.notes = r->notes.v;
	r->metadata.note_count = r->notes.n;
	r->metadata.file_bytes = r->file.len;
	return NULL;
}

static struct dv_error *new_reader(const char *name, struct dv_trace_reader **ret)
{
	struct dv_trace_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return dv_error_no_memory();
	r->name = strdup(name);
	if (!r->name) {
		free(r);
		return dv_error_no_memory();
	}
	*ret = r;
	return NULL;
}

struct dv_error *dv_trace_reader_open(const char *path, struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	DV_TRY(new_reader(path, &r));
	DV_TRY(dv_mapped_file_init(path, &r->file));
	r->is_mapped = true;
	DV_TRY(open_reader(r));
	*ret = dv_steal(r);
	return NULL;
}

struct dv_error *dv_trace_reader_open_bytes(const void *data, size_t len, const char *name,
					    struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	DV_TRY(new_reader(name, &r));
	r->file = (struct dv_mapped_file){.data = data, .len = len};
	DV_TRY(open_reader(r));
	*ret = dv_steal(r);
	return NULL;
}

struct dv_error *dv_trace_reader_again(const struct dv_trace_reader *r, struct dv_trace_reader **ret)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *again = NULL;

	DV_TRY(new_reader(r->name, &again));
	again->file = r->file;
	again->is_again = true;
	again->blocks = (__typeof__(again->blocks)){r->blocks.v, r->blocks.n, r->blocks.cap};
	again->inflate = libdeflate_alloc_decompressor();
	if (!again->inflate)
		return dv_error_no_memory();
	*ret = dv_steal(again);
	return NULL;
}

void dv_trace_reader_close(struct dv_trace_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->strings.n; i++)
		free(r->strings.v[i]);
	free(r->strings.v);
	free(r->command.v);
	free(r->notes.v);
	if (!r->is_again)
		free(r->blocks.v);
	free(r->states.v);
	free(r->switches.v);
	free(r->console.v);
	free(r->commands.v);
	free(r->functions.v);
	free(r->names.v);
	free(r->events.v);
	places_deinit(r->places);
	dv_map_deinit(&r->newest);
	dv_map_deinit(&r->by_key);
	dv_buf_deinit(&r->raw);
	if (r->inflate)
		libdeflate_free_decompressor(r->inflate);
	if (r->is_mapped)
		dv_mapped_file_deinit(&r->file);
	dv_error_destroy(r->damage);
	free(r->name);
	free(r);
}

/* Looking */

const struct dv_trace_metadata *dv_trace_reader_metadata(const struct dv_trace_reader *r)
{
	return &r->metadata;
}

const struct dv_error *dv_trace_reader_damage(const struct dv_trace_reader *r)
{
	return r->damage;
}

size_t dv_trace_reader_gap_blocks(const struct dv_trace_reader *r)
{
	return r->gap_blocks;
}

size_t dv_trace_reader_block_count(const struct dv_trace_reader *r)
{
	return r->blocks.n;
}

const struct dv_trace_block_info *dv_trace_reader_block(const struct dv_trace_reader *r, size_t block)
{
	dv_assert(block < r->blocks.n);
	return &r->blocks.v[block].info;
}

size_t dv_trace_reader_thread_state_count(const struct dv_trace_reader *r)
{
	return r->states.n;
}

const struct dv_trace_thread_state *dv_trace_reader_thread_state(const struct dv_trace_reader *r, size_t i)
{
	dv_assert(i < r->states.n);
	return &r->states.v[i];
}

const struct dv_trace_thread *dv_trace_reader_thread(const struct dv_trace_reader *r, uint64_t thread_id)
{
	const uint64_t *newest = dv_map_get(&r->newest, thread_id);

	return newest && *newest ? &r->states.v[*newest - 1].thread : NULL;
}

size_t dv_trace_reader_console_line_count(const struct dv_trace_reader *r)
{
	return r->console.n;
}

size_t dv_trace_reader_command_count(const struct dv_trace_reader *r)
{
	return r->commands.n;
}

const struct dv_trace_command *dv_trace_reader_commands(const struct dv_trace_reader *r)
{
	return r->commands.v;
}

const struct dv_console_line *dv_trace_reader_console_lines(const struct dv_trace_reader *r)
{
	return r->console.v;
}

size_t dv_trace_reader_switch_count(const struct dv_trace_reader *r)
{
	return r->switches.n;
}

const struct dv_trace_switch *dv_trace_reader_switches(const struct dv_trace_reader *r)
{
	return r->switches.v;
}

const struct dv_trace_switch *dv_trace_reader_switch_at(const struct dv_trace_reader *r, uint64_t icount)
{
	size_t low = 0, high = r->switches.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (r->switches.v[mid].icount <= icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &r->switches.v[low - 1] : NULL;
}

size_t dv_trace_reader_function_count(const struct dv_trace_reader *r)
{
	return r->functions.n;
}

const struct dv_trace_reader_function *dv_trace_reader_function(const struct dv_trace_reader *r, uint32_t i)
{
	dv_assert(i < r->functions.n);
	return &r->functions.v[i];
}
