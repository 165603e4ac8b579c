/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dap/transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/io.h"

#define READ_BYTES 65536

struct dv_dap_transport {
	int in_fd, out_fd;
	struct dv_buf in;
	pthread_mutex_t lock; /* of sending */
	bool gone;
};

struct dv_error *dv_dap_transport_create(int in_fd, int out_fd, struct dv_dap_transport **ret)
{
	struct dv_dap_transport *t = calloc(1, sizeof(*t));

	if (!t)
		return dv_error_no_memory();
	t->in_fd = in_fd;
	t->out_fd = out_fd;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return NULL;
}

void dv_dap_transport_destroy(struct dv_dap_transport *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	dv_buf_deinit(&t->in);
	free(t);
}

/* ---- a message ---- */

/* The value of Content-Length in a header of len bytes; false when there is none that is sane. */
static bool find_length(const char *header, size_t len, size_t *ret)
{
	static const char name[] = "content-length:";
	const char *line = header, *end = header + len;

	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		char value[24] = "", *stop;

		next = next ? next + 1 : end;
		if ((size_t)(next - line) > strlen(name) && !strncasecmp(line, name, strlen(name))) {
			size_t value_len = (size_t)(next - line) - strlen(name);

			if (value_len >= sizeof(value))
				return false;
			memcpy(value, line + strlen(name), value_len);
			*ret = strtoull(value, &stop, 10);
			return stop != value && !strchr(value, '-') && strspn(stop, " \r\n") == strlen(stop);
		}
		line = next;
	}
	return false;
}

struct dv_error *dv_dap_parse(const char *bytes, size_t len, size_t *ret_used, json_t **ret)
{
	const char *end = len ? memmem(bytes, len, "\r\n\r\n", 4) : NULL; /* no bytes may be NULL */
	size_t header = end ? (size_t)(end - bytes) + 4 : 0, body;
	json_error_t why;

	*ret_used = 0;
	*ret = NULL;
	if (!end && len < DV_DAP_MAX_HEADER_BYTES)
		return NULL;
	if (!end || header > DV_DAP_MAX_HEADER_BYTES || !find_length(bytes, header - 2, &body))
		return dv_error_new(DV_ERROR_PROTOCOL, "what came is no message of the Debug Adapter Protocol: no "
						       "Content-Length in its header");
	if (body > DV_DAP_MAX_MESSAGE_BYTES)
		return dv_error_new(DV_ERROR_PROTOCOL, "a message of %zu bytes; the most is %u", body,
				    DV_DAP_MAX_MESSAGE_BYTES);
	if (len - header < body)
		return NULL;
	*ret = json_loadb(bytes + header, body, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		return dv_error_new(DV_ERROR_PROTOCOL, "a message is no JSON object: %s", why.text);
	}
	*ret_used = header + body;
	return NULL;
}

/* ---- the descriptors ---- */

struct dv_error *dv_dap_receive(struct dv_dap_transport *t, json_t **ret)
{
	for (;;) {
		size_t used;
		uint8_t *to;
		ssize_t n;

		DV_TRY(dv_dap_parse((const char *)t->in.data, t->in.len, &used, ret));
		if (used) {
			memmove(t->in.data, t->in.data + used, t->in.len - used);
			t->in.len -= used;
			return NULL;
		}
		to = dv_buf_reserve(&t->in, READ_BYTES);
		if (!to)
			return dv_error_no_memory();
		n = read(t->in_fd, to, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ECONNRESET)
			return dv_error_os(errno, "the client cannot be read from");
		if (n <= 0)
			return NULL;
		t->in.len += (size_t)n;
	}
}

struct dv_error *dv_dap_send(struct dv_dap_transport *t, json_t *message)
{
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	struct dv_error *err = NULL;

	json_decref(message);
	if (text)
		dv_buf_printf(&out, "Content-Length: %zu\r\n\r\n%s", strlen(text), text);
	if (!text || out.failed)
		return dv_error_no_memory();
	pthread_mutex_lock(&t->lock);
	if (!t->gone)
		err = dv_write_all(t->out_fd, out.data, out.len, "the client");
	if (err && err->code == DV_ERROR_OS && (err->os_errno == EPIPE || err->os_errno == ECONNRESET)) {
		t->gone = true;
		dv_error_destroy(err);
		err = NULL;
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}
