/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses to names and kinds: see names.h. */
#include "plugin/names.h"
#include "plugin/entries.h"

#include <inttypes.h>
#include <string.h>

static bool has_prefix(const char *const *prefixes, const char *name)
{
	for (; *prefixes; prefixes++) {
		if (!strncmp(name, *prefixes, strlen(*prefixes)))
			return true;
	}
	return false;
}

static bool is_named(const char *want, const char *name)
{
	return want && !strcmp(want, name);
}

struct dv_error *dv_names_open_files(struct dv_names *n, const char *initrd)
{
	struct dv_files_options options = {.sysroot = n->options->sysroot, .initrd = initrd, .disks = n->options->disks};
	const uint8_t *vdso = NULL;
	size_t vdso_bytes = 0;

	dv_kernel_vdso(n->kernel, &vdso, &vdso_bytes);
	DV_TRY(dv_user_files_create(&options, vdso, vdso_bytes, &n->files));
	return dv_spaces_create(n->files, &n->spaces);
}

void dv_names_close(struct dv_names *n)
{
	dv_spaces_destroy(n->spaces);
	dv_user_files_destroy(n->files);
	dv_module_lines_deinit(&n->module_lines);
	dv_module_list_deinit(&n->modules);
}

bool dv_names_is_thunk(const struct dv_arch *arch, const struct dv_symbol *symbol)
{
	return has_prefix(arch->thunk_prefixes, symbol->name);
}

static bool in_entry_text(const struct dv_arch *arch, const struct dv_symtab *symtab, uint64_t vaddr)
{
	const struct dv_symbol *start, *end;

	if (!arch->entry_text_start)
		return false;
	start = dv_symtab_find(symtab, arch->entry_text_start);
	end = dv_symtab_find(symtab, arch->entry_text_end);
	return start && end && vaddr >= start->vaddr && vaddr < end->vaddr;
}

const struct dv_symbol *dv_names_entry(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t vaddr)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(kernel);
	const struct dv_symbol *symbol = dv_symtab_function_at(symtab, vaddr);

	if (!symbol || symbol->vaddr != vaddr || dv_symbol_is_cold_part(symbol->name) ||
	    has_prefix(arch->label_prefixes, symbol->name) || dv_names_is_thunk(arch, symbol) ||
	    in_entry_text(arch, symtab, vaddr))
		return NULL;
	return symbol;
}

static const struct dv_symbol *kernel_symbol(const struct dv_names *n, uint64_t vaddr)
{
	if (!n->slide_known || vaddr < n->arch->kernel_min || vaddr >= n->arch->kernel_max)
		return NULL;
	return dv_symtab_function_at(dv_kernel_symtab(n->kernel), vaddr - n->slide);
}

static unsigned entry_flags(const struct dv_names *n, uint64_t vaddr)
{
	const struct dv_entry_pattern *entry = dv_entry_at(n->arch, n->kernel, vaddr);

	switch (entry ? entry->kind : DV_ENTRY_NONE) {
	case DV_ENTRY_INTERRUPT:
		return DV_TARGET_INTERRUPT;
	case DV_ENTRY_SYSCALL:
		return DV_TARGET_SYSCALL;
	default:
		return 0;
	}
}

static struct dv_module_code *module_at(const struct dv_names *n, uint64_t vaddr, const struct dv_symbol **ret)
{
	if (vaddr < n->arch->module_min || vaddr >= n->arch->module_max)
		return NULL;
	return dv_module_list_find(&n->modules, vaddr, ret);
}

static unsigned resolve_module(const struct dv_names *n, uint64_t vaddr)
{
	const struct dv_symbol *symbol = NULL;

	module_at(n, vaddr, &symbol);
	if (!symbol)
		return DV_TARGET_CALLABLE;
	if (symbol->vaddr != vaddr)
		return 0;
	return dv_symbol_is_cold_part(symbol->name) ? DV_TARGET_CALLABLE : DV_TARGET_CALLABLE | DV_TARGET_ENTRY;
}

unsigned dv_names_resolve_user(void *context, const struct dv_space *space, uint64_t vaddr, uint64_t *ret_key)
{
	struct dv_names *n = context;

	*ret_key = dv_spaces_key(space, vaddr);
	if (!dv_is_file_key(*ret_key))
		return DV_TARGET_CALLABLE | (*ret_key == vaddr ? 0 : DV_TARGET_NEVER);
	switch (dv_user_files_place(n->files, *ret_key)) {
	case DV_USER_PLACE_ENTRY:
		return DV_TARGET_CALLABLE | DV_TARGET_ENTRY;
	case DV_USER_PLACE_NEVER:
		return DV_TARGET_CALLABLE | DV_TARGET_NEVER;
	case DV_USER_PLACE_UNNAMED:
		return DV_TARGET_CALLABLE | DV_TARGET_ENTRY | DV_TARGET_GUESSED | DV_TARGET_NEVER;
	default:
		return DV_TARGET_CALLABLE | DV_TARGET_ENTRY | DV_TARGET_GUESSED;
	}
}

const struct dv_space *dv_names_find_space(void *context, uint64_t mm_vaddr)
{
	const struct dv_names *n = context;

	return n->spaces ? dv_spaces_find(n->spaces, mm_vaddr) : NULL;
}

unsigned dv_names_resolve(void *context, uint64_t vaddr)
{
	const struct dv_names *n = context;
	const struct dv_symbol *symbol = kernel_symbol(n, vaddr);
	unsigned flags;

	if (!symbol)
		return resolve_module(n, vaddr);
	flags = dv_names_is_thunk(n->arch, symbol) ? DV_TARGET_THUNK : 0;
	flags |= entry_flags(n, vaddr - n->slide);
	if (symbol->vaddr != vaddr - n->slide)
		return flags;
	flags |= DV_TARGET_CALLABLE;
	if (dv_names_entry(n->arch, n->kernel, symbol->vaddr))
		flags |= DV_TARGET_ENTRY;
	if (is_named(n->options->ignore_below, symbol->name))
		flags |= DV_TARGET_IGNORE_BELOW;
	if (is_named(n->options->starting_from, symbol->name))
		flags |= DV_TARGET_START;
	if (is_named(n->options->stopping_at, symbol->name))
		flags |= DV_TARGET_STOP;
	return flags;
}

uint64_t dv_names_function_at(void *context, uint64_t vaddr)
{
	const struct dv_names *n = context;
	const struct dv_symbol *symbol = kernel_symbol(n, vaddr);

	if (!symbol && module_at(n, vaddr, &symbol))
		return symbol ? symbol->vaddr : 0;
	return symbol ? symbol->vaddr + n->slide : 0;
}

static bool describe_module(struct dv_names *n, uint64_t key, struct dv_trace_function *ret)
{
	const struct dv_symbol *symbol = NULL;
	struct dv_module_code *code = module_at(n, key, &symbol);

	if (!code)
		return false;
	ret->module = code->name;
	if (symbol && symbol->vaddr == key)
		dv_module_lines_find(&n->module_lines, code, key, &ret->file, &ret->line);
	ret->size_bytes = symbol && symbol->vaddr == key ? symbol->size_bytes : 0;
	if (symbol && symbol->vaddr == key)
		snprintf(n->text, sizeof(n->text), "[%s] %.440s", code->name, symbol->name);
	else if (symbol)
		snprintf(n->text, sizeof(n->text), "[%s] %.400s+0x%" PRIx64, code->name, symbol->name,
			 key - symbol->vaddr);
	else
		snprintf(n->text, sizeof(n->text), "[%s]+0x%" PRIx64, code->name, key - code->base_vaddr);
	return true;
}

/* The bits of a user address that DV_ANON_KEY leaves. */
#define ANON_VADDR_MASK 0xffffffffffffffull

static void describe_anonymous(struct dv_names *n, uint64_t key, struct dv_trace_function *ret)
{
	*ret = (struct dv_trace_function){
		.vaddr = key & ANON_VADDR_MASK, .name = n->text, .module = "[anon]", .space = DV_FUNCTION_USER};
	snprintf(n->text, sizeof(n->text), "[anon]+0x%" PRIx64, ret->vaddr);
}

void dv_names_describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	struct dv_names *n = context;
	const struct dv_symbol *symbol = kernel_symbol(n, key);

	if (dv_is_syscall_key(key)) {
		dv_syscall_describe(n->arch, n->kernel, key, n->text, sizeof(n->text), ret);
		ret->vaddr += ret->vaddr ? n->slide : 0;
		return;
	}
	if (dv_is_file_key(key) && n->files) {
		dv_user_files_describe(n->files, key, ret);
		return;
	}
	if (key >> 56 == DV_ANON_KEY >> 56) {
		describe_anonymous(n, key, ret);
		return;
	}
	*ret = (struct dv_trace_function){.vaddr = key, .name = n->text, .space = DV_FUNCTION_USER};
	if (dv_is_kernel_vaddr(key))
		ret->space = key >= n->arch->module_min && key < n->arch->module_max ? DV_FUNCTION_MODULE :
										       DV_FUNCTION_KERNEL;
	else if (!n->slide_known)
		ret->space = DV_FUNCTION_FIRMWARE;
	if (symbol)
		dv_entry_describe(n->arch, n->kernel, n->stub_bytes, key - n->slide, ret);
	if (symbol && symbol->vaddr == key - n->slide) {
		ret->name = symbol->name;
		ret->size_bytes = symbol->size_bytes;
		if (n->sources)
			dv_sources_find(n->sources, symbol->vaddr, &ret->file, &ret->line);
	} else if (symbol) {
		snprintf(n->text, sizeof(n->text), "%.480s+0x%" PRIx64, symbol->name,
			 key - n->slide - symbol->vaddr);
	} else if (!describe_module(n, key, ret)) {
		snprintf(n->text, sizeof(n->text), "0x%" PRIx64, key);
	}
}
