/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recording's folder: made, opened, checked, repaired. */
#include "replay/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include "base/io.h"
#include "dv_config.h"
#include "qemu/disks.h"
#include "qemu/probe.h"
#include "replay/digest.h"
#include "replay/log.h"
#include "symbols/kernel.h"

#define MANIFEST_MAX_BYTES (16u << 20)
/* With less than this left a log that was cut off was cut off by it. */
#define FULL_DISK_BYTES (1u << 20)

struct dv_error *dv_recording_open_kernel(const struct dv_recording *recording, struct dv_kernel **ret)
{
	const struct dv_qemu_plan *plan = recording->plan;

	*ret = NULL;
	for (size_t i = 0; i < plan->files_len; i++) {
		_cleanup_free_ char *path = NULL;

		if (strcmp(plan->files[i].role, "kernel"))
			continue;
		path = dv_qemu_file_path(plan, i, recording->folder);
		return path ? dv_kernel_open(path, ret) : NULL;
	}
	return NULL;
}

char *dv_recording_path(const struct dv_recording *recording, const char *name)
{
	return dv_path_join(recording->folder, name);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

struct dv_error *dv_manifest_parse(const char *name, const void *text, size_t len, json_t **ret)
{
	json_error_t error;
	json_t *manifest = json_loadb(text, len, 0, &error);
	json_int_t schema = json_integer_value(json_object_get(manifest, "schema"));
	struct dv_error *err = NULL;

	if (!manifest)
		return dv_error_new(DV_ERROR_FORMAT, "%s: line %d: %s", name, error.line, error.text);
	if (schema < 1)
		err = dv_error_new(DV_ERROR_FORMAT, "%s: no \"schema\": this is no recording's manifest", name);
	else if (schema > DV_RECORDING_SCHEMA)
		err = dv_error_new(DV_ERROR_UNSUPPORTED,
				   "%s: schema %lld is newer than this dejaview's %d: use the dejaview that made it",
				   name, (long long)schema, DV_RECORDING_SCHEMA);
	else if (!text_of(manifest, "state"))
		err = dv_error_new(DV_ERROR_FORMAT, "%s: no \"state\"", name);
	else if (!json_is_object(json_object_get(manifest, "plan")))
		err = dv_error_new(DV_ERROR_FORMAT, "%s: no \"plan\"", name);
	if (err) {
		json_decref(manifest);
		return err;
	}
	*ret = manifest;
	return NULL;
}

struct dv_error *dv_recording_save(struct dv_recording *recording)
{
	_cleanup_free_ char *path = dv_recording_path(recording, DV_RECORDING_MANIFEST);
	_cleanup_free_ char *text = json_dumps(recording->manifest, JSON_INDENT(2));

	if (!path || !text)
		return dv_error_no_memory();
	return dv_replace_file(path, text, strlen(text), 0644);
}

static struct dv_error *alloc_recording(const char *folder, struct dv_recording **ret)
{
	struct dv_recording *r = calloc(1, sizeof(*r));

	if (!r)
		return dv_error_no_memory();
	r->longest_idle_ms = -1;
	r->folder = realpath(folder, NULL);
	r->folder_fd = r->folder ? open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (r->folder_fd < 0) {
		dv_recording_destroy(r);
		return dv_error_os(errno, "%s", folder);
	}
	*ret = r;
	return NULL;
}

void dv_recording_destroy(struct dv_recording *recording)
{
	if (!recording)
		return;
	if (recording->folder && recording->folder_fd >= 0)
		close(recording->folder_fd);
	free(recording->folder);
	json_decref(recording->manifest);
	dv_qemu_plan_destroy(recording->plan);
	free(recording);
}

struct dv_error *dv_recording_open(const char *folder, struct dv_recording **ret)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_free_ char *path = dv_path_join(folder, DV_RECORDING_MANIFEST);
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	if (!path)
		return dv_error_no_memory();
	if (access(path, F_OK))
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s: not a recording (no %s in it)", folder,
				    DV_RECORDING_MANIFEST);
	DV_TRY(alloc_recording(folder, &r));
	DV_TRY(dv_read_file(path, MANIFEST_MAX_BYTES, &text));
	DV_TRY(dv_manifest_parse(path, text.data, text.len, &r->manifest));
	DV_TRY(dv_error_prefix(dv_qemu_plan_from_json(json_object_get(r->manifest, "plan"), &r->plan), "%s",
			       path));
	if (flock(r->folder_fd, LOCK_SH | LOCK_NB))
		r->is_live = errno == EWOULDBLOCK;
	else
		flock(r->folder_fd, LOCK_UN);
	*ret = dv_steal(r);
	return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void dv_recording_remove(struct dv_recording *recording)
{
	nftw(recording->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Only a folder that is a recording of ours is ever replaced. */
static struct dv_error *remove_old(const char *folder, bool force)
{
	_cleanup_free_ char *manifest = dv_path_join(folder, DV_RECORDING_MANIFEST);
	_cleanup_(dv_recording_destroyp) struct dv_recording *old = NULL;
	struct stat st;

	if (lstat(folder, &st))
		return NULL;
	if (!force)
		return dv_error_new(DV_ERROR_INVALID, "%s exists: choose another name with -o, or --force to replace it",
				    folder);
	if (!manifest || access(manifest, F_OK))
		return dv_error_new(DV_ERROR_INVALID, "%s exists and is no recording: not replaced", folder);
	dv_error_destroy(dv_recording_open(folder, &old));
	if (old && old->is_live)
		return dv_error_new(DV_ERROR_INVALID, "%s is being recorded into right now: not replaced", folder);
	if (nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
		return dv_error_os(errno, "%s: cannot remove the old recording", folder);
	return NULL;
}

static struct dv_error *store_files(struct dv_recording *r)
{
	for (size_t i = 0; i < r->plan->files_len; i++) {
		struct dv_qemu_file *file = &r->plan->files[i];
		_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
		_cleanup_free_ char *to = NULL;

		dv_buf_printf(&name, "%s", file->role);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(r->plan->files[j].role, file->role)) {
				dv_buf_printf(&name, "-%zu", i);
				break;
			}
		file->stored = dv_buf_steal_string(&name);
		to = file->stored ? dv_recording_path(r, file->stored) : NULL;
		if (!to)
			return dv_error_no_memory();
		DV_TRY(dv_copy_file(file->path, to));
	}
	return NULL;
}

static struct dv_error *copy_images(struct dv_recording *r, const struct dv_recording_options *options)
{
	for (size_t i = 0; i < r->plan->images_len; i++) {
		struct dv_qemu_image *image = &r->plan->images[i];
		_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
		_cleanup_free_ char *to = NULL;
		char *stored;

		if (image->backing && image->backing[0])
			return dv_error_new(DV_ERROR_UNSUPPORTED,
					    "%s is based on %s: --copy-image copies single images only; flatten it with "
					    "qemu-img convert first, or leave --copy-image out",
					    image->path, image->backing[0]);
		dv_buf_printf(&name, "base-%zu.img", i);
		stored = dv_buf_steal_string(&name);
		to = stored ? dv_recording_path(r, stored) : NULL;
		if (!to)
			return dv_error_no_memory();
		if (options->progress)
			options->progress(options->progress_context, image->path, 0, 0);
		DV_TRY(dv_copy_file(image->path, to));
		free(image->path);
		image->path = stored;
	}
	return NULL;
}

/* {path, bytes, mtime_ns, sha256} */
static struct dv_error *describe_file(const char *path, const char *shown,
				      const struct dv_recording_options *options, json_t **ret)
{
	char digest[DV_DIGEST_TEXT];
	struct stat st;

	DV_TRY(dv_digest_file(path, options ? options->progress : NULL,
			      options ? options->progress_context : NULL, digest));
	if (stat(path, &st))
		return dv_error_os(errno, "%s", path);
	*ret = json_pack("{s:s, s:I, s:I, s:s}", "path", shown, "bytes", (json_int_t)st.st_size, "mtime_ns",
			 (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, "sha256", digest);
	return *ret ? NULL : dv_error_no_memory();
}

/* manifest "images": for each of the plan's, the files it is read from: itself and its backing chain. */
static struct dv_error *describe_images(struct dv_recording *r, const struct dv_recording_options *options)
{
	json_t *all = json_array();

	json_object_set_new(r->manifest, "images", all);
	for (size_t i = 0; i < r->plan->images_len; i++) {
		struct dv_qemu_image *image = &r->plan->images[i];
		_cleanup_free_ char *path = dv_qemu_image_path(r->plan, i, r->folder);
		json_t *files = json_array(), *file = NULL;

		json_array_append_new(all, json_pack("{s:s, s:o}", "name", image->name, "files", files));
		if (!path)
			return dv_error_no_memory();
		DV_TRY(describe_file(path, image->path, options, &file));
		json_array_append_new(files, file);
		for (size_t k = 0; image->backing && image->backing[k]; k++) {
			DV_TRY(describe_file(image->backing[k], image->backing[k], options, &file));
			json_array_append_new(files, file);
		}
	}
	return NULL;
}

static void set_time(json_t *manifest, const char *key)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_set_new(manifest, key, json_string(text));
}

static struct dv_error *fill_folder(struct dv_recording *r, const struct dv_recording_options *options)
{
	json_t *plan = NULL;

	DV_TRY(store_files(r));
	DV_TRY(dv_qemu_disks_create(r->plan, r->folder));
	if (options->copy_images)
		DV_TRY(copy_images(r, options));
	r->manifest = json_pack("{s:i, s:s, s:s, s:s, s:b, s:O?}", "schema", DV_RECORDING_SCHEMA, "state", "recording",
				"dejaview", DV_VERSION, "qemu_version", options->qemu_version, "traced",
				options->plugin_options != NULL, "plugin_options", options->plugin_options);
	if (!r->manifest)
		return dv_error_no_memory();
	set_time(r->manifest, "started");
	DV_TRY(describe_images(r, options));
	DV_TRY(dv_qemu_plan_to_json(r->plan, &plan));
	json_object_set_new(r->manifest, "plan", plan);
	return dv_recording_save(r);
}

struct dv_error *dv_recording_create(const char *folder, struct dv_qemu_plan *plan,
				     const struct dv_recording_options *options, struct dv_recording **ret)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	struct dv_error *err;

	DV_TRY(remove_old(folder, options->force));
	DV_TRY(dv_make_dirs(folder));
	DV_TRY(alloc_recording(folder, &r));
	if (flock(r->folder_fd, LOCK_EX | LOCK_NB))
		return dv_error_os(errno, "%s: cannot lock", folder);
	r->plan = plan;
	err = fill_folder(r, options);
	if (err) {
		r->plan = NULL; /* stays the caller's */
		nftw(r->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
		return err;
	}
	*ret = dv_steal(r);
	return NULL;
}

const char *dv_recording_state(const struct dv_recording *recording)
{
	return text_of(recording->manifest, "state");
}

static uint64_t end_member(const struct dv_recording *recording, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(recording->manifest, "end"), key));
}

uint64_t dv_recording_last_icount(const struct dv_recording *recording)
{
	return end_member(recording, "icount");
}

uint64_t dv_recording_common_icount(const struct dv_recording *recording)
{
	return end_member(recording, "common_icount");
}

static void print_digest(const struct dv_log_summary *sum, char to[static 20])
{
	snprintf(to, 20, "%016" PRIx64, sum->digest);
}

static struct dv_error *set_end(struct dv_recording *r, const char *state, const char *how,
				const struct dv_log_summary *sum)
{
	char digest[20];

	print_digest(sum, digest);
	json_object_set_new(r->manifest, "state", json_string(state));
	json_object_set_new(r->manifest, "end",
			    json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "how", how, "icount", (json_int_t)sum->last_icount,
				      "common_icount", (json_int_t)sum->common_icount, "log_bytes",
				      (json_int_t)sum->whole_bytes, "log_events", (json_int_t)sum->events,
				      "log_digest", digest));
	DV_TRY(dv_recording_save(r));
	flock(r->folder_fd, LOCK_UN);
	return NULL;
}

struct dv_error *dv_recording_complete(struct dv_recording *recording, const char *how)
{
	_cleanup_free_ char *log = dv_recording_path(recording, DV_QEMU_LOG);
	struct dv_log_summary sum;
	struct statvfs fs;

	if (!log)
		return dv_error_no_memory();
	DV_TRY(dv_log_read(log, NULL, NULL, &sum));
	set_time(recording->manifest, "ended");
	if ((!sum.ended || !sum.version) && !statvfs(recording->folder, &fs) &&
	    fs.f_bavail * fs.f_frsize < FULL_DISK_BYTES)
		return dv_error_os(ENOSPC, "%s: the recording was cut off; make room, then `dejaview info %s` repairs it",
				   log, recording->folder);
	if (!sum.ended || !sum.version)
		return dv_error_new(DV_ERROR_TRUNCATED,
				    "%s: QEMU did not finish its log; `dejaview info %s` repairs it", log,
				    recording->folder);
	return set_end(recording, "complete", how, &sum);
}

struct dv_error *dv_recording_repair(struct dv_recording *recording)
{
	_cleanup_free_ char *log = dv_recording_path(recording, DV_QEMU_LOG);
	struct dv_log_summary sum;

	if (!log)
		return dv_error_no_memory();
	if (recording->is_live || strcmp(dv_recording_state(recording), "recording"))
		return NULL;
	if (flock(recording->folder_fd, LOCK_EX | LOCK_NB))
		return dv_error_os(errno, "%s: cannot lock for repair", recording->folder);
	DV_TRY(dv_log_repair(log, &sum));
	return set_end(recording, "repaired", "killed", &sum);
}

struct dv_error *dv_recording_set_image(struct dv_recording *recording, const char *spec)
{
	struct dv_qemu_plan *plan = recording->plan;
	const char *equals = strchr(spec, '=');

	for (size_t i = 0; i < plan->images_len; i++) {
		const char *name = plan->images[i].name;
		bool named = equals && strlen(name) == (size_t)(equals - spec) &&
			     !strncmp(name, spec, strlen(name));
		char *path;

		if (!named && plan->images_len > 1)
			continue;
		path = realpath(named ? equals + 1 : spec, NULL);
		if (!path)
			return dv_error_os(errno, "--image %s", spec);
		free(plan->images[i].path);
		plan->images[i].path = path;
		return NULL;
	}
	return dv_error_new(DV_ERROR_INVALID,
			    plan->images_len ? "--image %s: say which drive it is: --image NAME=PATH, where NAME is %s%s"
					     : "--image %s: this recording has no disk%s%s",
			    spec, plan->images_len ? plan->images[0].name : "", plan->images_len ? "..." : "");
}

static struct dv_error *check_file(const char *path, const char *drive, const json_t *want)
{
	char digest[DV_DIGEST_TEXT];
	struct stat st;

	if (stat(path, &st))
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "%s, the base image of drive %s, is not there (%s): say where it is with --image %s=PATH",
				    path, drive, strerror(errno), drive);
	if (st.st_size == json_integer_value(json_object_get(want, "bytes")) &&
	    (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec ==
		    json_integer_value(json_object_get(want, "mtime_ns")))
		return NULL;
	DV_TRY(dv_digest_file(path, NULL, NULL, digest));
	if (!strcmp(digest, text_of(want, "sha256") ?: ""))
		return NULL;
	return dv_error_new(DV_ERROR_MISMATCH,
			    "%s, the base image of drive %s, has changed since it was recorded: a replay would go "
			    "astray. Give an unchanged copy with --image %s=PATH (and record with --copy-image next time)",
			    path, drive, drive);
}

/* What differs from the log as it was when it was whole; NULL: nothing. Older recordings have no digest. */
static const char *log_differs(const struct dv_recording *r, const struct dv_log_summary *sum)
{
	const char *digest = text_of(json_object_get(r->manifest, "end"), "log_digest");
	char is[20];

	print_digest(sum, is);
	if (sum->whole_bytes < end_member(r, "log_bytes"))
		return "it is cut off";
	if (sum->whole_bytes != end_member(r, "log_bytes") || sum->last_icount != end_member(r, "icount") ||
	    !sum->version || !sum->ended || (digest && strcmp(digest, is)))
		return "it is not what was recorded";
	return NULL;
}

static struct dv_error *check_log(struct dv_recording *r)
{
	_cleanup_free_ char *log = dv_recording_path(r, DV_QEMU_LOG);
	struct dv_log_summary sum;
	struct dv_error *err;
	const char *how;

	if (!log)
		return dv_error_no_memory();
	if (!end_member(r, "log_bytes"))
		return NULL;
	err = dv_log_read(log, NULL, NULL, &sum);
	if (!err) {
		how = log_differs(r, &sum);
		if (how)
			err = dv_error_new(DV_ERROR_FORMAT, "%s: %s", log, how);
	}
	if (!err)
		r->longest_idle_ms = (int64_t)(sum.longest_idle_ns / 1000000);
	return dv_error_prefix(err, "nothing can be replayed with a log that is damaged (take it from a copy of the "
				    "recording)");
}

struct dv_error *dv_recording_check(struct dv_recording *recording, const char *qemu_version)
{
	const char *recorded = text_of(recording->manifest, "qemu_version");
	const json_t *images = json_object_get(recording->manifest, "images");
	const struct dv_qemu_plan *plan = recording->plan;

	if (recording->is_live)
		return dv_error_new(DV_ERROR_INVALID, "%s is still being recorded", recording->folder);
	if (!strcmp(dv_recording_state(recording), "recording"))
		return dv_error_new(DV_ERROR_INVALID, "%s: its recorder was killed; `dejaview info %s` repairs it",
				    recording->folder, recording->folder);
	if (recorded && qemu_version && strcmp(recorded, qemu_version))
		return dv_error_new(DV_ERROR_MISMATCH,
				    "%s was recorded with \"%s\", but this is \"%s\": only the same QEMU replays a "
				    "recording; choose it with --qemu PATH",
				    recording->folder, recorded, qemu_version);
	DV_TRY(check_log(recording));
	for (size_t i = 0; i < plan->images_len; i++) {
		const json_t *files = json_object_get(json_array_get(images, i), "files");

		for (size_t k = 0; k < json_array_size(files); k++) {
			const json_t *file = json_array_get(files, k);
			_cleanup_free_ char *path = k == 0 ? dv_qemu_image_path(plan, i, recording->folder)
							   : strdup(text_of(file, "path") ?: "");

			if (!path)
				return dv_error_no_memory();
			DV_TRY(check_file(path, plan->images[i].name, file));
		}
	}
	return NULL;
}

struct dv_error *dv_recording_check_installed(struct dv_recording *recording, const char *qemu)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};

	DV_TRY(dv_qemu_probe(qemu ? qemu : recording->plan->binary, &version));
	return dv_recording_check(recording, version.text);
}
