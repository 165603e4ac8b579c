/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events' way from the vCPU to the writer thread: one producer, one consumer, a ring of fixed size.
 * The producer's side is a store and a compare; it takes a lock only every DV_RING_BATCH events, to wake
 * the consumer, or to wait where the ring is full. The consumer sees every event that was stored, also
 * those of a batch that is not full.
 */
#ifndef DV_PLUGIN_RING_H
#define DV_PLUGIN_RING_H

#include <pthread.h>
#include "base/error.h"
#include "callgraph/event.h"

#define DV_RING_BATCH  32768u
#define DV_RING_EVENTS (1u << 18) /* 6 MiB */

struct dv_ring {
	/* The producer's: */
	struct dv_event *events;
	uint64_t produced; /* read by the consumer, too */
	uint64_t limit;	   /* at which the producer must look up */
	/* The consumer's: */
	uint64_t consumed __attribute__((aligned(64))); /* read by the producer, too */
	/* Under the lock: */
	pthread_mutex_t lock __attribute__((aligned(64)));
	pthread_cond_t to_consumer, to_producer;
	bool closed;	    /* the consumer stops at closed_at, */
	uint64_t closed_at;
	bool drained;	    /* has got there: what is produced from now on is lost */
};

struct dv_error *dv_ring_init(struct dv_ring *ring);
void dv_ring_deinit(struct dv_ring *ring);

/* The rare part of dv_ring_reserve: wakes the consumer, waits for room. */
void dv_ring_make_room(struct dv_ring *ring);

/* Producer: the place for the next event, filled in before dv_ring_commit. */
static inline struct dv_event *dv_ring_reserve(struct dv_ring *ring)
{
	if (__builtin_expect(ring->produced == ring->limit, 0))
		dv_ring_make_room(ring);
	return &ring->events[ring->produced & (DV_RING_EVENTS - 1)];
}

static inline void dv_ring_commit(struct dv_ring *ring)
{
	__atomic_store_n(&ring->produced, ring->produced + 1, __ATOMIC_RELEASE);
}

/* Consumer: waits up to 100 ms for a batch, then gives what there is (0 events on a time-out), in one
 * piece of memory, to be released by dv_ring_release. False once the ring is closed and empty. */
bool dv_ring_wait(struct dv_ring *ring, const struct dv_event **ret_events, size_t *ret_count);
void dv_ring_release(struct dv_ring *ring, size_t count);

/* The consumer drains what is there and ends. A vCPU that still runs (QEMU exits by an error) goes on
 * producing into nothing. */
void dv_ring_close(struct dv_ring *ring);

#endif
