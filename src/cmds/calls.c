/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview calls: what a function was called with, and what it returned. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cmds/cmds.h"
#include "cmds/subject.h"
#include "replay/look.h"
#include "symbols/prototype.h"

static const char usage[] =
	"usage: dejaview calls [OPTION]... RECORDING.dejaview FUNCTION\n"
	"\n"
	"Lists the calls of a kernel function with their arguments and what they returned, found by replaying.\n"
	"Names and types come from the kernel's BTF; without them registers are shown. Strings are read when\n"
	"the function is entered. FUNCTION may be 0xADDRESS.\n"
	"\n"
	"      --from ICOUNT      only calls from this instruction count on\n"
	"      --to ICOUNT        ... and before this one\n"
	"  -n, --count N          the first N of them\n"
	"      --json             one JSON object a line, for programs\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"      --quiet            no progress\n";

struct call {
	struct dv_capture_call entry;
	uint64_t value, return_icount;
	bool has_returned;
};

struct listing {
	struct dv_subject subject;
	struct dv_prototype prototype; /* len 0 and no returned.type: not known */
	const char *function;
	const struct dv_btf *btf;
	uint64_t vaddr, from_icount, to_icount, wanted;
	struct dv_buf calls; /* of struct call */
	bool as_json, quiet, shown_progress;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool progress(void *context, uint64_t icount)
{
	struct listing *l = context;

	if (!l->quiet && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\rdejaview calls: replaying, at %" PRIu64 " of %" PRIu64, icount, l->to_icount);
		l->shown_progress = true;
	}
	return !interrupted;
}

/* ---- pairing calls with returns ---- */

static struct call *call_at(const struct listing *l, size_t i)
{
	return (struct call *)(void *)l->calls.data + i;
}

static size_t call_count(const struct listing *l)
{
	return l->calls.len / sizeof(struct call);
}

/* A return belongs to the newest call with its slot that has not returned. */
static void on_return(struct listing *l, const struct dv_capture_return *returned)
{
	for (size_t i = call_count(l); i-- > 0;) {
		struct call *call = call_at(l, i);

		if (call->entry.slot != returned->slot || call->has_returned)
			continue;
		call->has_returned = true;
		call->value = returned->value;
		call->return_icount = returned->icount + 1;
		return;
	}
}

static struct dv_error *pair(struct listing *l, const struct dv_look_result *found)
{
	const struct dv_capture_record *record;
	size_t offset = 0;

	while ((record = dv_look_next(found, &offset))) {
		struct call call = {0};

		if (record->kind == DV_CAPTURE_RETURN)
			on_return(l, &record->returned);
		if (record->kind != DV_CAPTURE_CALL || call_count(l) >= l->wanted)
			continue;
		call.entry = record->call;
		dv_buf_append(&l->calls, &call, sizeof(call));
	}
	return l->calls.failed ? dv_error_no_memory() : NULL;
}

/* ---- showing ---- */

/* The string that an argument pointed to, or NULL. */
static const char *string_of(const struct call *call, size_t argument)
{
	return argument < DV_CAPTURE_ARGUMENTS && call->entry.strings_mask & 1u << argument
		       ? call->entry.strings[argument]
		       : NULL;
}

static bool argument_value(const struct call *call, size_t argument, uint64_t *ret)
{
	if (argument >= DV_CAPTURE_ARGUMENTS + DV_ARRAY_SIZE(call->entry.stack))
		return false;
	*ret = argument < DV_CAPTURE_ARGUMENTS ? call->entry.arguments[argument]
					       : call->entry.stack[argument - DV_CAPTURE_ARGUMENTS];
	return true;
}

static void format_argument(const struct listing *l, const struct call *call, size_t i, struct dv_buf *to)
{
	uint64_t value;

	if (argument_value(call, i, &value))
		dv_value_print(&l->prototype.parameters[i], value, l->btf, string_of(call, i), to);
	else
		dv_buf_printf(to, "...");
}

static void print_text(const struct listing *l, const struct call *call)
{
	const struct dv_trace_thread *thread = dv_subject_thread_at(&l->subject, call->entry.icount);
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;

	dv_buf_printf(&line, "%" PRIu64 "  ", call->entry.icount);
	if (thread)
		dv_buf_printf(&line, "%s (%" PRId32 ")  ", thread->comm, thread->tid);
	dv_buf_printf(&line, "%s(", l->function);
	for (size_t i = 0; l->prototype.returned.type && i < l->prototype.len; i++) {
		dv_buf_printf(&line, "%s%s = ", i ? ", " : "", l->prototype.parameters[i].name);
		format_argument(l, call, i, &line);
	}
	for (size_t i = 0; !l->prototype.returned.type && i < DV_CAPTURE_ARGUMENTS; i++)
		dv_buf_printf(&line, "%s0x%" PRIx64, i ? ", " : "", call->entry.arguments[i]);
	dv_buf_printf(&line, ")");
	if (!call->has_returned) {
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

static json_t *arguments_json(const struct listing *l, const struct call *call)
{
	json_t *arguments = json_array();

	for (size_t i = 0; l->prototype.returned.type && i < l->prototype.len; i++) {
		_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

		format_argument(l, call, i, &text);
		json_array_append_new(arguments, json_pack("{s:s, s:s, s:o}", "name", l->prototype.parameters[i].name, "type",
							   l->prototype.parameters[i].type, "value", text_json(&text)));
	}
	return arguments;
}

static void print_json(const struct listing *l, const struct call *call)
{
	const struct dv_trace_thread *thread = dv_subject_thread_at(&l->subject, call->entry.icount);
	_cleanup_buf_ struct dv_buf value = DV_BUF_INIT;
	json_t *registers = json_array(), *json;
	char hex[24];

	for (size_t i = 0; i < DV_CAPTURE_ARGUMENTS; i++) {
		snprintf(hex, sizeof(hex), "0x%" PRIx64, call->entry.arguments[i]);
		json_array_append_new(registers, json_string(hex));
	}
	json = json_pack("{s:s, s:I, s:o, s:o}", "function", l->function, "icount", (json_int_t)call->entry.icount,
			 "arguments", arguments_json(l, call), "registers", registers);
	json_object_set_new(json, "tid", thread ? json_integer(thread->tid) : json_null());
	json_object_set_new(json, "comm", thread ? json_string(thread->comm) : json_null());
	if (call->has_returned) {
		snprintf(hex, sizeof(hex), "0x%" PRIx64, call->value);
		json_object_set_new(json, "return_icount", json_integer((json_int_t)call->return_icount));
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
			printf("%.*s: %zu calls\n", (int)prototype.len, (const char *)prototype.data, call_count(l));
	}
	for (size_t i = 0; i < call_count(l); i++) {
		if (l->as_json)
			print_json(l, call_at(l, i));
		else
			print_text(l, call_at(l, i));
	}
}

/* ---- the replay ---- */

static void find_prototype(struct listing *l)
{
	struct dv_error *err;

	l->btf = l->subject.kernel ? dv_kernel_btf(l->subject.kernel) : NULL;
	if (!l->btf)
		return;
	err = dv_prototype_from_btf(l->btf, l->function, &l->prototype);
	if (err)
		fprintf(stderr, "dejaview calls: %s: registers are shown\n", err->message);
	dv_error_destroy(err);
}

static uint32_t strings_mask(const struct listing *l)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < l->prototype.len && i < DV_CAPTURE_ARGUMENTS; i++)
		mask |= (uint32_t)(l->prototype.parameters[i].form == DV_VALUE_STRING) << i;
	return mask;
}

static struct dv_error *list(struct listing *l)
{
	struct dv_look_result found = {.records = DV_BUF_INIT, .before = DV_BUF_INIT, .after = DV_BUF_INIT};
	uint64_t end = dv_recording_common_icount(l->subject.recording), bytes;
	struct dv_look look = {.progress = progress, .context = l, .qemu = l->subject.qemu};
	struct dv_error *err;
	char option[64];

	DV_TRY(dv_subject_resolve(&l->subject, l->function, &l->vaddr, &bytes));
	find_prototype(l);
	if (!l->to_icount || l->to_icount > end)
		l->to_icount = end;
	if (l->from_icount >= l->to_icount)
		return dv_error_new(DV_ERROR_INVALID, "--from %" PRIu64 " is not before --to %" PRIu64, l->from_icount,
				    l->to_icount);
	snprintf(option, sizeof(option), "capture=0x%" PRIx64 ":%" PRIu32, l->vaddr, strings_mask(l));
	look.option = option;
	look.from_icount = l->from_icount;
	look.to_icount = l->to_icount;
	err = dv_look_run(l->subject.recording, &look, &found);
	if (l->shown_progress)
		fputs("\r\033[K", stderr);
	if (!err)
		err = pair(l, &found);
	if (!err)
		print_all(l);
	dv_look_result_deinit(&found);
	return err;
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
		{"count", required_argument, NULL, 'n'}, {"json", no_argument, NULL, JSON},
		{"image", required_argument, NULL, IMAGE}, {"qemu", required_argument, NULL, QEMU},
		{"quiet", no_argument, NULL, QUIET}, {"help", no_argument, NULL, 'h'}, {0}};
	struct sigaction action = {.sa_handler = interrupt};
	struct dv_subject_options subject = {0};
	struct listing l = {.wanted = UINT64_MAX, .calls = DV_BUF_INIT};
	struct dv_error *err;
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		switch (c) {
		case FROM: good = parse_count(optarg, &l.from_icount); break;
		case TO: good = parse_count(optarg, &l.to_icount); break;
		case 'n': good = parse_count(optarg, &l.wanted); break;
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
	dv_buf_deinit(&l.calls);
	dv_subject_deinit(&l.subject);
	return dv_cmd_report("calls", err);
}
