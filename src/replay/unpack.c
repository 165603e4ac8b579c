/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packed recording into a folder again: see pack.h. Nothing in the archive is trusted. */
#include "replay/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "base/io.h"
#include "replay/digest.h"

#define MAX_FILES     256
#define MAX_NAME      128
#define MAX_TEXT      (16u << 20) /* of the files that are kept in memory: pack.json, SHA256SUMS */
#define MAX_FILE_SIZE (1ull << 44) /* holes included: 16 TiB */
#define BLOCK_BYTES   (128u << 10)

struct unpacked_file {
	char name[MAX_NAME];
	char digest[DV_DIGEST_TEXT];
};

struct unpacker {
	const char *file; /* for messages */
	const struct dv_pack_options *options;
	struct archive *archive;
	int dir; /* what is unpacked into */
	char top[MAX_NAME]; /* the archive's folder */
	const char *folder; /* what it is to become; NULL: top */
	struct unpacked_file files[MAX_FILES];
	size_t files_len;
	bool announced;
	uint64_t want_files, want_bytes, want_data_bytes;
	uint64_t bytes, data_bytes;
	uint8_t *zeros;
	struct dv_buf text; /* of pack.json or SHA256SUMS */
	bool have_sums;
};

static struct dv_error *broken(const struct unpacker *u, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct dv_error *broken(const struct unpacker *u, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	return dv_error_new(DV_ERROR_FORMAT, "%s: %s", u->file, text ? text : "broken");
}

static struct dv_error *unreadable(const struct unpacker *u)
{
	const char *words = archive_error_string(u->archive);

	return dv_error_new(words && strstr(words, "runcated") ? DV_ERROR_TRUNCATED : DV_ERROR_FORMAT,
			    "%s: cannot be unpacked: %s", u->file, words ? words : "not an archive of zstd and tar");
}

/* ---- names ---- */

/* One plain component, printable, that hides nothing. */
static bool is_plain_name(const char *name, size_t len)
{
	if (!len || len >= MAX_NAME || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '/' || name[i] == '\\' || (unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	}
	return true;
}

/* Takes "TOP/NAME" apart; TOP is the same for all. */
static struct dv_error *take_name(struct unpacker *u, const char *path, char ret[static MAX_NAME])
{
	const char *slash = path ? strchr(path, '/') : NULL;

	if (!slash || !is_plain_name(path, (size_t)(slash - path)) || !is_plain_name(slash + 1, strlen(slash + 1)))
		return broken(u, "an entry is named '%.200s', which is no file of a recording's folder",
			      path ? path : "");
	if (!u->top[0])
		memcpy(u->top, path, (size_t)(slash - path));
	if (strlen(u->top) != (size_t)(slash - path) || strncmp(u->top, path, strlen(u->top)))
		return broken(u, "an entry is named '%.200s', outside of '%s'", path, u->top);
	for (size_t i = 0; i < u->files_len; i++) {
		if (!strcmp(u->files[i].name, slash + 1))
			return broken(u, "'%s' comes twice", slash + 1);
	}
	strcpy(ret, slash + 1);
	return NULL;
}

/* ---- contents ---- */

/* What a file's data go through: the digest is of all of it, holes as zeros. */
struct sink {
	struct unpacker *u;
	const char *name;
	int fd; /* -1: into u->text */
	uint64_t size, at;
	struct sha256_ctx sha;
};

static void hash_hole(struct sink *s, uint64_t to)
{
	while (s->at < to) {
		size_t n = to - s->at < BLOCK_BYTES ? (size_t)(to - s->at) : BLOCK_BYTES;

		sha256_update(&s->sha, n, s->u->zeros);
		s->at += n;
	}
}

static struct dv_error *store(struct sink *s, const uint8_t *data, size_t len)
{
	sha256_update(&s->sha, len, data);
	if (s->fd < 0)
		dv_buf_append(&s->u->text, data, len);
	for (size_t done = 0; s->fd >= 0 && done < len;) {
		ssize_t n = pwrite(s->fd, data + done, len - done, (off_t)(s->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "%s: cannot write", s->name);
		done += (size_t)n;
	}
	s->at += len;
	return NULL;
}

static struct dv_error *count(struct sink *s, size_t len)
{
	struct unpacker *u = s->u;

	if (s->fd < 0)
		return NULL;
	u->data_bytes += len;
	if (u->data_bytes > u->want_data_bytes)
		return broken(u, "holds more than the %llu bytes that it announced",
			      (unsigned long long)u->want_data_bytes);
	if (u->options->progress &&
	    !u->options->progress(u->options->context, s->name, u->data_bytes, u->want_data_bytes))
		return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
	return NULL;
}

static struct dv_error *read_data(struct sink *s)
{
	const void *data;
	la_int64_t offset;
	size_t len;
	int result;

	sha256_init(&s->sha);
	while ((result = archive_read_data_block(s->u->archive, &data, &len, &offset)) == ARCHIVE_OK) {
		if (offset < 0 || (uint64_t)offset < s->at || (uint64_t)offset > s->size ||
		    len > s->size - (uint64_t)offset)
			return broken(s->u, "'%s' has data outside of its %llu bytes", s->name,
				      (unsigned long long)s->size);
		hash_hole(s, (uint64_t)offset);
		DV_TRY(count(s, len));
		DV_TRY(store(s, data, len));
	}
	if (result != ARCHIVE_EOF)
		return unreadable(s->u);
	hash_hole(s, s->size);
	return NULL;
}

static void keep_digest(struct sink *s)
{
	struct unpacked_file *f = &s->u->files[s->u->files_len++];
	uint8_t digest[SHA256_DIGEST_SIZE];

	strcpy(f->name, s->name);
	sha256_digest(&s->sha, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(f->digest + 2 * i, 3, "%02x", digest[i]);
}

static struct dv_error *write_file(struct unpacker *u, const char *name, struct archive_entry *entry)
{
	_cleanup_close_ int fd = openat(u->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	struct sink s = {.u = u, .name = name, .fd = fd, .size = (uint64_t)archive_entry_size(entry)};
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};

	if (fd < 0)
		return dv_error_os(errno, "%s", name);
	u->bytes += s.size;
	if (u->bytes > u->want_bytes)
		return broken(u, "holds more than the %llu bytes that it announced", (unsigned long long)u->want_bytes);
	DV_TRY(read_data(&s));
	if (ftruncate(fd, (off_t)s.size))
		return dv_error_os(errno, "%s", name);
	if (archive_entry_mtime_is_set(entry))
		futimens(fd, times);
	if (fsync(fd))
		return dv_error_os(errno, "%s: cannot write", name);
	keep_digest(&s);
	return NULL;
}

static struct dv_error *read_text(struct unpacker *u, const char *name, struct archive_entry *entry)
{
	struct sink s = {.u = u, .name = name, .fd = -1, .size = (uint64_t)archive_entry_size(entry)};

	if (s.size > MAX_TEXT)
		return broken(u, "'%s' is too long", name);
	dv_buf_clear(&u->text);
	DV_TRY(read_data(&s));
	dv_buf_append(&u->text, "", 1);
	if (u->text.failed)
		return dv_error_no_memory();
	keep_digest(&s);
	return NULL;
}

/* ---- what was announced ---- */

static struct dv_error *check_room(struct unpacker *u)
{
	uint64_t max = u->options->max_bytes ? u->options->max_bytes : DV_PACK_DEFAULT_MAX_BYTES;
	struct statvfs fs;

	if (u->want_data_bytes > max)
		return dv_error_new(DV_ERROR_INVALID,
				    "%s: unpacks to %llu MiB, which is more than %llu MiB: allow it with --max-size, if you "
				    "know where the file is from",
				    u->file, (unsigned long long)(u->want_data_bytes >> 20),
				    (unsigned long long)(max >> 20));
	if (!fstatvfs(u->dir, &fs) && fs.f_bavail * fs.f_frsize < u->want_data_bytes)
		return dv_error_new(DV_ERROR_OS, "%s: unpacks to %llu MiB, but only %llu MiB are free there", u->file,
				    (unsigned long long)(u->want_data_bytes >> 20),
				    (unsigned long long)(fs.f_bavail * fs.f_frsize >> 20));
	return NULL;
}

static struct dv_error *check_is_new(const struct unpacker *u)
{
	const char *folder = u->folder ? u->folder : u->top;
	struct stat st;

	if (u->options->force || lstat(folder, &st))
		return NULL;
	return dv_error_new(DV_ERROR_INVALID, "%s exists: choose another name with -o, or --force to replace it", folder);
}

static struct dv_error *take_announcement(struct unpacker *u)
{
	json_t *json = json_loads((char *)u->text.data, 0, NULL);
	json_int_t schema = json_integer_value(json_object_get(json, "schema"));
	json_int_t files = json_integer_value(json_object_get(json, "files"));
	json_int_t bytes = json_integer_value(json_object_get(json, "bytes"));
	json_int_t data_bytes = json_integer_value(json_object_get(json, "data_bytes"));

	json_decref(json);
	if (schema > DV_PACK_SCHEMA)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: packed by a newer dejaview (schema %lld): unpack it with that",
				    u->file, (long long)schema);
	if (schema < 1 || files < 1 || files > MAX_FILES - 2 || bytes < 0 || data_bytes < 0 || data_bytes > bytes)
		return broken(u, "'%s' does not say what is in it", DV_PACK_JSON);
	u->want_files = (uint64_t)files;
	u->want_bytes = (uint64_t)bytes;
	u->want_data_bytes = (uint64_t)data_bytes;
	u->announced = true;
	DV_TRY(check_is_new(u));
	return check_room(u);
}

/* pack.json stays in the folder: it says which packages QEMU is in. */
static struct dv_error *keep_announcement(struct unpacker *u)
{
	_cleanup_close_ int fd = openat(u->dir, DV_PACK_JSON, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return dv_error_os(errno, "%s", DV_PACK_JSON);
	return dv_write_all(fd, u->text.data, u->text.len - 1, DV_PACK_JSON);
}

/* "DIGEST  NAME" a line: each file that came, and no other. */
static struct dv_error *check_sums(struct unpacker *u)
{
	char *rest = (char *)u->text.data, *line;
	size_t checked = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		const struct unpacked_file *found = NULL;

		if (strlen(line) < DV_DIGEST_TEXT + 1 || line[64] != ' ' || line[65] != ' ')
			return broken(u, "'%s' has a line that is none", DV_PACK_SUMS);
		line[64] = '\0';
		for (size_t i = 0; i < u->files_len && !found; i++) {
			if (!strcmp(u->files[i].name, line + 66))
				found = &u->files[i];
		}
		if (!found)
			return broken(u, "'%.100s' is missing", line + 66);
		if (strcmp(found->digest, line))
			return dv_error_new(DV_ERROR_MISMATCH, "%s: '%s' is damaged: its SHA-256 is %s, not %s", u->file,
					    found->name, found->digest, line);
		checked++;
	}
	if (checked != u->files_len - 1) /* the sums themselves */
		return broken(u, "'%s' does not have every file", DV_PACK_SUMS);
	return NULL;
}

/* ---- entries ---- */

static struct dv_error *take_entry(struct unpacker *u, struct archive_entry *entry)
{
	char name[MAX_NAME];

	DV_TRY(take_name(u, archive_entry_pathname(entry), name));
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) || archive_entry_symlink(entry))
		return broken(u, "'%s' is no plain file", name);
	if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0 ||
	    (uint64_t)archive_entry_size(entry) > MAX_FILE_SIZE)
		return broken(u, "'%s' has no size that can be", name);
	if (u->have_sums)
		return broken(u, "'%s' comes after '%s'", name, DV_PACK_SUMS);
	if (!u->announced) {
		if (strcmp(name, DV_PACK_JSON))
			return broken(u, "is no packed recording: '%s' comes first, not '%s'", name, DV_PACK_JSON);
		DV_TRY(read_text(u, name, entry));
		DV_TRY(take_announcement(u));
		return keep_announcement(u);
	}
	if (!strcmp(name, DV_PACK_SUMS)) {
		DV_TRY(read_text(u, name, entry));
		u->have_sums = true;
		return check_sums(u);
	}
	if (u->files_len > u->want_files)
		return broken(u, "holds more than the %llu files that it announced", (unsigned long long)u->want_files);
	return write_file(u, name, entry);
}

static struct dv_error *take_all(struct unpacker *u)
{
	struct archive_entry *entry;
	int result;

	while ((result = archive_read_next_header(u->archive, &entry)) == ARCHIVE_OK || result == ARCHIVE_WARN)
		DV_TRY(take_entry(u, entry));
	if (result != ARCHIVE_EOF)
		return unreadable(u);
	if (!u->announced)
		return broken(u, "is no packed recording: it is empty");
	if (!u->have_sums)
		return dv_error_new(DV_ERROR_TRUNCATED, "%s: ends without its '%s': it is not whole", u->file, DV_PACK_SUMS);
	return NULL;
}

static struct dv_error *open_archive(struct unpacker *u, int fd)
{
	u->archive = archive_read_new();
	u->zeros = calloc(1, BLOCK_BYTES);
	if (!u->archive || !u->zeros)
		return dv_error_no_memory();
	if (archive_read_support_filter_zstd(u->archive) || archive_read_support_format_tar(u->archive) ||
	    archive_read_open_fd(u->archive, fd, BLOCK_BYTES))
		return unreadable(u);
	return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

/* A recording runs QEMU when it is replayed: with nothing that lies outside of its folder. */
static struct dv_error *check_recording(const struct unpacker *u, const struct dv_recording *r)
{
	const struct dv_qemu_plan *plan = r->plan;
	bool good = !strncmp(plan->binary, "qemu-system-", 12) && !strchr(plan->binary, '/');

	if (!good)
		return broken(u, "its QEMU is called '%.100s'", plan->binary);
	for (size_t i = 0; i < plan->files_len; i++) {
		const char *stored = plan->files[i].stored;

		if (!stored || !is_plain_name(stored, strlen(stored)) || faccessat(u->dir, stored, R_OK, 0))
			return broken(u, "the %s is not in it", plan->files[i].role);
	}
	for (size_t i = 0; i < plan->images_len; i++) {
		const struct dv_qemu_image *image = &plan->images[i];

		if (!is_plain_name(image->path, strlen(image->path)) || faccessat(u->dir, image->path, R_OK, 0) ||
		    (image->overlay && !is_plain_name(image->overlay, strlen(image->overlay))) ||
		    (image->backing && image->backing[0]))
			return broken(u, "the image of drive %s is not in it", image->name);
	}
	return NULL;
}

static struct dv_error *publish(struct unpacker *u, const char *scratch, const char *folder)
{
	struct stat st;

	if (u->options->force && !lstat(folder, &st)) {
		_cleanup_(dv_recording_destroyp) struct dv_recording *old = NULL;

		/* Only a recording of ours is ever replaced. */
		DV_TRY(dv_recording_open(folder, &old));
		if (old->is_live)
			return dv_error_new(DV_ERROR_INVALID, "%s is being recorded into right now: not replaced", folder);
		if (nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
			return dv_error_os(errno, "%s: cannot remove the old recording", folder);
	}
	if (renameat2(AT_FDCWD, scratch, AT_FDCWD, folder, RENAME_NOREPLACE))
		return dv_error_os(errno, "%s", folder);
	return NULL;
}

static struct dv_error *unpack_into(struct unpacker *u, const char *scratch, const char *folder,
				    struct dv_recording **ret)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;

	u->dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->dir < 0)
		return dv_error_os(errno, "%s", scratch);
	DV_TRY(take_all(u));
	DV_TRY(dv_error_prefix(dv_recording_open(scratch, &r), "%s", u->file));
	DV_TRY(check_recording(u, r));
	if (fchmod(u->dir, 0755) || fsync(u->dir))
		return dv_error_os(errno, "%s", scratch);
	folder = folder ? folder : u->top;
	DV_TRY(publish(u, scratch, folder));
	return dv_recording_open(folder, ret);
}

/* In the folder that the result is to lie in, so that one rename makes it appear. */
static struct dv_error *make_scratch(const char *folder, char **ret)
{
	_cleanup_free_ char *scratch = NULL;
	const char *slash = folder ? strrchr(folder, '/') : NULL;

	if (asprintf(&scratch, "%.*s.dejaview-unpack-XXXXXX", slash ? (int)(slash + 1 - folder) : 0,
		     slash ? folder : "") < 0)
		return dv_error_no_memory();
	if (!mkdtemp(scratch))
		return dv_error_os(errno, "%s: cannot make a folder", scratch);
	*ret = dv_steal(scratch);
	return NULL;
}

static struct dv_error *unpack(struct unpacker *u, int fd, const char *folder, struct dv_recording **ret)
{
	_cleanup_free_ char *scratch = NULL;
	struct dv_error *err;

	u->folder = folder;
	if (folder)
		DV_TRY(check_is_new(u));
	DV_TRY(open_archive(u, fd));
	DV_TRY(make_scratch(folder, &scratch));
	err = unpack_into(u, scratch, folder, ret);
	if (err)
		nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return err;
}

struct dv_error *dv_recording_unpack(const char *file, const char *folder, const struct dv_pack_options *options,
			   struct dv_recording **ret, struct dv_pack_result *ret_sizes)
{
	bool is_stdin = !strcmp(file, "-");
	_cleanup_close_ int fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *plain = folder ? strdup(folder) : NULL;
	struct unpacker *u = calloc(1, sizeof(*u));
	struct dv_error *err;

	if (!u || (folder && !plain)) {
		free(u);
		return dv_error_no_memory();
	}
	while (plain && strlen(plain) > 1 && plain[strlen(plain) - 1] == '/')
		plain[strlen(plain) - 1] = '\0';
	*u = (struct unpacker){.file = is_stdin ? "standard input" : file, .options = options, .dir = -1};
	err = fd < 0 ? dv_error_os(errno, "%s", file) : unpack(u, fd, plain, ret);
	if (!err)
		*ret_sizes = (struct dv_pack_result){.bytes = u->bytes, .data_bytes = u->data_bytes};
	if (u->archive)
		archive_read_free(u->archive);
	if (u->dir >= 0)
		close(u->dir);
	dv_buf_deinit(&u->text);
	free(u->zeros);
	free(u);
	return err;
}
