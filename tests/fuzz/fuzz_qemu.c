/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QEMU command line, one word a line; or, when it begins with a brace, a plan out of a manifest. */
#include <string.h>
#include "fuzz.h"
#include "qemu/cmdline.h"

#define MAX_WORDS 64

/* Every file that is named exists: / is where relative names are looked for, and dev is there. */
static struct dv_error *read_input(char *text, struct dv_qemu_plan **ret)
{
	char *words[MAX_WORDS], *save = NULL;
	json_error_t error;
	int len = 0;

	if (*text == '{') {
		json_t *json = json_loads(text, 0, &error);
		struct dv_error *err = dv_qemu_plan_from_json(json, ret);

		json_decref(json);
		return err;
	}
	for (char *word = strtok_r(text, "\n", &save); word && len < MAX_WORDS;
	     word = strtok_r(NULL, "\n", &save))
		words[len++] = word;
	return dv_qemu_plan_create(len, words, "/", ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
	struct dv_error *err = text ? read_input(text, &plan) : NULL;
	json_t *json;

	if (err || !plan) {
		dv_error_destroy(err);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		const struct dv_qemu_run run = {.mode = i ? DV_QEMU_REPLAY : DV_QEMU_RECORD, .folder = "/r",
						.console = i ? "/c" : NULL};
		char **argv = NULL;

		err = dv_qemu_plan_argv(plan, &run, &argv);
		if (!err)
			dv_strv_free(argv);
		dv_error_destroy(err);
	}
	err = dv_qemu_plan_to_json(plan, &json);
	if (!err)
		json_decref(json);
	dv_error_destroy(err);
	return 0;
}
