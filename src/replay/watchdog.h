/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a replay that is stuck for ever from one that takes its time. Idle time of the guest's passes at replay as it
 * passed while recording, in no instructions and nearly no CPU time: how long it lasted at most is in the log. What
 * stands still for longer, without computing, waits for something that does not come; what computes and gets no
 * further may be busy, and is given more time.
 */
#ifndef DV_REPLAY_WATCHDOG_H
#define DV_REPLAY_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include "replay/machine.h"

struct dv_watchdog {
	pid_t pid;
	unsigned quiet_ms, busy_ms; /* how long it may stand */
	bool patient; /* quiet is no trouble: it may be waiting for something else than its log */
	uint64_t icount;
	int64_t looked_ms;
	unsigned still_ms; /* it has been standing for so long, as far as it was looked at */
	uint64_t cpu_ns;       /* used when it came to stand */
	uint64_t since_cpu_ns; /* used since then */
};

/* busy_ms: it may stand at one icount for so long while it computes, and whatever it does when the recording has not
 * been checked (dv_recording_check()). */
struct dv_watchdog dv_watchdog_make(const struct dv_machine *machine, unsigned busy_ms);

/* Told, several times a second, where the replay is; true: it is stuck. */
bool dv_watchdog_look(struct dv_watchdog *dog, uint64_t icount);

/* The same with what it looks at: the time, and the CPU time that QEMU has used; 0: it has ended. For tests. */
bool dv_watchdog_see(struct dv_watchdog *dog, uint64_t icount, int64_t now_ms, uint64_t cpu_ns);

/*
 * Whether QEMU has read its log to the end and stands there for longer than the guest was ever idle: one that ends in no
 * shutdown is replayed so, with QEMU computing in circles.
 */
bool dv_watchdog_log_is_over(const struct dv_watchdog *dog, const struct dv_machine *machine);

#endif
