/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux's tasks: see linux.h. */
#include "guest/linux.h"

#include <string.h>

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h, 2.6.31 and later */
#define TASK_DEAD  0x00000080 /* include/linux/sched.h, 4.14 and later */
#define MAX_TID	   (1 << 22)  /* PID_MAX_LIMIT, include/linux/threads.h */

static struct dv_error *find_members(struct dv_linux *l, const struct dv_btf *btf)
{
	struct dv_error *err;

	DV_TRY(dv_btf_member(btf, "task_struct", "pid", &l->pid));
	DV_TRY(dv_btf_member(btf, "task_struct", "tgid", &l->tgid));
	DV_TRY(dv_btf_member(btf, "task_struct", "comm", &l->comm));
	DV_TRY(dv_btf_member(btf, "task_struct", "real_parent", &l->real_parent));
	DV_TRY(dv_btf_member(btf, "task_struct", "flags", &l->flags));
	DV_TRY(dv_btf_member(btf, "task_struct", "exit_code", &l->exit_code));
	err = dv_btf_member(btf, "task_struct", "__state", &l->state);
	if (!err)
		return NULL;
	dv_error_destroy(err);
	return dv_btf_member(btf, "task_struct", "state", &l->state); /* before 5.14 */
}

static void find_current(struct dv_linux *l, const struct dv_btf *btf)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(l->kernel);
	const struct dv_symbol *symbol = dv_symtab_find(symtab, "pcpu_hot");
	struct dv_btf_member member;
	struct dv_error *err;

	if (symbol) {
		err = dv_btf_member(btf, "pcpu_hot", "current_task", &member);
		if (!err) {
			l->current_offset = symbol->vaddr + member.offset_bytes;
			return;
		}
		dv_error_destroy(err);
	}
	symbol = dv_symtab_find(symtab, "current_task");
	if (symbol)
		l->current_offset = symbol->vaddr;
}

/* ksignal.ka.sa.sa_handler */
static void find_handler(struct dv_linux *l, const struct dv_btf *btf)
{
	static const char *const path[][2] = {{"ksignal", "ka"}, {"k_sigaction", "sa"}, {"sigaction", "sa_handler"}};

	for (size_t i = 0; i < DV_ARRAY_SIZE(path); i++) {
		struct dv_btf_member member;
		struct dv_error *err = dv_btf_member(btf, path[i][0], path[i][1], &member);

		if (err) {
			dv_error_destroy(err);
			return;
		}
		l->handler_offset += member.offset_bytes;
	}
	l->has_handler = true;
}

struct dv_error *dv_linux_init(struct dv_linux *l, const struct dv_kernel *kernel)
{
	const struct dv_btf *btf = dv_kernel_btf(kernel);
	const struct dv_symbol *init_task;

	*l = (struct dv_linux){.kernel = kernel};
	if (!btf)
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): threads cannot be told apart");
	DV_TRY(find_members(l, btf));
	find_current(l, btf);
	find_handler(l, btf);
	init_task = dv_symtab_find(dv_kernel_symtab(kernel), "init_task");
	if (init_task)
		l->init_task_vaddr = init_task->vaddr;
	return NULL;
}

void dv_linux_copy_comm(char to[DV_TASK_COMM_LEN], const char from[DV_TASK_COMM_LEN])
{
	size_t i;

	for (i = 0; i < DV_TASK_COMM_LEN - 1 && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	memset(to + i, 0, DV_TASK_COMM_LEN - i);
}

bool dv_linux_read_tid(const struct dv_linux *l, const struct dv_guest_memory *memory, uint64_t vaddr,
		       int32_t *ret)
{
	uint32_t tid;

	if (!dv_guest_read_u32(memory, vaddr + l->pid.offset_bytes, &tid) || tid > MAX_TID)
		return false;
	*ret = (int32_t)tid;
	return true;
}

bool dv_linux_read_task(const struct dv_linux *l, const struct dv_guest_memory *memory, uint64_t vaddr,
			struct dv_task *ret)
{
	struct dv_task task = {.vaddr = vaddr};
	uint32_t flags, tgid, parent_tgid = 0;
	char comm[DV_TASK_COMM_LEN];
	uint64_t parent;

	if (!dv_linux_read_tid(l, memory, vaddr, &task.tid) ||
	    !dv_guest_read_u32(memory, vaddr + l->tgid.offset_bytes, &tgid) || tgid > MAX_TID ||
	    !dv_guest_read_u32(memory, vaddr + l->flags.offset_bytes, &flags) ||
	    !dv_guest_read(memory, vaddr + l->comm.offset_bytes, comm, sizeof(comm)))
		return false;
	if (dv_guest_read_u64(memory, vaddr + l->real_parent.offset_bytes, &parent))
		dv_guest_read_u32(memory, parent + l->tgid.offset_bytes, &parent_tgid);
	task.tgid = (int32_t)tgid;
	task.parent_tgid = (int32_t)parent_tgid;
	task.is_kernel = (flags & PF_KTHREAD) || task.tid == 0;
	dv_linux_copy_comm(task.comm, comm);
	*ret = task;
	return true;
}

bool dv_linux_read_exit_code(const struct dv_linux *l, const struct dv_guest_memory *memory, uint64_t vaddr,
			     int32_t *ret)
{
	uint32_t code;

	if (!dv_guest_read_u32(memory, vaddr + l->exit_code.offset_bytes, &code))
		return false;
	*ret = (int32_t)code;
	return true;
}

bool dv_linux_read_state(const struct dv_linux *l, const struct dv_guest_memory *memory, uint64_t vaddr,
			 uint32_t *ret_state, bool *ret_dead)
{
	uint32_t state;

	if (!dv_guest_read_u32(memory, vaddr + l->state.offset_bytes, &state))
		return false;
	*ret_state = state;
	*ret_dead = state & TASK_DEAD;
	return true;
}

bool dv_linux_read_current(const struct dv_linux *l, const struct dv_guest_memory *memory, uint64_t percpu_base,
			   uint64_t *ret_task)
{
	return l->current_offset && dv_guest_read_u64(memory, percpu_base + l->current_offset, ret_task);
}
