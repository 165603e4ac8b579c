/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Closer looks without a guest: what is asked for, how stores become a history, prototypes and values. */
#include <bpf/btf.h>
#include "plugin/capture.h"
#include "plugin/running.h"
#include "plugin/watch.h"
#include "replay/jobs.h"
#include "replay/segments.h"
#include "replay/writes.h"
#include "symbols/prototype.h"
#include "test.h"

/* ---- what the plugin is asked for ---- */

TEST(watched_places_are_parsed)
{
	struct dv_watch watch;

	CHECK_OK(dv_watch_parse("0x1ffc:4+0x9000:12", &watch));
	CHECK_EQ(watch.len, 2);
	CHECK_EQ(watch.pieces[0].phys, 0x1ffc);
	CHECK_EQ(watch.pieces[1].bytes, 12);
	CHECK_ERROR(dv_watch_parse("0x1ffc:5", &watch), DV_ERROR_INVALID,
		    "option watch: a piece has 1 byte to the end of its 4 KiB page, not '5'");
	CHECK_ERROR(dv_watch_parse("0x1000:0", &watch), DV_ERROR_INVALID,
		    "option watch: a piece has 1 byte to the end of its 4 KiB page, not '0'");
	CHECK_ERROR(dv_watch_parse("0x1000", &watch), DV_ERROR_INVALID,
		    "option watch: '0x1000' is not PHYSICAL_ADDRESS:BYTES");
	CHECK_ERROR(dv_watch_parse("0x1000:4,", &watch), DV_ERROR_INVALID,
		    "option watch: ',' follows a piece; '+' does");
}

TEST(a_store_touches_a_piece_or_not)
{
	static const struct {
		uint64_t phys;
		uint32_t bytes;
		bool touches;
	} rows[] = {{0xff8, 8, false}, {0xff9, 8, true}, {0x1000, 1, true}, {0x1003, 1, true},
		    {0x1004, 8, false}, {0x0, 16, false}, {0xffc, 16, true}};
	struct dv_watch watch = {.pieces = {{0x1000, 4}}, .len = 1};

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++)
		CHECK_EQ(dv_watch_find(&watch, rows[i].phys, rows[i].bytes) != NULL, rows[i].touches);
}

/* A library's code that was translated for one process and runs in another. */
TEST(a_store_is_told_where_its_instruction_runs)
{
	/* As translated; elsewhere, at the block's start and at the instruction itself, and past it. */
	CHECK_EQ(dv_running_vaddr(0x401123, 0x401100), 0x401123);
	CHECK_EQ(dv_running_vaddr(0x7f0000001123, 0x7fff89ab1100), 0x7fff89ab1123);
	CHECK_EQ(dv_running_vaddr(0x7f0000001123, 0x7fff89ab1123), 0x7fff89ab1123);
	CHECK_EQ(dv_running_vaddr(0x7f0000001123, 0x7fff89ab1127), 0x7fff89ab1123);
	/* The block began in the page before, or the register is in the next. */
	CHECK_EQ(dv_running_vaddr(0x7f0000001002, 0x7fff89ab0ff0), 0x7fff89ab1002);
	CHECK_EQ(dv_running_vaddr(0x7f0000001ffc, 0x7fff89ab2001), 0x7fff89ab1ffc);
}

TEST(captured_functions_are_parsed)
{
	struct dv_capture capture;

	CHECK_OK(dv_capture_parse("0xffffffff81000000:2+0x401000:0", &capture));
	CHECK_EQ(capture.len, 2);
	CHECK_EQ(capture.functions[0].strings_mask, 2);
	CHECK_EQ(capture.functions[1].vaddr, 0x401000);
	CHECK_EQ(capture.open_len, 0);
	CHECK_OK(dv_capture_parse("0x401000:0@0xffff888000000ff8+16", &capture));
	CHECK_EQ(capture.len, 1);
	CHECK_EQ(capture.open_len, 2);
	CHECK_EQ(capture.open[0], 0xffff888000000ff8);
	CHECK_OK(dv_capture_parse("@16", &capture));
	CHECK_EQ(capture.len, 0);
	CHECK_ERROR(dv_capture_parse("0x401000:64", &capture), DV_ERROR_INVALID,
		    "option capture: '0x401000:64': STRINGS has a bit for each of 6 arguments");
	CHECK_ERROR(dv_capture_parse("main:0", &capture), DV_ERROR_INVALID,
		    "option capture: 'main:0' does not begin with a number");
	CHECK_ERROR(dv_capture_parse("0x401000,0", &capture), DV_ERROR_INVALID,
		    "option capture: '0x401000,0' is not ADDRESS:STRINGS");
	CHECK_ERROR(dv_capture_parse("1:0@2@3", &capture), DV_ERROR_INVALID, "option capture: '@3' is left over");
}

/* ---- stores become a history ---- */

struct history {
	struct {
		uint64_t icount, until;
		bool by_cpu;
		uint8_t before[8], after[8];
	} rows[8];
	size_t len, wanted;
};

static bool on_write(void *context, const struct dv_write *w)
{
	struct history *h = context;

	CHECK(h->len < DV_ARRAY_SIZE(h->rows));
	h->rows[h->len].icount = w->icount;
	h->rows[h->len].until = w->until_icount;
	h->rows[h->len].by_cpu = w->by_cpu;
	memcpy(h->rows[h->len].before, w->before, 8);
	memcpy(h->rows[h->len].after, w->after, 8);
	return ++h->len < h->wanted;
}

static void add_store(struct dv_look_result *found, uint64_t icount, uint64_t phys, uint32_t bytes, uint64_t value)
{
	struct dv_capture_record record = {.kind = DV_CAPTURE_WRITE};

	record.write = (struct dv_capture_write){
		.icount = icount, .phys = phys, .size_bytes = bytes, .value = {value}};
	dv_buf_append(&found->records, &record, dv_capture_record_bytes(DV_CAPTURE_WRITE));
}

/* Eight bytes in two pages: 4 at 0x1ffc, 4 at 0x9000. */
static const struct dv_writes_place place = {
	.pieces = {{0x1ffc, 4}, {0x9000, 4}}, .pieces_len = 2, .bytes = 8};

static void look_at(struct history *h, const char *before, const char *after, const uint64_t (*stores)[4], size_t len,
		    bool *ret_more)
{
	struct dv_look_result found = {.records = DV_BUF_INIT, .before = DV_BUF_INIT, .after = DV_BUF_INIT};
	struct dv_look look = {.from_icount = 5, .to_icount = 1000};

	dv_buf_append(&found.before, before, 8);
	dv_buf_append(&found.after, after, 8);
	for (size_t i = 0; i < len; i++)
		add_store(&found, stores[i][0], stores[i][1], (uint32_t)stores[i][2], stores[i][3]);
	CHECK_OK(dv_writes_in_segment(&place, &look, &found, on_write, h, ret_more));
	dv_look_result_deinit(&found);
}

TEST(writes_come_newest_first_with_the_values_around_them)
{
	/* The second begins before the place, the third covers its second page and more. */
	static const uint64_t stores[][4] = {
		{10, 0x1ffd, 1, 'X'}, {20, 0x1ff8, 8, 0x5a59000000000000}, {30, 0x9000, 8, 0x48474645}, };
	struct history h = {.wanted = 8};
	bool more;

	look_at(&h, "abcdefgh", "aXYZEFGH", (const uint64_t[][4]){{10, 0x1ffd, 1, 'X'}, {20, 0x1ffe, 2, 0x5a59},
								  {30, 0x9000, 8, 0x48474645}}, 3, &more);
	CHECK(more);
	CHECK_EQ(h.len, 3);
	CHECK_EQ(h.rows[0].icount, 30);
	CHECK(!memcmp(h.rows[0].before, "aXYZefgh", 8));
	CHECK(!memcmp(h.rows[0].after, "aXYZEFGH", 8));
	CHECK_EQ(h.rows[2].icount, 10);
	CHECK(!memcmp(h.rows[2].before, "abcdefgh", 8));
	CHECK(!memcmp(h.rows[2].after, "aXcdefgh", 8));
	h.len = 0;
	look_at(&h, "abcdefgh", "\0\0YZEFGH", stores, 3, &more);
	/* 0x1ff8 + 8: its upper half lands in the first page's last four bytes. */
	CHECK_EQ(h.rows[1].icount, 20);
	CHECK(!memcmp(h.rows[1].after, "\0\0YZefgh", 8));
}

TEST(what_no_store_explains_is_said)
{
	static const uint64_t stores[][4] = {{10, 0x1ffc, 4, 0x64636261}};
	struct history h = {.wanted = 8};
	bool more;

	look_at(&h, "........", "abcd..!.", stores, 1, &more);
	CHECK_EQ(h.len, 2);
	CHECK(!h.rows[0].by_cpu);
	CHECK_EQ(h.rows[0].icount, 10);
	CHECK_EQ(h.rows[0].until, 1000);
	CHECK(!memcmp(h.rows[0].before, "abcd....", 8));
	CHECK(!memcmp(h.rows[0].after, "abcd..!.", 8));
	CHECK(h.rows[1].by_cpu);
	CHECK(!memcmp(h.rows[1].after, "abcd....", 8));
	h.len = 0;
	look_at(&h, "........", ".......x", NULL, 0, &more);
	CHECK_EQ(h.len, 1);
	CHECK_EQ(h.rows[0].icount, 5);
}

TEST(the_search_ends_when_told)
{
	static const uint64_t stores[][4] = {{10, 0x1ffc, 4, 1}, {20, 0x1ffc, 4, 2}};
	struct history h = {.wanted = 1};
	bool more;

	look_at(&h, "\0\0\0\0....", "\2\0\0\0....", stores, 2, &more);
	CHECK(!more);
	CHECK_EQ(h.len, 1);
	CHECK_EQ(h.rows[0].icount, 20);
}

/* ---- prototypes ---- */

/* long f(int n, const char *name, char *to, bool on, enum way way, struct file *file, ...) */
static struct dv_btf *make_btf(void)
{
	struct btf *btf = btf__new_empty();
	int integer = btf__add_int(btf, "int", 4, BTF_INT_SIGNED), letter = btf__add_int(btf, "char", 1, 0);
	int boolean = btf__add_int(btf, "bool", 1, BTF_INT_BOOL), wide = btf__add_int(btf, "long", 8, BTF_INT_SIGNED);
	int text = btf__add_ptr(btf, btf__add_const(btf, letter)), buffer = btf__add_ptr(btf, letter), way, file, proto;
	struct dv_btf *ret = NULL;
	const void *data;
	uint32_t len;

	way = btf__add_enum(btf, "way", 4);
	btf__add_enum_value(btf, "WAY_UP", 1);
	btf__add_enum_value(btf, "WAY_DOWN", 2);
	file = btf__add_ptr(btf, btf__add_struct(btf, "file", 8));
	proto = btf__add_func_proto(btf, wide);
	btf__add_func_param(btf, "n", integer);
	btf__add_func_param(btf, "name", text);
	btf__add_func_param(btf, "to", buffer);
	btf__add_func_param(btf, "on", boolean);
	btf__add_func_param(btf, "way", way);
	btf__add_func_param(btf, "file", file);
	btf__add_func_param(btf, NULL, 0);
	btf__add_func(btf, "f", BTF_FUNC_GLOBAL, proto);
	btf__add_func(btf, "g", BTF_FUNC_STATIC, btf__add_func_proto(btf, 0));
	data = btf__raw_data(btf, &len);
	CHECK_OK(dv_btf_create(data, len, &ret));
	btf__free(btf);
	return ret;
}

static void check_text(struct dv_buf *buf, const char *want)
{
	char *text = dv_buf_steal_string(buf);

	CHECK_STR(text, want);
	free(text);
}

TEST(prototypes_are_as_c_writes_them)
{
	struct dv_btf *btf = make_btf();
	struct dv_buf text = DV_BUF_INIT;
	struct dv_prototype f, g;

	CHECK_OK(dv_prototype_from_btf(btf, "f", &f));
	dv_prototype_print(&f, "f", &text);
	check_text(&text, "long f(int n, const char *name, char *to, bool on, enum way way, struct file *file, ...)");
	CHECK_EQ(f.len, 6);
	CHECK(f.is_variadic);
	CHECK_OK(dv_prototype_from_btf(btf, "g", &g));
	dv_prototype_print(&g, "g", &text);
	check_text(&text, "void g(void)");
	CHECK_ERROR(dv_prototype_from_btf(btf, "h", &g), DV_ERROR_NOT_FOUND, "BTF has no function h");
	dv_prototype_deinit(&f);
	dv_prototype_deinit(&g);
	dv_btf_destroy(btf);
}

TEST(values_are_shown_by_their_types)
{
	static const struct {
		size_t parameter;
		uint64_t value;
		const char *string, *want;
	} rows[] = {
		{0, 0xdeadbeefffffff9c, NULL, "-100"}, {0, 7, NULL, "7"},
		{1, 0x1000, "/etc/\"x\"\n", "\"/etc/\\\"x\\\"\\x0a\""}, {1, 0, NULL, "NULL"}, {1, 0x1000, NULL, "0x1000"},
		{2, 0x1000, "ignored", "0x1000"}, {3, 0xffffff01, NULL, "true"}, {3, 0xff00, NULL, "false"},
		{4, 2, NULL, "WAY_DOWN"}, {4, 9, NULL, "9"}, {5, 0, NULL, "NULL"},
		{5, (uint64_t)-2, NULL, "ERR_PTR(-2)"}, {5, (uint64_t)-4095, NULL, "ERR_PTR(-4095)"},
		{5, (uint64_t)-4096, NULL, "0xfffffffffffff000"}, {1, (uint64_t)-14, NULL, "ERR_PTR(-14)"},
	};
	struct dv_btf *btf = make_btf();
	struct dv_buf text = DV_BUF_INIT;
	struct dv_prototype f;

	CHECK_OK(dv_prototype_from_btf(btf, "f", &f));
	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		dv_value_print(&f.parameters[rows[i].parameter], rows[i].value, btf, rows[i].string, &text);
		check_text(&text, rows[i].want);
	}
	dv_prototype_deinit(&f);
	dv_btf_destroy(btf);
}

/* ---- cuts ---- */

static void check_cuts(bool backward, uint64_t from, uint64_t to, size_t checkpoints, const uint64_t (*want)[2], size_t len)
{
	struct dv_checkpoint items[20] = {{0}};
	struct dv_checkpoints set = {.items = items, .len = checkpoints};
	struct dv_segments segments = {.look = {.from_icount = from, .to_icount = to}, .checkpoints = &set,
				       .backward = backward};
	static struct dv_segment cuts[DV_SEGMENTS_MAX];

	for (size_t i = 0; i < checkpoints; i++)
		items[i].icount = 100 * (i + 1);
	CHECK_EQ(dv_segments_cut(&segments, 1, cuts), len);
	for (size_t i = 0; i < len; i++) {
		CHECK_EQ(cuts[i].from_icount, want[i][0]);
		CHECK_EQ(cuts[i].to_icount, want[i][1]);
	}
}

TEST(backward_pieces_are_small_first)
{
	check_cuts(true, 0, 1250, 12, (const uint64_t[][2]){{1200, 1250}, {1000, 1200}, {600, 1000}, {0, 600}}, 4);
	check_cuts(true, 950, 1200, 12, (const uint64_t[][2]){{1100, 1200}, {950, 1100}}, 2);
	check_cuts(true, 10, 90, 12, (const uint64_t[][2]){{10, 90}}, 1);
	check_cuts(true, 10, 90, 0, (const uint64_t[][2]){{10, 90}}, 1);
}

TEST(forward_pieces_are_shares_of_the_work)
{
	/* Twelve checkpoints, one worker, four pieces: three checkpoints each. */
	check_cuts(false, 0, 1250, 12,
		   (const uint64_t[][2]){{0, 100}, {100, 400}, {400, 700}, {700, 1000}, {1000, 1250}}, 5);
	check_cuts(false, 150, 410, 12, (const uint64_t[][2]){{150, 400}, {400, 410}}, 2);
	check_cuts(false, 5, 1000, 0, (const uint64_t[][2]){{5, 1000}}, 1);
}

/* ---- how many at a time ---- */

TEST(as_many_replays_as_fit_into_memory)
{
	const uint64_t mib = 1ull << 20, gib = 1ull << 30;

	CHECK_EQ(dv_jobs_in_memory(512 * mib, 20 * gib, 8), 8);
	CHECK_EQ(dv_jobs_in_memory(4 * gib, 20 * gib, 8), 4);
	CHECK_EQ(dv_jobs_in_memory(4 * gib, 20 * gib, 2), 2);
	/* One is tried whatever there is; QEMU says then what it lacks. */
	CHECK_EQ(dv_jobs_in_memory(4 * gib, 1 * gib, 8), 1);
	CHECK_EQ(dv_jobs_in_memory(4 * gib, 0, 8), 1);
	CHECK_EQ(dv_jobs_in_memory(4 * gib, 20 * gib, 0), 1);
	CHECK_EQ(dv_jobs_in_memory(UINT64_MAX, 20 * gib, 8), 1);
	/* One whose memory is not known is taken for a gigabyte. */
	CHECK_EQ(dv_jobs_in_memory(0, 5 * gib, 8), 4);
}
