/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of user code and the thread that reads them: see user_files.h. */
#include "plugin/user_files.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/map.h"
#include "base/thread.h"

/* A source that does not answer for so long leaves its file without names. */
#define PATIENCE_S 60

struct user_file {
	uint32_t id;
	char *path;
	uint64_t device, inode;
	/* Under the lock until ready: */
	bool is_ready;
	struct dv_object *object; /* NULL: no source has it */
	/* The writer thread's: */
	struct dv_object *fallback; /* of the guest's own pages; NULL: not seen */
	struct user_file *next; /* in the queue */
	struct user_file *next_told;
};

struct dv_user_files {
	struct dv_files_options options;
	struct dv_object *vdso;
	struct dv_map by_id;	/* -> struct user_file * */
	struct user_file *untold; /* whose build id may become known */
	char text[1024];	/* what the last describe gave out */

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t to_loader, to_writer;
	struct user_file *first, *last; /* to be read */
	bool ends;
};

/* ---- the loader's thread ---- */

static void say(struct dv_error *err)
{
	if (err)
		fprintf(stderr, "dejaview: user symbols: %s\n", err->message);
	dv_error_destroy(err);
}

static struct user_file *next_wanted(struct dv_user_files *files)
{
	struct user_file *file;

	pthread_mutex_lock(&files->lock);
	while (!files->first && !files->ends)
		pthread_cond_wait(&files->to_loader, &files->lock);
	file = files->ends ? NULL : files->first;
	if (file)
		files->first = file->next;
	pthread_mutex_unlock(&files->lock);
	return file;
}

static void *load(void *context)
{
	struct dv_user_files *files = context;
	struct dv_error *complaints = NULL;
	struct dv_files *sources = NULL;
	struct user_file *file;

	say(dv_files_open(&files->options, &sources, &complaints));
	while ((file = next_wanted(files))) {
		struct dv_file_name name = {file->path, file->device, file->inode};
		struct dv_object *object = NULL;

		if (sources)
			say(dv_files_object(sources, &name, &object));
		/* A source that could not be opened is worth a word when something is missed. */
		if (!object)
			say(dv_steal(complaints));
		pthread_mutex_lock(&files->lock);
		file->object = object;
		file->is_ready = true;
		pthread_cond_broadcast(&files->to_writer);
		pthread_mutex_unlock(&files->lock);
	}
	dv_files_close(sources);
	dv_error_destroy(complaints);
	return NULL;
}

static void send_for(struct dv_user_files *files, struct user_file *file)
{
	pthread_mutex_lock(&files->lock);
	if (files->first)
		files->last->next = file;
	else
		files->first = file;
	files->last = file;
	pthread_cond_signal(&files->to_loader);
	pthread_mutex_unlock(&files->lock);
}

static bool is_ready(struct dv_user_files *files, struct user_file *file)
{
	bool ready;

	pthread_mutex_lock(&files->lock);
	ready = file->is_ready;
	pthread_mutex_unlock(&files->lock);
	return ready;
}

/* The file's symbols when they are there, NULL when there are none. */
static const struct dv_object *wait_for(struct dv_user_files *files, struct user_file *file)
{
	const struct dv_object *object;
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&files->lock);
	while (!file->is_ready && !files->ends && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&files->to_writer, &files->lock, &until);
	object = file->is_ready ? file->object : NULL;
	pthread_mutex_unlock(&files->lock);
	return object ? object : file->fallback;
}

/* ---- life ---- */

static struct dv_object *make_vdso(const void *bytes, size_t len)
{
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	struct dv_object *object = NULL;
	struct dv_error *err = bytes ? dv_elf_create(bytes, len, &elf) : NULL;

	if (elf && !err)
		err = dv_object_create(elf, NULL, &object);
	dv_error_destroy(err);
	return object;
}

struct dv_error *dv_user_files_create(const struct dv_files_options *options, const void *vdso, size_t vdso_bytes,
				      struct dv_user_files **ret)
{
	struct dv_user_files *files = calloc(1, sizeof(*files));
	struct dv_error *err;

	if (!files)
		return dv_error_no_memory();
	files->options = *options;
	files->vdso = make_vdso(vdso, vdso_bytes);
	pthread_mutex_init(&files->lock, NULL);
	pthread_cond_init(&files->to_loader, NULL);
	pthread_cond_init(&files->to_writer, NULL);
	err = dv_thread_start(&files->thread, "dejaview-names", load, files);
	if (err) {
		dv_object_destroy(files->vdso);
		free(files);
		return err;
	}
	*ret = files;
	return NULL;
}

static void free_file(struct dv_user_files *files, struct user_file *file)
{
	if (file->object != files->vdso)
		dv_object_destroy(file->object);
	dv_object_destroy(file->fallback);
	free(file->path);
	free(file);
}

void dv_user_files_destroy(struct dv_user_files *files)
{
	if (!files)
		return;
	pthread_mutex_lock(&files->lock);
	files->ends = true;
	pthread_cond_signal(&files->to_loader);
	pthread_mutex_unlock(&files->lock);
	pthread_join(files->thread, NULL);
	for (size_t i = 0; i < files->by_id.cap; i++) {
		if (files->by_id.slots[i].used && files->by_id.slots[i].value)
			free_file(files, (struct user_file *)(uintptr_t)files->by_id.slots[i].value);
	}
	dv_map_deinit(&files->by_id);
	dv_object_destroy(files->vdso);
	pthread_mutex_destroy(&files->lock);
	pthread_cond_destroy(&files->to_loader);
	pthread_cond_destroy(&files->to_writer);
	free(files);
}

/* ---- ids ---- */

/* From the path alone, so that traces of one guest agree; another file of the same hash gets the next. */
static uint32_t first_id(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3ull;
	return (uint32_t)(dv_hash64(hash) % DV_FILE_KEY_MAX_ID) + 1;
}

static struct user_file *new_file(struct dv_user_files *files, uint32_t id, const struct dv_mapping *m)
{
	struct user_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	*file = (struct user_file){.id = id, .path = strdup(m->path), .device = m->device, .inode = m->inode};
	if (!file->path) {
		free(file);
		return NULL;
	}
	if (m->path[0] == '[') {
		file->is_ready = true;
		file->object = strcmp(m->path, "[vdso]") ? NULL : files->vdso;
	}
	return file;
}

static void tell(struct dv_user_files *files, struct user_file *file, struct dv_trace_writer *writer)
{
	const char *build_id = NULL;

	if (is_ready(files, file) && file->object)
		build_id = dv_object_build_id(file->object);
	if (writer)
		dv_trace_writer_mapped_file(writer, &(struct dv_trace_mapped_file){
							    .id = file->id,
							    .path = file->path,
							    .build_id = build_id,
							    .device = file->device,
							    .inode = file->inode,
						    });
}

/* Build ids that became known since. */
static void tell_news(struct dv_user_files *files, struct dv_trace_writer *writer)
{
	struct user_file **at = &files->untold;

	while (*at) {
		struct user_file *file = *at;

		if (!is_ready(files, file)) {
			at = &file->next_told;
			continue;
		}
		*at = file->next_told;
		if (file->object && dv_object_build_id(file->object))
			tell(files, file, writer);
	}
}

static bool is_same(const struct user_file *file, const struct dv_mapping *m)
{
	return file->device == m->device && file->inode == m->inode && !strcmp(file->path, m->path);
}

static void take_dynamic(struct user_file *file, const struct dv_mapping *m)
{
	if (m->dynamic && !file->fallback)
		dv_error_destroy(dv_object_from_dynamic(m->dynamic, &file->fallback));
}

uint32_t dv_user_files_id(struct dv_user_files *files, const struct dv_mapping *m, struct dv_trace_writer *writer)
{
	uint32_t id = first_id(m->path);
	struct user_file *file;
	uint64_t *place;

	tell_news(files, writer);
	if (!strcmp(m->path, "[anon]") || files->by_id.len > DV_FILE_KEY_MAX_ID / 2)
		return 0;
	for (;; id = id % DV_FILE_KEY_MAX_ID + 1) {
		place = dv_map_put(&files->by_id, id);
		if (!place)
			return 0;
		if (!*place)
			break;
		if (is_same((struct user_file *)(uintptr_t)*place, m)) {
			take_dynamic((struct user_file *)(uintptr_t)*place, m);
			return id;
		}
	}
	file = new_file(files, id, m);
	if (!file)
		return 0;
	take_dynamic(file, m);
	*place = (uintptr_t)file;
	tell(files, file, writer);
	if (!file->is_ready) {
		file->next_told = files->untold;
		files->untold = file;
		send_for(files, file);
	}
	return id;
}

void dv_user_files_finish(struct dv_user_files *files, struct dv_trace_writer *writer)
{
	tell_news(files, writer);
}

/* ---- names ---- */

enum dv_user_place dv_user_files_place(struct dv_user_files *files, uint64_t key)
{
	const uint64_t *place = dv_map_get(&files->by_id, dv_file_key_id(key));
	const struct dv_object *object = place ? wait_for(files, (struct user_file *)(uintptr_t)*place) : NULL;
	const struct dv_symbol *symbol;
	uint64_t vaddr;

	if (!object || !dv_object_vaddr(object, dv_file_key_offset(key), &vaddr))
		return DV_USER_PLACE_UNKNOWN;
	if (dv_object_is_plt(object, vaddr))
		return DV_USER_PLACE_NEVER;
	symbol = dv_object_function_at(object, vaddr);
	if (!symbol)
		return DV_USER_PLACE_UNNAMED;
	return symbol->vaddr == vaddr && !dv_symbol_is_cold_part(symbol->name) ? DV_USER_PLACE_ENTRY : DV_USER_PLACE_NEVER;
}

void dv_user_files_describe(struct dv_user_files *files, uint64_t key, struct dv_trace_function *ret)
{
	const uint64_t *place = dv_map_get(&files->by_id, dv_file_key_id(key));
	struct user_file *file = place ? (struct user_file *)(uintptr_t)*place : NULL;
	const struct dv_object *object = file ? wait_for(files, file) : NULL;
	const char *slash = file ? strrchr(file->path, '/') : NULL;
	const char *module = slash ? slash + 1 : file ? file->path : "?";
	const struct dv_symbol *symbol;
	uint64_t vaddr;

	*ret = (struct dv_trace_function){.module = module, .space = DV_FUNCTION_USER, .name = files->text};
	if (!object || !dv_object_vaddr(object, dv_file_key_offset(key), &vaddr))
		vaddr = dv_file_key_offset(key);
	ret->vaddr = vaddr;
	symbol = object ? dv_object_function_at(object, vaddr) : NULL;
	if (!symbol) {
		snprintf(files->text, sizeof(files->text), "%.500s+0x%" PRIx64, module, vaddr);
	} else if (symbol->vaddr == vaddr) {
		ret->name = symbol->name;
		ret->size_bytes = symbol->size_bytes;
		dv_object_source(object, vaddr, &ret->file, &ret->line);
	} else {
		snprintf(files->text, sizeof(files->text), "%.500s+0x%" PRIx64, symbol->name, vaddr - symbol->vaddr);
	}
}
