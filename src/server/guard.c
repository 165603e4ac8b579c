/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts, origins, tokens. */
#include "server/guard.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static struct dv_error *make_token(char ret[DV_TOKEN_LENGTH + 1])
{
	uint8_t bytes[DV_TOKEN_LENGTH / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return dv_error_os(errno, "no random bytes for a token");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return NULL;
}

/* Length of the name in NAME[:PORT] or [IPV6][:PORT]; 0 when it is neither. */
static size_t name_length(const char *host)
{
	size_t len = strlen(host), name;
	const char *port;

	if (!len || len > DV_GUARD_MAX_NAME)
		return 0;
	if (*host == '[') {
		name = strspn(host + 1, "0123456789abcdefABCDEF:.") + 2;
		if (name > len || host[name - 1] != ']')
			return 0;
	} else {
		name = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
	}
	port = host + name;
	if (!*port)
		return name;
	if (*port != ':' || strlen(port) < 2 || strlen(port) > 6 || strspn(port + 1, "0123456789") != strlen(port) - 1)
		return 0;
	return name;
}

static bool has_scheme(const char *text, const char **ret_rest)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	if (!len || strncmp(text + len, "://", 3))
		return false;
	*ret_rest = text + len + 3;
	return true;
}

/* Of an http or https origin "*" would be every site. */
static bool is_origin(const char *text)
{
	const char *rest;

	if (!strcmp(text, "null"))
		return true;
	if (strlen(text) > DV_GUARD_MAX_NAME || !has_scheme(text, &rest))
		return false;
	if (!strcmp(rest, "*"))
		return strncasecmp(text, "http", 4) != 0;
	return name_length(rest);
}

struct dv_error *dv_guard_init(const char *const *hosts, const char *const *origins, struct dv_guard *ret)
{
	struct dv_guard guard = {.hosts = hosts, .origins = origins};

	for (size_t i = 0; hosts && hosts[i]; i++)
		if (!name_length(hosts[i]))
			return dv_error_new(DV_ERROR_INVALID, "'%s' is not a host: NAME or NAME:PORT", hosts[i]);
	for (size_t i = 0; origins && origins[i]; i++)
		if (!is_origin(origins[i]))
			return dv_error_new(DV_ERROR_INVALID, "'%s' is not an origin: SCHEME://HOST or "
							      "SCHEME://HOST:PORT, as https://editor.example:8443",
					    origins[i]);
	DV_TRY(make_token(guard.token));
	DV_TRY(make_token(guard.page_token));
	*ret = guard;
	return NULL;
}

static bool equal(const char *name, size_t len, const char *wanted)
{
	return strlen(wanted) == len && !strncasecmp(name, wanted, len);
}

bool dv_guard_host(const struct dv_guard *guard, const char *host)
{
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
	size_t len = name_length(host);

	if (!len)
		return false;
	for (size_t i = 0; i < DV_ARRAY_SIZE(loopback); i++)
		if (equal(host, len, loopback[i]))
			return true;
	for (size_t i = 0; guard->hosts && guard->hosts[i]; i++)
		if (equal(host, len, guard->hosts[i]) || !strcasecmp(host, guard->hosts[i]))
			return true;
	return false;
}

static bool listed(const char *origin, const char *const *origins)
{
	for (size_t i = 0; origins && origins[i]; i++) {
		size_t len = strlen(origins[i]);

		if (!strcasecmp(origin, origins[i]))
			return true;
		if (origins[i][len - 1] == '*' && !strncasecmp(origin, origins[i], len - 1))
			return true;
	}
	return false;
}

bool dv_guard_origin(const struct dv_guard *guard, const char *origin, const char *host, const char *const *more)
{
	const char *rest;

	if (!origin)
		return true;
	if (!is_origin(origin))
		return false;
	if (listed(origin, guard->origins) || listed(origin, more))
		return true;
	if (strncasecmp(origin, "http://", 7) && strncasecmp(origin, "https://", 8))
		return false;
	return has_scheme(origin, &rest) && !strcasecmp(rest, host);
}

bool dv_guard_token(const char *token, const char *given)
{
	size_t len = strlen(given);
	unsigned differs = len != DV_TOKEN_LENGTH;

	for (size_t i = 0; i < DV_TOKEN_LENGTH; i++)
		differs |= (unsigned char)token[i] ^ (unsigned char)(i < len ? given[i] : 0);
	return !differs;
}
