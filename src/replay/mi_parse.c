/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GDB/MI's output syntax: see mi.h. By recursive descent over one line. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "replay/mi.h"

static struct dv_error *unfit(const char *at)
{
	return dv_error_new(DV_ERROR_PROTOCOL, "gdb's answer does not fit its syntax at '%.40s'", at);
}

static int octal(const char *s)
{
	if (s[0] < '0' || s[0] > '3' || s[1] < '0' || s[1] > '7' || s[2] < '0' || s[2] > '7')
		return -1;
	return (s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0');
}

/* A C string, *at on its first quote. */
static struct dv_error *parse_string(const char **at, char **ret)
{
	static const char letters[] = "ntrabfve", bytes[] = "\n\t\r\a\b\f\v\033";
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	const char *s = *at;

	if (*s++ != '"')
		return unfit(*at);
	for (; *s && *s != '"'; s++) {
		char c = *s;
		const char *letter;

		if (c == '\\' && !*++s)
			break;
		if (c == '\\') {
			letter = strchr(letters, *s);
			c = letter ? bytes[letter - letters] : *s;
			if (octal(s) >= 0) {
				c = (char)octal(s);
				s += 2;
			}
		}
		if (c) /* strings end at NUL here, as they do for gdb's readers */
			dv_buf_append(&text, &c, 1);
	}
	if (*s != '"')
		return unfit(*at);
	*at = s + 1;
	*ret = dv_buf_steal_string(&text);
	return *ret ? NULL : dv_error_no_memory();
}

static struct dv_error *parse_value(const char **at, int depth, json_t **ret);

/* The guest's strings may be any bytes: what is no UTF-8 is shown byte by byte. */
static json_t *to_json(const char *text)
{
	_cleanup_buf_ struct dv_buf safe = DV_BUF_INIT;
	json_t *json = json_string(text);

	if (json)
		return json;
	for (; *text; text++) {
		if ((unsigned char)*text < 0x80)
			dv_buf_append(&safe, text, 1);
		else
			dv_buf_printf(&safe, "\\x%02x", (unsigned char)*text);
	}
	return safe.failed ? NULL : json_stringn((const char *)safe.data, safe.len);
}

/* NAME=VALUE */
static struct dv_error *parse_pair(const char **at, int depth, char **ret_name, json_t **ret)
{
	size_t len = strcspn(*at, "=,]}\"");

	if (!len || (*at)[len] != '=')
		return unfit(*at);
	*ret_name = strndup(*at, len);
	if (!*ret_name)
		return dv_error_no_memory();
	*at += len + 1;
	return parse_value(at, depth, ret);
}

/* Pairs up to `end`, *at behind the opening one. */
static struct dv_error *parse_pairs(const char **at, char end, int depth, json_t *into)
{
	while (**at && **at != end) {
		_cleanup_free_ char *name = NULL;
		json_t *value;

		DV_TRY(parse_pair(at, depth, &name, &value));
		if (json_object_set_new(into, name, value))
			return dv_error_no_memory();
		if (**at == ',')
			++*at;
		else if (**at != end)
			return unfit(*at);
	}
	if (**at != end)
		return unfit(*at);
	return NULL;
}

static struct dv_error *parse_list(const char **at, int depth, json_t *into)
{
	while (**at && **at != ']') {
		bool named = **at != '"' && **at != '{' && **at != '[';
		_cleanup_free_ char *name = NULL;
		json_t *value;

		DV_TRY(named ? parse_pair(at, depth, &name, &value) : parse_value(at, depth, &value));
		if (json_array_append_new(into, value))
			return dv_error_no_memory();
		if (**at == ',')
			++*at;
		else if (**at != ']')
			return unfit(*at);
	}
	return **at == ']' ? NULL : unfit(*at);
}

static struct dv_error *parse_value(const char **at, int depth, json_t **ret)
{
	_cleanup_free_ char *text = NULL;
	struct dv_error *err;
	json_t *value;
	bool is_list = **at == '[';

	if (**at == '"') {
		DV_TRY(parse_string(at, &text));
		*ret = to_json(text);
		return *ret ? NULL : dv_error_no_memory();
	}
	if ((**at != '{' && !is_list) || depth >= DV_MI_MAX_NESTING)
		return unfit(*at);
	++*at;
	value = is_list ? json_array() : json_object();
	if (!value)
		return dv_error_no_memory();
	err = is_list ? parse_list(at, depth + 1, value) : parse_pairs(at, '}', depth + 1, value);
	if (err) {
		json_decref(value);
		return err;
	}
	++*at;
	*ret = value;
	return NULL;
}

/* CLASS[,NAME=VALUE...] */
static struct dv_error *parse_record(const char *at, struct dv_mi_line *line)
{
	size_t len = strcspn(at, ",");

	line->class = strndup(at, len);
	line->values = json_object();
	if (!line->class || !line->values)
		return dv_error_no_memory();
	at += len;
	if (*at == ',')
		at++;
	return parse_pairs(&at, 0, 0, line->values);
}

static struct dv_error *parse(const char *at, struct dv_mi_line *line)
{
	static const char records[] = "^*+=", texts[] = "~@&";
	char *end;
	const char *mark;

	if (!strncmp(at, "(gdb)", 5)) {
		line->kind = DV_MI_PROMPT;
		return NULL;
	}
	line->token = strtoull(at, &end, 10);
	at = *at >= '0' && *at <= '9' ? end : at;
	mark = *at ? strchr(records, *at) : NULL;
	if (mark) {
		line->kind = (enum dv_mi_kind)(DV_MI_RESULT + (mark - records));
		return parse_record(at + 1, line);
	}
	mark = *at ? strchr(texts, *at) : NULL;
	if (!mark)
		return unfit(at);
	line->kind = (enum dv_mi_kind)(DV_MI_CONSOLE + (mark - texts));
	at++;
	DV_TRY(parse_string(&at, &line->class));
	return *at ? unfit(at) : NULL;
}

struct dv_error *dv_mi_parse(const char *text, struct dv_mi_line *ret)
{
	struct dv_mi_line line = {0};
	struct dv_error *err = parse(text, &line);

	if (err) {
		dv_mi_line_deinit(&line);
		return err;
	}
	*ret = line;
	return NULL;
}

void dv_mi_line_deinit(struct dv_mi_line *line)
{
	free(line->class);
	json_decref(line->values);
	*line = (struct dv_mi_line){0};
}

char *dv_mi_quote(const char *text)
{
	_cleanup_buf_ struct dv_buf quoted = DV_BUF_INIT;

	dv_buf_printf(&quoted, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			dv_buf_printf(&quoted, "\\%c", *text);
		else if (*text == '\n')
			dv_buf_printf(&quoted, "\\n");
		else
			dv_buf_append(&quoted, text, 1);
	}
	dv_buf_printf(&quoted, "\"");
	return dv_buf_steal_string(&quoted);
}
