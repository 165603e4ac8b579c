/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forwarded ports of a machine that is being recorded. Each is closed until the guest's network card takes packets,
 * because a packet that comes before waits in a queue of QEMU's, which no snapshot has and which QEMU empties whenever
 * it stops: a replay that did so would wait for ever for the interrupt of its delivery. Who connects too early is refused.
 */
#ifndef DV_REPLAY_FORWARDS_H
#define DV_REPLAY_FORWARDS_H

#include "replay/machine.h"

struct dv_forwards;

/* plan is borrowed. Errors: those of dv_forward_check(), so that a port in use is known before QEMU starts. */
struct dv_error *dv_forwards_create(const struct dv_qemu_plan *plan, struct dv_forwards **ret);
void dv_forwards_destroy(struct dv_forwards *forwards);
DV_DEFINE_CLEANUP(struct dv_forwards, dv_forwards_destroy);

/* How many ports wait for the guest's card. */
size_t dv_forwards_waiting(const struct dv_forwards *forwards);

/*
 * Opens those whose card is ready; to be called a few times a second while any waits. A card that cannot be asked counts
 * as ready. Errors: DV_ERROR_UNSUPPORTED with QEMU's words when a port cannot be opened: it is given up, the others are
 * not; those of dv_qmp_run().
 */
struct dv_error *dv_forwards_open(struct dv_forwards *forwards, struct dv_machine *machine);

/* Closes them all until the card is ready again: the guest was reset. Errors: those of dv_qmp_run(). */
struct dv_error *dv_forwards_close(struct dv_forwards *forwards, struct dv_machine *machine);

#endif
