/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a running tracer is: one page of a file that the plugin maps and keeps current, and that the
 * recorder maps to show progress. Both are on one machine and of one build; the version is checked all
 * the same. Every counter is written by one thread and read by another with relaxed atomics: a reader
 * sees each whole, and no two of them in step.
 *
 * The reader makes the file (a page of zeros) before QEMU starts and removes it afterwards; the plugin
 * opens it, fills in the counters and stores the magic last, so that a reader that finds another magic
 * knows that there is nothing to show yet.
 */
#ifndef DV_TRACE_STATUS_H
#define DV_TRACE_STATUS_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/error.h"

#define DV_TRACE_STATUS_MAGIC 0x53545644u /* "DVTS" */
#define DV_TRACE_STATUS_VERSION 3u
#define DV_TRACE_STATUS_BYTES 4096u

struct dv_trace_status {
	uint32_t magic; /* stored last, with release order */
	uint32_t version;
	uint64_t icount;       /* of the last event; 0 without icount */
	uint64_t calls;	       /* slices begun, those that filters drop included */
	uint64_t events;       /* begins, ends and switches handed to the writer */
	uint64_t threads;      /* guest threads seen */
	uint64_t trace_bytes;  /* written to the trace file */
	uint64_t writer_cpu_ns; /* CPU time of the writer thread */
	uint64_t finished;     /* 1 once the trace file is complete and closed */
	uint64_t over;	       /* 1 once a segment has all of its events: what is replayed further is for nothing */
	uint64_t too_early;    /* 1 when a segment starts before the kernel is up; it has failed, then */
	uint64_t failed;       /* 1 when the trace stopped early: the plugin has said why on stderr */
};

static inline void dv_trace_status_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t dv_trace_status_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The tracer's last step of setting up: from here on readers believe the counters. */
static inline void dv_trace_status_publish(struct dv_trace_status *status)
{
	status->version = DV_TRACE_STATUS_VERSION;
	__atomic_store_n(&status->magic, DV_TRACE_STATUS_MAGIC, __ATOMIC_RELEASE);
}

static inline bool dv_trace_status_is_live(const struct dv_trace_status *status)
{
	return __atomic_load_n(&status->magic, __ATOMIC_ACQUIRE) == DV_TRACE_STATUS_MAGIC &&
	       status->version == DV_TRACE_STATUS_VERSION;
}

/*
 * Maps the file shared and writable, making or growing it to a page if need be. Unmap with
 * dv_trace_status_unmap(), which accepts NULL. Errors: DV_ERROR_OS.
 */
static inline struct dv_error *dv_trace_status_map(const char *path, struct dv_trace_status **ret)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *page;

	if (fd < 0)
		return dv_error_os(errno, "status file %s: cannot open", path);
	if (ftruncate(fd, DV_TRACE_STATUS_BYTES))
		return dv_error_os(errno, "status file %s: cannot set its size", path);
	page = mmap(NULL, DV_TRACE_STATUS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return dv_error_os(errno, "status file %s: cannot map", path);
	*ret = page;
	return NULL;
}

static inline void dv_trace_status_unmap(struct dv_trace_status *status)
{
	if (status)
		munmap(status, DV_TRACE_STATUS_BYTES);
}

#endif
