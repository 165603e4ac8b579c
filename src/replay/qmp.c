/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP: lines of JSON in and out. */
#include "replay/qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "base/buf.h"

/* A longer line than any answer to what is asked here. */
#define QMP_MAX_LINE_BYTES (16u << 20)
#define QMP_MAX_EVENTS 4096

struct dv_qmp {
	int fd;
	struct dv_buf in;
	json_t *events;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct dv_error *wait_readable(int fd, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline_ms - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return NULL;
		if (n == 0)
			return dv_error_new(DV_ERROR_TIMEOUT, "QMP: no answer in time");
		if (errno != EINTR)
			return dv_error_os(errno, "QMP: poll");
	}
}

/* The next line as JSON (new reference). */
static struct dv_error *read_message(struct dv_qmp *qmp, int64_t deadline_ms, json_t **ret)
{
	for (;;) {
		uint8_t *end = qmp->in.len ? memchr(qmp->in.data, '\n', qmp->in.len) : NULL;
		ssize_t n;

		if (end) {
			size_t len = (size_t)(end - qmp->in.data);
			json_error_t error;
			json_t *message = json_loadb((const char *)qmp->in.data, len, 0, &error);

			qmp->in.len -= len + 1;
			memmove(qmp->in.data, end + 1, qmp->in.len);
			if (!json_is_object(message)) {
				json_decref(message);
				return dv_error_new(DV_ERROR_PROTOCOL, "QMP: not a JSON object: %s", error.text);
			}
			*ret = message;
			return NULL;
		}
		if (qmp->in.len > QMP_MAX_LINE_BYTES)
			return dv_error_new(DV_ERROR_PROTOCOL, "QMP: a line of more than %u bytes",
					    QMP_MAX_LINE_BYTES);
		if (!dv_buf_reserve(&qmp->in, 65536))
			return dv_error_no_memory();
		DV_TRY(wait_readable(qmp->fd, deadline_ms));
		n = read(qmp->fd, qmp->in.data + qmp->in.len, 65536);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return dv_error_new(DV_ERROR_EXITED, "QMP: QEMU closed the connection");
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return dv_error_os(errno, "QMP: cannot read");
		if (n > 0)
			qmp->in.len += (size_t)n;
	}
}

/* True when it was an event, which then is kept. */
static bool keep_event(struct dv_qmp *qmp, json_t *message)
{
	if (!json_is_string(json_object_get(message, "event")))
		return false;
	if (json_array_size(qmp->events) >= QMP_MAX_EVENTS)
		json_array_remove(qmp->events, 0);
	json_array_append(qmp->events, message);
	return true;
}

struct dv_error *dv_qmp_create(int fd, int timeout_ms, struct dv_qmp **ret)
{
	struct dv_qmp *qmp = calloc(1, sizeof(*qmp));
	json_t *greeting = NULL;
	struct dv_error *err;

	if (!qmp) {
		close(fd);
		return dv_error_no_memory();
	}
	qmp->fd = fd;
	qmp->events = json_array();
	err = read_message(qmp, now_ms() + timeout_ms, &greeting);
	if (!err && !json_object_get(greeting, "QMP"))
		err = dv_error_new(DV_ERROR_PROTOCOL, "QMP: the peer's greeting is none");
	json_decref(greeting);
	if (!err)
		err = dv_qmp_run(qmp, "qmp_capabilities", NULL, timeout_ms, NULL);
	if (err) {
		dv_qmp_destroy(qmp);
		return err;
	}
	*ret = qmp;
	return NULL;
}

void dv_qmp_destroy(struct dv_qmp *qmp)
{
	if (!qmp)
		return;
	close(qmp->fd);
	dv_buf_deinit(&qmp->in);
	json_decref(qmp->events);
	free(qmp);
}

int dv_qmp_fd(const struct dv_qmp *qmp)
{
	return qmp->fd;
}

static struct dv_error *send_command(struct dv_qmp *qmp, const char *command, json_t *arguments)
{
	json_t *message = json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t len, done = 0;

	json_decref(message);
	if (!text)
		return dv_error_no_memory();
	len = strlen(text);
	text[len++] = '\n';
	while (done < len) {
		ssize_t n = send(qmp->fd, text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return dv_error_new(DV_ERROR_EXITED, "QMP %s: QEMU closed the connection", command);
		if (n < 0)
			return dv_error_os(errno, "QMP %s: cannot send", command);
		done += (size_t)n;
	}
	return NULL;
}

struct dv_error *dv_qmp_run(struct dv_qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
			    json_t **ret)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	struct dv_error *err = send_command(qmp, command, arguments);

	while (!err) {
		json_t *message = NULL, *answer;
		const char *desc;

		err = read_message(qmp, deadline_ms, &message);
		if (err)
			break;
		if (keep_event(qmp, message)) {
			json_decref(message);
			continue;
		}
		answer = json_object_get(message, "return");
		desc = json_string_value(json_object_get(json_object_get(message, "error"), "desc"));
		if (!answer)
			err = dv_error_new(DV_ERROR_PROTOCOL, "QMP %s: %s", command,
					   desc ? desc : "an answer that is none");
		else if (ret)
			*ret = json_incref(answer);
		json_decref(message);
		return err;
	}
	return dv_error_prefix(err, "%s", command);
}

struct dv_error *dv_qmp_human(struct dv_qmp *qmp, const char *line, int timeout_ms, char **ret)
{
	json_t *answer = NULL;

	DV_TRY(dv_qmp_run(qmp, "human-monitor-command", json_pack("{s:s}", "command-line", line), timeout_ms, &answer));
	*ret = strdup(json_string_value(answer) ?: "");
	json_decref(answer);
	return *ret ? NULL : dv_error_no_memory();
}

struct dv_error *dv_qmp_event(struct dv_qmp *qmp, int timeout_ms, json_t **ret)
{
	int64_t deadline_ms = now_ms() + timeout_ms;

	*ret = NULL;
	while (!json_array_size(qmp->events)) {
		json_t *message = NULL;
		struct dv_error *err = read_message(qmp, deadline_ms, &message);

		if (err && err->code == DV_ERROR_TIMEOUT) {
			dv_error_destroy(err);
			return NULL;
		}
		if (err)
			return err;
		keep_event(qmp, message); /* an answer to nothing is dropped */
		json_decref(message);
	}
	*ret = json_incref(json_array_get(qmp->events, 0));
	json_array_remove(qmp->events, 0);
	return NULL;
}

struct dv_error *dv_unix_connect(const char *path, int timeout_ms, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t deadline_ms = now_ms() + timeout_ms;

	if (strlen(path) >= sizeof(address.sun_path))
		return dv_error_new(DV_ERROR_INVALID, "%s: longer than a socket's path can be (%zu bytes)", path,
				    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return dv_error_os(errno, "cannot make a socket");
		if (!connect(fd, (struct sockaddr *)&address, sizeof(address))) {
			*ret_fd = fd;
			return NULL;
		}
		close(fd);
		if (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN)
			return dv_error_os(errno, "%s: cannot connect", path);
		if (now_ms() >= deadline_ms)
			return dv_error_new(DV_ERROR_TIMEOUT, "%s: nobody listens there", path);
		poll(NULL, 0, 10);
	}
}
