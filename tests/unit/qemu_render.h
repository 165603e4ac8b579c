/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line in, a command line out, each as one string, for the tables of qemu_test.c. The words of
 * the input are split at spaces; `qemu-system-x86_64 -nodefaults` goes before them unless they begin with a
 * program's name. From the output goes what every recording has: the program, -icount, the snapshots'
 * drive, and around them `-machine hpet=off -nodefaults ... -global apic-common.vapic=off`. The directory
 * of the images is written @.
 */
#ifndef DV_TESTS_QEMU_RENDER_H
#define DV_TESTS_QEMU_RENDER_H

#include <string.h>
#include "base/buf.h"
#include "qemu/cmdline.h"

#define MAX_WORDS 100

static inline struct dv_error *plan_of(const char *in, const char *dir, struct dv_qemu_plan **ret)
{
	_cleanup_free_ char *text = strdup(in);
	char *words[MAX_WORDS] = {(char *)"qemu-system-x86_64", (char *)"-nodefaults"}, *save = NULL;
	int len = strncmp(in, "qemu", 4) && *in != '/' ? 2 : 0;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		words[len++] = word;
	return dv_qemu_plan_create(len, words, dir, ret);
}

static inline void cut(char *text, const char *what, bool at_end)
{
	size_t len = strlen(text), what_len = strlen(what);

	if (len < what_len)
		return;
	if (at_end && !strcmp(text + len - what_len, what))
		text[len - what_len] = 0;
	if (!at_end && !strncmp(text, what, what_len))
		memmove(text, text + what_len, len - what_len + 1);
}

static inline char *joined(char **argv, const char *dir)
{
	struct dv_buf out = DV_BUF_INIT;
	size_t dir_len = strlen(dir);
	char *text, *at;

	for (; *argv; argv++)
		dv_buf_printf(&out, " %s", *argv);
	text = dv_buf_steal_string(&out);
	while ((at = strstr(text, dir)) != NULL) {
		*at = '@';
		memmove(at + 1, at + dir_len, strlen(at + dir_len) + 1);
	}
	return text;
}

static inline struct dv_error *render(const char *in, const char *dir, const struct dv_qemu_run *run,
				      char **ret)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
	char **argv, *text;

	DV_TRY(plan_of(in, dir, &plan));
	DV_TRY(dv_qemu_plan_argv(plan, run, &argv));
	text = joined(argv + 5, dir);
	dv_strv_free(argv);
	cut(text, " -machine hpet=off", false);
	cut(text, " -nodefaults", false);
	cut(text, " -global apic-common.vapic=off", true);
	cut(text, " ", false);
	*ret = text;
	return NULL;
}

#endif
