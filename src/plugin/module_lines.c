/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of modules: see module_lines.h. */
#include "plugin/module_lines.h"
#include "base/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct module_table {
	struct dv_module_code *code; /* a reference */
	struct dv_sources *sources;  /* NULL: no file with DWARF */
};

static void say(struct dv_error *err)
{
	if (err)
		fprintf(stderr, "dejaview: %s\n", err->message);
	dv_error_destroy(err);
}

static struct dv_error *open_sources(const struct dv_module_lines *lines, const struct dv_module_code *code,
				     struct dv_sources **ret)
{
	const char *build_id = code->build_id[0] ? code->build_id : NULL;
	_cleanup_free_ char *path = dv_debug_files_module(lines->debug_files, code->name, build_id);
	const struct dv_module_place place = {
		.text_vaddr = code->base_vaddr,
		.text_bytes = code->size_bytes,
		.init_vaddr = code->init_vaddr,
		.init_bytes = code->init_size_bytes,
	};

	return path ? dv_sources_open(path, build_id, &place, ret) : NULL;
}

static struct module_table *table_of(struct dv_module_lines *lines, struct dv_module_code *code)
{
	struct module_table *table;

	for (size_t i = 0; i < lines->len; i++) {
		if (lines->tables[i].code == code)
			return &lines->tables[i];
	}
	if (!DV_VEC_ROOM(lines->tables, lines->len, lines->cap))
		return NULL;
	table = &lines->tables[lines->len++];
	*table = (struct module_table){.code = dv_module_code_ref(code)};
	say(open_sources(lines, code, &table->sources));
	return table;
}

static void table_deinit(struct module_table *table)
{
	dv_sources_destroy(table->sources);
	dv_module_code_unref(table->code);
}

void dv_module_lines_deinit(struct dv_module_lines *lines)
{
	for (size_t i = 0; i < lines->len; i++)
		table_deinit(&lines->tables[i]);
	free(lines->tables);
	lines->tables = NULL;
	lines->len = lines->cap = 0;
}

bool dv_module_lines_find(struct dv_module_lines *lines, struct dv_module_code *code, uint64_t vaddr,
			  const char **ret_file, uint32_t *ret_line)
{
	const struct module_table *table = lines->debug_files ? table_of(lines, code) : NULL;

	return table && table->sources && dv_sources_find(table->sources, vaddr, ret_file, ret_line);
}

void dv_module_lines_forget(struct dv_module_lines *lines, const struct dv_module_code *code)
{
	for (size_t i = 0; i < lines->len; i++) {
		if (lines->tables[i].code != code)
			continue;
		table_deinit(&lines->tables[i]);
		lines->tables[i] = lines->tables[--lines->len];
		return;
	}
}
