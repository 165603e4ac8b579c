/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP: who is let in, what a response begins with, files. */
#include <string.h>
#include <strings.h>
#include "base/io.h"
#include "server/private.h"

#define MAX_FILE_BYTES (64u << 20)
#define MAX_HEADER 2048

static const char *reason_of(int status)
{
	switch (status) {
	case 200: return "OK";
	case 204: return "No Content";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 411: return "Length Required";
	case 413: return "Content Too Large";
	case 426: return "Upgrade Required";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

/*
 * Scripts come from the daemon alone, and talk to it alone. Styles may be inline: the terminal and the
 * editor component make theirs as they run. Only allowed origins may show the page in a frame.
 */
static void policy(struct dv_buf *to, const struct dv_peer *peer)
{
	const char *const *origins = peer->server->guard.origins;

	dv_buf_printf(to, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
			  "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
			  "worker-src 'self' blob:; connect-src 'self' ws://%s wss://%s; base-uri 'none'; "
			  "form-action 'none'; frame-ancestors 'self'",
		      peer->host, peer->host);
	for (size_t i = 0; origins && origins[i]; i++)
		if (strcmp(origins[i], "null"))
			dv_buf_printf(to, " %s", origins[i]);
	dv_buf_printf(to, "\r\n");
}

static void cross_origin(struct dv_buf *to, const struct dv_peer *peer)
{
	dv_buf_printf(to, "Vary: Origin\r\nCross-Origin-Resource-Policy: %s\r\n",
		      *peer->origin ? "cross-origin" : "same-origin");
	if (!*peer->origin)
		return;
	dv_buf_printf(to, "Access-Control-Allow-Origin: %s\r\n"
			  "Access-Control-Allow-Methods: GET, POST\r\n"
			  "Access-Control-Allow-Headers: authorization, content-type, x-seq-id\r\n"
			  "Access-Control-Allow-Private-Network: true\r\nAccess-Control-Max-Age: 600\r\n",
		      peer->origin);
}

void dv_http_head(struct dv_buf *to, const struct dv_peer *peer, int status, const char *content_type,
		  int64_t length)
{
	dv_buf_printf(to, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	if (content_type)
		dv_buf_printf(to, "Content-Type: %s\r\n", content_type);
	if (length >= 0)
		dv_buf_printf(to, "Content-Length: %lld\r\n", (long long)length);
	else if (!peer->is_http10)
		dv_buf_printf(to, "Transfer-Encoding: chunked\r\n");
	if (peer->closes)
		dv_buf_printf(to, "Connection: close\r\n");
	dv_buf_printf(to, "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"
			  "Referrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n");
	cross_origin(to, peer);
	if (content_type && !strncmp(content_type, "text/html", 9))
		policy(to, peer);
	if (peer->sets_cookie)
		dv_buf_printf(to, "Set-Cookie: dejaview-%u=%s; Path=/; HttpOnly; SameSite=Strict\r\n",
			      peer->server->port, peer->server->guard.page_token);
	dv_buf_printf(to, "\r\n");
}

/* A header's value, all its occurrences; -1 when it is longer than the room, 0 when it is not there. */
static int header(struct dv_peer *peer, enum lws_token_indexes which, char *ret, size_t size)
{
	int len = lws_hdr_total_length(peer->wsi, which);

	*ret = '\0';
	if (len <= 0)
		return 0;
	if ((size_t)len >= size)
		return -1;
	return lws_hdr_copy(peer->wsi, ret, (int)size, which);
}

static bool has_token(struct dv_peer *peer)
{
	const char *token = peer->server->guard.token;
	char value[MAX_HEADER];
	const char *argument = lws_get_urlarg_by_name(peer->wsi, "token=", value, sizeof(value));

	if (argument && dv_guard_token(token, argument))
		return true;
	return header(peer, WSI_TOKEN_HTTP_AUTHORIZATION, value, sizeof(value)) > 0 &&
	       !strncasecmp(value, "Bearer ", 7) && dv_guard_token(token, value + 7);
}

static bool has_cookie(struct dv_peer *peer)
{
	char value[MAX_HEADER], name[32], *save = NULL;
	size_t len = (size_t)snprintf(name, sizeof(name), "dejaview-%u=", peer->server->port);

	if (header(peer, WSI_TOKEN_HTTP_COOKIE, value, sizeof(value)) <= 0)
		return false;
	for (char *pair = strtok_r(value, "; ", &save); pair; pair = strtok_r(NULL, "; ", &save))
		if (!strncmp(pair, name, len) && dv_guard_token(peer->server->guard.page_token, pair + len))
			return true;
	return false;
}

/* 0: the route is found, or it is a file. */
static int find_route(struct dv_peer *peer, enum dv_http_method method)
{
	for (const struct dv_route *route = peer->server->routes; route->path; route++) {
		if (strcmp(route->path, peer->path))
			continue;
		peer->route = route;
		if (route->methods & method)
			return 0;
		return route->methods == DV_WEBSOCKET ? 426 : 405;
	}
	return method == DV_HTTP_GET ? 0 : 404;
}

static int check_body(struct dv_peer *peer)
{
	char value[32];
	int len = header(peer, WSI_TOKEN_HTTP_CONTENT_LENGTH, value, sizeof(value));

	/* With both, others on the way could take another length for the body's. */
	if (!len || strspn(value, "0123456789") != strlen(value) ||
	    lws_hdr_total_length(peer->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING))
		return 411;
	return len < 0 || len > 9 || strtoul(value, NULL, 10) > DV_SERVER_MAX_MESSAGE ? 413 : 0;
}

int dv_http_admit(struct dv_peer *peer, enum dv_http_method method, const char *path)
{
	const struct dv_guard *guard = &peer->server->guard;
	char origin[DV_GUARD_MAX_NAME + 1], version[16];
	enum dv_access access;
	int status, len;

	header(peer, WSI_TOKEN_HTTP, version, sizeof(version));
	peer->is_http10 = !strstr(version, "1.1");
	if (strlen(path) >= sizeof(peer->path))
		return 404;
	strcpy(peer->path, path);
	if (header(peer, WSI_TOKEN_HOST, peer->host, sizeof(peer->host)) <= 0 || !dv_guard_host(guard, peer->host)) {
		*peer->host = '\0';
		return 403;
	}
	status = find_route(peer, method);
	len = header(peer, WSI_TOKEN_ORIGIN, origin, sizeof(origin));
	if (len < 0 || (len > 0 && !dv_guard_origin(guard, origin, peer->host, peer->route ? peer->route->origins : NULL)))
		return 403;
	if (len > 0)
		strcpy(peer->origin, origin);
	access = peer->route ? peer->route->access : DV_ACCESS_PAGE;
	if (access != DV_ACCESS_OPEN && !has_token(peer) && !(access == DV_ACCESS_PAGE && has_cookie(peer)))
		return 401;
	peer->sets_cookie = access == DV_ACCESS_PAGE && has_token(peer);
	if (status || method != DV_HTTP_POST)
		return status;
	return check_body(peer);
}

static const char *advice(int status)
{
	switch (status) {
	case 401: return "This needs the token: open the URL that 'dejaview serve' printed.";
	case 403: return "The request's Host or Origin is not allowed. Behind a proxy, or from an editor, start "
			 "'dejaview serve' with --allow-host HOST or --allow-origin ORIGIN.";
	case 404: return "There is no such thing here.";
	case 405: return "Not with that method.";
	case 411: return "A request with a body needs its Content-Length.";
	case 413: return "That is too large.";
	case 426: return "This is a WebSocket.";
	case 503: return "There are too many connections. Close some.";
	default: return "The request is malformed.";
	}
}

void dv_http_refuse(struct dv_peer *peer, int status)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	/* What comes of it is not read: a body that is not wanted must not pass for the next request. */
	peer->closes = true;
	dv_buf_printf(&text, "%d %s\n%s\n", status, reason_of(status), advice(status));
	dv_peer_respond(peer, status, "text/plain; charset=utf-8", text.data, text.len);
}

/* A path within the folder: no component begins with a dot, nothing but plain letters. */
static bool is_plain(const char *path)
{
	return strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == strlen(path) &&
	       !strstr(path, "/.") && *path == '/';
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"}, {".json", "application/json"}, {".map", "application/json"},
		{".svg", "image/svg+xml"}, {".png", "image/png"}, {".ico", "image/x-icon"},
		{".woff2", "font/woff2"}, {".txt", "text/plain; charset=utf-8"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < DV_ARRAY_SIZE(types); i++)
		if (!strcmp(dot, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

void dv_http_file(struct dv_peer *peer)
{
	const struct dv_server *server = peer->server;
	const char *name = !strcmp(peer->path, "/") ? "/index.html" : peer->path;
	_cleanup_buf_ struct dv_buf data = DV_BUF_INIT;
	_cleanup_free_ char *path = NULL;
	struct dv_error *err;

	if (!server->files && !strcmp(name, "/index.html")) {
		dv_peer_respond(peer, 200, type_of(name), server->no_files_page, strlen(server->no_files_page));
		return;
	}
	if (!server->files || !is_plain(name)) {
		dv_http_refuse(peer, 404);
		return;
	}
	path = dv_path_join(server->files, name + 1);
	err = path ? dv_read_file(path, MAX_FILE_BYTES, &data) : dv_error_no_memory();
	if (err)
		dv_http_refuse(peer, err->code == DV_ERROR_NO_MEMORY ? 500 : 404);
	else
		dv_peer_respond(peer, 200, type_of(name), data.data, data.len);
	dv_error_destroy(err);
}
