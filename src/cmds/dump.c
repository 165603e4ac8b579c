/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview dump: a trace, or a part of it, in formats that other tools read. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "base/vec.h"
#include "cmds/numbers.h"
#include "cmds/opentrace.h"

#define MAX_STACK 4096

static const char usage[] =
	"usage: dejaview dump --format FORMAT [OPTION]... TRACE.dvtrace|RECORDING.dejaview\n"
	"\n"
	"Writes a trace in another format.\n"
	"\n"
	"  --format tree    the calls as text, as ftrace's function_graph shows them\n"
	"  --format folded  stacks and their instructions, for flame graphs (flamegraph.pl, speedscope, inferno)\n"
	"  --format chrome  Chrome's JSON, for chrome://tracing, Perfetto and others\n"
	"  -o, --output F   to a file rather than standard output\n"
	"  --thread T       only of a thread: its tid or its name\n"
	"  --from I, --to I only within instruction counts, as 1500000000 or 1.5G\n"
	"  --no-cache       neither use nor keep the trace's columns in the cache folder\n"
	"\n"
	"The tree and Chrome's JSON have a line for each call: some hundred bytes. --from and --to help.\n";

struct dump {
	const struct dv_query *q;
	struct dv_query_area area;
	FILE *to;
	uint32_t first_id, end_id;
};

struct dump_options {
	const char *output, *thread;
	uint64_t from, to;
	bool no_cache;
	struct dv_error *(*write)(struct dump *d);
};

static const char *slice_name(const struct dump *d, const struct dv_query_slice *s)
{
	return dv_query_function(d->q, s->function)->slice_name;
}

static bool is_wanted(const struct dump *d, uint32_t utid)
{
	return d->area.utid == DV_QUERY_NONE || d->area.utid == utid;
}

/* Folded stacks: "thread;outer;inner instructions" */

static void put_folded_name(FILE *to, const char *name)
{
	for (; *name; name++)
		putc(*name == ';' || (unsigned char)*name < 0x20 ? '_' : *name, to);
}

static void put_stack(struct dump *d, const char *thread, const struct dv_query_tree_node *nodes, uint32_t node)
{
	uint32_t path[MAX_STACK], depth = 0;

	for (uint32_t i = node; i && depth < MAX_STACK; i = nodes[i].parent)
		path[depth++] = i;
	put_folded_name(d->to, thread);
	while (depth) {
		putc(';', d->to);
		put_folded_name(d->to, dv_query_function(d->q, nodes[path[--depth]].function)->slice_name);
	}
	fprintf(d->to, " %" PRIu64 "\n", nodes[node].own_icount);
}

static struct dv_error *write_folded(struct dump *d)
{
	for (uint32_t utid = 0; utid < dv_query_info(d->q)->threads; utid++) {
		const struct dv_query_thread *t = dv_query_thread(d->q, utid);
		struct dv_query_area area = d->area;
		struct dv_query_tree_node *nodes;
		size_t n;

		if (!t->slices || !is_wanted(d, utid))
			continue;
		area.utid = utid;
		DV_TRY(dv_query_tree(d->q, DV_TREE_FLAMEGRAPH, 0, &area, 0, UINT32_MAX, NULL, &nodes, &n));
		for (uint32_t i = 1; i < n; i++) {
			if (nodes[i].own_icount)
				put_stack(d, *t->name ? t->name : "?", nodes, i);
		}
		free(nodes);
	}
	return NULL;
}

/* Chrome's JSON: "X" events, whose times are microseconds; an instruction is taken for a nanosecond */

static void put_json_string(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == '"' || c == '\\')
			fprintf(to, "\\u%04x", c);
		else
			putc(c, to);
	}
	putc('"', to);
}

static int64_t pid_of(const struct dump *d, uint32_t utid)
{
	uint32_t upid = utid == DV_QUERY_NONE ? DV_QUERY_NONE : dv_query_thread(d->q, utid)->upid;

	return upid == DV_QUERY_NONE ? 0 : dv_query_process(d->q, upid)->pid;
}

static void put_chrome_threads(struct dump *d)
{
	for (uint32_t utid = 0; utid < dv_query_info(d->q)->threads; utid++) {
		const struct dv_query_thread *t = dv_query_thread(d->q, utid);

		if (!is_wanted(d, utid))
			continue;
		fprintf(d->to, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%" PRId64 ",\"tid\":%" PRId64 ",\"args\":{\"name\":",
			pid_of(d, utid), t->tid);
		put_json_string(d->to, t->name);
		fputs("}},\n", d->to);
	}
}

static void put_chrome_slice(struct dump *d, const struct dv_query_slice *s)
{
	static const char *const kinds[] = {"call", "tail call", "interrupt", "exception", "syscall"};
	uint64_t dur = s->dur_icount == DV_QUERY_OPEN ? dv_query_info(d->q)->last_icount - s->start_icount : s->dur_icount;
	int64_t tid = s->utid == DV_QUERY_NONE ? (int64_t)s->track : dv_query_thread(d->q, s->utid)->tid;

	fputs("{\"ph\":\"X\",\"name\":", d->to);
	put_json_string(d->to, slice_name(d, s));
	fprintf(d->to, ",\"cat\":\"%s\",\"ts\":%" PRIu64 ".%03u,\"dur\":%" PRIu64 ".%03u,\"pid\":%" PRId64 ",\"tid\":%" PRId64 "},\n",
		kinds[s->kind < DV_ARRAY_SIZE(kinds) ? s->kind : 0], s->start_icount / 1000, (unsigned)(s->start_icount % 1000),
		dur / 1000, (unsigned)(dur % 1000), pid_of(d, s->utid), tid);
}

static struct dv_error *write_chrome(struct dump *d)
{
	struct dv_query_slice s;

	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", d->to);
	put_chrome_threads(d);
	for (uint32_t id = d->first_id; id < d->end_id && dv_query_slice(d->q, id, &s); id++) {
		if (is_wanted(d, s.utid))
			put_chrome_slice(d, &s);
	}
	fputs("{\"ph\":\"M\",\"name\":\"trace_end\",\"pid\":0,\"tid\":0,\"args\":{}}\n]}\n", d->to);
	return NULL;
}

/* The tree: a line when a call begins, one when it ends; one for both when it called nothing */

struct tree {
	struct dump *d;
	uint32_t track;		    /* whose slices come now; DV_QUERY_NONE: none yet */
	struct dv_query_slice wait; /* begun, and not known yet whether it calls something */
	bool waits;
	struct open {
		struct dv_query_slice *v;
		size_t n, cap;
	} *open; /* by track */
};

static void put_start(struct tree *t, uint64_t icount, const struct dv_query_slice *s, bool with_length)
{
	if (with_length && s->dur_icount != DV_QUERY_OPEN)
		fprintf(t->d->to, "%14" PRIu64 " %10" PRIu64 " | ", icount, s->cpu_icount);
	else
		fprintf(t->d->to, "%14" PRIu64 " %10s | ", icount, "");
	for (uint32_t i = 0; i < s->depth; i++)
		fputs("  ", t->d->to);
}

static const char *kind_words(const struct dv_query_slice *s)
{
	static const char *const words[] = {"", "", "  /* interrupt */", "  /* exception */", "  /* syscall */"};

	return words[s->kind < DV_ARRAY_SIZE(words) ? s->kind : 0];
}

/* The one that waits: it called something, or it did not. */
static void put_waiting(struct tree *t, bool calls)
{
	if (!t->waits)
		return;
	t->waits = false;
	put_start(t, t->wait.start_icount, &t->wait, !calls);
	fprintf(t->d->to, "%s()%s%s\n", slice_name(t->d, &t->wait), calls ? " {" : ";", kind_words(&t->wait));
}

static uint64_t end_of(const struct dv_query_slice *s)
{
	return s->dur_icount == DV_QUERY_OPEN ? UINT64_MAX : s->start_icount + s->dur_icount;
}

/* Ends what ended by then on a track and does not hold the slice that begins. */
static void end_slices(struct tree *t, uint32_t track, uint64_t icount, uint32_t keep)
{
	struct open *open = &t->open[track];

	while (open->n) {
		const struct dv_query_slice *top = &open->v[open->n - 1];

		if (top->id == keep || end_of(top) > icount)
			return;
		if (t->waits && t->wait.id == top->id) {
			put_waiting(t, false);
		} else {
			put_waiting(t, true);
			put_start(t, end_of(top), top, true);
			fprintf(t->d->to, "}  /* %s */\n", slice_name(t->d, top));
		}
		open->n--;
	}
}

static struct dv_error *push_open(struct open *open, const struct dv_query_slice *s)
{
	if (!DV_VEC_ROOM(open->v, open->n, open->cap))
		return dv_error_no_memory();
	open->v[open->n++] = *s;
	return NULL;
}

static void put_thread(struct tree *t, const struct dv_query_slice *s)
{
	const struct dv_query_thread *thread = s->utid == DV_QUERY_NONE ? NULL : dv_query_thread(t->d->q, s->utid);
	const char *track = dv_query_track(t->d->q, s->track)->name;

	put_waiting(t, true);
	if (thread)
		fprintf(t->d->to, "%*s%s-%" PRId64 ":\n", 28, "", thread->name, thread->tid);
	else if (track && *track)
		fprintf(t->d->to, "%*s%s:\n", 28, "", track);
	else
		fprintf(t->d->to, "%*strack %" PRIu32 ":\n", 28, "", s->track);
	t->track = s->track;
}

/* What was open when the area began, without lines of its own. */
static struct dv_error *open_earlier(struct tree *t)
{
	uint32_t stack[MAX_STACK];

	for (uint32_t i = 0; t->d->area.from_icount && i < dv_query_info(t->d->q)->tracks; i++) {
		size_t n = dv_query_stack_at(t->d->q, i, t->d->area.from_icount - 1, stack, MAX_STACK);

		for (size_t s = 0; s < n && is_wanted(t->d, dv_query_track(t->d->q, i)->utid); s++) {
			struct dv_query_slice slice;

			dv_query_slice(t->d->q, stack[s], &slice);
			DV_TRY(push_open(&t->open[i], &slice));
		}
	}
	return NULL;
}

static struct dv_error *put_slice(struct tree *t, const struct dv_query_slice *s)
{
	if (t->track != DV_QUERY_NONE && t->track != s->track)
		end_slices(t, t->track, s->start_icount, DV_QUERY_NONE);
	if (t->track != s->track)
		put_thread(t, s);
	end_slices(t, s->track, s->start_icount, s->parent);
	put_waiting(t, true);
	t->wait = *s;
	t->waits = true;
	return push_open(&t->open[s->track], s);
}

static struct dv_error *write_slices(struct tree *t)
{
	struct dv_query_slice s;

	fprintf(t->d->to, "# %12s %10s | calls\n", "icount", "ran");
	DV_TRY(open_earlier(t));
	for (uint32_t id = t->d->first_id; id < t->d->end_id && dv_query_slice(t->d->q, id, &s); id++) {
		if (is_wanted(t->d, s.utid))
			DV_TRY(put_slice(t, &s));
	}
	for (uint32_t i = 0; i < dv_query_info(t->d->q)->tracks; i++)
		end_slices(t, i, t->d->area.to_icount - 1, DV_QUERY_NONE);
	put_waiting(t, true);
	return NULL;
}

static struct dv_error *write_tree(struct dump *d)
{
	uint32_t tracks = dv_query_info(d->q)->tracks;
	struct tree t = {.d = d, .track = DV_QUERY_NONE, .open = calloc(tracks + 1, sizeof(*t.open))};
	struct dv_error *err = t.open ? write_slices(&t) : dv_error_no_memory();

	for (uint32_t i = 0; t.open && i < tracks; i++)
		free(t.open[i].v);
	free(t.open);
	return err;
}

static const struct {
	const char *name;
	struct dv_error *(*write)(struct dump *d);
} formats[] = {{"tree", write_tree}, {"folded", write_folded}, {"chrome", write_chrome}};

static struct dv_error *write_to(const struct dump_options *o, struct dump *d)
{
	struct dv_error *err;

	d->to = o->output ? fopen(o->output, "we") : stdout;
	if (!d->to)
		return dv_error_os(errno, "cannot create %s", o->output);
	err = o->write(d);
	if ((fflush(d->to) || ferror(d->to)) && !err)
		err = dv_error_os(errno, "cannot write %s", o->output ? o->output : "standard output");
	if (o->output)
		fclose(d->to);
	return err;
}

static struct dv_error *run(const struct dump_options *o, const char *path)
{
	_cleanup_(dv_query_closep) struct dv_query *q = NULL;
	struct dump d = {.area = DV_QUERY_WHOLE};

	DV_TRY(dv_open_trace("dump", path, o->no_cache, &q));
	d.q = q;
	d.area.from_icount = o->from;
	d.area.to_icount = o->to;
	if (o->thread)
		DV_TRY(dv_find_thread_option(q, o->thread, &d.area.utid));
	d.first_id = dv_query_id_at(q, o->from);
	d.end_id = o->to == UINT64_MAX ? dv_query_info(q)->slices : dv_query_id_at(q, o->to);
	return write_to(o, &d);
}

static bool take_option(int c, struct dump_options *o)
{
	switch (c) {
	case 'f':
		for (size_t i = 0; i < DV_ARRAY_SIZE(formats); i++) {
			if (!strcmp(optarg, formats[i].name))
				o->write = formats[i].write;
		}
		if (!o->write)
			fprintf(stderr, "dejaview dump: --format %s: it is one of tree, folded, chrome\n", optarg);
		return o->write;
	case 'o':
		o->output = optarg;
		return true;
	case 't':
		o->thread = optarg;
		return true;
	case 'n':
		o->no_cache = true;
		return true;
	default:
		if (dv_parse_icount(optarg, c == 'F' ? &o->from : &o->to))
			return true;
		fprintf(stderr, "dejaview dump: %s: not an instruction count\n", optarg);
		return false;
	}
}

int dv_cmd_dump(int argc, char **argv)
{
	static const struct option options[] = {
		{"format", required_argument, NULL, 'f'}, {"output", required_argument, NULL, 'o'},
		{"thread", required_argument, NULL, 't'}, {"from", required_argument, NULL, 'F'},
		{"to", required_argument, NULL, 'T'},	  {"no-cache", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},	  {0}};
	struct dump_options o = {.to = UINT64_MAX};
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		if (!take_option(c, &o))
			return 2;
	}
	if (argc - optind != 1 || !o.write) {
		fputs(usage, stderr);
		return 2;
	}
	return dv_cmd_report("dump", run(&o, argv[optind]));
}
