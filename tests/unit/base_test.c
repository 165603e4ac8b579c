/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about src/base. */
#include "base/buf.h"
#include "base/io.h"
#include "base/map.h"
#include "base/vec.h"
#include "test.h"

#include <errno.h>
#include <sys/stat.h>

TEST(error_prefix_names_the_thing)
{
	_cleanup_error_ struct dv_error *err = dv_error_os(ENOENT, "cannot open %s", "x");

	err = dv_error_prefix(err, "loading %s", "y");
	CHECK_STR(err->message, "loading y: cannot open x: No such file or directory");
	CHECK_EQ(err->code, DV_ERROR_OS);
	CHECK_EQ(err->os_errno, ENOENT);
	CHECK(dv_error_prefix(NULL, "nothing") == NULL);
}

TEST(varint_goes_there_and_back)
{
	static const uint64_t values[] = {0, 1, 127, 128, 300, 1ull << 32, UINT64_MAX};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct dv_cursor c;

	for (size_t i = 0; i < DV_ARRAY_SIZE(values); i++)
		dv_buf_varint(&buf, values[i]);
	c = dv_cursor_make(buf.data, buf.len);
	for (size_t i = 0; i < DV_ARRAY_SIZE(values); i++)
		CHECK(dv_cursor_varint(&c) == values[i]);
	CHECK_EQ(dv_cursor_left(&c), 0);
	CHECK(!c.truncated);
}

TEST(cursor_stops_at_the_end)
{
	struct dv_cursor c = dv_cursor_make("\x01\x02\x03", 3);

	CHECK_EQ(dv_cursor_u16(&c), 0x201);
	CHECK_EQ(dv_cursor_u32(&c), 0);
	CHECK(c.truncated);
	CHECK_EQ(dv_cursor_u8(&c), 0);
}

TEST(cursor_refuses_an_endless_varint)
{
	uint8_t bytes[11];
	struct dv_cursor c;

	memset(bytes, 0xff, sizeof(bytes));
	c = dv_cursor_make(bytes, sizeof(bytes));
	CHECK_EQ(dv_cursor_varint(&c), 0);
	CHECK(c.truncated);
}

TEST(map_keeps_every_key_through_growth_and_removal)
{
	struct dv_map map = DV_MAP_INIT;

	for (uint64_t key = 0; key < 5000; key++)
		*dv_map_put(&map, key * 0x1000) = key;
	for (uint64_t key = 0; key < 5000; key += 2)
		CHECK(dv_map_remove(&map, key * 0x1000));
	CHECK(!dv_map_remove(&map, 0));
	CHECK_EQ(map.len, 2500);
	for (uint64_t key = 0; key < 5000; key++) {
		uint64_t *value = dv_map_get(&map, key * 0x1000);

		CHECK((key & 1) ? value && *value == key : !value);
	}
	dv_map_deinit(&map);
}

TEST(replace_file_leaves_no_temporary)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "a");
	_cleanup_free_ char *copy = dv_path_join(test_dir(), "b");
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;

	CHECK_OK(dv_replace_file(path, "one", 3, 0644));
	CHECK_OK(dv_replace_file(path, "two!", 4, 0644));
	CHECK_OK(dv_copy_file(path, copy));
	CHECK_OK(dv_read_file(copy, 10, &buf));
	CHECK_EQ(buf.len, 4);
	CHECK(!memcmp(buf.data, "two!", 4));
	dv_error_destroy(dv_copy_file(path, copy));
}

TEST(make_dirs_makes_all)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "x/y/z");
	struct stat st;

	CHECK_OK(dv_make_dirs(path));
	CHECK_OK(dv_make_dirs(path));
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

TEST(a_vec_keeps_what_is_in_it_while_it_grows)
{
	DV_VEC(uint32_t) vec = {0};
	uint32_t *items = vec.v;
	size_t cap = SIZE_MAX / 2 + 1;

	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t *item = i % 2 ? dv_vec_add(&vec) : dv_vec_push(&vec);

		CHECK(item);
		CHECK(i % 2 || !*item);
		*item = i;
	}
	CHECK_EQ(vec.n, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		CHECK_EQ(vec.v[i], i);
	CHECK(!DV_VEC_RESERVE(items, cap, cap, 1)); /* more than there is */
	CHECK(!items);
	CHECK_EQ(cap, SIZE_MAX / 2 + 1);
	free(vec.v);
}
