/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first program of user_gdb_test.py's guest: loads the kernel modules of the initramfs, then becomes /program. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		syscall(SYS_finit_module, fd, "", 0);
}

int main(void)
{
	load("/virtio_blk.ko");
	syscall(SYS_delete_module, "virtio_blk", O_NONBLOCK);
	load("/virtio_blk.ko");
	execl("/program", "/program", (char *)NULL);
	return 1;
}
