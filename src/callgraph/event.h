/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tracer saw, in the order it happened: 24 bytes an event. The plugin's callbacks write them,
 * the call-graph machine reads them.
 */
#ifndef DV_CALLGRAPH_EVENT_H
#define DV_CALLGRAPH_EVENT_H

#include <stdint.h>
#include "guest/linux.h"
#include "guest/mappings.h"
#include "guest/modules.h"
#include "trace/format.h"

enum dv_event_kind {
	DV_EVENT_CALL,	   /* a: stack slot of the return address, b: target */
	DV_EVENT_RETURN,   /* a: stack slot read, b: where it returned to */
	DV_EVENT_JUMP,	   /* b: target; sent only when it may be a function's entry. a: the stack pointer; 0: not
			      told, the function on top has nothing on the stack but its return address */
	DV_EVENT_ENTER,	   /* an interrupt, exception or system call. a: stack pointer (of a system call:
			      its key, see dv_syscall_key), b: entry address;
			      icount is that of the entry's first instruction */
	DV_EVENT_LEAVE,	   /* iret, sysret. b: where to; 0: to user mode, no more is known. a: to the kernel, the
			      stack pointer before it; to user mode, the one after it */
	DV_EVENT_SWITCH,   /* a: struct dv_event_switch *, freed by the machine */
	DV_EVENT_RENAME,   /* a: struct dv_task * (comm is news), freed by the machine. b: 1 when by exec */
	DV_EVENT_FORK,	   /* a: struct dv_task *, made by the running thread, freed by the machine */
	DV_EVENT_COMMAND,  /* the running thread's process runs another program. a: struct dv_event_command *, freed by
			      the machine */
	DV_EVENT_PRINT,	   /* a: struct dv_event_print *, freed by the machine */
	DV_EVENT_SIGNAL,   /* the running thread is sent to a signal handler when it leaves the kernel. b: handler */
	DV_EVENT_SITE,	   /* whoever sends the jumps to a, of user code, asks whether they will ever go to a
			      function's start. b: its word for them */
	DV_EVENT_SYMBOLS,  /* addresses resolve anew. b: 1 when the slide is known, a: the slide */
	DV_EVENT_MAPPING,  /* a: struct dv_event_mapping *, freed by the machine */
	DV_EVENT_MODULE,   /* addresses resolve anew. a: struct dv_event_module *, freed by the machine */
};

/* The kind is in the top byte of `head`, the CPU in the next, the icount in the lower 48 bits:
 * at 300 M instructions a second, ten days. */
struct dv_event {
	uint64_t head;
	uint64_t a;
	uint64_t b;
};

#define DV_EVENT_ICOUNT_BITS 48
#define DV_EVENT_MAX_CPUS    256

struct dv_event_switch {
	struct dv_task next;
	bool prev_dead; /* the previous task never runs again */
	int32_t prev_exit_code;
	uint64_t mm_vaddr; /* of the next task's address space; 0 for a kernel thread */
};

/* Of a 8250, by the offset from its first port. What is sent with DLAB or in loopback goes nowhere. */
enum dv_uart_register { DV_UART_DATA = 0, DV_UART_LINE_CONTROL = 3, DV_UART_MODEM_CONTROL = 4 };
#define DV_UART_DLAB 0x80 /* of the line control */
#define DV_UART_LOOP 0x10 /* of the modem control */

/* Bytes that the guest printed. Those of a serial port and of hvc make a stream by source and channel; one
 * of printk is a whole record, which comes again, longer, with the same id while it is not final. */
struct dv_event_print {
	enum dv_console_source source;
	uint32_t channel; /* which port */
	uint8_t port;	  /* of a serial port: the register that the byte goes to, enum dv_uart_register */
	int level;
	uint64_t record;
	bool is_final;
	uint32_t len;
	char text[]; /* len bytes */
};

/* The arguments of an exec, a NUL between them. */
#define DV_COMMAND_MAX_BYTES 4096
struct dv_event_command {
	uint32_t len;
	char text[]; /* len bytes */
};

/* What happened to an address space. */
struct dv_event_mapping {
	enum dv_mapping_change change;
	uint64_t mm_vaddr, from_mm_vaddr; /* from: of COPY */
	int32_t tgid;			  /* of the process that has the space; 0: not told */
	bool is_current;		  /* it is the running task's */
	bool is_walk;			  /* MAP: all that lies in a space which was not known before */
	uint64_t start_vaddr, end_vaddr;  /* of UNMAP; end exclusive */
	size_t count;
	struct dv_mapping mappings[]; /* of MAP */
};

struct dv_event_module {
	bool is_gone;
	uint64_t module_vaddr;	     /* of its struct module */
	struct dv_module_code *code; /* a reference; NULL of one that is gone */
};

void dv_event_mapping_destroy(struct dv_event_mapping *e);
void dv_event_module_destroy(struct dv_event_module *e);

static inline uint64_t dv_event_head(enum dv_event_kind kind, unsigned cpu, uint64_t icount)
{
	return (uint64_t)kind << 56 | (uint64_t)cpu << DV_EVENT_ICOUNT_BITS | icount;
}

static inline enum dv_event_kind dv_event_kind(const struct dv_event *e)
{
	return (enum dv_event_kind)(e->head >> 56);
}

static inline unsigned dv_event_cpu(const struct dv_event *e)
{
	return e->head >> DV_EVENT_ICOUNT_BITS & 0xff;
}

static inline uint64_t dv_event_icount(const struct dv_event *e)
{
	return e->head & ((1ull << DV_EVENT_ICOUNT_BITS) - 1);
}

#endif
