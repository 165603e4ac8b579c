/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's comma-separated key=value arguments; see optlist.h. */
#include "qemu/optlist.h"

#include <jansson.h>
#include <string.h>
#include "base/buf.h"

#define MAX_ITEMS 4096

/* Takes over key and value; frees them when it fails. */
static struct dv_error *append(struct dv_optlist *list, char *key, char *value, bool implied)
{
	struct dv_opt *items = NULL;

	if (key && list->len < MAX_ITEMS)
		items = reallocarray(list->items, list->len + 1, sizeof(*items));
	if (!items) {
		free(key);
		free(value);
		return dv_error_no_memory();
	}
	list->items = items;
	items[list->len++] = (struct dv_opt){.key = key, .value = value, .implied = implied};
	return NULL;
}

/* Reads up to a single comma, makes `,,` one comma; *text is left at the comma or at the end. */
static char *take_value(const char **text)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	const char *p = *text;

	for (; *p; p++) {
		if (*p == ',') {
			if (p[1] != ',')
				break;
			p++;
		}
		dv_buf_append(&out, p, 1);
	}
	*text = p;
	return dv_buf_steal_string(&out);
}

static struct dv_error *parse_part(const char **text, const char *implied_key, struct dv_optlist *list)
{
	size_t key_len = strcspn(*text, "=,");
	char *value;

	if ((*text)[key_len] == '=') {
		char *key = strndup(*text, key_len);

		*text += key_len + 1;
		value = take_value(text);
		if (!value) {
			free(key);
			return dv_error_no_memory();
		}
		return append(list, key, value, false);
	}
	if (implied_key) {
		value = take_value(text);
		if (!value)
			return dv_error_no_memory();
		return append(list, strdup(implied_key), value, true);
	}
	value = strndup(*text, key_len);
	*text += key_len;
	return append(list, value, NULL, false);
}

static char *scalar_text(const json_t *json)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	switch (json_typeof(json)) {
	case JSON_STRING:
		return strdup(json_string_value(json));
	case JSON_TRUE:
		return strdup("on");
	case JSON_FALSE:
		return strdup("off");
	case JSON_INTEGER:
		dv_buf_printf(&out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		return dv_buf_steal_string(&out);
	case JSON_REAL:
		dv_buf_printf(&out, "%.17g", json_real_value(json));
		return dv_buf_steal_string(&out);
	default:
		return strdup("");
	}
}

/* {"a": {"b": 1}, "c": [x]} becomes a.b=1, c.0=x. jansson bounds the depth when it parses. */
static struct dv_error *flatten(const char *prefix, json_t *json, struct dv_optlist *list)
{
	_cleanup_buf_ struct dv_buf name = DV_BUF_INIT;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(json)) {
		json_object_foreach(json, key, value) {
			dv_buf_clear(&name);
			dv_buf_printf(&name, "%s%s%s%c", prefix, *prefix ? "." : "", key, 0);
			if (name.failed)
				return dv_error_no_memory();
			DV_TRY(flatten((char *)name.data, value, list));
		}
		return NULL;
	}
	if (json_is_array(json)) {
		json_array_foreach(json, i, value) {
			dv_buf_clear(&name);
			dv_buf_printf(&name, "%s.%zu%c", prefix, i, 0);
			if (name.failed)
				return dv_error_no_memory();
			DV_TRY(flatten((char *)name.data, value, list));
		}
		return NULL;
	}
	return append(list, strdup(prefix), scalar_text(json), false);
}

static struct dv_error *parse_json(const char *text, struct dv_optlist *list)
{
	json_error_t error;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	struct dv_error *err;

	if (!json)
		return dv_error_new(DV_ERROR_INVALID, "\"%s\" is no valid JSON: %s", text, error.text);
	list->from_json = true;
	err = flatten("", json, list);
	json_decref(json);
	return err;
}

struct dv_error *dv_optlist_parse(const char *text, const char *implied_key, struct dv_optlist *ret)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	if (*text == '{')
		DV_TRY(parse_json(text, &list));
	else
		while (*text) {
			DV_TRY(parse_part(&text, list.len ? NULL : implied_key, &list));
			if (*text == ',')
				text++;
		}
	*ret = list;
	list = (struct dv_optlist)DV_OPTLIST_INIT;
	return NULL;
}

static void opt_deinit(struct dv_opt *opt)
{
	free(opt->key);
	free(opt->value);
}

void dv_optlist_deinit(struct dv_optlist *list)
{
	for (size_t i = 0; i < list->len; i++)
		opt_deinit(&list->items[i]);
	free(list->items);
	*list = (struct dv_optlist)DV_OPTLIST_INIT;
}

struct dv_opt *dv_optlist_find(const struct dv_optlist *list, const char *key)
{
	for (size_t i = list->len; i-- > 0;)
		if (!strcmp(list->items[i].key, key))
			return &list->items[i];
	return NULL;
}

const char *dv_optlist_get(const struct dv_optlist *list, const char *key)
{
	const struct dv_opt *opt = dv_optlist_find(list, key);

	return !opt ? NULL : opt->value ? opt->value : "on";
}

bool dv_optlist_get_bool(const struct dv_optlist *list, const char *key, bool missing)
{
	const char *value = dv_optlist_get(list, key);

	if (!value)
		return missing;
	return !strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true") ||
	       !strcmp(value, "y") || !strcmp(value, "1");
}

bool dv_optlist_has_prefix(const struct dv_optlist *list, const char *prefix)
{
	for (size_t i = 0; i < list->len; i++)
		if (!strncmp(list->items[i].key, prefix, strlen(prefix)))
			return true;
	return false;
}

static struct dv_error *set(struct dv_optlist *list, const char *key, const char *value, bool is_template)
{
	struct dv_opt *opt = dv_optlist_find(list, key);
	char *copy = strdup(value);

	if (!copy)
		return dv_error_no_memory();
	if (!opt) {
		DV_TRY(append(list, strdup(key), copy, false));
		opt = &list->items[list->len - 1];
	} else {
		free(opt->value);
		opt->value = copy;
	}
	opt->is_template = is_template;
	return NULL;
}

struct dv_error *dv_optlist_set(struct dv_optlist *list, const char *key, const char *value)
{
	return set(list, key, value, false);
}

struct dv_error *dv_optlist_set_template(struct dv_optlist *list, const char *key, const char *text)
{
	return set(list, key, text, true);
}

bool dv_optlist_remove(struct dv_optlist *list, const char *key)
{
	size_t kept = 0, len = list->len;

	for (size_t i = 0; i < len; i++) {
		if (!strcmp(list->items[i].key, key))
			opt_deinit(&list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	list->len = kept;
	return kept != len;
}

void dv_optlist_remove_at(struct dv_optlist *list, size_t i)
{
	opt_deinit(&list->items[i]);
	list->len--;
	memmove(&list->items[i], &list->items[i + 1], (list->len - i) * sizeof(*list->items));
}

struct dv_error *dv_optlist_merge(struct dv_optlist *list, struct dv_optlist *from)
{
	for (size_t i = 0; i < from->len; i++) {
		struct dv_opt *opt = &from->items[i];

		DV_TRY(set(list, opt->key, opt->value ? opt->value : "on", opt->is_template));
		if (opt->implied && list->len == 1)
			list->items[0].implied = true;
	}
	dv_optlist_deinit(from);
	return NULL;
}

/* Doubles commas and percent signs. */
static void put_plain(struct dv_buf *out, const char *text)
{
	for (; *text; text++)
		dv_buf_append(out, (const char[]){*text, *text}, *text == ',' || *text == '%' ? 2 : 1);
}

char *dv_optlist_template(const struct dv_optlist *list)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	for (size_t i = 0; i < list->len; i++) {
		const struct dv_opt *opt = &list->items[i];

		if (i)
			dv_buf_append(&out, ",", 1);
		if (!opt->implied)
			put_plain(&out, opt->key);
		if (!opt->value)
			continue;
		if (!opt->implied)
			dv_buf_append(&out, "=", 1);
		if (opt->is_template)
			dv_buf_printf(&out, "%s", opt->value);
		else
			put_plain(&out, opt->value);
	}
	return dv_buf_steal_string(&out);
}
