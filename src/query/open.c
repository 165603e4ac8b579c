/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a trace and saying what is in it: the part of query.h that looks things up by index. */
#include <string.h>
#include <sys/stat.h>
#include "base/io.h"
#include "query/cache.h"
#include "query/load.h"
#include "query/parallel.h"
#include "query/query_private.h"

#define RECORDING_TRACE "trace.dvtrace"
#define BYTES_PER_SLICE 40 /* while loading; 31 afterwards */

/* A trace of our own says so in its first packet: only such a file does the reader open. */
static struct dv_error *load(struct loader *l, const char *path, const struct dv_mapped_file *file)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_metadata *m;
	struct dv_error *err = dv_trace_reader_open_bytes(file->data, file->len, path, &r);

	/* Not one of our own: what the reader says of it is no error of the trace. */
	if (err && (err->code == DV_ERROR_FORMAT || err->code == DV_ERROR_TRUNCATED)) {
		dv_error_destroy(err);
		return load_perfetto(l, file->data, file->len, path);
	}
	if (err)
		return err;
	m = dv_trace_reader_metadata(r);
	DV_TRY(loader_check_memory(l, path, m->begins, m->begins * BYTES_PER_SLICE));
	DV_TRY(load_blocks(l, r));
	if (!l->c->damage && dv_trace_reader_damage(r)) {
		l->c->damage = strdup(dv_trace_reader_damage(r)->message);
		if (!l->c->damage)
			return dv_error_no_memory();
	}
	return NULL;
}

static struct dv_error *store_strings(struct loader *l)
{
	if (strings_failed(&l->strings) ||
	    !column_copy(&l->c->strings, &l->c->n_strings, l->strings.text.data, l->strings.text.len, 1))
		return dv_error_no_memory();
	return NULL;
}

static void fill_functions(struct dv_query *q)
{
	const struct columns *c = &q->c;

	for (uint32_t i = 0; i < c->n_functions; i++) {
		const struct function_row *row = &c->functions[i];

		q->functions[i] = (struct dv_query_function){
			.function = i,
			.name = row->name ? c->strings + row->name : "",
			.slice_name = row->slice_name ? c->strings + row->slice_name : "",
			.module = column_string(c, row->module),
			.file = column_string(c, row->file),
			.category = column_string(c, row->category),
			.line = row->line,
			.space = (uint8_t)row->space,
			.vaddr = row->vaddr,
			.key = row->key,
			.size = row->size,
			.number = row->number,
			.mnemonic = column_string(c, row->mnemonic),
		};
	}
}

static void fill_threads(struct dv_query *q)
{
	const struct columns *c = &q->c;

	for (uint32_t i = 0; i < c->n_threads; i++) {
		const struct thread_row *row = &c->threads[i];

		q->threads[i] = (struct dv_query_thread){
			.utid = i,
			.upid = row->upid,
			.track = row->track,
			.tid = row->tid,
			.name = row->name ? c->strings + row->name : "",
			.start_icount = row->start,
			.end_icount = row->end,
			.slices = row->track == DV_QUERY_NONE ? 0 : c->tracks[row->track].slices,
			.cpu_icount = row->cpu,
			.creator_utid = row->creator,
			.exit_code = row->exit_code,
			.is_kernel = row->is_kernel,
			.is_idle = row->is_idle,
			.is_main = row->is_main,
		};
	}
	for (uint32_t i = 0; i < c->n_processes; i++) {
		const struct process_row *row = &c->processes[i];

		q->processes[i] = (struct dv_query_process){
			.upid = i,
			.parent_upid = row->parent,
			.pid = row->pid,
			.name = row->name ? c->strings + row->name : "",
			.start_icount = row->start,
			.end_icount = row->end,
		};
	}
}

static void fill_rest(struct dv_query *q)
{
	const struct columns *c = &q->c;

	for (uint32_t i = 0; i < c->n_tracks; i++) {
		const struct track_row *row = &c->tracks[i];

		q->tracks[i] = (struct dv_query_track){
			.track = i,
			.parent = row->parent,
			.type = (enum dv_query_track_type)row->type,
			.utid = row->utid,
			.upid = row->upid,
			.name = column_string(c, row->name),
			.depths = row->depths,
			.slices = row->slices,
		};
	}
	for (size_t i = 0; i < c->n_console; i++) {
		const struct console_row *row = &c->console[i];

		q->console[i] = (struct dv_query_console_line){
			.icount = row->icount,
			.utid = row->utid,
			.level = (uint8_t)row->level,
			.source = row->source ? c->strings + row->source : "",
			.text = row->text ? c->strings + row->text : "",
		};
	}
}

static struct dv_error *fill_in(struct dv_query *q)
{
	const struct columns *c = &q->c;

	q->functions = calloc(c->n_functions + 1, sizeof(*q->functions));
	q->threads = calloc(c->n_threads + 1, sizeof(*q->threads));
	q->processes = calloc(c->n_processes + 1, sizeof(*q->processes));
	q->tracks = calloc(c->n_tracks + 1, sizeof(*q->tracks));
	q->console = calloc(c->n_console + 1, sizeof(*q->console));
	if (!q->functions || !q->threads || !q->processes || !q->tracks || !q->console)
		return dv_error_no_memory();
	fill_functions(q);
	fill_threads(q);
	fill_rest(q);
	q->info = (struct dv_query_info){
		.path = q->path,
		.clock = (enum dv_query_clock)c->clock,
		.is_dejaview = c->is_dejaview,
		.exact = c->exact,
		.from_cache = c->mapping,
		.first_icount = c->first_icount,
		.last_icount = c->last_icount,
		.slices = c->n,
		.threads = (uint32_t)c->n_threads,
		.processes = (uint32_t)c->n_processes,
		.tracks = (uint32_t)c->n_tracks,
		.functions = (uint32_t)c->n_functions,
		.cpus = c->cpus,
		.max_depth = c->max_depth,
		.column_bytes = columns_bytes(c),
		.file_bytes = c->file_bytes,
	};
	return NULL;
}

static struct dv_error *load_columns(struct columns *c, const char *path, const struct dv_mapped_file *file,
				     const struct dv_query_options *options)
{
	struct loader l = {.c = c, .options = options, .workers = parallel_workers(options ? options->threads : 0)};
	struct dv_error *err = load(&l, path, file);

	if (!err)
		err = store_strings(&l);
	strings_deinit(&l.strings);
	return err;
}

static struct dv_error *open_file(const char *path, const struct dv_mapped_file *file,
				  const struct dv_query_options *options, bool may_cache, struct dv_query **ret)
{
	_cleanup_(dv_query_closep) struct dv_query *q = calloc(1, sizeof(*q));
	char identity[33];

	if (!q)
		return dv_error_no_memory();
	q->path = strdup(path);
	if (!q->path)
		return dv_error_no_memory();
	cache_identity(file->data, file->len, identity);
	if (!may_cache || !cache_open(identity, &q->c)) {
		DV_TRY(load_columns(&q->c, path, file, options));
		memcpy(q->c.identity, identity, sizeof(identity));
		if (may_cache && q->c.n >= CACHE_MIN_SLICES)
			q->writer = cache_writer_start(&q->c);
	}
	DV_TRY(fill_in(q));
	DV_TRY(lazy_create(&q->lazy));
	*ret = dv_steal(q);
	return NULL;
}

struct dv_error *dv_query_open(const char *path, const struct dv_query_options *options, struct dv_query **ret)
{
	_cleanup_free_ char *inside = NULL;
	struct dv_mapped_file file = {0};
	struct dv_error *err;
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		inside = dv_path_join(path, RECORDING_TRACE);
		if (!inside)
			return dv_error_no_memory();
		if (access(inside, F_OK))
			return dv_error_new(DV_ERROR_NOT_FOUND,
					    "%s has no trace yet: 'dejaview trace %s' makes one, if it is a recording",
					    path, path);
		path = inside;
	}
	DV_TRY(dv_mapped_file_init(path, &file));
	err = open_file(path, &file, options, !options || !options->no_cache, ret);
	dv_mapped_file_deinit(&file);
	return err;
}

struct dv_error *dv_query_open_bytes(const void *data, size_t len, const char *name,
				     const struct dv_query_options *options, struct dv_query **ret)
{
	struct dv_mapped_file file = {.data = data, .len = len};

	return open_file(name, &file, options, false, ret);
}

void dv_query_close(struct dv_query *q)
{
	if (!q)
		return;
	cache_writer_finish(q->writer);
	lazy_destroy(q->lazy, &q->c);
	columns_deinit(&q->c);
	free(q->path);
	free(q->threads);
	free(q->processes);
	free(q->tracks);
	free(q->functions);
	free(q->console);
	free(q);
}

/* Looking up */

const struct dv_query_info *dv_query_info(const struct dv_query *q)
{
	return &q->info;
}

const char *dv_query_damage(const struct dv_query *q)
{
	return q->c.damage;
}

const char *dv_query_identity(const struct dv_query *q)
{
	return q->c.identity;
}

bool dv_query_metadata(const struct dv_query *q, size_t i, const char **ret_name, const char **ret_value)
{
	const struct metadata_row *row = &q->c.metadata[i];

	if (i >= q->c.n_metadata)
		return false;
	*ret_name = row->name ? q->c.strings + row->name : "";
	*ret_value = row->value ? q->c.strings + row->value : "";
	return true;
}

const struct dv_query_thread *dv_query_thread(const struct dv_query *q, uint32_t utid)
{
	dv_assert(utid < q->c.n_threads);
	return &q->threads[utid];
}

const struct dv_query_process *dv_query_process(const struct dv_query *q, uint32_t upid)
{
	dv_assert(upid < q->c.n_processes);
	return &q->processes[upid];
}

const struct dv_query_track *dv_query_track(const struct dv_query *q, uint32_t track)
{
	dv_assert(track < q->c.n_tracks);
	return &q->tracks[track];
}

const struct dv_query_function *dv_query_function(const struct dv_query *q, uint32_t function)
{
	dv_assert(function < q->c.n_functions);
	return &q->functions[function];
}

/* Of the threads that had the tid, the one that was there last at icount; else the first to come. */
uint32_t dv_query_find_thread(const struct dv_query *q, int64_t tid, uint64_t icount)
{
	uint32_t best = DV_QUERY_NONE;

	for (uint32_t i = 0; i < q->info.threads; i++) {
		const struct dv_query_thread *t = &q->threads[i];

		if (t->tid == tid && (best == DV_QUERY_NONE || t->start_icount <= icount))
			best = i;
	}
	return best;
}

size_t dv_query_console_count(const struct dv_query *q)
{
	return q->c.n_console;
}

const struct dv_query_console_line *dv_query_console(const struct dv_query *q, size_t i)
{
	dv_assert(i < q->c.n_console);
	return &q->console[i];
}
