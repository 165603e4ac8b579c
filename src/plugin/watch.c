/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores as they happen: see watch.h. */
#include "plugin/watch.h"

#include <string.h>
#include "guest/arch.h"
#include "plugin/pending.h"
#include "plugin/running.h"

#define PAGE_BYTES 4096u

static struct dv_watch watch;
static struct qemu_plugin_register *rip;
static GByteArray *rip_bytes;

/* The part of a store that lies in one page. */
struct part {
	uint64_t vaddr;
	uint32_t skip_bytes, bytes;
};

static void take_value(qemu_plugin_meminfo_t info, const struct part *part, uint64_t to[2])
{
	qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
	uint8_t taken[16] = {0};

	memcpy(taken, (const uint8_t *)&value.data + part->skip_bytes, part->bytes);
	memcpy(to, taken, sizeof(taken));
}

static void on_vcpu_init(qemu_plugin_id_t id, unsigned cpu)
{
	GArray *all = qemu_plugin_get_registers();

	for (guint i = 0; i < all->len; i++) {
		qemu_plugin_reg_descriptor *r = &g_array_index(all, qemu_plugin_reg_descriptor, i);

		if (!strcmp(r->name, "rip"))
			rip = r->handle;
	}
	g_array_free(all, TRUE);
}

/* Below, 16-bit code may run, whose rip counts from a segment's base. */
#define MIN_FLAT_VADDR 0x110000

/* The kernel's code lies at one address only. */
static uint64_t running_vaddr(uint64_t translated_vaddr)
{
	uint64_t value;

	g_byte_array_set_size(rip_bytes, 0);
	if (dv_is_kernel_vaddr(translated_vaddr) || translated_vaddr < MIN_FLAT_VADDR || !rip ||
	    qemu_plugin_read_register(rip, rip_bytes) < 8)
		return translated_vaddr;
	memcpy(&value, rip_bytes->data, sizeof(value));
	return dv_running_vaddr(translated_vaddr, value);
}

/* Most stores are told by their place in the page, which paging does not change. */
static bool may_touch(const struct part *part)
{
	uint32_t start = (uint32_t)part->vaddr % PAGE_BYTES;

	for (size_t i = 0; i < watch.len; i++) {
		uint32_t low = (uint32_t)watch.pieces[i].phys % PAGE_BYTES;

		if (start < low + watch.pieces[i].bytes && low < start + part->bytes)
			return true;
	}
	return false;
}

static void on_part(qemu_plugin_meminfo_t info, const struct part *part, uint64_t place)
{
	struct dv_capture_record record = {.kind = DV_CAPTURE_WRITE};
	struct qemu_plugin_hwaddr *hwaddr;

	if (!may_touch(part))
		return;
	hwaddr = qemu_plugin_get_hwaddr(info, part->vaddr);
	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return;
	record.write.phys = qemu_plugin_hwaddr_phys_addr(hwaddr);
	if (!dv_watch_find(&watch, record.write.phys, part->bytes))
		return;
	record.write.rip = running_vaddr(dv_pending_vaddr(place));
	record.write.vaddr = part->vaddr;
	record.write.size_bytes = part->bytes;
	take_value(info, part, record.write.value);
	dv_pending_add(&record, dv_pending_insns(place));
}

static void on_store(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *place)
{
	uint32_t bytes = 1u << qemu_plugin_mem_size_shift(info), here = PAGE_BYTES - (uint32_t)vaddr % PAGE_BYTES;
	struct part first = {vaddr, 0, bytes < here ? bytes : here};
	struct part second = {vaddr + here, here, bytes - first.bytes};

	on_part(info, &first, (uintptr_t)place);
	if (second.bytes)
		on_part(info, &second, (uintptr_t)place);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t len = qemu_plugin_tb_n_insns(tb);

	bool is_kernel = dv_is_kernel_vaddr(qemu_plugin_tb_vaddr(tb));
	enum qemu_plugin_cb_flags registers = is_kernel ? QEMU_PLUGIN_CB_NO_REGS : QEMU_PLUGIN_CB_R_REGS;

	dv_pending_instrument(tb);
	for (size_t i = 0; i < len; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_mem_cb(insn, on_store, registers, QEMU_PLUGIN_MEM_W,
						 dv_pending_pack(qemu_plugin_insn_vaddr(insn), len - 1 - i));
	}
}

void dv_watch_start(qemu_plugin_id_t id, const struct dv_watch *wanted, const struct dv_clock *clock, FILE *out)
{
	watch = *wanted;
	rip_bytes = g_byte_array_new();
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
	dv_pending_start(clock, out);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
}
