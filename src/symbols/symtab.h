/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of symbols sorted by address: what is at an address, where is a name. Immutable once made;
 * any number of threads may look things up. Addresses are link-time ones; whoever knows KASLR's slide
 * subtracts it before asking.
 */
#ifndef DV_SYMBOLS_SYMTAB_H
#define DV_SYMBOLS_SYMTAB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/error.h"

struct dv_symbol {
	uint64_t vaddr;
	uint64_t size_bytes; /* never 0: where the source gives none, up to the next symbol */
	const char *name;    /* owned by the table */
	char type;	     /* nm's letter: 'T'/'t' code, 'D'/'d' data, 'B', 'R', 'W', 'A' ... */
	bool is_function;    /* code: lookups by address consider only these */
};

/* gcc moves unlikely code out of line as `name.cold`: reached by jumps, part of the function. */
static inline bool dv_symbol_is_cold_part(const char *name)
{
	const char *dot = strstr(name, ".cold");

	return dot && (!dot[5] || dot[5] == '.');
}

struct dv_symtab;

/* Building: add in any order, then seal. add copies the name. size_bytes 0 means unknown. */
struct dv_error *dv_symtab_create(struct dv_symtab **ret);
void dv_symtab_destroy(struct dv_symtab *symtab);
DV_DEFINE_CLEANUP(struct dv_symtab, dv_symtab_destroy);
struct dv_error *dv_symtab_add(struct dv_symtab *symtab, uint64_t vaddr, uint64_t size_bytes, char type,
			       const char *name);
/*
 * Says that [start, end) holds code. With at least one such range, code-typed symbols outside of all
 * ranges are no functions, and a function whose size is not known ends with its range at the latest.
 */
struct dv_error *dv_symtab_add_text(struct dv_symtab *symtab, uint64_t start, uint64_t end);
/* Sorts, fills in sizes, and makes the name index. Of several functions at one address the global one
 * comes first, then the one with fewer leading underscores, then the shorter. */
struct dv_error *dv_symtab_seal(struct dv_symtab *symtab);

size_t dv_symtab_count(const struct dv_symtab *symtab);
const struct dv_symbol *dv_symtab_get(const struct dv_symtab *symtab, size_t index);
/* The function with vaddr <= address < vaddr + size_bytes, or NULL. Of several, the one that starts
 * last, and of those the preferred one. */
const struct dv_symbol *dv_symtab_function_at(const struct dv_symtab *symtab, uint64_t address);
/* The first symbol of this name in address order, or NULL. */
const struct dv_symbol *dv_symtab_find(const struct dv_symtab *symtab, const char *name);

#endif
