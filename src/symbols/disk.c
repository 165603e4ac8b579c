/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ext file systems in a disk image: see disk.h. */
#include "symbols/disk.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "symbols/nbd.h"

#define SECTOR_BYTES	   512
#define MAX_FILE_SYSTEMS   16
#define TABLE_BYTES	   (1u << 20) /* of the image's start and end, where partition tables are */
#define MAX_LOGICAL	   64

struct file_system {
	struct dv_nbd *nbd; /* borrowed */
	uint64_t start, size; /* bytes */
	ext2_filsys fs;
};

struct dv_disk {
	char *image;
	struct dv_nbd *nbd;
	struct file_system *file_systems[MAX_FILE_SYSTEMS];
	size_t count;
};

/* ---- libext2fs' way to the bytes ---- */

static errcode_t channel_close(io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t channel_set_block_size(io_channel channel, int bytes)
{
	channel->block_size = bytes;
	return 0;
}

/* A negative count is bytes, not blocks. */
static errcode_t channel_read(io_channel channel, unsigned long long block, int count, void *to)
{
	struct file_system *f = channel->private_data;
	uint64_t offset, len = count < 0 ? (uint64_t)-(int64_t)count : (uint64_t)count * (uint64_t)channel->block_size;

	if (__builtin_mul_overflow(block, (uint64_t)channel->block_size, &offset) || offset > f->size ||
	    len > f->size - offset)
		return EXT2_ET_SHORT_READ;
	return dv_nbd_read(f->nbd, f->start + offset, to, len) ? 0 : EXT2_ET_SHORT_READ;
}

static errcode_t channel_read_old(io_channel channel, unsigned long block, int count, void *to)
{
	return channel_read(channel, block, count, to);
}

static errcode_t channel_refuse(io_channel channel, unsigned long block, int count, const void *data)
{
	return EXT2_ET_RO_FILSYS;
}

static errcode_t channel_flush(io_channel channel)
{
	return 0;
}

static errcode_t channel_open(const char *name, int flags, io_channel *ret);

static struct struct_io_manager nbd_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "DejaView NBD",
	.open = channel_open,
	.close = channel_close,
	.set_blksize = channel_set_block_size,
	.read_blk = channel_read_old,
	.write_blk = channel_refuse,
	.flush = channel_flush,
	.read_blk64 = channel_read,
};

/* The name is the address of our struct file_system: libext2fs hands nothing else through. */
static errcode_t channel_open(const char *name, int flags, io_channel *ret)
{
	io_channel channel = calloc(1, sizeof(*channel));

	if (!channel || flags & IO_FLAG_RW) {
		free(channel);
		return channel ? EXT2_ET_RO_FILSYS : EXT2_ET_NO_MEMORY;
	}
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &nbd_manager;
	channel->name = strdup(name);
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = (void *)(uintptr_t)strtoull(name, NULL, 16);
	if (!channel->name) {
		free(channel);
		return EXT2_ET_NO_MEMORY;
	}
	*ret = channel;
	return 0;
}

static void close_file_system(struct file_system *f)
{
	if (f->fs)
		ext2fs_close_free(&f->fs);
	free(f);
}

/* Adds the file system at start, if there is one that can be read. */
static struct dv_error *add_file_system(struct dv_disk *disk, uint64_t start, uint64_t size)
{
	const int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_IGNORE_CSUM_ERRORS;
	struct file_system *f;
	char name[32];

	if (disk->count == MAX_FILE_SYSTEMS)
		return NULL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return dv_error_no_memory();
	*f = (struct file_system){.nbd = disk->nbd, .start = start, .size = size};
	snprintf(name, sizeof(name), "%" PRIxPTR, (uintptr_t)f);
	if (ext2fs_open(name, flags, 0, 0, &nbd_manager, &f->fs)) {
		f->fs = NULL;
		close_file_system(f);
		return NULL;
	}
	disk->file_systems[disk->count++] = f;
	return NULL;
}

/* ---- partitions ---- */

/* Copies a piece of the image into the sparse likeness that libblkid is shown. */
static bool copy_piece(struct dv_disk *disk, int fd, uint64_t offset, size_t len)
{
	_cleanup_free_ uint8_t *bytes = malloc(len);

	return bytes && dv_nbd_read(disk->nbd, offset, bytes, len) &&
	       pwrite(fd, bytes, len, (off_t)offset) == (ssize_t)len;
}

/*
 * Logical partitions of an MBR are a list through the extended one: each link is a sector with a table of
 * its own, whose second entry gives the next link, relative to the list's start.
 */
static void copy_logical_tables(struct dv_disk *disk, int fd)
{
	uint8_t mbr[SECTOR_BYTES], link[SECTOR_BYTES];
	uint64_t first = 0, at;

	if (!dv_nbd_read(disk->nbd, 0, mbr, sizeof(mbr)) || mbr[510] != 0x55 || mbr[511] != 0xaa)
		return;
	for (int i = 0; i < 4; i++) {
		const uint8_t *entry = mbr + 446 + i * 16;
		uint32_t start;

		memcpy(&start, entry + 8, 4);
		if (entry[4] == 0x05 || entry[4] == 0x0f || entry[4] == 0x85)
			first = start;
	}
	at = first;
	for (int i = 0; at && i < MAX_LOGICAL; i++) {
		uint32_t next;

		if (!dv_nbd_read(disk->nbd, at * SECTOR_BYTES, link, sizeof(link)) ||
		    pwrite(fd, link, sizeof(link), (off_t)(at * SECTOR_BYTES)) != sizeof(link))
			return;
		memcpy(&next, link + 462 + 8, 4);
		at = next ? first + next : 0;
	}
}

static struct dv_error *add_partitions(struct dv_disk *disk, blkid_probe probe)
{
	blkid_partlist list;

	blkid_probe_enable_superblocks(probe, 0);
	blkid_probe_enable_partitions(probe, 1);
	list = blkid_probe_get_partitions(probe);
	for (int i = 0; list && i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition partition = blkid_partlist_get_partition(list, i);
		uint64_t start = (uint64_t)blkid_partition_get_start(partition) * SECTOR_BYTES;
		uint64_t size = (uint64_t)blkid_partition_get_size(partition) * SECTOR_BYTES;

		if (start >= dv_nbd_size(disk->nbd))
			continue;
		if (size > dv_nbd_size(disk->nbd) - start)
			size = dv_nbd_size(disk->nbd) - start;
		DV_TRY(add_file_system(disk, start, size));
	}
	return NULL;
}

static struct dv_error *look_for_partitions(struct dv_disk *disk)
{
	_cleanup_close_ int fd = memfd_create("dejaview-partitions", MFD_CLOEXEC);
	const uint64_t size = dv_nbd_size(disk->nbd);
	struct dv_error *err = NULL;
	blkid_probe probe;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return dv_error_os(errno, "%s: memory for its partition table", disk->image);
	if (!copy_piece(disk, fd, 0, size < TABLE_BYTES ? size : TABLE_BYTES) ||
	    (size > 2 * TABLE_BYTES && !copy_piece(disk, fd, size - TABLE_BYTES, TABLE_BYTES)))
		return dv_error_new(DV_ERROR_PROTOCOL, "%s: its partition table cannot be read", disk->image);
	copy_logical_tables(disk, fd);
	probe = blkid_new_probe();
	if (!probe)
		return dv_error_no_memory();
	if (!blkid_probe_set_device(probe, fd, 0, 0))
		err = add_partitions(disk, probe);
	blkid_free_probe(probe);
	return err;
}

static struct dv_error *open_disk(struct dv_disk *disk)
{
	DV_TRY(dv_nbd_open(disk->image, &disk->nbd));
	DV_TRY(add_file_system(disk, 0, dv_nbd_size(disk->nbd)));
	if (!disk->count)
		DV_TRY(look_for_partitions(disk));
	if (!disk->count)
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "%s: no ext2, ext3 or ext4 file system, neither on the whole disk nor in a partition",
				    disk->image);
	return NULL;
}

struct dv_error *dv_disk_open(const char *image, struct dv_disk **ret)
{
	_cleanup_(dv_disk_closep) struct dv_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return dv_error_no_memory();
	disk->image = strdup(image);
	if (!disk->image)
		return dv_error_no_memory();
	DV_TRY(open_disk(disk));
	*ret = dv_steal(disk);
	return NULL;
}

void dv_disk_close(struct dv_disk *disk)
{
	if (!disk)
		return;
	for (size_t i = 0; i < disk->count; i++)
		close_file_system(disk->file_systems[i]);
	dv_nbd_close(disk->nbd);
	free(disk->image);
	free(disk);
}

size_t dv_disk_count(const struct dv_disk *disk)
{
	return disk->count;
}

/* ---- files ---- */

static struct dv_error *read_inode(struct dv_disk *disk, struct file_system *f, ext2_ino_t number, const char *path,
				   size_t max_bytes, struct dv_buf *ret)
{
	struct ext2_inode inode;
	ext2_file_t file;
	errcode_t rc = ext2fs_read_inode(f->fs, number, &inode);
	uint64_t size;
	uint8_t *to;

	if (rc || !LINUX_S_ISREG(inode.i_mode))
		return NULL;
	size = EXT2_I_SIZE(&inode);
	if (size > max_bytes)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: %s has more than %zu bytes", disk->image, path, max_bytes);
	to = dv_buf_reserve(ret, size + 1);
	if (!to)
		return dv_error_no_memory();
	rc = ext2fs_file_open(f->fs, number, 0, &file);
	for (uint64_t done = 0; !rc && done < size;) {
		unsigned got = 0, want = size - done > (1u << 20) ? 1u << 20 : (unsigned)(size - done);

		rc = ext2fs_file_read(file, to + done, want, &got);
		if (!rc && !got)
			rc = EXT2_ET_SHORT_READ;
		done += got;
		ret->len += got;
		if (rc)
			ext2fs_file_close(file);
	}
	if (rc) {
		dv_buf_clear(ret);
		return dv_error_new(DV_ERROR_FORMAT, "%s: %s: %s", disk->image, path, error_message(rc));
	}
	ext2fs_file_close(file);
	return NULL;
}

/* The file's number on this file system, or 0. */
static ext2_ino_t look_up(struct file_system *f, const char *path)
{
	ext2_ino_t number;

	return ext2fs_namei(f->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &number) ? 0 : number;
}

struct dv_error *dv_disk_read(struct dv_disk *disk, const char *path, uint64_t inode, size_t max_bytes,
			      struct dv_buf *ret)
{
	for (size_t i = 0; i < disk->count; i++) {
		const char *part = path;

		/* Where it is mounted is not known: "/home/x/y" may be "/x/y" there. */
		do {
			ext2_ino_t number = look_up(disk->file_systems[i], part);

			if (number && (!inode || number == inode))
				return read_inode(disk, disk->file_systems[i], number, path, max_bytes, ret);
			part = strchr(part + 1, '/');
		} while (inode && part);
	}
	return NULL;
}
