/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux in the guest: its tasks, read by the layouts in the kernel's BTF. Where the running task is
 * kept differs between kernels (current_task, pcpu_hot.current_task): tested for by symbol and member.
 */
#ifndef DV_GUEST_LINUX_H
#define DV_GUEST_LINUX_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "guest/memory.h"
#include "symbols/kernel.h"

#define DV_TASK_COMM_LEN 16

struct dv_task {
	uint64_t vaddr; /* of its task_struct */
	int32_t tid;	/* task_struct.pid */
	int32_t tgid;
	int32_t parent_tgid;
	char comm[DV_TASK_COMM_LEN]; /* NUL-terminated */
	bool is_kernel;		     /* PF_KTHREAD, or the idle task */
};

struct dv_linux {
	const struct dv_kernel *kernel; /* borrowed */
	struct dv_btf_member pid, tgid, comm, real_parent, flags, state;
	struct dv_btf_member exit_code;
	uint64_t current_offset; /* of the running task's pointer in the per-CPU area; 0 when not found */
	bool has_handler;	  /* handler_offset is known: where struct ksignal has the handler's address */
	uint64_t handler_offset;
	uint64_t init_task_vaddr; /* link-time; 0 when not found */
};

/* Looks the layouts up. Errors: DV_ERROR_UNSUPPORTED without BTF, DV_ERROR_NOT_FOUND for a member. */
struct dv_error *dv_linux_init(struct dv_linux *linux_, const struct dv_kernel *kernel);

/* Reads the task at vaddr. False when memory is not mapped or does not look like a task. */
bool dv_linux_read_task(const struct dv_linux *linux_, const struct dv_guest_memory *memory, uint64_t vaddr,
			struct dv_task *ret);
bool dv_linux_read_tid(const struct dv_linux *linux_, const struct dv_guest_memory *memory, uint64_t vaddr,
		       int32_t *ret);
/* As wait() gives it, once the task is dead. */
bool dv_linux_read_exit_code(const struct dv_linux *linux_, const struct dv_guest_memory *memory, uint64_t vaddr,
			     int32_t *ret);
/* Whether the task has done its last schedule() (TASK_DEAD), and its raw state. */
bool dv_linux_read_state(const struct dv_linux *linux_, const struct dv_guest_memory *memory, uint64_t vaddr,
			 uint32_t *ret_state, bool *ret_dead);
/* The running task of the CPU whose per-CPU area starts at percpu_base (x86: the kernel's GS base). */
bool dv_linux_read_current(const struct dv_linux *linux_, const struct dv_guest_memory *memory,
			   uint64_t percpu_base, uint64_t *ret_task);

/* Copies a comm: at most 15 bytes, NUL-terminated, unprintable bytes turned into '?'. */
void dv_linux_copy_comm(char to[DV_TASK_COMM_LEN], const char from[DV_TASK_COMM_LEN]);

#endif
