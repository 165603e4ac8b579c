/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about src/trace: what is written is read, and what a killed writer or bad bytes leave. */
#include "base/io.h"
#include "trace/huffman.h"
#include "trace/reader.h"
#include "trace/writer.h"
#include "test.h"

#include <errno.h>
#include <libdeflate.h>
#include <signal.h>
#include <sys/resource.h>

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static char name[32];

	snprintf(name, sizeof(name), "f%" PRIu64, key);
	ret->name = name;
	ret->vaddr = 0xffffffff81000000ull + key * 16;
	ret->module = key % 10 == 7 ? "virtio_blk" : NULL;
	ret->space = key % 10 == 7 ? DV_FUNCTION_MODULE : DV_FUNCTION_KERNEL;
	ret->has_number = key / 100 == 8;
	ret->number = ret->has_number ? (uint32_t)(key % 100) : 0;
	ret->mnemonic = key == 814 ? "#PF" : NULL;
}

static char qemu[] = "qemu-system-x86_64", m[] = "-m", size[] = "512";
static char *const command[] = {qemu, m, size, NULL};

static struct dv_trace_writer *create(const char *path)
{
	struct dv_trace_options options = {
		.path = path,
		.clock = DV_TRACE_CLOCK_ICOUNT,
		.exact = true,
		.kernel_banner = "Linux version 6.1.0",
		.kernel_build_id = "0123abcd",
		.command = command,
		.directory = "/home/me",
		.describe = describe,
	};
	struct dv_trace_writer *w;

	CHECK_OK(dv_trace_writer_create(&options, &w));
	return w;
}

static void declare(struct dv_trace_writer *w, uint64_t icount, uint64_t id, int32_t tid, int32_t tgid,
		    const char *comm)
{
	struct dv_trace_thread thread = {.id = id, .tid = tid, .tgid = tgid, .parent_tgid = tid ? 1 : 0};

	snprintf(thread.comm, sizeof(thread.comm), "%s", comm);
	dv_trace_writer_thread(w, icount, &thread);
}

static char *trace_path(void)
{
	return dv_path_join(test_dir(), "t.dvtrace");
}

static struct dv_trace_reader *open_whole(const char *path)
{
	struct dv_trace_reader *r;

	CHECK_OK(dv_trace_reader_open(path, &r));
	if (dv_trace_reader_damage(r))
		test_fail(__FILE__, __LINE__, "%s", dv_trace_reader_damage(r)->message);
	CHECK(dv_trace_reader_metadata(r)->finished);
	return r;
}

struct want_event {
	uint64_t icount, thread_id, key;
	enum dv_trace_event_type type;
	enum dv_slice_kind kind;
};

static void write_event(struct dv_trace_writer *w, const struct want_event *e)
{
	if (e->type == DV_TRACE_BEGIN)
		dv_trace_writer_begin(w, e->thread_id, e->icount, e->key, e->kind);
	else
		dv_trace_writer_end(w, e->thread_id, e->icount);
}

/* Checks that all blocks together hold the first of these events, and returns how many. */
static size_t check_events(struct dv_trace_reader *r, const struct want_event *want, size_t count)
{
	size_t at = 0;

	for (size_t b = 0; b < dv_trace_reader_block_count(r); b++) {
		const struct dv_trace_event *events;
		size_t n;

		CHECK_OK(dv_trace_reader_read_block(r, b, &events, &n));
		for (size_t i = 0; i < n; i++, at++) {
			CHECK(at < count);
			CHECK_EQ(events[i].icount, want[at].icount);
			CHECK_EQ(events[i].thread_id, want[at].thread_id);
			CHECK_EQ(events[i].type, want[at].type);
			if (want[at].type != DV_TRACE_BEGIN)
				continue;
			CHECK_EQ(events[i].kind, want[at].kind);
			CHECK_EQ(dv_trace_reader_function(r, events[i].function)->key, want[at].key);
		}
	}
	return at;
}

static const struct want_event small[] = {
	{100, 1, 10, DV_TRACE_BEGIN, DV_SLICE_CALL},
	{100, 1, 17, DV_TRACE_BEGIN, DV_SLICE_TAIL_CALL},
	{250, 1, 11, DV_TRACE_BEGIN, DV_SLICE_INTERRUPT},
	{260, 1, 0, DV_TRACE_END, 0},
	{5000000000, 2, 300, DV_TRACE_BEGIN, DV_SLICE_SYSCALL}, /* wider than a delta word */
	{5000000000, 2, 0, DV_TRACE_END, 0},
	{4000, 1, 12, DV_TRACE_BEGIN, DV_SLICE_EXCEPTION}, /* held back */
	{4100, 1, 0, DV_TRACE_END, 0},
	{5000000100, 1, 10, DV_TRACE_BEGIN, DV_SLICE_CALL},
	{5000000200, 1, 0, DV_TRACE_END, 0},
	{5000000200, 1, 0, DV_TRACE_END, 0},
};

static void write_small(const char *path, bool flush, bool finish)
{
	struct dv_trace_writer *w = create(path);

	declare(w, 0, 1, 0, 0, "swapper/0");
	declare(w, 90, 2, 40, 40, "init");
	for (size_t i = 0; i < DV_ARRAY_SIZE(small); i++) {
		if (i == 4)
			dv_trace_writer_switch(w, 300, 0, 1, 2);
		write_event(w, &small[i]);
		if (flush && i % 3 == 2)
			dv_trace_writer_flush(w);
	}
	dv_trace_writer_note(w, "kaslr_slide", "0x1000");
	if (finish) {
		CHECK_OK(dv_trace_writer_finish(w, 6000000000));
	} else {
		dv_trace_writer_flush(w);
		dv_trace_writer_destroy(w);
	}
}

TEST(events_come_back_with_names_kinds_and_every_kind_of_timestamp)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_reader_function *f;
	const struct dv_trace_event *events;
	size_t count;

	write_small(path, false, true);
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_block_count(r), 1);
	CHECK_EQ(check_events(r, small, DV_ARRAY_SIZE(small)), DV_ARRAY_SIZE(small));
	CHECK_OK(dv_trace_reader_read_block(r, 0, &events, &count));
	f = dv_trace_reader_function(r, events[1].function);
	CHECK_STR(f->is.name, "f17");
	CHECK_STR(f->is.module, "virtio_blk");
	CHECK_EQ(f->is.space, DV_FUNCTION_MODULE);
	CHECK(f->is.vaddr == 0xffffffff81000110ull);
	CHECK(!dv_trace_reader_function(r, events[0].function)->is.module);
}

TEST(metadata_comes_back)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_metadata *m;

	write_small(path, false, true);
	r = open_whole(path);
	m = dv_trace_reader_metadata(r);
	CHECK(m->exact && !m->exact_reason);
	CHECK_EQ(m->clock, DV_TRACE_CLOCK_ICOUNT);
	CHECK_STR(m->kernel_banner, "Linux version 6.1.0");
	CHECK_STR(m->kernel_build_id, "0123abcd");
	CHECK_STR(m->directory, "/home/me");
	CHECK_STR(m->command[2], "512");
	CHECK(!m->command[3]);
	CHECK_EQ(m->note_count, 1);
	CHECK_STR(m->notes[0].value, "0x1000");
	CHECK_EQ(m->begins, 6);
	CHECK_EQ(m->ends, 5);
	CHECK_EQ(m->switches, 1);
	CHECK_EQ(m->first_icount, 100);
	CHECK_EQ(m->last_icount, 6000000000);
}

TEST(each_block_decodes_alone)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_event *events;
	size_t count;

	write_small(path, true, true);
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_block_count(r), 4);
	CHECK_OK(dv_trace_reader_read_block(r, 3, &events, &count));
	CHECK_EQ(count, 2);
	CHECK_OK(dv_trace_reader_read_block(r, 2, &events, &count));
	CHECK_EQ(events[0].icount, 4000);
	CHECK_STR(dv_trace_reader_function(r, events[0].function)->is.name, "f12");
	CHECK_EQ(check_events(r, small, DV_ARRAY_SIZE(small)), DV_ARRAY_SIZE(small));
}

TEST(a_killed_writer_leaves_a_prefix_wherever_the_file_ends)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	size_t most = 0;

	write_small(path, true, true);
	CHECK_OK(dv_read_file(path, 1 << 20, &file));
	for (size_t len = 0; len < file.len; len++) {
		_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
		_cleanup_free_ uint8_t *cut = malloc(len + 1);
		struct dv_error *err;
		size_t count;

		memcpy(cut, file.data, len);
		err = dv_trace_reader_open_bytes(cut, len, "cut", &r);
		if (err) {
			CHECK(err->code == DV_ERROR_TRUNCATED || err->code == DV_ERROR_FORMAT);
			CHECK(most == 0);
			dv_error_destroy(err);
			continue;
		}
		CHECK(!dv_trace_reader_metadata(r)->finished);
		CHECK_EQ(dv_trace_reader_damage(r)->code, DV_ERROR_TRUNCATED);
		count = check_events(r, small, DV_ARRAY_SIZE(small));
		CHECK(count >= most);
		most = count;
	}
	CHECK_EQ(most, DV_ARRAY_SIZE(small));
}

TEST(every_flipped_byte_is_noticed)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	size_t head;

	write_small(path, true, true);
	CHECK_OK(dv_read_file(path, 1 << 20, &file));
	head = 6 + (file.data[1] & 0x7f) + (size_t)(file.data[2] & 0x7f) * 128 - 1;
	for (size_t i = head; i < file.len; i++) {
		_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

		file.data[i] ^= 0x55;
		CHECK_OK(dv_trace_reader_open_bytes(file.data, file.len, "bad", &r));
		for (size_t b = 0; b < dv_trace_reader_block_count(r); b++) {
			const struct dv_trace_event *events;
			size_t n;

			dv_error_destroy(dv_trace_reader_read_block(r, b, &events, &n));
		}
		if (!dv_trace_reader_damage(r))
			test_fail(__FILE__, __LINE__, "byte %zu of %zu", i, file.len);
		file.data[i] ^= 0x55;
	}
}

TEST(damage_says_where_and_what)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_event *events;
	char want[100];
	uint64_t at;
	size_t n;

	write_small(path, true, true);
	CHECK_OK(dv_read_file(path, 1 << 20, &file));
	CHECK_OK(dv_trace_reader_open_bytes(file.data, file.len, "x", &r));
	at = dv_trace_reader_block(r, 1)->offset;
	dv_trace_reader_close(dv_steal(r));
	file.data[at + 20] ^= 1;
	CHECK_OK(dv_trace_reader_open_bytes(file.data, file.len, "x", &r));
	snprintf(want, sizeof(want), "x: offset %" PRIu64 ": block 1: its checksum is wrong", at);
	CHECK_OK(dv_trace_reader_read_block(r, 0, &events, &n));
	CHECK_ERROR(dv_trace_reader_read_block(r, 1, &events, &n), DV_ERROR_FORMAT, want);
	CHECK_STR(dv_trace_reader_damage(r)->message, want);
}

TEST(what_is_no_trace_is_refused)
{
	struct dv_trace_reader *r;

	CHECK_ERROR(dv_trace_reader_open_bytes("", 0, "x", &r), DV_ERROR_TRUNCATED,
		    "x ends within its head, at 0 bytes");
	CHECK_ERROR(dv_trace_reader_open_bytes("\x7f" "ELF", 4, "x", &r), DV_ERROR_FORMAT,
		    "x is not a .dvtrace: its first byte is 0x7f, not 0x0a");
	CHECK_ERROR(dv_trace_reader_open_bytes("\x0a\x02\x50\x01", 4, "x", &r), DV_ERROR_FORMAT,
		    "x is not a .dvtrace: its first packet has no DejaView metadata");
}

TEST(a_full_disk_is_said_at_the_end_and_leaves_what_fitted)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	_cleanup_error_ struct dv_error *err = NULL;
	struct rlimit limit = {3000, 3000};
	struct dv_trace_writer *w;

	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	w = create(path);
	for (uint64_t i = 0; i < 100; i++) {
		dv_trace_writer_begin(w, 1, i * 10, i, DV_SLICE_CALL);
		dv_trace_writer_flush(w);
	}
	for (uint64_t i = 0; i < 100000; i++)
		dv_trace_writer_end(w, 1, 2000 + i);
	err = dv_trace_writer_finish(w, 200000);
	CHECK(err);
	CHECK_EQ(err->code, DV_ERROR_OS);
	CHECK_EQ(err->os_errno, EFBIG);
	CHECK_OK(dv_trace_reader_open(path, &r));
	CHECK(dv_trace_reader_block_count(r) > 3);
	CHECK_EQ(dv_trace_reader_metadata(r)->begins, dv_trace_reader_block_count(r));
	CHECK_EQ(dv_trace_reader_damage(r)->code, DV_ERROR_TRUNCATED);
}

/* Events of three threads, enough for several blocks. */
static void write_blocks(const char *path, bool encodes_apart)
{
	struct dv_trace_options options = {.path = path, .describe = describe, .encodes_apart = encodes_apart};
	struct dv_trace_writer *w;
	uint64_t icount = 0;

	CHECK_OK(dv_trace_writer_create(&options, &w));
	for (uint64_t i = 0; i < 600000; i++) {
		uint64_t thread = i / 5000 % 3;

		icount += i % 1000 ? i % 7 : 1ull << 33;
		dv_trace_writer_begin(w, thread, icount, i * i % 251, DV_SLICE_CALL);
		dv_trace_writer_end(w, thread, icount + i % 5);
	}
	CHECK_OK(dv_trace_writer_finish(w, icount + 5));
}

TEST(encoded_apart_it_is_the_same_file)
{
	_cleanup_free_ char *path = trace_path(), *apart = dv_path_join(test_dir(), "apart.dvtrace");
	_cleanup_buf_ struct dv_buf a = DV_BUF_INIT, b = DV_BUF_INIT;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	write_blocks(path, false);
	write_blocks(apart, true);
	CHECK_OK(dv_read_file(path, SIZE_MAX, &a));
	CHECK_OK(dv_read_file(apart, SIZE_MAX, &b));
	CHECK_EQ(a.len, b.len);
	CHECK(!memcmp(a.data, b.data, a.len));
	r = open_whole(apart);
	CHECK(dv_trace_reader_block_count(r) > 2);
	CHECK_EQ(dv_trace_reader_metadata(r)->begins, 600000);
}

TEST(a_path_that_cannot_be_made_is_refused)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "nowhere/t"), *message = NULL;
	struct dv_trace_options options = {.path = path, .describe = describe};
	struct dv_trace_writer *w;

	CHECK(asprintf(&message, "cannot create %s: No such file or directory", path) > 0);
	CHECK_ERROR(dv_trace_writer_create(&options, &w), DV_ERROR_OS, message);
}

TEST(threads_keep_their_id_through_renames_and_reused_pids)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);

	declare(w, 10, 1, 50, 50, "sh");
	dv_trace_writer_begin(w, 1, 20, 1, DV_SLICE_CALL);
	declare(w, 30, 1, 50, 50, "ls");
	dv_trace_writer_end(w, 1, 40);
	declare(w, 50, 2, 50, 50, "cat");
	dv_trace_writer_begin(w, 2, 60, 1, DV_SLICE_CALL);
	CHECK_OK(dv_trace_writer_finish(w, 100));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_thread_state_count(r), 3);
	CHECK_EQ(dv_trace_reader_thread_state(r, 1)->icount, 30);
	CHECK_STR(dv_trace_reader_thread_state(r, 0)->thread.comm, "sh");
	CHECK_STR(dv_trace_reader_thread(r, 1)->comm, "ls");
	CHECK_STR(dv_trace_reader_thread(r, 2)->comm, "cat");
	CHECK_EQ(dv_trace_reader_thread(r, 2)->tid, 50);
	CHECK(!dv_trace_reader_thread(r, 3));
}

TEST(a_threads_beginning_end_and_creator_come_back)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_thread child = {.id = 2, .tid = 51, .tgid = 51, .parent_tgid = 50, .comm = "sh",
					.start_icount = 70, .creator_id = 1};
	struct dv_trace_writer *w = create(path);
	const struct dv_trace_thread *t;

	declare(w, 10, 1, 50, 50, "sh");
	dv_trace_writer_thread(w, 70, &child);
	child.exit_icount = 90;
	child.exit_code = -7;
	dv_trace_writer_thread(w, 90, &child);
	CHECK_OK(dv_trace_writer_finish(w, 100));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_thread_state_count(r), 3);
	CHECK_EQ(dv_trace_reader_thread_state(r, 1)->thread.exit_icount, 0);
	t = dv_trace_reader_thread(r, 1);
	CHECK(!t->start_icount && !t->exit_icount && !t->creator_id);
	t = dv_trace_reader_thread(r, 2);
	CHECK_EQ(t->start_icount, 70);
	CHECK_EQ(t->exit_icount, 90);
	CHECK_EQ(t->exit_code, -7);
	CHECK_EQ(t->creator_id, 1);
}

TEST(console_lines_come_back_as_utf8_in_bounded_pieces)
{
	static char long_line[10001];
	static const struct dv_console_line lines[] = {
		{100, 1, DV_CONSOLE_PRINTK, 6, "Linux version 6.1"},
		{200, 1, DV_CONSOLE_SERIAL, DV_CONSOLE_NO_LEVEL, ""},
		{50, 2, DV_CONSOLE_HVC, DV_CONSOLE_NO_LEVEL, "\x1b[1mgr\xc3\xbc\xc3\x9f\xff \xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82"},
		{5000000000, 1, DV_CONSOLE_PRINTK, 0, long_line},
	};
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);
	const struct dv_console_line *got;
	const struct dv_trace_event *events;
	size_t count;

	for (size_t i = 0; i + 1 < sizeof(long_line); i += 2)
		memcpy(long_line + i, "\xc3\xa4", 2);
	for (size_t i = 0; i < DV_ARRAY_SIZE(lines); i++) {
		dv_trace_writer_console(w, &lines[i]);
		if (i == 1)
			dv_trace_writer_flush(w);
	}
	CHECK_OK(dv_trace_writer_finish(w, 5000000000));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_block_count(r), 2);
	CHECK_EQ(dv_trace_reader_block(r, 1)->first_icount, 50);
	CHECK_EQ(dv_trace_reader_console_line_count(r), 6);
	got = dv_trace_reader_console_lines(r);
	for (size_t i = 0; i < 4; i++) {
		CHECK_EQ(got[i].icount, lines[i].icount);
		CHECK_EQ(got[i].thread_id, lines[i].thread_id);
		CHECK_EQ(got[i].source, lines[i].source);
		CHECK_EQ(got[i].level, lines[i].level);
	}
	CHECK_STR(got[0].text, lines[0].text);
	CHECK_STR(got[1].text, "");
	CHECK_STR(got[2].text, "\x1b[1mgr\xc3\xbc\xc3\x9f\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			       "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd");
	CHECK_EQ(strlen(got[3].text), 4096);
	CHECK_EQ(strlen(got[4].text), 4096);
	CHECK_EQ(strlen(got[5].text), 10000 - 2 * 4096);
	CHECK(!memcmp(got[5].text, long_line, 1808));
	for (size_t b = 0; b < 2; b++)
		CHECK_OK(dv_trace_reader_read_block(r, b, &events, &count));
}

TEST(an_entrys_number_and_mnemonic_come_back)
{
	static const uint64_t keys[] = {800, 814, 820, 1};
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);
	const struct dv_trace_event *events;
	const struct dv_trace_function *f;
	size_t count;

	for (size_t i = 0; i < DV_ARRAY_SIZE(keys); i++)
		dv_trace_writer_begin(w, 1, 10 + i, keys[i], DV_SLICE_EXCEPTION);
	CHECK_OK(dv_trace_writer_finish(w, 100));
	r = open_whole(path);
	CHECK_OK(dv_trace_reader_read_block(r, 0, &events, &count));
	CHECK_EQ(count, 4);
	f = &dv_trace_reader_function(r, events[0].function)->is;
	CHECK(f->has_number && f->number == 0 && !f->mnemonic);
	f = &dv_trace_reader_function(r, events[1].function)->is;
	CHECK(f->has_number && f->number == 14);
	CHECK_STR(f->mnemonic, "#PF");
	f = &dv_trace_reader_function(r, events[2].function)->is;
	CHECK(f->has_number && f->number == 20 && !f->mnemonic);
	f = &dv_trace_reader_function(r, events[3].function)->is;
	CHECK(!f->has_number && !f->mnemonic);
}

TEST(a_thread_that_was_not_declared_has_no_names)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);

	for (uint64_t id = 1; id < 500; id++)
		dv_trace_writer_switch(w, id * 10, id % 3, id, id + 1);
	CHECK_OK(dv_trace_writer_finish(w, 5000));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_switch_count(r), 499);
	CHECK_EQ(dv_trace_reader_thread_state_count(r), 500);
	CHECK_STR(dv_trace_reader_thread(r, 500)->comm, "?");
	CHECK_EQ(dv_trace_thread_tid(dv_trace_reader_thread(r, 500)), (1 << 22) + 500);
}

TEST(thousands_of_threads_and_blocks)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);
	enum { THREADS = 5000, EVENTS = 1000000 };
	struct want_event *want = calloc(EVENTS, sizeof(*want));
	uint64_t icount = 0;

	for (uint32_t id = 1; id <= THREADS; id++)
		declare(w, 0, id, (int32_t)id, (int32_t)(id & ~3u), "worker");
	for (uint32_t i = 0; i < EVENTS; i++) {
		icount += i * 2654435761u % 300;
		want[i] = (struct want_event){icount, 1 + i / 50 % THREADS, i * 40503u % 3000, i % 2, 0};
		write_event(w, &want[i]);
	}
	CHECK_EQ(dv_trace_writer_totals(w).begins, EVENTS / 2);
	CHECK_OK(dv_trace_writer_finish(w, icount));
	r = open_whole(path);
	CHECK(dv_trace_reader_block_count(r) > 1);
	CHECK_EQ(check_events(r, want, EVENTS), EVENTS);
	CHECK_EQ(dv_trace_reader_metadata(r)->begins, EVENTS / 2);
	free(want);
}

struct gathered {
	struct dv_trace_slice slices[16];
	size_t count;
};

static bool gather(void *context, const struct dv_trace_slice *slice)
{
	struct gathered *g = context;

	g->slices[g->count++] = *slice;
	return g->count < DV_ARRAY_SIZE(g->slices);
}

static void check_slice(const struct dv_trace_slice *s, uint64_t thread_id, uint64_t start, uint64_t end,
			uint32_t depth, uint64_t cpu, uint64_t own)
{
	CHECK_EQ(s->thread_id, thread_id);
	CHECK_EQ(s->start_icount, start);
	CHECK_EQ(s->end_icount, end);
	CHECK_EQ(s->depth, depth);
	CHECK_EQ(s->cpu_icount, cpu);
	CHECK_EQ(s->own_icount, own);
}

/*
 * Thread 1 runs [0, 200) and [300, 500), thread 2 [200, 300) and from 500; the inner slice of thread 1
 * is held back until after the switches that it spans.
 */
TEST(own_instructions_are_those_on_the_cpu_as_the_innermost)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);
	struct gathered g = {0};

	declare(w, 0, 1, 10, 10, "a");
	declare(w, 0, 2, 11, 11, "b");
	dv_trace_writer_begin(w, 1, 100, 1, DV_SLICE_CALL);
	dv_trace_writer_switch(w, 200, 0, 1, 2);
	dv_trace_writer_begin(w, 2, 210, 2, DV_SLICE_CALL);
	dv_trace_writer_switch(w, 300, 0, 2, 1);
	dv_trace_writer_begin(w, 1, 150, 3, DV_SLICE_CALL);
	dv_trace_writer_end(w, 1, 320);
	dv_trace_writer_end(w, 1, 400);
	dv_trace_writer_end(w, 1, 410); /* ends nothing */
	dv_trace_writer_switch(w, 500, 0, 1, 2);
	CHECK_OK(dv_trace_writer_finish(w, 600));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_switch_count(r), 3);
	CHECK_EQ(dv_trace_reader_switches(r)[1].next_id, 1);
	CHECK_OK(dv_trace_reader_slices(r, gather, &g));
	CHECK_EQ(g.count, 3);
	check_slice(&g.slices[0], 1, 150, 320, 1, 70, 70);
	check_slice(&g.slices[1], 1, 100, 400, 0, 200, 130);
	check_slice(&g.slices[2], 2, 210, 600, 0, 190, 190);
	CHECK(g.slices[2].is_open && !g.slices[1].is_open);
}

TEST(without_switches_every_instruction_counts)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	struct dv_trace_writer *w = create(path);
	struct gathered g = {0};

	dv_trace_writer_begin(w, 1, 100, 1, DV_SLICE_CALL);
	dv_trace_writer_begin(w, 1, 150, 2, DV_SLICE_CALL);
	dv_trace_writer_end(w, 1, 190);
	dv_trace_writer_end(w, 1, 200);
	CHECK_OK(dv_trace_writer_finish(w, 200));
	r = open_whole(path);
	CHECK_OK(dv_trace_reader_slices(r, gather, &g));
	CHECK_EQ(g.count, 2);
	check_slice(&g.slices[0], 1, 150, 190, 1, 40, 40);
	check_slice(&g.slices[1], 1, 100, 200, 0, 100, 60);
}

TEST(an_empty_trace_is_a_trace)
{
	_cleanup_free_ char *path = trace_path();
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	CHECK_OK(dv_trace_writer_finish(create(path), 77));
	r = open_whole(path);
	CHECK_EQ(dv_trace_reader_block_count(r), 0);
	CHECK_EQ(dv_trace_reader_metadata(r)->last_icount, 77);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* From nearly constant to noise, with wide and backward timestamps strewn in. */
static struct want_event random_event(uint64_t *random, uint64_t *icount, unsigned noise)
{
	uint64_t r = next_random(random), back = 0;

	*icount += r % 5 + (r >> 4 & ((1u << noise) - 1));
	if (next_random(random) % 5000 == 0)
		*icount += 1ull << 33;
	if (next_random(random) % 1000 == 0)
		back = r % 100;
	r = next_random(random) & next_random(random);
	return (struct want_event){
		.icount = *icount - back,
		.thread_id = 1 + (next_random(random) % 500 == 0),
		.key = r & ((1u << noise) - 1),
		.type = next_random(random) % 2 ? DV_TRACE_BEGIN : DV_TRACE_END,
		.kind = next_random(random) % 50 ? DV_SLICE_CALL : next_random(random) % DV_SLICE_KINDS,
	};
}

TEST(streams_of_every_regularity_come_back)
{
	enum { EVENTS = 150000 };
	struct want_event *want = calloc(EVENTS, sizeof(*want));
	uint64_t random = 7;

	for (unsigned noise = 0; noise <= 20; noise += 4) {
		_cleanup_free_ char *path = trace_path();
		_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
		struct dv_trace_writer *w = create(path);
		uint64_t icount = 1000;

		for (uint32_t i = 0; i < EVENTS; i++) {
			want[i] = i > 3000 && i % 3 && noise < 12 ? want[i - 2999] :
								  random_event(&random, &icount, noise);
			want[i].icount = want[i].icount < icount - 500 ? icount : want[i].icount;
			write_event(w, &want[i]);
			if (i % 40000 == 39999)
				dv_trace_writer_flush(w);
		}
		CHECK_OK(dv_trace_writer_finish(w, icount));
		r = open_whole(path);
		CHECK_EQ(check_events(r, want, EVENTS), EVENTS);
	}
	free(want);
}

static void check_deflate(struct deflate_tokens *t, const uint8_t *want, size_t len)
{
	struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
	struct deflate_bits bits = {0};
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	_cleanup_free_ uint8_t *got = malloc(len + 1);
	size_t got_len = 0;

	deflate_put_block(&out, &bits, t, true);
	deflate_align(&out, &bits);
	CHECK_EQ(libdeflate_deflate_decompress(inflate, out.data, out.len, got, len, &got_len),
		 LIBDEFLATE_SUCCESS);
	CHECK_EQ(got_len, len);
	CHECK(!memcmp(got, want, len));
	libdeflate_free_decompressor(inflate);
}

/* Fibonacci's numbers as frequencies make the deepest tree there is: 23 levels, where 15 are allowed. */
TEST(codes_are_kept_to_their_limit)
{
	uint32_t *tokens = calloc(200000, sizeof(*tokens)), a = 1, b = 1;
	uint8_t *want = calloc(200000, 1);
	struct deflate_tokens t = {.tokens = tokens};

	for (unsigned symbol = 0; symbol < 24; symbol++) {
		for (uint32_t i = 0; i < a; i++) {
			want[t.count] = (uint8_t)(symbol * 7);
			tokens[t.count++] = symbol * 7;
		}
		t.literals[symbol * 7] += a;
		b += a;
		a = b - a;
	}
	check_deflate(&t, want, t.count);
	free(tokens);
	free(want);
}

TEST(matches_of_every_length_and_distance_inflate)
{
	uint32_t *tokens = calloc(40000, sizeof(*tokens));
	uint8_t *want = calloc(20, 1 << 20);
	struct deflate_tokens t = {.tokens = tokens};
	uint64_t random = 3;
	size_t len = 0;

	for (; len < 300; len++) {
		tokens[t.count++] = want[len] = (uint8_t)next_random(&random);
		t.literals[want[len]]++;
	}
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t l = i % 256, d = i < 300 ? i % 300 : i % (len < DEFLATE_WINDOW ? len : DEFLATE_WINDOW);

		tokens[t.count++] = TOKEN_MATCH | l << 16 | d;
		t.literals[length_symbol(l)]++;
		t.distances[distance_symbol(d)]++;
		for (uint32_t k = 0; k < l + 3; k++, len++)
			want[len] = want[len - d - 1];
	}
	check_deflate(&t, want, len);
	free(tokens);
	free(want);
}
