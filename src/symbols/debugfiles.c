/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking for debug files: see debugfiles.h. */
#include "symbols/debugfiles.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/vec.h"
#include "symbols/elffile.h"
#include "symbols/packedfile.h"

#define SYSTEM_FOLDER "/usr/lib/debug"
#define MAX_VISITED   (1u << 20) /* files in a folder; a built kernel has 100,000 */
#define MAX_FOUND     (1u << 16)

struct dv_debug_files {
	char *file, *folder; /* what was given: one or none */
	char *release;	     /* NULL: not known */
	char **paths;	     /* kernels and modules in the folder and under lib/modules/RELEASE */
	size_t len, cap;
	bool is_searched;
};

static char *release_of(const char *banner)
{
	static const char prefix[] = "Linux version ";
	size_t len;

	if (!banner || strncmp(banner, prefix, sizeof(prefix) - 1))
		return NULL;
	banner += sizeof(prefix) - 1;
	len = strcspn(banner, " /");
	return len ? strndup(banner, len) : NULL;
}

struct dv_error *dv_debug_files_create(const char *given, const char *banner, struct dv_debug_files **ret)
{
	_cleanup_(dv_debug_files_destroyp) struct dv_debug_files *files = calloc(1, sizeof(*files));
	struct stat st;

	if (!files)
		return dv_error_no_memory();
	if (given && (stat(given, &st) || access(given, R_OK)))
		return dv_error_os(errno, "debug information: %s", given);
	if (given) {
		char **to = S_ISDIR(st.st_mode) ? &files->folder : &files->file;

		*to = strdup(given);
		if (!*to)
			return dv_error_no_memory();
	}
	files->release = release_of(banner);
	*ret = dv_steal(files);
	return NULL;
}

void dv_debug_files_destroy(struct dv_debug_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->len; i++)
		free(files->paths[i]);
	free(files->paths);
	free(files->file);
	free(files->folder);
	free(files->release);
	free(files);
}

const char *dv_debug_files_folder(const struct dv_debug_files *files)
{
	return files->folder;
}

/* ---- which files there are ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

static bool is_kernel_name(const char *name)
{
	return !strncmp(name, "vmlinux", 7) && (!name[7] || name[7] == '-' || name[7] == '.') && !ends_with(name, ".o");
}

static bool is_module_name(const char *name)
{
	size_t len = dv_packed_name_len(name);

	return (len > 3 && !strncmp(name + len - 3, ".ko", 3)) || ends_with(name, ".ko.debug");
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* False when there is no room for more. */
static bool keep(struct dv_debug_files *files, const char *path)
{
	if (files->len == MAX_FOUND)
		return false;
	if (!DV_VEC_ROOM(files->paths, files->len, files->cap))
		return false;
	files->paths[files->len] = strdup(path);
	return files->paths[files->len] && ++files->len;
}

static void search(struct dv_debug_files *files, char *folder)
{
	char *roots[] = {folder, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned visited = 0;
	FTSENT *entry;

	while (walk && (entry = fts_read(walk)) && visited++ < MAX_VISITED) {
		if (entry->fts_info != FTS_F && entry->fts_info != FTS_SL)
			continue;
		if ((is_kernel_name(entry->fts_name) || is_module_name(entry->fts_name)) && !keep(files, entry->fts_path))
			break;
	}
	if (walk)
		fts_close(walk);
}

/* A vmlinux where it was built has its modules below it; Kbuild lists them beside it. */
static void search_build(struct dv_debug_files *files)
{
	const char *slash = strrchr(files->file, '/');
	_cleanup_free_ char *folder = slash ? strndup(files->file, (size_t)(slash - files->file) + 1) : strdup(".");
	_cleanup_free_ char *list = folder ? dv_path_join(folder, "modules.order") : NULL;

	if (list && !access(list, R_OK))
		search(files, folder);
}

static void search_all(struct dv_debug_files *files)
{
	_cleanup_free_ char *modules = NULL;

	if (files->is_searched)
		return;
	files->is_searched = true;
	if (files->folder)
		search(files, files->folder);
	else if (files->file)
		search_build(files);
	if (files->release && asprintf(&modules, SYSTEM_FOLDER "/lib/modules/%s", files->release) >= 0)
		search(files, modules);
	else
		modules = NULL;
}

/* ---- which is the one ---- */

/* Of this build, and with DWARF in it. */
static bool is_wanted(const char *path, const char *build_id)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	_cleanup_free_ char *its_id = NULL;
	struct dv_packed_file file;
	struct dv_error *err;
	bool wanted = false;

	err = dv_packed_file_init(path, &file);
	if (!err) {
		err = dv_elf_create(file.data, file.len, &elf);
		if (!err) {
			its_id = dv_elf_build_id(elf);
			wanted = (!build_id || !its_id || !strcmp(build_id, its_id)) &&
				 dv_elf_has_section(elf, ".debug_info");
		}
		dv_elf_destroy(dv_steal(elf)); /* before what it reads */
		dv_packed_file_deinit(&file);
	}
	dv_error_destroy(err);
	return wanted;
}

char *dv_debug_by_build_id(const char *folder, const char *build_id)
{
	char *path;

	if (!build_id || strlen(build_id) < 3 || strchr(build_id, '/'))
		return NULL;
	if (asprintf(&path, "%s/.build-id/%.2s/%s.debug", folder, build_id, build_id + 2) < 0)
		return NULL;
	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

static char *by_build_id(const struct dv_debug_files *files, const char *build_id)
{
	_cleanup_free_ char *nested = NULL;
	char *path = NULL;

	if (files->folder)
		path = dv_debug_by_build_id(files->folder, build_id);
	if (!path && files->folder && (nested = dv_path_join(files->folder, &SYSTEM_FOLDER[1])))
		path = dv_debug_by_build_id(nested, build_id);
	return path ? path : dv_debug_by_build_id(SYSTEM_FOLDER, build_id);
}

/* Modules have _ for the - that may be in their file's name. */
static bool is_module(const char *file, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (file[i] != name[i] && !(file[i] == '-' && name[i] == '_'))
			return false;
	}
	file += len;
	return !strcmp(file, ".ko.debug") || (!strncmp(file, ".ko", 3) && dv_packed_name_len(file) == 3);
}

/* name: of a module, NULL: the kernel. */
static char *by_name(struct dv_debug_files *files, const char *name, const char *build_id)
{
	search_all(files);
	for (size_t i = 0; i < files->len; i++) {
		const char *file = base_name(files->paths[i]);

		if ((name ? is_module(file, name) : is_kernel_name(file)) && is_wanted(files->paths[i], build_id))
			return strdup(files->paths[i]);
	}
	return NULL;
}

char *dv_debug_files_kernel(struct dv_debug_files *files, const char *build_id)
{
	char *path;

	if (files->file)
		return strdup(files->file);
	path = by_build_id(files, build_id);
	if (!path)
		path = by_name(files, NULL, build_id);
	if (path || !files->release)
		return path;
	if (asprintf(&path, SYSTEM_FOLDER "/boot/vmlinux-%s", files->release) < 0)
		return NULL;
	if (is_wanted(path, build_id))
		return path;
	free(path);
	return NULL;
}

char *dv_debug_files_module(struct dv_debug_files *files, const char *name, const char *build_id)
{
	char *path = by_build_id(files, build_id);

	return path ? path : by_name(files, name, build_id);
}
