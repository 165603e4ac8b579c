/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timeline of a session: one replay of one recording, at one current moment, for any number of clients:
 * a terminal's gdb, the viewer, an editor.
 *
 * A thread of its own owns QEMU and the connection to its gdb stub. Commands are queued to it and may be
 * given from any thread; each ends with the moment that the guest then stands at. gdb connects to a stub of
 * the timeline's (dv_timeline_gdb_socket()), which passes on what gdb asks and makes gdb's steps and
 * continues commands of the timeline: so a QEMU that hangs or dies is replaced behind gdb's back, a seek by
 * another client comes between two of gdb's packets, never into one, and stops say what they are.
 *
 * Moments. An interrupt or an exception costs no instruction (see seek.h): a moment is an icount and the
 * address that stands next there. A bare icount means before any event that is there. The place that is
 * called the end is the last instruction that every replay of the recording has in common.
 */
#ifndef DV_REPLAY_TIMELINE_H
#define DV_REPLAY_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "guest/memory.h"
#include "replay/recording.h"
#include "replay/seek.h"

struct dv_timeline;

enum dv_timeline_state {
	DV_TIMELINE_STOPPED,
	DV_TIMELINE_RUNNING, /* continue, reverse-continue, steps */
	DV_TIMELINE_SEEKING,
	DV_TIMELINE_FAILED,  /* QEMU could not be brought back; every command now fails with the reason */
};

enum dv_timeline_why {
	DV_WHY_NONE,	   /* it runs */
	DV_WHY_START,	   /* the session's first stop */
	DV_WHY_SEEK,
	DV_WHY_STEP,
	DV_WHY_BREAKPOINT, /* .address is its address */
	DV_WHY_WATCHPOINT, /* .address is the watched one; old and new value are in .old_value, .new_value */
	DV_WHY_END,	   /* the recording's end was reached */
	DV_WHY_BEGIN,	   /* ... its beginning, going back */
	DV_WHY_INTERRUPT,  /* dv_timeline_interrupt(), Ctrl-C */
	DV_WHY_FAILED,
};

struct dv_timeline_now {
	enum dv_timeline_state state;
	enum dv_timeline_why why;
	struct dv_where where;	  /* while stopped; while running the icount alone, as last seen */
	uint64_t target_icount;	  /* of a seek under way */
	uint64_t address;	  /* see why */
	uint64_t old_value, new_value; /* of a watchpoint of at most 8 bytes; before and after in the guest's time */
	uint32_t value_bytes;	  /* 0: not known */
	uint64_t generation;	  /* grows with every change of any of these */
	bool by_gdb;		  /* the gdb that is connected set it going, and is told by its own protocol */
	bool took_another_way;	  /* a stuck or dead replay was replaced on the way; see dv_timeline_notes() */
};

struct dv_timeline_options {
	const char *qemu;	    /* NULL: the plan's */
	bool no_checkpoints;	    /* use none, make none */
	bool no_background;	    /* make none in the background */
	unsigned stuck_ms;	    /* no progress for so long is a hang; 0: 10000 */
};

enum dv_timeline_verb {
	DV_TIMELINE_SEEK,	      /* to icount, and to rip there unless it is DV_NO_RIP */
	DV_TIMELINE_SEEK_END,
	DV_TIMELINE_STEP,	      /* count steps: each an instruction, or an event alone */
	DV_TIMELINE_STEP_BACK,
	DV_TIMELINE_CONTINUE,	      /* to a breakpoint, a watchpoint, or the end */
	DV_TIMELINE_REVERSE_CONTINUE, /* to the last one before now, or the beginning */
};

struct dv_timeline_command {
	enum dv_timeline_verb verb;
	uint64_t icount, rip;
	uint64_t count; /* 0 counts as 1 */
};

enum dv_break_kind { DV_BREAK_EXECUTE, DV_BREAK_WRITE, DV_BREAK_READ, DV_BREAK_ACCESS };

/* Starts QEMU, paused at the recording's beginning. recording is borrowed and must have been checked. */
struct dv_error *dv_timeline_create(const struct dv_recording *recording, const struct dv_timeline_options *options,
				    struct dv_timeline **ret);
/* Ends QEMU and the thread. Whoever waits gets DV_ERROR_CANCELLED. NULL-safe. */
void dv_timeline_destroy(struct dv_timeline *timeline);
DV_DEFINE_CLEANUP(struct dv_timeline, dv_timeline_destroy);

/* At once, from any thread. */
void dv_timeline_now(struct dv_timeline *timeline, struct dv_timeline_now *ret);

/*
 * Called on the timeline's thread after every change. It must be quick and must not wait for the timeline
 * (dv_timeline_post() and dv_timeline_now() are fine). Unsubscribing waits until no call is under way; it
 * may be done in the callback itself.
 */
typedef void (*dv_timeline_change_fn)(void *context, const struct dv_timeline_now *now);
struct dv_error *dv_timeline_subscribe(struct dv_timeline *timeline, dv_timeline_change_fn change, void *context,
				       uint64_t *ret_id);
void dv_timeline_unsubscribe(struct dv_timeline *timeline, uint64_t id);

/*
 * Does a command and waits for its end. Commands wait for those before them; a seek cuts a continue of
 * another client short. Errors: DV_ERROR_INVALID past the end, DV_ERROR_NOT_FOUND for a rip that is not
 * there at that icount, DV_ERROR_CANCELLED after dv_timeline_interrupt() (a seek; a continue just stops),
 * DV_ERROR_TIMEOUT, DV_ERROR_EXITED when no QEMU would do it, with what was tried. ret may be NULL.
 */
struct dv_error *dv_timeline_do(struct dv_timeline *timeline, const struct dv_timeline_command *command,
				struct dv_timeline_now *ret);
/* The same without waiting: done, which may be NULL, is called on the timeline's thread; err is its own. */
typedef void (*dv_timeline_done_fn)(void *context, struct dv_error *err, const struct dv_timeline_now *now);
struct dv_error *dv_timeline_post(struct dv_timeline *timeline, const struct dv_timeline_command *command,
				  dv_timeline_done_fn done, void *context);
/* Stops what is under way, at once, from any thread (Ctrl-C); nothing when nothing is. */
void dv_timeline_interrupt(struct dv_timeline *timeline);

/* At the current moment; wait their turn like commands. Errors: DV_ERROR_FAULT for what is not mapped. */
struct dv_error *dv_timeline_read_memory(struct dv_timeline *timeline, uint64_t vaddr, void *to, size_t len);
struct dv_error *dv_timeline_read_registers(struct dv_timeline *timeline, struct dv_x86_registers *ret);
/* For guest introspection; lives as long as the timeline. */
struct dv_guest_memory dv_timeline_memory(struct dv_timeline *timeline);
/* Breakpoints and watchpoints beside gdb's own. bytes: 1 for DV_BREAK_EXECUTE, else 1, 2, 4 or 8. */
struct dv_error *dv_timeline_break(struct dv_timeline *timeline, enum dv_break_kind kind, uint64_t vaddr,
				   uint64_t bytes, bool set);

/* The UNIX socket that a gdb connects to: `target remote PATH`. One at a time. */
const char *dv_timeline_gdb_socket(const struct dv_timeline *timeline);
/* The session's private folder (0700), removed at the end: for sockets. */
const char *dv_timeline_run_dir(const struct dv_timeline *timeline);
/* What was out of the ordinary so far: hangs, restarts, checkpoints not used. One line each; free(). */
char *dv_timeline_notes(struct dv_timeline *timeline);

/* "the recording's end", "breakpoint at 0x...": for people; returns to. */
const char *dv_timeline_why_text(const struct dv_timeline_now *now, char to[static 160]);

#endif
