/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview calls: what a function was called with, and what it returned. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cmds/cmds.h"
#include "cmds/jobs.h"
#include "query/query.h"
#include "replay/calls.h"
#include "replay/subject.h"
#include "symbols/prototype.h"

static const char usage[] =
	"usage: dejaview calls [OPTION]... RECORDING.dejaview FUNCTION\n"
	"\n"
	"Lists the calls of a function with their arguments and what they returned, found by replaying. Names\n"
	"and types of the kernel's functions come from its BTF; without them, and in user space, registers are\n"
	"shown. Strings are read when the function is entered. FUNCTION may be 0xADDRESS of the kernel, or, in\n"
	"user space, FILE:FUNCTION (libc.so.6:read) where its name is not enough.\n"
	"\n"
	"      --from ICOUNT      only calls from this instruction count on\n"
	"      --to ICOUNT        ... and before this one\n"
	"  -n, --count N          the first N of them\n"
	"  -j, --jobs N           segments replayed at a time (default: one for each CPU, fewer where memory is short)\n"
	"      --json             one JSON object a line, for programs\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"      --quiet            no progress\n";

#define MAX_CALLS 10000000u

struct listing {
	struct dv_subject subject;
	struct dv_query *query;
	struct dv_prototype prototype; /* no returned.type: not known */
	const char *function;
	const struct dv_btf *btf;
	uint64_t from_icount, to_icount, wanted;
	struct dv_calls_function functions[DV_CALLS_MAX_FUNCTIONS];
	size_t functions_len;
	struct dv_call *calls;
	size_t calls_len;
	unsigned jobs; /* 0: one for each CPU */
	int percent;   /* last shown */
	bool as_json, quiet, shown_progress;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool show(struct listing *l, const char *what, uint64_t done, uint64_t total)
{
	int percent = total ? (int)(done * 100 / total) : 0;

	if (!l->quiet && isatty(STDERR_FILENO) && percent != l->percent) {
		fprintf(stderr, "\r\033[Kdejaview calls: %s, %d %%", what, percent);
		l->shown_progress = true;
		l->percent = percent;
	}
	return !interrupted;
}

static bool on_load(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	return show(context, "opening the trace", done_bytes, total_bytes);
}

static bool on_replay(void *context, uint64_t done_icount, uint64_t total_icount)
{
	return show(context, "replaying", done_icount, total_icount);
}

/* ---- showing ---- */

static void print_text(const struct listing *l, const struct dv_call *call)
{
	const struct dv_trace_thread *thread = dv_subject_thread_at(&l->subject, call->start_icount);
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;

	dv_buf_printf(&line, "%" PRIu64 "  ", call->start_icount);
	if (thread)
		dv_buf_printf(&line, "%s (%" PRId32 ")  ", thread->comm, thread->tid);
	dv_buf_printf(&line, "%s(", l->function);
	for (size_t i = 0; l->prototype.returned.type && i < l->prototype.len; i++) {
		dv_buf_printf(&line, "%s%s = ", i ? ", " : "", l->prototype.parameters[i].name);
		dv_call_print_argument(call, &l->prototype, i, l->btf, &line);
	}
	for (size_t i = 0; !l->prototype.returned.type && i < DV_CAPTURE_ARGUMENTS; i++)
		dv_buf_printf(&line, "%s0x%" PRIx64, i ? ", " : "", call->entry.arguments[i]);
	dv_buf_printf(&line, ")");
	if (!call->has_value) {
		dv_buf_printf(&line, "  has not returned");
	} else if (!l->prototype.returned.type) {
		dv_buf_printf(&line, " = 0x%" PRIx64, call->value);
	} else if (l->prototype.returned.form != DV_VALUE_VOID) {
		dv_buf_printf(&line, " = ");
		dv_value_print(&l->prototype.returned, call->value, l->btf, NULL, &line);
	}
	if (!line.failed)
		printf("%.*s\n", (int)line.len, (const char *)line.data);
}

static json_t *text_json(const struct dv_buf *text)
{
	return text->failed ? json_null() : json_stringn((const char *)text->data, text->len);
}

static json_t *arguments_json(const struct listing *l, const struct dv_call *call)
{
	json_t *arguments = json_array();

	for (size_t i = 0; l->prototype.returned.type && i < l->prototype.len; i++) {
		_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

		dv_call_print_argument(call, &l->prototype, i, l->btf, &text);
		json_array_append_new(arguments, json_pack("{s:s, s:s, s:o}", "name", l->prototype.parameters[i].name, "type",
							   l->prototype.parameters[i].type, "value", text_json(&text)));
	}
	return arguments;
}

static void print_json(const struct listing *l, const struct dv_call *call)
{
	const struct dv_trace_thread *thread = dv_subject_thread_at(&l->subject, call->start_icount);
	_cleanup_buf_ struct dv_buf value = DV_BUF_INIT;
	json_t *registers = json_array(), *json;
	char hex[24];

	for (size_t i = 0; i < DV_CAPTURE_ARGUMENTS; i++) {
		snprintf(hex, sizeof(hex), "0x%" PRIx64, call->entry.arguments[i]);
		json_array_append_new(registers, json_string(hex));
	}
	json = json_pack("{s:s, s:I, s:o, s:o}", "function", l->function, "icount", (json_int_t)call->start_icount,
			 "arguments", arguments_json(l, call), "registers", registers);
	json_object_set_new(json, "tid", thread ? json_integer(thread->tid) : json_null());
	json_object_set_new(json, "comm", thread ? json_string(thread->comm) : json_null());
	if (call->has_value) {
		snprintf(hex, sizeof(hex), "0x%" PRIx64, call->value);
		json_object_set_new(json, "return_icount", json_integer((json_int_t)call->end_icount));
		json_object_set_new(json, "return_register", json_string(hex));
		if (l->prototype.returned.type)
			dv_value_print(&l->prototype.returned, call->value, l->btf, NULL, &value);
		json_object_set_new(json, "returned", l->prototype.returned.type ? text_json(&value) : json_null());
	}
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static void print_all(struct listing *l)
{
	_cleanup_buf_ struct dv_buf prototype = DV_BUF_INIT;

	if (l->prototype.returned.type && !l->as_json) {
		dv_prototype_print(&l->prototype, l->function, &prototype);
		if (!prototype.failed)
			printf("%.*s: %zu call%s\n", (int)prototype.len, (const char *)prototype.data, l->calls_len,
			       l->calls_len == 1 ? "" : "s");
	}
	for (size_t i = 0; i < l->calls_len; i++) {
		if (!l->calls[i].has_arguments)
			continue;
		if (l->as_json)
			print_json(l, &l->calls[i]);
		else
			print_text(l, &l->calls[i]);
	}
}

/* ---- which calls ---- */

static void find_prototype(struct listing *l, const struct dv_query_function *function)
{
	struct dv_error *err;

	if (function->space == DV_FUNCTION_USER)
		return;
	l->btf = l->subject.kernel ? dv_kernel_btf(l->subject.kernel) : NULL;
	if (!l->btf)
		return;
	err = dv_prototype_from_btf(l->btf, l->function, &l->prototype);
	if (err)
		fprintf(stderr, "dejaview calls: %s: registers are shown\n", err->message);
	dv_error_destroy(err);
}

static struct dv_error *find_calls(struct listing *l)
{
	size_t max = l->wanted < MAX_CALLS ? l->wanted : MAX_CALLS + 1;
	uint32_t functions[DV_CALLS_MAX_FUNCTIONS];
	_cleanup_free_ struct dv_query_slice *slices = NULL;

	DV_TRY(dv_query_functions(l->query, l->function, functions, DV_CALLS_MAX_FUNCTIONS, &l->functions_len));
	find_prototype(l, dv_query_function(l->query, functions[0]));
	for (size_t i = 0; i < l->functions_len; i++)
		l->functions[i] = (struct dv_calls_function){dv_query_function(l->query, functions[i])->vaddr,
							     dv_calls_strings_mask(&l->prototype)};
	DV_TRY(dv_query_calls_of(l->query, functions, l->functions_len, l->from_icount, l->to_icount, max, &slices,
				 &l->calls_len));
	if (l->calls_len > MAX_CALLS)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %u calls: give --from, --to or --count", MAX_CALLS);
	l->calls = calloc(l->calls_len + 1, sizeof(*l->calls));
	if (!l->calls)
		return dv_error_no_memory();
	for (size_t i = 0; i < l->calls_len; i++)
		l->calls[i] = (struct dv_call){.start_icount = slices[i].start_icount,
			.first_icount = dv_query_first_instruction(l->query, slices[i].id), .end_icount =
			slices[i].dur_icount == DV_QUERY_OPEN ? UINT64_MAX : slices[i].start_icount + slices[i].dur_icount};
	return NULL;
}

static struct dv_error *list(struct listing *l)
{
	_cleanup_checkpoints_ struct dv_checkpoints checkpoints = {0};
	struct dv_query_options query = {.progress = on_load, .context = l};
	struct dv_calls calls = {.checkpoints = &checkpoints, .qemu = l->subject.qemu, .functions = l->functions,
				 .progress = on_replay, .context = l};
	uint64_t end = dv_recording_common_icount(l->subject.recording);

	if (!l->to_icount || l->to_icount > end)
		l->to_icount = end;
	if (l->from_icount >= l->to_icount)
		return dv_error_new(DV_ERROR_INVALID, "--from %" PRIu64 " is not before --to %" PRIu64, l->from_icount,
				    l->to_icount);
	DV_TRY(dv_query_open(l->subject.recording->folder, &query, &l->query));
	DV_TRY(find_calls(l));
	DV_TRY(dv_checkpoints_open(l->subject.recording, &checkpoints));
	if (checkpoints.len)
		calls.jobs = dv_jobs_choose("calls", l->subject.recording, l->jobs, l->quiet);
	calls.calls = l->calls;
	calls.calls_len = l->calls_len;
	calls.functions_len = l->functions_len;
	DV_TRY(dv_calls_fetch(l->subject.recording, &calls));
	if (l->shown_progress)
		fputs("\r\033[K", stderr);
	print_all(l);
	return NULL;
}

static bool parse_count(const char *text, uint64_t *ret)
{
	char *end;

	*ret = strtoull(text, &end, 0);
	return end != text && !*end && *text != '-';
}

int dv_cmd_calls(int argc, char **argv)
{
	enum { FROM = 256, TO, JSON, IMAGE, QEMU, QUIET };
	static const struct option options[] = {
		{"from", required_argument, NULL, FROM}, {"to", required_argument, NULL, TO},
		{"count", required_argument, NULL, 'n'}, {"jobs", required_argument, NULL, 'j'}, {"json", no_argument, NULL, JSON},
		{"image", required_argument, NULL, IMAGE}, {"qemu", required_argument, NULL, QEMU},
		{"quiet", no_argument, NULL, QUIET}, {"help", no_argument, NULL, 'h'}, {0}};
	struct sigaction action = {.sa_handler = interrupt};
	struct dv_subject_options subject = {0};
	struct listing l = {.wanted = UINT64_MAX, .percent = -1};
	struct dv_error *err;
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "n:j:h", options, NULL)) != -1) {
		switch (c) {
		case FROM: good = parse_count(optarg, &l.from_icount); break;
		case TO: good = parse_count(optarg, &l.to_icount); break;
		case 'n': good = parse_count(optarg, &l.wanted); break;
		case 'j': good = dv_jobs_parse("calls", optarg, &l.jobs); break;
		case JSON: l.as_json = true; break;
		case IMAGE:
			good = subject.images_len < DV_SUBJECT_MAX_IMAGES;
			if (good)
				subject.images[subject.images_len++] = optarg;
			break;
		case QEMU: subject.qemu = optarg; break;
		case QUIET: l.quiet = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: good = false;
		}
	}
	if (!good || argc - optind != 2) {
		fputs(good ? usage : "Try 'dejaview calls --help'.\n", stderr);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	subject.folder = argv[optind];
	l.function = argv[optind + 1];
	err = dv_subject_init(&subject, &l.subject);
	if (!err)
		err = list(&l);
	dv_prototype_deinit(&l.prototype);
	free(l.calls);
	dv_query_close(l.query);
	dv_subject_deinit(&l.subject);
	return dv_cmd_report("calls", err);
}
