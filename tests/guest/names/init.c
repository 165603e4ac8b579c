/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /init of the names test: modules, a disk, and programs one after another. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void insert(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		printf("%s: %ld\n", path, syscall(SYS_finit_module, fd, "", 0));
	close(fd);
}

static void copy(const char *from, const char *to)
{
	char bytes[4096];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		n = write(out, bytes, (size_t)n);
	close(in);
	close(out);
}

static void run(const char *path)
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		execl(path, path, "-x", "two words", (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	printf("%s: %d\n", path, status);
	fflush(stdout);
}

/* Two of one program at once, by turns: see tails.c. */
static void run_two(const char *path)
{
	int turns[2][2], status;

	if (pipe(turns[0]) || pipe(turns[1]))
		return;
	for (int i = 0; i < 2; i++) {
		if (fork())
			continue;
		dup2(turns[i][0], 10);
		dup2(turns[!i][1], 11);
		execl(path, path, i ? NULL : "first", (char *)NULL);
		_exit(127);
	}
	while (wait(&status) > 0)
		printf("%s: %d\n", path, status);
	fflush(stdout);
	for (int i = 0; i < 4; i++)
		close(turns[i / 2][i % 2]);
}

int main(void)
{
	char path[] = "/m/0.ko";

	for (; path[3] <= '9'; path[3]++)
		insert(path);
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, "");
	mkdir("/mnt", 0755);
	printf("mount: %d\n", mount("/dev/vda1", "/mnt", "ext4", MS_RDONLY, ""));
	run("/usr/bin/dynamic");
	run("/usr/bin/dynamic");
	run("/usr/bin/stripped");
	run("/mnt/opt/ondisk");
	copy("/usr/bin/exporting", "/copied"); /* is nowhere else */
	run("/copied");
	run_two("/usr/bin/tails");
	reboot(RB_POWER_OFF);
	return 0;
}
