/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compare_traces RECORDING A.dvtrace B.dvtrace: do two traces of one recording hold the same events, in the same
 * order, up to where all replays run the same? Names are counted apart.
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

static struct dv_error *run(char **argv)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *x = NULL, *y = NULL;
	struct stream a = {0}, b = {0};

	DV_TRY(dv_recording_open(argv[1], &r));
	DV_TRY(dv_trace_reader_open(argv[2], &x));
	DV_TRY(dv_trace_reader_open(argv[3], &y));
	a.reader = x;
	b.reader = y;
	return compare(&a, &b, dv_recording_common_icount(r));
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
