/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may speak to the daemon, decided on strings alone: the Host and Origin of a request, its token.
 *
 * A page of another site can make the user's browser send requests here. With DNS rebinding they bear
 * that site's name as Host; a cross-site WebSocket bears its Origin. Both are refused unless the user has
 * named them. What is not a browser sends no Origin, and needs the token as well.
 */
#ifndef DV_SERVER_GUARD_H
#define DV_SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

#define DV_TOKEN_LENGTH 32   /* hexadecimal digits: 128 bits */
#define DV_GUARD_MAX_NAME 255 /* of a host or an origin */

struct dv_guard {
	char token[DV_TOKEN_LENGTH + 1];
	/* Lets the browser fetch the page's other files, and nothing else: cookies know no ports, so that a
	 * server on another port of this machine can see it. */
	char page_token[DV_TOKEN_LENGTH + 1];
	const char *const *hosts;   /* NAME or NAME:PORT, NULL-terminated; NULL: none. Borrowed */
	const char *const *origins; /* SCHEME://HOST[:PORT], a whole scheme, or null */
};

/* Makes the tokens. Errors: DV_ERROR_OS; DV_ERROR_INVALID for a host or an origin that can never match. */
struct dv_error *dv_guard_init(const char *const *hosts, const char *const *origins, struct dv_guard *ret);

/* Whether Host names this machine (localhost, 127.0.0.1, [::1], with any port) or is allowed. */
bool dv_guard_host(const struct dv_guard *guard, const char *host);
/*
 * Whether an Origin is that of the daemon itself, as the browser sees it, or allowed. NULL is: no browser
 * sent it. host: the request's, which dv_guard_host() took. more: origins allowed besides, or NULL.
 */
bool dv_guard_origin(const struct dv_guard *guard, const char *origin, const char *host,
		     const char *const *more);
/* Compares in a time that does not depend on what is in given. */
bool dv_guard_token(const char *token, const char *given);

#endif
