/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers that read and write files: sources that the trace names, the user's marks. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include "base/io.h"
#include "rpc/private.h"

#define MAX_SOURCE_BYTES (8u << 20)
#define SOURCE_CONTEXT 200
#define MAX_MARKS 10000
#define MAX_MARK_ID 64
#define MARKS_VERSION 2

/* source */

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* With the daemon's lock. */
static struct dv_error *list_files(struct dv_rpc *rpc)
{
	uint32_t functions = dv_query_info(rpc->query)->functions;

	if (rpc->has_files)
		return NULL;
	rpc->files = calloc(functions + 1, sizeof(*rpc->files));
	if (!rpc->files)
		return dv_error_no_memory();
	for (uint32_t i = 0; i < functions; i++)
		if (dv_query_function(rpc->query, i)->file)
			rpc->files[rpc->file_count++] = dv_query_function(rpc->query, i)->file;
	qsort(rpc->files, rpc->file_count, sizeof(*rpc->files), compare_strings);
	rpc->has_files = true;
	return NULL;
}

/* The trace may have a file's name without the leading folders that gdb gives it: the longest end that it has. */
static struct dv_error *find_named(struct dv_rpc *rpc, const char *file, const char **ret)
{
	const char *named = NULL;
	struct dv_error *err;

	pthread_mutex_lock(&rpc->lock);
	err = list_files(rpc);
	for (const char *tail = file, *slash; !err && tail && !named; tail = slash ? slash + 1 : NULL) {
		slash = strchr(tail, '/');
		if (bsearch(&tail, rpc->files, rpc->file_count, sizeof(*rpc->files), compare_strings))
			named = tail;
	}
	pthread_mutex_unlock(&rpc->lock);
	DV_TRY(err);
	if (!named)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the trace names no source file %s", file);
	*ret = named;
	return NULL;
}

/* Whether a path, all links resolved, lies in a folder. New memory, or NULL. */
static char *resolve_within(const char *root, const char *path)
{
	_cleanup_free_ char *joined = dv_path_join(root, path), *real_root = realpath(root, NULL);
	_cleanup_free_ char *real = joined ? realpath(joined, NULL) : NULL;
	size_t len = real_root ? strlen(real_root) : 0;
	struct stat st;

	if (!real || !real_root || strncmp(real, real_root, len) || (real[len] != '/' && len > 1) || stat(real, &st) ||
	    !S_ISREG(st.st_mode))
		return NULL;
	return dv_steal(real);
}

/*
 * A file that was compiled as /build/linux-6.1/kernel/fork.c, or as kernel/fork.c, lies in the user's tree
 * as ROOT/kernel/fork.c: leading folders are left out until it is found.
 */
static char *find_source(const char *const *roots, const char *file)
{
	for (size_t i = 0; roots && roots[i]; i++) {
		for (const char *tail = file; tail; tail = strchr(tail, '/')) {
			char *path;

			tail += strspn(tail, "/");
			path = *tail ? resolve_within(roots[i], tail) : NULL;
			if (path)
				return path;
			if (!*tail)
				break;
		}
	}
	return NULL;
}

/* Where line n (from 1) begins, or the end. */
static size_t line_offset(const char *text, size_t len, uint64_t line)
{
	const char *at = text, *end = text + len;

	while (line > 1 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
		line--;
	}
	return (size_t)(at - text);
}

HANDLER(handle_source)
{
	const char *file;
	uint64_t line = param_count(job, "line", 0), context = param_count(job, "context", SOURCE_CONTEXT);
	uint64_t first = line > context ? line - context : 1, total = 0;
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char *path = NULL;
	size_t from, to;

	DV_TRY(find_named(job->rpc, param_string(job, "file"), &file));
	path = find_source(job->rpc->options.sources, file);
	if (!path) {
		job_hint(job, "give the folder of its sources to 'dejaview serve' by --source DIR");
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s is in none of the folders of sources", file);
	}
	DV_TRY(dv_read_file(path, MAX_SOURCE_BYTES, &text));
	for (size_t i = 0; i < text.len; i++)
		total += text.data[i] == '\n';
	total += text.len && text.data[text.len - 1] != '\n';
	dv_buf_append(&text, "", 1);
	if (text.failed)
		return dv_error_no_memory();
	from = line ? line_offset((char *)text.data, text.len - 1, first) : 0;
	to = line ? line_offset((char *)text.data, text.len - 1, line + context + 1) : text.len - 1;
	text.data[to] = '\0';
	*ret = json_pack("{s:o, s:o, s:I, s:I, s:o}", "file", dv_json_text(file), "path", dv_json_text(path), "firstLine",
			 (json_int_t)(line ? first : 1), "total", (json_int_t)total, "text",
			 dv_json_text((char *)text.data + from));
	return NULL;
}

/* marks */

/* In the recording where that can be written, else in the user's own folder under the trace's identity. */
static struct dv_error *marks_path(struct dv_rpc *rpc)
{
	const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *folder = NULL;
	char *path;

	if (rpc->recording && !access(rpc->recording->folder, W_OK)) {
		rpc->marks_path = dv_path_join(rpc->recording->folder, "marks.json");
		return rpc->marks_path ? NULL : dv_error_no_memory();
	}
	if (base && *base == '/' ? asprintf(&folder, "%s/dejaview/marks", base) < 0 :
				   asprintf(&folder, "%s/.local/share/dejaview/marks", home ? home : "") < 0)
		return dv_error_no_memory();
	if (asprintf(&path, "%s/%s.json", folder, dv_query_identity(rpc->query)) < 0)
		return dv_error_no_memory();
	rpc->marks_path = path;
	return NULL;
}

/*
 * Version 1 had a slice's thread by its row, which another trace of the recording may number otherwise. A mark
 * whose thread cannot be told by what begins there now is a moment.
 */
static void migrate_mark(const struct dv_query *q, json_t *mark)
{
	const json_t *row = json_object_get(mark, "thread"), *depth = json_object_get(mark, "depth");
	uint64_t start = (uint64_t)json_integer_value(json_object_get(mark, "icount"));
	uint32_t level = (uint32_t)json_integer_value(depth), id = DV_QUERY_NONE;
	struct dv_query_slice slice;

	if (depth && json_integer_value(row) >= 0 && json_integer_value(row) < dv_query_info(q)->threads)
		id = dv_query_slice_by_key(q, start, (uint32_t)json_integer_value(row), level);
	if (depth && id == DV_QUERY_NONE)
		id = dv_query_slice_by_tid(q, start, -1, level);
	json_object_del(mark, "thread");
	if (!dv_query_slice(q, id, &slice)) {
		json_object_del(mark, "depth");
		return;
	}
	json_object_set_new(mark, "depth", json_integer(slice.depth));
	if (slice.utid != DV_QUERY_NONE)
		json_object_set_new(mark, "tid", json_integer(dv_query_thread(q, slice.utid)->tid));
}

/* With the marks' lock. What is not ours, or damaged, is said and left alone. */
static struct dv_error *load_marks(struct dv_rpc *rpc)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	struct dv_error *err;
	json_error_t error;
	json_t *json, *marks, *mark;
	json_int_t version;
	size_t i;

	if (rpc->marks)
		return NULL;
	if (!rpc->marks_path)
		DV_TRY(marks_path(rpc));
	err = dv_read_file(rpc->marks_path, rpc->options.max_message_bytes * 2ul, &text);
	if (err && err->code == DV_ERROR_OS && err->os_errno == ENOENT) {
		dv_error_destroy(err);
		rpc->marks = json_array();
		return NULL;
	}
	if (err)
		return err;
	json = json_loadb((char *)text.data, text.len, 0, &error);
	marks = json_pack("{s:O, s:i}", "marks", json_object_get(json, "marks"), "revision", 0);
	version = json_integer_value(json_object_get(json, "version"));
	json_decref(json);
	err = marks ? dv_rpc_check_params(dv_rpc_method_find("marks.set"), marks) :
		      dv_error_new(DV_ERROR_FORMAT, "no marks in it");
	if (!err && version > MARKS_VERSION)
		err = dv_error_new(DV_ERROR_UNSUPPORTED, "made by a later DejaView");
	if (!err)
		rpc->marks = json_incref(json_object_get(marks, "marks"));
	json_array_foreach(rpc->marks, i, mark)
		if (version < MARKS_VERSION)
			migrate_mark(rpc->query, mark);
	json_decref(marks);
	return dv_error_prefix(err, "%s", rpc->marks_path);
}

static struct dv_error *save_marks(struct dv_rpc *rpc, json_t *marks)
{
	json_t *json = json_pack("{s:i, s:O}", "version", MARKS_VERSION, "marks", marks);
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL, *folder = strdup(rpc->marks_path);

	json_decref(json);
	if (!text || !folder)
		return dv_error_no_memory();
	*strrchr(folder, '/') = '\0';
	DV_TRY(dv_make_dirs(folder));
	return dv_replace_file(rpc->marks_path, text, strlen(text), 0644);
}

HANDLER(handle_marks_get)
{
	struct dv_rpc *rpc = job->rpc;
	struct dv_error *err;

	pthread_mutex_lock(&rpc->marks_lock);
	err = load_marks(rpc);
	if (!err)
		*ret = json_pack("{s:o, s:I, s:o}", "marks", json_deep_copy(rpc->marks), "revision",
				 (json_int_t)rpc->marks_revision, "path", dv_json_text(rpc->marks_path));
	pthread_mutex_unlock(&rpc->marks_lock);
	return err;
}

static struct dv_error *check_marks(const json_t *marks)
{
	json_t *mark;
	size_t i;

	if (json_array_size(marks) > MAX_MARKS)
		return dv_error_new(DV_ERROR_INVALID, "params: marks: %zu of them; at most %d", json_array_size(marks),
				    MAX_MARKS);
	json_array_foreach((json_t *)marks, i, mark)
		if (json_string_length(json_object_get(mark, "id")) > MAX_MARK_ID)
			return dv_error_new(DV_ERROR_INVALID, "params: marks: item %zu: id: at most %d bytes", i, MAX_MARK_ID);
	return NULL;
}

/* With the marks' lock. */
static struct dv_error *replace_marks(struct job *job, json_t *marks)
{
	struct dv_rpc *rpc = job->rpc;

	DV_TRY(load_marks(rpc));
	if (param_count(job, "revision", 0) != rpc->marks_revision) {
		job->error_code = DV_RPC_ERROR_CODE_BUSY;
		job_hint(job, "ask for the marks again");
		return dv_error_new(DV_ERROR_INVALID, "somebody else has changed the marks meanwhile");
	}
	DV_TRY(save_marks(rpc, marks));
	json_decref(rpc->marks);
	rpc->marks = json_deep_copy(marks);
	rpc->marks_revision++;
	return rpc->marks ? NULL : dv_error_no_memory();
}

HANDLER(handle_marks_set)
{
	struct dv_rpc *rpc = job->rpc;
	json_t *marks = json_object_get(job->params, "marks");
	struct dv_error *err;
	json_int_t revision;

	DV_TRY(check_marks(marks));
	pthread_mutex_lock(&rpc->marks_lock);
	err = replace_marks(job, marks);
	revision = (json_int_t)rpc->marks_revision;
	pthread_mutex_unlock(&rpc->marks_lock);
	if (err)
		return err;
	dv_rpc_broadcast(rpc, "marks", json_pack("{s:O, s:I}", "marks", marks, "revision", revision), job->client);
	*ret = json_pack("{s:I}", "revision", revision);
	return NULL;
}
