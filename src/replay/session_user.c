/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols of user programs for a session's gdb: what the running process has mapped at the current moment,
 * by the trace, each file copied out of the recording's initramfs or disks into the session's folder, with the
 * difference between where it was linked to and where it ran.
 */
#include <inttypes.h>
#include <string.h>
#include "base/io.h"
#include "replay/guestfiles.h"
#include "replay/session_private.h"

#define MAX_USER_FILES 256
#define PAGE_MASK 4095ull

/* A file of the guest's, by its id in the trace. */
struct session_user_file {
	uint32_t id;
	char *path; /* of the copy; NULL: no source has it, or another build of it */
	struct dv_segments segments;
};

struct session_user {
	struct dv_files *sources; /* NULL: not yet opened */
	char *complaint;	  /* a source that could not be opened */
	struct session_user_file files[MAX_USER_FILES];
	size_t files_len;
	char *sysroot;
};

struct dv_error *session_user_create(const char *sysroot, struct session_user **ret)
{
	struct session_user *user = calloc(1, sizeof(*user));

	if (!user)
		return dv_error_no_memory();
	user->sysroot = sysroot ? strdup(sysroot) : NULL;
	*ret = user;
	return NULL;
}

void session_user_destroy(struct session_user *user)
{
	if (!user)
		return;
	dv_files_close(user->sources);
	for (size_t i = 0; i < user->files_len; i++)
		free(user->files[i].path);
	free(user->complaint);
	free(user->sysroot);
	free(user);
}

static struct dv_error *open_sources(struct dv_session *s)
{
	struct dv_error *complaint = NULL, *err;

	err = dv_guest_files_open(s->recording, s->user->sysroot, NULL, &s->user->sources, &complaint);
	if (complaint)
		s->user->complaint = strdup(complaint->message);
	dv_error_destroy(complaint);
	return err;
}

/* "user-3-busybox" in the session's folder. */
static char *copy_path(struct dv_session *s, const struct dv_trace_mapped_file *is)
{
	_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
	const char *slash = strrchr(is->path, '/');
	_cleanup_free_ char *text = NULL;

	dv_buf_printf(&name, "user-%" PRIu32 "-", is->id);
	for (const char *c = slash ? slash + 1 : is->path; *c; c++)
		dv_buf_printf(&name, "%c", (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z') ||
						   strchr("._-+", *c) ? *c : '_');
	text = dv_buf_steal_string(&name);
	return text ? dv_path_join(dv_timeline_run_dir(s->timeline), text) : NULL;
}

static bool is_same_build(const struct dv_elf *elf, const struct dv_trace_mapped_file *is)
{
	_cleanup_free_ char *id = dv_elf_build_id(elf);

	return !id || !is->build_id || !strcmp(id, is->build_id);
}

/* gdb finds a debug file beside the file, by the name that the file's debug link gives it. */
static struct dv_error *write_debug(struct dv_session *s, const struct dv_file_copy *copy)
{
	_cleanup_free_ char *path = NULL;

	if (!copy->debug.len || !copy->debug_name)
		return NULL;
	path = dv_path_join(dv_timeline_run_dir(s->timeline), copy->debug_name);
	if (!path)
		return dv_error_no_memory();
	return access(path, F_OK) ? dv_replace_file(path, copy->debug.data, copy->debug.len, 0600) : NULL;
}

/* The file that dwz(1) made for several: gdb finds it by build id below the session's folder (session_gdb.c). */
static struct dv_error *write_alt(struct dv_session *s, const struct dv_file_copy *copy)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;

	if (!copy->alt.len || !copy->alt_build_id)
		return NULL;
	if (asprintf(&folder, "%s/.build-id/%.2s", dv_timeline_run_dir(s->timeline), copy->alt_build_id) < 0 ||
	    asprintf(&path, "%s/%s.debug", folder, copy->alt_build_id + 2) < 0)
		return dv_error_no_memory();
	DV_TRY(dv_make_dirs(folder));
	return access(path, F_OK) ? dv_replace_file(path, copy->alt.data, copy->alt.len, 0600) : NULL;
}

static struct dv_error *take_file(struct dv_session *s, const struct dv_trace_mapped_file *is,
				  struct session_user_file *ret)
{
	_cleanup_(dv_file_copy_deinit) struct dv_file_copy copy = {0};
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	struct dv_file_name name = {is->path, is->device, is->inode};

	if (!s->user->sources)
		DV_TRY(open_sources(s));
	DV_TRY(dv_files_copy(s->user->sources, &name, &copy));
	if (!copy.bytes.len)
		return NULL;
	DV_TRY(dv_elf_create(copy.bytes.data, copy.bytes.len, &elf));
	if (!is_same_build(elf, is))
		return NULL;
	DV_TRY(write_debug(s, &copy));
	DV_TRY(write_alt(s, &copy));
	ret->path = copy_path(s, is);
	if (!ret->path)
		return dv_error_no_memory();
	ret->segments = *dv_elf_segments(elf);
	return dv_replace_file(ret->path, copy.bytes.data, copy.bytes.len, 0600);
}

/* NULL: there are too many. A file that cannot be had is asked for once. */
static const struct session_user_file *file_of(struct dv_session *s, const struct dv_trace_mapped_file *is)
{
	struct session_user_file *file;
	struct dv_error *err;

	for (size_t i = 0; i < s->user->files_len; i++)
		if (s->user->files[i].id == is->id)
			return &s->user->files[i];
	if (s->user->files_len == MAX_USER_FILES)
		return NULL;
	file = &s->user->files[s->user->files_len++];
	file->id = is->id;
	err = take_file(s, is, file);
	if (err) {
		free(dv_steal(file->path));
		if (!s->user->complaint)
			s->user->complaint = strdup(err->message);
	}
	dv_error_destroy(err);
	return file;
}

/* What is added to the file's own addresses: the mapping begins with the page of a segment's first byte. */
static bool bias_of(const struct dv_segments *segments, const struct dv_trace_mapping *m, uint64_t *ret)
{
	for (size_t i = 0; i < segments->count; i++) {
		const struct dv_segment *segment = &segments->items[i];
		uint64_t first = segment->offset & ~PAGE_MASK;

		if (!segment->executable || m->offset_bytes < first || m->offset_bytes >= segment->offset + segment->size_bytes)
			continue;
		*ret = m->start_vaddr - ((segment->vaddr & ~PAGE_MASK) + (m->offset_bytes - first));
		return true;
	}
	return false;
}

static int32_t process_at(struct dv_session *s, uint64_t icount)
{
	uint64_t id = dv_stacks_thread_at(s->stacks, icount);
	const struct dv_trace_thread *thread = id ? dv_trace_reader_thread(dv_stacks_headers(s->stacks), id) : NULL;

	return thread ? thread->tgid : 0;
}

static void list_file(const struct session_user_file *file, const struct dv_trace_mapping *m, json_t *to)
{
	char hex[24];
	uint64_t bias;
	size_t i;
	json_t *row;

	json_array_foreach(to, i, row) /* a file may be mapped in pieces */
		if (!strcmp(json_string_value(json_object_get(row, "path")), file->path))
			return;
	if (!bias_of(&file->segments, m, &bias))
		return;
	snprintf(hex, sizeof(hex), "0x%" PRIx64, bias);
	json_array_append_new(to, json_pack("{s:s, s:s, s:s}", "path", file->path, "bias", hex, "name", m->file->path));
}

struct dv_error *session_user_symbols(struct dv_session *s, json_t *files, json_t *missing)
{
	const struct dv_trace_mapping *mappings;
	struct dv_timeline_now now;
	size_t count;
	int32_t tgid;

	dv_timeline_now(s->timeline, &now);
	tgid = process_at(s, now.where.icount);
	if (!tgid)
		return NULL;
	DV_TRY(dv_trace_reader_mappings(dv_stacks_headers(s->stacks), &mappings, &count));
	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_mapping *m = &mappings[i];
		const struct session_user_file *file;

		if (m->tgid != tgid || !m->file || *m->file->path != '/' || !dv_trace_mapping_is_at(m, now.where.icount))
			continue;
		file = file_of(s, m->file);
		if (file && file->path)
			list_file(file, m, files);
		else
			json_array_append_new(missing, json_string(m->file->path));
	}
	return NULL;
}
