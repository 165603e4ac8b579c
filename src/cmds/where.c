/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview where: source files and lines of addresses and functions, inlined ones too. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/io.h"
#include "cmds/cmds.h"
#include "symbols/debuginfo.h"
#include "symbols/object.h"
#include "trace/reader.h"

static const char usage[] =
	"usage: dejaview where [OPTION]... RECORDING|TRACE|FILE ADDRESS|FUNCTION[+OFFSET]...\n"
	"\n"
	"Says which source file and line an address or a function is, and which functions were inlined there:\n"
	"the innermost first, each with the line that it was inlined at.\n"
	"\n"
	"With a recording or a trace, addresses are the kernel's as it ran, KASLR and all. FILE may be any ELF\n"
	"file with DWARF: a vmlinux, a program, a library, a debug file; addresses are then its own.\n"
	"\n"
	"      --debug-info VMLINUX  the kernel with DWARF (default: found by build id under /usr/lib/debug)\n"
	"      --json                the same for programs\n"
	"\n"
	"Example:\n"
	"  dejaview where --debug-info vmlinux boot.dejaview schedule 0xffffffff9a03c1f0\n";

struct where {
	const char *debug_info;
	char *path; /* of the file with the DWARF */
	char *build_id; /* that it must have; NULL: any */
	uint64_t slide;
	struct dv_mapped_file file;
	struct dv_elf *elf;
	struct dv_dwarf *dwarf;
	struct dv_object *object;
	json_t *json; /* NULL: text */
};

static void where_deinit(struct where *w)
{
	dv_object_destroy(w->object);
	dv_dwarf_destroy(w->dwarf);
	dv_elf_destroy(w->elf);
	dv_mapped_file_deinit(&w->file);
	free(w->path);
	free(w->build_id);
	json_decref(w->json);
}

static bool is_elf(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char magic[4] = "";

	return file && fread(magic, 1, 4, file) == 4 && !memcmp(magic, "\177ELF", 4);
}

/* Which kernel a trace is of, and where KASLR had put it. */
static struct dv_error *look_into_trace(struct where *w, const char *path)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	const struct dv_trace_metadata *m;

	DV_TRY(dv_trace_reader_open(path, &r));
	m = dv_trace_reader_metadata(r);
	for (size_t i = 0; i < m->note_count; i++) {
		if (!strcmp(m->notes[i].key, "kaslr_slide"))
			w->slide = strtoull(m->notes[i].value, NULL, 0);
	}
	if (m->kernel_build_id && !(w->build_id = strdup(m->kernel_build_id)))
		return dv_error_no_memory();
	return NULL;
}

static struct dv_error *find_debug_info(struct where *w)
{
	w->path = w->debug_info ? strdup(w->debug_info) : dv_debug_file(w->build_id);
	if (w->path)
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND,
			    "no debug information here for the kernel (build id %s): give --debug-info VMLINUX, or "
			    "install its debug package (Debian: linux-image-VERSION-dbg)",
			    w->build_id ? w->build_id : "not known");
}

/* subject: an ELF file, a trace, or a recording with one. */
static struct dv_error *find_file(struct where *w, const char *subject)
{
	_cleanup_free_ char *trace = NULL;
	struct stat st;

	if (stat(subject, &st))
		return dv_error_os(errno, "%s", subject);
	if (S_ISREG(st.st_mode) && is_elf(subject)) {
		w->path = strdup(subject);
		return w->path ? NULL : dv_error_no_memory();
	}
	trace = S_ISDIR(st.st_mode) ? dv_path_join(subject, "trace.dvtrace") : strdup(subject);
	if (!trace)
		return dv_error_no_memory();
	DV_TRY(look_into_trace(w, trace));
	return find_debug_info(w);
}

static struct dv_error *open_file(struct where *w)
{
	_cleanup_free_ char *its_id = NULL;

	DV_TRY(dv_mapped_file_init(w->path, &w->file));
	DV_TRY(dv_error_prefix(dv_elf_create(w->file.data, w->file.len, &w->elf), "%s", w->path));
	its_id = dv_elf_build_id(w->elf);
	if (w->build_id && its_id && strcmp(its_id, w->build_id))
		return dv_error_new(DV_ERROR_MISMATCH, "%s is of another build (%s) than the kernel that ran (%s)",
				    w->path, its_id, w->build_id);
	DV_TRY(dv_error_prefix(dv_dwarf_create(w->elf, &w->dwarf), "%s", w->path));
	return dv_error_prefix(dv_object_names(w->elf, &w->object), "%s", w->path);
}

/* ADDRESS or FUNCTION[+OFFSET] to the file's own address. */
static struct dv_error *parse_place(struct where *w, const char *text, uint64_t *ret)
{
	_cleanup_free_ char *name = strndup(text, strcspn(text, "+"));
	const struct dv_symbol *symbol;
	const char *plus = strchr(text, '+');
	uint64_t offset = 0;
	char *end = NULL;

	if (!name)
		return dv_error_no_memory();
	if (!strncmp(text, "0x", 2) || !strncmp(text, "0X", 2)) {
		errno = 0;
		*ret = strtoull(text, &end, 16) - w->slide;
		return *end || errno ? dv_error_new(DV_ERROR_INVALID, "'%s' is no address", text) : NULL;
	}
	if (plus) {
		offset = strtoull(plus + 1, &end, 0);
		if (!plus[1] || *end)
			return dv_error_new(DV_ERROR_INVALID, "'%s': '%s' is no offset", text, plus + 1);
	}
	symbol = dv_symtab_find(dv_object_symtab(w->object), name);
	if (!symbol)
		return dv_error_new(DV_ERROR_NOT_FOUND, "no function '%s' in %s (addresses begin with 0x)", name, w->path);
	*ret = symbol->vaddr + offset;
	return NULL;
}

static void print_text(const struct where *w, uint64_t vaddr, const struct dv_symbol *symbol,
		       const struct dv_dwarf_frame *frames, size_t count)
{
	printf("0x%" PRIx64, vaddr + w->slide);
	if (symbol)
		printf(" %s+0x%" PRIx64, symbol->name, vaddr - symbol->vaddr);
	putchar('\n');
	for (size_t i = 0; i < count; i++) {
		printf("  %s%s at ", i && frames[i - 1].is_inlined ? "(inlined by) " : "",
		       frames[i].function ? frames[i].function : "?");
		printf("%s:%u\n", frames[i].file ? frames[i].file : "?", frames[i].line);
	}
	if (!count)
		printf("  no line is known\n");
}

static void add_json(const struct where *w, const char *query, uint64_t vaddr, const struct dv_symbol *symbol,
		     const struct dv_dwarf_frame *frames, size_t count)
{
	json_t *chain = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(chain, json_pack("{s:s?, s:s?, s:i, s:b}", "function", frames[i].function, "file",
						       frames[i].file, "line", (int)frames[i].line, "inlined",
						       frames[i].is_inlined));
	json_array_append_new(w->json, json_pack("{s:s, s:o, s:s?, s:I, s:o}", "query", query, "address",
						 json_sprintf("0x%" PRIx64, vaddr + w->slide), "symbol",
						 symbol ? symbol->name : NULL, "offset",
						 (json_int_t)(symbol ? vaddr - symbol->vaddr : 0), "frames", chain));
}

static struct dv_error *answer(struct where *w, const char *query)
{
	struct dv_dwarf_frame frames[DV_DWARF_MAX_FRAMES];
	const struct dv_symbol *symbol;
	uint64_t vaddr;
	size_t count;

	DV_TRY(parse_place(w, query, &vaddr));
	symbol = dv_object_function_at(w->object, vaddr);
	count = dv_dwarf_where(w->dwarf, vaddr, frames);
	if (w->json)
		add_json(w, query, vaddr, symbol, frames, count);
	else
		print_text(w, vaddr, symbol, frames, count);
	return NULL;
}

static struct dv_error *run(struct where *w, char *const *arguments)
{
	DV_TRY(find_file(w, arguments[0]));
	DV_TRY(open_file(w));
	for (char *const *query = arguments + 1; *query; query++)
		DV_TRY(answer(w, *query));
	if (w->json) {
		json_dumpf(w->json, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return NULL;
}

int dv_cmd_where(int argc, char **argv)
{
	static const struct option options[] = {
		{"debug-info", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	_cleanup_(where_deinit) struct where w = {0};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (c == 'd')
			w.debug_info = optarg;
		else if (c == 'j' && !w.json)
			w.json = json_array();
		else if (c == '?')
			return 2;
	}
	if (argc - optind < 2) {
		fputs(usage, stderr);
		return 2;
	}
	return dv_cmd_report("where", run(&w, argv + optind));
}
