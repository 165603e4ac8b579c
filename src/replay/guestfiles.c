/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's files: see guestfiles.h. */
#include "replay/guestfiles.h"

#include <stdlib.h>
#include <string.h>
#include "base/io.h"

#define MAX_DISKS 16

struct sources {
	char *sysroot, *initrd;
	char *disks[MAX_DISKS + 1]; /* NULL-terminated */
	size_t disks_len;
};

static void sources_deinit(struct sources *s)
{
	free(s->sysroot);
	free(s->initrd);
	for (size_t i = 0; i < s->disks_len; i++)
		free(s->disks[i]);
}

static struct dv_error *open_all(const struct sources *s, const char *sysroot, const char *debug_folder,
				 struct dv_files **ret, struct dv_error **ret_complaint)
{
	const struct dv_files_options options = {
		.sysroot = sysroot ? sysroot : s->sysroot,
		.initrd = s->initrd,
		.disks = (const char *const *)s->disks,
		.debug_folder = debug_folder,
	};

	return dv_files_open(&options, ret, ret_complaint);
}

struct dv_error *dv_guest_files_open(const struct dv_recording *recording, const char *sysroot,
				     const char *debug_folder, struct dv_files **ret, struct dv_error **ret_complaint)
{
	const struct dv_qemu_plan *plan = recording->plan;
	_cleanup_(sources_deinit) struct sources s = {0};

	for (size_t i = 0; i < plan->files_len && !s.initrd; i++)
		if (!strcmp(plan->files[i].role, "initrd"))
			s.initrd = dv_qemu_file_path(plan, i, recording->folder);
	for (size_t i = 0; i < plan->images_len && s.disks_len < MAX_DISKS; i++) {
		s.disks[s.disks_len] = dv_qemu_image_path(plan, i, recording->folder);
		s.disks_len += s.disks[s.disks_len] != NULL;
	}
	return open_all(&s, sysroot, debug_folder, ret, ret_complaint);
}

/* One option of the plugin's: "initrd=PATH". */
static void take_option(struct sources *s, const char *directory, const char *option)
{
	static const char initrd[] = "initrd=", disk[] = "disk=", sysroot[] = "sysroot=";

	if (!strncmp(option, initrd, sizeof(initrd) - 1)) {
		free(s->initrd);
		s->initrd = dv_path_join(directory, option + sizeof(initrd) - 1);
	} else if (!strncmp(option, sysroot, sizeof(sysroot) - 1)) {
		free(s->sysroot);
		s->sysroot = dv_path_join(directory, option + sizeof(sysroot) - 1);
	} else if (!strncmp(option, disk, sizeof(disk) - 1) && s->disks_len < MAX_DISKS) {
		s->disks[s->disks_len] = dv_path_join(directory, option + sizeof(disk) - 1);
		s->disks_len += s->disks[s->disks_len] != NULL;
	}
}

struct dv_error *dv_guest_files_of_command(const char *const *command, const char *directory, const char *sysroot,
					   const char *debug_folder, struct dv_files **ret,
					   struct dv_error **ret_complaint)
{
	_cleanup_(sources_deinit) struct sources s = {0};

	directory = directory ? directory : ".";
	for (const char *const *arg = command; arg && arg[0] && arg[1]; arg++) {
		const char *name = *arg + (!strncmp(*arg, "--", 2) ? 1 : 0);

		if (!strcmp(name, "-initrd") && !s.initrd) {
			s.initrd = dv_path_join(directory, arg[1]);
		} else if (!strcmp(name, "-plugin")) {
			_cleanup_free_ char *options = strdup(arg[1]);
			char *rest = options, *option;

			while ((option = options ? strsep(&rest, ",") : NULL))
				take_option(&s, directory, option);
		}
	}
	return open_all(&s, sysroot, debug_folder, ret, ret_complaint);
}
