/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about the plugin's parts that need no QEMU: options, clocks, the ring. */
#include "base/buf.h"
#include "plugin/clock.h"
#include "plugin/lines.h"
#include "plugin/mem_value.h"
#include "plugin/options.h"
#include "plugin/ring.h"
#include "test.h"

static struct dv_error *parse(const char *arg, struct dv_plugin_options *ret)
{
	char *argv[] = {(char *)arg};

	return dv_plugin_options_parse(1, argv, ret);
}

TEST(options_are_what_was_said)
{
	char *argv[] = {(char *)"symbols_from=/boot/vmlinux", (char *)"min_insns=0x10", (char *)"during=sh",
			(char *)"clock=host"};
	struct dv_plugin_options options;

	CHECK_OK(dv_plugin_options_parse(4, argv, &options));
	CHECK_STR(options.symbols_from, "/boot/vmlinux");
	CHECK_STR(options.out, "dejaview.dvtrace");
	CHECK_STR(options.during, "sh");
	CHECK_EQ(options.min_insns, 16);
	CHECK_EQ(options.max_depth, 0);
	CHECK_EQ(options.clock, DV_PLUGIN_CLOCK_HOST);
}

TEST(bad_options_are_named)
{
	struct dv_plugin_options options;

	CHECK_ERROR(parse("min_insn=3", &options), DV_ERROR_INVALID,
		    "unknown option 'min_insn=3'; there are symbols_from, sysroot, initrd, disk, debug_info, out, status, starting_from, stopping_at, "
		    "during, min_insns, max_depth, ignore_below, clock, watch, capture, spool, from, to, then");
	CHECK_ERROR(parse("min_insns=many", &options), DV_ERROR_INVALID,
		    "option min_insns: 'many' is not a number from 0 to 18446744073709551615");
	CHECK_ERROR(parse("max_depth=-1", &options), DV_ERROR_INVALID,
		    "option max_depth: '-1' is not a number from 0 to 4294967295");
	CHECK_ERROR(parse("out=", &options), DV_ERROR_INVALID, "option out needs a value");
	CHECK_ERROR(parse("clock=sundial", &options), DV_ERROR_INVALID,
		    "option clock: 'sundial' is none of auto, counter, host");
}

/* ---- clocks, with tables of what a QEMU exports ---- */

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_bytes)
{
	return NULL;
}

uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned int vcpu_index)
{
	return 77;
}

static int icount_mode;

static int64_t fake_icount(void)
{
	return 1234;
}

static void *with_modules(const char *symbol)
{
	if (!strcmp(symbol, "use_icount"))
		return &icount_mode;
	return !strcmp(symbol, "icount_get_raw") ? (void *)(uintptr_t)fake_icount : NULL;
}

static void *without_modules(const char *symbol)
{
	return NULL;
}

TEST(the_clock_is_qemus_icount_where_it_counts_and_exports_it)
{
	struct dv_clock clock;

	icount_mode = 1;
	clock = dv_clock_choose(DV_PLUGIN_CLOCK_AUTO, 1, with_modules);
	CHECK_EQ(clock.kind, DV_TRACE_CLOCK_ICOUNT);
	CHECK(!clock.inexact_reason && !clock.counts_inline);
	CHECK_EQ(clock.now(), 1234);
}

TEST(without_icount_the_clock_is_the_hosts)
{
	struct dv_clock clock;

	icount_mode = 0;
	clock = dv_clock_choose(DV_PLUGIN_CLOCK_AUTO, 1, with_modules);
	CHECK_EQ(clock.kind, DV_TRACE_CLOCK_HOST_NS);
	CHECK_STR(clock.inexact_reason, "QEMU runs without -icount");
	CHECK(clock.now() <= clock.now());
}

TEST(several_cpus_have_the_hosts_clock)
{
	icount_mode = 0;
	CHECK_STR(dv_clock_choose(DV_PLUGIN_CLOCK_AUTO, 4, with_modules).inexact_reason,
		  "several vCPUs run at once: QEMU counts instructions for one alone");
}

TEST(a_qemu_that_exports_nothing_is_counted_by_the_plugin_and_said_so)
{
	struct dv_clock clock = dv_clock_choose(DV_PLUGIN_CLOCK_AUTO, 1, without_modules);

	CHECK_EQ(clock.kind, DV_TRACE_CLOCK_ICOUNT);
	CHECK(clock.counts_inline);
	CHECK_STR(clock.inexact_reason, "this QEMU does not export icount_get_raw; instructions were counted by the "
					"plugin, one too many at every fault");
	CHECK_EQ(clock.now(), 77);
}

/* ---- the ring ---- */

enum { MANY = DV_RING_EVENTS * 3 + 12345 };

static void *produce(void *ring)
{
	for (uint64_t i = 0; i < MANY; i++) {
		*dv_ring_reserve(ring) = (struct dv_event){i, i * 2, i * 3};
		dv_ring_commit(ring);
	}
	return NULL;
}

TEST(every_event_goes_through_the_ring_in_order)
{
	const struct dv_event *events;
	struct dv_ring ring;
	pthread_t producer;
	uint64_t next = 0;
	size_t count;

	CHECK_OK(dv_ring_init(&ring));
	CHECK_EQ(pthread_create(&producer, NULL, produce, &ring), 0);
	while (next < MANY && dv_ring_wait(&ring, &events, &count)) {
		for (size_t i = 0; i < count; i++, next++)
			CHECK(events[i].head == next && events[i].a == next * 2 && events[i].b == next * 3);
		dv_ring_release(&ring, count);
	}
	pthread_join(producer, NULL);
	CHECK_EQ(next, MANY);
	dv_ring_close(&ring);
	CHECK(!dv_ring_wait(&ring, &events, &count));
	dv_ring_deinit(&ring);
}

TEST(a_closed_ring_gives_what_is_left_and_a_late_producer_does_not_hang)
{
	const struct dv_event *events;
	struct dv_ring ring;
	size_t count;

	CHECK_OK(dv_ring_init(&ring));
	for (uint64_t i = 0; i < 10; i++) {
		*dv_ring_reserve(&ring) = (struct dv_event){i, 0, 0};
		dv_ring_commit(&ring);
	}
	dv_ring_close(&ring);
	CHECK(dv_ring_wait(&ring, &events, &count));
	CHECK_EQ(count, 10);
	dv_ring_release(&ring, count);
	CHECK(!dv_ring_wait(&ring, &events, &count));
	produce(&ring);
	dv_ring_deinit(&ring);
}

/* ---- lines ---- */

static void put_line(void *out, const struct dv_console_line *line)
{
	static const char *const sources[DV_CONSOLE_SOURCES] = DV_CONSOLE_SOURCE_NAMES;

	dv_buf_printf(out, "@%" PRIu64 " %" PRIu64 " %s %d [%s]\n", line->icount, line->thread_id, sources[line->source],
		      line->level, line->text);
}

static void print(struct dv_lines *lines, uint64_t icount, uint64_t thread_id, enum dv_console_source source,
		  uint32_t channel, const char *text, size_t len)
{
	_cleanup_free_ struct dv_event_print *event = calloc(1, sizeof(*event) + len);

	event->source = source;
	event->channel = channel;
	event->len = (uint32_t)len;
	memcpy(event->text, text, len);
	dv_lines_add(lines, icount, thread_id, event);
}

static void print_record(struct dv_lines *lines, uint64_t icount, uint64_t record, bool is_final, const char *text)
{
	_cleanup_free_ struct dv_event_print *event = calloc(1, sizeof(*event) + strlen(text));

	event->source = DV_CONSOLE_PRINTK;
	event->level = 6;
	event->record = record;
	event->is_final = is_final;
	event->len = (uint32_t)strlen(text);
	memcpy(event->text, text, event->len);
	dv_lines_add(lines, icount, 1, event);
}

TEST(bytes_become_lines_that_begin_with_their_first_byte)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	struct dv_lines lines;
	const char *text = "one\r\n\ntw\0o\n# ";

	dv_lines_init(&lines, put_line, &out);
	for (size_t i = 0; i < 13; i++)
		print(&lines, 100 + i, 1 + i / 6, DV_CONSOLE_SERIAL, 0, text + i, 1);
	print(&lines, 200, 3, DV_CONSOLE_SERIAL, 1, "port 2\n", 7);
	print(&lines, 300, 3, DV_CONSOLE_HVC, 0, "a\r\r\nb", 5);
	print(&lines, 310, 4, DV_CONSOLE_HVC, 0, "c\n", 2);
	print(&lines, 400, 4, DV_CONSOLE_SERIAL, 99, "far", 3);
	dv_lines_flush(&lines);
	dv_lines_flush(&lines);
	dv_lines_deinit(&lines);
	dv_buf_append(&out, "", 1);
	CHECK_STR((const char *)out.data, "@100 1 serial -1 [one]\n@105 1 serial -1 []\n@106 2 serial -1 [two]\n"
					  "@200 3 serial -1 [port 2]\n@300 3 hvc -1 [a]\n@300 3 hvc -1 [bc]\n"
					  "@111 2 serial -1 [# ]\n@400 4 serial -1 [far]\n");
}

TEST(a_line_without_end_comes_in_pieces)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	static char text[DV_LINES_MAX_BYTES + 10];
	struct dv_lines lines;

	memset(text, 'x', sizeof(text));
	dv_lines_init(&lines, put_line, &out);
	print(&lines, 100, 1, DV_CONSOLE_SERIAL, 0, text, DV_LINES_MAX_BYTES);
	CHECK(out.len > DV_LINES_MAX_BYTES);
	dv_buf_clear(&out);
	print(&lines, 200, 1, DV_CONSOLE_SERIAL, 0, "y\n", 2);
	dv_lines_deinit(&lines);
	dv_buf_append(&out, "", 1);
	CHECK_STR((const char *)out.data, "@200 1 serial -1 [y]\n");
}

TEST(records_of_printk_are_lines_and_continued_ones_come_once)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	struct dv_lines lines;

	dv_lines_init(&lines, put_line, &out);
	print_record(&lines, 10, 1, true, "whole");
	print_record(&lines, 20, 2, false, "con");
	print_record(&lines, 30, 2, false, "contin");
	print_record(&lines, 40, 2, true, "continued");
	print_record(&lines, 50, 3, false, "never ended");
	print_record(&lines, 60, 4, true, "two\nlines");
	print_record(&lines, 70, 5, true, "");
	print_record(&lines, 80, 6, false, "last");
	dv_lines_flush(&lines);
	dv_lines_deinit(&lines);
	dv_buf_append(&out, "", 1);
	CHECK_STR((const char *)out.data, "@10 1 printk 6 [whole]\n@20 1 printk 6 [continued]\n@50 1 printk 6 [never ended]\n"
					  "@60 1 printk 6 [two]\n@60 1 printk 6 [lines]\n@70 1 printk 6 []\n"
					  "@80 1 printk 6 [last]\n");
}

/* ---- where QEMU keeps the value of an access ---- */

qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info)
{
	return (qemu_plugin_mem_value){QEMU_PLUGIN_MEM_VALUE_U64, {.u64 = info}};
}

static uint64_t object[16];

/* `answers` values, each of them in the words of `places`. */
static void teach(struct dv_mem_value *m, unsigned answers, unsigned places)
{
	for (unsigned i = 1; i <= answers; i++) {
		for (unsigned word = 0; word < DV_ARRAY_SIZE(object); word++)
			object[word] = places & 1u << word ? 1000 + i : i;
		dv_mem_value_learn(m, object, DV_ARRAY_SIZE(object), 1000 + i);
	}
}

TEST(the_word_that_held_every_answer_is_the_value)
{
	struct dv_mem_value m = {0};

	teach(&m, DV_MEM_VALUE_ANSWERS - 1, 1u << 5);
	CHECK(!m.word && !m.over);
	teach(&m, DV_MEM_VALUE_ANSWERS, 1u << 5);
	CHECK(m.word == &object[5] && m.over);
	object[5] = 42;
	CHECK_EQ(dv_mem_value_u64(&m, 0), 42);
}

TEST(a_word_that_held_some_answers_is_struck_off)
{
	struct dv_mem_value m = {0};

	object[3] = object[7] = 500;
	dv_mem_value_learn(&m, object, DV_ARRAY_SIZE(object), 500);
	CHECK_EQ(m.count, 2);
	teach(&m, DV_MEM_VALUE_ANSWERS, 1u << 7);
	CHECK(m.word == &object[7]);
}

TEST(an_answer_that_comes_again_says_nothing)
{
	struct dv_mem_value m = {0};

	object[2] = 9;
	for (int i = 0; i < 2 * DV_MEM_VALUE_ANSWERS; i++)
		dv_mem_value_learn(&m, object, DV_ARRAY_SIZE(object), 9);
	CHECK(!m.word && !m.over);
	CHECK_EQ(m.answers, 1);
}

TEST(without_one_clear_place_qemu_is_asked)
{
	struct dv_mem_value none = {0}, two = {0};

	teach(&none, 1, 0);
	CHECK(none.over && !none.word);
	CHECK_EQ(dv_mem_value_u64(&none, 31), 31);
	for (unsigned i = 0; !two.over; i++)
		teach(&two, DV_MEM_VALUE_ANSWERS, 1u << 1 | 1u << 2);
	CHECK(!two.word);
	CHECK_EQ(two.answers, DV_MEM_VALUE_MAX_ANSWERS);
	CHECK_EQ(dv_mem_value_u64(&two, 32), 32);
}

TEST(a_place_that_no_longer_holds_the_value_is_not_used_again)
{
	struct dv_mem_value m = {.word = &object[0], .over = true, .asked = 0xfffe};

	object[0] = 5;
	CHECK_EQ(dv_mem_value_u64(&m, 6), 5);
	m.asked = 0xffff;
	CHECK_EQ(dv_mem_value_u64(&m, 6), 6);
	CHECK_EQ(dv_mem_value_u64(&m, 7), 7);
}
