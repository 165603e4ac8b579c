/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU that records into a recording or replays one: started, spoken to over QMP, ended. A replay works
 * on copies of overlays and snapshots (reflinks where the file system has them), or on a layer over them
 * (qemu/layers.h), in a folder of its own, so the recording itself is never written.
 */
#ifndef DV_REPLAY_MACHINE_H
#define DV_REPLAY_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "qemu/process.h"
#include "qemu/terminal.h"
#include "replay/checkpoints.h"
#include "replay/qmp.h"
#include "replay/recording.h"
#include "replay/scratch.h"

struct dv_machine {
	const struct dv_recording *recording; /* borrowed */
	const char *binary; /* what was started; borrowed */
	struct dv_process process;
	struct dv_qmp *qmp;	 /* NULL of one unattended */
	struct dv_scratch run;	 /* short, for sockets and the status page; removed at the end */
	struct dv_scratch disks; /* of a replay; removed at the end */
	char *gdb_socket; /* NULL without one */
};

#define DV_MACHINE_INIT {.process = DV_PROCESS_INIT, .run = DV_SCRATCH_INIT, .disks = DV_SCRATCH_INIT}

struct dv_machine_options {
	enum dv_qemu_mode mode;
	const char *qemu;		   /* NULL: the plan's */
	const char *plugin;		   /* path; NULL: none */
	const char *const *plugin_options; /* NULL-terminated; "status=" is added to them */
	struct dv_terminal *terminal;	   /* recording: the guest's console; NULL: to the file alone */
	bool gdb;			   /* a gdb stub on gdb_socket */
	bool paused;
	bool in_background;		   /* with a lower priority */
	/* No QMP: it runs at once, and ends with the guest or by SIGTERM. A monitor's thread is woken for each of the
	 * guest's timers, which takes more time than anything that is asked of it. */
	bool unattended;
	/* Replay with these checkpoints (checkpoints.h), nothing copied; NULL: none, on copies. */
	const struct dv_checkpoints *checkpoints;
	const char *snapshot; /* start at this one of them; NULL: at the beginning */
	const char *layer;    /* a layer that is written instead of a temporary one, and stays; for making
				 checkpoints; NULL: none */
};

/*
 * Starts QEMU and waits until its QMP answers, unless it has none. Errors: DV_ERROR_EXITED with QEMU's own last
 * words, and those of the parts.
 */
struct dv_error *dv_machine_start(const struct dv_recording *recording, const struct dv_machine_options *options,
				  struct dv_machine *ret);
/* Ends QEMU by force if it still runs, removes what was temporary. */
void dv_machine_deinit(struct dv_machine *machine);
#define _cleanup_machine_ _cleanup_(dv_machine_deinit)

/* A folder for a replay's own files: on the recording's file system when that can be written (reflinks), else in the
 * user's cache. */
struct dv_error *dv_machine_scratch(const struct dv_recording *recording, struct dv_scratch *ret);

/* "RUN/status": where the plugin keeps its counters (trace/status.h). free(). */
char *dv_machine_status_path(const struct dv_machine *machine);

/* Asks QEMU to quit and waits for its end; kills it after timeout_ms. Errors: as dv_process_check(). */
struct dv_error *dv_machine_quit(struct dv_machine *machine, int timeout_ms);

/* err, which is DV_ERROR_EXITED, or in its place QEMU's own last words. */
struct dv_error *dv_machine_why_exited(struct dv_machine *machine, struct dv_error *err);

/* icount now, and whether the vCPU runs ("running", "paused", "shutdown"...: a static or kept string). */
struct dv_error *dv_machine_where(struct dv_machine *machine, uint64_t *ret_icount, char ret_status[32]);

/* Told the icount from time to time; false ends the replay (DV_ERROR_CANCELLED). */
typedef bool (*dv_machine_progress_fn)(void *context, uint64_t icount);

/*
 * Lets a running replay go on to the end of its log. Errors: DV_ERROR_TIMEOUT when it makes no progress
 * for DV_MACHINE_STUCK_MS: then it is stuck for ever. DV_ERROR_EXITED when QEMU went away.
 */
#define DV_MACHINE_STUCK_MS 60000
struct dv_error *dv_machine_run_to_end(struct dv_machine *machine, dv_machine_progress_fn progress,
				       void *context);

/* libdejaview-plugin.so: $DEJAVIEW_PLUGIN, else beside the program, else where it is installed. free(). */
struct dv_error *dv_plugin_find(char **ret);

#endif
