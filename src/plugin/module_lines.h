/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source lines of kernel modules' functions: of each module that a line is asked of, the table out of its file
 * with DWARF, read when it is first wanted. One thread at a time.
 */
#ifndef DV_PLUGIN_MODULE_LINES_H
#define DV_PLUGIN_MODULE_LINES_H

#include "guest/modules.h"
#include "symbols/debugfiles.h"
#include "symbols/debuginfo.h"

struct module_table;

/* A zeroed one with debug_files is empty. */
struct dv_module_lines {
	struct dv_debug_files *debug_files; /* borrowed; NULL: nothing has lines */
	struct module_table *tables;	    /* one for each module that was asked of */
	size_t len, cap;
};

void dv_module_lines_deinit(struct dv_module_lines *lines);
/* Where the function that begins at an address, as it runs, is declared. file belongs to lines and stays until
 * the module is forgotten. */
bool dv_module_lines_find(struct dv_module_lines *lines, struct dv_module_code *code, uint64_t vaddr,
			  const char **ret_file, uint32_t *ret_line);
/* The module is gone. */
void dv_module_lines_forget(struct dv_module_lines *lines, const struct dv_module_code *code);

#endif
