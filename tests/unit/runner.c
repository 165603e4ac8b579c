/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the tests that the linker collected, each in a child, and prints TAP. Arguments are substrings:
 * only tests whose name has one of them run. `--list` prints the names.
 */
#include "test.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

extern const struct dv_test *const __start_dv_tests[];
extern const struct dv_test *const __stop_dv_tests[];

static char scratch[] = "/tmp/dejaview-test-XXXXXX";
static bool have_scratch;

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	exit(1);
}

const char *test_dir(void)
{
	if (!have_scratch && !mkdtemp(scratch))
		test_fail(__FILE__, __LINE__, "mkdtemp: %s", strerror(errno));
	have_scratch = true;
	return scratch;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_scratch(void)
{
	if (have_scratch)
		nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool run(const struct dv_test *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		atexit(remove_scratch);
		alarm(120);
		test->run();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status))
		printf("# killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool selected(const struct dv_test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(test->name, argv[i]))
			return true;
	}
	return argc < 2;
}

int main(int argc, char **argv)
{
	int failed = 0, count = 0;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (const struct dv_test *const *t = __start_dv_tests; t < __stop_dv_tests; t++)
			puts((*t)->name);
		return 0;
	}
	for (const struct dv_test *const *t = __start_dv_tests; t < __stop_dv_tests; t++) {
		bool ok;

		if (!selected(*t, argc, argv))
			continue;
		ok = run(*t);
		count++;
		failed += !ok;
		printf("%s %d - %s\n", ok ? "ok" : "not ok", count, (*t)->name);
	}
	printf("1..%d\n", count);
	return failed || !count;
}
