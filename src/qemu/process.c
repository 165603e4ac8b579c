/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Child processes; see process.h. */
#include "qemu/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "base/buf.h"
#include "base/io.h"

#define TAIL_BYTES 2000

/* What the child could not do before exec; sent through a pipe that exec closes. */
enum step { STEP_DIRECTORY, STEP_STDIO, STEP_EXEC };

struct failure {
	enum step step;
	int os_errno;
};

static void child_fail(int fd, enum step step)
{
	struct failure failure = {step, errno};

	if (write(fd, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

static bool redirect(const char *path, int flags, int fd)
{
	int opened = open(path, flags | O_CLOEXEC, 0644);

	if (opened < 0)
		return false;
	if (opened == fd)
		return !fcntl(fd, F_SETFD, 0);
	return dup2(opened, fd) >= 0 && !close(opened);
}

static bool set_stdio(const struct dv_process_options *options)
{
	const char *out = options->stdout_path ? options->stdout_path : "/dev/null";
	int flags = O_WRONLY | O_CREAT | O_TRUNC;

	if (options->own_terminal > 0)
		return dup2(options->own_terminal, 0) == 0 && dup2(options->own_terminal, 1) == 1 &&
		       dup2(options->own_terminal, 2) == 2 && !ioctl(0, TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		if (options->stdio[i] > 0 && dup2(options->stdio[i], i) < 0)
			return false;
	if (!options->terminal && options->stdio[0] <= 0 && !redirect("/dev/null", O_RDONLY, 0))
		return false;
	if (options->stdio[1] <= 0 && (!options->terminal || options->stdout_path) &&
	    !redirect(out, flags, 1))
		return false;
	return options->stdio[2] > 0 || !options->stderr_path || redirect(options->stderr_path, flags, 2);
}

/* Between fork and exec: only calls that are safe there. */
static void run_child(const struct dv_process_options *options, pid_t parent, int report)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127); /* the parent is gone already */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (options->own_terminal > 0)
		setsid();
	else if (!options->terminal)
		setpgid(0, 0);
	if (options->directory && chdir(options->directory))
		child_fail(report, STEP_DIRECTORY);
	if (!set_stdio(options))
		child_fail(report, STEP_STDIO);
	/* Everything above stderr closes at exec, but for what is to be kept. */
	syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
	for (size_t i = 0; i < options->keep_fds_len; i++)
		fcntl(options->keep_fds[i], F_SETFD, 0);
	execvp(options->argv[0], options->argv);
	child_fail(report, STEP_EXEC);
}

static struct dv_error *start_error(const struct dv_process_options *options, struct failure failure)
{
	const char *program = options->argv[0];

	if (failure.step == STEP_EXEC && failure.os_errno == ENOENT)
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s: no such program", program);
	if (failure.step == STEP_DIRECTORY)
		return dv_error_os(failure.os_errno, "cannot change to %s to start %s", options->directory,
				   program);
	return dv_error_os(failure.os_errno,
			   failure.step == STEP_STDIO ? "cannot open the output of %s" : "cannot start %s",
			   program);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void reap(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
}

struct dv_error *dv_process_start(const struct dv_process_options *options, struct dv_process *ret)
{
	_cleanup_close_ int report_read = -1, report_write = -1;
	struct dv_process process = DV_PROCESS_INIT;
	const char *slash = strrchr(options->argv[0], '/');
	struct failure failure;
	pid_t parent = getpid();
	int report[2];
	ssize_t got;

	if (pipe2(report, O_CLOEXEC))
		return dv_error_os(errno, "cannot start %s", options->argv[0]);
	report_read = report[0];
	report_write = report[1];
	process.name = strdup(slash ? slash + 1 : options->argv[0]);
	process.stderr_path = options->stderr_path ? strdup(options->stderr_path) : NULL;
	process.pid = fork();
	if (!process.pid)
		run_child(options, parent, report_write);
	if (process.pid < 0) {
		int os_errno = errno;

		process.pid = 0;
		dv_process_deinit(&process);
		return dv_error_os(os_errno, "cannot start %s", options->argv[0]);
	}
	close(report_write);
	report_write = -1;
	while ((got = read(report_read, &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	process.pidfd = open_pidfd(process.pid);
	if (got == sizeof(failure) || process.pidfd < 0) {
		struct dv_error *err = got == sizeof(failure) ?
			start_error(options, failure) : dv_error_os(errno, "cannot watch %s", process.name);

		dv_process_deinit(&process);
		return err;
	}
	*ret = process;
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

struct dv_error *dv_process_wait(struct dv_process *process, int timeout_ms, bool *ret_ended)
{
	int64_t until = now_ms() + timeout_ms;

	while (!process->ended && process->pid > 0) {
		struct pollfd poll_fd = {.fd = process->pidfd, .events = POLLIN};
		int64_t left = until - now_ms();
		int n = poll(&poll_fd, 1, timeout_ms < 0 ? -1 : left < 0 ? 0 : (int)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "cannot wait for %s", process->name);
		if (!n)
			break;
		reap(process->pid, &process->status);
		process->ended = true;
	}
	*ret_ended = process->ended;
	return NULL;
}

static void kill_now(struct dv_process *process)
{
	if (process->pid <= 0 || process->ended)
		return;
	kill(process->pid, SIGKILL);
	reap(process->pid, &process->status);
	process->ended = true;
}

void dv_process_terminate(struct dv_process *process)
{
	if (process->pid > 0 && !process->ended)
		kill(process->pid, SIGTERM);
}

void dv_process_stop(struct dv_process *process, int grace_ms)
{
	bool ended = false;

	if (process->pid <= 0 || process->ended)
		return;
	dv_process_terminate(process);
	dv_error_destroy(dv_process_wait(process, grace_ms, &ended));
	kill_now(process);
}

void dv_process_deinit(struct dv_process *process)
{
	kill_now(process);
	if (process->pidfd >= 0)
		close(process->pidfd);
	free(process->name);
	free(process->stderr_path);
	*process = (struct dv_process)DV_PROCESS_INIT;
}

char *dv_process_stderr_tail(const struct dv_process *process, size_t max_bytes)
{
	_cleanup_close_ int fd = process->stderr_path ? open(process->stderr_path, O_RDONLY | O_CLOEXEC) : -1;
	char *text = calloc(1, max_bytes + 1);
	struct stat st;
	ssize_t got = 0;

	if (!text || fd < 0 || fstat(fd, &st))
		return text;
	got = pread(fd, text, max_bytes, st.st_size > (off_t)max_bytes ? st.st_size - (off_t)max_bytes : 0);
	text[got < 0 ? 0 : got] = 0;
	if (got > 0 && st.st_size > (off_t)max_bytes) {
		char *line = strchr(text, '\n'); /* the first line is cut */

		if (line)
			memmove(text, line + 1, strlen(line));
	}
	for (size_t len = strlen(text); len && (text[len - 1] == '\n' || text[len - 1] == '\r');)
		text[--len] = 0;
	return text;
}

static struct dv_error *check(const struct dv_process *process, const char *words)
{
	const char *colon = words && *words ? ": " : "";
	const char *text = words ? words : "";

	if (!process->ended)
		return dv_error_new(DV_ERROR_EXITED, "%s still runs", process->name);
	if (WIFSIGNALED(process->status))
		return dv_error_new(DV_ERROR_EXITED, "%s was killed by signal %d (%s)%s%s", process->name,
				    WTERMSIG(process->status), strsignal(WTERMSIG(process->status)), colon,
				    text);
	if (WEXITSTATUS(process->status))
		return dv_error_new(DV_ERROR_EXITED, "%s exited with code %d%s%s", process->name,
				    WEXITSTATUS(process->status), colon, text);
	return NULL;
}

struct dv_error *dv_process_check(const struct dv_process *process)
{
	_cleanup_free_ char *words = dv_process_stderr_tail(process, TAIL_BYTES);

	return check(process, words);
}

/* Reads until the other end closes; false when it has not by then. Past the limit it goes on and forgets. */
static bool drain(int fd, size_t max_bytes, int timeout_ms, struct dv_buf *ret)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	char bytes[4096];
	ssize_t got = 1;

	while (got > 0 || (got < 0 && errno == EINTR)) {
		if (timeout_ms >= 0 && poll(&readable, 1, timeout_ms) == 0)
			return false;
		got = read(fd, bytes, sizeof(bytes));
		if (got > 0 && ret->len + (size_t)got <= max_bytes)
			dv_buf_append(ret, bytes, (size_t)got);
	}
	return true;
}

struct dv_error *dv_process_run(char *const *argv, size_t max_bytes, struct dv_buf *ret)
{
	return dv_process_ask(argv, max_bytes, -1, ret);
}

struct dv_error *dv_process_ask(char *const *argv, size_t max_bytes, int timeout_ms, struct dv_buf *ret)
{
	_cleanup_close_ int out = -1;
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char *words = NULL;
	struct dv_process process = DV_PROCESS_INIT;
	struct dv_process_options options = {.argv = argv};
	struct dv_error *err;
	int ends[2];
	bool ended;

	if (pipe2(ends, O_CLOEXEC))
		return dv_error_os(errno, "cannot start %s", argv[0]);
	out = ends[0];
	options.stdio[1] = options.stdio[2] = ends[1];
	err = dv_process_start(&options, &process);
	close(ends[1]);
	if (err)
		return err;
	if (!drain(out, max_bytes, timeout_ms, &text)) {
		dv_process_stop(&process, 0);
		dv_process_deinit(&process);
		return dv_error_new(DV_ERROR_TIMEOUT, "%s %s: nothing said in %d s", argv[0], argv[1] ?: "", timeout_ms / 1000);
	}
	err = dv_process_wait(&process, -1, &ended);
	if (!err && !text.failed && ret)
		dv_buf_append(ret, text.data, text.len);
	words = dv_buf_steal_string(&text);
	if (words && *words && words[strlen(words) - 1] == '\n')
		words[strlen(words) - 1] = 0;
	if (!err)
		err = check(&process, words);
	dv_process_deinit(&process);
	return err;
}
