/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clients send, held against the protocol's tables; binary frames. */
#include "rpc/protocol.h"
#include <string.h>

static int compare_names(const void *name, const void *method)
{
	return strcmp(name, ((const struct dv_rpc_method *)method)->name);
}

const struct dv_rpc_method *dv_rpc_method_find(const char *name)
{
	return bsearch(name, dv_rpc_methods, DV_RPC_METHODS, sizeof(dv_rpc_methods[0]), compare_names);
}

static bool is_address(const char *text)
{
	size_t digits = strspn(text, "0x") >= 2 && text[1] == 'x' ? strlen(text + 2) : 0;

	return digits >= 1 && digits <= 16 && strspn(text + 2, "0123456789abcdefABCDEF") == digits;
}

static bool is_enum(const struct dv_rpc_field *field, const json_t *value)
{
	if (!json_is_string(value))
		return false;
	for (size_t i = 0; i < field->value_count; i++)
		if (!strcmp(field->values[i], json_string_value(value)))
			return true;
	return false;
}

/* NULL when the value is of the type, else what it should be. */
static const char *mismatch(const struct dv_rpc_field *field, const json_t *value)
{
	json_int_t integer = json_integer_value(value);

	switch (field->type) {
	case DV_RPC_TYPE_INT:
		return json_is_integer(value) && integer >= -DV_RPC_INT_MAX && integer <= DV_RPC_INT_MAX ?
			       NULL : "an integer";
	case DV_RPC_TYPE_COUNT:
		return json_is_integer(value) && integer >= 0 && integer <= DV_RPC_INT_MAX ?
			       NULL : "an integer from 0 to 2^53";
	case DV_RPC_TYPE_NUMBER:
		return json_is_number(value) ? NULL : "a number";
	case DV_RPC_TYPE_STRING:
		return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value) ?
			       NULL : "a string without NUL";
	case DV_RPC_TYPE_ADDRESS:
		return json_is_string(value) && is_address(json_string_value(value)) ?
			       NULL : "an address: a string of 0x and up to 16 hexadecimal digits";
	case DV_RPC_TYPE_BOOL:
		return json_is_boolean(value) ? NULL : "true or false";
	case DV_RPC_TYPE_ENUM:
		return is_enum(field, value) ? NULL : "one of its words";
	case DV_RPC_TYPE_OBJECT:
		return json_is_object(value) ? NULL : "an object";
	case DV_RPC_TYPE_ANY:
		break;
	}
	return NULL;
}

static struct dv_error *check_fields(const struct dv_rpc_field *fields, const json_t *object);

static struct dv_error *check_value(const struct dv_rpc_field *field, unsigned arrays, const json_t *value)
{
	const char *wanted;
	json_t *item;
	size_t i;

	if (!arrays) {
		wanted = mismatch(field, value);
		if (wanted)
			return dv_error_new(DV_ERROR_INVALID, "should be %s", wanted);
		return field->type == DV_RPC_TYPE_OBJECT ? check_fields(field->fields, value) : NULL;
	}
	if (!json_is_array(value))
		return dv_error_new(DV_ERROR_INVALID, "should be an array");
	json_array_foreach((json_t *)value, i, item)
		DV_TRY(dv_error_prefix(check_value(field, arrays - 1, item), "item %zu", i));
	return NULL;
}

static struct dv_error *check_fields(const struct dv_rpc_field *fields, const json_t *object)
{
	for (const struct dv_rpc_field *field = fields; field->name; field++) {
		const json_t *value = json_object_get(object, field->name);

		if (!value && !field->optional)
			return dv_error_new(DV_ERROR_INVALID, "%s: is missing", field->name);
		if (value)
			DV_TRY(dv_error_prefix(check_value(field, field->arrays, value), "%s", field->name));
	}
	return NULL;
}

struct dv_error *dv_rpc_check_params(const struct dv_rpc_method *method, const json_t *params)
{
	if (!json_is_object(params))
		return dv_error_new(DV_ERROR_INVALID, "params should be an object");
	return dv_error_prefix(check_fields(method->params, params), "params");
}

uint64_t dv_rpc_address(const json_t *value)
{
	return value ? strtoull(json_string_value(value), NULL, 16) : 0;
}

size_t dv_rpc_enum_index(const json_t *value, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], json_string_value(value)))
			return i;
	return 0;
}

static size_t align8(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

struct dv_error *dv_frame_begin(struct dv_buf *buf, const struct dv_rpc_frame *frame, const uint8_t *widths,
				void **ret_columns)
{
	const uint32_t magic = DV_FRAME_MAGIC, head[] = {frame->request, frame->rows};
	const uint32_t tail[] = {frame->track, frame->extra};
	const uint16_t kind[] = {frame->kind, 0};
	size_t total = 0;
	uint8_t *at;

	for (size_t i = 0; widths[i]; i++)
		total += align8((size_t)frame->rows * widths[i]);
	dv_buf_append(buf, &magic, sizeof(magic));
	dv_buf_append(buf, kind, sizeof(kind));
	dv_buf_append(buf, head, sizeof(head));
	dv_buf_append(buf, &frame->base_icount, sizeof(frame->base_icount));
	dv_buf_append(buf, tail, sizeof(tail));
	at = dv_buf_reserve(buf, total);
	if (!at)
		return dv_error_no_memory();
	memset(at, 0, total);
	buf->len += total;
	for (size_t i = 0; widths[i]; i++) {
		ret_columns[i] = at;
		at += align8((size_t)frame->rows * widths[i]);
	}
	return NULL;
}

struct dv_error *dv_frame_parse_input(const void *data, size_t len, struct dv_rpc_frame *ret,
				      const uint8_t **ret_bytes)
{
	struct dv_cursor c = dv_cursor_make(data, len);
	uint32_t magic = dv_cursor_u32(&c);
	struct dv_rpc_frame frame = {0};
	uint64_t base;
	const uint8_t *bytes;

	frame.kind = dv_cursor_u16(&c);
	dv_cursor_u16(&c);
	frame.request = dv_cursor_u32(&c);
	frame.rows = dv_cursor_u32(&c);
	base = dv_cursor_u64(&c);
	memcpy(&frame.base_icount, &base, sizeof(base));
	frame.track = dv_cursor_u32(&c);
	frame.extra = dv_cursor_u32(&c);
	bytes = dv_cursor_take(&c, frame.rows);
	if (c.truncated)
		return dv_error_new(DV_ERROR_FORMAT, "a binary frame of %zu bytes is cut short", len);
	if (magic != DV_FRAME_MAGIC || frame.kind != DV_FRAME_INPUT)
		return dv_error_new(DV_ERROR_FORMAT, "a binary frame of magic 0x%08x and kind %u; clients send "
						     "0x%08x and %d (input)",
				    magic, frame.kind, DV_FRAME_MAGIC, DV_FRAME_INPUT);
	*ret = frame;
	*ret_bytes = bytes;
	return NULL;
}
