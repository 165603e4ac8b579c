/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a function takes and gives, so that registers can be shown as arguments. */
#ifndef DV_SYMBOLS_PROTOTYPE_H
#define DV_SYMBOLS_PROTOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "symbols/btf.h"

enum dv_value_form {
	DV_VALUE_VOID,
	DV_VALUE_SIGNED,
	DV_VALUE_UNSIGNED,
	DV_VALUE_BOOL,
	DV_VALUE_ENUM,
	DV_VALUE_POINTER,
	DV_VALUE_STRING, /* const char * */
	DV_VALUE_OTHER,	 /* a struct by value, a float: not in the integer registers as it is */
};

struct dv_parameter {
	char *name; /* "" when it has none */
	char *type; /* as C writes it: "const char *", "struct file *" */
	enum dv_value_form form;
	uint32_t size_bytes; /* 0 of void */
	uint32_t type_id;    /* in the BTF that it came from */
};

#define DV_PROTOTYPE_MAX_PARAMETERS 32

struct dv_prototype {
	struct dv_parameter *parameters;
	size_t len;
	struct dv_parameter returned;
	bool is_variadic;
};

/* Errors: DV_ERROR_NOT_FOUND when BTF has no such function; DV_ERROR_FORMAT. */
struct dv_error *dv_prototype_from_btf(const struct dv_btf *btf, const char *function, struct dv_prototype *ret);
void dv_prototype_deinit(struct dv_prototype *prototype);

/* "int do_sys_openat2(int dfd, const char *filename, struct open_how *how)". Appended. */
void dv_prototype_print(const struct dv_prototype *prototype, const char *function, struct dv_buf *to);
/*
 * One value in a register: "-2", "0x8000", "true", "FOO_BAR", "0xffff888003a1c000", "ERR_PTR(-2)". btf (for the names of
 * enumerators) and string (what a STRING points to) may be NULL. Appended.
 */
void dv_value_print(const struct dv_parameter *parameter, uint64_t value, const struct dv_btf *btf,
		    const char *string, struct dv_buf *to);

#endif
