/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gdb's machine interface: its lines, and a client against a peer. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "replay/mi.h"
#include "test.h"

static void check_line(const char *text, enum dv_mi_kind kind, uint64_t token, const char *class, const char *values)
{
	struct dv_mi_line line;
	char *json;

	CHECK_OK(dv_mi_parse(text, &line));
	CHECK_EQ(line.kind, kind);
	CHECK_EQ(line.token, token);
	CHECK_STR(line.class ? line.class : "", class);
	json = line.values ? json_dumps(line.values, JSON_COMPACT) : strdup("");
	CHECK_STR(json, values);
	free(json);
	dv_mi_line_deinit(&line);
}

TEST(lines_are_what_they_say)
{
	check_line("(gdb) ", DV_MI_PROMPT, 0, "", "");
	check_line("^done", DV_MI_RESULT, 0, "done", "{}");
	check_line("12^error,msg=\"No symbol \\\"x\\\" in current context.\"", DV_MI_RESULT, 12, "error",
		   "{\"msg\":\"No symbol \\\"x\\\" in current context.\"}");
	check_line("*stopped,reason=\"breakpoint-hit\",frame={addr=\"0x1\",args=[{name=\"n\",value=\"3\"}]}", DV_MI_EXEC, 0,
		   "stopped",
		   "{\"reason\":\"breakpoint-hit\",\"frame\":{\"addr\":\"0x1\",\"args\":[{\"name\":\"n\",\"value\":\"3\"}]}}");
	check_line("3^done,stack=[frame={level=\"0\"},frame={level=\"1\"}],empty=[],none={}", DV_MI_RESULT, 3, "done",
		   "{\"stack\":[{\"level\":\"0\"},{\"level\":\"1\"}],\"empty\":[],\"none\":{}}");
	check_line("~\"a\\tb\\n\\303\\244\"", DV_MI_CONSOLE, 0, "a\tb\n\303\244", "");
	check_line("&\"x\"", DV_MI_LOG, 0, "x", "");
	check_line("=thread-group-added,id=\"i1\"", DV_MI_NOTIFY, 0, "thread-group-added", "{\"id\":\"i1\"}");
	check_line("^done,value=\"\\377\\000z\"", DV_MI_RESULT, 0, "done", "{\"value\":\"\\\\xffz\"}");
}

TEST(lines_that_do_not_fit_are_refused)
{
	static const char *const rows[] = {
		"", "hello", "^done,", "^done,a", "^done,a=", "^done,a=\"x", "^done,a={b=\"c\"", "^done,a=[\"b\"",
		"^done,a=\"x\"]", "~\"x\"y", "~x", "^done,a={,}", "^done,=\"x\"", "^done,a=[b]"};
	struct dv_mi_line line;
	char deep[400];

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		struct dv_error *err = dv_mi_parse(rows[i], &line);

		if (!err && !strcmp(rows[i], "^done,")) {
			dv_mi_line_deinit(&line); /* gdb itself ends lists so, now and then */
			continue;
		}
		CHECK(err);
		CHECK_EQ(err->code, DV_ERROR_PROTOCOL);
		dv_error_destroy(err);
	}
	memset(deep, '[', sizeof(deep) - 1);
	memcpy(deep, "^done,a=", 8);
	deep[sizeof(deep) - 1] = 0;
	CHECK_ERROR(dv_mi_parse(deep, &line), DV_ERROR_PROTOCOL,
		    "gdb's answer does not fit its syntax at '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['");
}

TEST(quotes_are_escaped)
{
	char *quoted = dv_mi_quote("a \"b\" \\ c\nd");

	CHECK_STR(quoted, "\"a \\\"b\\\" \\\\ c\\nd\"");
	free(quoted);
}

/* Answers each line in two pieces, with something in between; hangs up on "-gdb-exit". */
static void *be_gdb(void *fd_pointer)
{
	int fd = *(int *)fd_pointer;
	char line[256];
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
		char answer[256], *end;
		unsigned long long token;

		line[n] = 0;
		token = strtoull(line, &end, 10);
		if (!strncmp(end, "-gdb-exit", 9))
			break;
		if (!strncmp(end, "-wait", 5))
			continue;
		snprintf(answer, sizeof(answer), "not MI at all\n*stopped,reason=\"%s\"\r\n%llu^", "signal", token);
		CHECK(write(fd, answer, strlen(answer)) > 0);
		snprintf(answer, sizeof(answer), strncmp(end, "-bad", 4) ? "done,was=\"yes\"\n(gdb) \n" : "error,msg=\"no\"\n");
		CHECK(write(fd, answer, strlen(answer)) > 0);
	}
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

struct heard {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int stops;
	bool gone;
};

static void on_line(void *context, const struct dv_mi_line *line)
{
	struct heard *h = context;

	pthread_mutex_lock(&h->lock);
	h->stops += line && line->kind == DV_MI_EXEC;
	h->gone |= !line;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

TEST(commands_get_their_results)
{
	struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	struct dv_mi *mi;
	pthread_t peer;
	json_t *json = NULL;
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	CHECK_EQ(pthread_create(&peer, NULL, be_gdb, &fds[1]), 0);
	CHECK_OK(dv_mi_create(fds[0], fds[0], on_line, &heard, &mi));
	CHECK_OK(dv_mi_run(mi, 10000, &json, "-good %d", 1));
	CHECK_STR(json_string_value(json_object_get(json, "was")), "yes");
	json_decref(json);
	CHECK_ERROR(dv_mi_run(mi, 10000, NULL, "-bad"), DV_ERROR_INVALID, "no");
	CHECK_ERROR(dv_mi_run(mi, 1, NULL, "-wait"), DV_ERROR_TIMEOUT, "gdb has not answered '-wait' in 0 s");
	CHECK_ERROR(dv_mi_run(mi, 10000, NULL, "-gdb-exit"), DV_ERROR_EXITED, "gdb has ended");
	pthread_mutex_lock(&heard.lock);
	while (!heard.gone)
		pthread_cond_wait(&heard.changed, &heard.lock);
	CHECK_EQ(heard.stops, 2);
	pthread_mutex_unlock(&heard.lock);
	dv_mi_destroy(mi);
	pthread_join(peer, NULL);
}
