/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rule {
	bool udp;
	struct sockaddr_in host;
};

/* The part of *text up to the separator, which is gone over; false: there is none, or it is longer than size. */
static bool take_part(const char **text, char separator, char *part, size_t size)
{
	const char *end = strchr(*text, separator);
	size_t len = end ? (size_t)(end - *text) : size;

	if (len >= size)
		return false;
	memcpy(part, *text, len);
	part[len] = 0;
	*text = end + 1;
	return true;
}

static bool parse_address(const char *text, struct in_addr *ret)
{
	return !*text || inet_aton(text, ret);
}

static bool parse_port(const char *text, long lowest, uint16_t *ret)
{
	char *end;
	long port;

	errno = 0;
	port = strtol(text, &end, 0);
	if (end == text || *end || errno || port < lowest || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool parse(const char *text, struct rule *ret)
{
	struct rule rule = {.host = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_ANY)}}};
	struct in_addr guest;
	uint16_t port, guest_port;
	char part[64];

	if (!take_part(&text, ':', part, sizeof(part)) || (*part && strcmp(part, "tcp") && strcmp(part, "udp")))
		return false;
	rule.udp = !strcmp(part, "udp");
	if (!take_part(&text, ':', part, sizeof(part)) || !parse_address(part, &rule.host.sin_addr) ||
	    !take_part(&text, '-', part, sizeof(part)) || !parse_port(part, 0, &port) ||
	    !take_part(&text, ':', part, sizeof(part)) || !parse_address(part, &guest) ||
	    !parse_port(text, 1, &guest_port))
		return false;
	rule.host.sin_port = htons(port);
	*ret = rule;
	return true;
}

bool dv_forward_is_rule(const char *rule)
{
	struct rule parsed;

	return parse(rule, &parsed);
}

struct dv_error *dv_forward_check(const char *text)
{
	struct rule rule;
	int fd, on = 1, why = 0;

	if (!parse(text, &rule))
		return dv_error_new(DV_ERROR_INVALID, "\"%s\" forwards no port", text);
	fd = socket(AF_INET, (rule.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return dv_error_os(errno, "a socket for hostfwd=%s", text);
	/* One that nobody listens on any more may be taken again, as QEMU does. */
	if (!rule.udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&rule.host, sizeof(rule.host)))
		why = errno;
	close(fd);
	if (!why)
		return NULL;
	return dv_error_os(why, "hostfwd=%s: the host's port %u cannot be forwarded; end what uses it, or take another",
			   text, ntohs(rule.host.sin_port));
}
