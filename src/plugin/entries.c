/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries to the kernel: see entries.h. */
#include "plugin/entries.h"

#include <inttypes.h>
#include <string.h>

#define PUSH_IMMEDIATE 0x6a /* `push imm8`, how x86's stubs say their vector */

/* An array's stubs are 8 bytes apart, or 16 with endbr64; an address between two is no entry. */
static const struct dv_entry_pattern *array_at(const struct dv_arch *arch, const struct dv_symtab *symtab,
					       uint64_t vaddr)
{
	for (const struct dv_entry_pattern *p = arch->entries; p->symbol; p++) {
		const struct dv_symbol *start = p->array_bytes ? dv_symtab_find(symtab, p->symbol) : NULL;

		if (start && vaddr >= start->vaddr && vaddr - start->vaddr < p->array_bytes &&
		    vaddr - start->vaddr < start->size_bytes && (vaddr - start->vaddr) % 8 == 0)
			return p;
	}
	return NULL;
}

const struct dv_entry_pattern *dv_entry_at(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t vaddr)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(kernel);
	const struct dv_symbol *symbol = dv_symtab_function_at(symtab, vaddr);

	if (!symbol || symbol->vaddr != vaddr)
		return array_at(arch, symtab, vaddr);
	for (const struct dv_entry_pattern *p = arch->entries; p->symbol; p++) {
		if (p->prefix ? !strncmp(symbol->name, p->symbol, strlen(p->symbol)) :
				!strcmp(symbol->name, p->symbol))
			return p;
	}
	return array_at(arch, symtab, vaddr);
}

/* Where in the stub at vaddr the vector is pushed, or -1. */
static int find_push(const struct dv_kernel *kernel, uint64_t vaddr, uint8_t vector)
{
	const uint8_t *stub = dv_kernel_bytes(kernel, vaddr, 8);

	for (int i = 0; stub && i < 7; i++) {
		if (stub[i] == PUSH_IMMEDIATE && stub[i + 1] == vector)
			return i;
	}
	return -1;
}

uint32_t dv_entry_stub_bytes(const struct dv_arch *arch, const struct dv_kernel *kernel)
{
	for (const struct dv_entry_pattern *p = arch->entries; p->symbol; p++) {
		const struct dv_symbol *start = p->array_bytes ? dv_symtab_find(dv_kernel_symtab(kernel), p->symbol) :
								 NULL;

		if (!start || find_push(kernel, start->vaddr, p->first_vector) < 0)
			continue;
		for (uint32_t bytes = 8; bytes <= 16; bytes += 8) {
			if (find_push(kernel, start->vaddr + bytes, (uint8_t)(p->first_vector + 1)) >= 0)
				return bytes;
		}
	}
	return 0;
}

void dv_entry_describe(const struct dv_arch *arch, const struct dv_kernel *kernel, uint32_t stub_bytes,
		       uint64_t vaddr, struct dv_trace_function *function)
{
	const struct dv_symbol *symbol = dv_symtab_function_at(dv_kernel_symtab(kernel), vaddr);
	const struct dv_entry_pattern *array = array_at(arch, dv_kernel_symtab(kernel), vaddr);

	if (array && stub_bytes) {
		uint64_t start = dv_symtab_find(dv_kernel_symtab(kernel), array->symbol)->vaddr;

		function->has_number = true;
		function->number = array->first_vector + (uint32_t)((vaddr - start) / stub_bytes);
		return;
	}
	for (const struct dv_entry_vector *v = arch->vectors; v->symbol && symbol && symbol->vaddr == vaddr; v++) {
		if (strcmp(v->symbol, symbol->name))
			continue;
		function->has_number = true;
		function->number = v->vector;
		function->mnemonic = v->mnemonic;
		return;
	}
}

static const struct dv_entry_pattern *entry_number(const struct dv_arch *arch, uint8_t wanted)
{
	for (uint8_t i = 0; arch->entries[i].symbol; i++) {
		if (i == wanted)
			return &arch->entries[i];
	}
	return NULL;
}

void dv_syscall_describe(const struct dv_arch *arch, const struct dv_kernel *kernel, uint64_t key, char *text,
			 size_t text_bytes, struct dv_trace_function *ret)
{
	const struct dv_entry_pattern *entry = entry_number(arch, (uint8_t)(key >> 32));
	const struct dv_symbol *symbol = entry ? dv_symtab_find(dv_kernel_symtab(kernel), entry->symbol) : NULL;
	enum dv_syscall_table table = entry ? entry->syscalls : DV_SYSCALLS_NONE;
	const char *prefix = table == DV_SYSCALLS_IA32 ? "ia32_" : "";
	uint32_t number = (uint32_t)key;
	const char *name = dv_syscall_name(table, number);

	if (name)
		snprintf(text, text_bytes, "%s%s", prefix, name);
	else
		snprintf(text, text_bytes, "%ssyscall_%" PRIu32, prefix, number);
	*ret = (struct dv_trace_function){
		.name = text,
		.vaddr = symbol ? symbol->vaddr : 0,
		.space = DV_FUNCTION_KERNEL,
		.has_number = true,
		.number = number,
	};
}
