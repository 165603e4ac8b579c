/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording into one file: see pack.h. */
#include "replay/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/io.h"
#include "dv_config.h"
#include "qemu/disks.h"
#include "qemu/probe.h"
#include "qemu/process.h"
#include "replay/digest.h"

#define CHUNK_BYTES    (1u << 20)
#define MIN_HOLE_BYTES (64u << 10) /* a smaller one costs more to say than it saves */
#define MAX_FILES      256
#define MAX_OUTPUT     (1u << 20)

struct extent {
	uint64_t from, bytes;
};

struct packed_file {
	char *name; /* in the archive's folder */
	char *path;
	struct stat st;
	struct extent *extents;
	size_t extents_len;
};

struct packer {
	const struct dv_recording *recording;
	const struct dv_pack_options *options;
	const char *name; /* of the archive's folder */
	struct packed_file files[MAX_FILES];
	size_t files_len;
	char *scratch; /* folder for flattened images; NULL: none */
	json_t *manifest;
	char *manifest_text;
	uint64_t bytes, data_bytes, done_bytes;
	struct dv_buf sums;
	struct archive *archive;
	uint8_t *chunk;
};

static struct dv_error *archive_failed(struct packer *p, const char *what)
{
	const char *words = archive_error_string(p->archive);

	return dv_error_new(archive_errno(p->archive) == ENOSPC ? DV_ERROR_OS : DV_ERROR_INVALID, "%s: %s", what,
			    words ? words : "cannot be packed");
}

/* ---- what goes in ---- */

/* Where a file has data, holes smaller than MIN_HOLE_BYTES filled. */
static struct dv_error *find_extents(struct packed_file *f, int fd)
{
	uint64_t size = (uint64_t)f->st.st_size;
	size_t cap = 0;
	off_t at = 0;

	while ((uint64_t)at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;
		struct extent *last = f->extents_len ? &f->extents[f->extents_len - 1] : NULL;

		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0) { /* a file system that knows no holes */
			data = at;
			hole = (off_t)size;
		}
		at = hole;
		if (last && (uint64_t)data - (last->from + last->bytes) < MIN_HOLE_BYTES) {
			last->bytes = (uint64_t)hole - last->from;
			continue;
		}
		if (f->extents_len == cap) {
			struct extent *more = reallocarray(f->extents, cap ? cap * 2 : 16, sizeof(*more));

			if (!more)
				return dv_error_no_memory();
			f->extents = more;
			cap = cap ? cap * 2 : 16;
		}
		f->extents[f->extents_len++] = (struct extent){(uint64_t)data, (uint64_t)(hole - data)};
	}
	return NULL;
}

static struct dv_error *add_file(struct packer *p, const char *name, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct packed_file *f = &p->files[p->files_len];

	if (fd < 0)
		return dv_error_os(errno, "%s", path);
	if (p->files_len == MAX_FILES)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: more than %d files in the recording", p->recording->folder,
				    MAX_FILES);
	*f = (struct packed_file){.name = strdup(name), .path = strdup(path)};
	p->files_len++;
	if (!f->name || !f->path)
		return dv_error_no_memory();
	if (fstat(fd, &f->st))
		return dv_error_os(errno, "%s", path);
	DV_TRY(find_extents(f, fd));
	p->bytes += (uint64_t)f->st.st_size;
	for (size_t i = 0; i < f->extents_len; i++)
		p->data_bytes += f->extents[i].bytes;
	return NULL;
}

static bool is_left_out(const struct packer *p, const char *name)
{
	return name[0] == '.' || !strcmp(name, DV_RECORDING_MANIFEST) || !strcmp(name, DV_PACK_JSON) ||
	       !strcmp(name, DV_PACK_SUMS) ||
	       (p->options->without_trace && strlen(name) > 8 && !strcmp(name + strlen(name) - 8, ".dvtrace"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct packed_file *)a)->name, ((const struct packed_file *)b)->name);
}

static struct dv_error *add_folder(struct packer *p)
{
	DIR *dir = opendir(p->recording->folder);
	struct dv_error *err = NULL;
	struct dirent *entry;

	if (!dir)
		return dv_error_os(errno, "%s", p->recording->folder);
	while (!err && (entry = readdir(dir))) {
		_cleanup_free_ char *path = dv_path_join(p->recording->folder, entry->d_name);
		struct stat st;

		if (!path)
			err = dv_error_no_memory();
		else if (!is_left_out(p, entry->d_name) && !lstat(path, &st) && S_ISREG(st.st_mode))
			err = add_file(p, entry->d_name, path);
	}
	closedir(dir);
	qsort(p->files, p->files_len, sizeof(p->files[0]), by_name);
	return err;
}

static struct dv_error *flatten(struct packer *p, const char *path, const char *format, const char *file, char **ret)
{
	_cleanup_free_ char *to = NULL;

	if (!p->scratch) {
		const char *slash = strrchr(file, '/');
		_cleanup_free_ char *scratch = NULL;

		if (asprintf(&scratch, "%.*s/.dejaview-pack-XXXXXX", slash && strcmp(file, "-") ? (int)(slash - file) : 1,
			     slash && strcmp(file, "-") ? file : ".") < 0)
			return dv_error_no_memory();
		if (!mkdtemp(scratch))
			return dv_error_os(errno, "%s: cannot make a folder for flattened images", scratch);
		p->scratch = dv_steal(scratch);
	}
	if (asprintf(&to, "%s/%zu", p->scratch, p->files_len) < 0)
		return dv_error_no_memory();
	DV_TRY(dv_qemu_img((char *const[]){(char *)"qemu-img", (char *)"convert", (char *)"-U", (char *)"-f",
					   (char *)format, (char *)"-O", (char *)"qcow2", (char *)path, to, NULL},
			   MAX_OUTPUT, NULL));
	*ret = dv_steal(to);
	return NULL;
}

/* The manifest's two places that say where image i lies: there, a plain file in the folder. */
static struct dv_error *point_image(struct packer *p, size_t i, const char *stored, const char *flat_path)
{
	json_t *image = json_array_get(json_object_get(json_object_get(p->manifest, "plan"), "images"), i);
	json_t *files = json_object_get(json_array_get(json_object_get(p->manifest, "images"), i), "files");
	json_t *file = json_array_get(files, 0);
	char digest[DV_DIGEST_TEXT];
	struct stat st;

	json_object_set_new(image, "path", json_string(stored));
	json_object_set_new(file, "path", json_string(stored));
	if (!flat_path)
		return NULL;
	json_object_set_new(image, "format", json_string("qcow2"));
	json_object_set_new(image, "backing", json_array());
	while (json_array_size(files) > 1)
		json_array_remove(files, 1);
	if (stat(flat_path, &st))
		return dv_error_os(errno, "%s", flat_path);
	DV_TRY(dv_digest_file(flat_path, NULL, NULL, digest));
	json_object_set_new(file, "bytes", json_integer(st.st_size));
	json_object_set_new(file, "mtime_ns", json_integer((json_int_t)st.st_mtim.tv_sec * 1000000000 +
							   st.st_mtim.tv_nsec));
	json_object_set_new(file, "sha256", json_string(digest));
	return NULL;
}

static struct dv_error *add_images(struct packer *p, const char *file)
{
	const struct dv_qemu_plan *plan = p->recording->plan;

	for (size_t i = 0; i < plan->images_len; i++) {
		const struct dv_qemu_image *image = &plan->images[i];
		_cleanup_free_ char *path = dv_qemu_image_path(plan, i, p->recording->folder), *flat = NULL;
		char stored[32];

		if (!path)
			return dv_error_no_memory();
		if (image->path[0] != '/')
			continue; /* is in the folder */
		snprintf(stored, sizeof(stored), "base-%zu.img", i);
		if (image->backing && image->backing[0])
			DV_TRY(flatten(p, path, image->format, file, &flat));
		DV_TRY(add_file(p, stored, flat ? flat : path));
		DV_TRY(point_image(p, i, stored, flat));
	}
	return NULL;
}

/* QEMU's program is looked for by its name elsewhere. */
static struct dv_error *make_manifest(struct packer *p)
{
	json_t *plan = json_object_get(p->manifest, "plan");
	const char *slash = strrchr(p->recording->plan->binary, '/');

	if (slash)
		json_object_set_new(plan, "binary", json_string(slash + 1));
	p->manifest_text = json_dumps(p->manifest, JSON_INDENT(2));
	if (!p->manifest_text)
		return dv_error_no_memory();
	p->bytes += strlen(p->manifest_text);
	p->data_bytes += strlen(p->manifest_text);
	return NULL;
}

/* ---- which packages QEMU came from ---- */

static void add_package(json_t *packages, const char *package)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	char *const argv[] = {(char *)"dpkg-query", (char *)"-W", (char *)"-f=${Package} ${Version} ${Architecture}\n",
			      (char *)package, NULL};
	char name[128], version[128], architecture[32];

	dv_error_destroy(dv_process_run(argv, MAX_OUTPUT, &out));
	dv_buf_append(&out, "", 1);
	if (!out.failed && sscanf((char *)out.data, "%127s %127s %31s", name, version, architecture) == 3 &&
	    !strcmp(name, package))
		json_array_append_new(packages, json_pack("{s:s, s:s, s:s}", "package", name, "version", version,
							  "architecture", architecture));
}

/* Those of the program and of the firmware that it loads, where dpkg knows them. A missing dpkg is no error. */
static json_t *find_packages(const struct dv_recording *r)
{
	static const char *const firmware[] = {"qemu-system-common", "qemu-system-data", "seabios", "ipxe-qemu"};
	const char *recorded = json_string_value(json_object_get(r->manifest, "qemu_version"));
	const char *slash = strrchr(r->plan->binary, '/');
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	_cleanup_free_ char *pattern = NULL;
	json_t *packages = json_array();
	struct dv_error *err = dv_qemu_probe(r->plan->binary, &version);
	char package[128];

	if (err || !recorded || strcmp(recorded, version.text) ||
	    asprintf(&pattern, "*/bin/%s", slash ? slash + 1 : r->plan->binary) < 0) {
		dv_error_destroy(err);
		return packages;
	}
	dv_error_destroy(dv_process_run((char *const[]){(char *)"dpkg-query", (char *)"-S", pattern, NULL}, MAX_OUTPUT,
					&out));
	dv_buf_append(&out, "", 1);
	if (out.failed || sscanf((char *)out.data, "%127[a-z0-9.+-]:", package) != 1 || !strcmp(package, "dpkg-query"))
		return packages;
	add_package(packages, package);
	for (size_t i = 0; i < DV_ARRAY_SIZE(firmware); i++)
		add_package(packages, firmware[i]);
	return packages;
}

/* ---- writing ---- */

static struct dv_error *progress(struct packer *p, const char *name, uint64_t more)
{
	p->done_bytes += more;
	if (p->options->progress &&
	    !p->options->progress(p->options->context, name, p->done_bytes, p->data_bytes))
		return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
	return NULL;
}

static struct dv_error *put_header(struct packer *p, const char *name, const struct packed_file *f, uint64_t bytes)
{
	_cleanup_free_ char *path = NULL;
	struct archive_entry *entry = archive_entry_new();
	struct dv_error *err = NULL;

	if (!entry || asprintf(&path, "%s/%s", p->name, name) < 0) {
		archive_entry_free(entry);
		return dv_error_no_memory();
	}
	archive_entry_copy_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (int64_t)bytes);
	archive_entry_set_mtime(entry, f ? f->st.st_mtim.tv_sec : time(NULL), f ? f->st.st_mtim.tv_nsec : 0);
	if (f && (f->extents_len > 1 || (f->extents_len == 1 && f->extents[0].bytes != bytes) ||
		  (!f->extents_len && bytes))) {
		for (size_t i = 0; i < f->extents_len; i++)
			archive_entry_sparse_add_entry(entry, (int64_t)f->extents[i].from, (int64_t)f->extents[i].bytes);
		if (!f->extents_len)
			archive_entry_sparse_add_entry(entry, (int64_t)bytes, 0);
	}
	/* A warning is about a name that is not UTF-8: it is kept as it is. */
	if (archive_write_header(p->archive, entry) < ARCHIVE_WARN)
		err = archive_failed(p, name);
	archive_entry_free(entry);
	return err;
}

static void add_sum(struct packer *p, struct sha256_ctx *sha, const char *name)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(sha, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		dv_buf_printf(&p->sums, "%02x", digest[i]);
	dv_buf_printf(&p->sums, "  %s\n", name);
}

static struct dv_error *put_data(struct packer *p, const char *name, struct sha256_ctx *sha, const void *data, size_t len)
{
	sha256_update(sha, len, data);
	for (size_t done = 0; done < len;) {
		la_ssize_t n = archive_write_data(p->archive, (const char *)data + done, len - done);

		if (n <= 0)
			return archive_failed(p, name);
		done += (size_t)n;
	}
	return NULL;
}

static struct dv_error *put_text(struct packer *p, const char *name, const char *text, size_t len)
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	DV_TRY(put_header(p, name, NULL, len));
	DV_TRY(put_data(p, name, &sha, text, len));
	add_sum(p, &sha, name);
	return NULL;
}

/* [from, to) of the file, or of zeros when fd is -1: the archive leaves out what its header says is a hole. */
static struct dv_error *put_range(struct packer *p, const struct packed_file *f, int fd, uint64_t from, uint64_t to,
				  struct sha256_ctx *sha)
{
	if (fd < 0)
		memset(p->chunk, 0, CHUNK_BYTES);
	while (from < to) {
		size_t want = to - from < CHUNK_BYTES ? (size_t)(to - from) : CHUNK_BYTES;
		ssize_t n = fd < 0 ? (ssize_t)want : pread(fd, p->chunk, want, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "%s: cannot read", f->path);
		if (n == 0)
			return dv_error_new(DV_ERROR_TRUNCATED, "%s became shorter while it was packed", f->path);
		DV_TRY(put_data(p, f->name, sha, p->chunk, (size_t)n));
		DV_TRY(progress(p, f->name, fd < 0 ? 0 : (uint64_t)n));
		from += (uint64_t)n;
	}
	return NULL;
}

static struct dv_error *put_file(struct packer *p, const struct packed_file *f)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct sha256_ctx sha;
	uint64_t at = 0;

	if (fd < 0)
		return dv_error_os(errno, "%s", f->path);
	sha256_init(&sha);
	DV_TRY(put_header(p, f->name, f, (uint64_t)f->st.st_size));
	for (size_t i = 0; i < f->extents_len; i++) {
		const struct extent *e = &f->extents[i];

		DV_TRY(put_range(p, f, -1, at, e->from, &sha));
		DV_TRY(put_range(p, f, fd, e->from, e->from + e->bytes, &sha));
		at = e->from + e->bytes;
	}
	DV_TRY(put_range(p, f, -1, at, (uint64_t)f->st.st_size, &sha));
	add_sum(p, &sha, f->name);
	return NULL;
}

static struct dv_error *put_all(struct packer *p)
{
	const char *version = json_string_value(json_object_get(p->manifest, "qemu_version"));
	json_t *json = json_pack("{s:i, s:s, s:s, s:s?, s:o, s:I, s:I, s:I}", "schema", DV_PACK_SCHEMA, "dejaview",
				 DV_VERSION, "name", p->name, "qemu_version", version, "packages",
				 find_packages(p->recording), "files", (json_int_t)p->files_len + 1, "bytes",
				 (json_int_t)p->bytes, "data_bytes", (json_int_t)p->data_bytes);
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	json_decref(json);
	if (!text)
		return dv_error_new(DV_ERROR_INVALID, "%s: its name is not UTF-8", p->recording->folder);
	DV_TRY(put_text(p, DV_PACK_JSON, text, strlen(text)));
	DV_TRY(put_text(p, DV_RECORDING_MANIFEST, p->manifest_text, strlen(p->manifest_text)));
	DV_TRY(progress(p, DV_RECORDING_MANIFEST, strlen(p->manifest_text)));
	for (size_t i = 0; i < p->files_len; i++)
		DV_TRY(put_file(p, &p->files[i]));
	if (p->sums.failed)
		return dv_error_no_memory();
	DV_TRY(put_header(p, DV_PACK_SUMS, NULL, p->sums.len));
	if (archive_write_data(p->archive, p->sums.data, p->sums.len) != (la_ssize_t)p->sums.len)
		return archive_failed(p, DV_PACK_SUMS);
	return archive_write_close(p->archive) == ARCHIVE_OK ? NULL : archive_failed(p, "the archive");
}

static struct dv_error *write_archive(struct packer *p, int fd)
{
	char level[8];
	struct dv_error *err;

	snprintf(level, sizeof(level), "%d", p->options->level ? p->options->level : DV_PACK_DEFAULT_LEVEL);
	p->archive = archive_write_new();
	p->chunk = malloc(CHUNK_BYTES);
	if (!p->archive || !p->chunk)
		return dv_error_no_memory();
	if (archive_write_set_format_pax_restricted(p->archive) || archive_write_add_filter_zstd(p->archive) ||
	    archive_write_set_filter_option(p->archive, "zstd", "compression-level", level) ||
	    archive_write_set_bytes_in_last_block(p->archive, 1) || archive_write_open_fd(p->archive, fd))
		return archive_failed(p, "libarchive");
	err = put_all(p);
	if (err)
		archive_write_fail(p->archive);
	return err;
}

/* ---- the file ---- */

/* One without a name where the file system can, so that a killed packer leaves nothing. */
static struct dv_error *open_output(const char *file, char **ret_temporary, int *ret)
{
	_cleanup_free_ char *dir = strdup(file), *temporary = NULL;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (!dir)
		return dv_error_no_memory();
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return dv_error_os(errno, "%s: cannot write there", slash ? dir : ".");
	if (fd < 0) {
		if (asprintf(&temporary, "%s.XXXXXX", file) < 0)
			return dv_error_no_memory();
		fd = mkstemp(temporary);
		if (fd < 0)
			return dv_error_os(errno, "%s", temporary);
		fchmod(fd, 0644);
	}
	*ret_temporary = dv_steal(temporary);
	*ret = fd;
	return NULL;
}

static struct dv_error *give_name(int fd, char **temporary, const char *file, bool force)
{
	char self[32];

	if (fsync(fd))
		return dv_error_os(errno, "%s: cannot write", file);
	if (!*temporary) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		if (!linkat(AT_FDCWD, self, AT_FDCWD, file, AT_SYMLINK_FOLLOW))
			return NULL;
		if (errno != EEXIST || !force)
			return dv_error_os(errno, "%s", file);
		if (asprintf(temporary, "%s.%d", file, (int)getpid()) < 0)
			return dv_error_no_memory();
		if (linkat(AT_FDCWD, self, AT_FDCWD, *temporary, AT_SYMLINK_FOLLOW))
			return dv_error_os(errno, "%s", *temporary);
	}
	if (force ? rename(*temporary, file) : link(*temporary, file))
		return dv_error_os(errno, "%s", file);
	if (!force)
		unlink(*temporary);
	free(dv_steal(*temporary));
	return NULL;
}

static struct dv_error *pack_to_file(struct packer *p, const char *file, struct dv_pack_result *ret)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	struct dv_error *err;
	struct stat st;

	if (!p->options->force && !access(file, F_OK))
		return dv_error_new(DV_ERROR_INVALID, "%s exists: choose another name, or --force to replace it", file);
	DV_TRY(open_output(file, &temporary, &fd));
	err = write_archive(p, fd);
	if (!err)
		err = give_name(fd, &temporary, file, p->options->force);
	if (err && temporary)
		unlink(temporary);
	if (!err && !fstat(fd, &st))
		ret->pack_bytes = (uint64_t)st.st_size;
	return err;
}

static struct dv_error *pack(struct packer *p, const char *file, struct dv_pack_result *ret)
{
	DV_TRY(add_folder(p));
	DV_TRY(add_images(p, file));
	DV_TRY(make_manifest(p));
	ret->bytes = p->bytes;
	ret->data_bytes = p->data_bytes;
	return strcmp(file, "-") ? pack_to_file(p, file, ret) : write_archive(p, STDOUT_FILENO);
}

static void packer_deinit(struct packer *p)
{
	for (size_t i = 0; i < p->files_len; i++) {
		/* Flattened images lie in the scratch folder. */
		if (p->scratch && p->files[i].path && !strncmp(p->files[i].path, p->scratch, strlen(p->scratch)))
			unlink(p->files[i].path);
		free(p->files[i].name);
		free(p->files[i].path);
		free(p->files[i].extents);
	}
	if (p->scratch)
		rmdir(p->scratch);
	free(p->scratch);
	json_decref(p->manifest);
	free(p->manifest_text);
	dv_buf_deinit(&p->sums);
	if (p->archive)
		archive_write_free(p->archive);
	free(p->chunk);
}

struct dv_error *dv_recording_pack(const struct dv_recording *recording, const char *file, const struct dv_pack_options *options,
			 struct dv_pack_result *ret)
{
	const char *slash = strrchr(recording->folder, '/');
	struct packer *p = calloc(1, sizeof(*p));
	struct dv_pack_result result = {0};
	struct dv_error *err;

	if (!p)
		return dv_error_no_memory();
	*p = (struct packer){.recording = recording, .options = options, .name = slash + 1};
	p->manifest = json_deep_copy(recording->manifest);
	err = p->manifest ? pack(p, file, &result) : dv_error_no_memory();
	packer_deinit(p);
	free(p);
	if (!err)
		*ret = result;
	return err;
}
