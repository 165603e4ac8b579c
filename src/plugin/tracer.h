/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU's side: instruments what calls, returns and enters the kernel, as QEMU translates it, and
 * turns it into events. Callbacks read the clock and store three words; what is rare (context switches,
 * renames) may read registers and guest memory.
 */
#ifndef DV_PLUGIN_TRACER_H
#define DV_PLUGIN_TRACER_H

#include "guest/linux.h"
#include "plugin/clock.h"
#include "plugin/qemu_api.h"
#include "plugin/ring.h"

struct dv_tracer_setup {
	const struct dv_arch *arch;
	struct dv_kernel *kernel;      /* may be NULL; its image is released once the slide is found */
	const struct dv_linux *linux_; /* NULL: threads are not told apart */
	struct dv_clock clock;
	struct dv_ring *ring;
	/*
	 * Tracing starts in the middle of a recording. Told by a DV_EVENT_SYMBOLS first, with the slide, or without
	 * one when no kernel is up yet: then nothing is traced.
	 */
	bool is_continued;
	bool several_cpus; /* callbacks of several vCPU threads share the ring under a lock */
};

/* Registers the callbacks. There is one tracer in a process, because QEMU's callbacks carry no context. */
void dv_tracer_start(qemu_plugin_id_t id, const struct dv_tracer_setup *setup);

#endif
