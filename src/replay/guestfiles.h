/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the files of a recording's guest are: those that it was started with. */
#ifndef DV_REPLAY_GUESTFILES_H
#define DV_REPLAY_GUESTFILES_H

#include "replay/recording.h"
#include "symbols/files.h"

/*
 * The recording's initramfs, and its images as they were when it was recorded: what the guest wrote since lies in
 * the overlays. sysroot, debug_folder: as in dv_files_options, may be NULL. ret_complaint: a source that cannot be
 * opened, or NULL.
 */
struct dv_error *dv_guest_files_open(const struct dv_recording *recording, const char *sysroot,
				     const char *debug_folder, struct dv_files **ret, struct dv_error **ret_complaint);
/* The same of a trace that the plugin made by itself, by QEMU's command line in it (NULL-terminated), which ran in
 * directory. */
struct dv_error *dv_guest_files_of_command(const char *const *command, const char *directory, const char *sysroot,
					   const char *debug_folder, struct dv_files **ret,
					   struct dv_error **ret_complaint);

#endif
