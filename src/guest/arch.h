/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between guest architectures: how instructions that change the flow of control are
 * recognised, where the kernel lives, which registers hold what. One `struct dv_arch` per architecture;
 * nothing outside these tables names a register or an opcode.
 */
#ifndef DV_GUEST_ARCH_H
#define DV_GUEST_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/syscalls.h"

enum dv_insn_class {
	DV_INSN_OTHER,
	DV_INSN_CALL,	       /* target known */
	DV_INSN_CALL_REGISTER, /* target in register `reg` */
	DV_INSN_CALL_MEMORY,   /* target loaded from memory by the call itself */
	DV_INSN_JUMP,	       /* unconditional, target known */
	DV_INSN_JUMP_REGISTER,
	DV_INSN_JUMP_MEMORY,
	DV_INSN_RETURN,		 /* near or far: the first load is the return address */
	DV_INSN_EXCEPTION_RETURN, /* iret */
	DV_INSN_SYSTEM_RETURN,	 /* sysret, sysexit: always to user mode */
	DV_INSN_PORT_OUT,	 /* a byte to an I/O port: port and byte are in registers */
	DV_INSN_PORT_OUT_STRING, /* ... loaded from memory */
};

struct dv_insn {
	enum dv_insn_class class;
	uint64_t target; /* of CALL and JUMP */
	uint8_t reg;	 /* of *_REGISTER: index into dv_arch.target_registers */
	bool is_fixed;	 /* of *_MEMORY: loaded from one place, as a slot of the GOT, not from a table */
};

/* How the kernel is entered from outside its own calls, by the symbol at the entry's address. */
enum dv_entry_kind {
	DV_ENTRY_NONE,
	DV_ENTRY_INTERRUPT,
	DV_ENTRY_EXCEPTION,
	DV_ENTRY_SYSCALL,
};

struct dv_entry_pattern {
	const char *symbol; /* whole name, or its beginning when prefix */
	bool prefix;
	/* 0: the entry is at the symbol. Else an array of stubs: any address in [symbol, + this many bytes). */
	uint32_t array_bytes;
	enum dv_entry_kind kind;
	enum dv_syscall_table syscalls; /* of a system call's */
	uint8_t first_vector;		/* of an array's: that of its first stub */
};

/* An entry that always stands for one vector. */
struct dv_entry_vector {
	const char *symbol;
	uint8_t vector;
	const char *mnemonic; /* of an exception; NULL for an interrupt */
};

#define DV_ARCH_LINKAGE_BYTES 16

struct dv_arch {
	const char *qemu_target; /* as QEMU's plugin API names the target */
	uint16_t machine;	 /* ELF e_machine */
	uint8_t pointer_bytes;
	/* The kernel image is mapped in [kernel_min, kernel_max); modules in [module_min, module_max). */
	uint64_t kernel_min, kernel_max;
	uint64_t module_min, module_max;
	uint64_t slide_step; /* KASLR moves the image by multiples of this, */
	uint64_t slide_max;  /* less than this */
	/* Decodes one instruction of len bytes at vaddr. */
	void (*classify)(const uint8_t *bytes, size_t len, uint64_t vaddr, struct dv_insn *ret);
	/* Whether a jump through a fixed place is an entry of a linkage table's. code: the DV_ARCH_LINKAGE_BYTES that it
	 * lies in, aligned to their number; at: where in them. */
	bool (*is_linkage)(const uint8_t code[DV_ARCH_LINKAGE_BYTES], size_t at);
	const char *const *target_registers; /* names as gdb has them, by dv_insn.reg; NULL-terminated */
	const char *stack_register, *counter_register; /* the stack pointer; where it runs */
	const char *argument_registers[3]; /* of the kernel's C functions */
	const char *syscall_register; /* holds the number when the kernel is entered */
	const char *port_register, *port_value_register; /* of an instruction that writes to a port; or NULL */
	const struct dv_entry_pattern *entries; /* ends with symbol NULL */
	const struct dv_entry_vector *vectors;	/* ends with symbol NULL */
	uint64_t vector_table_vaddr; /* where Linux maps the table of entries, in every address space; 0: nowhere */
	const char *percpu_registers[2]; /* one of them is the kernel's base of the per-CPU area */
	/* Indirect-branch thunks (a prefix) and return thunks: never frames of their own. */
	const char *const *thunk_prefixes; /* NULL-terminated */
	/* Assembly that is jumped to but is no function: never a tail call. */
	const char *const *label_prefixes; /* NULL-terminated */
	const char *entry_text_start, *entry_text_end; /* symbols around such assembly, or NULL */
};

/* The table for QEMU's target name, or NULL. */
const struct dv_arch *dv_arch_find(const char *qemu_target);

/* Kernel space, by the address alone. */
static inline bool dv_is_kernel_vaddr(uint64_t vaddr)
{
	return (int64_t)vaddr < 0;
}

#endif
