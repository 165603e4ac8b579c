/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of the console's test: prints known lines in every way that there is, makes known system calls in
 * known order, and a known tree of processes and threads. What the test cannot know it prints. As /worker
 * (the same file) it is what is exec'ed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char *path, const char *format, ...)
{
	int fd = open(path, O_WRONLY | O_NOCTTY);
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* The modules of the list, in its order; the kernel may have them built in. */
static void load_modules(void)
{
	char name[64], path[96];
	FILE *list = fopen("/modules/list", "r");

	while (list && fgets(name, sizeof(name), list)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
}

/* The console's device comes when the host has answered. */
static void wait_for(const char *path)
{
	for (int i = 0; i < 10000 && access(path, F_OK); i++)
		usleep(1000);
}

static void print_lines(void)
{
	wait_for("/dev/hvc0");
	put("/dev/ttyS0", "serial: one\nserial: two, and ");
	put("/dev/ttyS0", "its end\n");
	put("/dev/kmsg", "<4>kmsg: a warning\n");
	put("/dev/kmsg", "<7>kmsg: for debugging\n");
	put("/dev/hvc0", "hvc: one\nhvc: two\n");
	if (!fork()) {
		prctl(PR_SET_NAME, "printer");
		put("/dev/ttyS0", "serial: by pid %d\n", getpid());
		put("/dev/hvc0", "hvc: by pid %d\n", getpid());
		put("/dev/kmsg", "<5>kmsg: by pid %d\n", getpid());
		_exit(0);
	}
	wait(NULL);
}

/* From umask to umask, so that the test finds where it begins and ends. */
static void call_the_system(void)
{
	int result;

	syscall(SYS_umask, 022);
	syscall(SYS_getppid);
	syscall(SYS_getuid);
	syscall(SYS_read, -1, NULL, 0);
	syscall(999);
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(999) : "memory");
	syscall(SYS_sched_yield);
	syscall(451 /* cachestat */, -1, NULL, NULL, 0);
	syscall(SYS_umask, 022);
}

static void *thread_main(void *unused)
{
	prctl(PR_SET_NAME, "thread");
	put("/dev/kmsg", "tree: thread %d\n", gettid());
	return NULL;
}

static int worker_main(void)
{
	pthread_t thread;

	put("/dev/kmsg", "tree: worker %d of %d\n", getpid(), getppid());
	pthread_create(&thread, NULL, thread_main, NULL);
	pthread_join(thread, NULL);
	return 5;
}

/* init -> a -> b (exits with 3), a -> worker (exec, a thread, exits with 5), init -> c (killed) */
static void make_tree(void)
{
	static char name[] = "worker";
	char *const argv[] = {name, NULL};
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_NAME, "a");
		put("/dev/kmsg", "tree: a %d\n", getpid());
		if (!fork()) {
			prctl(PR_SET_NAME, "b");
			put("/dev/kmsg", "tree: b %d\n", getpid());
			_exit(3);
		}
		wait(NULL);
		if (!fork()) {
			execv("/worker", argv);
			_exit(1);
		}
		wait(NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_NAME, "c");
		put("/dev/kmsg", "tree: c %d\n", getpid());
		for (;;)
			pause();
	}
	usleep(20000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	if (getpid() != 1)
		return worker_main();
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	print_lines();
	call_the_system();
	make_tree();
	put("/dev/ttyS0", "a line without an end");
	reboot(RB_POWER_OFF);
	return 0;
}
