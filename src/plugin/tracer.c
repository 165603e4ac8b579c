/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The callbacks in QEMU: see tracer.h. Blocks are translated again and again, and differently in record
 * and replay, so that nothing is kept per block: what a callback must know is in its userdata word.
 *
 * Calls, jumps and returns end a block, where the icount may be read and is exact. A call is seen by its
 * push and a return by its pop: memory callbacks run after the access has succeeded, so that an
 * instruction that faults makes no event.
 */
#include "plugin/tracer.h"

#include <string.h>
#include "guest/slide.h"
#include "plugin/console.h"
#include "plugin/entries.h"
#include "plugin/follow.h"
#include "plugin/mem_value.h"
#include "plugin/names.h"
#include "plugin/tracer_private.h"
#include "plugin/user_jumps.h"

#define MAX_INSN_BYTES	 16
#define MAX_SLIDE_BYTES	 128
/* So many pieces of kernel code that fit nowhere in the image: it is another kernel. */
#define MISMATCH_PIECES	 4096
#define MAX_REGISTERS	 16
#define MAX_BANNER_BYTES 512

enum { SIZE_SHIFT_32 = 2, SIZE_SHIFT_64 };
enum { REG_STACK, REG_COUNTER, REG_SYSCALL, REG_ARGUMENT0, REG_ARGUMENT1, REG_ARGUMENT2, REG_NAMED };

/* An iret under way. */
struct leaving {
	bool armed;
	uint64_t frame;	 /* the stack pointer before it; 0 until its first load */
	uint64_t target; /* where to */
};

struct tracer {
	struct dv_ring *ring;
	int64_t (*now)(void);
	bool several_cpus;
	struct dv_mem_value mem_value; /* of the only vCPU */
	pthread_mutex_t lock;	       /* around the ring, with several vCPUs */
	uint64_t pending_target[DV_EVENT_MAX_CPUS];
	uint64_t pending_stack[DV_EVENT_MAX_CPUS];
	struct leaving leaving[DV_EVENT_MAX_CPUS];
	uint64_t pending_handler[DV_EVENT_MAX_CPUS];
	struct dv_task *pending_task[DV_EVENT_MAX_CPUS];
	bool pending_exec[DV_EVENT_MAX_CPUS]; /* that task's rename is an exec's */

	struct dv_tracer_setup setup;
	bool slide_known, slide_hopeless, started, took_over;
	uint64_t slide;
	unsigned pieces_tried;
	uint64_t switch_to_vaddr, rename_vaddr, fork_vaddr, signal_vaddr, start_vaddr[2]; /* runtime; 0: none */
	GByteArray *bytes;
	GArray *registers;
	struct qemu_plugin_register *named[REG_NAMED];
	struct qemu_plugin_register *target[MAX_REGISTERS];
};

static struct tracer tracer;

/* ---- events ---- */

void dv_tracer_put(enum dv_event_kind kind, unsigned cpu, uint64_t icount, uint64_t a, uint64_t b)
{
	if (tracer.several_cpus)
		pthread_mutex_lock(&tracer.lock);
	*dv_ring_reserve(tracer.ring) = (struct dv_event){dv_event_head(kind, cpu, icount), a, b};
	dv_ring_commit(tracer.ring);
	if (tracer.several_cpus)
		pthread_mutex_unlock(&tracer.lock);
}

static inline void put(enum dv_event_kind kind, unsigned cpu, uint64_t a, uint64_t b)
{
	if (__builtin_expect(tracer.several_cpus, 0)) {
		/* Time is read under the lock, so that events are in order of time. */
		pthread_mutex_lock(&tracer.lock);
		*dv_ring_reserve(tracer.ring) =
			(struct dv_event){dv_event_head(kind, cpu & 0xff, (uint64_t)tracer.now()), a, b};
		dv_ring_commit(tracer.ring);
		pthread_mutex_unlock(&tracer.lock);
		return;
	}
	*dv_ring_reserve(tracer.ring) = (struct dv_event){dv_event_head(kind, 0, (uint64_t)tracer.now()), a, b};
	dv_ring_commit(tracer.ring);
}

void dv_tracer_put_now(enum dv_event_kind kind, unsigned cpu, uint64_t a, uint64_t b)
{
	put(kind, cpu, a, b);
}

static void on_call(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *target)
{
	put(DV_EVENT_CALL, cpu, vaddr, (uintptr_t)target);
}

/* What 64-bit code loads or stores as an address. */
static inline uint64_t code_address64(qemu_plugin_meminfo_t info)
{
	if (__builtin_expect(tracer.several_cpus, 0))
		return qemu_plugin_mem_get_value(info).data.u64;
	return dv_mem_value_u64(&tracer.mem_value, info);
}

/* QEMU fills in no more than the access had: the rest of a narrow value is arbitrary. */
static inline uint64_t code_address(qemu_plugin_meminfo_t info, unsigned size_shift)
{
	if (__builtin_expect(size_shift == SIZE_SHIFT_64, 1))
		return code_address64(info);
	return size_shift == SIZE_SHIFT_32 ? qemu_plugin_mem_get_value(info).data.u32 :
					     qemu_plugin_mem_get_value(info).data.u16;
}

uint64_t dv_tracer_read_value(qemu_plugin_meminfo_t info)
{
	return code_address(info, qemu_plugin_mem_size_shift(info));
}

/*
 * User code and firmware: QEMU translates a page of a library once for all the addresses that it is mapped at,
 * so that only the distance is known, and the return address says where it is from. 16-bit code pushes no
 * base: there the target as translated stands.
 */
static void on_user_call(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *packed)
{
	unsigned size_shift = qemu_plugin_mem_size_shift(info);
	int32_t distance = (int32_t)(uintptr_t)packed;
	uint64_t target = (uintptr_t)packed >> 32;

	if (size_shift >= SIZE_SHIFT_32)
		target = code_address(info, size_shift) + (uint64_t)(int64_t)distance;
	put(DV_EVENT_CALL, cpu, vaddr, size_shift == SIZE_SHIFT_32 ? (uint32_t)target : target);
}

static void *pack_user_call(uint64_t end, uint64_t target)
{
	return (void *)(uintptr_t)((uint32_t)(target - end) | target << 32);
}

/* In the kernel code is 64-bit code. */
static void on_kernel_return(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	put(DV_EVENT_RETURN, cpu, vaddr, code_address64(info));
}

static void on_return(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	put(DV_EVENT_RETURN, cpu, vaddr, code_address(info, qemu_plugin_mem_size_shift(info)));
}

static void on_jump(unsigned cpu, void *target)
{
	put(DV_EVENT_JUMP, cpu, 0, (uintptr_t)target);
}

/* Userdata of a callback on a block's last instruction: the block's address and how many instructions
 * came before the end, in the 16 bits that every canonical kernel address has set. */
void *dv_tracer_pack_block(uint64_t vaddr, size_t insns)
{
	return (void *)(uintptr_t)((vaddr & 0xffffffffffff) | (uint64_t)insns << 48);
}

static uint64_t block_vaddr(void *packed)
{
	return (uintptr_t)packed | 0xffff000000000000;
}

uint64_t dv_tracer_block_icount(void *packed)
{
	uint64_t now = (uint64_t)tracer.now();

	return tracer.setup.clock.kind == DV_TRACE_CLOCK_ICOUNT ? now - ((uintptr_t)packed >> 48) : now;
}

/* ---- registers and memory, for what is rare ---- */

bool dv_tracer_read_register(struct qemu_plugin_register *handle, uint64_t *ret)
{
	*ret = 0;
	if (!handle)
		return false;
	g_byte_array_set_size(tracer.bytes, 0);
	if (qemu_plugin_read_register(handle, tracer.bytes) < 8)
		return false;
	memcpy(ret, tracer.bytes->data, 8);
	return true;
}

bool dv_tracer_read_argument(unsigned index, uint64_t *ret)
{
	return dv_tracer_read_register(tracer.named[REG_ARGUMENT0 + index], ret);
}

bool dv_tracer_read_place(uint64_t *ret_stack, uint64_t *ret_counter)
{
	return dv_tracer_read_register(tracer.named[REG_STACK], ret_stack) &&
	       dv_tracer_read_register(tracer.named[REG_COUNTER], ret_counter);
}

bool dv_tracer_read_target(unsigned reg, uint64_t *ret)
{
	return dv_tracer_read_register(tracer.target[reg], ret);
}

static bool read_memory(void *context, uint64_t vaddr, void *to, size_t len)
{
	g_byte_array_set_size(tracer.bytes, 0);
	if (!qemu_plugin_read_memory_vaddr(vaddr, tracer.bytes, len) || tracer.bytes->len < len)
		return false;
	memcpy(to, tracer.bytes->data, len);
	return true;
}

const struct dv_guest_memory dv_tracer_memory = {.read = read_memory};

struct qemu_plugin_register *dv_tracer_find_register(const char *name)
{
	for (guint i = 0; i < tracer.registers->len; i++) {
		qemu_plugin_reg_descriptor *r = &g_array_index(tracer.registers, qemu_plugin_reg_descriptor, i);

		if (!strcmp(r->name, name))
			return r->handle;
	}
	return NULL;
}

static void on_vcpu_init(qemu_plugin_id_t id, unsigned cpu)
{
	const struct dv_arch *arch = tracer.setup.arch;

	if (tracer.registers)
		return; /* all vCPUs are alike */
	tracer.registers = qemu_plugin_get_registers();
	tracer.named[REG_STACK] = dv_tracer_find_register(arch->stack_register);
	tracer.named[REG_COUNTER] = dv_tracer_find_register(arch->counter_register);
	tracer.named[REG_ARGUMENT0] = dv_tracer_find_register(arch->argument_registers[0]);
	tracer.named[REG_ARGUMENT1] = dv_tracer_find_register(arch->argument_registers[1]);
	tracer.named[REG_ARGUMENT2] = dv_tracer_find_register(arch->argument_registers[2]);
	tracer.named[REG_SYSCALL] = dv_tracer_find_register(arch->syscall_register);
	for (size_t i = 0; i < MAX_REGISTERS && arch->target_registers[i]; i++)
		tracer.target[i] = dv_tracer_find_register(arch->target_registers[i]);
}

/* ---- indirect calls and jumps ---- */

static void on_target_register(unsigned cpu, void *reg)
{
	dv_tracer_read_register(tracer.target[(uintptr_t)reg], &tracer.pending_target[cpu & 0xff]);
}

static void on_call_register(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	put(DV_EVENT_CALL, cpu, vaddr, tracer.pending_target[cpu & 0xff]);
}

/* `call *mem`: the load brings the target, the push follows. */
static void on_call_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	if (qemu_plugin_mem_is_store(info))
		put(DV_EVENT_CALL, cpu, vaddr, tracer.pending_target[cpu & 0xff]);
	else
		tracer.pending_target[cpu & 0xff] = code_address(info, qemu_plugin_mem_size_shift(info));
}

static void on_jump_register(unsigned cpu, void *reg)
{
	uint64_t target;

	if (dv_tracer_read_register(tracer.target[(uintptr_t)reg], &target) && dv_is_kernel_vaddr(target))
		put(DV_EVENT_JUMP, cpu, 0, target);
}

static void on_jump_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	uint64_t target = code_address64(info);

	if (dv_is_kernel_vaddr(target))
		put(DV_EVENT_JUMP, cpu, 0, target);
}

/* ---- tasks ---- */

/* prev_vaddr: the task that was left for ever, or 0. */
static void put_switch(unsigned cpu, uint64_t icount, uint64_t next_vaddr, uint64_t prev_vaddr)
{
	struct dv_event_switch *info = calloc(1, sizeof(*info));

	if (!info || !dv_linux_read_task(tracer.setup.linux_, &dv_tracer_memory, next_vaddr, &info->next)) {
		free(info);
		return;
	}
	info->mm_vaddr = dv_follow_switch(cpu, icount, &info->next);
	info->prev_dead = prev_vaddr;
	if (prev_vaddr)
		dv_linux_read_exit_code(tracer.setup.linux_, &dv_tracer_memory, prev_vaddr, &info->prev_exit_code);
	dv_tracer_put(DV_EVENT_SWITCH, cpu & 0xff, icount, (uintptr_t)info, 0);
}

/* The jump or call to __switch_to(prev, next). */
static void on_switch(unsigned cpu, void *unused)
{
	uint64_t prev, next;
	uint32_t state;
	bool dead = false;

	if (!dv_tracer_read_register(tracer.named[REG_ARGUMENT0], &prev) ||
	    !dv_tracer_read_register(tracer.named[REG_ARGUMENT1], &next))
		return;
	dv_linux_read_state(tracer.setup.linux_, &dv_tracer_memory, prev, &state, &dead);
	put_switch(cpu, (uint64_t)tracer.now(), next, dead ? prev : 0);
}

static void set_pending_task(unsigned cpu, struct dv_task *task)
{
	free(tracer.pending_task[cpu & 0xff]);
	tracer.pending_task[cpu & 0xff] = task;
}

/* First instruction of __set_task_comm(task, name, exec): both are still in their registers. */
static void on_rename(unsigned cpu, void *unused)
{
	struct dv_task *task;
	uint64_t vaddr, name, exec;
	char comm[DV_TASK_COMM_LEN] = "";

	if (!dv_tracer_read_register(tracer.named[REG_ARGUMENT0], &vaddr) ||
	    !dv_tracer_read_register(tracer.named[REG_ARGUMENT1], &name) ||
	    !dv_tracer_read_register(tracer.named[REG_ARGUMENT2], &exec))
		return;
	task = calloc(1, sizeof(*task));
	if (!task || !dv_linux_read_task(tracer.setup.linux_, &dv_tracer_memory, vaddr, task)) {
		free(task);
		return;
	}
	/* Byte by byte: the string may end just before a page that is not mapped. */
	for (size_t i = 0; i < sizeof(comm) - 1; i++) {
		if (!dv_guest_read(&dv_tracer_memory, name + i, &comm[i], 1) || !comm[i])
			break;
	}
	dv_linux_copy_comm(task->comm, comm);
	set_pending_task(cpu, task);
	tracer.pending_exec[cpu & 0xff] = exec & 0xff; /* a bool */
}

/* First instruction of wake_up_new_task(task). */
static void on_fork(unsigned cpu, void *unused)
{
	struct dv_task *task;
	uint64_t vaddr;

	if (!dv_tracer_read_register(tracer.named[REG_ARGUMENT0], &vaddr))
		return;
	task = calloc(1, sizeof(*task));
	if (!task || !dv_linux_read_task(tracer.setup.linux_, &dv_tracer_memory, vaddr, task)) {
		free(task);
		return;
	}
	set_pending_task(cpu, task);
}

/* Last instruction of that block, where the time may be read. */
static void on_renamed(unsigned cpu, void *unused)
{
	struct dv_task *task = dv_steal(tracer.pending_task[cpu & 0xff]);

	if (task)
		dv_tracer_put(DV_EVENT_RENAME, cpu & 0xff, (uint64_t)tracer.now(), (uintptr_t)task,
			      tracer.pending_exec[cpu & 0xff]);
}

static void on_forked(unsigned cpu, void *block)
{
	struct dv_task *task = dv_steal(tracer.pending_task[cpu & 0xff]);

	if (task)
		dv_tracer_put(DV_EVENT_FORK, cpu & 0xff, dv_tracer_block_icount(block), (uintptr_t)task, 0);
}

/* First instruction of signal_setup_done(failed, ksig, stepping): the handler's frame is on the user's stack. */
static void on_signal(unsigned cpu, void *unused)
{
	uint64_t failed, ksig, *handler = &tracer.pending_handler[cpu & 0xff];

	if (!dv_tracer_read_register(tracer.named[REG_ARGUMENT0], &failed) || (uint32_t)failed ||
	    !dv_tracer_read_register(tracer.named[REG_ARGUMENT1], &ksig) ||
	    !dv_guest_read(&dv_tracer_memory, ksig + tracer.setup.linux_->handler_offset, handler, sizeof(*handler)))
		*handler = 0;
}

static void on_signal_time(unsigned cpu, void *unused)
{
	uint64_t handler = tracer.pending_handler[cpu & 0xff];

	if (handler)
		dv_tracer_put(DV_EVENT_SIGNAL, cpu & 0xff, (uint64_t)tracer.now(), 0, handler);
	tracer.pending_handler[cpu & 0xff] = 0;
}

/* ---- entries to the kernel, and the way back ---- */

static void on_stack_pointer(unsigned cpu, void *unused)
{
	dv_tracer_read_register(tracer.named[REG_STACK], &tracer.pending_stack[cpu & 0xff]);
}

static void on_enter(unsigned cpu, void *block)
{
	dv_tracer_put(DV_EVENT_ENTER, cpu & 0xff, dv_tracer_block_icount(block),
		   tracer.pending_stack[cpu & 0xff], block_vaddr(block));
}

static void on_system_call_number(unsigned cpu, void *entry)
{
	uint64_t number;

	dv_tracer_read_register(tracer.named[REG_SYSCALL], &number);
	tracer.pending_stack[cpu & 0xff] = dv_syscall_key((uint8_t)(uintptr_t)entry, (uint32_t)number);
}

/* iret loads RIP, CS, RFLAGS, RSP and SS: in long mode always all five. */
#define IRET_STACK_OFFSET 24

static void on_exception_return(unsigned cpu, void *unused)
{
	tracer.leaving[cpu & 0xff] = (struct leaving){.armed = true};
}

static void on_exception_return_load(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	struct leaving *l = &tracer.leaving[cpu & 0xff];
	uint64_t value;

	if (!l->armed)
		return;
	value = qemu_plugin_mem_get_value(info).data.u64;
	if (!l->frame) {
		l->frame = vaddr;
		l->target = value;
	} else if (vaddr == l->frame + IRET_STACK_OFFSET) {
		l->armed = false;
		put(DV_EVENT_LEAVE, cpu, dv_is_kernel_vaddr(l->target) ? l->frame : value, l->target);
	}
}

static void on_system_return(unsigned cpu, void *unused)
{
	put(DV_EVENT_LEAVE, cpu, 0, 0);
}

/* The kernel's first C function: names are known, the idle task runs, and this is its first frame. */
static void on_start(unsigned cpu, void *block)
{
	uint64_t icount = dv_tracer_block_icount(block);

	if (tracer.started)
		return;
	tracer.started = true;
	dv_tracer_put(DV_EVENT_SYMBOLS, cpu & 0xff, icount, tracer.slide, 1);
	if (tracer.setup.linux_ && tracer.setup.linux_->init_task_vaddr)
		put_switch(cpu, icount, tracer.setup.linux_->init_task_vaddr + tracer.slide, 0);
	dv_tracer_put(DV_EVENT_CALL, cpu & 0xff, icount, tracer.pending_stack[cpu & 0xff], block_vaddr(block));
}

/* ---- translation ---- */

static size_t block_bytes(const struct qemu_plugin_tb *tb, uint8_t *to, size_t max)
{
	size_t len = 0;

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb) && len + MAX_INSN_BYTES <= max; i++)
		len += qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i), to + len, MAX_INSN_BYTES);
	return len;
}

uint64_t dv_tracer_symbol(const char *name)
{
	const struct dv_symbol *symbol = dv_symtab_find(dv_kernel_symtab(tracer.setup.kernel), name);

	return symbol ? symbol->vaddr + tracer.slide : 0;
}

static void found_slide(uint64_t slide)
{
	tracer.slide_known = true;
	tracer.slide = slide;
	if (tracer.setup.linux_) {
		tracer.switch_to_vaddr = dv_tracer_symbol("__switch_to");
		tracer.rename_vaddr = dv_tracer_symbol("__set_task_comm");
		tracer.fork_vaddr = dv_tracer_symbol("wake_up_new_task");
		if (tracer.setup.linux_->has_handler)
			tracer.signal_vaddr = dv_tracer_symbol("signal_setup_done");
	}
	tracer.start_vaddr[0] = dv_tracer_symbol("x86_64_start_kernel");
	tracer.start_vaddr[1] = dv_tracer_symbol("start_kernel");
	dv_console_found_slide();
	dv_follow_found_slide(slide);
	dv_kernel_release_image(tracer.setup.kernel);
}

/* Code that fits is not proof: two builds begin alike. The banner in the guest's memory tells. */
static bool is_banner_there(uint64_t slide)
{
	const struct dv_symbol *symbol = dv_symtab_find(dv_kernel_symtab(tracer.setup.kernel), "linux_banner");
	const char *banner = dv_kernel_banner(tracer.setup.kernel);
	char found[MAX_BANNER_BYTES];
	size_t len;

	if (!symbol || !banner)
		return true;
	len = strnlen(banner, sizeof(found));
	return !dv_guest_read(&dv_tracer_memory, symbol->vaddr + slide, found, len) || !memcmp(found, banner, len);
}

static void give_up_on_names(void)
{
	tracer.slide_hopeless = true;
	fprintf(stderr, "dejaview: the running kernel is not the one that symbols_from (or -kernel) names: functions "
			"are shown by address; give symbols_from=VMLINUX of the running kernel\n");
	dv_tracer_put(DV_EVENT_SYMBOLS, 0, 0, 0, 0);
}

static void look_for_slide(const struct qemu_plugin_tb *tb, uint64_t vaddr)
{
	uint8_t code[MAX_SLIDE_BYTES];
	size_t len = block_bytes(tb, code, sizeof(code));
	uint64_t slide;

	if (len < DV_SLIDE_MIN_BYTES || vaddr >= tracer.setup.arch->kernel_max)
		return;
	if (dv_slide_match(tracer.setup.kernel, tracer.setup.arch, vaddr, code, len, &slide)) {
		if (is_banner_there(slide))
			found_slide(slide);
		else
			give_up_on_names();
	} else if (++tracer.pieces_tried == MISMATCH_PIECES) {
		give_up_on_names();
	}
}

/* What the tracer that came before had found out. Anything translated from here on may need it. */
static void take_over(void)
{
	uint64_t slide;

	if (!tracer.slide_known) {
		tracer.slide_hopeless = !dv_slide_from_vectors(tracer.setup.kernel, tracer.setup.arch, &dv_tracer_memory,
							       &slide) || !is_banner_there(slide);
		dv_tracer_put(DV_EVENT_SYMBOLS, 0, (uint64_t)0, tracer.slide_hopeless ? 0 : slide, !tracer.slide_hopeless);
		if (tracer.slide_hopeless)
			return;
		found_slide(slide);
		tracer.started = true;
	}
	/* In user mode the kernel's memory may be out of sight. */
	if (dv_follow_find_modules()) {
		dv_console_find_drivers();
		tracer.took_over = true;
	}
}

/* A jump to another function's entry. Conditional jumps and jumps within a function are not looked at. */
static bool is_tail_call(uint64_t from, uint64_t to)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(tracer.setup.kernel);
	const struct dv_symbol *target = dv_names_entry(tracer.setup.arch, tracer.setup.kernel, to - tracer.slide);

	if (to >= tracer.setup.arch->module_min && to < tracer.setup.arch->module_max) {
		target = dv_follow_module_function(to);
		return target && target->vaddr == to && dv_follow_module_function(from) != target;
	}
	return target && dv_symtab_function_at(symtab, from - tracer.slide) != target;
}

static void instrument_kernel_jump(struct qemu_plugin_insn *insn, const struct dv_insn *decoded)
{
	void *reg = (void *)(uintptr_t)decoded->reg;

	switch (decoded->class) {
	case DV_INSN_JUMP:
		if (is_tail_call(qemu_plugin_insn_vaddr(insn), decoded->target))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_jump, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)decoded->target);
		break;
	case DV_INSN_JUMP_REGISTER:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_jump_register, QEMU_PLUGIN_CB_R_REGS, reg);
		break;
	case DV_INSN_JUMP_MEMORY:
		qemu_plugin_register_vcpu_mem_cb(insn, on_jump_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R,
						 NULL);
		break;
	case DV_INSN_EXCEPTION_RETURN:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_exception_return, QEMU_PLUGIN_CB_NO_REGS, NULL);
		qemu_plugin_register_vcpu_mem_cb(insn, on_exception_return_load, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_R, NULL);
		break;
	case DV_INSN_SYSTEM_RETURN:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_system_return, QEMU_PLUGIN_CB_NO_REGS, NULL);
		break;
	default:
		break;
	}
}

static void instrument_call(struct qemu_plugin_insn *insn, const struct dv_insn *decoded, size_t len)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);

	switch (decoded->class) {
	case DV_INSN_CALL:
		if (!dv_is_kernel_vaddr(vaddr)) {
			qemu_plugin_register_vcpu_mem_cb(insn, on_user_call, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_W,
							 pack_user_call(vaddr + len, decoded->target));
			break;
		}
		qemu_plugin_register_vcpu_mem_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
						 (void *)(uintptr_t)decoded->target);
		break;
	case DV_INSN_CALL_REGISTER:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_target_register, QEMU_PLUGIN_CB_R_REGS,
						       (void *)(uintptr_t)decoded->reg);
		qemu_plugin_register_vcpu_mem_cb(insn, on_call_register, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
						 NULL);
		break;
	case DV_INSN_CALL_MEMORY:
		qemu_plugin_register_vcpu_mem_cb(insn, on_call_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
						 NULL);
		break;
	case DV_INSN_RETURN:
		qemu_plugin_register_vcpu_mem_cb(insn, dv_is_kernel_vaddr(vaddr) ? on_kernel_return : on_return,
						 QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
		break;
	default:
		break;
	}
}

/* What is known by its address: the kernel's entries and the few functions that tell of tasks. */
static void instrument_entry(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr)
{
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	void *block = dv_tracer_pack_block(vaddr, qemu_plugin_tb_n_insns(tb));
	const struct dv_entry_pattern *entry;

	dv_console_instrument_entry(tb, last, vaddr);
	dv_follow_instrument_entry(tb, last, vaddr);
	if (vaddr == tracer.rename_vaddr) {
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_rename, QEMU_PLUGIN_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_insn_exec_cb(last, on_renamed, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
	if (vaddr == tracer.fork_vaddr) {
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_fork, QEMU_PLUGIN_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_insn_exec_cb(last, on_forked, QEMU_PLUGIN_CB_NO_REGS, block);
	}
	if (vaddr == tracer.signal_vaddr) {
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_signal, QEMU_PLUGIN_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_insn_exec_cb(last, on_signal_time, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
	if (!tracer.started && (vaddr == tracer.start_vaddr[0] || vaddr == tracer.start_vaddr[1])) {
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_stack_pointer, QEMU_PLUGIN_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_insn_exec_cb(last, on_start, QEMU_PLUGIN_CB_R_REGS, block);
	}
	entry = dv_entry_at(tracer.setup.arch, tracer.setup.kernel, vaddr - tracer.slide);
	if (!entry)
		return;
	if (entry->kind == DV_ENTRY_SYSCALL)
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_system_call_number, QEMU_PLUGIN_CB_R_REGS,
						       (void *)(entry - tracer.setup.arch->entries));
	else
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_stack_pointer, QEMU_PLUGIN_CB_R_REGS, NULL);
	qemu_plugin_register_vcpu_insn_exec_cb(last, on_enter, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void count_inline(struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_tb_get_insn(tb, i),
								    QEMU_PLUGIN_INLINE_ADD_U64,
								    tracer.setup.clock.counter, 1);
}

/* Under icount an instruction of I/O ends its block; else it may be anywhere. */
static void instrument_out(struct qemu_plugin_tb *tb, const struct dv_insn *last)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	if (last->class == DV_INSN_PORT_OUT || last->class == DV_INSN_PORT_OUT_STRING)
		dv_console_instrument_out(qemu_plugin_tb_get_insn(tb, n - 1), last->class, 1);
	if (tracer.setup.clock.kind == DV_TRACE_CLOCK_ICOUNT && !tracer.setup.clock.counts_inline)
		return;
	for (size_t i = 0; i + 1 < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[MAX_INSN_BYTES];
		struct dv_insn decoded;

		tracer.setup.arch->classify(bytes, qemu_plugin_insn_data(insn, bytes, sizeof(bytes)),
					    qemu_plugin_insn_vaddr(insn), &decoded);
		if (decoded.class == DV_INSN_PORT_OUT || decoded.class == DV_INSN_PORT_OUT_STRING)
			dv_console_instrument_out(insn, decoded.class, 1);
	}
}

/* An entry of a linkage table was called, or jumped to with the return address on top: nobody has to look where that
 * lies. Other jumps through the GOT (-fno-plt) come from anywhere. */
static bool is_linkage(const struct qemu_plugin_insn *insn, const struct dv_insn *decoded)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn), at = vaddr % DV_ARCH_LINKAGE_BYTES;
	uint8_t code[DV_ARCH_LINKAGE_BYTES];

	return decoded->class == DV_INSN_JUMP_MEMORY && decoded->is_fixed && tracer.setup.arch->is_linkage &&
	       dv_guest_read(&dv_tracer_memory, vaddr - at, code, sizeof(code)) && tracer.setup.arch->is_linkage(code, at);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const struct dv_arch *arch = tracer.setup.arch;
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, qemu_plugin_tb_n_insns(tb) - 1);
	uint8_t bytes[MAX_INSN_BYTES];
	struct dv_insn decoded;
	size_t len = qemu_plugin_insn_data(last, bytes, sizeof(bytes));

	if (tracer.setup.clock.counts_inline)
		count_inline(tb);
	if (__builtin_expect(tracer.setup.is_continued && !tracer.took_over && !tracer.slide_hopeless, 0))
		take_over();
	arch->classify(bytes, len, qemu_plugin_insn_vaddr(last), &decoded);
	if (vaddr >= arch->kernel_min && tracer.setup.kernel) {
		if (!tracer.slide_known && !tracer.slide_hopeless)
			look_for_slide(tb, vaddr);
		if (tracer.slide_known) {
			instrument_entry(tb, last, vaddr);
			if (tracer.switch_to_vaddr && decoded.target == tracer.switch_to_vaddr)
				qemu_plugin_register_vcpu_insn_exec_cb(last, on_switch, QEMU_PLUGIN_CB_R_REGS, NULL);
			instrument_kernel_jump(last, &decoded);
		}
	}
	if (!dv_is_kernel_vaddr(vaddr) && is_linkage(last, &decoded))
		dv_user_jumps_instrument_linkage(last);
	else if (!dv_is_kernel_vaddr(vaddr) && tracer.started)
		dv_user_jumps_instrument(last, &decoded);
	instrument_call(last, &decoded, len);
	instrument_out(tb, &decoded);
}

void dv_tracer_start(qemu_plugin_id_t id, const struct dv_tracer_setup *setup)
{
	tracer.setup = *setup;
	tracer.ring = setup->ring;
	tracer.now = setup->clock.now;
	tracer.several_cpus = setup->several_cpus;
	pthread_mutex_init(&tracer.lock, NULL);
	tracer.bytes = g_byte_array_new();
	dv_console_start(setup->arch, setup->kernel);
	dv_follow_start(setup->arch, setup->linux_);
	dv_user_jumps_start(id, setup->several_cpus);
	if (setup->is_continued)
		dv_follow_continue();
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
}
