/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls and returns of a few functions: see capture.h. A return is known by the stack slot that it pops, as
 * in the call graph: a thunk or a tail call on the way makes no difference.
 */
#include "plugin/capture.h"

#include <string.h>
#include "plugin/pending.h"
#include "plugin/running.h"

#define MAX_INSN_BYTES 16
#define PAGE_BYTES 4096u
/* Calls that have not returned: a ring, so that those that never do are forgotten. */
#define MAX_OPEN DV_CAPTURE_MAX_OPEN

/* gdb's names, in the order of the ABI; the stack pointer, the return value's, the program counter. */
static const char *const register_names[] = {"rdi", "rsi", "rdx", "rcx", "r8", "r9", "rsp", "rax", "rip"};
enum { SECOND_RETURN = 2, STACK = 6, RETURN_VALUE = 7, COUNTER = 8 };

static struct captor {
	struct dv_capture capture;
	const struct dv_arch *arch;
	struct qemu_plugin_register *registers[DV_ARRAY_SIZE(register_names)];
	GByteArray *bytes;
	uint64_t open[MAX_OPEN]; /* slots; 0: none */
	size_t open_count, next;
} captor;

static void on_vcpu_init(qemu_plugin_id_t id, unsigned cpu)
{
	GArray *all = qemu_plugin_get_registers();

	for (guint i = 0; i < all->len; i++) {
		qemu_plugin_reg_descriptor *r = &g_array_index(all, qemu_plugin_reg_descriptor, i);

		for (size_t j = 0; j < DV_ARRAY_SIZE(register_names); j++) {
			if (!strcmp(r->name, register_names[j]))
				captor.registers[j] = r->handle;
		}
	}
	g_array_free(all, TRUE);
}

static uint64_t read_register(size_t index)
{
	uint64_t value = 0;

	g_byte_array_set_size(captor.bytes, 0);
	if (captor.registers[index] && qemu_plugin_read_register(captor.registers[index], captor.bytes) >= 8)
		memcpy(&value, captor.bytes->data, 8);
	return value;
}

static bool read_memory(uint64_t vaddr, void *to, size_t len)
{
	g_byte_array_set_size(captor.bytes, 0);
	if (!qemu_plugin_read_memory_vaddr(vaddr, captor.bytes, len) || captor.bytes->len < len)
		return false;
	memcpy(to, captor.bytes->data, len);
	return true;
}

/* As much of the string as lies in mapped pages. False when there is none of it. */
static bool read_string(uint64_t vaddr, char to[DV_CAPTURE_STRING_BYTES])
{
	size_t len = DV_CAPTURE_STRING_BYTES - 1, here = PAGE_BYTES - vaddr % PAGE_BYTES;

	memset(to, 0, DV_CAPTURE_STRING_BYTES);
	if (here >= len)
		return read_memory(vaddr, to, len);
	if (!read_memory(vaddr, to, here))
		return false;
	if (strnlen(to, here) == here)
		read_memory(vaddr + here, to + here, len - here);
	return true;
}

static void open_slot(uint64_t slot)
{
	for (size_t i = 0; i < MAX_OPEN && captor.open_count; i++) {
		if (captor.open[i] == slot)
			return; /* its call never returned */
	}
	captor.open_count += !captor.open[captor.next];
	captor.open[captor.next] = slot;
	captor.next = (captor.next + 1) % MAX_OPEN;
}

/* Code of user space may lie elsewhere than where its block was translated: whoever asked tells by the time which
 * of these calls are meant. */
static bool is_wanted(size_t i, uint64_t vaddr)
{
	uint64_t want = captor.capture.functions[i].vaddr;

	if (dv_is_kernel_vaddr(want) || dv_is_kernel_vaddr(vaddr))
		return want == vaddr;
	return want % PAGE_BYTES == vaddr % PAGE_BYTES;
}

static void on_entry(unsigned cpu, void *packed)
{
	struct dv_capture_record record = {.kind = DV_CAPTURE_CALL};
	uint64_t vaddr = dv_pending_vaddr((uintptr_t)packed);
	uint32_t mask = 0;

	for (size_t i = 0; i < captor.capture.len; i++) {
		if (is_wanted(i, vaddr))
			mask |= captor.capture.functions[i].strings_mask;
	}
	record.call.function_vaddr = dv_is_kernel_vaddr(vaddr) ? vaddr : dv_running_vaddr(vaddr, read_register(COUNTER));
	record.call.slot = read_register(STACK);
	read_memory(record.call.slot + 8, record.call.stack, sizeof(record.call.stack));
	for (size_t i = 0; i < DV_CAPTURE_ARGUMENTS; i++) {
		record.call.arguments[i] = read_register(i);
		if (mask & 1u << i && read_string(record.call.arguments[i], record.call.strings[i]))
			record.call.strings_mask |= 1u << i;
	}
	open_slot(record.call.slot);
	dv_pending_add(&record, dv_pending_insns((uintptr_t)packed));
}

static void on_return(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	struct dv_capture_record record = {.kind = DV_CAPTURE_RETURN};

	if (!captor.open_count)
		return;
	for (size_t i = 0; i < MAX_OPEN; i++) {
		if (captor.open[i] != vaddr)
			continue;
		captor.open[i] = 0;
		captor.open_count--;
		record.returned.slot = vaddr;
		record.returned.value = read_register(RETURN_VALUE);
		record.returned.value_high = read_register(SECOND_RETURN);
		dv_pending_add(&record, 0);
		return;
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t len = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, len - 1);
	uint8_t bytes[MAX_INSN_BYTES];
	struct dv_insn decoded;

	dv_pending_instrument(tb);
	for (size_t i = 0; i < captor.capture.len; i++) {
		if (!is_wanted(i, qemu_plugin_tb_vaddr(tb)))
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_entry, QEMU_PLUGIN_CB_R_REGS,
						       dv_pending_pack(qemu_plugin_tb_vaddr(tb), len - 1));
		break;
	}
	captor.arch->classify(bytes, qemu_plugin_insn_data(last, bytes, sizeof(bytes)), qemu_plugin_insn_vaddr(last),
			      &decoded);
	if (decoded.class == DV_INSN_RETURN)
		qemu_plugin_register_vcpu_mem_cb(last, on_return, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_MEM_R, NULL);
}

void dv_capture_start(qemu_plugin_id_t id, const struct dv_capture *capture, const struct dv_arch *arch,
		      const struct dv_clock *clock, FILE *out)
{
	captor.capture = *capture;
	captor.arch = arch;
	captor.bytes = g_byte_array_new();
	memcpy(captor.open, capture->open, capture->open_len * sizeof(captor.open[0]));
	captor.open_count = capture->open_len;
	captor.next = capture->open_len % MAX_OPEN;
	dv_pending_start(clock, out);
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
}
