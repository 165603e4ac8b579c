/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about the writer's address spaces: which file an address is in after each change. */
#include <stdlib.h>
#include "plugin/spaces.h"
#include "test.h"

#define MM	0xffff888000001000ull
#define CHILD	0xffff888000002000ull
#define LIBRARY "/lib/libx.so"

static struct dv_user_files *files;
static struct dv_spaces *spaces;

static void setup(void)
{
	static const struct dv_files_options nothing;

	CHECK_OK(dv_user_files_create(&nothing, NULL, 0, &files));
	CHECK_OK(dv_spaces_create(files, &spaces));
}

static void teardown(void)
{
	dv_spaces_destroy(spaces);
	dv_user_files_destroy(files);
}

static void map(uint64_t mm, uint64_t start, uint64_t end, uint64_t offset, const char *path, uint64_t inode)
{
	struct dv_event_mapping *e = calloc(1, sizeof(*e) + sizeof(e->mappings[0]));

	CHECK(e);
	e->mm_vaddr = mm;
	e->tgid = 7;
	e->count = 1;
	e->mappings[0] = (struct dv_mapping){
		.mm_vaddr = mm,
		.start_vaddr = start,
		.end_vaddr = end,
		.offset_bytes = offset,
		.executable = true,
		.inode = inode,
		.path = strdup(path),
	};
	dv_spaces_apply(spaces, 1, e, NULL);
	dv_event_mapping_destroy(e);
}

static void change(const struct dv_event_mapping *e)
{
	dv_spaces_apply(spaces, 1, e, NULL);
}

/* The offset in a file of an address, or the address itself where there is no file. */
static uint64_t look_up(uint64_t mm, uint64_t vaddr)
{
	const struct dv_space *space = dv_spaces_find(spaces, mm);
	uint64_t key;

	CHECK(space);
	key = dv_spaces_key(space, vaddr);
	return dv_is_file_key(key) ? dv_file_key_offset(key) : key;
}

TEST(an_address_is_in_what_was_mapped_last)
{
	setup();
	CHECK(!dv_spaces_find(spaces, MM));
	map(MM, 0x10000, 0x20000, 0x3000, LIBRARY, 1);
	CHECK_EQ(look_up(MM, 0x10000), 0x3000);
	CHECK_EQ(look_up(MM, 0x1ffff), 0x12fff);
	CHECK_EQ(look_up(MM, 0x20000), 0x20000);
	CHECK_EQ(look_up(MM, 0xffff), 0xffff);
	map(MM, 0x14000, 0x15000, 0, "/bin/other", 2);
	CHECK_EQ(look_up(MM, 0x14010), 0x10);
	CHECK_EQ(look_up(MM, 0x13fff), 0x6fff);
	CHECK_EQ(look_up(MM, 0x15000), 0x8000);
	change(&(struct dv_event_mapping){.change = DV_MAPPING_UNMAP, .mm_vaddr = MM, .start_vaddr = 0x12000,
					 .end_vaddr = 0x14800});
	CHECK_EQ(look_up(MM, 0x12000), 0x12000);
	CHECK_EQ(look_up(MM, 0x147ff), 0x147ff);
	CHECK_EQ(look_up(MM, 0x14800), 0x800);
	CHECK_EQ(look_up(MM, 0x11fff), 0x4fff);
	teardown();
}

TEST(code_in_no_file_keeps_its_address)
{
	setup();
	map(MM, 0x7f0000000000, 0x7f0000001000, 0, "[anon]", 0);
	CHECK_EQ(look_up(MM, 0x7f0000000123), DV_ANON_KEY | 0x7f0000000123);
	teardown();
}

TEST(a_generation_is_never_that_of_another_space_or_time)
{
	uint32_t first, again, child;

	setup();
	map(MM, 0x10000, 0x20000, 0, LIBRARY, 1);
	first = dv_spaces_find(spaces, MM)->generation;
	map(MM, 0x10000, 0x20000, 0, LIBRARY, 1); /* as mprotect says it again */
	CHECK_EQ(dv_spaces_find(spaces, MM)->generation, first);
	change(&(struct dv_event_mapping){.change = DV_MAPPING_UNMAP, .mm_vaddr = MM, .start_vaddr = 0x30000,
					 .end_vaddr = 0x40000});
	CHECK_EQ(dv_spaces_find(spaces, MM)->generation, first);
	map(MM, 0x30000, 0x40000, 0, LIBRARY, 1);
	again = dv_spaces_find(spaces, MM)->generation;
	CHECK(again != first);
	change(&(struct dv_event_mapping){.change = DV_MAPPING_COPY, .mm_vaddr = CHILD, .from_mm_vaddr = MM, .tgid = 8});
	child = dv_spaces_find(spaces, CHILD)->generation;
	CHECK(child != first && child != again);
	CHECK_EQ(look_up(CHILD, 0x30010), 0x10);
	change(&(struct dv_event_mapping){.change = DV_MAPPING_DROP, .mm_vaddr = CHILD});
	CHECK(!dv_spaces_find(spaces, CHILD));
	map(CHILD, 0x10000, 0x20000, 0, LIBRARY, 1);
	CHECK(dv_spaces_find(spaces, CHILD)->generation != child);
	CHECK_EQ(look_up(CHILD, 0x30010), 0x30010);
	teardown();
}

/* One file for all processes; another of the same path is another file. */
TEST(a_files_id_is_by_path_and_inode)
{
	struct dv_mapping a = {.path = (char *)LIBRARY, .inode = 1}, b = {.path = (char *)LIBRARY, .inode = 2};
	struct dv_trace_function function;
	uint32_t id;

	setup();
	id = dv_user_files_id(files, &a, NULL);
	CHECK(id && dv_user_files_id(files, &a, NULL) == id);
	CHECK(dv_user_files_id(files, &b, NULL) != id);
	dv_user_files_describe(files, dv_file_key(id, 0x2a1f0), &function);
	CHECK_STR(function.name, "libx.so+0x2a1f0");
	CHECK_STR(function.module, "libx.so");
	CHECK_EQ(function.vaddr, 0x2a1f0);
	teardown();
}
