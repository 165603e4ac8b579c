/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trace's summary: see summary.h. */
#include "cmds/summary.h"

#include <inttypes.h>
#include <string.h>
#include "base/map.h"

struct totals {
	uint64_t calls, own_icount, cpu_icount;
	const char *name;
	enum dv_function_space space;
};

struct pass {
	struct dv_summary *summary;
	struct totals *functions; /* by the reader's number */
	size_t functions_len;
	bool no_memory;
};

static bool make_room(struct pass *pass, uint32_t function)
{
	size_t len = (size_t)function + function / 2 + 1024;
	struct totals *more;

	if (function < pass->functions_len)
		return true;
	more = realloc(pass->functions, len * sizeof(*more));
	if (!more)
		return false;
	memset(more + pass->functions_len, 0, (len - pass->functions_len) * sizeof(*more));
	pass->functions = more;
	pass->functions_len = len;
	return true;
}

static bool add_slice(void *context, const struct dv_trace_slice *slice)
{
	struct pass *pass = context;
	struct dv_summary *summary = pass->summary;
	struct totals *function;

	if (!make_room(pass, slice->function)) {
		pass->no_memory = true;
		return false;
	}
	function = &pass->functions[slice->function];
	function->calls++;
	function->own_icount += slice->own_icount;
	function->cpu_icount += slice->cpu_icount;
	summary->slices++;
	summary->own_icount += slice->own_icount;
	if (slice->depth >= summary->max_depth)
		summary->max_depth = slice->depth + 1;
	summary->interrupts += slice->kind == DV_SLICE_INTERRUPT;
	summary->exceptions += slice->kind == DV_SLICE_EXCEPTION;
	summary->syscalls += slice->kind == DV_SLICE_SYSCALL;
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct totals *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_own(const void *a, const void *b)
{
	const struct totals *x = a, *y = b;

	if (x->own_icount != y->own_icount)
		return x->own_icount < y->own_icount ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* One function can have several numbers (a module loaded again): by name they are one. */
static size_t merge_by_name(struct totals *functions, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (kept && !strcmp(functions[kept - 1].name, functions[i].name)) {
			functions[kept - 1].calls += functions[i].calls;
			functions[kept - 1].own_icount += functions[i].own_icount;
			functions[kept - 1].cpu_icount += functions[i].cpu_icount;
		} else {
			functions[kept++] = functions[i];
		}
	}
	return kept;
}

static void take_top(struct pass *pass)
{
	struct dv_summary *summary = pass->summary;
	size_t len = 0, count = dv_trace_reader_function_count(summary->reader);

	for (uint32_t i = 0; i < pass->functions_len && i < count; i++) {
		const struct dv_trace_reader_function *function = dv_trace_reader_function(summary->reader, i);

		if (!pass->functions[i].calls)
			continue;
		if (function->is.space == DV_FUNCTION_USER)
			summary->user_slices += pass->functions[i].calls;
		pass->functions[len] = pass->functions[i];
		pass->functions[len].space = function->is.space;
		pass->functions[len++].name = function->is.name ? function->is.name : "?";
	}
	if (!len)
		return;
	qsort(pass->functions, len, sizeof(*pass->functions), by_name);
	len = merge_by_name(pass->functions, len);
	qsort(pass->functions, len, sizeof(*pass->functions), by_own);
	for (size_t i = 0; i < len && i < DV_SUMMARY_TOP; i++) {
		const struct totals *from = &pass->functions[i];

		summary->top[summary->top_len++] = (struct dv_summary_function){
			from->name, from->space, from->calls, from->own_icount, from->cpu_icount};
	}
}

static void count_console(struct dv_summary *summary)
{
	const struct dv_console_line *lines = dv_trace_reader_console_lines(summary->reader);

	for (size_t i = 0; i < dv_trace_reader_console_line_count(summary->reader); i++)
		summary->console_lines[lines[i].source]++;
}

static struct dv_error *count_threads(struct dv_summary *summary)
{
	_cleanup_(dv_map_deinit) struct dv_map threads = DV_MAP_INIT, processes = DV_MAP_INIT;
	size_t count = dv_trace_reader_thread_state_count(summary->reader);

	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_thread *thread = &dv_trace_reader_thread_state(summary->reader, i)->thread;

		if (!dv_map_put(&threads, thread->id))
			return dv_error_no_memory();
		if (!thread->is_kernel && thread->tgid && !dv_map_put(&processes, (uint64_t)thread->tgid))
			return dv_error_no_memory();
	}
	summary->threads = threads.len;
	summary->processes = processes.len;
	return NULL;
}

/* The last note of a key counts. */
static uint64_t note_number(const struct dv_trace_metadata *metadata, const char *key)
{
	for (size_t i = metadata->note_count; i; i--) {
		if (!strcmp(metadata->notes[i - 1].key, key))
			return strtoull(metadata->notes[i - 1].value, NULL, 10);
	}
	return 0;
}

static void take_returns(struct dv_summary *summary)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(summary->reader);

	summary->returns = (struct dv_summary_returns){
		.all = note_number(metadata, "returns"),
		.early = note_number(metadata, "early_returns"),
		.outer = note_number(metadata, "outer_returns"),
		.made = note_number(metadata, "made_returns"),
		.unmatched = note_number(metadata, "unmatched_returns"),
	};
}

struct dv_error *dv_summary_of_trace(const char *path, struct dv_summary *ret)
{
	_cleanup_summary_ struct dv_summary summary = {0};
	struct pass pass = {.summary = &summary};
	struct dv_error *err;

	DV_TRY(dv_trace_reader_open(path, &summary.reader));
	DV_TRY(count_threads(&summary));
	count_console(&summary);
	take_returns(&summary);
	err = dv_trace_reader_slices(summary.reader, add_slice, &pass);
	if (!err && pass.no_memory)
		err = dv_error_no_memory();
	if (!err)
		take_top(&pass);
	free(pass.functions);
	if (err)
		return err;
	*ret = summary;
	summary.reader = NULL;
	return NULL;
}

void dv_summary_deinit(struct dv_summary *summary)
{
	dv_trace_reader_close(summary->reader);
	summary->reader = NULL;
}

const char *dv_format_count(uint64_t count, char buf[16])
{
	static const char prefixes[] = " kMGTPE";
	double value = (double)count;
	size_t i = 0;

	if (count < 10000) {
		snprintf(buf, 16, "%" PRIu64, count);
		return buf;
	}
	/* 999.5 would print as 1e3 digits: it is one of the next prefix. */
	for (; value >= 999.5 && i + 2 < sizeof(prefixes); i++)
		value /= 1000;
	snprintf(buf, 16, "%.*f %c", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, prefixes[i]);
	return buf;
}

const char *dv_format_bytes(uint64_t bytes, char buf[24])
{
	char count[16];

	if (bytes < 10000)
		snprintf(buf, 24, "%" PRIu64 " bytes", bytes);
	else
		snprintf(buf, 24, "%sB", dv_format_count(bytes, count));
	return buf;
}

/* A kernel function's name says enough. */
static const char *space_words(enum dv_function_space space)
{
	if (space == DV_FUNCTION_USER)
		return " (user space)";
	if (space == DV_FUNCTION_FIRMWARE)
		return " (before the kernel)";
	return "";
}

static void print_top(FILE *to, const struct dv_summary *summary)
{
	uint64_t all = summary->own_icount ? summary->own_icount : 1;
	char calls[16], own[16];

	fprintf(to, "\nwhere the %s went, without what they called\n",
		dv_trace_reader_metadata(summary->reader)->clock == DV_TRACE_CLOCK_ICOUNT ? "instructions" : "time");
	fprintf(to, "       own          calls  function\n");
	for (size_t i = 0; i < summary->top_len; i++) {
		const struct dv_summary_function *function = &summary->top[i];

		fprintf(to, "  %8s %5.1f%% %7s  %s%s\n", dv_format_count(function->own_icount, own),
			100.0 * (double)function->own_icount / (double)all,
			dv_format_count(function->calls, calls), function->name, space_words(function->space));
	}
}

static void print_state(FILE *to, const struct dv_summary *summary)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(summary->reader);
	const struct dv_error *damage = dv_trace_reader_damage(summary->reader);

	/* "Linux version 6.1.0 (who built it) (with what) #1 SMP...": the first three words do. */
	if (metadata->kernel_banner) {
		size_t len = strcspn(metadata->kernel_banner, "(\n");

		while (len && metadata->kernel_banner[len - 1] == ' ')
			len--;
		fprintf(to, "kernel        %.*s\n", (int)len, metadata->kernel_banner);
	}
	if (metadata->clock != DV_TRACE_CLOCK_ICOUNT)
		fprintf(to, "clock         the host's nanoseconds: this trace cannot be sought in a replay\n");
	else if (!metadata->exact)
		fprintf(to, "exact         no: %s\n", metadata->exact_reason ? metadata->exact_reason : "not known why");
	else
		fprintf(to, "exact         yes: each timestamp is the instruction count of the call's first instruction\n");
	if (damage)
		fprintf(to, "damage        %s\n%s", damage->message, metadata->finished ?
			"              calls are counted up to there; query and report go on behind it\n" : "");
	else if (!metadata->finished)
		fprintf(to, "end           cut off: its writer did not finish it\n");
}

static void print_stacks(FILE *to, const struct dv_summary *summary)
{
	const struct dv_summary_returns *r = &summary->returns;
	char all[16], early[16], outer[16], made[16], unmatched[16];

	fprintf(to, "stacks        at most %" PRIu32 " frames deep", summary->max_depth);
	if (r->all)
		fprintf(to, "; of %s returns %s closed no frame of theirs\n"
			    "              (besides %s before the kernel ran, %s out of calls made before their thread\n"
			    "              began, as a fork's child does, and %s that are jumps in truth)",
			dv_format_count(r->all, all), dv_format_count(r->unmatched, unmatched),
			dv_format_count(r->early, early), dv_format_count(r->outer, outer),
			dv_format_count(r->made, made));
	fputc('\n', to);
}

static json_t *returns_to_json(const struct dv_summary_returns *r)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "all", (json_int_t)r->all, "early", (json_int_t)r->early,
			 "outer", (json_int_t)r->outer, "made", (json_int_t)r->made, "unmatched",
			 (json_int_t)r->unmatched);
}

static void print_console(FILE *to, const struct dv_summary *summary)
{
	static const char *const sources[DV_CONSOLE_SOURCES] = DV_CONSOLE_SOURCE_NAMES;
	const char *before = "console       ";

	for (size_t i = 0; i < DV_CONSOLE_SOURCES; i++) {
		if (!summary->console_lines[i])
			continue;
		fprintf(to, "%s%" PRIu64 " %s by %s", before, summary->console_lines[i],
			summary->console_lines[i] == 1 ? "line" : "lines", sources[i]);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', to);
}

void dv_summary_print(FILE *to, const struct dv_summary *summary)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(summary->reader);
	char a[24], b[24], c[24];

	if (metadata->clock == DV_TRACE_CLOCK_ICOUNT)
		fprintf(to, "instructions  %s\n", dv_format_count(metadata->last_icount, a));
	fprintf(to, "calls         %s (%s in user space, %s system calls)\n", dv_format_count(summary->slices, a),
		dv_format_count(summary->user_slices, b), dv_format_count(summary->syscalls, c));
	fprintf(to, "interrupts    %s, and %s exceptions\n", dv_format_count(summary->interrupts, a),
		dv_format_count(summary->exceptions, b));
	fprintf(to, "threads       %s (%s processes), %s context switches\n", dv_format_count(summary->threads, a),
		dv_format_count(summary->processes, b), dv_format_count(metadata->switches, c));
	print_console(to, summary);
	print_stacks(to, summary);
	fprintf(to, "trace         %s, %.2f bytes per call\n", dv_format_bytes(metadata->file_bytes, a),
		(double)metadata->file_bytes / (double)(summary->slices ? summary->slices : 1));
	print_state(to, summary);
	if (summary->top_len)
		print_top(to, summary);
}

static json_t *console_to_json(const struct dv_summary *summary)
{
	static const char *const sources[DV_CONSOLE_SOURCES] = DV_CONSOLE_SOURCE_NAMES;
	json_t *json = json_object();

	for (size_t i = 0; i < DV_CONSOLE_SOURCES; i++)
		json_object_set_new(json, sources[i], json_integer((json_int_t)summary->console_lines[i]));
	return json;
}

struct dv_error *dv_summary_to_json(const struct dv_summary *summary, json_t **ret)
{
	const struct dv_trace_metadata *metadata = dv_trace_reader_metadata(summary->reader);
	const struct dv_error *damage = dv_trace_reader_damage(summary->reader);
	json_t *top = json_array(), *json;

	for (size_t i = 0; i < summary->top_len; i++) {
		const struct dv_summary_function *function = &summary->top[i];

		json_array_append_new(top, json_pack("{s:s%, s:I, s:I, s:I}", "name", function->name,
						     strlen(function->name), "calls", (json_int_t)function->calls,
						     "own_icount", (json_int_t)function->own_icount, "cpu_icount",
						     (json_int_t)function->cpu_icount));
	}
	json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:s, s:b, s:s*, s:s*, s:s*, s:b, s:s*, s:o}",
			 "last_icount", (json_int_t)metadata->last_icount,
			 "slices", (json_int_t)summary->slices,
			 "user_slices", (json_int_t)summary->user_slices,
			 "syscalls", (json_int_t)summary->syscalls,
			 "interrupts", (json_int_t)summary->interrupts,
			 "exceptions", (json_int_t)summary->exceptions,
			 "threads", (json_int_t)summary->threads,
			 "processes", (json_int_t)summary->processes,
			 "switches", (json_int_t)metadata->switches,
			 "console_lines", console_to_json(summary),
			 "bytes", (json_int_t)metadata->file_bytes,
			 "clock", metadata->clock == DV_TRACE_CLOCK_ICOUNT ? "icount" : "host-ns",
			 "exact", (int)metadata->exact,
			 "exact_reason", metadata->exact_reason,
			 "kernel_banner", metadata->kernel_banner,
			 "kernel_build_id", metadata->kernel_build_id,
			 "finished", (int)metadata->finished,
			 "damage", damage ? damage->message : NULL,
			 "top", top);
	if (!json)
		return dv_error_no_memory();
	json_object_set_new(json, "max_depth", json_integer(summary->max_depth));
	json_object_set_new(json, "returns", returns_to_json(&summary->returns));
	*ret = json;
	return NULL;
}
