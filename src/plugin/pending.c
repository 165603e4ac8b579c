/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/pending.h"

#define MAX_WAITING 256

static struct pending {
	int64_t (*now)(void);
	FILE *out;
	struct {
		struct dv_capture_record record;
		size_t left;
	} waiting[MAX_WAITING];
	size_t len;
	size_t missed; /* instructions that the block did not come to; 0 while it was not left */
	/* Set by translated code: whether anything waits; pack(next instruction, instructions left). */
	qemu_plugin_u64 any, reached;
} pending;

static void write_out(const struct dv_capture_record *record, uint64_t icount)
{
	struct dv_capture_record r = *record;

	r.write.icount = icount; /* every kind's first word */
	fwrite(&r, dv_capture_record_bytes(r.kind), 1, pending.out);
}

/* end: the count behind the last instruction of the block, had it been run whole. */
static void settle(uint64_t end)
{
	for (size_t i = 0; i < pending.len; i++)
		write_out(&pending.waiting[i].record, end - 1 - pending.waiting[i].left);
	pending.len = 0;
	pending.missed = 0;
	qemu_plugin_u64_set(pending.any, 0, 0);
}

void dv_pending_add(const struct dv_capture_record *record, size_t left)
{
	if (!left) {
		write_out(record, (uint64_t)pending.now() - 1);
		return;
	}
	if (pending.len == MAX_WAITING)
		return;
	pending.waiting[pending.len].record = *record;
	pending.waiting[pending.len++].left = left;
	qemu_plugin_u64_set(pending.any, 0, 1);
}

/* Another block begins while records wait: theirs was left at the instruction that was reached. */
static void on_left(unsigned cpu, void *vaddr)
{
	uint64_t reached = qemu_plugin_u64_get(pending.reached, 0);

	pending.missed = dv_pending_insns(reached) + 1;
	/* QEMU runs an instruction that does I/O again, alone, and goes on behind it. */
	if (dv_pending_vaddr(reached) == (uintptr_t)vaddr)
		pending.missed--;
}

static void on_last(unsigned cpu, void *insns)
{
	/* missed: this is a later block, whose start has the count that the other one was left with. */
	settle((uint64_t)pending.now() - (pending.missed ? (uintptr_t)insns : 0) + pending.missed);
}

void dv_pending_instrument(struct qemu_plugin_tb *tb)
{
	size_t len = qemu_plugin_tb_n_insns(tb);

	qemu_plugin_register_vcpu_insn_exec_cond_cb(qemu_plugin_tb_get_insn(tb, 0), on_left, QEMU_PLUGIN_CB_NO_REGS,
						    QEMU_PLUGIN_COND_NE, pending.any, 0,
						    (void *)(uintptr_t)qemu_plugin_tb_vaddr(tb));
	for (size_t i = 0; i < len; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t next = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);

		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_STORE_U64, pending.reached,
			(uintptr_t)dv_pending_pack(next, len - 1 - i));
	}
	qemu_plugin_register_vcpu_insn_exec_cond_cb(qemu_plugin_tb_get_insn(tb, len - 1), on_last,
						    QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE, pending.any, 0,
						    (void *)(uintptr_t)len);
}

void dv_pending_start(const struct dv_clock *clock, FILE *out)
{
	const uint64_t magic = DV_CAPTURE_MAGIC;
	struct qemu_plugin_scoreboard *score = qemu_plugin_scoreboard_new(2 * sizeof(uint64_t));

	pending.now = clock->now;
	pending.out = out;
	pending.any = (qemu_plugin_u64){score, 0};
	pending.reached = (qemu_plugin_u64){score, sizeof(uint64_t)};
	fwrite(&magic, sizeof(magic), 1, out);
}
