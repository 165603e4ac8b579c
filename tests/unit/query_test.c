/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The query engine against slow and simple answers. */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/io.h"
#include "base/memory.h"
#include "base/proto.h"
#include "trace/writer.h"
#include "query_trace.h"
#include "test.h"

#define DEPTHS 4096

static char trace_path[4096];

static struct dv_query *open_trace(uint64_t seed, uint32_t events, bool held, unsigned threads)
{
	struct dv_query_options options = {.threads = threads, .no_cache = true};
	struct dv_query *q;

	snprintf(trace_path, sizeof(trace_path), "%s/t.dvtrace", test_dir());
	make_trace(trace_path, seed, events, held);
	CHECK_OK(dv_query_open(trace_path, &options, &q));
	return q;
}

static uint32_t utid_of(const struct dv_query *q, uint64_t thread_id)
{
	return (uint32_t)thread_id - 1; /* declared in order */
}

/* Two slices of one start and depth on a thread (both empty) may be in either order. */
static void check_slices(uint64_t seed, uint32_t events, bool held, unsigned threads)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(seed, events, held, threads);
	struct reference ref;
	uint8_t *seen;

	reference_init(&ref, trace_path);
	CHECK_EQ(dv_query_info(q)->slices, ref.count);
	CHECK_EQ(dv_query_info(q)->threads, TRACE_THREADS);
	seen = calloc(ref.count + 1, 1);
	for (size_t i = 0; i < ref.count; i++) {
		const struct dv_trace_slice *want = &ref.slices[i];
		uint32_t id = dv_query_id_at(q, want->start_icount);
		struct dv_query_slice got;
		bool found = false;

		for (; !found && dv_query_slice(q, id, &got) && got.start_icount == want->start_icount; id++) {
			const struct dv_query_function *f = dv_query_function(q, got.function);
			uint64_t dur = want->is_open ? DV_QUERY_OPEN : want->end_icount - want->start_icount;

			found = !seen[id] && got.utid == utid_of(q, want->thread_id) && got.depth == want->depth &&
				got.dur_icount == dur && got.cpu_icount == want->cpu_icount &&
				got.own_icount == want->own_icount && got.kind == want->kind &&
				!strcmp(f->slice_name, dv_trace_reader_function(ref.reader, want->function)->is.name);
			seen[id] |= found;
		}
		if (!found)
			test_fail(__FILE__, __LINE__, "slice %zu: start %" PRIu64 " thread %" PRIu64 " depth %u is not there",
				  i, want->start_icount, want->thread_id, want->depth);
	}
	free(seen);
	reference_deinit(&ref);
}

TEST(slices_one_thread)
{
	check_slices(1, 40000, false, 1);
}

TEST(slices_four_threads)
{
	check_slices(2, 60000, false, 4);
}

TEST(slices_held_back)
{
	check_slices(3, 60000, true, 3);
}

static void check_nesting(const struct dv_query *q)
{
	struct dv_query_slice s, parent;
	uint32_t stack[DEPTHS];
	uint64_t before = 0;

	for (uint32_t id = 0; dv_query_slice(q, id, &s); id++) {
		CHECK(s.start_icount >= before);
		before = s.start_icount;
		CHECK_EQ(s.parent == DV_QUERY_NONE, s.depth == 0);
		CHECK_EQ(dv_query_ancestors(q, id, stack, DEPTHS), s.depth);
		if (!s.depth)
			continue;
		CHECK_EQ(stack[s.depth - 1], s.parent);
		CHECK(s.parent < id && dv_query_slice(q, s.parent, &parent));
		CHECK(parent.track == s.track && parent.depth == s.depth - 1);
		CHECK(parent.start_icount <= s.start_icount);
		if (parent.dur_icount != DV_QUERY_OPEN)
			CHECK(s.dur_icount != DV_QUERY_OPEN &&
			      s.start_icount + s.dur_icount <= parent.start_icount + parent.dur_icount);
	}
	CHECK(!dv_query_slice(q, dv_query_info(q)->slices, &s));
	CHECK(!dv_query_slice(q, DV_QUERY_NONE, &s));
}

TEST(ids_and_parents)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(4, 50000, true, 2);

	check_nesting(q);
}

TEST(children_are_those_with_this_parent)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(5, 8000, false, 2);
	uint32_t n = dv_query_info(q)->slices, *got = malloc((n + 1) * sizeof(*got));
	struct dv_query_slice s;

	for (uint32_t id = 0; id < n; id += 7) {
		size_t count = dv_query_children(q, id, got, n), at = 0;

		for (uint32_t i = 0; i < n; i++) {
			CHECK(dv_query_slice(q, i, &s));
			if (s.parent == id)
				CHECK(at < count && got[at++] == i);
		}
		CHECK_EQ(at, count);
	}
	free(got);
}

static uint64_t end_of(const struct dv_query_slice *s)
{
	return s->dur_icount == DV_QUERY_OPEN ? UINT64_MAX : s->start_icount + s->dur_icount;
}

TEST(stack_at)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(6, 12000, false, 2);
	uint64_t last = dv_query_info(q)->last_icount, random = 7;
	uint32_t n = dv_query_info(q)->slices, got[DEPTHS];
	struct dv_query_slice s;

	for (int round = 0; round < 300; round++) {
		uint64_t at = (random = random * 6364136223846793005ull + 1) >> 24;
		uint32_t track = (uint32_t)(round % TRACE_THREADS);
		size_t count, depth = 0;

		at %= last + 2;
		if (round % 3 && dv_query_slice(q, (uint32_t)(random >> 33) % n, &s)) {
			at = s.start_icount;
			track = s.track;
		}
		count = dv_query_stack_at(q, track, at, got, DEPTHS);
		for (uint32_t i = 0; i < n; i++) {
			CHECK(dv_query_slice(q, i, &s));
			if (s.track == track && s.start_icount <= at && end_of(&s) > at)
				CHECK(depth < count && got[depth++] == i);
		}
		CHECK_EQ(depth, count);
	}
}

static void name_by_key(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static const char *const names[] = {"calls", "timer", "fault", "later", "plain"};

	(void)context;
	*ret = (struct dv_trace_function){.name = names[key], .vaddr = 0xffffffff81000000 + key * 64};
}

/* A call that a fault and then an interrupt kept waiting, one with a call right at its start, one with neither. */
TEST(first_instruction)
{
	static const struct {
		uint64_t icount, key;
		enum dv_slice_kind kind; /* DV_SLICE_KINDS: an end */
	} events[] = {
		{100, 0, DV_SLICE_CALL}, {100, 2, DV_SLICE_EXCEPTION}, {130, 0, DV_SLICE_KINDS},
		{130, 1, DV_SLICE_INTERRUPT}, {170, 0, DV_SLICE_KINDS}, {175, 1, DV_SLICE_INTERRUPT},
		{180, 0, DV_SLICE_KINDS}, {190, 0, DV_SLICE_KINDS}, {200, 3, DV_SLICE_CALL}, {200, 4, DV_SLICE_TAIL_CALL},
		{210, 0, DV_SLICE_KINDS}, {220, 0, DV_SLICE_KINDS}, {230, 3, DV_SLICE_CALL}, {230, 1, DV_SLICE_INTERRUPT},
	};
	static const struct {
		uint64_t start, first;
		uint32_t depth;
	} want[] = {{100, 170, 0}, {100, 100, 1}, {200, 200, 0}, {230, 230, 0}};
	const struct dv_trace_thread thread = {.id = 1, .tid = 5, .tgid = 5, .comm = "one"};
	struct dv_trace_options options = {.path = trace_path, .exact = true, .describe = name_by_key};
	struct dv_query_options how = {.no_cache = true};
	_cleanup_(dv_query_closep) struct dv_query *q = NULL;
	struct dv_trace_writer *w;

	snprintf(trace_path, sizeof(trace_path), "%s/first.dvtrace", test_dir());
	CHECK_OK(dv_trace_writer_create(&options, &w));
	dv_trace_writer_thread(w, 10, &thread);
	dv_trace_writer_switch(w, 10, 0, 0, 1);
	for (size_t i = 0; i < DV_ARRAY_SIZE(events); i++) {
		if (events[i].kind == DV_SLICE_KINDS)
			dv_trace_writer_end(w, 1, events[i].icount);
		else
			dv_trace_writer_begin(w, 1, events[i].icount, events[i].key, events[i].kind);
	}
	CHECK_OK(dv_trace_writer_finish(w, 300));
	CHECK_OK(dv_query_open(trace_path, &how, &q));
	for (size_t i = 0; i < DV_ARRAY_SIZE(want); i++) {
		uint32_t id = dv_query_slice_by_tid(q, want[i].start, 5, want[i].depth);

		CHECK(id != DV_QUERY_NONE);
		CHECK_EQ(dv_query_first_instruction(q, id), want[i].first);
	}
}

static void check_timeline(const struct dv_query *q, uint32_t track, uint64_t from, uint64_t to, uint64_t bucket)
{
	uint32_t depths = dv_query_track(q, track)->depths;
	struct dv_query_timeline *t;
	struct dv_query_slice s;
	size_t at = 0;

	CHECK_OK(dv_query_timeline(q, track, from, to, bucket, 0, &t));
	for (uint32_t depth = 0; depth < depths; depth++) {
		uint64_t current = UINT64_MAX;
		uint32_t count = 0;

		for (uint32_t i = 0; dv_query_slice(q, i, &s) && s.start_icount < to; i++) {
			uint64_t b;

			if (s.track != track || s.depth != depth || (s.start_icount < from && end_of(&s) <= from))
				continue;
			b = s.start_icount < from ? UINT64_MAX - 1 : bucket ? (s.start_icount - from) / bucket : i;
			if (b == current) {
				count++;
				CHECK(t->dur_icount[at - 1] >= s.dur_icount);
				CHECK_EQ(t->count[at - 1] >= count, true);
				continue;
			}
			if (current != UINT64_MAX)
				CHECK_EQ(t->count[at - 1], count);
			CHECK(at < t->len);
			CHECK_EQ(t->depth[at], depth);
			CHECK(t->id[at] >= i);
			CHECK(t->dur_icount[at] >= s.dur_icount);
			at++;
			current = b;
			count = 1;
		}
		if (current != UINT64_MAX)
			CHECK_EQ(t->count[at - 1], count);
	}
	CHECK_EQ(at, t->len);
	for (size_t i = 0; i < t->len; i++) {
		CHECK(dv_query_slice(q, t->id[i], &s));
		CHECK(s.start_icount == t->start_icount[i] && s.dur_icount == t->dur_icount[i] && s.track == track);
		CHECK(s.function == t->function[i] && s.kind == t->kind[i] && s.depth == t->depth[i]);
	}
	free(t);
}

TEST(timeline)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(8, 20000, true, 2);
	uint64_t first = dv_query_info(q)->first_icount, span = dv_query_info(q)->last_icount - first;

	for (uint32_t track = 0; track < TRACE_THREADS; track += 3) {
		check_timeline(q, track, 0, UINT64_MAX, span / 50);
		check_timeline(q, track, first, first + span + 1, span / 3000);
		check_timeline(q, track, first + span / 3, first + span / 2, 1 << 20);
		check_timeline(q, track, first + 20000, first + 60000, 64);
		check_timeline(q, track, first + 20000, first + 90000, 0);
	}
	check_timeline(q, 1, 500, 500, 10);
}

/* By its definition: the part of each outermost call that lies in [from, to). */
static void add_elapsed(const struct dv_query *q, const struct dv_query_area *area, uint64_t *by_function)
{
	struct dv_query_slice s, outer;
	uint32_t stack[DEPTHS];

	for (uint32_t id = 0; dv_query_slice(q, id, &s); id++) {
		uint64_t from = s.start_icount, to = from + s.dur_icount;
		size_t depth = dv_query_ancestors(q, id, stack, DEPTHS);
		bool is_outermost = true;

		if (s.dur_icount == DV_QUERY_OPEN)
			to = dv_query_info(q)->last_icount;
		for (size_t i = 0; i < depth; i++)
			is_outermost &= dv_query_slice(q, stack[i], &outer) && outer.function != s.function;
		from = from > area->from_icount ? from : area->from_icount;
		to = to < area->to_icount ? to : area->to_icount;
		if (is_outermost && to > from && (area->utid == DV_QUERY_NONE || area->utid == s.utid))
			by_function[s.function] += to - from;
	}
}

static void check_elapsed(const struct dv_query *q, struct dv_query_area area)
{
	uint64_t *want = calloc(dv_query_info(q)->functions, sizeof(*want)), all = 0, got_all = 0, off = 0;
	struct dv_query_function_stats *got;
	size_t n;

	add_elapsed(q, &area, want);
	CHECK_OK(dv_query_function_stats(q, &area, NULL, &got, &n));
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(got[i].elapsed_icount, want[got[i].function]);
		CHECK(got[i].elapsed_icount >= got[i].total_icount);
		got_all += got[i].elapsed_icount;
		off += got[i].elapsed_icount - got[i].total_icount;
	}
	for (uint32_t f = 0; f < dv_query_info(q)->functions; f++)
		all += want[f];
	CHECK_EQ(got_all, all);
	CHECK(off > 0); /* else it says nothing of the time off the CPU */
	free(got);
	free(want);
}

TEST(elapsed_of_functions)
{
	for (uint64_t seed = 40; seed < 43; seed++) {
		_cleanup_(dv_query_closep) struct dv_query *q = open_trace(seed, 20000, seed & 1, 3);
		uint64_t first = dv_query_info(q)->first_icount, span = dv_query_info(q)->last_icount - first;

		check_elapsed(q, DV_QUERY_WHOLE);
		for (uint64_t i = 0; i < 5; i++) {
			struct dv_query_area area = {first + span * i / 7, first + span * (i + 2) / 7, DV_QUERY_NONE,
						     DV_QUERY_NONE};

			check_elapsed(q, area);
			area.utid = (uint32_t)i % TRACE_THREADS;
			check_elapsed(q, area);
		}
	}
}

TEST(function_stats)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(9, 50000, false, 3);
	uint32_t functions = dv_query_info(q)->functions, stack[DEPTHS];
	struct dv_query_function_stats *want = calloc(functions, sizeof(*want)), *got;
	struct dv_query_slice s, outer;
	size_t n, at = 0;

	for (uint32_t id = 0; dv_query_slice(q, id, &s); id++) {
		bool recursive = false;
		size_t depth = dv_query_ancestors(q, id, stack, DEPTHS);

		for (size_t i = 0; i < depth; i++)
			recursive |= dv_query_slice(q, stack[i], &outer) && outer.function == s.function;
		want[s.function].own_icount += s.own_icount;
		want[s.function].total_icount += recursive ? 0 : s.cpu_icount;
		if (!want[s.function].calls++ || s.cpu_icount < want[s.function].min_icount)
			want[s.function].min_icount = s.cpu_icount;
		if (s.cpu_icount > want[s.function].max_icount)
			want[s.function].max_icount = s.cpu_icount;
	}
	for (int round = 0; round < 2; round++) {
		/* The same by the tree: an area that is all but says a thread's worth less. */
		struct dv_query_area area = DV_QUERY_WHOLE;

		area.from_icount = round ? dv_query_info(q)->first_icount + 1 : 0;
		CHECK_OK(dv_query_function_stats(q, &area, NULL, &got, &n));
		at = 0;
		for (uint32_t f = 0; f < functions; f++) {
			if (!want[f].calls)
				continue;
			CHECK(at < n && got[at].function == f);
			if (!round) {
				CHECK_EQ(got[at].calls, want[f].calls);
				CHECK_EQ(got[at].own_icount, want[f].own_icount);
				CHECK_EQ(got[at].total_icount, want[f].total_icount);
				CHECK_EQ(got[at].min_icount, want[f].min_icount);
				CHECK_EQ(got[at].max_icount, want[f].max_icount);
			} else {
				CHECK(want[f].own_icount - got[at].own_icount <= 1);
				CHECK(want[f].calls - got[at].calls <= 1);
				CHECK(want[f].total_icount - got[at].total_icount <= 1);
			}
			at++;
		}
		CHECK_EQ(at, n);
		free(got);
	}
	free(want);
}

TEST(calls_by_name)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(10, 30000, false, 2);
	uint64_t from = dv_query_info(q)->last_icount / 4, to = dv_query_info(q)->last_icount / 2;
	uint32_t functions[4], wanted = 0, id = 0;
	struct dv_query_slice *calls, slice;
	size_t len, calls_len, n = 0;
	char vaddr[24];

	CHECK_OK(dv_query_functions(q, "function_10", functions, 4, &len));
	CHECK_EQ(len, 1);
	wanted = functions[0];
	CHECK_STR(dv_query_function(q, wanted)->name, "function_10");
	snprintf(vaddr, sizeof(vaddr), "0x%" PRIx64, dv_query_function(q, wanted)->vaddr);
	CHECK_OK(dv_query_functions(q, vaddr, functions, 4, &len));
	CHECK_EQ(len, 1);
	CHECK_EQ(functions[0], wanted);
	CHECK_ERROR(dv_query_functions(q, "no such function", functions, 4, &len), DV_ERROR_NOT_FOUND,
		    "the trace has no call of a function 'no such function'");
	CHECK_ERROR(dv_query_functions(q, "function_10", functions, 0, &len), DV_ERROR_UNSUPPORTED,
		    "more than 0 functions are called 'function_10': give an address");

	CHECK_OK(dv_query_calls_of(q, &wanted, 1, from, to, SIZE_MAX, &calls, &calls_len));
	for (; dv_query_slice(q, id, &slice); id++) {
		if (slice.function != wanted || slice.start_icount < from || slice.start_icount >= to)
			continue;
		CHECK(n < calls_len);
		CHECK_EQ(calls[n++].id, id);
	}
	CHECK(n > 3);
	CHECK_EQ(n, calls_len);
	free(calls);
	CHECK_OK(dv_query_calls_of(q, &wanted, 1, from, to, 2, &calls, &calls_len));
	CHECK_EQ(calls_len, 2);
	free(calls);
}

TEST(search)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(10, 30000, false, 2);
	_cleanup_(dv_query_search_destroyp) struct dv_query_search *search = NULL, *part = NULL, *none = NULL;
	uint32_t counts[64] = {0}, id = 0, n = 0;
	uint64_t bucket = dv_query_info(q)->last_icount / 64 + 1, sum = 0, by_track = 0;
	struct dv_query_slice s;

	CHECK_OK(dv_query_search_create(q, "Function_1?", false, &search));
	CHECK_EQ(dv_query_search_functions(search), 10);
	CHECK_OK(dv_query_search_create(q, "[mod] function_7", true, &none)); /* a set of letters, then more */
	CHECK_EQ(dv_query_search_count(none, DV_QUERY_ALL_TRACKS), 0);
	CHECK_OK(dv_query_search_create(q, "mod", true, &part));
	CHECK_EQ(dv_query_search_functions(part), 13);
	for (uint32_t i = 0; dv_query_slice(q, i, &s); i++) {
		const char *name = dv_query_function(q, s.function)->name;
		bool want = strlen(name) == 11 && name[9] == '1';

		CHECK_EQ(dv_query_search_matches(search, s.function), want);
		if (!want)
			continue;
		CHECK_EQ(dv_query_search_next(search, DV_QUERY_ALL_TRACKS, id), i);
		CHECK_EQ(dv_query_search_prev(search, s.track, i), i);
		CHECK_EQ(dv_query_search_rank(search, i), n);
		id = i + 1;
		n++;
	}
	CHECK_EQ(dv_query_search_next(search, DV_QUERY_ALL_TRACKS, id), DV_QUERY_NONE);
	CHECK_EQ(dv_query_search_count(search, DV_QUERY_ALL_TRACKS), n);
	dv_query_search_buckets(search, DV_QUERY_ALL_TRACKS, 0, bucket, counts, 64);
	for (int i = 0; i < 64; i++)
		sum += counts[i];
	for (uint32_t t = 0; t < TRACE_THREADS; t++)
		by_track += dv_query_search_count(search, t);
	CHECK_EQ(sum, n);
	CHECK_EQ(by_track, n);
}

/* SQL */

/* The first column of the first row. */
static int64_t ask(struct dv_sql *sql, const char *text)
{
	struct dv_sql_statement *st;
	int64_t value;
	bool row;

	CHECK_OK(dv_sql_prepare(sql, text, &st, NULL));
	CHECK_OK(dv_sql_step(st, &row));
	if (!row)
		test_fail(__FILE__, __LINE__, "%s: no row", text);
	value = dv_sql_column(st, 0).integer;
	dv_sql_finalize(st);
	return value;
}

/*
 * What is pushed down must not change what comes out: "+column" keeps SQLite from handing the constraint
 * over. Conditions come in pairs, in random company.
 */
static const char *const conditions[][2] = {
	{"id < 900", "+id < 900"},
	{"id >= 400", "+id >= 400"},
	{"id = 77", "+id = 77"},
	{"id in (5, 9, 100000000, -3)", "+id in (5, 9, 100000000, -3)"},
	{"ts >= 9000", "+ts >= 9000"},
	{"ts > 9000.5", "+ts > 9000.5"},
	{"ts < 60000", "+ts < 60000"},
	{"ts = (select ts from slice where id = 50)", "+ts = (select ts from slice where id = 50)"},
	{"track_id = 4", "+track_id = 4"},
	{"track_id = 99", "+track_id = 99"},
	{"track_id in (1, 4, 6)", "+track_id in (1, 4, 6)"},
	{"depth = 3", "+depth = 3"},
	{"depth <= 2", "+depth <= 2"},
	{"depth > 5", "+depth > 5"},
	{"depth = 0", "+depth = 0"},
	{"parent_id = 12", "+parent_id = 12"},
	{"parent_id is null", "+parent_id is null"},
	{"parent_id = -1", "+parent_id = -1"},
	{"name = 'function_12'", "+name = 'function_12'"},
	{"name = 'nothing'", "+name = 'nothing'"},
	{"name in ('function_3', 'function_4')", "+name in ('function_3', 'function_4')"},
	{"name glob '*_1?'", "+name glob '*_1?'"},
	{"name > 'function_5'", "+name > 'function_5'"},
	{"name = null", "+name = null"},
	{"dur > 500", "+dur > 500"},
	{"dur >= 0", "+dur >= 0"},
	{"dur = -1", "+dur = -1"},
	{"dur < 0", "+dur < 0"},
	{"dur < 100", "+dur < 100"},
	{"dur > 4294967296", "+dur > 4294967296"},
};

static const char *const orders[] = {"id", "ts", "id desc", "ts desc", "name", "name, id", "dur, id", "ts, id",
				     "ts desc, id desc", "track_id, depth, id"};

TEST(sql_pushed_down)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(11, 30000, true, 2);
	struct dv_sql *sql;
	uint64_t random = 5;

	CHECK_OK(dv_sql_open(q, &sql));
	for (int round = 0; round < 200; round++) {
		char text[2048], where[2][512] = {"1", "1"};
		const char *order = orders[round % DV_ARRAY_SIZE(orders)];

		for (int i = 0; i < 1 + round % 3; i++) {
			size_t pick = (random = random * 6364136223846793005ull + 1442695040888963407ull) >> 33;

			for (int plain = 0; plain < 2; plain++) {
				size_t len = strlen(where[plain]);

				snprintf(where[plain] + len, sizeof(where[plain]) - len, " and %s",
					 conditions[pick % DV_ARRAY_SIZE(conditions)][plain]);
			}
		}
		/* In order: ties of ts and name may go either way, so that the keys are compared. */
		snprintf(text, sizeof(text),
			 "select (select group_concat(x, ' ') from (select %s as x from slice where %s order by %s)) is "
			 "(select group_concat(x, ' ') from (select %s as x from slice where %s order by +%s))",
			 !strncmp(order, "name", 4) ? "name" : !strncmp(order, "ts", 2) ? "ts" : "id", where[0], order,
			 !strncmp(order, "name", 4) ? "name" : !strncmp(order, "ts", 2) ? "ts" : "id", where[1], order);
		if (!ask(sql, text))
			test_fail(__FILE__, __LINE__, "differs: %s", text);
		snprintf(text, sizeof(text), "select (select count(*) from slice where %s) = "
			 "(select count(*) from slice where %s)", where[0], where[1]);
		if (!ask(sql, text))
			test_fail(__FILE__, __LINE__, "counts differ: %s", text);
	}
	dv_sql_close(sql);
}

/* Each must be 1: a table function against plain SQL. */
static const char *const truths[] = {
	"select count(*) = (select count(*) from slice) from call",
	"select sum(own) = (select sum(own) from function_stats) from call",
	"select sum(calls) = (select count(*) from slice) from function",
	"select (select group_concat(id) from (select id from descendant_slice(3) order by id)) is (with recursive d(id) as "
	"(select id from slice where parent_id = 3 union all select s.id from d join slice s on s.parent_id = d.id) "
	"select group_concat(id) from (select id from d order by id))",
	"select (select group_concat(id) from (select id from ancestor_slice(800) order by id)) is (with recursive a(id) as "
	"(select parent_id from slice where id = 800 union all select parent_id from a join slice using (id)) "
	"select group_concat(id) from (select id from a where id is not null order by id))",
	"select not exists (select * from (select name, count(*) n, sum(own) o from call group by 1) join function_stats f "
	"using (name) where n != f.calls or o != f.own)",
	"select (select sum(calls) from callers('function_8') where depth = 0) = (select count(*) from slice where name = "
	"'function_8')",
	"select not exists (select c.name, c.calls from callers('function_8') c where depth = 1 except select p.name, count(*) "
	"from slice s join slice p on p.id = s.parent_id where s.name = 'function_8' group by 1)",
	"select (select total from callees('function_8') where depth = 0) = (select total from function_stats where name = "
	"'function_8')",
	"select (select sum(own) from flamegraph) = (select sum(own) from call)",
	"select (select sum(own) from flamegraph(0, 9000000)) + (select sum(own) from flamegraph(9000000)) = (select sum(own) "
	"from call)",
	"select (select sum(own) from flamegraph(0, 1000000000000, 3)) = (select sum(own) from call where utid = 3)",
	"select (select group_concat(id) from stack_at((select ts + 1 from slice where id = 900), (select utid from call where "
	"id = 900))) is (select group_concat(id) from (select id from call where utid = (select utid from call where id = 900) "
	"and ts <= (select ts + 1 from slice where id = 900) and (dur = -1 or ts + dur > (select ts + 1 from slice where id = "
	"900)) order by depth))",
	"select (select sum(count) from timeline(4, 0, 1e12, 1000)) = (select count(*) from slice where track_id = 4)",
	"select count(*) = (select count(*) from thread_slice) from slice",
	"select count(*) = (select count(*) from slice) from slice s join thread_track t on t.id = s.track_id join thread "
	"using (utid) join process using (upid)",
	"select sum(dur) = (select end_ts from trace_bounds) - min(ts) from (select ts, iif(dur < 0, (select end_ts from "
	"trace_bounds) - ts, dur) dur from sched)",
	"select count(*) = 1 from thread where utid = 0 and is_idle and tid = 0",
	"select count(*) > 30 from dv_tables",
	"select count(*) = (select count(*) from (select table_name, name from dv_columns group by 1, 2)) from dv_columns",
	"select not exists (select ts from slice order by id limit 1 offset 100000000)",
};

TEST(sql_table_functions)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(12, 30000, false, 2);
	struct dv_sql *sql;

	CHECK_OK(dv_sql_open(q, &sql));
	for (size_t i = 0; i < DV_ARRAY_SIZE(truths); i++) {
		if (ask(sql, truths[i]) != 1)
			test_fail(__FILE__, __LINE__, "not true: %s", truths[i]);
	}
	dv_sql_close(sql);
}

static bool stop_soon(void *context, uint64_t rows)
{
	return ++*(int *)context < 3;
}

TEST(sql_errors_and_stopping)
{
	_cleanup_(dv_query_closep) struct dv_query *q = open_trace(13, 30000, false, 2);
	static const char forever[] = "select count(*) from slice a, slice b, slice c where a.dur + b.dur = c.ts";
	struct dv_sql_statement *st;
	struct dv_sql *sql;
	int calls = 0;
	bool row;

	CHECK_OK(dv_sql_open(q, &sql));
	CHECK_ERROR(dv_sql_prepare(sql, "select bogus from slice", &st, NULL), DV_ERROR_INVALID,
		    "no such column: bogus; there are those of the table dv_columns");
	CHECK_ERROR(dv_sql_prepare(sql, "select 1 from function_stat", &st, NULL), DV_ERROR_INVALID,
		    "no such table: function_stat; is it function_stats?");
	CHECK_ERROR(dv_sql_prepare(sql, "select 1 from quite_another_thing", &st, NULL), DV_ERROR_INVALID,
		    "no such table: quite_another_thing; there are those of the table dv_tables");
	CHECK_ERROR(dv_sql_prepare(sql, "select s.nam from slice s", &st, NULL), DV_ERROR_INVALID,
		    "no such column: s.nam; is it name?");
	CHECK_EQ(dv_sql_error_offset(sql), 7);
	CHECK_OK(dv_sql_prepare(sql, "select * from callers('function_')", &st, NULL));
	CHECK_ERROR(dv_sql_step(st, &row), DV_ERROR_INVALID,
		    "callers: no function 'function_' was called; there is '[mod] function_0'");
	dv_sql_finalize(st);
	CHECK_ERROR(dv_sql_prepare(sql, "attach '/tmp/x' as x", &st, NULL), DV_ERROR_INVALID, "not authorized");
	dv_sql_set_progress(sql, stop_soon, &calls, 1);
	CHECK_OK(dv_sql_prepare(sql, forever, &st, NULL));
	CHECK_ERROR(dv_sql_step(st, &row), DV_ERROR_CANCELLED, "the query was cancelled");
	CHECK_EQ(calls, 3);
	dv_sql_finalize(st);
	dv_sql_set_progress(sql, NULL, NULL, 0);
	dv_sql_set_timeout(sql, 20);
	CHECK_OK(dv_sql_prepare(sql, forever, &st, NULL));
	CHECK_ERROR(dv_sql_step(st, &row), DV_ERROR_TIMEOUT, "the query ran longer than 0.02 s");
	dv_sql_finalize(st);
	CHECK_EQ(ask(sql, "select 1"), 1); /* and it goes on */
	dv_sql_close(sql);
}

/* The cache */

static void overwrite(const char *folder, size_t at)
{
	char command[8192];

	snprintf(command, sizeof(command), "for f in %s/dejaview/*.dvcolumns; do printf 'xxxx' | dd of=$f bs=1 seek=%zu "
		 "conv=notrunc 2>/dev/null; done", folder, at);
	CHECK_EQ(system(command), 0);
}

static bool opens_from_cache(int64_t *ret_sum)
{
	_cleanup_(dv_query_closep) struct dv_query *q = NULL;
	struct dv_sql *sql;

	CHECK_OK(dv_query_open(trace_path, NULL, &q));
	CHECK_OK(dv_sql_open(q, &sql));
	*ret_sum = ask(sql, "select sum(dur) + sum(length(name) * depth) + count(parent_id) from slice where id % 7 = 0");
	dv_sql_close(sql);
	return dv_query_info(q)->from_cache;
}

TEST(cache)
{
	char folder[4096], command[8192];
	int64_t first, second;

	snprintf(folder, sizeof(folder), "%s/cache", test_dir());
	snprintf(trace_path, sizeof(trace_path), "%s/t.dvtrace", test_dir());
	setenv("XDG_CACHE_HOME", folder, 1);
	make_trace(trace_path, 14, 2000000, false);
	CHECK(!opens_from_cache(&first));
	CHECK(opens_from_cache(&second));
	CHECK_EQ(second, first);
	overwrite(folder, 100); /* its header */
	CHECK(!opens_from_cache(&second));
	CHECK_EQ(second, first);
	CHECK(opens_from_cache(&second)); /* written anew */
	overwrite(folder, 4100); /* the first column */
	CHECK(!opens_from_cache(&second));
	snprintf(command, sizeof(command), "truncate -s 100000 %s/dejaview/*", folder);
	CHECK_EQ(system(command), 0);
	CHECK(!opens_from_cache(&second));
	CHECK(opens_from_cache(&second));
	CHECK_EQ(second, first);
	make_trace(trace_path, 15, 2000000, false); /* another trace of that name */
	CHECK(!opens_from_cache(&second));
	CHECK(second != first);
}

TEST(too_large_for_memory)
{
	struct dv_query_options options = {.max_memory_bytes = 100u << 20, .no_cache = true};
	_cleanup_error_ struct dv_error *err = NULL;
	struct dv_query *q;

	snprintf(trace_path, sizeof(trace_path), "%s/t.dvtrace", test_dir());
	make_trace(trace_path, 16, 400000, false);
	err = dv_query_open(trace_path, &options, &q);
	CHECK(err && err->code == DV_ERROR_NO_MEMORY);
	CHECK(strstr(err->message, "MB of memory, and 104 MB may be used"));
}

static void put_file(const char *name, const char *text)
{
	char command[16384];

	snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s/%s')\" && printf '%s' >'%s/%s'", test_dir(), name, text,
		 test_dir(), name);
	CHECK_EQ(system(command), 0);
}

/* Limits of cgroups: the least of a group and of those above it counts, less what is used, but for the cache. */
TEST(memory_limits_of_cgroups)
{
	put_file("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 8000000ull * 1024 / 10 * 9);
	put_file("proc/self/cgroup", "1:name=systemd:/\n0::/a.slice/b.scope\n");
	put_file("sys/fs/cgroup/a.slice/b.scope/memory.max", "max\n");
	put_file("sys/fs/cgroup/a.slice/b.scope/memory.current", "1000\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 8000000ull * 1024 / 10 * 9);
	put_file("sys/fs/cgroup/a.slice/memory.max", "500000\n");
	put_file("sys/fs/cgroup/a.slice/memory.current", "300000\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 180000);
	put_file("sys/fs/cgroup/a.slice/memory.stat", "anon 7\nfile 150000\ninactive_file 60000\nactive_file 40000\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 270000);
	put_file("sys/fs/cgroup/a.slice/b.scope/memory.max", "900\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 0);
	/* Version 1, in a container: the path is the host's. */
	put_file("proc/self/cgroup", "4:memory:/docker/0123\n3:cpu:/x\n");
	put_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put_file("sys/fs/cgroup/memory/memory.usage_in_bytes", "123\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), 8000000ull * 1024 / 10 * 9);
	put_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "100000\n");
	CHECK_EQ(dv_memory_left_in(test_dir()), (100000ull - 123) / 10 * 9);
}

static int64_t stat_of(const struct dv_query *q, const char *name)
{
	struct dv_sql *sql;
	char text[128];
	int64_t value;

	snprintf(text, sizeof(text), "select value from stats where name = '%s'", name);
	CHECK_OK(dv_sql_open(q, &sql));
	value = ask(sql, text);
	dv_sql_close(sql);
	return value;
}

/* A block in the middle that does not decode is lost, all others are there, and what is not is said. */
TEST(damage_is_told)
{
	struct dv_query_options options = {.threads = 3, .no_cache = true};
	_cleanup_buf_ struct dv_buf bytes = DV_BUF_INIT;
	struct dv_query *q = open_trace(17, 300000, false, 3);
	uint64_t slices = dv_query_info(q)->slices, lost;

	CHECK(!dv_query_damage(q) && stat_of(q, "slices_unfinished") > 0);
	CHECK_EQ(stat_of(q, "blocks_damaged") + stat_of(q, "bytes_skipped") + stat_of(q, "trace_unfinished"), 0);
	CHECK_EQ(stat_of(q, "slices_lost") + stat_of(q, "slices_cut"), 0);
	dv_query_close(q);
	CHECK_OK(dv_read_file(trace_path, 1u << 30, &bytes));
	memset(bytes.data + bytes.len / 2, 0x55, 16);
	CHECK_OK(dv_query_open_bytes(bytes.data, bytes.len, "damaged", &options, &q));
	CHECK(dv_query_damage(q) && strstr(dv_query_damage(q), "damaged: "));
	CHECK_EQ(stat_of(q, "blocks_damaged"), 1);
	lost = (uint64_t)stat_of(q, "slices_lost");
	CHECK(lost > 0 && lost < slices / 10);
	CHECK_EQ(dv_query_info(q)->slices, slices - lost);
	CHECK(stat_of(q, "slices_cut") > 0);
	CHECK(stat_of(q, "bytes_skipped") > 0 && stat_of(q, "bytes_skipped") < (int64_t)bytes.len / 10);
	CHECK_EQ(stat_of(q, "trace_unfinished"), 0);
	check_nesting(q);
	dv_query_close(q);
}

/* Start, thread and function of a slice, as one number. */
static uint64_t mark_of(const struct dv_query *q, uint32_t id)
{
	struct dv_query_slice s;
	const char *name;
	uint64_t mark;

	CHECK(dv_query_slice(q, id, &s));
	mark = s.start_icount * 31 + (uint64_t)dv_query_thread(q, s.utid)->tid;
	for (name = dv_query_function(q, s.function)->slice_name; *name; name++)
		mark = mark * 31 + (uint8_t)*name;
	return mark;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* How many of the marks, which are sorted, the trace has; each slice must be one of them. */
static size_t count_marks(const struct dv_query *q, const uint64_t *marks, size_t n)
{
	uint32_t count = dv_query_info(q)->slices;

	for (uint32_t id = 0; id < count; id++) {
		uint64_t mark = mark_of(q, id);

		CHECK(bsearch(&mark, marks, n, sizeof(mark), by_number));
	}
	return count;
}

/* Single bits anywhere behind the head: never a slice that was not there, and no more lost than stats say. */
TEST(flipped_bits)
{
	struct dv_query_options options = {.threads = 2, .no_cache = true};
	_cleanup_buf_ struct dv_buf bytes = DV_BUF_INIT;
	struct dv_query *q = open_trace(21, 20000, true, 2);
	size_t n = dv_query_info(q)->slices, recovered = 0, opened = 0;
	uint64_t *marks = malloc((n + 1) * sizeof(*marks)), random = 5;

	for (uint32_t id = 0; id < n; id++)
		marks[id] = mark_of(q, id);
	qsort(marks, n, sizeof(*marks), by_number);
	dv_query_close(q);
	CHECK_OK(dv_read_file(trace_path, 1u << 30, &bytes));
	for (int round = 0; round < 200; round++) {
		size_t flips = 1 + (size_t)round % 3, at[3], found;
		uint8_t bit[3];
		struct dv_error *err;

		for (size_t i = 0; i < flips; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			at[i] = (random >> 20) % bytes.len;
			bit[i] = (uint8_t)(1 << (random >> 60 & 7));
			bytes.data[at[i]] ^= bit[i];
		}
		err = dv_query_open_bytes(bytes.data, bytes.len, "flipped", &options, &q);
		if (!err) {
			opened++;
			found = count_marks(q, marks, n);
			CHECK(found == n || stat_of(q, "blocks_damaged") + stat_of(q, "trace_unfinished") > 0);
			recovered += found * 4 > n * 3;
			check_nesting(q);
			dv_query_close(q);
		}
		dv_error_destroy(err);
		for (size_t i = 0; i < flips; i++)
			bytes.data[at[i]] ^= bit[i];
	}
	printf("# %zu of 200 opened, %zu with three quarters of their slices\n", opened, recovered);
	CHECK(opened > 180 && recovered > 130); /* the rest: headers that declare threads, and the index */
	free(marks);
}

static void put_switch(struct dv_buf *buf, uint64_t ts, uint32_t prev, uint64_t state, uint32_t next, const char *comm)
{
	size_t event = proto_open(buf, 2), body;

	proto_uint(buf, 1, ts);
	body = proto_open(buf, 4);
	proto_uint(buf, 2, prev);
	proto_uint(buf, 4, state);
	proto_string(buf, 5, comm);
	proto_uint(buf, 6, next);
	proto_close(buf, body);
	proto_close(buf, event);
}

static int64_t asked(const struct dv_query *q, const char *text)
{
	struct dv_sql *sql;
	int64_t value;

	CHECK_OK(dv_sql_open(q, &sql));
	value = ask(sql, text);
	dv_sql_close(sql);
	return value;
}

/* Switches of another recorder, and an event that is not read. The rest is held against Perfetto: tests/query. */
TEST(switches_of_another_trace)
{
	const struct dv_query_options options = {.no_cache = true};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	size_t packet = proto_open(&buf, 1), bundle = proto_open(&buf, 1), event;
	struct dv_query *q;

	proto_uint(&buf, 1, 3);
	put_switch(&buf, 100, 0, 0, 5, "sh");
	put_switch(&buf, 250, 5, 1, 0, "swapper/3");
	put_switch(&buf, 400, 0, 0, 5, "sh");
	event = proto_open(&buf, 2);
	proto_uint(&buf, 1, 500);
	proto_uint(&buf, 2, 5);
	proto_string(&buf, 13, "");
	proto_close(&buf, event);
	proto_close(&buf, bundle);
	proto_close(&buf, packet);
	CHECK_OK(dv_query_open_bytes(buf.data, buf.len, "foreign", &options, &q));
	CHECK_EQ(asked(q, "select count(*) from sched where cpu = 3"), 3);
	CHECK_EQ(asked(q, "select dur from sched join thread using (utid) where name = 'sh' and end_state = 'S'"), 150);
	CHECK_EQ(asked(q, "select dur from thread_state where state = 'S' and ts = 250"), 150);
	CHECK_EQ(asked(q, "select dur from thread_state where state = 'Running' and ts = 400"), -1);
	CHECK_EQ(asked(q, "select count(*) from thread where tid = 5 and upid is null and is_main_thread is null"), 1);
	CHECK_EQ(asked(q, "select end_ts from trace_bounds"), 500);
	CHECK_EQ(stat_of(q, "ftrace_events_not_read"), 1);
	CHECK_EQ(stat_of(q, "malformed_packets") + stat_of(q, "ftrace_bundle_tokenizer_errors"), 0);
	dv_query_close(q);
}

static void put_track_event(struct dv_buf *buf, uint64_t ts, uint64_t type, const char *name)
{
	size_t packet = proto_open(buf, 1), event;

	proto_uint(buf, 8, ts);
	proto_uint(buf, 10, 1);
	event = proto_open(buf, 11);
	proto_uint(buf, 9, type);
	proto_uint(buf, 11, 5);
	proto_string(buf, 23, name);
	proto_close(buf, event);
	proto_close(buf, packet);
}

/* What never ended lasts to the trace's end, in a caller that never ended too: own adds up to the time there is. */
TEST(open_slices_of_another_trace)
{
	const struct dv_query_options options = {.no_cache = true};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct dv_query *q;

	put_track_event(&buf, 100, 1, "outer");
	put_track_event(&buf, 130, 1, "inner");
	put_track_event(&buf, 300, 3, "an instant");
	CHECK_OK(dv_query_open_bytes(buf.data, buf.len, "foreign", &options, &q));
	CHECK_EQ(asked(q, "select own from call where name = 'outer'"), 30);
	CHECK_EQ(asked(q, "select own from call where name = 'inner'"), 170);
	CHECK_EQ(asked(q, "select sum(dur) from slice"), -2);
	dv_query_close(q);
}

/* `ulimit -v`: refused with the numbers too, not in the middle of loading. */
TEST(too_large_for_the_address_space)
{
	const struct dv_query_options options = {.no_cache = true};
	_cleanup_error_ struct dv_error *err = NULL;
	_cleanup_fclose_ FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long long pages;
	struct rlimit limit;
	struct dv_query *q;

	snprintf(trace_path, sizeof(trace_path), "%s/t.dvtrace", test_dir());
	make_trace(trace_path, 18, 2000, false);
	CHECK(statm && fscanf(statm, "%llu", &pages) == 1 && !getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (80u << 20);
	CHECK(!setrlimit(RLIMIT_AS, &limit));
	err = dv_query_open(trace_path, &options, &q);
	CHECK(err && err->code == DV_ERROR_NO_MEMORY && strstr(err->message, "MB may be used"));
}
