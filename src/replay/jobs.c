/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/jobs.h"

#include <stdio.h>
#include <unistd.h>
#include "base/memory.h"

/* QEMU beside the guest's memory: translated code, the devices, the plugin's buffers. */
#define QEMU_BYTES (256ull << 20)
/* Of a guest whose command line does not say it plainly. */
#define UNKNOWN_GUEST_BYTES (1ull << 30)
#define GIB ((double)(1ull << 30))

static uint64_t each_bytes(uint64_t guest_bytes)
{
	uint64_t bytes = guest_bytes ?: UNKNOWN_GUEST_BYTES;

	return bytes < UINT64_MAX - QEMU_BYTES ? bytes + QEMU_BYTES : UINT64_MAX;
}

unsigned dv_jobs_in_memory(uint64_t guest_bytes, uint64_t free_bytes, unsigned wanted)
{
	uint64_t fit = free_bytes / each_bytes(guest_bytes);

	if (fit < wanted)
		return fit ? (unsigned)fit : 1;
	return wanted ?: 1;
}

unsigned dv_jobs_that_fit(const struct dv_recording *recording, unsigned wanted, char **ret_why)
{
	uint64_t guest_bytes = recording->plan->memory_bytes, free_bytes = dv_memory_left();
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned jobs;

	if (!wanted)
		wanted = cpus > 0 ? (unsigned)cpus : 1;
	if (wanted > DV_JOBS_MAX)
		wanted = DV_JOBS_MAX;
	jobs = dv_jobs_in_memory(guest_bytes, free_bytes, wanted);
	if (ret_why)
		*ret_why = NULL;
	if (ret_why && jobs < wanted &&
	    asprintf(ret_why, "%u QEMU%s at a time, not %u: each may need %.1f GiB of memory, and %.1f GiB may be used", jobs,
		     jobs == 1 ? "" : "s", wanted, (double)each_bytes(guest_bytes) / GIB, (double)free_bytes / GIB) < 0)
		*ret_why = NULL;
	return jobs;
}
