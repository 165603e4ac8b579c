/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compare_traces RECORDING A.dvtrace B.dvtrace: do two traces of one recording hold the same events, in the same
 * order, up to where all replays run the same? Names are counted apart. The same of switches, threads, what was
 * printed, mappings, modules, and how sound the stacks are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "replay/recording.h"
#include "trace/reader.h"

struct stream {
	struct dv_trace_reader *reader;
	size_t block, at, count;
	const struct dv_trace_event *events;
};

/* The next event; NULL at the end. */
static struct dv_error *next(struct stream *s, const struct dv_trace_event **ret)
{
	while (s->at == s->count) {
		*ret = NULL;
		if (s->block == dv_trace_reader_block_count(s->reader))
			return NULL;
		DV_TRY(dv_trace_reader_read_block(s->reader, s->block++, &s->events, &s->count));
		s->at = 0;
	}
	*ret = &s->events[s->at++];
	return NULL;
}

static const struct dv_trace_function *function_of(const struct stream *s, const struct dv_trace_event *e)
{
	return &dv_trace_reader_function(s->reader, e->function)->is;
}

static bool same(const struct stream *sa, const struct dv_trace_event *a, const struct stream *sb,
		 const struct dv_trace_event *b)
{
	if (a->icount != b->icount || a->thread_id != b->thread_id || a->type != b->type)
		return false;
	if (a->type == DV_TRACE_END)
		return true;
	return a->kind == b->kind && function_of(sa, a)->vaddr == function_of(sb, b)->vaddr;
}

/* What a function is called is looked up once KASLR's slide is known: early ones may lack their name. */
static bool same_name(const struct stream *sa, const struct dv_trace_event *a, const struct stream *sb,
		      const struct dv_trace_event *b)
{
	return a->type == DV_TRACE_END || !strcmp(function_of(sa, a)->name, function_of(sb, b)->name);
}

static void describe(const struct stream *s, const struct dv_trace_event *e, char to[static 160])
{
	const struct dv_trace_function *f = e->type == DV_TRACE_BEGIN ? function_of(s, e) : NULL;

	snprintf(to, 160, "icount %" PRIu64 " thread %" PRIu64 " %s%.60s 0x%" PRIx64 " kind %u", e->icount, e->thread_id,
		 f ? "begin " : "end", f ? f->name : "", f ? f->vaddr : 0, e->kind);
}

static struct dv_error *mismatch(uint64_t n, const struct stream *sa, const struct dv_trace_event *a,
				 const struct stream *sb, const struct dv_trace_event *b)
{
	char x[160], y[160];

	describe(sa, a, x);
	describe(sb, b, y);
	return dv_error_new(DV_ERROR_MISMATCH, "event %" PRIu64 ": %s, against %s", n, x, y);
}

static struct dv_error *compare(struct stream *a, struct stream *b, uint64_t end)
{
	uint64_t n = 0, renamed = 0;

	for (;; n++) {
		const struct dv_trace_event *x, *y;

		DV_TRY(next(a, &x));
		DV_TRY(next(b, &y));
		if (!x || !y || (x->icount > end && y->icount > end))
			break;
		if (!same(a, x, b, y))
			return mismatch(n, a, x, b, y);
		renamed += !same_name(a, x, b, y);
	}
	printf("%" PRIu64 " events are the same, %" PRIu64 " of them under another name\n", n, renamed);
	return n ? NULL : dv_error_new(DV_ERROR_MISMATCH, "there are no events");
}

/* ---- what is told beside the events ---- */

#define ROW_BYTES 512

enum table { SWITCHES, THREADS, LINES, MAPPINGS, MODULES, TABLES };
static const char *const table_names[TABLES] = {"switches", "threads", "console lines", "mappings", "modules"};

/* An end behind what all replays have in common is as good as none. */
static uint64_t clip(uint64_t icount, uint64_t end)
{
	return icount > end ? UINT64_MAX : icount;
}

static size_t describe_thread(const struct dv_trace_thread_state *state, uint64_t end, char *to)
{
	const struct dv_trace_thread *t = &state->thread;

	return (size_t)snprintf(to, ROW_BYTES, "%" PRIu64 " id %" PRIu64 " tid %d tgid %d parent %d kernel %d %s start %" PRIu64
				" creator %" PRIu64 " exit %" PRIu64 " code %d", state->icount, t->id, t->tid, t->tgid,
				t->parent_tgid, t->is_kernel, t->comm, t->start_icount, t->creator_id,
				clip(t->exit_icount, end), t->exit_code);
}

/* A row as text; false behind the last one, or for one that begins behind the end. */
static bool describe_row(struct dv_trace_reader *r, enum table table, size_t i, uint64_t end, char *to)
{
	const struct dv_trace_switch *s = dv_trace_reader_switches(r);
	const struct dv_console_line *line = dv_trace_reader_console_lines(r);
	const struct dv_trace_mapping *m = NULL;
	const struct dv_trace_module *module = NULL;
	size_t count = 0;
	uint64_t icount = 0;

	*to = 0;
	if (table == SWITCHES && i < dv_trace_reader_switch_count(r)) {
		icount = s[i].icount;
		snprintf(to, ROW_BYTES, "%" PRIu64 " cpu %u %" PRIu64 " to %" PRIu64, icount, s[i].cpu, s[i].prev_id, s[i].next_id);
	} else if (table == THREADS && i < dv_trace_reader_thread_state_count(r)) {
		icount = dv_trace_reader_thread_state(r, i)->icount;
		describe_thread(dv_trace_reader_thread_state(r, i), end, to);
	} else if (table == LINES && i < dv_trace_reader_console_line_count(r)) {
		icount = line[i].icount;
		snprintf(to, ROW_BYTES, "%" PRIu64 " thread %" PRIu64 " source %d level %d %s", icount, line[i].thread_id,
			 line[i].source, line[i].level, line[i].text);
	} else if (table == MAPPINGS) {
		dv_error_destroy(dv_trace_reader_mappings(r, &m, &count));
		if (i < count)
			snprintf(to, ROW_BYTES, "%" PRIu64 " to %" PRIu64 " tgid %d space %u 0x%" PRIx64 " 0x%" PRIx64 " +0x%" PRIx64
				 " %s %s", icount = m[i].from_icount, clip(m[i].to_icount, end), m[i].tgid, m[i].space,
				 m[i].start_vaddr, m[i].end_vaddr, m[i].offset_bytes, m[i].file ? m[i].file->path : "",
				 m[i].file && m[i].file->build_id ? m[i].file->build_id : "");
	} else if (table == MODULES) {
		dv_error_destroy(dv_trace_reader_modules(r, &module, &count));
		if (i < count)
			snprintf(to, ROW_BYTES, "%" PRIu64 " to %" PRIu64 " 0x%" PRIx64 " %" PRIu64 " 0x%" PRIx64 " %s",
				 icount = module[i].from_icount, clip(module[i].to_icount, end), module[i].base_vaddr,
				 module[i].size_bytes, module[i].init_vaddr, module[i].name);
	}
	return *to && icount <= end;
}

static struct dv_error *compare_table(struct dv_trace_reader *a, struct dv_trace_reader *b, enum table table, uint64_t end)
{
	char x[ROW_BYTES], y[ROW_BYTES];
	size_t i = 0;

	for (;; i++) {
		bool has_x = describe_row(a, table, i, end, x), has_y = describe_row(b, table, i, end, y);

		if (!has_x && !has_y)
			break;
		if (has_x != has_y || strcmp(x, y))
			return dv_error_new(DV_ERROR_MISMATCH, "%s, row %zu: %s, against %s", table_names[table], i,
					    has_x ? x : "none", has_y ? y : "none");
	}
	printf("%zu %s are the same\n", i, table_names[table]);
	return NULL;
}

/* The last one stands. */
static const char *find_note(const struct dv_trace_reader *r, const char *key)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(r);
	const char *value = "none";

	for (size_t i = 0; i < metadata->note_count; i++) {
		if (!strcmp(metadata->notes[i].key, key))
			value = metadata->notes[i].value;
	}
	return value;
}

static struct dv_error *compare_notes(const struct dv_trace_reader *a, const struct dv_trace_reader *b)
{
	static const char *const keys[] = {"kaslr_slide", "early_returns", "made_returns", "unmatched_returns", "stale_frames"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(find_note(a, keys[i]), find_note(b, keys[i])))
			return dv_error_new(DV_ERROR_MISMATCH, "%s: %s, against %s", keys[i], find_note(a, keys[i]),
					    find_note(b, keys[i]));
	}
	return NULL;
}

static struct dv_error *run(char **argv)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *x = NULL, *y = NULL;
	struct stream a = {0}, b = {0};
	uint64_t end;

	DV_TRY(dv_recording_open(argv[1], &r));
	DV_TRY(dv_trace_reader_open(argv[2], &x));
	DV_TRY(dv_trace_reader_open(argv[3], &y));
	a.reader = x;
	b.reader = y;
	end = dv_recording_common_icount(r);
	DV_TRY(compare(&a, &b, end));
	for (enum table table = 0; table < TABLES; table++)
		DV_TRY(compare_table(x, y, table, end));
	return compare_notes(x, y);
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (argc != 4) {
		fputs("usage: compare_traces RECORDING A.dvtrace B.dvtrace\n", stderr);
		return 2;
	}
	err = run(argv);
	if (err)
		fprintf(stderr, "compare_traces: %s\n", err->message);
	return err ? 1 : 0;
}
