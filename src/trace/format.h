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
	/* Of an entry to the kernel: the system call's number or the interrupt's or exception's vector. */
	bool has_number;
	uint32_t number;
	const char *mnemonic; /* an exception's in the architecture's manual: "#PF"; NULL for others */
};

/* A system call as a function: a key that no address is, of the entry that it came by and its number. */
#define DV_SYSCALL_KEY 0x5c00000000000000ull
static inline uint64_t dv_syscall_key(uint8_t entry, uint32_t number)
{
	return DV_SYSCALL_KEY | (uint64_t)entry << 32 | number;
}

static inline bool dv_is_syscall_key(uint64_t key)
{
	return key >> 40 == DV_SYSCALL_KEY >> 40;
}

struct dv_trace_thread {
	uint64_t id;	  /* stable within the trace: order of first appearance, from 1 */
	int32_t tid;	  /* the kernel's pid; 0 for the idle task of a CPU */
	int32_t tgid;
	int32_t parent_tgid; /* of the process; 0 when unknown */
	char comm[16];	  /* NUL-terminated */
	bool is_kernel;	  /* a kernel thread */
	uint64_t start_icount; /* when its creator woke it for the first time; 0: not seen */
	uint64_t exit_icount;  /* when it left the CPU for ever; 0: it has not */
	uint64_t creator_id;   /* the thread that made it; 0: not seen */
	int32_t exit_code;     /* as wait() gives it: status << 8 | signal; meaningful with exit_icount */
};

/* How a line of the guest's console came to be known. One line may come by several ways. */
enum dv_console_source {
	DV_CONSOLE_SERIAL, /* bytes that went out of a 8250 */
	DV_CONSOLE_HVC,	   /* handed to a hypervisor console, as virtio's */
	DV_CONSOLE_PRINTK, /* stored in the kernel's log, whether or not a console shows it */
	DV_CONSOLE_SOURCES,
};
#define DV_CONSOLE_SOURCE_NAMES {"serial", "hvc", "printk"}

#define DV_CONSOLE_NO_LEVEL (-1)

struct dv_console_line {
	uint64_t icount;    /* of its first byte: the instruction that sends or stores it comes next */
	uint64_t thread_id; /* that ran then */
	enum dv_console_source source;
	int level;	    /* printk's, 0 (emergency) to 7 (debug); DV_CONSOLE_NO_LEVEL elsewhere */
	/* UTF-8, without the line's end; escape sequences as they were. A line of more than 4096 bytes
	 * comes as several. */
	const char *text;
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
