/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about src/symbols/cpio: what of an initramfs is found, and what bad ones are called. */
#include "symbols/cpio.h"
#include "base/buf.h"
#include "test.h"

#include <zlib.h>

#define ELF "\177ELF and some more"

struct entry {
	const char *name, *data;
	unsigned inode, links, mode;
};

static void put_entry(struct dv_buf *buf, const struct entry *e)
{
	size_t start = buf->len, len = e->data ? strlen(e->data) : 0;

	dv_buf_printf(buf, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", e->inode,
		      e->mode ? e->mode : 0100755, 0, 0, e->links ? e->links : 1, 0, len, 8, 1, 0, 0,
		      strlen(e->name) + 1, 0);
	dv_buf_append(buf, e->name, strlen(e->name) + 1);
	while ((buf->len - start) % 4)
		dv_buf_append(buf, "", 1);
	dv_buf_append(buf, e->data, len);
	while ((buf->len - start) % 4)
		dv_buf_append(buf, "", 1);
}

static void put_archive(struct dv_buf *buf, const struct entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_entry(buf, &entries[i]);
	put_entry(buf, &(struct entry){.name = "TRAILER!!!"});
}

static void put_gzip(struct dv_buf *to, const struct dv_buf *from)
{
	z_stream z = {.next_in = from->data, .avail_in = (uInt)from->len};
	uint8_t *room = dv_buf_reserve(to, from->len + 1024);

	CHECK(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_out = room;
	z.avail_out = (uInt)(from->len + 1024);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	to->len += z.total_out;
	deflateEnd(&z);
}

static void check_found(const struct dv_cpio *cpio, const char *path, const char *want)
{
	const uint8_t *data;
	size_t len;

	if (!dv_cpio_find(cpio, path, &data, &len))
		test_fail(__FILE__, __LINE__, "%s is not found", path);
	CHECK_EQ(len, strlen(want));
	CHECK(!memcmp(data, want, len));
}

static bool is_there(const struct dv_cpio *cpio, const char *path)
{
	const uint8_t *data;
	size_t len;

	return dv_cpio_find(cpio, path, &data, &len);
}

static const struct entry some[] = {
	{.name = ".", .mode = 040755},
	{.name = "./bin/sh", .data = ELF " sh"},
	{.name = "etc/passwd", .data = "root:x:0:0"},
	{.name = "lib/modules/x.ko", .data = ELF " module"},
	{.name = "bin/link", .data = "busybox", .mode = 0120777},
	{.name = "usr/bin/one", .inode = 7, .links = 2},
	{.name = "usr/bin/two", .inode = 7, .links = 2, .data = ELF " two names"},
};

TEST(programs_are_kept_by_their_path)
{
	_cleanup_(dv_cpio_closep) struct dv_cpio *cpio = NULL;
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;

	put_archive(&buf, some, DV_ARRAY_SIZE(some));
	CHECK_OK(dv_cpio_open_memory(buf.data, buf.len, &cpio));
	check_found(cpio, "/bin/sh", ELF " sh");
	check_found(cpio, "bin/sh", ELF " sh");
	check_found(cpio, "/usr/bin/one", ELF " two names");
	check_found(cpio, "/usr/bin/two", ELF " two names");
	CHECK(!is_there(cpio, "/etc/passwd"));
	CHECK(!is_there(cpio, "/lib/modules/x.ko"));
	CHECK(!is_there(cpio, "/bin/link"));
	CHECK(!is_there(cpio, "/nowhere"));
	CHECK_EQ(dv_cpio_count(cpio), 3);
}

/* Microcode as it is, then zeros, then the real one compressed, then another: the last of a name counts. */
TEST(archives_follow_one_another)
{
	static const struct entry early[] = {{.name = "kernel/x86/microcode/GenuineIntel.bin", .data = "\x01\x02"},
					     {.name = "bin/early", .data = ELF " early"}};
	static const struct entry late[] = {{.name = "bin/sh", .data = ELF " newer"}};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT, inner = DV_BUF_INIT;
	_cleanup_(dv_cpio_closep) struct dv_cpio *cpio = NULL;

	put_archive(&buf, early, DV_ARRAY_SIZE(early));
	for (int i = 0; i < 300; i++)
		dv_buf_append(&buf, "", 1);
	put_archive(&inner, some, DV_ARRAY_SIZE(some));
	put_gzip(&buf, &inner);
	dv_buf_append(&buf, "\0\0", 3);
	dv_buf_clear(&inner);
	put_archive(&inner, late, DV_ARRAY_SIZE(late));
	put_gzip(&buf, &inner);
	CHECK_OK(dv_cpio_open_memory(buf.data, buf.len, &cpio));
	check_found(cpio, "/bin/early", ELF " early");
	check_found(cpio, "/usr/bin/one", ELF " two names");
	check_found(cpio, "/bin/sh", ELF " newer");
}

static void check_bad(const struct dv_buf *buf, size_t len, enum dv_error_code code, const char *message)
{
	struct dv_cpio *cpio;

	CHECK_ERROR(dv_cpio_open_memory(buf->data, len, &cpio), code, message);
}

TEST(bad_archives_say_where)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT, packed = DV_BUF_INIT;

	put_archive(&buf, some, DV_ARRAY_SIZE(some));
	check_bad(&buf, 100, DV_ERROR_TRUNCATED, "cpio: entry at offset 0 ends within its header");
	check_bad(&buf, 240, DV_ERROR_TRUNCATED,
		  "cpio: entry at offset 112: 9 bytes of name and 21 of data do not fit into the 18 that are left");
	memcpy(buf.data + 6, "xyz", 3);
	check_bad(&buf, buf.len, DV_ERROR_FORMAT, "cpio: entry at offset 0: 'xyz00000' is no number");
	memcpy(buf.data + 6, "000", 3);
	memcpy(buf.data + 94, "FFFFFFFF", 8);
	check_bad(&buf, buf.len, DV_ERROR_FORMAT, "cpio: entry at offset 0: a name of 4294967295 bytes");
	put_gzip(&packed, &buf);
	check_bad(&packed, packed.len, DV_ERROR_FORMAT,
		  "offset 0: in gzip data: cpio: entry at offset 0: a name of 4294967295 bytes");
	dv_buf_clear(&buf);
	dv_buf_printf(&buf, "#!/bin/sh");
	check_bad(&buf, buf.len, DV_ERROR_FORMAT,
		  "offset 0: neither a cpio archive (newc) nor one compressed by gzip, xz, zstd, lz4, bzip2 or lzma");
}
