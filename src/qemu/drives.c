/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives. A user's drive becomes two: the image (an overlay of our own, or the read-only image itself)
 * as `if=none,id=dv-imgN`, and a blkreplay drive on it that has the user's interface, bus, unit, index,
 * media and id, so that the guest finds its disk where it was:
 *
 *	-drive file=a.img,if=ide,index=1
 *	-drive file=OVERLAY,format=qcow2,if=none,id=dv-img0,backing.driver=raw,backing.file.filename=/a.img
 *	-drive if=ide,index=1,driver=blkreplay,image=dv-img0
 *
 * Flash (if=pflash, if=mtd) is read and written synchronously by the machine itself: an overlay is enough.
 */
#include "qemu/rewrite.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"

/* What of -drive is the image's; the rest stays with the user's drive. */
static const char *const image_keys[] = {"file", "format", "driver", "aio", "detect-zeroes",
					 "file.filename", "file.driver", "file.locking", "file.aio",
					 "auto-read-only", "force-share", "node-name"};
/* Known to both. */
static const char *const shared_keys[] = {"cache", "cache.direct", "cache.no-flush", "cache.writeback",
					  "discard", "readonly", "read-only"};
/* The guest's side of a drive. */
static const char *const drive_keys[] = {"if", "bus", "unit", "index", "media", "id", "werror", "rerror",
					 "cyls", "heads", "secs", "trans", "addr"};
static const char *const throttle_keys[] = {"bps", "iops", "throttling.", "group"};
static const char *const flash[] = {"pflash", "mtd"};

static bool among(const char *const *words, size_t len, const char *word)
{
	for (size_t i = 0; i < len; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}
#define AMONG(words, word) among(words, DV_ARRAY_SIZE(words), word)

static bool is_throttle(const char *key)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(throttle_keys); i++)
		if (!strncmp(key, throttle_keys[i], strlen(throttle_keys[i])))
			return true;
	return false;
}

/* A protocol is letters and a colon before any slash: nbd:, json:, https:, fat:. */
static bool has_protocol(const char *path)
{
	size_t len = strcspn(path, ":/");

	return path[len] == ':';
}

static struct dv_error *check_local(const char *option, const char *path)
{
	struct stat st;

	if (has_protocol(path))
		return dv_refuse(option, path,
				 "it is no local file, and what it holds may change; make a local copy with "
				 "qemu-img convert and use that");
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return dv_refuse(option, path,
				 "it is no regular file, and what it holds may change; make a copy with "
				 "qemu-img convert and use that");
	return NULL;
}

/* A name that is free among the images, made of characters that a file name can bear. */
static char *image_name(struct dv_rewriter *rw, const char *wanted)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	char *name;

	if (!wanted)
		dv_buf_printf(&out, "drive%zu", rw->images_unnamed++);
	for (; wanted && *wanted; wanted++) {
		char c = isalnum((unsigned char)*wanted) || strchr("-_.", *wanted) ? *wanted : '_';

		if (!out.len && c == '.')
			c = '_';
		dv_buf_append(&out, &c, 1);
	}
	name = dv_buf_steal_string(&out);
	for (size_t i = 0; name && i < rw->plan->images_len; i++) {
		if (!rw->plan->images[i].name || strcmp(rw->plan->images[i].name, name))
			continue;
		dv_buf_printf(&out, "%s_", name);
		free(name);
		name = dv_buf_steal_string(&out);
		i = (size_t)-1;
	}
	return name;
}

/* One image: registered in the plan, and its `-drive` written. *ret is its number. */
static struct dv_error *add_image(struct dv_rewriter *rw, const char *option, const char *wanted_name,
				  const char *file, const char *format, bool read_only,
				  const struct dv_optlist *extra, size_t *ret)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	_cleanup_free_ char *path = NULL, *name = NULL, *text = NULL;
	struct dv_qemu_image *image;
	size_t i = rw->plan->images_len;
	char value[64];
	bool is_flash;

	if (!has_protocol(file))
		DV_TRY(dv_resolve(rw, option, file, &path));
	DV_TRY(check_local(option, path ? path : file));
	name = image_name(rw, wanted_name);
	if (!name)
		return dv_error_no_memory();
	DV_TRY(dv_plan_new_image(rw->plan, &image));
	image->name = dv_steal(name);
	image->path = dv_steal(path);
	image->format = format ? strdup(format) : NULL;
	if ((format && !image->format) ||
	    (!read_only && asprintf(&image->overlay, "%s.qcow2", image->name) < 0)) {
		image->overlay = NULL;
		return dv_error_no_memory();
	}
	if (read_only) {
		snprintf(value, sizeof(value), "%%{image%zu,}", i);
		DV_TRY(dv_optlist_set_template(&list, "file", value));
		snprintf(value, sizeof(value), "%%{format%zu}", i);
		DV_TRY(dv_optlist_set_template(&list, "format", value));
		DV_TRY(dv_optlist_set(&list, "readonly", "on"));
	} else {
		if (asprintf(&text, "%%{disks,}/%s", image->overlay) < 0) {
			text = NULL;
			return dv_error_no_memory();
		}
		DV_TRY(dv_optlist_set_template(&list, "file", text));
		DV_TRY(dv_optlist_set(&list, "format", "qcow2"));
		snprintf(value, sizeof(value), "%%{format%zu}", i);
		DV_TRY(dv_optlist_set_template(&list, "backing.driver", value));
		snprintf(value, sizeof(value), "%%{image%zu,}", i);
		DV_TRY(dv_optlist_set_template(&list, "backing.file.filename", value));
	}
	for (size_t k = 0; extra && k < extra->len; k++)
		if (extra->items[k].value)
			DV_TRY(dv_optlist_set(&list, extra->items[k].key, extra->items[k].value));
	*ret = i;
	is_flash = dv_optlist_get(&list, "if");
	DV_TRY(dv_plan_note(rw->plan, "%s: %s%s", rw->plan->images[i].path,
			    is_flash ? "" : "through blkreplay, ",
			    read_only ? "read-only" : "on an overlay of its own, your image is not written"));
	if (is_flash)
		return dv_emit_list(rw, DV_WHEN_ALWAYS, "-drive", &list);
	DV_TRY(dv_optlist_set(&list, "if", "none"));
	snprintf(value, sizeof(value), "dv-img%zu", i);
	DV_TRY(dv_optlist_set(&list, "id", value));
	return dv_emit_list(rw, DV_WHEN_ALWAYS, "-drive", &list);
}

static struct dv_error *copy_item(struct dv_optlist *to, const struct dv_opt *opt)
{
	return dv_optlist_set(to, opt->key, opt->value ? opt->value : "on");
}

/* Sorts the user's keys into the image's and the drive's. */
static struct dv_error *split(struct dv_rewriter *rw, const struct dv_optlist *list,
			      struct dv_optlist *image, struct dv_optlist *drive)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct dv_opt *opt = &list->items[i];

		if (AMONG(image_keys, opt->key)) {
			if (!strcmp(opt->key, "aio") || !strcmp(opt->key, "detect-zeroes"))
				DV_TRY(copy_item(image, opt));
		} else if (AMONG(shared_keys, opt->key)) {
			if (!strstr(opt->key, "only"))
				DV_TRY(copy_item(image, opt));
			DV_TRY(copy_item(drive, opt));
		} else if (AMONG(drive_keys, opt->key)) {
			DV_TRY(copy_item(drive, opt));
		} else if (!strcmp(opt->key, "snapshot")) {
			continue;
		} else if (is_throttle(opt->key)) {
			DV_TRY(dv_plan_note(rw->plan, "-drive %s= left out: throttling goes by the host's clock",
					    opt->key));
		} else if (!strcmp(opt->key, "copy-on-read")) {
			DV_TRY(dv_plan_note(rw->plan, "-drive copy-on-read= left out: the overlay keeps what is written"));
		} else {
			return dv_refuse("-drive", opt->key,
					 "it is not known how it records; give the drive as "
					 "-drive file=...,format=...,if=...");
		}
	}
	return NULL;
}

static struct dv_error *emit_drive(struct dv_rewriter *rw, const char *option, const char *name,
				   const struct dv_optlist *list)
{
	_cleanup_optlist_ struct dv_optlist image = DV_OPTLIST_INIT, drive = DV_OPTLIST_INIT;
	const char *file = dv_optlist_get(list, "file");
	const char *format = dv_optlist_get(list, "format");
	const char *media = dv_optlist_get(list, "media");
	const char *protocol = dv_optlist_get(list, "file.driver");
	const char *interface = dv_optlist_get(list, "if");
	bool read_only = dv_optlist_get_bool(list, "readonly", false) ||
			 dv_optlist_get_bool(list, "read-only", false) || (media && !strcmp(media, "cdrom"));
	bool is_flash = interface && AMONG(flash, interface);
	char id[32];
	size_t n;

	if (!file)
		file = dv_optlist_get(list, "file.filename");
	if (!format)
		format = dv_optlist_get(list, "driver");
	if (dv_optlist_get_bool(list, "snapshot", false))
		return dv_refuse(option, "snapshot=on",
				 "QEMU cannot record with it; leave it out: a recording never writes your "
				 "images anyway");
	if (interface && !strcmp(interface, "xen"))
		return dv_refuse(option, "if=xen", "Xen cannot record; use if=virtio");
	if (protocol && strcmp(protocol, "file"))
		return dv_refuse(option, protocol, "only local files can be recorded; use -drive file=...");
	if (!file || !*file) /* an empty drive: nothing to read */
		return dv_emit_list(rw, DV_WHEN_ALWAYS, "-drive", list);
	DV_TRY(split(rw, list, &image, &drive));
	if (!name)
		name = dv_optlist_get(list, "id");
	if (is_flash) {
		DV_TRY(dv_optlist_merge(&image, &drive));
		dv_optlist_remove(&image, "readonly");
		return add_image(rw, option, name, file, format, read_only, &image, &n);
	}
	DV_TRY(add_image(rw, option, name, file, format, read_only, &image, &n));
	snprintf(id, sizeof(id), "dv-img%zu", n);
	DV_TRY(dv_optlist_set(&drive, "driver", "blkreplay"));
	DV_TRY(dv_optlist_set(&drive, "image", id));
	return dv_emit_list(rw, DV_WHEN_ALWAYS, "-drive", &drive);
}

/* -hda FILE, -cdrom FILE, and FILE alone. */
static struct dv_error *emit_image(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *name = option->word ? option->def->name : "hda";

	DV_TRY(dv_optlist_parse(option->def->text, NULL, &list));
	DV_TRY(dv_optlist_set(&list, "file", option->arg));
	return emit_drive(rw, option->word ? option->word : "the disk image", name, &list);
}

struct dv_error *dv_drives_scan(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	if (option->def->action != DV_OPTION_BLOCKDEV)
		return NULL;
	DV_TRY(dv_optlist_parse(option->arg, "driver", &list));
	return dv_named_add(&rw->nodes, "node-name", &list, "-blockdev");
}

static struct dv_error *unsupported_node(const char *id, const char *driver)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "driver %s cannot be recorded; use a format (raw, qcow2...) on a local file, or "
		     "-drive file=...", driver ? driver : "?") < 0) {
		text = NULL;
		return dv_error_no_memory();
	}
	return dv_refuse("-blockdev", id, text);
}

static bool node_read_only(const struct dv_optlist *list)
{
	return dv_optlist_get_bool(list, "read-only", false);
}

/* A node is a format on a file (inline or by name), or a file by itself. */
static struct dv_error *node_drive(struct dv_rewriter *rw, const char *id, const char *interface)
{
	static const char *const formats[] = {"raw", "qcow2", "qcow", "qed", "vdi", "vhdx", "vmdk", "vpc",
					      "parallels", "dmg", "cloop", "bochs"};
	const struct dv_named *node = dv_named_find(&rw->nodes, id), *below;
	_cleanup_optlist_ struct dv_optlist drive = DV_OPTLIST_INIT;
	const char *driver = dv_optlist_get(&node->list, "driver"), *file, *protocol;
	const char *below_id = dv_optlist_get(&node->list, "file"), *format = driver;

	if (driver && !strcmp(driver, "file")) {
		format = "raw";
		protocol = driver;
		file = dv_optlist_get(&node->list, "filename");
	} else if (!driver || !AMONG(formats, driver)) {
		return unsupported_node(id, driver);
	} else if (below_id) {
		below = dv_named_find(&rw->nodes, below_id);
		protocol = below ? dv_optlist_get(&below->list, "driver") : NULL;
		file = below ? dv_optlist_get(&below->list, "filename") : NULL;
	} else {
		protocol = dv_optlist_get(&node->list, "file.driver");
		file = dv_optlist_get(&node->list, "file.filename");
	}
	if (!file || !protocol || strcmp(protocol, "file") || dv_optlist_get(&node->list, "offset"))
		return unsupported_node(id, protocol);
	DV_TRY(dv_optlist_set(&drive, "file", file));
	DV_TRY(dv_optlist_set(&drive, "format", format));
	if (interface && strncmp(interface, "pflash", 6) == 0) {
		DV_TRY(dv_optlist_set(&drive, "if", "pflash"));
		DV_TRY(dv_optlist_set(&drive, "unit", interface + 6));
	} else {
		DV_TRY(dv_optlist_set(&drive, "if", "none"));
		DV_TRY(dv_optlist_set(&drive, "id", id));
	}
	if (node_read_only(&node->list))
		DV_TRY(dv_optlist_set(&drive, "readonly", "on"));
	if (dv_optlist_get(&node->list, "discard"))
		DV_TRY(dv_optlist_set(&drive, "discard", dv_optlist_get(&node->list, "discard")));
	return emit_drive(rw, "-blockdev", id, &drive);
}

struct dv_error *dv_drives_device(struct dv_rewriter *rw, const struct dv_optlist *device)
{
	const char *id = dv_optlist_get(device, "drive");
	struct dv_named *node = id ? dv_named_find(&rw->nodes, id) : NULL;

	if (!node || node->used)
		return NULL;
	node->used = DV_USED_DEVICE;
	return node_drive(rw, id, NULL);
}

struct dv_error *dv_drives_machine(struct dv_rewriter *rw)
{
	static const char *const keys[] = {"pflash0", "pflash1"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(keys); i++) {
		const char *id = dv_optlist_get(&rw->machine, keys[i]);
		struct dv_named *node = id ? dv_named_find(&rw->nodes, id) : NULL;

		if (!node)
			continue;
		node->used = DV_USED_MACHINE;
		DV_TRY(node_drive(rw, id, keys[i]));
		dv_optlist_remove(&rw->machine, keys[i]);
	}
	return NULL;
}

struct dv_error *dv_drives_emit(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	switch (option->def->action) {
	case DV_OPTION_IMAGE:
		return emit_image(rw, option);
	case DV_OPTION_DRIVE:
		DV_TRY(dv_optlist_parse(option->arg, NULL, &list));
		return emit_drive(rw, option->word, NULL, &list);
	default: /* a -blockdev is written where a device names it */
		return NULL;
	}
}
