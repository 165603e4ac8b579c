/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libFuzzer: gives each file of the folders named as arguments to a harness, and prints
 * a line of TAP for each. A crash ends it, and the name above it is the last one that was good.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"
#include "fuzz.h"

#define MAX_INPUT_BYTES (16u << 20)

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_file(const char *path)
{
	_cleanup_error_ struct dv_error *err = NULL;
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	uint8_t *exact;

	err = dv_read_file(path, MAX_INPUT_BYTES, &buf);
	if (err) {
		printf("# %s\n", err->message);
		return -1;
	}
	/* A block of exactly this size, so that a sanitizer sees the first byte beyond it. */
	exact = malloc(buf.len ? buf.len : 1);
	if (!exact)
		return -1;
	if (buf.len)
		memcpy(exact, buf.data, buf.len);
	LLVMFuzzerTestOneInput(exact, buf.len);
	free(exact);
	return 0;
}

static void run_folder(const char *folder, int *count, int *failed)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, not_hidden, alphasort);

	if (n < 0)
		printf("# %s: %s\n", folder, strerror(errno));
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		int bad;

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		bad = run_file(path);
		*failed += bad != 0;
		printf("%s %d - %s\n", bad ? "not ok" : "ok", ++*count, entries[i]->d_name);
		fflush(stdout);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	int count = 0, failed = 0;

	for (int i = 1; i < argc; i++)
		run_folder(argv[i], &count, &failed);
	printf("1..%d\n", count);
	return failed || !count;
}
