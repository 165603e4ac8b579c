/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview where: source files and lines of addresses and functions, inlined ones too. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cmds/cmds.h"
#include "replay/where.h"

static const char usage[] =
	"usage: dejaview where [OPTION]... RECORDING|TRACE|FILE PLACE...\n"
	"\n"
	"Says which source file and line each PLACE is, and which functions were inlined there: the innermost\n"
	"first, each with the line that it was inlined at. A PLACE is one of\n"
	"\n"
	"  0x...                        an address as the guest had it, KASLR and ASLR and all\n"
	"  FUNCTION[+OFFSET]            of the kernel, else of its modules, else of the programs that ran\n"
	"  MODULE:FUNCTION[+OFFSET]     of a kernel module, or of a file: virtio_blk:virtblk_probe, libc.so.6:read;\n"
	"                               also as the trace shows it: '[virtio_blk] virtblk_probe'\n"
	"  FILE+0xOFFSET                what the trace shows of a program without symbols\n"
	"\n"
	"FILE instead of a recording may be any ELF file with DWARF: a vmlinux, a module, a program, a library, a\n"
	"debug file; addresses are then its own.\n"
	"\n"
	"      --pid PID          a user address as this process had it (default: as all did)\n"
	"      --at ICOUNT        an address as it was at this instruction count\n"
	"      --debug-info PATH  the kernel with DWARF, or a folder with it, modules and .build-id/: a kernel's build,\n"
	"                         a copy of /usr/lib/debug (default: what is of this build under /usr/lib/debug)\n"
	"      --sysroot DIR      a folder like the guest's root: its programs and their debug files, before those of\n"
	"                         the recording's initramfs and disk images\n"
	"      --json             the same for programs\n"
	"\n"
	"Example:\n"
	"  dejaview where --debug-info vmlinux boot.dejaview schedule 0xffffffff9a03c1f0\n"
	"  dejaview where --pid 71 boot.dejaview 0x7f1c20e4a1b0 bash:main\n";

struct where {
	struct dv_where_options options;
	struct dv_where_filter filter;
	const char *query; /* being answered */
	json_t *json;	   /* NULL: text */
};

static void print_place(const struct dv_where_answer *a)
{
	const char *slash = a->module ? strrchr(a->module, '/') : NULL;

	printf("0x%" PRIx64, a->vaddr);
	if (a->function)
		printf(" %s+0x%" PRIx64, a->function, a->offset_bytes);
	else if (a->module)
		printf(" %s+0x%" PRIx64, slash ? slash + 1 : a->module, a->offset_bytes);
	if (a->module)
		printf(*a->module == '[' ? " %s" : " [%s]", a->module);
	for (size_t i = 0; i < a->pid_count; i++)
		printf("%s%" PRId32, i ? ", " : " pid ", a->pids[i]);
	puts(a->pid_count == DV_WHERE_MAX_PIDS ? ", ..." : "");
}

static void print_text(const struct dv_where_answer *a)
{
	print_place(a);
	for (size_t i = 0; i < a->frame_count; i++) {
		const struct dv_dwarf_frame *frame = &a->frames[i];

		printf("  %s%s at ", i && a->frames[i - 1].is_inlined ? "(inlined by) " : "",
		       frame->function ? frame->function : "?");
		if (frame->file)
			printf("%s:%" PRIu32 "\n", frame->file, frame->line);
		else
			puts("?");
	}
	if (!a->frame_count)
		printf("  %s\n", a->missing ? a->missing : "the debug information has no line for it");
}

static json_t *pids_of(const struct dv_where_answer *a)
{
	json_t *pids = json_array();

	for (size_t i = 0; i < a->pid_count; i++)
		json_array_append_new(pids, json_integer(a->pids[i]));
	return pids;
}

static void add_json(const struct where *w, const struct dv_where_answer *a)
{
	json_t *chain = json_array();

	for (size_t i = 0; i < a->frame_count; i++)
		json_array_append_new(chain, json_pack("{s:s?, s:s?, s:i, s:b}", "function", a->frames[i].function, "file",
						       a->frames[i].file, "line", (int)a->frames[i].line, "inlined",
						       a->frames[i].is_inlined));
	json_array_append_new(w->json, json_pack("{s:s, s:o, s:o, s:s?, s:s?, s:I, s:o, s:o, s:s?}", "query", w->query,
						 "address", json_sprintf("0x%" PRIx64, a->vaddr), "file_address",
						 json_sprintf("0x%" PRIx64, a->file_vaddr), "module", a->module, "symbol",
						 a->function, "offset", (json_int_t)a->offset_bytes, "pids", pids_of(a),
						 "frames", chain, "missing", a->missing));
}

static void show(void *context, const struct dv_where_answer *answer)
{
	const struct where *w = context;

	if (w->json)
		add_json(w, answer);
	else
		print_text(answer);
}

/* All are answered that can be; the last complaint is the exit status. */
static int run(struct where *w, char *const *queries)
{
	_cleanup_(dv_where_closep) struct dv_where *where = NULL;
	int status = dv_cmd_report("where", dv_where_open(&w->options, &where));

	for (char *const *query = queries; where && *query; query++) {
		w->query = *query;
		if (dv_cmd_report("where", dv_where_ask(where, *query, &w->filter, show, w)))
			status = 1;
	}
	if (w->json && where) {
		json_dumpf(w->json, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return status;
}

static bool take_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *ret <= max)
		return true;
	fprintf(stderr, "dejaview where: '%s' is no number that can be\n", text);
	return false;
}

/* False: called wrongly. */
static bool take_option(struct where *w, int option)
{
	uint64_t pid;

	switch (option) {
	case 'd':
		w->options.debug_info = optarg;
		return true;
	case 's':
		w->options.sysroot = optarg;
		return true;
	case 'p':
		if (!take_number(optarg, INT32_MAX, &pid))
			return false;
		w->filter.pid = (int32_t)pid;
		return true;
	case 'a':
		w->filter.has_icount = true;
		return take_number(optarg, UINT64_MAX, &w->filter.icount);
	case 'j':
		w->json = w->json ? w->json : json_array();
		return true;
	default:
		return false;
	}
}

int dv_cmd_where(int argc, char **argv)
{
	static const struct option options[] = {
		{"debug-info", required_argument, NULL, 'd'},
		{"sysroot", required_argument, NULL, 's'},
		{"pid", required_argument, NULL, 'p'},
		{"at", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct where w = {0};
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (!take_option(&w, c))
			return 2;
	}
	if (argc - optind < 2) {
		fputs(usage, stderr);
		return 2;
	}
	w.options.subject = argv[optind];
	status = run(&w, argv + optind + 1);
	json_decref(w.json);
	return status;
}
