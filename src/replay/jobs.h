/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many QEMUs may replay one recording at a time: each has all of the guest's memory. */
#ifndef DV_REPLAY_JOBS_H
#define DV_REPLAY_JOBS_H

#include "replay/recording.h"

#define DV_JOBS_MAX 32

/*
 * wanted, 0 for one for each CPU; fewer when they would not fit into the memory that is free now, 1 at least.
 * *ret_why: NULL, or a line for people that says why it is fewer; free(). It may be NULL itself.
 */
unsigned dv_jobs_that_fit(const struct dv_recording *recording, unsigned wanted, char **ret_why);

/* The rule: at most wanted, at least one, QEMUs of a guest of so much memory in free_bytes. */
unsigned dv_jobs_in_memory(uint64_t guest_bytes, uint64_t free_bytes, unsigned wanted);

#endif
