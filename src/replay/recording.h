/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording: the folder NAME.dejaview/, which is the source of truth. Nothing in it but the trace is
 * changed once recording has ended, and it can be moved; dejaview-record(1) lists what is in it.
 * A recorder at work holds a flock on the folder.
 */
#ifndef DV_REPLAY_RECORDING_H
#define DV_REPLAY_RECORDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "qemu/plan.h"

#define DV_RECORDING_SCHEMA 1
#define DV_RECORDING_MANIFEST "manifest.json"
#define DV_RECORDING_TRACE "trace.dvtrace"
#define DV_RECORDING_QEMU_LOG "qemu.log" /* QEMU's stderr */

struct dv_recording {
	char *folder;		   /* absolute, links resolved */
	json_t *manifest;	   /* all of it, as kept in the file */
	struct dv_qemu_plan *plan; /* from the manifest */
	int folder_fd;		   /* holds the lock while recording */
	int64_t longest_idle_ms;   /* what passed in no instructions, by the log; -1 before dv_recording_check() */
	bool is_live;		   /* another process is recording into it now */
};

/* What dv_recording_create() does besides. */
struct dv_recording_options {
	bool force;	   /* replace an existing recording of that name */
	bool copy_images;  /* base images go into the folder */
	const char *qemu_version;     /* first line of `qemu -version` */
	json_t *plugin_options;	      /* array of strings; borrowed; NULL: no plugin */
	/* Told of long steps; may be NULL. total_bytes is 0 when unknown. */
	void (*progress)(void *context, const char *what, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_context;
};

/*
 * Makes the folder with everything QEMU needs to record: kernel and initrd copied, base images' sizes,
 * times and digests taken, overlays and snapshot file made, manifest written with state "recording", lock
 * taken. Takes plan over when it succeeds. Errors: DV_ERROR_INVALID for a folder that exists, DV_ERROR_OS,
 * and those of dv_qemu_disks_create().
 */
struct dv_error *dv_recording_create(const char *folder, struct dv_qemu_plan *plan,
				     const struct dv_recording_options *options, struct dv_recording **ret);

/*
 * Opens an existing one. Errors: DV_ERROR_NOT_FOUND for what is no recording, DV_ERROR_FORMAT for a broken
 * manifest, DV_ERROR_UNSUPPORTED for a newer schema.
 */
struct dv_error *dv_recording_open(const char *folder, struct dv_recording **ret);
void dv_recording_destroy(struct dv_recording *recording);
DV_DEFINE_CLEANUP(struct dv_recording, dv_recording_destroy);
/* Removes the folder of one just made, when QEMU never came to run in it. */
void dv_recording_remove(struct dv_recording *recording);

/* "recording", "complete" or "repaired". "recording" and not is_live: the recorder was killed. */
const char *dv_recording_state(const struct dv_recording *recording);
/* Instructions in all, and up to where every replay is the same; 0 while unknown. */
uint64_t dv_recording_last_icount(const struct dv_recording *recording);
uint64_t dv_recording_common_icount(const struct dv_recording *recording);

/* Recording is over: takes the end from the log, notes how, writes the manifest, lets go of the lock. */
struct dv_error *dv_recording_complete(struct dv_recording *recording, const char *how);
/* Makes a killed recorder's folder replayable. Does nothing for any other. */
struct dv_error *dv_recording_repair(struct dv_recording *recording);
struct dv_error *dv_recording_save(struct dv_recording *recording);

/*
 * Where a base image lies now: "PATH", when there is one base, or "NAME=PATH". For this process alone.
 * Its contents are checked by dv_recording_check().
 */
struct dv_error *dv_recording_set_image(struct dv_recording *recording, const char *spec);
/*
 * May it be replayed: complete, the base images there and unchanged (by size and time, else by digest),
 * and QEMU the recording's own version. Errors: DV_ERROR_MISMATCH, DV_ERROR_NOT_FOUND, with the way out.
 */
struct dv_error *dv_recording_check(struct dv_recording *recording, const char *qemu_version);
/* The same with the version of the QEMU that is installed. qemu: its path; NULL: the plan's. */
struct dv_error *dv_recording_check_installed(struct dv_recording *recording, const char *qemu);

struct dv_kernel;
/*
 * The kernel image that QEMU was given; *ret is NULL, and no error, when it was given none (it is on the
 * disk). Errors: dv_kernel_open()'s.
 */
struct dv_error *dv_recording_open_kernel(const struct dv_recording *recording, struct dv_kernel **ret);

/* Path of a file in the folder; free(). */
char *dv_recording_path(const struct dv_recording *recording, const char *name);

/* Parses a manifest: schema, state and plan must be there. name is for messages. Used by open; for tests. */
struct dv_error *dv_manifest_parse(const char *name, const void *text, size_t len, json_t **ret);

#endif
