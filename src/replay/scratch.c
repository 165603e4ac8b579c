/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Temporary folders, and what dead processes have left of theirs. */
#include "replay/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/io.h"

#define UNIQUE "XXXXXX"
/* A socket's path has 107 bytes; ours are "/dejaview-XXXXXX/status" longer than this. */
#define MAX_SHORT_BYTES 80
#define MAX_TRIES 100

static int open_locked(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void empty(int fd);

static void remove_folder(int fd, const char *name)
{
	_cleanup_close_ int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (inner >= 0)
		empty(inner);
	unlinkat(fd, name, AT_REMOVEDIR);
}

static void empty(int fd)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *entry;

	if (!dir)
		return;
	rewinddir(dir); /* fd's place in it is shared */
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && unlinkat(fd, entry->d_name, 0) &&
		    errno == EISDIR)
			remove_folder(fd, entry->d_name);
	}
	closedir(dir);
}

static void collect(const char *parent, const char *prefix)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	struct stat st;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		int fd;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) ||
		    strlen(entry->d_name) != strlen(prefix) + strlen(UNIQUE))
			continue;
		fd = open_locked(dirfd(dir), entry->d_name);
		if (fd < 0)
			continue; /* somebody lives in it */
		if (!fstat(fd, &st) && st.st_uid == geteuid()) {
			empty(fd);
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
		}
		close(fd);
	}
	closedir(dir);
}

/* Between making and locking it another process may have taken it for a dead one's: then it is gone. */
static bool is_there(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && st.st_nlink > 0;
}

struct dv_error *dv_scratch_create(const char *parent, const char *prefix, struct dv_scratch *ret)
{
	collect(parent, prefix);
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
		_cleanup_free_ char *path = NULL;
		int fd;

		dv_buf_printf(&name, "%s/%s" UNIQUE, parent, prefix);
		path = dv_buf_steal_string(&name);
		if (!path)
			return dv_error_no_memory();
		if (!mkdtemp(path))
			return dv_error_os(errno, "%s: cannot make a temporary folder", parent);
		fd = open_locked(AT_FDCWD, path);
		if (is_there(fd)) {
			*ret = (struct dv_scratch){dv_steal(path), fd};
			return NULL;
		}
		if (fd >= 0)
			close(fd);
	}
	return dv_error_new(DV_ERROR_OS, "%s: temporary folders vanish as soon as they are made", parent);
}

struct dv_error *dv_scratch_cache(char **ret)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	_cleanup_free_ char *path = NULL;

	if (cache && *cache == '/')
		dv_buf_printf(&buf, "%s/dejaview/run", cache);
	else
		dv_buf_printf(&buf, "%s/.cache/dejaview/run", home && *home == '/' ? home : "/tmp");
	path = dv_buf_steal_string(&buf);
	if (!path)
		return dv_error_no_memory();
	DV_TRY(dv_make_dirs(path));
	*ret = dv_steal(path);
	return NULL;
}

static struct dv_error *try_short(const char *parent, struct dv_scratch *ret)
{
	if (!parent || *parent != '/' || strlen(parent) > MAX_SHORT_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "%s: no place for a socket", parent ?: "(none)");
	return dv_scratch_create(parent, "dejaview-", ret);
}

struct dv_error *dv_scratch_create_short(struct dv_scratch *ret)
{
	_cleanup_free_ char *cache = NULL;
	struct dv_error *err = try_short(getenv("XDG_RUNTIME_DIR"), ret);

	if (!err)
		return NULL;
	dv_error_destroy(err);
	err = dv_scratch_cache(&cache);
	if (!err)
		err = try_short(cache, ret);
	if (!err)
		return NULL;
	dv_error_destroy(err);
	return try_short("/tmp", ret);
}

void dv_scratch_remove(struct dv_scratch *scratch)
{
	if (!scratch->path)
		return;
	empty(scratch->lock_fd);
	rmdir(scratch->path);
	close(scratch->lock_fd);
	free(scratch->path);
	*scratch = (struct dv_scratch)DV_SCRATCH_INIT;
}
