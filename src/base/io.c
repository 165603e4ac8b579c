/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and paths: see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct dv_error *open_regular(const char *path, int *ret_fd, struct stat *ret_st)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return dv_error_os(errno, "cannot open %s", path);
	if (fstat(fd, ret_st) < 0)
		return dv_error_os(errno, "cannot stat %s", path);
	if (!S_ISREG(ret_st->st_mode))
		return dv_error_new(DV_ERROR_INVALID, "%s is not a regular file", path);
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

struct dv_error *dv_mapped_file_init(const char *path, struct dv_mapped_file *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	void *data;

	DV_TRY(open_regular(path, &fd, &st));
	if (st.st_size == 0) {
		*ret = (struct dv_mapped_file){0};
		return NULL;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return dv_error_os(errno, "cannot map %s", path);
	*ret = (struct dv_mapped_file){.data = data, .len = (size_t)st.st_size};
	return NULL;
}

void dv_mapped_file_deinit(struct dv_mapped_file *file)
{
	if (!file || !file->data)
		return;
	munmap((void *)file->data, file->len);
	*file = (struct dv_mapped_file){0};
}

struct dv_error *dv_read_file(const char *path, size_t max_bytes, struct dv_buf *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t total = 0;

	if (fd < 0)
		return dv_error_os(errno, "cannot open %s", path);
	for (;;) {
		uint8_t *to = dv_buf_reserve(ret, 65536);
		ssize_t n;

		if (!to)
			return dv_error_no_memory();
		n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "cannot read %s", path);
		if (n == 0)
			return NULL;
		ret->len += (size_t)n;
		total += (size_t)n;
		if (total > max_bytes)
			return dv_error_new(DV_ERROR_INVALID, "%s is larger than %zu bytes", path,
					    max_bytes);
	}
}

struct dv_error *dv_write_all(int fd, const void *data, size_t len, const char *path)
{
	const uint8_t *bytes = data;

	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "cannot write %s", path);
		bytes += n;
		len -= (size_t)n;
	}
	return NULL;
}

struct dv_error *dv_replace_file(const char *path, const void *data, size_t len, mode_t mode)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	struct dv_error *err;

	if (asprintf(&temporary, "%s.%d.tmp", path, (int)getpid()) < 0) {
		temporary = NULL;
		return dv_error_no_memory();
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return dv_error_os(errno, "cannot create %s", temporary);
	err = dv_write_all(fd, data, len, temporary);
	if (!err && fsync(fd) < 0)
		err = dv_error_os(errno, "cannot write %s", temporary);
	if (!err && rename(temporary, path) < 0)
		err = dv_error_os(errno, "cannot rename %s to %s", temporary, path);
	if (err)
		unlink(temporary);
	return err;
}

struct dv_error *dv_make_dirs(const char *path)
{
	_cleanup_free_ char *partial = strdup(path);

	if (!partial)
		return dv_error_no_memory();
	for (char *p = partial + 1; p[-1]; p++) {
		char saved = *p;

		if (saved != '/' && saved != '\0')
			continue;
		*p = '\0';
		if (mkdir(partial, 0777) < 0 && errno != EEXIST)
			return dv_error_os(errno, "cannot create directory %s", partial);
		*p = saved;
	}
	return NULL;
}

/* Copies [from, to) of the data between two holes. */
static struct dv_error *copy_extent(int in, int out, off_t from, off_t to, const char *path)
{
	while (from < to) {
		off_t at_in = from, at_out = from;
		ssize_t n = copy_file_range(in, &at_in, out, &at_out, (size_t)(to - from), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EINVAL ||
			      errno == EOPNOTSUPP)) {
			char chunk[65536];
			size_t want = (size_t)(to - from) < sizeof(chunk) ? (size_t)(to - from) :
									    sizeof(chunk);

			n = pread(in, chunk, want, from);
			if (n > 0)
				n = pwrite(out, chunk, (size_t)n, from);
		}
		if (n < 0)
			return dv_error_os(errno, "cannot copy to %s", path);
		if (n == 0)
			return NULL;
		from += n;
	}
	return NULL;
}

static struct dv_error *copy_sparse(int in, int out, off_t size, const char *path)
{
	off_t at = 0;

	if (ftruncate(out, size) < 0)
		return dv_error_os(errno, "cannot size %s", path);
	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA);
		off_t hole;

		if (data < 0 && errno == ENXIO)
			return NULL;
		if (data < 0)
			data = at;
		hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0)
			hole = size;
		DV_TRY(copy_extent(in, out, data, hole, path));
		at = hole;
	}
	return NULL;
}

struct dv_error *dv_copy_file(const char *from, const char *to)
{
	_cleanup_close_ int in = -1;
	_cleanup_close_ int out = -1;
	struct dv_error *err;
	struct stat st;

	DV_TRY(open_regular(from, &in, &st));
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (out < 0)
		return dv_error_os(errno, "cannot create %s", to);
	if (ioctl(out, FICLONE, in) == 0)
		return NULL;
	err = copy_sparse(in, out, st.st_size, to);
	if (err)
		unlink(to);
	return err;
}

char *dv_path_join(const char *dir, const char *name)
{
	char *path;

	if (name[0] == '/' || !strcmp(dir, "."))
		return strdup(name);
	if (asprintf(&path, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name) < 0)
		return NULL;
	return path;
}
