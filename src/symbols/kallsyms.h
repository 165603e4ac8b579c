/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The symbol table that a kernel carries for itself, read out of its image without any symbol's help. */
#ifndef DV_SYMBOLS_KALLSYMS_H
#define DV_SYMBOLS_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "symbols/elffile.h"
#include "symbols/symtab.h"

#define DV_KALLSYMS_MAX_SYMBOLS (4u << 20)
/* Fewer are taken for something else: two markers at least are needed to be sure. */
#define DV_KALLSYMS_MIN_SYMBOLS 257

/*
 * Adds the symbols of the image in [data, data + len) to symtab, at their link-time addresses. segments
 * is where its bytes are loaded; NULL for a raw Image. mark_text also tells symtab of the code between
 * _stext and _etext, and between _sinittext and _einittext.
 * Errors: DV_ERROR_NOT_FOUND when there is none, DV_ERROR_FORMAT when there is one that does not parse:
 * they name the table, its offset in the image, and what was expected.
 */
struct dv_error *dv_kallsyms_add(const uint8_t *data, size_t len, const struct dv_segments *segments,
				 bool mark_text, struct dv_symtab *symtab);

#endif
