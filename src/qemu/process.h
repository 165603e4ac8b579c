/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child process that dies with us: started, watched through a pidfd, stopped politely and then not.
 * The child gets SIGKILL from the kernel when the thread that started it ends (PR_SET_PDEATHSIG), so it
 * must be started from a thread that lives as long as the child should: the main thread.
 */
#ifndef DV_QEMU_PROCESS_H
#define DV_QEMU_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

struct dv_process {
	pid_t pid;  /* 0 when there is none */
	int pidfd;  /* readable when the child has ended; for poll(); -1 when there is none */
	bool ended; /* status is valid */
	int status; /* as waitpid's */
	char *name; /* argv[0]'s last component, for messages */
	char *stderr_path; /* where its stderr went; NULL when it is ours */
};

#define DV_PROCESS_INIT {.pidfd = -1}

struct dv_process_options {
	char *const *argv;	 /* argv[0] is looked for in PATH when it has no slash */
	const char *directory;	 /* working directory; NULL: ours */
	bool terminal;		 /* stdin and stdout are ours (same process group: the console and Ctrl-C work);
				    else stdin and stdout are /dev/null and the child has its own group */
	int own_terminal;	 /* a terminal's descriptor, above 2: the child's stdin, stdout and stderr, and the
				    controlling terminal of a session of its own; 0: none */
	int stdio[3];		 /* descriptors for stdin, stdout, stderr, above 2; 0: as the other members say */
	const char *stdout_path; /* instead of the above; NULL: as said */
	const char *stderr_path; /* a file, truncated; NULL: our stderr */
	const int *keep_fds;	 /* descriptors that stay open across exec (same numbers); others above 2 close */
	size_t keep_fds_len;
};

/* Errors: DV_ERROR_NOT_FOUND when there is no such program, DV_ERROR_OS. */
struct dv_error *dv_process_start(const struct dv_process_options *options, struct dv_process *ret);

/*
 * Waits at most timeout_ms (-1: for ever) for the child to end: *ret_ended says whether it has, then
 * ->status is valid. With 0 it only looks.
 */
struct dv_error *dv_process_wait(struct dv_process *process, int timeout_ms, bool *ret_ended);

/* SIGTERM, if it still runs: QEMU ends in good order. */
void dv_process_terminate(struct dv_process *process);

/* Asks with SIGTERM, waits grace_ms, then kills and reaps. Nothing when it has ended. */
void dv_process_stop(struct dv_process *process, int grace_ms);

/* Kills and reaps the child if it still runs, closes the pidfd, frees. */
void dv_process_deinit(struct dv_process *process);

/*
 * NULL for exit code 0; else DV_ERROR_EXITED: "NAME exited with code 1: LAST LINES OF ITS STDERR" or
 * "NAME was killed by signal 9 (Killed)...".
 */
struct dv_error *dv_process_check(const struct dv_process *process);

/* The last lines (at most max_bytes) of what the child wrote to stderr_path; "" when there is nothing. */
char *dv_process_stderr_tail(const struct dv_process *process, size_t max_bytes);

struct dv_buf;
/*
 * Runs a program to its end; what it writes to stdout and stderr is appended to ret (may be NULL), when it
 * is not more than max_bytes. Errors: as dv_process_start(), and DV_ERROR_EXITED with those words.
 */
struct dv_error *dv_process_run(char *const *argv, size_t max_bytes, struct dv_buf *ret);
/* The same of a program that answers at once or never: after timeout_ms with nothing said it is killed.
 * DV_ERROR_TIMEOUT. */
struct dv_error *dv_process_ask(char *const *argv, size_t max_bytes, int timeout_ms, struct dv_buf *ret);

#endif
