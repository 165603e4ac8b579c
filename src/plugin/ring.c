/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of events: see ring.h. */
#include "plugin/ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#define RING_BYTES   (DV_RING_EVENTS * sizeof(struct dv_event))
#define WAIT_NS	     100000000L /* the longest an event lies before the consumer looks at it */
#define MAX_PIECE    8192u	/* events handed out at once, so that the producer gets room soon */

struct dv_error *dv_ring_init(struct dv_ring *ring)
{
	pthread_condattr_t attr;
	void *events = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (events == MAP_FAILED)
		return dv_error_no_memory();
	*ring = (struct dv_ring){.events = events, .limit = DV_RING_BATCH};
	pthread_mutex_init(&ring->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ring->to_consumer, &attr);
	pthread_cond_init(&ring->to_producer, &attr);
	pthread_condattr_destroy(&attr);
	return NULL;
}

void dv_ring_deinit(struct dv_ring *ring)
{
	munmap(ring->events, RING_BYTES);
	pthread_mutex_destroy(&ring->lock);
	pthread_cond_destroy(&ring->to_consumer);
	pthread_cond_destroy(&ring->to_producer);
}

static uint64_t consumed(const struct dv_ring *ring)
{
	return __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE);
}

static uint64_t produced(const struct dv_ring *ring)
{
	return __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE);
}

void dv_ring_make_room(struct dv_ring *ring)
{
	uint64_t full, batch;

	pthread_mutex_lock(&ring->lock);
	pthread_cond_signal(&ring->to_consumer);
	while (ring->produced == consumed(ring) + DV_RING_EVENTS && !ring->drained)
		pthread_cond_wait(&ring->to_producer, &ring->lock);
	full = (ring->drained ? ring->produced : consumed(ring)) + DV_RING_EVENTS;
	pthread_mutex_unlock(&ring->lock);
	batch = (ring->produced | (DV_RING_BATCH - 1)) + 1;
	ring->limit = batch < full ? batch : full;
}

static void wait_for_batch(struct dv_ring *ring)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&ring->lock);
	while (!ring->closed && produced(ring) - ring->consumed < DV_RING_BATCH) {
		if (pthread_cond_timedwait(&ring->to_consumer, &ring->lock, &until) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&ring->lock);
}

bool dv_ring_wait(struct dv_ring *ring, const struct dv_event **ret_events, size_t *ret_count)
{
	uint64_t at = ring->consumed & (DV_RING_EVENTS - 1), count;
	bool closed;

	if (produced(ring) - ring->consumed < DV_RING_BATCH)
		wait_for_batch(ring);
	pthread_mutex_lock(&ring->lock);
	count = (ring->closed ? ring->closed_at : produced(ring)) - ring->consumed;
	if (!count && ring->closed) {
		ring->drained = true;
		pthread_cond_signal(&ring->to_producer);
	}
	closed = ring->closed;
	pthread_mutex_unlock(&ring->lock);
	if (!count && closed)
		return false;
	if (count > DV_RING_EVENTS - at)
		count = DV_RING_EVENTS - at;
	if (count > MAX_PIECE)
		count = MAX_PIECE;
	*ret_events = &ring->events[at];
	*ret_count = count;
	return true;
}

void dv_ring_release(struct dv_ring *ring, size_t count)
{
	uint64_t before = ring->consumed;

	__atomic_store_n(&ring->consumed, before + count, __ATOMIC_RELEASE);
	/* A producer waits only on a full ring; taking the lock orders the store before its check. */
	if (produced(ring) - before >= DV_RING_EVENTS - DV_RING_BATCH) {
		pthread_mutex_lock(&ring->lock);
		pthread_cond_signal(&ring->to_producer);
		pthread_mutex_unlock(&ring->lock);
	}
}

void dv_ring_close(struct dv_ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	if (!ring->closed)
		ring->closed_at = produced(ring);
	ring->closed = true;
	pthread_cond_signal(&ring->to_consumer);
	pthread_mutex_unlock(&ring->lock);
}
