/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources of a guest's files: see files.h. */
#include "symbols/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/io.h"
#include "symbols/cpio.h"
#include "symbols/debugfiles.h"
#include "symbols/disk.h"

#define MAX_FILE_BYTES	(512u << 20)
#define MAX_DISKS	16
#define NO_MAJOR(device) ((device) >> 20 == 0) /* a file system on no block device, as an initramfs */

struct dv_files {
	int sysroot_fd; /* -1: none */
	char *sysroot, *debug_folder;
	struct dv_cpio *cpio;
	struct dv_disk *disks[MAX_DISKS];
	size_t disk_count;
};

struct found {
	const uint8_t *data; /* NULL: not found */
	size_t len;
	struct dv_buf buf; /* holds it, when it is not the source's */
	char path[PATH_MAX]; /* of a debug file: where it was found */
};

static void found_deinit(struct found *f)
{
	dv_buf_deinit(&f->buf);
}

/* Opening */

/* Keeps the first complaint, and says that there are more. */
static void complain(struct dv_error **complaints, struct dv_error *err)
{
	if (!err)
		return;
	if (*complaints)
		dv_error_destroy(err);
	else
		*complaints = err;
}

static struct dv_error *open_sysroot(struct dv_files *files, const char *path)
{
	files->sysroot_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (files->sysroot_fd < 0)
		return dv_error_os(errno, "sysroot %s", path);
	files->sysroot = strdup(path);
	return files->sysroot ? NULL : dv_error_no_memory();
}

static struct dv_error *open_disk(struct dv_files *files, const char *path)
{
	if (files->disk_count == MAX_DISKS)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: symbols are read from %d disks at most", path, MAX_DISKS);
	DV_TRY(dv_disk_open(path, &files->disks[files->disk_count]));
	files->disk_count++;
	return NULL;
}

struct dv_error *dv_files_open(const struct dv_files_options *options, struct dv_files **ret,
			       struct dv_error **ret_complaints)
{
	struct dv_files *files = calloc(1, sizeof(*files));

	*ret_complaints = NULL;
	if (!files)
		return dv_error_no_memory();
	files->sysroot_fd = -1;
	files->debug_folder = options->debug_folder ? strdup(options->debug_folder) : NULL;
	if (options->sysroot)
		complain(ret_complaints, open_sysroot(files, options->sysroot));
	if (options->initrd)
		complain(ret_complaints, dv_cpio_open(options->initrd, &files->cpio));
	for (const char *const *disk = options->disks; disk && *disk; disk++)
		complain(ret_complaints, open_disk(files, *disk));
	*ret = files;
	return NULL;
}

void dv_files_close(struct dv_files *files)
{
	if (!files)
		return;
	if (files->sysroot_fd >= 0)
		close(files->sysroot_fd);
	free(files->sysroot);
	free(files->debug_folder);
	dv_cpio_close(files->cpio);
	for (size_t i = 0; i < files->disk_count; i++)
		dv_disk_close(files->disks[i]);
	free(files);
}

/* Reading */

/* Below a folder, whose links may be absolute: they are taken as the guest would. */
static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static struct dv_error *read_fd(int fd, const char *what, const char *path, struct found *found)
{
	struct stat st;
	uint8_t *to;

	if (fstat(fd, &st) < 0)
		return dv_error_os(errno, "%s%s", what, path);
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s%s: not a file of at most %u bytes", what, path,
				    MAX_FILE_BYTES);
	to = dv_buf_reserve(&found->buf, (size_t)st.st_size + 1);
	if (!to)
		return dv_error_no_memory();
	while (found->buf.len < (size_t)st.st_size) {
		ssize_t n = read(fd, found->buf.data + found->buf.len, (size_t)st.st_size - found->buf.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "%s%s", what, path);
		if (!n)
			break;
		found->buf.len += (size_t)n;
	}
	found->data = found->buf.data;
	found->len = found->buf.len;
	return NULL;
}

static struct dv_error *read_sysroot(struct dv_files *files, const char *path, struct found *found)
{
	_cleanup_close_ int fd = files->sysroot_fd < 0 ? -1 : open_in_root(files->sysroot_fd, path);

	return fd < 0 ? NULL : read_fd(fd, files->sysroot, path, found);
}

static void read_initrd(struct dv_files *files, const char *path, struct found *found)
{
	if (files->cpio && !found->data)
		dv_cpio_find(files->cpio, path, &found->data, &found->len);
}

static struct dv_error *read_disks(struct dv_files *files, const struct dv_file_name *name, struct found *found)
{
	for (size_t i = 0; i < files->disk_count && !found->data; i++) {
		DV_TRY(dv_disk_read(files->disks[i], name->path, name->inode, MAX_FILE_BYTES, &found->buf));
		if (found->buf.len) {
			found->data = found->buf.data;
			found->len = found->buf.len;
		}
	}
	return NULL;
}

/* An initramfs is on no block device, a disk's file system on one: the likely source first. */
static struct dv_error *read_file(struct dv_files *files, const struct dv_file_name *name, struct found *found)
{
	DV_TRY(read_sysroot(files, name->path, found));
	if (NO_MAJOR(name->device))
		read_initrd(files, name->path, found);
	if (!found->data)
		DV_TRY(read_disks(files, name, found));
	read_initrd(files, name->path, found);
	return NULL;
}

/* Debug files */

static struct dv_error *read_debug_path(struct dv_files *files, const char *path, struct found *found)
{
	_cleanup_close_ int fd = -1;

	snprintf(found->path, sizeof(found->path), "%s", path);
	DV_TRY(read_file(files, &(struct dv_file_name){.path = path}, found));
	if (found->data)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? NULL : read_fd(fd, "", path, found);
}

static struct dv_error *read_debug_folder(struct dv_files *files, const char *build_id, struct found *found)
{
	static const char *const below[] = {"", "/usr/lib/debug"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(below) && files->debug_folder && !found->data; i++) {
		_cleanup_free_ char *folder = dv_path_join(files->debug_folder, below[i] + (below[i][0] == '/'));
		_cleanup_free_ char *path = folder ? dv_debug_by_build_id(folder, build_id) : NULL;
		_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

		if (fd < 0)
			continue;
		DV_TRY(read_fd(fd, "", path, found));
		snprintf(found->path, sizeof(found->path), "%s", path);
	}
	return NULL;
}

/* /usr/lib/debug/NAME in the folder that was given, which is like /usr/lib/debug or has one in it. */
static struct dv_error *read_in_debug_folder(struct dv_files *files, const char *path, struct found *found)
{
	static const char usual[] = "/usr/lib/debug/";
	const char *below[] = {path + 1, path + sizeof(usual) - 1};

	for (size_t i = strncmp(path, usual, sizeof(usual) - 1) ? 2 : 0; files->debug_folder && i < 2 && !found->data; i++) {
		_cleanup_free_ char *in = dv_path_join(files->debug_folder, below[i]);
		_cleanup_close_ int fd = in ? open(in, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

		if (fd >= 0)
			DV_TRY(read_fd(fd, "", in, found));
	}
	return NULL;
}

/* gdb's rules: by build id under /usr/lib/debug; by name beside the file, in .debug, under /usr/lib/debug. */
static struct dv_error *find_debug(struct dv_files *files, const struct dv_elf *elf, const char *path,
				   struct found *found)
{
	_cleanup_free_ char *build_id = dv_elf_build_id(elf);
	const char *link, *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) : 0;
	char candidate[4096];
	uint32_t crc;

	if (build_id && strlen(build_id) > 2) {
		DV_TRY(read_debug_folder(files, build_id, found));
		snprintf(candidate, sizeof(candidate), "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
		if (!found->data)
			DV_TRY(read_debug_path(files, candidate, found));
	}
	if (found->data || !dv_elf_debuglink(elf, &link, &crc))
		return NULL;
	for (int i = 0; i < 3; i++) {
		static const char *const formats[] = {"%.*s/%s", "%.*s/.debug/%s", "/usr/lib/debug%.*s/%s"};

		snprintf(candidate, sizeof(candidate), formats[i], dir_len, path, link);
		dv_buf_clear(&found->buf);
		DV_TRY(read_debug_path(files, candidate, found));
		if (found->data && libdeflate_crc32(0, found->data, found->len) == crc)
			return NULL;
		found->data = NULL;
	}
	return NULL;
}

static bool is_of_build(const struct found *found, const char *build_id)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	_cleanup_free_ char *id = NULL;

	if (found->data)
		dv_error_destroy(dv_elf_create(found->data, found->len, &elf));
	id = elf ? dv_elf_build_id(elf) : NULL;
	return id && !strcmp(id, build_id);
}

/* By name, which is relative to the debug file's folder (path) or absolute, else by build id. */
static struct dv_error *find_alt(struct dv_files *files, const struct dv_elf *elf, const char *path, struct found *found,
				 char **ret_build_id)
{
	const char *link, *slash = strrchr(path, '/');
	_cleanup_free_ char *build_id = NULL;
	char candidates[2][PATH_MAX];

	if (!dv_elf_altlink(elf, &link, &build_id) || strlen(build_id) < 3)
		return NULL;
	snprintf(candidates[0], PATH_MAX, "%.*s/%s", *link != '/' && slash ? (int)(slash - path) : 0, path, link);
	snprintf(candidates[1], PATH_MAX, "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
	for (size_t i = 0; i < DV_ARRAY_SIZE(candidates); i++) {
		DV_TRY(read_in_debug_folder(files, candidates[i] + (candidates[i][1] == '/'), found));
		if (!found->data)
			DV_TRY(read_debug_path(files, candidates[i] + (candidates[i][1] == '/'), found));
		if (is_of_build(found, build_id)) {
			if (ret_build_id)
				*ret_build_id = dv_steal(build_id);
			return NULL;
		}
		dv_buf_clear(&found->buf);
		found->data = NULL;
	}
	return NULL;
}

/* The link is in the debug file, or in a file that has its DWARF itself. */
static struct dv_error *find_alt_of(struct dv_files *files, const struct dv_file_name *name, const struct dv_elf *elf,
				    const struct dv_elf *debug, const struct found *debug_found, struct found *ret,
				    char **ret_build_id)
{
	if (debug)
		DV_TRY(find_alt(files, debug, debug_found->path, ret, ret_build_id));
	return ret->data ? NULL : find_alt(files, elf, name->path, ret, ret_build_id);
}

/* The alternate file of whichever names it. What is none is no reason to do without the rest. */
static void take_alt(struct dv_elf *elf, struct dv_elf *debug, const struct found *found, struct dv_elf **ret)
{
	if (!found->data)
		return;
	dv_error_destroy(dv_elf_create(found->data, found->len, ret));
	dv_elf_set_alt(elf, *ret);
	if (debug)
		dv_elf_set_alt(debug, *ret);
}

struct dv_error *dv_files_object(struct dv_files *files, const struct dv_file_name *name, struct dv_object **ret)
{
	_cleanup_(found_deinit) struct found found = {0}, debug_found = {0}, alt_found = {0};
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL, *debug = NULL, *alt = NULL;

	*ret = NULL;
	DV_TRY(read_file(files, name, &found));
	if (!found.data)
		return NULL;
	DV_TRY(dv_error_prefix(dv_elf_create(found.data, found.len, &elf), "%s", name->path));
	DV_TRY(find_debug(files, elf, name->path, &debug_found));
	/* A debug file that is none is no reason to do without the file's own symbols. */
	if (debug_found.data)
		dv_error_destroy(dv_elf_create(debug_found.data, debug_found.len, &debug));
	DV_TRY(find_alt_of(files, name, elf, debug, &debug_found, &alt_found, NULL));
	take_alt(elf, debug, &alt_found, &alt);
	return dv_error_prefix(dv_object_create(elf, debug, ret), "%s", name->path);
}

/* Into a buffer of its own: the source's is read only. */
static struct dv_error *keep(struct found *found, struct dv_buf *to)
{
	if (found->buf.len) {
		*to = found->buf;
		found->buf = (struct dv_buf)DV_BUF_INIT;
	} else if (found->data) {
		dv_buf_append(to, found->data, found->len);
	}
	return to->failed ? dv_error_no_memory() : NULL;
}

struct dv_error *dv_files_copy(struct dv_files *files, const struct dv_file_name *name, struct dv_file_copy *ret)
{
	_cleanup_(found_deinit) struct found found = {0}, debug_found = {0}, alt_found = {0};
	_cleanup_(dv_file_copy_deinit) struct dv_file_copy copy = {0};
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL, *debug = NULL;
	const char *link;
	uint32_t crc;

	DV_TRY(read_file(files, name, &found));
	if (found.data)
		dv_error_destroy(dv_elf_create(found.data, found.len, &elf));
	if (elf && dv_elf_debuglink(elf, &link, &crc) && !strchr(link, '/'))
		copy.debug_name = strdup(link);
	if (elf)
		DV_TRY(find_debug(files, elf, name->path, &debug_found));
	if (debug_found.data)
		dv_error_destroy(dv_elf_create(debug_found.data, debug_found.len, &debug));
	if (elf)
		DV_TRY(find_alt_of(files, name, elf, debug, &debug_found, &alt_found, &copy.alt_build_id));
	DV_TRY(keep(&found, &copy.bytes));
	DV_TRY(keep(&debug_found, &copy.debug));
	DV_TRY(keep(&alt_found, &copy.alt));
	*ret = copy;
	copy = (struct dv_file_copy){0};
	return NULL;
}

void dv_file_copy_deinit(struct dv_file_copy *copy)
{
	dv_buf_deinit(&copy->bytes);
	dv_buf_deinit(&copy->debug);
	dv_buf_deinit(&copy->alt);
	free(copy->debug_name);
	free(copy->alt_build_id);
}
