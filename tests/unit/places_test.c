/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about where code lies in a trace: mapped files, mappings, kernel modules, functions' sources. */
#include "base/io.h"
#include "trace/reader.h"
#include "trace/writer.h"
#include "test.h"

enum { LIBC = 3, SHELL = 9 };

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	*ret = (struct dv_trace_function){
		.name = "malloc",
		.vaddr = dv_file_key_offset(key) + 0x1000,
		.module = "libc.so.6",
		.space = DV_FUNCTION_USER,
		.size_bytes = 0x2a0,
		.file = "malloc/malloc.c",
		.line = 3321,
	};
}

static struct dv_trace_writer *create(void)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "t.dvtrace");
	struct dv_trace_options options = {.path = path, .exact = true, .describe = describe};
	struct dv_trace_mapped_file libc = {.id = LIBC, .path = "/lib/libc.so.6", .device = 0x800001, .inode = 77};
	struct dv_trace_mapped_file shell = {.id = SHELL, .path = "/bin/sh"};
	struct dv_trace_writer *w;

	CHECK_OK(dv_trace_writer_create(&options, &w));
	dv_trace_writer_mapped_file(w, &libc);
	dv_trace_writer_mapped_file(w, &shell);
	libc.build_id = "00c0ffee";
	dv_trace_writer_mapped_file(w, &libc);
	return w;
}

static struct dv_trace_reader *finish(struct dv_trace_writer *w)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "t.dvtrace");
	struct dv_trace_reader *r;

	CHECK_OK(dv_trace_writer_finish(w, 5000));
	CHECK_OK(dv_trace_reader_open(path, &r));
	if (dv_trace_reader_damage(r))
		test_fail(__FILE__, __LINE__, "%s", dv_trace_reader_damage(r)->message);
	return r;
}

static void change(struct dv_trace_writer *w, struct dv_trace_mapping_change c)
{
	dv_trace_writer_mapping(w, &c);
}

static void map(struct dv_trace_writer *w, uint64_t icount, uint32_t space, uint64_t start, uint64_t end,
		uint64_t offset, uint32_t file)
{
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_MAP, .icount = icount, .space = space,
						   .start_vaddr = start, .end_vaddr = end, .offset_bytes = offset,
						   .file_id = file});
}

static void use(struct dv_trace_writer *w, uint64_t icount, int32_t tgid, uint32_t space)
{
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_USE, .icount = icount, .space = space,
						   .tgid = tgid});
}

/* One row a line: "from-to tgid start-end@offset path". */
static char *rows(struct dv_trace_reader *r)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	const struct dv_trace_mapping *m;
	size_t n;

	CHECK_OK(dv_trace_reader_mappings(r, &m, &n));
	for (size_t i = 0; i < n; i++) {
		dv_buf_printf(&text, "%" PRIu64 "-", m[i].from_icount);
		if (m[i].to_icount != UINT64_MAX)
			dv_buf_printf(&text, "%" PRIu64, m[i].to_icount);
		dv_buf_printf(&text, " %d %" PRIx64 "-%" PRIx64 "@%" PRIx64 " %s\n", m[i].tgid, m[i].start_vaddr,
			      m[i].end_vaddr, m[i].offset_bytes, m[i].file ? m[i].file->path : "?");
	}
	return dv_buf_steal_string(&text);
}

TEST(a_process_has_its_mappings_from_exec_to_exit)
{
	struct dv_trace_writer *w = create();
	_cleanup_free_ char *text = NULL;
	struct dv_trace_reader *r;

	use(w, 100, 7, 1);
	map(w, 110, 1, 0x400000, 0x500000, 0x1000, SHELL);
	map(w, 120, 1, 0x7f0000000000, 0x7f0000100000, 0x28000, LIBC);
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_DROP, .icount = 900, .space = 1});
	r = finish(w);
	text = rows(r);
	CHECK_STR(text, "110-900 7 400000-500000@1000 /bin/sh\n"
			"120-900 7 7f0000000000-7f0000100000@28000 /lib/libc.so.6\n");
	CHECK_STR(dv_trace_reader_mapped_file(r, LIBC)->build_id, "00c0ffee");
	CHECK_EQ(dv_trace_reader_mapped_file(r, LIBC)->device, 0x800001);
	CHECK_EQ(dv_trace_reader_mapped_file(r, LIBC)->inode, 77);
	CHECK(!dv_trace_reader_mapped_file(r, SHELL)->build_id);
	CHECK(!dv_trace_reader_mapped_file(r, 4));
	dv_trace_reader_close(r);
}

TEST(what_is_mapped_over_another_cuts_it_in_two)
{
	struct dv_trace_writer *w = create();
	_cleanup_free_ char *text = NULL;
	struct dv_trace_reader *r;

	use(w, 0, 7, 1);
	map(w, 10, 1, 0x10000, 0x50000, 0x1000, LIBC);
	map(w, 20, 1, 0x20000, 0x30000, 0, SHELL);
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_UNMAP, .icount = 30, .space = 1,
						   .start_vaddr = 0x28000, .end_vaddr = 0x60000});
	r = finish(w);
	text = rows(r);
	CHECK_STR(text, "10-20 7 10000-50000@1000 /lib/libc.so.6\n"
			"20- 7 10000-20000@1000 /lib/libc.so.6\n"
			"20-30 7 20000-30000@0 /bin/sh\n"
			"20-30 7 30000-50000@21000 /lib/libc.so.6\n"
			"30- 7 20000-28000@0 /bin/sh\n");
	dv_trace_reader_close(r);
}

TEST(fork_copies_vfork_shares_exec_replaces)
{
	struct dv_trace_writer *w = create();
	_cleanup_free_ char *text = NULL;
	struct dv_trace_reader *r;

	use(w, 0, 7, 1);
	map(w, 10, 1, 0x10000, 0x20000, 0, SHELL);
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_COPY, .icount = 50, .space = 2, .from_space = 1});
	use(w, 50, 8, 2);
	use(w, 60, 9, 1); /* vfork */
	use(w, 80, 9, 3); /* its exec */
	map(w, 81, 3, 0x30000, 0x40000, 0, LIBC);
	change(w, (struct dv_trace_mapping_change){.change = DV_MAPPING_DROP, .icount = 90, .space = 2});
	r = finish(w);
	text = rows(r);
	CHECK_STR(text, "10- 7 10000-20000@0 /bin/sh\n"
			"50-90 8 10000-20000@0 /bin/sh\n"
			"60-80 9 10000-20000@0 /bin/sh\n"
			"81- 9 30000-40000@0 /lib/libc.so.6\n");
	dv_trace_reader_close(r);
}

TEST(a_module_lasts_until_it_is_freed)
{
	struct dv_trace_module_change c = {
		.icount = 100,
		.name = "virtio_blk",
		.build_id = "abcd",
		.base_vaddr = 0xffffffffc0000000,
		.size_bytes = 0x3000,
		.init_vaddr = 0xffffffffc0010000,
		.init_size_bytes = 0x1000,
	};
	struct dv_trace_writer *w = create();
	const struct dv_trace_module *m;
	struct dv_trace_reader *r;
	size_t n;

	dv_trace_writer_module(w, &c);
	c = (struct dv_trace_module_change){.icount = 150, .name = "other", .base_vaddr = 0xffffffffc0020000};
	dv_trace_writer_module(w, &c);
	dv_trace_writer_flush(w);
	c = (struct dv_trace_module_change){.icount = 200, .name = "virtio_blk", .base_vaddr = 0xffffffffc0000000,
					    .is_gone = true};
	dv_trace_writer_module(w, &c);
	r = finish(w);
	CHECK_OK(dv_trace_reader_modules(r, &m, &n));
	CHECK_EQ(n, 2);
	CHECK_STR(m[0].name, "virtio_blk");
	CHECK_STR(m[0].build_id, "abcd");
	CHECK_EQ(m[0].base_vaddr, 0xffffffffc0000000);
	CHECK_EQ(m[0].size_bytes, 0x3000);
	CHECK_EQ(m[0].init_vaddr, 0xffffffffc0010000);
	CHECK_EQ(m[0].init_size_bytes, 0x1000);
	CHECK_EQ(m[0].from_icount, 100);
	CHECK_EQ(m[0].to_icount, 200);
	CHECK(dv_trace_module_is_at(&m[0], 199) && !dv_trace_module_is_at(&m[0], 200));
	CHECK_EQ(m[1].to_icount, UINT64_MAX);
	dv_trace_reader_close(r);
}

TEST(a_user_function_is_its_file_and_offset_and_has_its_source)
{
	const struct dv_trace_thread thread = {.id = 1, .tid = 70, .tgid = 7, .comm = "sh"};
	const uint64_t key = dv_file_key(LIBC, 0x9a2c0);
	const struct dv_trace_reader_function *f;
	struct dv_trace_writer *w = create();
	const struct dv_trace_event *events;
	struct dv_trace_reader *r;
	uint64_t vaddr;
	size_t n;

	dv_trace_writer_thread(w, 0, &thread);
	use(w, 0, 7, 1);
	map(w, 0, 1, 0x7f1200028000, 0x7f1200128000, 0x28000, LIBC);
	CHECK(dv_is_file_key(key) && !dv_is_file_key(0x7f0000000000) && !dv_is_file_key(0xffffffff81000000));
	CHECK_EQ(dv_file_key_id(key), LIBC);
	CHECK_EQ(dv_file_key_offset(key), 0x9a2c0);
	dv_trace_writer_begin(w, 1, 100, key, DV_SLICE_CALL);
	dv_trace_writer_end(w, 1, 200);
	r = finish(w);
	CHECK_OK(dv_trace_reader_read_block(r, 0, &events, &n));
	f = dv_trace_reader_function(r, events[0].function);
	CHECK_EQ(f->key, key);
	CHECK_EQ(f->is.vaddr, 0x9b2c0);
	CHECK_EQ(f->is.size_bytes, 0x2a0);
	CHECK_STR(f->is.module, "libc.so.6");
	CHECK_STR(f->is.file, "malloc/malloc.c");
	CHECK_EQ(f->is.line, 3321);
	CHECK(dv_trace_reader_entry_vaddr(r, events[0].function, 1, 100, &vaddr));
	CHECK_EQ(vaddr, 0x7f120009a2c0);
	CHECK(!dv_trace_reader_entry_vaddr(r, events[0].function, 2, 100, &vaddr));
	dv_trace_reader_close(r);
}
