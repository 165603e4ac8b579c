/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's record/replay log: walked event by event, and made loadable when its recorder was
 * killed.
 *
 * The file, all numbers big-endian (QEMU 9.2 to 10.2, log version 0x00e0200c):
 *	u32 version	written last, when QEMU ends; zero before
 *	u64 unused
 *	events		one byte of kind, then what that kind carries
 * An instruction event carries how many instructions the vCPU ran since the one before; their sum is
 * icount. Interrupts and exceptions carry nothing.
 */
#ifndef DV_REPLAY_LOG_H
#define DV_REPLAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define DV_LOG_VERSION 0x00e0200cu
#define DV_LOG_HEADER_BYTES 12

enum dv_log_kind {
	DV_LOG_INSTRUCTIONS,
	DV_LOG_INTERRUPT,
	DV_LOG_EXCEPTION,
	DV_LOG_ASYNC,	 /* disk, network, keyboard, serial input */
	DV_LOG_SHUTDOWN, /* or reset: info says why */
	DV_LOG_OTHER,	 /* character output, audio, random numbers */
	DV_LOG_CLOCK,
	DV_LOG_CHECKPOINT,
	DV_LOG_END,
};

struct dv_log_event {
	enum dv_log_kind kind;
	uint64_t offset;      /* of the kind's byte in the file */
	uint64_t icount;      /* after this event */
	uint8_t info;	      /* kind's byte less the first one of its family: a shutdown's cause... */
};

/* ShutdownCause in QEMU's qapi/run-state.json. */
#define DV_SHUTDOWN_HOST_QMP_QUIT 2
#define DV_SHUTDOWN_HOST_SIGNAL 4
#define DV_SHUTDOWN_GUEST_SHUTDOWN 6
#define DV_SHUTDOWN_GUEST_RESET 7
#define DV_SHUTDOWN_GUEST_PANIC 8

/* Called for each whole event; false ends the walk. */
typedef bool (*dv_log_event_fn)(void *context, const struct dv_log_event *event);

struct dv_log_summary {
	uint32_t version;    /* 0: the recorder never came to write it */
	uint64_t events;
	uint64_t last_icount; /* instructions in all */
	/*
	 * Up to here every replay runs the same. QEMU logs a guest's power-off before the last instructions
	 * (upstream #2921) and stops the vCPU a little later, at another instruction each time.
	 */
	uint64_t common_icount;
	uint64_t longest_idle_ns; /* of the host's time, in no instructions */
	uint64_t whole_bytes; /* the file up to the end of its last whole event */
	bool ended;	     /* the last event is the end of the log */
	uint64_t digest;     /* of the whole_bytes, by dv_log_read(): tells a damaged file, not a forged one */
};

/*
 * Walks a log in memory; visit may be NULL. A log that is cut inside an event is no error: whole_bytes says
 * where. Errors: DV_ERROR_FORMAT with the offset for a kind that there is none of, DV_ERROR_UNSUPPORTED
 * for another version, DV_ERROR_TRUNCATED when not even the header is there.
 */
struct dv_error *dv_log_walk(const uint8_t *data, size_t len, dv_log_event_fn visit, void *context,
			     struct dv_log_summary *ret);

/* The same on a file. */
struct dv_error *dv_log_read(const char *path, dv_log_event_fn visit, void *context,
			     struct dv_log_summary *ret);

/*
 * Makes a killed recorder's log loadable: its last instruction, and what follows it, is cut off, a shutdown
 * and the end are appended, the version is written. A replay runs up to the cut and ends there. A log that is
 * whole is left alone. ret: as it is afterwards.
 */
struct dv_error *dv_log_repair(const char *path, struct dv_log_summary *ret);

#endif
