/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checkpoints that a recording has: found, read, removed. checkpoint_maker.c makes them. */
#include "replay/checkpoints.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/io.h"
#include "replay/checkpoints_private.h"
#include "replay/digest.h"

#define MAX_LAYERS 64
#define MAX_JSON_BYTES (1u << 20)
#define ID_DIGITS 24

/* Where those of a recording that cannot be written are: named by its manifest, wherever it lies. */
static struct dv_error *cache_dir(const struct dv_recording *r, char **ret)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *manifest = dv_recording_path(r, DV_RECORDING_MANIFEST);
	_cleanup_buf_ struct dv_buf path = DV_BUF_INIT;
	char id[DV_DIGEST_TEXT];

	if (!manifest)
		return dv_error_no_memory();
	DV_TRY(dv_digest_file(manifest, NULL, NULL, id));
	if (cache && *cache == '/')
		dv_buf_printf(&path, "%s", cache);
	else
		dv_buf_printf(&path, "%s/.cache", home && *home == '/' ? home : "/tmp");
	dv_buf_printf(&path, "/dejaview/%.*s", ID_DIGITS, id);
	*ret = dv_buf_steal_string(&path);
	return *ret ? NULL : dv_error_no_memory();
}

static bool has_layer(const char *dir)
{
	_cleanup_free_ char *first = dv_path_join(dir, "1/" LAYER_JSON);

	return first && !access(first, R_OK);
}

static struct dv_error *choose_dir(const struct dv_recording *r, struct dv_checkpoints *set)
{
	set->dir = dv_recording_path(r, DV_CHECKPOINTS_DIR);
	if (!set->dir)
		return dv_error_no_memory();
	if (has_layer(set->dir) || !access(r->folder, W_OK))
		return NULL;
	free(dv_steal(set->dir));
	set->in_cache = true;
	return cache_dir(r, &set->dir);
}

void dv_checkpoints_deinit(struct dv_checkpoints *set)
{
	dv_strv_free(set->layers);
	free(set->dir);
	free(set->items);
	free(set->ignored);
	*set = (struct dv_checkpoints){0};
}

static bool good_name(const char *name)
{
	return name && *name && strlen(name) < sizeof(((struct dv_checkpoint *)0)->name) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static struct dv_error *parse_item(const char *name, const json_t *json, uint64_t end, struct dv_checkpoints *set)
{
	const char *id = json_string_value(json_object_get(json, "name"));
	json_int_t icount = json_integer_value(json_object_get(json, "icount"));
	json_int_t bytes = json_integer_value(json_object_get(json, "bytes"));
	json_int_t save_ms = json_integer_value(json_object_get(json, "save_ms"));
	struct dv_checkpoint *items;

	if (!good_name(id) || icount <= 0 || (uint64_t)icount > end || bytes < 0 || save_ms < 0 || save_ms > UINT32_MAX)
		return dv_error_new(DV_ERROR_FORMAT, "%s: a checkpoint that is none", name);
	if (set->len >= DV_CHECKPOINTS_MAX)
		return dv_error_new(DV_ERROR_FORMAT, "%s: more than %d checkpoints", name, DV_CHECKPOINTS_MAX);
	items = reallocarray(set->items, set->len + 1, sizeof(*items));
	if (!items)
		return dv_error_no_memory();
	set->items = items;
	items[set->len] = (struct dv_checkpoint){.icount = (uint64_t)icount, .bytes = (uint64_t)bytes,
						 .save_ms = (uint32_t)save_ms};
	snprintf(items[set->len++].name, sizeof(items->name), "%s", id);
	return NULL;
}

/* The members that name the recording: another one's checkpoints would send a replay astray. */
static bool is_of(const struct dv_recording *r, const json_t *of)
{
	static const char *const keys[] = {"icount", "log_bytes"};
	const json_t *end = json_object_get(r->manifest, "end");

	for (size_t i = 0; i < DV_ARRAY_SIZE(keys); i++)
		if (!json_equal(json_object_get(of, keys[i]), json_object_get(end, keys[i])))
			return false;
	return json_equal(json_object_get(of, "started"), json_object_get(r->manifest, "started")) &&
	       json_equal(json_object_get(of, "qemu_version"), json_object_get(r->manifest, "qemu_version"));
}

static struct dv_error *parse(const struct dv_recording *r, const char *name, const json_t *json,
			      struct dv_checkpoints *set)
{
	const json_t *items = json_object_get(json, "checkpoints");
	const char *id = json_string_value(json_object_get(json, "id"));
	const char *below = json_string_value(json_object_get(json, "below"));
	json_int_t to = json_integer_value(json_object_get(json, "to_icount"));

	if (json_integer_value(json_object_get(json, "schema")) != DV_CHECKPOINTS_SCHEMA)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: not of schema %d", name, DV_CHECKPOINTS_SCHEMA);
	if (!is_of(r, json_object_get(json, "of")))
		return dv_error_new(DV_ERROR_MISMATCH, "%s: made for another recording", name);
	if (!good_name(id) || strlen(id) >= sizeof(set->top_id))
		return dv_error_new(DV_ERROR_FORMAT, "%s: no \"id\"", name);
	if (strcmp(below ?: "", set->top_id))
		return dv_error_new(DV_ERROR_MISMATCH, "%s: made on another layer than the one below it", name);
	if (!json_is_array(items) || to < 0)
		return dv_error_new(DV_ERROR_FORMAT, "%s: no \"checkpoints\"", name);
	for (size_t i = 0; i < json_array_size(items); i++)
		DV_TRY(parse_item(name, json_array_get(items, i), dv_recording_last_icount(r), set));
	strcpy(set->top_id, id);
	set->made_to_icount = (uint64_t)to;
	set->complete = json_is_true(json_object_get(json, "complete"));
	return NULL;
}

struct dv_error *dv_checkpoints_parse(const struct dv_recording *recording, const char *name, const void *text,
				      size_t len, struct dv_checkpoints *set)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, 0, &error);
	size_t before = set->len;
	struct dv_error *err;

	if (!json)
		return dv_error_new(DV_ERROR_FORMAT, "%s: line %d: %s", name, error.line, error.text);
	err = parse(recording, name, json, set);
	json_decref(json);
	if (err)
		set->len = before;
	return err;
}

uint64_t dv_layer_bytes(const char *layer)
{
	DIR *dir = opendir(layer);
	struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512;
	if (dir)
		closedir(dir);
	return bytes;
}

static bool has_files(const struct dv_recording *r, const char *layer)
{
	_cleanup_free_ char *snapshots = dv_path_join(layer, DV_QEMU_SNAPSHOTS);

	if (!snapshots || access(snapshots, R_OK))
		return false;
	for (size_t i = 0; i < r->plan->images_len; i++) {
		const char *overlay = r->plan->images[i].overlay;
		_cleanup_free_ char *path = overlay ? dv_path_join(layer, overlay) : NULL;

		if (overlay && (!path || access(path, R_OK)))
			return false;
	}
	return true;
}

static struct dv_error *read_layer(const struct dv_recording *r, const char *layer, struct dv_checkpoints *set)
{
	_cleanup_free_ char *path = dv_path_join(layer, LAYER_JSON);
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	if (!path)
		return dv_error_no_memory();
	DV_TRY(dv_read_file(path, MAX_JSON_BYTES, &text));
	if (!has_files(r, layer))
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s: a file of it is missing", layer);
	return dv_checkpoints_parse(r, path, text.data, text.len, set);
}

static int by_icount(const void *a, const void *b)
{
	const struct dv_checkpoint *x = a, *y = b;

	return x->icount < y->icount ? -1 : x->icount > y->icount;
}

char *dv_layer_path(const char *dir, size_t n)
{
	_cleanup_buf_ struct dv_buf path = DV_BUF_INIT;

	dv_buf_printf(&path, "%s/%zu", dir, n);
	return dv_buf_steal_string(&path);
}

struct dv_error *dv_checkpoints_open(const struct dv_recording *recording, struct dv_checkpoints *ret)
{
	_cleanup_checkpoints_ struct dv_checkpoints set = {0};
	struct dv_error *err = choose_dir(recording, &set);

	if (err)
		return err;
	set.layers = calloc(MAX_LAYERS + 1, sizeof(*set.layers));
	if (!set.layers)
		return dv_error_no_memory();
	for (size_t n = 0; n < MAX_LAYERS; n++) {
		_cleanup_free_ char *layer = dv_layer_path(set.dir, n + 1);

		if (!layer)
			return dv_error_no_memory();
		if (access(layer, F_OK))
			break;
		err = read_layer(recording, layer, &set);
		if (err && err->code == DV_ERROR_NO_MEMORY)
			return err;
		if (err) { /* it and those that build on it */
			set.ignored = strdup(err->message);
			dv_error_destroy(err);
			break;
		}
		set.bytes += dv_layer_bytes(layer);
		set.layers[n] = dv_steal(layer);
	}
	if (!set.layers[0])
		free(dv_steal(set.layers));
	if (set.len)
		qsort(set.items, set.len, sizeof(*set.items), by_icount);
	*ret = set;
	set = (struct dv_checkpoints){0};
	return NULL;
}

const struct dv_checkpoint *dv_checkpoints_before(const struct dv_checkpoints *set, uint64_t icount)
{
	size_t low = 0, high = set->len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (set->items[mid].icount <= icount)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &set->items[low - 1] : NULL;
}

struct dv_error *dv_checkpoints_lock(const char *dir, int *ret_fd)
{
	_cleanup_free_ char *path = dv_path_join(dir, "lock");
	_cleanup_close_ int fd = -1;

	if (!path)
		return dv_error_no_memory();
	DV_TRY(dv_make_dirs(dir));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return dv_error_os(errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? dv_error_new(DV_ERROR_INVALID, "%s: another dejaview is making checkpoints there",
							   dir) :
					      dv_error_os(errno, "%s: cannot lock", path);
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

void dv_layer_remove(const char *layer)
{
	DIR *dir = opendir(layer);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(layer);
}

/* Layers, and what killed makers left; a layer's folder loses its name first, so that it goes as a whole. */
uint64_t dv_checkpoints_sweep(const char *dir, bool layers_too)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	uint64_t bytes = 0;

	while (d && (entry = readdir(d))) {
		const char *name = entry->d_name;
		bool making = !strncmp(name, MAKING, strlen(MAKING));
		bool layer = *name >= '1' && *name <= '9' && strspn(name, "0123456789") == strlen(name);
		_cleanup_free_ char *path = NULL, *doomed = NULL;

		if (!making && !(layer && layers_too))
			continue;
		path = dv_path_join(dir, name);
		if (!path || (layer && asprintf(&doomed, "%s/" MAKING "gone-%s", dir, name) < 0))
			break;
		if (doomed && rename(path, doomed))
			continue;
		bytes += dv_layer_bytes(doomed ?: path);
		dv_layer_remove(doomed ?: path);
	}
	if (d)
		closedir(d);
	return bytes;
}

struct dv_error *dv_checkpoints_remove(const struct dv_recording *recording, uint64_t *ret_bytes)
{
	_cleanup_checkpoints_ struct dv_checkpoints set = {0};
	_cleanup_close_ int lock = -1;
	_cleanup_free_ char *lock_path = NULL;

	*ret_bytes = 0;
	DV_TRY(dv_checkpoints_open(recording, &set));
	if (access(set.dir, F_OK))
		return NULL;
	DV_TRY(dv_checkpoints_lock(set.dir, &lock));
	*ret_bytes = dv_checkpoints_sweep(set.dir, true);
	lock_path = dv_path_join(set.dir, "lock");
	if (lock_path)
		unlink(lock_path);
	if (rmdir(set.dir))
		return dv_error_os(errno, "%s: cannot remove", set.dir);
	return NULL;
}
