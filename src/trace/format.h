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
	uint64_t size_bytes; /* 0: not known */
	const char *file;    /* of the source; NULL: not known */
	uint32_t line;	     /* where it is declared; 0: not known */
};

/*
 * A user function is (the file it lies in, its offset there), so that ASLR and several processes share
 * it: that is its key, while its vaddr is the file's own link-time address.
 *
 *	63......56  55.......40 39...........0
 *	0x40        file's id   offset in bytes
 */
#define DV_FILE_KEY_BASE	0x4000000000000000ull
#define DV_FILE_KEY_OFFSET_BITS 40
#define DV_FILE_KEY_MAX_ID	0xffffu

static inline uint64_t dv_file_key(uint32_t file_id, uint64_t offset_bytes)
{
	return DV_FILE_KEY_BASE | (uint64_t)file_id << DV_FILE_KEY_OFFSET_BITS |
	       (offset_bytes & ((1ull << DV_FILE_KEY_OFFSET_BITS) - 1));
}
static inline bool dv_is_file_key(uint64_t key)
{
	return key >> 56 == DV_FILE_KEY_BASE >> 56;
}
static inline uint32_t dv_file_key_id(uint64_t key)
{
	return (uint32_t)(key >> DV_FILE_KEY_OFFSET_BITS) & DV_FILE_KEY_MAX_ID;
}
static inline uint64_t dv_file_key_offset(uint64_t key)
{
	return key & ((1ull << DV_FILE_KEY_OFFSET_BITS) - 1);
}

/* A file that user code runs from. Said again when more is known of it. */
struct dv_trace_mapped_file {
	uint32_t id;		/* 1 to DV_FILE_KEY_MAX_ID: of the function's keys */
	const char *path;	/* in the guest; "[vdso]", "[anon]" for what is no file */
	const char *build_id;	/* lower-case hex; NULL: not known */
	uint64_t device, inode; /* as the guest's kernel numbers them; 0: no file */
};

/* What happens to the executable mappings of an address space. */
enum dv_mapping_change {
	DV_MAPPING_MAP,	  /* [start, end) of `space` is the file's bytes from offset on; takes what was there */
	DV_MAPPING_UNMAP, /* [start, end) is nothing */
	DV_MAPPING_COPY,  /* `space` begins as from_space is now: fork */
	DV_MAPPING_DROP,  /* `space` is gone: exit, exec */
	DV_MAPPING_USE,	  /* the process tgid has this space from here on: exec, fork, vfork */
};

struct dv_trace_mapping_change {
	enum dv_mapping_change change;
	uint64_t icount;
	uint32_t space; /* an address space's number in the trace, from 1; never comes again */
	uint32_t from_space;
	int32_t tgid;
	uint64_t start_vaddr, end_vaddr; /* end exclusive */
	uint64_t offset_bytes;
	uint32_t file_id; /* of MAP */
};

/* A kernel module as it is loaded, or as it goes. */
struct dv_trace_module_change {
	uint64_t icount;
	const char *name;
	const char *build_id;			/* NULL: not known */
	uint64_t base_vaddr, size_bytes;	/* its text */
	uint64_t init_vaddr, init_size_bytes;	/* its init text; freed soon after it was run */
	bool is_gone;
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

/* What a process runs from icount on. */
struct dv_trace_command {
	uint64_t icount;
	uint64_t thread_id; /* of the process: the one that called exec */
	const char *text;   /* the arguments, a space between two; cut after 4096 bytes */
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
