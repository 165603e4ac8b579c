/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rewriting as a whole, and the options that concern no other file; see rewrite.h. */
#include "qemu/cmdline.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "qemu/rewrite.h"

static const struct dv_arch archs[] = {
	{.name = "x86_64", .x86 = true},
	{.name = "i386", .x86 = true},
	{.name = "aarch64"},
	{.name = "arm"},
	{.name = "riscv64"},
	{.name = "riscv32"},
	{.name = "loongarch64"},
	{.name = "s390x"},
	{.name = "ppc64"},
};

/* Devices by the beginning of their name. */
static const struct {
	const char *driver;
	const char *reason;
} refused_devices[] = {
	{"vfio-", "what a device of the host does is not recorded; use an emulated device"},
	{"usb-host", "what a device of the host does is not recorded; use an emulated device"},
	{"usb-redir", "what a device of the host does is not recorded; use an emulated device"},
	{"ccid-card-passthru", "what a device of the host does is not recorded; use an emulated device"},
	{"u2f-passthru", "what a device of the host does is not recorded; use an emulated device"},
	{"scsi-generic", "what a device of the host does is not recorded; use scsi-hd on a disk image"},
	{"scsi-block", "what a device of the host does is not recorded; use scsi-hd on a disk image"},
	{"vhost-", "it goes past QEMU and is not recorded; use the virtio device without vhost"},
	{"vdpa-", "it goes past QEMU and is not recorded; use the virtio device without vhost"},
	{"virtio-9p", "what the guest reads from a shared host directory is not recorded; put the files into "
		      "a disk image or the initrd"},
	{"ivshmem", "what others write to shared memory is not recorded; leave it out"},
	{"tpm-", "what a TPM outside QEMU answers is not recorded; leave the TPM out"},
	{"qxl", "it needs a SPICE client at replay too; use -vga std"},
	{"virtio-gpu-gl", "the host's GPU is not recorded; use virtio-gpu-pci"},
	{"virtio-vga-gl", "the host's GPU is not recorded; use virtio-vga"},
	{"virtio-gpu-rutabaga", "the host's GPU is not recorded; use virtio-gpu-pci"},
	{"virtio-vga-rutabaga", "the host's GPU is not recorded; use virtio-vga"},
};

struct dv_error *dv_refuse(const char *option, const char *argument, const char *reason)
{
	return dv_error_new(DV_ERROR_UNSUPPORTED, "%s%s%s cannot be recorded: %s", option,
			    argument ? " " : "", argument ? argument : "", reason);
}

struct dv_named *dv_named_find(const struct dv_named_list *list, const char *id)
{
	for (size_t i = 0; i < list->len; i++)
		if (!strcmp(list->items[i].id, id))
			return &list->items[i];
	return NULL;
}

struct dv_error *dv_named_add(struct dv_named_list *named, const char *id_key, struct dv_optlist *list,
			      const char *option)
{
	const char *id = dv_optlist_get(list, id_key);
	struct dv_named *items;

	if (!id)
		return dv_error_new(DV_ERROR_INVALID, "%s needs %s=", option, id_key);
	if (dv_named_find(named, id))
		return dv_error_new(DV_ERROR_INVALID, "%s: %s=%s is there twice", option, id_key, id);
	items = reallocarray(named->items, named->len + 1, sizeof(*items));
	if (!items)
		return dv_error_no_memory();
	named->items = items;
	items[named->len] = (struct dv_named){.id = strdup(id), .list = *list};
	*list = (struct dv_optlist)DV_OPTLIST_INIT;
	return items[named->len++].id ? NULL : dv_error_no_memory();
}

static void named_deinit(struct dv_named_list *named)
{
	for (size_t i = 0; i < named->len; i++) {
		free(named->items[i].id);
		dv_optlist_deinit(&named->items[i].list);
	}
	free(named->items);
}

struct dv_error *dv_emit_list(struct dv_rewriter *rw, unsigned when, const char *option,
			      const struct dv_optlist *list)
{
	_cleanup_free_ char *text = dv_optlist_template(list);

	return text ? dv_plan_add(rw->plan, when, option, text) : dv_error_no_memory();
}

struct dv_error *dv_resolve(const struct dv_rewriter *rw, const char *option, const char *path, char **ret)
{
	_cleanup_free_ char *full = dv_path_join(rw->plan->directory, path);

	if (!full)
		return dv_error_no_memory();
	if (access(full, F_OK))
		return errno == ENOENT ?
			       dv_error_new(DV_ERROR_NOT_FOUND, "%s %s: no such file", option, path) :
			       dv_error_os(errno, "%s %s", option, path);
	*ret = dv_steal(full);
	return NULL;
}

/* -kernel, -initrd, -bios...: a firmware's name may also be one in QEMU's own data directory. */
static struct dv_error *emit_file(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_free_ char *path = NULL;
	char value[32];
	size_t i;
	struct dv_error *err = dv_resolve(rw, option->word, option->arg, &path);

	if (err && err->code == DV_ERROR_NOT_FOUND && !strcmp(option->def->name, "bios") &&
	    *option->arg != '/') {
		dv_error_destroy(err);
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, option->word, option->arg);
	}
	DV_TRY(err);
	DV_TRY(dv_plan_new_file(rw->plan, option->def->name, path, &i));
	snprintf(value, sizeof(value), "%%{file%zu}", i);
	return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, option->word, value);
}

/* -fw_cfg name=N,file=PATH and its like: the keys in the table are files, `:` between several. */
static struct dv_error *emit_file_key(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *first_key = strcmp(option->def->name, "fw_cfg") ? "romfile" : "name";
	char value[32];

	DV_TRY(dv_optlist_parse(option->arg, first_key, &list));
	for (size_t k = 0; k < list.len; k++) {
		struct dv_opt *opt = &list.items[k];
		const char *at = strstr(option->def->text, opt->key);
		size_t len = strlen(opt->key), i;
		_cleanup_free_ char *path = NULL;

		if (!at || (at[len] && at[len] != '|') || !opt->value)
			continue;
		if (opt->implied && opt->value[0] != '/' && !strchr(opt->value, '.'))
			continue;
		DV_TRY(dv_resolve(rw, option->word, opt->value, &path));
		DV_TRY(dv_plan_new_file(rw->plan, option->def->name, path, &i));
		snprintf(value, sizeof(value), "%%{file%zu,}", i);
		DV_TRY(dv_optlist_set_template(&list, opt->key, value));
	}
	return dv_emit_list(rw, DV_WHEN_ALWAYS, option->word, &list);
}

static struct dv_error *emit_device(struct dv_rewriter *rw, const struct dv_option *option)
{
	static const char *const ours[] = {"guest_announce", "tx", "x-txtimer"}; /* dv_net_finish() */
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *driver;
	bool changed, iothread;

	DV_TRY(dv_optlist_parse(option->arg, "driver", &list));
	driver = dv_optlist_get(&list, "driver");
	if (!driver)
		return dv_error_new(DV_ERROR_INVALID, "-device %s names no driver", option->arg);
	for (size_t i = 0; i < DV_ARRAY_SIZE(refused_devices); i++)
		if (!strncmp(driver, refused_devices[i].driver, strlen(refused_devices[i].driver)))
			return dv_refuse("-device", driver, refused_devices[i].reason);
	DV_TRY(dv_drives_device(rw, &list));
	changed = dv_net_unreplayable(driver);
	if (changed) {
		DV_TRY(dv_plan_note(rw->plan, "NIC %s is virtio-net-pci: a replay would hang with it", driver));
		DV_TRY(dv_optlist_set(&list, "driver", "virtio-net-pci"));
		driver = "virtio-net-pci";
	}
	if (!strncmp(driver, "virtio-net", 10))
		rw->virtio_net = true;
	/* It arms a timer when it is restored, which the log does not have. */
	if (!strncmp(driver, "virtio-serial", 13) && !rw->plan->cannot_restore) {
		DV_TRY(dv_plan_note(rw->plan, "%s: a replay from a snapshot would hang with it: there can be no "
					      "checkpoints, and seeks and steps back replay from the beginning", driver));
		rw->plan->cannot_restore = true;
	}
	iothread = dv_optlist_remove(&list, "iothread");
	if (iothread)
		DV_TRY(dv_plan_note(rw->plan, "-device %s: iothread= left out: a recording has one thread of I/O",
				    driver));
	for (size_t i = 0; i < DV_ARRAY_SIZE(ours); i++)
		changed |= dv_optlist_remove(&list, ours[i]);
	if (changed || iothread)
		return dv_emit_list(rw, DV_WHEN_ALWAYS, "-device", &list);
	return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-device", option->arg);
}

/* Random numbers from the host are logged only when they come from QEMU's own generator. */
static struct dv_error *emit_object(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	_cleanup_free_ char *id = NULL;
	const char *type;

	DV_TRY(dv_optlist_parse(option->arg, "qom-type", &list));
	type = dv_optlist_get(&list, "qom-type");
	if (!type || (strcmp(type, "rng-random") && strcmp(type, "rng-egd")))
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-object", option->arg);
	DV_TRY(dv_plan_note(rw->plan, "-object %s is rng-builtin: the host's random numbers are not logged", type));
	id = dv_plan_quote(dv_optlist_get(&list, "id") ?: "");
	if (!id)
		return dv_error_no_memory();
	return dv_plan_addf(rw->plan, DV_WHEN_ALWAYS, "-object", "rng-builtin,id=%s", id);
}

/* Sound is cut off at replay. */
static struct dv_error *emit_audio(struct dv_rewriter *rw, const struct dv_option *option)
{
	const char *key = option->def->action == DV_OPTION_AUDIO ? "model" : "id";
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT, bare = DV_OPTLIST_INIT;
	const char *value;

	DV_TRY(dv_optlist_parse(option->arg, "driver", &list));
	value = dv_optlist_get(&list, key);
	DV_TRY(dv_optlist_parse("none", "driver", &bare));
	if (value)
		DV_TRY(dv_optlist_set(&bare, key, value));
	DV_TRY(dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, option->word, option->arg));
	return dv_emit_list(rw, DV_WHEN_REPLAYING, option->word, &bare);
}

static struct dv_error *emit_data_dir(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_free_ char *path = NULL;

	DV_TRY(dv_resolve(rw, "-L", option->arg, &path));
	return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-L", path);
}

static struct dv_error *emit_as_is(struct dv_rewriter *rw, unsigned when, const struct dv_option *option)
{
	if (!option->arg)
		return dv_plan_add(rw->plan, when, option->word, NULL);
	return dv_plan_add_plain(rw->plan, when, option->word, option->arg);
}

static struct dv_error *scan(struct dv_rewriter *rw, const struct dv_option *option)
{
	switch (option->def->action) {
	case DV_OPTION_REFUSE:
		return dv_refuse(option->word, NULL, option->def->text);
	case DV_OPTION_NO_HPET:
		rw->any_machine = true;
		return dv_optlist_set(&rw->machine, "hpet", "off");
	case DV_OPTION_BLOCKDEV:
		return dv_drives_scan(rw, option);
	case DV_OPTION_NET:
	case DV_OPTION_NETDEV:
	case DV_OPTION_NIC:
		return dv_net_scan(rw, option);
	case DV_OPTION_SERIAL:
	case DV_OPTION_CHARDEV:
	case DV_OPTION_MONITOR:
	case DV_OPTION_NOGRAPHIC:
	case DV_OPTION_DISPLAY:
		return dv_console_scan(rw, option);
	default:
		return dv_machine_scan(rw, option);
	}
}

static struct dv_error *emit(struct dv_rewriter *rw, const struct dv_option *option)
{
	switch (option->def->action) {
	case DV_OPTION_PASS:
		return emit_as_is(rw, DV_WHEN_ALWAYS, option);
	case DV_OPTION_RECORD:
		return emit_as_is(rw, DV_WHEN_RECORDING, option);
	case DV_OPTION_TERMINAL:
		return emit_as_is(rw, DV_WHEN_TERMINAL, option);
	case DV_OPTION_DROP:
		return dv_plan_note(rw->plan, "%s left out: %s", option->word, option->def->text);
	case DV_OPTION_FILE:
		return emit_file(rw, option);
	case DV_OPTION_FILE_KEY:
		return emit_file_key(rw, option);
	case DV_OPTION_DATA_DIR:
		return emit_data_dir(rw, option);
	case DV_OPTION_DEVICE:
		return emit_device(rw, option);
	case DV_OPTION_OBJECT:
		return emit_object(rw, option);
	case DV_OPTION_AUDIO:
	case DV_OPTION_AUDIODEV:
		return emit_audio(rw, option);
	case DV_OPTION_IMAGE:
	case DV_OPTION_DRIVE:
	case DV_OPTION_BLOCKDEV:
		return dv_drives_emit(rw, option);
	case DV_OPTION_NET:
	case DV_OPTION_NETDEV:
	case DV_OPTION_NIC:
		return dv_net_emit(rw, option);
	case DV_OPTION_SERIAL:
	case DV_OPTION_CHARDEV:
	case DV_OPTION_MONITOR:
	case DV_OPTION_NOGRAPHIC:
	case DV_OPTION_DISPLAY:
	case DV_OPTION_PARALLEL:
		return dv_console_emit(rw, option);
	default:
		return dv_machine_emit(rw, option);
	}
}

static struct dv_error *rewrite(struct dv_rewriter *rw)
{
	for (size_t i = 0; i < rw->options.len; i++)
		DV_TRY(scan(rw, &rw->options.items[i]));
	DV_TRY(dv_console_mark(rw));
	DV_TRY(dv_drives_machine(rw));
	DV_TRY(dv_machine_begin(rw));
	for (size_t i = 0; i < rw->options.len; i++)
		DV_TRY(emit(rw, &rw->options.items[i]));
	DV_TRY(dv_net_finish(rw));
	DV_TRY(dv_console_finish(rw));
	return dv_machine_finish(rw);
}

/* qemu-system-ARCH, whatever directory it is in and whatever follows a second dash-less suffix. */
static struct dv_error *find_arch(const char *binary, const struct dv_arch **ret)
{
	const char *slash = strrchr(binary, '/');
	const char *name = slash ? slash + 1 : binary;

	if (strncmp(name, "qemu-system-", 12))
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "%s is no qemu-system-*: give a whole QEMU command line, "
				    "qemu-system-x86_64 and its options, behind --", binary);
	for (size_t i = 0; i < DV_ARRAY_SIZE(archs); i++)
		if (!strcmp(name + 12, archs[i].name)) {
			*ret = &archs[i];
			return NULL;
		}
	return dv_error_new(DV_ERROR_UNSUPPORTED,
			    "%s: this architecture is not known here; qemu-system-x86_64 is", binary);
}

static struct dv_error *init_plan(struct dv_qemu_plan *plan, int argc, char *const *argv,
				  const struct dv_arch *arch, const char *directory)
{
	plan->arch = strdup(arch->name);
	plan->directory = directory ? strdup(directory) : getcwd(NULL, 0);
	if (plan->directory) /* a name without slash is looked for in PATH each time */
		plan->binary = strchr(argv[0], '/') ? dv_path_join(plan->directory, argv[0]) : strdup(argv[0]);
	plan->command = dv_strv_copy(argv, (size_t)argc);
	plan->notes = calloc(1, sizeof(*plan->notes));
	if (!plan->binary || !plan->arch || !plan->directory || !plan->command || !plan->notes)
		return dv_error_no_memory();
	return NULL;
}

static void rewriter_deinit(struct dv_rewriter *rw)
{
	dv_options_deinit(&rw->options);
	dv_optlist_deinit(&rw->machine);
	dv_optlist_deinit(&rw->accel);
	named_deinit(&rw->nodes);
	named_deinit(&rw->netdevs);
	named_deinit(&rw->chardevs);
}

struct dv_error *dv_qemu_plan_create(int argc, char *const *argv, const char *directory,
				     struct dv_qemu_plan **ret)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = calloc(1, sizeof(*plan));
	_cleanup_(rewriter_deinit) struct dv_rewriter rw = {.plan = plan};

	if (!plan)
		return dv_error_no_memory();
	if (argc < 1)
		return dv_error_new(DV_ERROR_INVALID, "QEMU's command line is missing: give it behind --");
	DV_TRY(find_arch(argv[0], &rw.arch));
	DV_TRY(init_plan(plan, argc, argv, rw.arch, directory));
	DV_TRY(dv_options_parse(argc - 1, argv + 1, &rw.options));
	DV_TRY(rewrite(&rw));
	*ret = dv_steal(plan);
	return NULL;
}
