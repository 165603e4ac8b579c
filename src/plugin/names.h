/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an address of the running guest is: kind for the call-graph machine, name for the trace. Used by
 * one thread at a time but for the parts that are said to be constant.
 */
#ifndef DV_PLUGIN_NAMES_H
#define DV_PLUGIN_NAMES_H

#include "base/map.h"
#include "guest/arch.h"
#include "guest/modules.h"
#include "plugin/module_lines.h"
#include "plugin/options.h"
#include "plugin/spaces.h"
#include "symbols/debuginfo.h"
#include "symbols/kernel.h"
#include "trace/format.h"

struct dv_names {
	const struct dv_arch *arch;
	const struct dv_kernel *kernel; /* NULL: no names */
	const struct dv_plugin_options *options;
	bool slide_known;
	uint64_t slide; /* runtime address minus link-time address */
	uint32_t stub_bytes; /* of the kernel's arrays of entries */
	const struct dv_sources *sources; /* of the kernel; NULL: no DWARF */
	struct dv_module_list modules;
	struct dv_module_lines module_lines;
	struct dv_user_files *files; /* both NULL without the kernel's BTF */
	struct dv_spaces *spaces;
	char text[512]; /* what the last describe gave out */
};

/* What names of user space come from; initrd may be NULL. */
struct dv_error *dv_names_open_files(struct dv_names *names, const char *initrd);
/* Frees that and the modules. */
void dv_names_close(struct dv_names *names);

/* Flags of enum dv_target_flags for a runtime address. */
unsigned dv_names_resolve(void *names, uint64_t vaddr);
/* As dv_callgraph_options' resolve_user and find_space. */
unsigned dv_names_resolve_user(void *names, const struct dv_space *space, uint64_t vaddr, uint64_t *ret_key);
const struct dv_space *dv_names_find_space(void *names, uint64_t mm_vaddr);
/* Start of the kernel function that a runtime address lies in, or 0. */
uint64_t dv_names_function_at(void *names, uint64_t vaddr);
/* As dv_trace_describe_fn: the key is the runtime address of a function of the kernel, else as format.h has it. */
void dv_names_describe(void *names, uint64_t key, struct dv_trace_function *ret);

/* Constant from here on: by link-time address, for the vCPU thread. */

/* The function that starts at a link-time address and is worth a frame of its own, or NULL: neither a
 * compiler's cold part, nor a label in the entry code. */
const struct dv_symbol *dv_names_entry(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t vaddr);
/* Inside an indirect-branch or return thunk. */
bool dv_names_is_thunk(const struct dv_arch *arch, const struct dv_symbol *symbol);

#endif
