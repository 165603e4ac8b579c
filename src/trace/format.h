/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a trace says, shared by writer and reader. docs/trace-format.md draws the bytes.
 *
 * A .dvtrace is a Perfetto trace: TracePackets in zlib-compressed blocks, each of which decodes alone,
 * and after each block a top-level field of our own (DV_TRACE_FIELD_BLOCK) that Perfetto skips.
 */
#ifndef DV_TRACE_FORMAT_H
#define DV_TRACE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

enum dv_trace_clock {
	DV_TRACE_CLOCK_ICOUNT,	/* QEMU's instruction count: what replay-seek takes */
	DV_TRACE_CLOCK_HOST_NS, /* no icount: host nanoseconds since the trace began; cannot be sought */
};

/* What kind of slice it is; stock Perfetto shows it as the category. CALL writes none. */
enum dv_slice_kind {
	DV_SLICE_CALL,	    /* call and return */
	DV_SLICE_TAIL_CALL, /* a jump to a function's entry: ends where its caller's frame ends */
	DV_SLICE_INTERRUPT,
	DV_SLICE_EXCEPTION,
	DV_SLICE_SYSCALL,
	DV_SLICE_KINDS,
};
#define DV_SLICE_KIND_NAMES {"call", "tail call", "interrupt", "exception", "syscall"}

/* Whose code: decides the name's look-up. */
enum dv_function_space {
	DV_FUNCTION_KERNEL,
	DV_FUNCTION_MODULE,
	DV_FUNCTION_USER,
	DV_FUNCTION_FIRMWARE, /* before the kernel runs */
};

struct dv_trace_function {
	const char *name;    /* "do_sys_open", "[virtio_blk] virtblk_probe", "0x401000" */
	uint64_t vaddr;	     /* the entry as the guest ran it */
	const char *module;  /* NULL for the kernel itself */
	enum dv_function_space space;
};

struct dv_trace_thread {
	uint64_t id;	  /* stable within the trace: order of first appearance, from 1 */
	int32_t tid;	  /* the kernel's pid; 0 for the idle task of a CPU */
	int32_t tgid;
	int32_t parent_tgid; /* of the process; 0 when unknown */
	char comm[16];	  /* NUL-terminated */
	bool is_kernel;	  /* a kernel thread */
};

/*
 * The tid that stock Perfetto is told. It takes 0 for its host's idle process, so that idle tasks (and
 * other threads without ids) get tids that no kernel hands out.
 */
#define DV_TRACE_FIRST_SYNTHETIC_TID (1 << 22) /* Linux's PID_MAX_LIMIT */
static inline int32_t dv_trace_thread_tid(const struct dv_trace_thread *thread)
{
	if (thread->tid > 0 && thread->tgid > 0)
		return thread->tid;
	return DV_TRACE_FIRST_SYNTHETIC_TID + (int32_t)(thread->id & 0xffffff);
}

#endif
