/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plugin's closer looks leave: who wrote to this memory (watch=), what a function was called with
 * and returned (capture=). A file of fixed-size records, in the order in which things happened; plugin and
 * reader are of one build, the magic is checked all the same. A file that was cut ends at its last whole
 * record.
 */
#ifndef DV_TRACE_CAPTURE_H
#define DV_TRACE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#define DV_CAPTURE_MAGIC 0x3130505443564a44ull /* "DJVCTP01" as a little-endian word: the file's first */

enum dv_capture_kind {
	DV_CAPTURE_WRITE = 1,
	DV_CAPTURE_CALL,
	DV_CAPTURE_RETURN,
};

/* A store to watched memory has succeeded. */
struct dv_capture_write {
	uint64_t icount; /* to stand before the instruction that writes */
	uint64_t rip;	 /* that instruction, sign-extended from 48 bits */
	uint64_t vaddr;	 /* as the guest addressed it */
	uint64_t phys;	 /* guest-physical, of the first byte */
	uint64_t value[2];
	uint32_t size_bytes; /* 1 to 16 */
	uint32_t reserved;
};

/* Arguments are the registers in the order of the System V ABI: rdi, rsi, rdx, rcx, r8, r9. */
#define DV_CAPTURE_ARGUMENTS 6
#define DV_CAPTURE_STRING_BYTES 48

struct dv_capture_call {
	uint64_t icount; /* to stand on the function's first instruction */
	uint64_t function_vaddr;
	uint64_t slot;	 /* stack address that holds the return address: names the return that belongs to it */
	uint64_t stack[2]; /* the seventh and eighth word of arguments */
	uint64_t arguments[DV_CAPTURE_ARGUMENTS];
	uint32_t strings_mask; /* which of strings[] could be read */
	uint32_t reserved;
	char strings[DV_CAPTURE_ARGUMENTS][DV_CAPTURE_STRING_BYTES]; /* what arguments point to; NUL-terminated */
};

struct dv_capture_return {
	uint64_t icount; /* to stand before the instruction that returns */
	uint64_t slot;
	uint64_t value; /* rax */
	uint64_t value_high; /* rdx */
};

struct dv_capture_record {
	uint64_t kind; /* enum dv_capture_kind */
	union {
		struct dv_capture_write write;
		struct dv_capture_call call;
		struct dv_capture_return returned;
	};
};

/* How much of a record is in the file; 0 for an unknown kind. */
static inline size_t dv_capture_record_bytes(uint64_t kind)
{
	switch (kind) {
	case DV_CAPTURE_WRITE: return offsetof(struct dv_capture_record, write) + sizeof(struct dv_capture_write);
	case DV_CAPTURE_CALL: return offsetof(struct dv_capture_record, call) + sizeof(struct dv_capture_call);
	case DV_CAPTURE_RETURN:
		return offsetof(struct dv_capture_record, returned) + sizeof(struct dv_capture_return);
	default: return 0;
	}
}

#endif
