/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF (Documentation/bpf/btf.rst):
 *
 *	+--------+-----+-------------------+-------------------+
 *	| header | ... | types             | strings           |
 *	+--------+-----+-------------------+-------------------+
 *	0      hdr_len +type_off  type_len  +str_off    str_len
 *
 * header: u16 magic 0xeb9f, u8 version 1, u8 flags, u32 hdr_len (24), type_off, type_len, str_off, str_len.
 * libbpf checks the types' sizes against their section, but takes hdr_len as it comes, and needs types on
 * 4 bytes' alignment.
 */
#include "symbols/btf_private.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "base/buf.h"

#define HEADER_BYTES	 24
#define BTF_MAX_BYTES	 (64u << 20)
#define MAX_NESTING	 16
#define MAX_MEMBERS_SEEN (1 << 16) /* of one lookup: anonymous structs may repeat, and in bad BTF loop */
#define MAX_TYPEDEFS	 32
#define MAX_NAME_BYTES	 256

static struct dv_error *check_header(const void *data, size_t len)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	uint16_t magic = dv_cursor_u16(&c);
	uint8_t version = dv_cursor_u8(&c);
	uint64_t header, type_off, type_len, str_off, str_len;

	dv_cursor_u8(&c);
	header = dv_cursor_u32(&c);
	type_off = dv_cursor_u32(&c);
	type_len = dv_cursor_u32(&c);
	str_off = dv_cursor_u32(&c);
	str_len = dv_cursor_u32(&c);
	if (c.truncated)
		return dv_error_new(DV_ERROR_FORMAT, "%zu bytes, fewer than its header has", len);
	if (magic != 0xeb9f || version != 1)
		return dv_error_new(DV_ERROR_FORMAT, "magic 0x%04x, version %u instead of 0xeb9f, 1", magic, version);
	if (header < HEADER_BYTES || header > len || header % 4)
		return dv_error_new(DV_ERROR_FORMAT, "a header of %llu bytes", (unsigned long long)header);
	if (type_off % 4)
		return dv_error_new(DV_ERROR_FORMAT, "types at %llu, which is no multiple of 4",
				    (unsigned long long)type_off);
	if (type_off + type_len > str_off || str_off + str_len > len - header)
		return dv_error_new(DV_ERROR_FORMAT,
				    "types at %llu + %llu and strings at %llu + %llu do not fit into %llu bytes",
				    (unsigned long long)type_off, (unsigned long long)type_len,
				    (unsigned long long)str_off, (unsigned long long)str_len,
				    (unsigned long long)(len - header));
	if (len > BTF_MAX_BYTES)
		return dv_error_new(DV_ERROR_FORMAT, "%zu bytes, more than %u", len, BTF_MAX_BYTES);
	return NULL;
}

static struct dv_error *create(const void *data, size_t len, struct dv_btf **ret)
{
	libbpf_print_fn_t print;
	struct dv_btf *btf;

	DV_TRY(check_header(data, len));
	btf = calloc(1, sizeof(*btf));
	if (!btf)
		return dv_error_no_memory();
	print = libbpf_set_print(NULL);
	btf->btf = btf__new(data, (uint32_t)len);
	libbpf_set_print(print);
	if (!btf->btf) {
		int err = errno;

		free(btf);
		return dv_error_new(DV_ERROR_FORMAT, "libbpf does not take it: %s", strerror(err));
	}
	*ret = btf;
	return NULL;
}

struct dv_error *dv_btf_create(const void *data, size_t len, struct dv_btf **ret)
{
	return dv_error_prefix(create(data, len, ret), "BTF");
}

void dv_btf_destroy(struct dv_btf *btf)
{
	if (!btf)
		return;
	btf__free(btf->btf);
	free(btf);
}

const struct btf_type *dv_btf_resolve(const struct dv_btf *btf, uint32_t id)
{
	for (int i = 0; i < MAX_TYPEDEFS; i++) {
		const struct btf_type *type = btf__type_by_id(btf->btf, id);

		if (!type || !(btf_is_mod(type) || btf_is_typedef(type)))
			return type;
		id = type->type;
	}
	return NULL;
}

static const struct btf_type *find_composite(const struct dv_btf *btf, const char *name)
{
	static const uint32_t kinds[] = {BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_TYPEDEF};

	for (size_t i = 0; i < DV_ARRAY_SIZE(kinds); i++) {
		int id = btf__find_by_name_kind(btf->btf, name, kinds[i]);
		const struct btf_type *type = id > 0 ? dv_btf_resolve(btf, (uint32_t)id) : NULL;

		if (type && btf_is_composite(type))
			return type;
	}
	return NULL;
}

struct found {
	const struct btf_type *type; /* of the member, resolved; may be NULL */
	uint32_t type_id;
	uint64_t offset_bits;
	uint32_t bitfield_bits;
};

/* Finds a member by name, also inside anonymous structs and unions. */
static bool find_member(const struct dv_btf *btf, const struct btf_type *type, const char *name, int depth,
			int *budget, struct found *ret)
{
	const struct btf_member *members = btf_members(type);

	if (depth > MAX_NESTING)
		return false;
	for (uint32_t i = 0; i < btf_vlen(type) && --*budget > 0; i++) {
		const char *its_name = btf__name_by_offset(btf->btf, members[i].name_off);
		uint32_t offset_bits = btf_member_bit_offset(type, i);
		const struct btf_type *its_type = dv_btf_resolve(btf, members[i].type);

		if (its_name && *its_name && !strcmp(its_name, name)) {
			*ret = (struct found){
				.type = its_type,
				.type_id = members[i].type,
				.offset_bits = offset_bits,
				.bitfield_bits = btf_member_bitfield_size(type, i),
			};
			return true;
		}
		if (its_name && *its_name)
			continue;
		if (its_type && btf_is_composite(its_type) &&
		    find_member(btf, its_type, name, depth + 1, budget, ret)) {
			ret->offset_bits += offset_bits;
			return true;
		}
	}
	return false;
}

static struct dv_error *no_member(const char *type_name, const char *path)
{
	return dv_error_new(DV_ERROR_NOT_FOUND, "BTF: struct %s has no member %s", type_name, path);
}

static struct dv_error *walk_path(const struct dv_btf *btf, const struct btf_type *type, const char *type_name,
				  const char *path, struct found *ret)
{
	uint64_t offset_bits = 0;
	struct found found = {0};
	int budget = MAX_MEMBERS_SEEN;

	for (const char *part = path; part;) {
		const char *dot = strchrnul(part, '.');
		char name[MAX_NAME_BYTES];

		if (!type || !btf_is_composite(type) || (size_t)(dot - part) >= sizeof(name))
			return no_member(type_name, path);
		memcpy(name, part, (size_t)(dot - part));
		name[dot - part] = '\0';
		if (!find_member(btf, type, name, 0, &budget, &found))
			return no_member(type_name, path);
		offset_bits += found.offset_bits;
		type = found.type;
		part = *dot ? dot + 1 : NULL;
	}
	found.offset_bits = offset_bits;
	*ret = found;
	return NULL;
}

struct dv_error *dv_btf_member(const struct dv_btf *btf, const char *type_name, const char *path,
			       struct dv_btf_member *ret)
{
	const struct btf_type *type = find_composite(btf, type_name);
	struct found found;
	int64_t size;

	if (!type)
		return dv_error_new(DV_ERROR_NOT_FOUND, "BTF: no struct %s (looked for its member %s)", type_name,
				    path);
	DV_TRY(walk_path(btf, type, type_name, path, &found));
	if (found.bitfield_bits || found.offset_bits % 8)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "BTF: struct %s: member %s is a bitfield", type_name,
				    path);
	size = btf__resolve_size(btf->btf, found.type_id);
	if (size < 0 || size > UINT32_MAX || found.offset_bits / 8 > UINT32_MAX)
		return dv_error_new(DV_ERROR_FORMAT, "BTF: struct %s: member %s has no size", type_name, path);
	ret->offset_bytes = (uint32_t)(found.offset_bits / 8);
	ret->size_bytes = (uint32_t)size;
	return NULL;
}

struct dv_error *dv_btf_struct_size(const struct dv_btf *btf, const char *type_name, uint32_t *ret)
{
	const struct btf_type *type = find_composite(btf, type_name);

	if (!type)
		return dv_error_new(DV_ERROR_NOT_FOUND, "BTF: no struct %s", type_name);
	*ret = type->size;
	return NULL;
}
