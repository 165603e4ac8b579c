/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Columns in a file: see cache.h. */
#include "query/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include "base/io.h"

#define MAGIC "DJVCOLS"
#define SUFFIX ".dvcolumns"
#define PAGE 4096u
#define MAX_COLUMNS 64
#define SAMPLED_BYTES (1u << 20) /* a larger column is checked by samples: it would be read whole otherwise */
#define SAMPLES 128u
#define STALE_SECONDS 3600

struct stored_column {
	uint64_t offset, count;
	uint32_t size, crc32;
};

struct header {
	char magic[8];
	uint32_t version, header_bytes;
	char identity[40];
	uint64_t first_icount, last_icount, file_bytes, total_bytes;
	uint32_t n, max_depth, cpus, clock, exact, is_dejaview, level_count, columns;
	uint32_t longest_levels[16];
	char damage[512];
	struct stored_column column[MAX_COLUMNS];
	uint32_t unused, crc32; /* of all before it */
};

/* Identity */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9fb21c651e98df25ull;
	return hash ^ hash >> 29;
}

/* Two chains side by side, each over every other word: some 8 GB a second. */
void cache_identity(const void *data, size_t len, char ret[33])
{
	uint64_t a = mix(0x6a09e667f3bcc908, len), b = mix(0xbb67ae8584caa73b, len), words[2];
	const uint8_t *at = data;

	for (; len >= sizeof(words); at += sizeof(words), len -= sizeof(words)) {
		memcpy(words, at, sizeof(words));
		a = mix(a, words[0]);
		b = mix(b, words[1]);
	}
	memset(words, 0, sizeof(words));
	memcpy(words, at, len);
	a = mix(a, words[0]);
	b = mix(mix(b, words[1]), a);
	snprintf(ret, 33, "%016llx%016llx", (unsigned long long)mix(a, b), (unsigned long long)b);
}

/* The folder */

static char *cache_folder(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache == '/')
		return dv_path_join(cache, "dejaview");
	return home && *home ? dv_path_join(home, ".cache/dejaview") : NULL;
}

static char *cache_path(const char *folder, const char *identity)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%u" SUFFIX, identity, DV_CACHE_VERSION);
	return dv_path_join(folder, name);
}

struct cached {
	char name[256];
	off_t bytes;
	time_t used;
};

static int by_use(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), tail = strlen(suffix);

	return len > tail && !strcmp(name + len - tail, suffix);
}

/* Removes the files that were not used for longest, so that `more` bytes fit in; half-written ones of old, too. */
static void make_room(const char *folder, uint64_t more, uint64_t limit)
{
	_cleanup_free_ struct cached *all = NULL;
	uint64_t sum = more;
	struct dirent *entry;
	size_t n = 0, cap = 0;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir))) {
		bool whole = ends_with(entry->d_name, SUFFIX);
		struct stat st;

		if ((!whole && !strstr(entry->d_name, SUFFIX ".")) || strlen(entry->d_name) >= sizeof(all->name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!whole && st.st_mtime < time(NULL) - STALE_SECONDS)
			unlinkat(dirfd(dir), entry->d_name, 0);
		if (!whole)
			continue;
		if (n == cap) {
			struct cached *grown = realloc(all, (cap = cap * 2 + 16) * sizeof(*all));

			if (!grown)
				break;
			all = grown;
		}
		strcpy(all[n].name, entry->d_name);
		all[n].bytes = st.st_size;
		all[n++].used = st.st_mtime;
		sum += (uint64_t)st.st_size;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_use);
	for (size_t i = 0; i < n && sum > limit; i++) {
		if (!unlinkat(dirfd(dir), all[i].name, 0))
			sum -= (uint64_t)all[i].bytes;
	}
	if (dir)
		closedir(dir);
}

/* Checks */

static uint32_t checksum(const void *data, size_t len)
{
	uint32_t crc = 0;

	if (len <= SAMPLED_BYTES)
		return libdeflate_crc32(0, data, len);
	for (size_t i = 0; i < SAMPLES; i++)
		crc = libdeflate_crc32(crc, (const char *)data + (len - PAGE) / (SAMPLES - 1) * i, PAGE);
	return crc;
}

static bool header_is_right(const struct header *h, const char *identity, size_t len)
{
	return len >= sizeof(*h) && !memcmp(h->magic, MAGIC, sizeof(h->magic)) && h->version == DV_CACHE_VERSION &&
	       h->header_bytes == sizeof(*h) && h->total_bytes == len && h->columns == column_meta_count &&
	       !strncmp(h->identity, identity, sizeof(h->identity)) && h->level_count <= DV_ARRAY_SIZE(h->longest_levels) &&
	       memchr(h->damage, 0, sizeof(h->damage)) && h->crc32 == libdeflate_crc32(0, h, offsetof(struct header, crc32));
}

static bool take_columns(struct columns *c, const struct header *h, uint8_t *base, size_t len)
{
	for (size_t i = 0; i < column_meta_count; i++) {
		const struct stored_column *stored = &h->column[i];
		const struct column_meta *meta = &column_metas[i];

		if (stored->size != meta->size || stored->offset % PAGE || stored->offset > len ||
		    stored->count > (len - stored->offset) / meta->size ||
		    checksum(base + stored->offset, stored->count * meta->size) != stored->crc32)
			return false;
		*(void **)((char *)c + meta->pointer) = base + stored->offset;
		*(size_t *)((char *)c + meta->count) = stored->count;
	}
	return c->n_dur == h->n && c->n_start == h->n && c->n_call == h->n && c->n_depth == h->n && c->n_track == h->n &&
	       c->n_parent == h->n && c->n_own == h->n && c->n_lanes == h->n;
}

static bool take_file(struct columns *c, const char *identity, uint8_t *base, size_t len)
{
	const struct header *h = (const struct header *)base;

	if (!header_is_right(h, identity, len) || !take_columns(c, h, base, len))
		return false;
	c->n = h->n;
	c->max_depth = h->max_depth;
	c->cpus = h->cpus;
	c->clock = h->clock;
	c->exact = h->exact;
	c->is_dejaview = h->is_dejaview;
	c->first_icount = h->first_icount;
	c->last_icount = h->last_icount;
	c->file_bytes = h->file_bytes;
	c->level_count = h->level_count;
	memcpy(c->longest_levels, h->longest_levels, sizeof(c->longest_levels));
	memcpy(c->identity, identity, sizeof(c->identity));
	c->damage = h->damage[0] ? strdup(h->damage) : NULL;
	return true;
}

bool cache_open(const char *identity, struct columns *c)
{
	_cleanup_free_ char *folder = cache_folder(), *path = folder ? cache_path(folder, identity) : NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;
	void *base;

	if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)sizeof(struct header))
		return false;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return false;
	if (!take_file(c, identity, base, (size_t)st.st_size)) {
		munmap(base, (size_t)st.st_size);
		*c = (struct columns){0};
		return false;
	}
	c->mapping = base;
	c->mapping_len = (size_t)st.st_size;
	futimens(fd, NULL); /* used now: what is not used goes first */
	return true;
}

/* Writing */

struct cache_writer {
	const struct columns *c;
	pthread_t thread;
};

static void fill_header(const struct columns *c, struct header *h)
{
	uint64_t offset = (sizeof(*h) + PAGE - 1) / PAGE * PAGE;

	*h = (struct header){
		.magic = MAGIC,
		.version = DV_CACHE_VERSION,
		.header_bytes = sizeof(*h),
		.first_icount = c->first_icount,
		.last_icount = c->last_icount,
		.file_bytes = c->file_bytes,
		.n = c->n,
		.max_depth = c->max_depth,
		.cpus = c->cpus,
		.clock = c->clock,
		.exact = c->exact,
		.is_dejaview = c->is_dejaview,
		.level_count = c->level_count,
		.columns = (uint32_t)column_meta_count,
	};
	dv_assert(column_meta_count <= MAX_COLUMNS);
	memcpy(h->longest_levels, c->longest_levels, sizeof(h->longest_levels));
	snprintf(h->identity, sizeof(h->identity), "%s", c->identity);
	snprintf(h->damage, sizeof(h->damage), "%s", c->damage ? c->damage : "");
	for (size_t i = 0; i < column_meta_count; i++) {
		const void *data = *(void *const *)((const char *)c + column_metas[i].pointer);
		size_t count = *(const size_t *)((const char *)c + column_metas[i].count), bytes = count * column_metas[i].size;

		h->column[i] = (struct stored_column){offset, count, (uint32_t)column_metas[i].size,
						      bytes ? checksum(data, bytes) : 0};
		offset += (bytes + PAGE - 1) / PAGE * PAGE;
	}
	h->total_bytes = offset;
	h->crc32 = libdeflate_crc32(0, h, offsetof(struct header, crc32));
}

static bool write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len < (32u << 20) ? len : 32u << 20, (off_t)offset);

		if (n <= 0)
			return false;
		data = (const char *)data + n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

static bool write_columns(int fd, const struct columns *c, const struct header *h)
{
	if (ftruncate(fd, (off_t)h->total_bytes) || !write_at(fd, h, sizeof(*h), 0))
		return false;
	for (size_t i = 0; i < column_meta_count; i++) {
		const void *data = *(void *const *)((const char *)c + column_metas[i].pointer);

		if (!write_at(fd, data, h->column[i].count * h->column[i].size, h->column[i].offset))
			return false;
	}
	return true;
}

/* At most half of what the disk has left, what the cache takes already not counted. */
static bool fits_disk(const char *folder, uint64_t bytes)
{
	struct statvfs fs;

	return bytes <= CACHE_MAX_BYTES / 2 && !statvfs(folder, &fs) && bytes <= (uint64_t)fs.f_bavail * fs.f_frsize / 2;
}

static void write_file(const struct columns *c, const char *folder)
{
	_cleanup_free_ char *path = cache_path(folder, c->identity), *temporary = NULL;
	_cleanup_free_ struct header *h = malloc(sizeof(*h));
	_cleanup_close_ int fd = -1;

	if (!path || !h || asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return;
	fill_header(c, h);
	if (!fits_disk(folder, h->total_bytes))
		return;
	make_room(folder, h->total_bytes, CACHE_MAX_BYTES);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	if (!write_columns(fd, c, h) || rename(temporary, path))
		unlink(temporary);
}

static void *write_thread(void *context)
{
	const struct cache_writer *w = context;
	_cleanup_free_ char *folder = cache_folder();
	_cleanup_error_ struct dv_error *err = folder ? dv_make_dirs(folder) : NULL;

	if (folder && !err)
		write_file(w->c, folder);
	return NULL;
}

struct cache_writer *cache_writer_start(const struct columns *c)
{
	struct cache_writer *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	w->c = c;
	if (pthread_create(&w->thread, NULL, write_thread, w)) {
		free(w);
		return NULL;
	}
	return w;
}

void cache_writer_finish(struct cache_writer *w)
{
	if (!w)
		return;
	pthread_join(w->thread, NULL);
	free(w);
}
