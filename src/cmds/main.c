/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview VERB ...: finds the verb and calls it. */
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "dv_config.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
	{"record", dv_cmd_record, "run a QEMU command line, record and trace it"},
	{"trace", dv_cmd_trace, "make a recording's trace, by replaying it"},
	{"seek", dv_cmd_seek, "say where the guest stands at an instruction count"},
	{"info", dv_cmd_info, "say what a recording or a trace holds"},
};

static void usage(FILE *to)
{
	fprintf(to, "usage: dejaview VERB [OPTION]... [ARGUMENT]...\n\n");
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].what);
	fprintf(to, "\n'dejaview VERB --help' says more. The version is %s.\n", DV_VERSION);
}

bool dv_cmd_exists(const char *verb)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verb, verbs[i].name))
			return true;
	}
	return false;
}

int dv_cmd_report(const char *verb, struct dv_error *err)
{
	if (!err)
		return 0;
	fprintf(stderr, "dejaview %s: %s\n", verb, err->message);
	dv_error_destroy(err);
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--version")) {
		printf("dejaview %s\n", DV_VERSION);
		return 0;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(name, verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	}
	if (*name)
		fprintf(stderr, "dejaview: there is no verb '%s'\n\n", name);
	usage(stderr);
	return 2;
}
