/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's `value,key=value,flag,...` argument. A comma inside a value is written twice. The first part
 * may be a value alone: its key is then implied by the option (`-machine q35` is `type=q35`). Some
 * options also take a JSON object, which is read as dotted keys: {"file": {"driver": "file"}} is
 * file.driver=file.
 *
 * Values read from a command line are plain text. A value put in by the rewriting may be a template
 * (plan_build.h), which is written as it is.
 */
#ifndef DV_QEMU_OPTLIST_H
#define DV_QEMU_OPTLIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct dv_opt {
	char *key;
	char *value;   /* NULL: a flag without value, which means on */
	bool implied;  /* written without its key */
	bool is_template;
};

struct dv_optlist {
	struct dv_opt *items;
	size_t len;
	bool from_json;
};

#define DV_OPTLIST_INIT {0}

/* implied_key may be NULL: then a first part without `=` is a flag. Errors: DV_ERROR_INVALID. */
struct dv_error *dv_optlist_parse(const char *text, const char *implied_key, struct dv_optlist *ret);
void dv_optlist_deinit(struct dv_optlist *list);
#define _cleanup_optlist_ _cleanup_(dv_optlist_deinit)

/* The last item with this key (QEMU: later wins), or NULL. */
struct dv_opt *dv_optlist_find(const struct dv_optlist *list, const char *key);
/* Its value; "on" for a flag; NULL when it is not there. */
const char *dv_optlist_get(const struct dv_optlist *list, const char *key);
/* on, yes, true, y, 1 and a flag are true; anything else is false; missing: the given default. */
bool dv_optlist_get_bool(const struct dv_optlist *list, const char *key, bool missing);
/* Whether a key with this beginning is there. */
bool dv_optlist_has_prefix(const struct dv_optlist *list, const char *prefix);
/* Replaces the value or appends. Errors: DV_ERROR_NO_MEMORY. */
struct dv_error *dv_optlist_set(struct dv_optlist *list, const char *key, const char *value);
struct dv_error *dv_optlist_set_template(struct dv_optlist *list, const char *key, const char *text);
/* Takes every item with this key out; whether there was one. */
bool dv_optlist_remove(struct dv_optlist *list, const char *key);
void dv_optlist_remove_at(struct dv_optlist *list, size_t i);
/* Moves the items of from to the end of list, over those of the same key; from is left empty. */
struct dv_error *dv_optlist_merge(struct dv_optlist *list, struct dv_optlist *from);
/* The list as a template, in new memory; NULL: none left. */
char *dv_optlist_template(const struct dv_optlist *list);

#endif
