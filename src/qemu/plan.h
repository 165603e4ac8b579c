/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan is a user's QEMU command line after it has been made recordable (cmdline.h makes it): the
 * options, neutral as to where the recording's folder lies and whether it records or replays; the
 * images and files that it reads; and what was changed, said in one line each. The recording's
 * manifest holds the plan as JSON; every command line that QEMU is ever started with for this
 * recording comes from dv_qemu_plan_argv().
 *
 * Life of a recording:
 *	dv_qemu_plan_create(argv...)		cmdline.h: parse, rewrite, or refuse
 *	copy plan->files[i].path into the folder, set plan->files[i].stored
 *	dv_qemu_disks_create(plan, folder)	disks.h: overlays and the snapshot qcow2
 *	dv_qemu_plan_argv(plan, {RECORD, folder, ...}), dv_qemu_process_start()
 *	dv_qemu_plan_to_json() into the manifest
 *	later: dv_qemu_plan_from_json(), dv_qemu_plan_argv(plan, {REPLAY, folder, ...})
 *
 * In the folder: DV_QEMU_LOG, DV_QEMU_SNAPSHOTS, DV_QEMU_CONSOLE and the overlays (images[i].overlay).
 */
#ifndef DV_QEMU_PLAN_H
#define DV_QEMU_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define DV_QEMU_LOG	  "rr.log"	    /* QEMU's record/replay log */
#define DV_QEMU_SNAPSHOTS "snapshots.qcow2" /* holds the VM states */
#define DV_QEMU_CONSOLE	  "console.log"	    /* what the guest wrote to its first serial port */
#define DV_QEMU_FIRST_SNAPSHOT "init"	    /* the state at icount 0, made when recording starts */

enum dv_qemu_mode { DV_QEMU_RECORD, DV_QEMU_REPLAY };

/* A disk image of the user's. It is never written. */
struct dv_qemu_image {
	char *name;	  /* the drive's id: what `--image NAME=PATH` would say */
	char *path;	  /* absolute at first; may be set to one relative to the folder (--copy-image) */
	char *format;	  /* "raw", "qcow2"...; NULL until dv_qemu_disks_create() has looked */
	char *overlay;	  /* file name in the folder; NULL when the drive is read-only */
	uint64_t virtual_bytes; /* 0 until dv_qemu_disks_create() has looked */
	char **backing;	  /* absolute paths of the images below path (its backing chain); NULL: none or not
			     looked yet. NULL-terminated */
};

/* A file that QEMU reads when it starts: kernel, initrd, dtb, firmware... */
struct dv_qemu_file {
	char *role;   /* the option without dash: "kernel", "initrd", "dtb", "bios", "shim", "option-rom"... */
	char *path;   /* the user's, absolute */
	char *stored; /* where it is in the folder, relative to it; NULL (then path is used) until set */
};

/* A port of the host's that leads into the guest, kept from QEMU's command line: the recorder opens it when the guest's
 * network card takes packets (replay/forwards.h). Not in the manifest: a replay opens none. */
struct dv_qemu_forward {
	char *netdev;
	char *rule; /* hostfwd='s value; qemu/forward.h */
};

struct dv_qemu_plan_arg; /* private: plan_build.h */

struct dv_qemu_plan {
	char *binary;	 /* argv[0]: a name to be looked for in PATH, or an absolute path */
	char *arch;	 /* "x86_64", "aarch64"...: what follows qemu-system- */
	char *directory; /* the working directory that relative paths were resolved against, absolute */
	char **command;	 /* the user's own argv, untouched, NULL-terminated */
	char **notes;	 /* one line per change, NULL-terminated */
	size_t notes_len;
	struct dv_qemu_image *images;
	size_t images_len;
	struct dv_qemu_file *files;
	size_t files_len;
	struct dv_qemu_forward *forwards;
	size_t forwards_len;
	bool has_network; /* a NIC with a backend is there */
	bool has_console; /* DV_QEMU_CONSOLE is written while recording */
	bool cannot_restore; /* a replay from a snapshot would hang: it starts with the power-on, without
				checkpoints */
	bool can_skip_idle; /* with nothing typed, sleep=off would do; see dv_qemu_plan_no_input() */
	char *icount;	  /* "shift=auto" or "shift=auto,sleep=off" or the user's, without rr= */
	uint64_t memory_bytes; /* guest RAM; 0 when the command line does not say it plainly */
	struct dv_qemu_plan_arg *args;
	size_t args_len;
};

void dv_qemu_plan_destroy(struct dv_qemu_plan *plan);
DV_DEFINE_CLEANUP(struct dv_qemu_plan, dv_qemu_plan_destroy);
#define _cleanup_qemu_plan_ _cleanup_(dv_qemu_plan_destroyp)

/* New reference (json_decref). Errors: DV_ERROR_NO_MEMORY, DV_ERROR_INVALID for text that is not UTF-8. */
struct dv_error *dv_qemu_plan_to_json(const struct dv_qemu_plan *plan, json_t **ret);
/* Errors: DV_ERROR_FORMAT, naming the member. */
struct dv_error *dv_qemu_plan_from_json(const json_t *json, struct dv_qemu_plan **ret);

/*
 * Says, before recording, that nothing will be typed on the console: a guest with neither disk nor network
 * then need not live through its idle time (sleep=off), and boots several times faster. A guest that waits
 * for input would starve with it.
 */
struct dv_error *dv_qemu_plan_no_input(struct dv_qemu_plan *plan);

/* One start of QEMU. Members that are NULL or 0 take the default that is said. */
struct dv_qemu_run {
	enum dv_qemu_mode mode;
	const char *folder;	/* the recording's, absolute; required */
	const char *binary;	/* QEMU to run; default: plan->binary */
	const char *log;	/* default: folder/DV_QEMU_LOG */
	const char *disks;	/* directory with the overlays and snapshots (a session's copies);
				   default: folder */
	const char *const *layers; /* folders of layers (layers.h) between the recording's files and those in
				      disks, lowest first, NULL-terminated; NULL: disks holds copies */
	const char *snapshot;	/* rrsnapshot=; default: DV_QEMU_FIRST_SNAPSHOT */
	const char *plugin;	/* path of the plugin; default: none */
	const char *const *plugin_options; /* "name=value"..., NULL-terminated; commas are doubled here */
	const char *qmp_socket; /* a UNIX socket's path, on which QEMU listens; default: none */
	int qmp_fd;		/* an already listening socket inherited by QEMU, when > 0; instead of qmp_socket */
	const char *gdb_socket; /* a UNIX socket's path, on which QEMU's gdbstub listens; default: none */
	const char *console;	/* replay: a file that receives the console's output; default: discarded.
				   record: instead of folder/DV_QEMU_CONSOLE */
	bool no_terminal;	/* record: no console on the terminal, to the file alone (tests, daemons) */
	bool paused;		/* -S */
};

/* NULL-terminated argv in new memory, freed with dv_strv_free(). Errors: DV_ERROR_INVALID. */
struct dv_error *dv_qemu_plan_argv(const struct dv_qemu_plan *plan, const struct dv_qemu_run *run,
				   char ***ret);

/* Where image i (its base) and file i lie for a recording in folder. New memory; NULL: none left. */
char *dv_qemu_image_path(const struct dv_qemu_plan *plan, size_t i, const char *folder);
char *dv_qemu_file_path(const struct dv_qemu_plan *plan, size_t i, const char *folder);

/* Frees a NULL-terminated vector of strings and the strings. NULL-safe. */
void dv_strv_free(char **strv);

#endif
