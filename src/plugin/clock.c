/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin's clocks: see clock.h. */
#include "plugin/clock.h"

#include <time.h>

static int64_t host_start_ns;
static qemu_plugin_u64 inline_counter;

static int64_t host_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - host_start_ns;
}

static int64_t inline_count(void)
{
	return (int64_t)qemu_plugin_u64_get(inline_counter, 0);
}

static struct dv_clock host_clock(const char *reason)
{
	host_start_ns = 0;
	host_start_ns = host_ns();
	return (struct dv_clock){.now = host_ns, .kind = DV_TRACE_CLOCK_HOST_NS, .inexact_reason = reason};
}

static struct dv_clock counter_clock(const char *reason)
{
	struct dv_clock clock = {
		.now = inline_count,
		.kind = DV_TRACE_CLOCK_ICOUNT,
		.inexact_reason = reason,
		.counts_inline = true,
	};

	clock.counter.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	inline_counter = clock.counter;
	return clock;
}

struct dv_clock dv_clock_choose(enum dv_plugin_clock wanted, unsigned cpus, void *(*lookup)(const char *symbol))
{
	/* QEMU's enum ICountMode: 0 is off. Absent in a QEMU that does not export its symbols. */
	const int *use_icount = lookup("use_icount");
	int64_t (*get_raw)(void) = (int64_t(*)(void))(uintptr_t)lookup("icount_get_raw");

	if (wanted == DV_PLUGIN_CLOCK_HOST)
		return host_clock("clock=host was asked for");
	if (cpus > 1)
		return host_clock("several vCPUs run at once: QEMU counts instructions for one alone");
	if (wanted == DV_PLUGIN_CLOCK_COUNTER)
		return counter_clock("clock=counter was asked for");
	if (!use_icount || !get_raw)
		return counter_clock("this QEMU does not export icount_get_raw; instructions were counted by the "
				     "plugin, one too many at every fault");
	if (!*use_icount)
		return host_clock("QEMU runs without -icount");
	return (struct dv_clock){.now = get_raw, .kind = DV_TRACE_CLOCK_ICOUNT};
}
