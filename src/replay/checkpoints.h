/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording's checkpoints: snapshots of the replayed machine, from which a seek starts.
 *
 *	RECORDING.dejaview/checkpoints/		(or $XDG_CACHE_HOME/dejaview/ID/ for one that cannot be written)
 *		lock				held (flock) by whoever makes or removes checkpoints
 *		1/ 2/ ...			layers (qemu/layers.h), each made by one pass over the recording
 *			snapshots.qcow2, DRIVE.qcow2
 *			layer.json		written last: what is in it
 *		.making-XXXXXX/			a layer that is being made; worth nothing when its maker was killed
 *
 * A layer appears by one rename, synced and proved: every checkpoint in it has been restored by another QEMU
 * and run on a little, and came to the same registers as the replay that it was taken from. A layer never
 * changes after that, so any number of sessions read it, each with a layer of its own on top.
 */
#ifndef DV_REPLAY_CHECKPOINTS_H
#define DV_REPLAY_CHECKPOINTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "replay/recording.h"

#define DV_CHECKPOINTS_SCHEMA 1
#define DV_CHECKPOINTS_DIR "checkpoints"
#define DV_CHECKPOINTS_INTERVAL_MS 200
#define DV_CHECKPOINTS_MIN_INTERVAL_MS 50
#define DV_CHECKPOINTS_BUDGET_BYTES (4ull << 30)
/* QEMU lists no more snapshots quickly, and a seek gains nothing by more. */
#define DV_CHECKPOINTS_MAX 1000

struct dv_checkpoint {
	uint64_t icount;
	uint64_t bytes;	  /* what it added to the layer's files */
	uint32_t save_ms; /* how long the replay stood for it */
	char name[32];	  /* QEMU's snapshot: for rrsnapshot= and loadvm */
};

struct dv_checkpoints {
	char *dir;		     /* where they are, or would be */
	bool in_cache;		     /* dir is not in the recording */
	char **layers;		     /* absolute folders, lowest first, NULL-terminated; NULL: none */
	struct dv_checkpoint *items; /* by icount, ascending */
	size_t len;
	uint64_t bytes;		   /* on disk */
	uint64_t made_to_icount;   /* up to here the recording has been passed over */
	bool complete;		   /* ... which is its end */
	char *ignored;		   /* why layers that are there are not used; NULL */
	char top_id[20];	   /* of the topmost layer, which one on it must name */
};

/*
 * Reads what there is: none is no error. Errors: DV_ERROR_NO_MEMORY, DV_ERROR_OS for a folder that cannot
 * be read. ret is to be deinitialised; the strings in it stay until then.
 */
struct dv_error *dv_checkpoints_open(const struct dv_recording *recording, struct dv_checkpoints *ret);
void dv_checkpoints_deinit(struct dv_checkpoints *set);
#define _cleanup_checkpoints_ _cleanup_(dv_checkpoints_deinit)

/* The last one at or before icount; NULL: only the beginning is. */
const struct dv_checkpoint *dv_checkpoints_before(const struct dv_checkpoints *set, uint64_t icount);

/* Removes all of a recording's, safely: sessions that use them go on. Errors: DV_ERROR_INVALID while some
 * are being made; DV_ERROR_OS. */
struct dv_error *dv_checkpoints_remove(const struct dv_recording *recording, uint64_t *ret_bytes);

enum dv_checkpoints_phase { DV_CHECKPOINTS_REPLAYING, DV_CHECKPOINTS_PROVING };

struct dv_checkpoints_progress {
	enum dv_checkpoints_phase phase;
	uint64_t icount, end_icount;
	size_t made;	 /* kept so far, in this pass */
	size_t proved;
	uint64_t bytes;	 /* of the layer so far */
	uint32_t save_ms; /* of the last one */
};

struct dv_checkpoints_options {
	const char *qemu;	/* NULL: the plan's */
	unsigned interval_ms;	/* of replay time between two; 0: DV_CHECKPOINTS_INTERVAL_MS */
	uint64_t budget_bytes;	/* of all layers; 0: DV_CHECKPOINTS_BUDGET_BYTES. When a pass comes to its share,
				   every second checkpoint goes and the interval doubles */
	size_t max;		/* stop after so many, with the pass not complete; 0: go to the end */
	bool in_background;	/* QEMU gets a lower priority */
	/* Told of each step, also several times a second. False ends the phase: of the replay, and what is there
	   is proved; of the proof, and what is proved is kept. May be NULL. */
	bool (*progress)(void *context, const struct dv_checkpoints_progress *progress);
	void *context;
	/* Once it is true all ends as soon as QEMU has done what it is at, and nothing of this pass is kept:
	   DV_ERROR_CANCELLED. May be NULL. */
	const atomic_bool *give_up;
};

struct dv_checkpoints_made {
	size_t proved;	/* kept */
	size_t dropped; /* did not come through the proof */
	uint64_t bytes;
	uint32_t median_save_ms, max_save_ms;
	bool complete;	/* the pass came to the recording's end */
	uint64_t stuck_icount; /* 0, or where its QEMU stood still: the next pass goes on from the last one kept */
};

/*
 * Replays what has not been passed over yet, once, and makes checkpoints on the way, in a new layer. Nothing
 * to do is success. Starts QEMU from the calling thread and ends it before it returns. Errors:
 * DV_ERROR_UNSUPPORTED for a guest that cannot be restored (plan.h), DV_ERROR_INVALID when another process is at
 * it, DV_ERROR_OS (also for a full disk: nothing is kept of the pass then), and those of dv_machine_start(). The
 * recording must have been checked (dv_recording_check()).
 */
struct dv_error *dv_checkpoints_make(const struct dv_recording *recording,
				     const struct dv_checkpoints_options *options, struct dv_checkpoints_made *ret);

/* Parses a layer.json into set (items appended, unsorted); for open and for tests. Errors: DV_ERROR_FORMAT,
 * _UNSUPPORTED, _MISMATCH when it was made for another recording. */
struct dv_error *dv_checkpoints_parse(const struct dv_recording *recording, const char *name, const void *text,
				      size_t len, struct dv_checkpoints *set);

#endif
