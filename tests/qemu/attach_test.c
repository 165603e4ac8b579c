/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rewritten command lines given to the real QEMU: a guest that reads and writes every disk and pings over
 * every network is recorded and replayed to its end. The console must say the same both times (it has
 * random bytes, sums and round-trip times in it), and the user's images must be what they were.
 * attach.sh makes the guest.
 */
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "qemu/cmdline.h"
#include "qemu/disks.h"
#include "qemu/process.h"
#include "test.h"

#define MAX_WORDS 100
#define MAX_CONSOLE (1 << 20)
#define PATIENCE_MS 240000 /* a replay that makes no progress must not hang the tests */
#define IMAGE_BYTES (1 << 20)

static char *in_dir(const char *name)
{
	char *path = dv_path_join(test_dir(), name);

	CHECK(path);
	return path;
}

/* Different bytes in each. */
static void make_image(const char *name, unsigned seed)
{
	_cleanup_free_ uint8_t *bytes = malloc(IMAGE_BYTES);
	_cleanup_free_ char *path = in_dir(name);

	CHECK(bytes);
	for (size_t i = 0; i < IMAGE_BYTES; i++)
		bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	CHECK_OK(dv_replace_file(path, bytes, IMAGE_BYTES, 0644));
}

static void make_images(void)
{
	_cleanup_free_ char *raw = in_dir("a.img"), *qcow2 = in_dir("b.qcow2");

	make_image("a.img", 1);
	make_image("c.img", 2);
	make_image("flash.img", 3);
	CHECK_OK(dv_process_run((char *const[]){(char *)"qemu-img", (char *)"convert", (char *)"-O",
						(char *)"qcow2", raw, qcow2, NULL}, 10000, NULL));
}

static void read_text(const char *path, struct dv_buf *text)
{
	dv_buf_clear(text);
	CHECK_OK(dv_read_file(path, MAX_CONSOLE, text));
	dv_buf_append(text, "", 1);
}

static struct dv_qemu_plan *plan_line(const char *line, int disks)
{
	_cleanup_free_ char *text = strdup(line), *append = NULL;
	char *words[MAX_WORDS], *save = NULL;
	struct dv_qemu_plan *plan;
	int len = 0;

	CHECK(text && asprintf(&append, "console=ttyS0 panic=-1 quiet disks=%d", disks) > 0);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		words[len++] = word;
	words[len++] = (char *)"-kernel";
	words[len++] = getenv("DV_ATTACH_KERNEL");
	words[len++] = (char *)"-initrd";
	words[len++] = getenv("DV_ATTACH_INITRD");
	words[len++] = (char *)"-append";
	words[len++] = append;
	words[len++] = (char *)"-no-reboot";
	CHECK_OK(dv_qemu_plan_create(len, words, test_dir(), &plan));
	return plan;
}

static void run(const struct dv_qemu_plan *plan, const struct dv_qemu_run *run)
{
	_cleanup_free_ char *err_path = in_dir("stderr");
	struct dv_process_options options = {.stderr_path = err_path};
	struct dv_process process;
	char **argv;
	bool ended;

	CHECK_OK(dv_qemu_plan_argv(plan, run, &argv));
	options.argv = argv;
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_OK(dv_process_wait(&process, PATIENCE_MS, &ended));
	if (!ended)
		test_fail(__FILE__, __LINE__, "QEMU does not end when it %s",
			  run->mode == DV_QEMU_RECORD ? "records" : "replays");
	CHECK_OK(dv_process_check(&process));
	dv_process_deinit(&process);
	dv_strv_free(argv);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

struct found {
	int disks, written, pings;
};

static void check_line(const char *line, struct found want)
{
	static const char *const images[] = {"a.img", "b.qcow2", "c.img", "flash.img"};
	struct dv_buf before[DV_ARRAY_SIZE(images)] = {0};
	_cleanup_buf_ struct dv_buf after = DV_BUF_INIT, recorded = DV_BUF_INIT, replayed = DV_BUF_INIT;
	_cleanup_free_ char *folder = in_dir("recording"), *console = in_dir("recording/console.log"),
			    *again = in_dir("replayed.log");
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;

	alarm(2 * PATIENCE_MS / 1000 + 60);
	make_images();
	for (size_t i = 0; i < DV_ARRAY_SIZE(images); i++) {
		_cleanup_free_ char *path = in_dir(images[i]);

		CHECK_OK(dv_read_file(path, 16 << 20, &before[i]));
	}
	plan = plan_line(line, want.disks);
	CHECK_OK(dv_make_dirs(folder));
	CHECK_OK(dv_qemu_disks_create(plan, folder));
	run(plan, &(struct dv_qemu_run){.mode = DV_QEMU_RECORD, .folder = folder, .no_terminal = true});
	read_text(console, &recorded);
	if (!strstr((char *)recorded.data, "guest ends"))
		test_fail(__FILE__, __LINE__, "the guest did not come to its end:\n%s", (char *)recorded.data);
	CHECK_EQ(count((char *)recorded.data, "found "), want.disks);
	CHECK_EQ(count((char *)recorded.data, "wrote "), want.written);
	CHECK_EQ(count((char *)recorded.data, "64 bytes from"), want.pings);
	run(plan, &(struct dv_qemu_run){.mode = DV_QEMU_REPLAY, .folder = folder, .console = again});
	read_text(again, &replayed);
	CHECK_STR((char *)replayed.data, (char *)recorded.data);
	for (size_t i = 0; i < DV_ARRAY_SIZE(images); i++) {
		_cleanup_free_ char *path = in_dir(images[i]);

		dv_buf_clear(&after);
		CHECK_OK(dv_read_file(path, 16 << 20, &after));
		CHECK_EQ(after.len, before[i].len);
		CHECK(!memcmp(after.data, before[i].data, after.len));
		dv_buf_deinit(&before[i]);
	}
}

TEST(every_way_to_attach_a_disk_at_once_and_a_network)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -nographic -hda a.img -cdrom c.img "
		   "-drive file=b.qcow2,if=virtio,cache=none,discard=unmap "
		   "-drive file=c.img,format=raw,if=none,id=d -device virtio-scsi-pci,id=s "
		   "-device scsi-hd,bus=s.0,drive=d,serial=x1 "
		   "-nic user,model=virtio,hostfwd=tcp:127.0.0.1:0-:22",
		   (struct found){.disks = 4, .written = 3, .pings = 2});
}

TEST(a_pc_with_its_default_nic_and_nodes)
{
	check_line("qemu-system-x86_64 -m 256 -nographic -hdb a.img "
		   "-blockdev file,node-name=f,filename=b.qcow2 -blockdev qcow2,node-name=n,file=f "
		   "-device virtio-blk-pci,drive=n",
		   (struct found){.disks = 2, .written = 2, .pings = 2});
}

#ifdef DV_ATTACH_FULL
TEST(a_second_nic_of_another_kind)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -nographic -nic user,model=e1000 "
		   "-nic user,model=virtio", (struct found){.pings = 4});
}

TEST(legacy_net)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -nographic -net nic,model=virtio -net user",
		   (struct found){.pings = 2});
}

TEST(nics_without_a_driver_in_the_guest)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -nographic -nic user,model=rtl8139 "
		   "-nic user,model=vmxnet3 -nic user,model=pcnet", (struct found){0});
}

TEST(an_ide_disk_on_a_controller_of_its_own)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -nographic -nic none -device ahci,id=ahci1 "
		   "-drive file=a.img,format=raw,if=none,id=d -device ide-hd,bus=ahci1.0,drive=d,bootindex=1",
		   (struct found){.disks = 1, .written = 1});
}

TEST(a_floppy_is_there)
{
	check_line("qemu-system-x86_64 -M pc -m 256 -nographic -nic none -fda a.img -hda c.img",
		   (struct found){.disks = 1, .written = 1});
}

TEST(a_screen_and_a_second_serial_port)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -vga std -serial null -nic none -drive "
		   "file=c.img,if=virtio,format=raw,readonly=on -serial null -display none",
		   (struct found){.disks = 1});
}

TEST(neither_disk_nor_network)
{
	check_line("qemu-system-x86_64 -M q35 -m 256 -display none -serial file:/dev/null -nic none",
		   (struct found){0});
}
#endif
