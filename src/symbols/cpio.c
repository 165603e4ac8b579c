/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives of an initramfs: see cpio.h. */
#include "symbols/cpio.h"

#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/io.h"
#include "base/map.h"
#include "base/vec.h"
#include "symbols/unpack.h"

/*
 * newc (Documentation/driver-api/early-userspace/buffer-format.rst): a header of 6 bytes "070701"
 * ("070702" with checksums) and 13 numbers of 8 hex digits, the name, the data; name and data are padded
 * so that what follows them is at a multiple of 4. A file with several names has its data with the last.
 * An entry named "TRAILER!!!" ends an archive.
 */
#define HEADER_BYTES 110
#define MAX_NAME     4096 /* PATH_MAX */
enum { INO, MODE, UID, GID, NLINK, MTIME, FILESIZE, DEVMAJOR, DEVMINOR, RDEVMAJOR, RDEVMINOR, NAMESIZE, CHECK, NUMBERS };

struct file {
	char *name;
	uint8_t *data; /* with several names, owned by the one that it came with */
	size_t len;
	uint64_t inode;
	bool owns, has_links;
};

struct dv_cpio {
	struct file *files;
	size_t count, cap;
	struct dv_map by_name; /* hash of the name -> index, plus 1 */
};

/* Of the archive being read. */
struct archive {
	struct dv_cpio *cpio;
	size_t first; /* index of its first file */
	struct dv_map links; /* inode of a file with several names -> index of the one with the data, plus 1 */
};

static uint64_t hash_name(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
	return hash;
}

static const char *without_slashes(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

/* The name's place in the map: its own, or a free one. NULL when out of memory. */
static uint64_t *name_place(struct dv_cpio *cpio, const char *name)
{
	for (uint64_t hash = hash_name(name);; hash++) {
		uint64_t *place = dv_map_put(&cpio->by_name, hash);

		if (!place || !*place || !strcmp(cpio->files[*place - 1].name, name))
			return place;
	}
}

static struct file *add_file(struct dv_cpio *cpio, const char *name)
{
	uint64_t *place;

	if (!DV_VEC_ROOM(cpio->files, cpio->count, cpio->cap))
		return NULL;
	place = name_place(cpio, name);
	if (!place)
		return NULL;
	cpio->files[cpio->count] = (struct file){.name = strdup(name)};
	if (!cpio->files[cpio->count].name)
		return NULL;
	*place = ++cpio->count;
	return &cpio->files[cpio->count - 1];
}

static bool is_wanted(const char *name, const uint8_t *data, size_t len)
{
	size_t name_len = strlen(name);

	if (name_len > 3 && !strcmp(name + name_len - 3, ".ko"))
		return false;
	return len >= 4 && !memcmp(data, "\177ELF", 4);
}

static struct dv_error *keep(struct archive *a, const char *name, const uint32_t numbers[NUMBERS],
			     const uint8_t *data)
{
	uint64_t inode = (uint64_t)numbers[DEVMAJOR] << 52 ^ (uint64_t)numbers[DEVMINOR] << 32 ^ numbers[INO];
	const bool has_links = numbers[NLINK] > 1;
	const size_t len = numbers[FILESIZE];
	struct file *file;
	uint64_t *holder;

	if ((numbers[MODE] & S_IFMT) != S_IFREG || (len ? !is_wanted(name, data, len) : !has_links))
		return NULL;
	file = add_file(a->cpio, name);
	if (!file)
		return dv_error_no_memory();
	file->has_links = has_links;
	file->inode = inode;
	if (!len)
		return NULL;
	file->data = malloc(len);
	if (!file->data)
		return dv_error_no_memory();
	memcpy(file->data, data, len);
	file->len = len;
	file->owns = true;
	holder = has_links ? dv_map_put(&a->links, inode) : NULL;
	if (has_links && !holder)
		return dv_error_no_memory();
	if (holder)
		*holder = a->cpio->count;
	return NULL;
}

/* Data that came with one of a file's names are those of the others too. */
static void end_archive(struct archive *a)
{
	for (size_t i = a->first; i < a->cpio->count; i++) {
		struct file *file = &a->cpio->files[i];
		const uint64_t *holder = file->has_links ? dv_map_get(&a->links, file->inode) : NULL;

		if (file->data || !holder || !*holder)
			continue;
		file->data = a->cpio->files[*holder - 1].data;
		file->len = a->cpio->files[*holder - 1].len;
	}
	dv_map_clear(&a->links);
	a->first = a->cpio->count;
}

static bool parse_hex(const uint8_t *digits, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < 8; i++) {
		uint8_t c = digits[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = value;
	return true;
}

static struct dv_error *parse_header(const uint8_t *header, size_t offset, uint32_t numbers[NUMBERS])
{
	for (int i = 0; i < NUMBERS; i++) {
		if (!parse_hex(header + 6 + i * 8, &numbers[i]))
			return dv_error_new(DV_ERROR_FORMAT, "cpio: entry at offset %zu: '%.8s' is no number", offset,
					    (const char *)header + 6 + i * 8);
	}
	if (!numbers[NAMESIZE] || numbers[NAMESIZE] > MAX_NAME)
		return dv_error_new(DV_ERROR_FORMAT, "cpio: entry at offset %zu: a name of %u bytes", offset,
				    numbers[NAMESIZE]);
	return NULL;
}

static void align(struct dv_cursor *c, const uint8_t *start)
{
	while ((c->pos - start) % 4 && c->pos < c->end)
		c->pos++;
}

/* One entry; its archive starts at `start`, from which on things are aligned. */
static struct dv_error *read_entry(struct archive *a, struct dv_cursor *c, const uint8_t *start, bool *ret_end)
{
	size_t offset = (size_t)(c->pos - start);
	const uint8_t *header = dv_cursor_take(c, HEADER_BYTES), *name, *data;
	uint32_t numbers[NUMBERS];
	char text[MAX_NAME + 1];
	size_t left;

	*ret_end = false;
	if (!header)
		return dv_error_new(DV_ERROR_TRUNCATED, "cpio: entry at offset %zu ends within its header", offset);
	if (memcmp(header, "070701", 6) && memcmp(header, "070702", 6))
		return dv_error_new(DV_ERROR_FORMAT, "cpio: no entry (\"070701\") at offset %zu", offset);
	DV_TRY(parse_header(header, offset, numbers));
	left = dv_cursor_left(c);
	name = dv_cursor_take(c, numbers[NAMESIZE]);
	align(c, start);
	data = dv_cursor_take(c, numbers[FILESIZE]);
	if (!name || !data)
		return dv_error_new(DV_ERROR_TRUNCATED,
				    "cpio: entry at offset %zu: %u bytes of name and %u of data do not fit into the "
				    "%zu that are left",
				    offset, numbers[NAMESIZE], numbers[FILESIZE], left);
	align(c, start);
	memcpy(text, name, numbers[NAMESIZE]);
	text[numbers[NAMESIZE]] = 0;
	*ret_end = !strcmp(text, "TRAILER!!!");
	return *ret_end ? NULL : keep(a, without_slashes(text), numbers, data);
}

static bool is_entry(const struct dv_cursor *c)
{
	return dv_cursor_left(c) >= 6 && (!memcmp(c->pos, "070701", 6) || !memcmp(c->pos, "070702", 6));
}

static struct dv_error *read_archives(struct archive *a, struct dv_cursor *c, bool may_be_packed, size_t *budget);

static struct dv_error *read_packed(struct archive *a, struct dv_cursor *c, size_t *budget)
{
	const struct dv_packer *packer = dv_packer_detect(c->pos, dv_cursor_left(c));
	_cleanup_buf_ struct dv_buf bytes = DV_BUF_INIT;
	struct dv_cursor inner;
	size_t consumed;

	if (!packer)
		return dv_error_new(DV_ERROR_FORMAT,
				    "neither a cpio archive (newc) nor one compressed by " DV_PACKER_NAMES);
	DV_TRY(dv_unpack_one(packer, c->pos, dv_cursor_left(c), *budget, &bytes, &consumed));
	dv_cursor_take(c, consumed);
	*budget -= bytes.len;
	inner = dv_cursor_make(bytes.data, bytes.len);
	return dv_error_prefix(read_archives(a, &inner, false, budget), "in %s data", dv_packer_name(packer));
}

static struct dv_error *read_archives(struct archive *a, struct dv_cursor *c, bool may_be_packed, size_t *budget)
{
	const uint8_t *start = c->pos;

	while (c->pos < c->end) {
		size_t offset = (size_t)(c->pos - start);
		bool at_end = false;

		if (!*c->pos) {
			c->pos++;
			continue;
		}
		if (!is_entry(c) && may_be_packed) {
			DV_TRY(dv_error_prefix(read_packed(a, c, budget), "offset %zu", offset));
			start = c->pos;
			continue;
		}
		DV_TRY(read_entry(a, c, start, &at_end));
		if (at_end)
			end_archive(a);
	}
	end_archive(a);
	return NULL;
}

struct dv_error *dv_cpio_open_memory(const void *data, size_t len, struct dv_cpio **ret)
{
	_cleanup_(dv_cpio_closep) struct dv_cpio *cpio = calloc(1, sizeof(*cpio));
	struct dv_cursor c = dv_cursor_make(data, len);
	struct archive archive = {.cpio = cpio};
	size_t budget = DV_CPIO_MAX_BYTES;
	struct dv_error *err;

	if (!cpio)
		return dv_error_no_memory();
	err = read_archives(&archive, &c, true, &budget);
	dv_map_deinit(&archive.links);
	DV_TRY(err);
	*ret = dv_steal(cpio);
	return NULL;
}

struct dv_error *dv_cpio_open(const char *path, struct dv_cpio **ret)
{
	struct dv_mapped_file file;
	struct dv_error *err;

	DV_TRY(dv_mapped_file_init(path, &file));
	err = dv_error_prefix(dv_cpio_open_memory(file.data, file.len, ret), "%s", path);
	dv_mapped_file_deinit(&file);
	return err;
}

void dv_cpio_close(struct dv_cpio *cpio)
{
	if (!cpio)
		return;
	for (size_t i = 0; i < cpio->count; i++) {
		free(cpio->files[i].name);
		if (cpio->files[i].owns)
			free(cpio->files[i].data);
	}
	free(cpio->files);
	dv_map_deinit(&cpio->by_name);
	free(cpio);
}

bool dv_cpio_find(const struct dv_cpio *cpio, const char *path, const uint8_t **ret_data, size_t *ret_len)
{
	const char *name = without_slashes(path);

	for (uint64_t hash = hash_name(name);; hash++) {
		const uint64_t *place = dv_map_get(&cpio->by_name, hash);
		const struct file *file;

		if (!place || !*place)
			return false;
		file = &cpio->files[*place - 1];
		if (strcmp(file->name, name))
			continue;
		if (!file->data)
			return false;
		*ret_data = file->data;
		*ret_len = file->len;
		return true;
	}
}

size_t dv_cpio_count(const struct dv_cpio *cpio)
{
	size_t n = 0;

	for (size_t i = 0; i < cpio->count; i++)
		n += cpio->files[i].data != NULL;
	return n;
}
