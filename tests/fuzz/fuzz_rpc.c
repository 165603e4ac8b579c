/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clients of the daemon send. The first byte says what the rest is: a message, a frame, a QueryArgs, a host
 * and an origin. */
#include <string.h>
#include "fuzz.h"
#include "rpc/perfetto.h"
#include "rpc/protocol.h"
#include "rpc/text.h"
#include "server/guard.h"

static void take_message(const uint8_t *data, size_t size)
{
	json_t *message = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL), *params;
	const char *name = json_string_value(json_object_get(message, "method"));
	const struct dv_rpc_method *method = name ? dv_rpc_method_find(name) : NULL;

	params = json_object_get(message, "params");
	if (method && params)
		dv_error_destroy(dv_rpc_check_params(method, params));
	json_decref(message);
}

static void take_frame(const uint8_t *data, size_t size)
{
	struct dv_rpc_frame frame;
	const uint8_t *bytes;
	struct dv_error *err = dv_frame_parse_input(data, size, &frame, &bytes);
	volatile uint8_t sum = 0;

	for (size_t i = 0; !err && i < frame.rows; i++)
		sum = (uint8_t)(sum + bytes[i]);
	dv_error_destroy(err);
}

static void take_query(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *sql = NULL;

	dv_error_destroy(dv_perfetto_parse_query(data, size, &sql));
}

/* Whatever a name from a guest holds, JSON comes of it. */
static void take_text(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	json_t *json;

	dv_json_append_string(&buf, (const char *)data, size);
	json = json_loadb((const char *)buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!buf.failed)
		dv_assert(json);
	json_decref(json);
}

/* "HOST\nORIGIN" */
static void take_names(const uint8_t *data, size_t size)
{
	static const char *const hosts[] = {"proxy.example", NULL}, *const origins[] = {"https://a.example", "x://*", NULL};
	const struct dv_guard guard = {.hosts = hosts, .origins = origins};
	_cleanup_free_ char *host = strndup((const char *)data, size);
	char *origin = host ? strchr(host, '\n') : NULL;

	if (!host)
		return;
	if (origin)
		*origin++ = '\0';
	/* No line ends get into a response by way of them. */
	if (dv_guard_host(&guard, host))
		dv_assert(!strpbrk(host, "\r\n ;"));
	if (origin && dv_guard_origin(&guard, origin, host, NULL))
		dv_assert(!strpbrk(origin, "\r\n ;"));
	dv_guard_token("0123456789abcdef0123456789abcdef", host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const takes[])(const uint8_t *data, size_t size) = {take_message, take_frame, take_query, take_names,
									  take_text};

	if (size && *data - '0' >= 0 && (size_t)(*data - '0') < DV_ARRAY_SIZE(takes))
		takes[*data - '0'](data + 1, size - 1);
	return 0;
}
