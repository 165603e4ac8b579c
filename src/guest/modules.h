/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's modules, read by its BTF: where their code lies and the symbol table that kallsyms keeps
 * of each. `struct module` has its memory in mem[] since 6.4, in core_layout and init_layout before.
 */
#ifndef DV_GUEST_MODULES_H
#define DV_GUEST_MODULES_H

#include "guest/linux.h"

#define DV_MODULE_NAME_LEN 56 /* MODULE_NAME_LEN of 64-bit kernels */

struct dv_modules_layout {
	struct dv_btf_member list, name, kallsyms, symtab, num_symtab, strtab, typetab;
	bool has_typetab; /* since 5.2; before it the letter is in st_info */
	bool has_mem;
	uint32_t mem_bytes; /* of one element of mem[] */
	struct dv_btf_member core, init; /* mem[MOD_TEXT] and mem[MOD_INIT_TEXT], or the layouts */
	struct dv_btf_member base, text_bytes; /* in one of those */
	/* The build id is kept with CONFIG_STACKTRACE_BUILD_ID, else among the notes that sysfs shows
	 * (kernel/module/sysfs.c). */
	bool has_build_id, has_notes;
	struct dv_btf_member build_id;
	struct dv_btf_member notes_attrs, note_bytes, note_vaddr;
	/* Since 6.14 a list of pointers to the notes' attributes; before it an array of them and their count. */
	bool has_note_list;
	struct dv_btf_member note_list, notes_count, notes;
	uint32_t note_attr_bytes; /* of one element of notes[] */
};

#define DV_MODULE_BUILD_ID_CHARS 41 /* of 20 bytes in hex */

/* A module as bytes of the guest: read on the vCPU's thread, made sense of on another. */
struct dv_module {
	uint64_t vaddr; /* of its struct module */
	char name[DV_MODULE_NAME_LEN];
	uint64_t base_vaddr, size_bytes;	/* its text */
	uint64_t init_vaddr, init_size_bytes;	/* 0 when it has none */
	char build_id[DV_MODULE_BUILD_ID_CHARS]; /* lower-case hex; "": not known */
	uint8_t *symbols; /* Elf64_Sym[]; owned, as are the next two */
	uint32_t symbol_count;
	char *types; /* nm's letter for each; NULL when there is no such table */
	char *strings;
	size_t strings_bytes;
};

/* Errors: DV_ERROR_UNSUPPORTED without BTF or modules, DV_ERROR_NOT_FOUND for a member. */
struct dv_error *dv_modules_init(struct dv_modules_layout *layout, const struct dv_kernel *kernel);
/* The same by BTF alone. */
struct dv_error *dv_modules_init_btf(struct dv_modules_layout *layout, const struct dv_btf *btf);

/* Reads a module between its relocation and its init function. Without symbols when they are not mapped.
 * False when memory is not mapped or does not look like a module. */
bool dv_modules_read(const struct dv_modules_layout *layout, const struct dv_guest_memory *memory, uint64_t vaddr,
		     struct dv_module *ret);
void dv_module_deinit(struct dv_module *module);

/* What is kept of a module: shared by threads, so counted. Its functions are at their addresses as they run. */
struct dv_module_code {
	int references;
	uint64_t vaddr; /* of its struct module, which tells it apart */
	char name[DV_MODULE_NAME_LEN];
	uint64_t base_vaddr, size_bytes, init_vaddr, init_size_bytes; /* as in struct dv_module */
	char build_id[DV_MODULE_BUILD_ID_CHARS];
	struct dv_symtab *symtab;
};

struct dv_error *dv_module_code_create(const struct dv_module *module, struct dv_module_code **ret);
struct dv_module_code *dv_module_code_ref(struct dv_module_code *code);
/* NULL-safe. */
void dv_module_code_unref(struct dv_module_code *code);

/* The modules that there are, for one thread; a zeroed one is empty. */
struct dv_module_list {
	struct dv_module_code **items; /* oldest first */
	size_t len, cap;
};

void dv_module_list_deinit(struct dv_module_list *list);
/* Takes a reference of its own. False when out of memory. */
bool dv_module_list_add(struct dv_module_list *list, struct dv_module_code *code);
void dv_module_list_remove(struct dv_module_list *list, uint64_t module_vaddr);
/* The module of a struct module's address, or NULL. */
struct dv_module_code *dv_module_list_get(const struct dv_module_list *list, uint64_t module_vaddr);
/* The module whose code, or init code, has the address (the youngest: init code is freed), and the function
 * there, which may be NULL. NULL when no module has it. */
struct dv_module_code *dv_module_list_find(const struct dv_module_list *list, uint64_t vaddr,
					   const struct dv_symbol **ret_function);

#endif
