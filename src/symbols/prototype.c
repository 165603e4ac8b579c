/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prototypes from BTF: a FUNC's type is a FUNC_PROTO, which lists parameters by name and type. */
#include "symbols/prototype.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include "symbols/btf_private.h"

#define MAX_TYPE_NESTING 32
#define POINTER_BYTES 8

/* ---- types as text ---- */

static const char *type_name(const struct dv_btf *btf, const struct btf_type *type)
{
	return btf__name_by_offset(btf->btf, type->name_off) ?: "";
}

/* A name with the keyword that C wants before it; anonymous ones have none. */
static void print_tagged(const char *keyword, const char *name, struct dv_buf *to)
{
	dv_buf_printf(to, *name ? "%s %s" : "%s", keyword, name);
}

static void print_type(const struct dv_btf *btf, uint32_t id, int depth, struct dv_buf *to)
{
	const struct btf_type *type = id ? btf__type_by_id(btf->btf, id) : NULL;
	const char *name = type ? type_name(btf, type) : "";

	if (!type) {
		dv_buf_printf(to, "void");
		return;
	}
	if (depth > MAX_TYPE_NESTING) {
		dv_buf_printf(to, "...");
		return;
	}
	switch (btf_kind(type)) {
	case BTF_KIND_PTR:
		print_type(btf, type->type, depth + 1, to);
		dv_buf_printf(to, to->len && !to->failed && to->data[to->len - 1] == '*' ? "*" : " *");
		break;
	case BTF_KIND_CONST:
		dv_buf_printf(to, "const ");
		print_type(btf, type->type, depth + 1, to);
		break;
	case BTF_KIND_VOLATILE:
		dv_buf_printf(to, "volatile ");
		print_type(btf, type->type, depth + 1, to);
		break;
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		print_type(btf, type->type, depth + 1, to);
		break;
	case BTF_KIND_STRUCT: print_tagged("struct", name, to); break;
	case BTF_KIND_UNION: print_tagged("union", name, to); break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64: print_tagged("enum", name, to); break;
	case BTF_KIND_FWD: print_tagged(btf_kflag(type) ? "union" : "struct", name, to); break;
	case BTF_KIND_FUNC_PROTO: dv_buf_printf(to, "function"); break;
	case BTF_KIND_ARRAY:
		print_type(btf, btf_array(type)->type, depth + 1, to);
		dv_buf_printf(to, " []");
		break;
	default: dv_buf_printf(to, "%s", *name ? name : "?");
	}
}

/* ---- forms ---- */

/* const char: what is not const is a buffer to be filled, or one of bytes. */
static bool is_text(const struct dv_btf *btf, uint32_t id)
{
	bool is_const = false;

	for (int i = 0; i < MAX_TYPE_NESTING; i++) {
		const struct btf_type *type = btf__type_by_id(btf->btf, id);

		if (!type)
			return false;
		if (btf_is_int(type))
			return is_const && type->size == 1 && !strcmp(type_name(btf, type), "char");
		if (!btf_is_mod(type))
			return false;
		is_const |= btf_kind(type) == BTF_KIND_CONST;
		id = type->type;
	}
	return false;
}

static enum dv_value_form form_of(const struct dv_btf *btf, uint32_t id, uint32_t *ret_size)
{
	const struct btf_type *type = id ? dv_btf_resolve(btf, id) : NULL;

	*ret_size = 0;
	if (!type)
		return id ? DV_VALUE_OTHER : DV_VALUE_VOID;
	*ret_size = type->size;
	switch (btf_kind(type)) {
	case BTF_KIND_INT:
		if (type->size > 8)
			return DV_VALUE_OTHER;
		if (btf_int_encoding(type) & BTF_INT_BOOL)
			return DV_VALUE_BOOL;
		return btf_int_encoding(type) & BTF_INT_SIGNED ? DV_VALUE_SIGNED : DV_VALUE_UNSIGNED;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return type->size <= 8 ? DV_VALUE_ENUM : DV_VALUE_OTHER;
	case BTF_KIND_PTR:
		*ret_size = POINTER_BYTES;
		return is_text(btf, type->type) ? DV_VALUE_STRING : DV_VALUE_POINTER;
	default:
		return DV_VALUE_OTHER;
	}
}

static struct dv_error *make_parameter(const struct dv_btf *btf, const char *name, uint32_t id, struct dv_parameter *ret)
{
	_cleanup_buf_ struct dv_buf type = DV_BUF_INIT;

	ret->type_id = id;
	ret->form = form_of(btf, id, &ret->size_bytes);
	print_type(btf, id, 0, &type);
	ret->type = dv_buf_steal_string(&type);
	ret->name = strdup(name ?: "");
	return ret->type && ret->name ? NULL : dv_error_no_memory();
}

static const struct btf_type *find_proto(const struct dv_btf *btf, const char *function)
{
	int id = btf__find_by_name_kind(btf->btf, function, BTF_KIND_FUNC);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf->btf, (uint32_t)id) : NULL;
	const struct btf_type *proto = type ? btf__type_by_id(btf->btf, type->type) : NULL;

	return proto && btf_is_func_proto(proto) ? proto : NULL;
}

struct dv_error *dv_prototype_from_btf(const struct dv_btf *btf, const char *function, struct dv_prototype *ret)
{
	const struct btf_type *proto = find_proto(btf, function);
	const struct btf_param *params = proto ? btf_params(proto) : NULL;
	struct dv_prototype p = {0};
	struct dv_error *err = NULL;

	if (!proto)
		return dv_error_new(DV_ERROR_NOT_FOUND, "BTF has no function %s", function);
	if (btf_vlen(proto) > DV_PROTOTYPE_MAX_PARAMETERS)
		return dv_error_new(DV_ERROR_FORMAT, "%s has %u parameters in BTF", function, btf_vlen(proto));
	p.parameters = calloc(btf_vlen(proto) + 1u, sizeof(*p.parameters));
	if (!p.parameters)
		return dv_error_no_memory();
	err = make_parameter(btf, NULL, proto->type, &p.returned);
	for (uint32_t i = 0; i < btf_vlen(proto) && !err; i++) {
		/* The last one without name and type stands for "...". */
		p.is_variadic = !params[i].name_off && !params[i].type;
		if (!p.is_variadic)
			err = make_parameter(btf, btf__name_by_offset(btf->btf, params[i].name_off), params[i].type,
					     &p.parameters[p.len++]);
	}
	if (err) {
		dv_prototype_deinit(&p);
		return err;
	}
	*ret = p;
	return NULL;
}

void dv_prototype_deinit(struct dv_prototype *prototype)
{
	for (size_t i = 0; i < prototype->len; i++) {
		free(prototype->parameters[i].name);
		free(prototype->parameters[i].type);
	}
	free(prototype->parameters);
	free(prototype->returned.name);
	free(prototype->returned.type);
	*prototype = (struct dv_prototype){0};
}

static void print_with_name(const char *type, const char *name, struct dv_buf *to)
{
	size_t len = strlen(type);

	dv_buf_printf(to, "%s%s%s", type, *name && len && type[len - 1] != '*' ? " " : "", name);
}

void dv_prototype_print(const struct dv_prototype *prototype, const char *function, struct dv_buf *to)
{
	print_with_name(prototype->returned.type, function, to);
	dv_buf_printf(to, "(");
	for (size_t i = 0; i < prototype->len; i++) {
		dv_buf_printf(to, i ? ", " : "");
		print_with_name(prototype->parameters[i].type, prototype->parameters[i].name, to);
	}
	dv_buf_printf(to, prototype->is_variadic ? (prototype->len ? ", ...)" : "...)") : prototype->len ? ")" : "void)");
}

/* ---- values ---- */

static const char *enumerator(const struct dv_btf *btf, uint32_t type_id, uint64_t value)
{
	const struct btf_type *type = dv_btf_resolve(btf, type_id);

	for (uint32_t i = 0; type && btf_is_enum(type) && i < btf_vlen(type); i++) {
		if ((uint32_t)btf_enum(type)[i].val == (uint32_t)value)
			return btf__name_by_offset(btf->btf, btf_enum(type)[i].name_off);
	}
	return NULL;
}

static void print_string(const char *string, struct dv_buf *to)
{
	dv_buf_printf(to, "\"");
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			dv_buf_printf(to, "\\%c", *string);
		else if (isprint((unsigned char)*string))
			dv_buf_printf(to, "%c", *string);
		else
			dv_buf_printf(to, "\\x%02x", (unsigned char)*string);
	}
	dv_buf_printf(to, "\"");
}

/* Only the low bytes of a register belong to a value that is smaller. */
static uint64_t cut(uint64_t value, uint32_t bytes, bool is_signed)
{
	unsigned unused = bytes && bytes < 8 ? 64 - 8 * bytes : 0;

	return is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value << unused >> unused;
}

/* The kernel's functions return errors in pointers, too: include/linux/err.h, MAX_ERRNO. */
static void print_pointer(uint64_t value, struct dv_buf *to)
{
	if (value >= (uint64_t)-4095)
		dv_buf_printf(to, "ERR_PTR(%" PRId64 ")", (int64_t)value);
	else
		dv_buf_printf(to, value ? "0x%" PRIx64 : "NULL", value);
}

void dv_value_print(const struct dv_parameter *parameter, uint64_t value, const struct dv_btf *btf,
		    const char *string, struct dv_buf *to)
{
	uint64_t small = cut(value, parameter->size_bytes, parameter->form == DV_VALUE_SIGNED);
	const char *name = NULL;

	switch (parameter->form) {
	case DV_VALUE_VOID: break;
	case DV_VALUE_SIGNED: dv_buf_printf(to, "%" PRId64, (int64_t)small); break;
	case DV_VALUE_UNSIGNED: dv_buf_printf(to, small < 10 ? "%" PRIu64 : "0x%" PRIx64, small); break;
	case DV_VALUE_BOOL: dv_buf_printf(to, (small & 0xff) ? "true" : "false"); break;
	case DV_VALUE_ENUM:
		name = btf ? enumerator(btf, parameter->type_id, small) : NULL;
		if (name)
			dv_buf_printf(to, "%s", name);
		else
			dv_buf_printf(to, "%" PRIu64, small);
		break;
	case DV_VALUE_STRING:
		if (string)
			print_string(string, to);
		else
			print_pointer(value, to);
		break;
	case DV_VALUE_POINTER: print_pointer(value, to); break;
	case DV_VALUE_OTHER: dv_buf_printf(to, "?"); break;
	}
}
