/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps of user code: see user_jumps.h. A site is a jump in a block that QEMU has translated, as long as it
 * keeps the block: the same bytes of the same file, whatever process runs them. When QEMU throws all blocks
 * away, the sites are counted anew in another round, so that a late answer settles nothing.
 *
 * Where an indirect jump goes is known without a look at where it runs. What is there stays the same until the
 * address space changes, or is another one: an interpreter's jumps mostly go to places that were asked for.
 */
#include "plugin/user_jumps.h"

#include "plugin/running.h"
#include "plugin/tracer_private.h"

#define PAGE_BYTES 4096u
#define SITE_BITS  20
/* Those beyond, until QEMU throws its blocks away, are sent each time. */
#define MAX_SITES  (1u << SITE_BITS)

/* Of a site, under its round: nothing is known yet (an older round's word), it was asked for, it is settled. */
enum { ASKED = 1, SETTLED = 2, STATES };

#define TARGET_BITS 10
/* In a DV_EVENT_SITE's word: a place, with the number of the question, and not a site. */
#define IS_PLACE    (1ull << 63)
#define ASK_AGAIN   UINT64_MAX

/* Where an indirect jump has gone to. */
struct place {
	uint64_t target, epoch, question; /* the vCPU's */
	uint64_t settled;		  /* the question that was answered: no function starts there */
};

static struct user_jumps {
	bool several_cpus;
	uint64_t epoch;	   /* another one whenever a target may be something else */
	uint64_t mm_vaddr; /* of the space that runs; 0: perhaps another than the last switch was to */
	uint64_t questions;
	struct place places[1u << TARGET_BITS];
	uint32_t sites; /* so far; 0 is none */
	uint32_t round; /* times STATES */
	uint32_t states[MAX_SITES];
} jumps; /* in .bss: most of it is never touched */

/* Userdata: the site, its place in its page, and how far it goes. */
static void *pack(uint32_t site, uint64_t vaddr, uint64_t target)
{
	return (void *)(uintptr_t)((uint64_t)site << 44 | vaddr % PAGE_BYTES << 32 | (uint32_t)(target - vaddr));
}

static uint64_t target_of(uint64_t packed, uint64_t counter)
{
	return dv_running_vaddr(packed >> 32 & (PAGE_BYTES - 1), counter) + (uint64_t)(int64_t)(int32_t)packed;
}

static void on_direct(unsigned cpu, void *packed)
{
	uint32_t site = (uint32_t)((uintptr_t)packed >> 44), state, round = jumps.round;
	uint64_t stack, counter, target;

	state = site ? __atomic_load_n(&jumps.states[site], __ATOMIC_RELAXED) : round + ASKED;
	if (__builtin_expect(state == round + SETTLED, 1))
		return;
	if (!dv_tracer_read_place(&stack, &counter))
		return;
	target = target_of((uintptr_t)packed, counter);
	dv_tracer_put_now(DV_EVENT_JUMP, cpu, stack, target);
	if (state == round + ASKED)
		return;
	__atomic_store_n(&jumps.states[site], round + ASKED, __ATOMIC_RELAXED);
	dv_tracer_put_now(DV_EVENT_SITE, cpu, target, (uint64_t)round << 32 | site);
}

static uint64_t answered_place(uint64_t site, uint64_t **ret)
{
	*ret = &jumps.places[site & ((1u << TARGET_BITS) - 1)].settled;
	return (site & ~IS_PLACE) >> TARGET_BITS;
}

void dv_user_jumps_settle(uint64_t site)
{
	uint64_t *settled, question = answered_place(site, &settled);

	if (site & IS_PLACE) {
		__atomic_store_n(settled, question, __ATOMIC_RELAXED);
		return;
	}
	__atomic_store_n(&jumps.states[site % MAX_SITES], (uint32_t)(site >> 32) + SETTLED, __ATOMIC_RELAXED);
}

void dv_user_jumps_ask_again(uint64_t site)
{
	uint64_t *settled;

	if (site & IS_PLACE) {
		answered_place(site, &settled);
		__atomic_store_n(settled, ASK_AGAIN, __ATOMIC_RELAXED);
		return;
	}
	__atomic_store_n(&jumps.states[site % MAX_SITES], 0, __ATOMIC_RELAXED);
}

void dv_user_jumps_switched(uint64_t mm_vaddr)
{
	jumps.epoch += mm_vaddr && mm_vaddr != jumps.mm_vaddr;
	if (mm_vaddr)
		jumps.mm_vaddr = mm_vaddr;
}

/* With exec another space runs, without a switch: the next one may be to who had the old one before. */
void dv_user_jumps_mapped(void)
{
	jumps.epoch++;
	jumps.mm_vaddr = 0;
}

/* Rather seldom. */
static __attribute__((noinline)) void send(unsigned cpu, struct place *place, uint64_t target, uint64_t settled)
{
	bool is_known = place->target == target && place->epoch == jumps.epoch && settled != ASK_AGAIN;
	uint64_t stack, counter;

	if (!dv_tracer_read_place(&stack, &counter))
		return;
	dv_tracer_put_now(DV_EVENT_JUMP, cpu, stack, target);
	if (is_known || jumps.several_cpus)
		return;
	*place = (struct place){.target = target, .epoch = jumps.epoch, .question = ++jumps.questions};
	dv_tracer_put_now(DV_EVENT_SITE, cpu, target,
			  IS_PLACE | place->question << TARGET_BITS | (uint64_t)(place - jumps.places));
}

static inline void on_indirect(unsigned cpu, uint64_t target)
{
	struct place *place = &jumps.places[target * 0x9e3779b97f4a7c15ull >> (64 - TARGET_BITS)];
	uint64_t settled = __atomic_load_n(&place->settled, __ATOMIC_RELAXED);

	if (__builtin_expect(place->target == target && place->epoch == jumps.epoch && place->question == settled, 1))
		return;
	if (!dv_is_kernel_vaddr(target))
		send(cpu, place, target, settled);
}

static void on_register(unsigned cpu, void *reg)
{
	uint64_t target;

	if (dv_tracer_read_target((unsigned)(uintptr_t)reg, &target))
		on_indirect(cpu, target);
}

static void on_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	on_indirect(cpu, dv_tracer_read_value(info));
}

/* A slot of the GOT: from a linkage table to where its function is, with the return address on top. */
static void on_linkage(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	uint64_t target = dv_tracer_read_value(info);

	if (!dv_is_kernel_vaddr(target))
		dv_tracer_put_now(DV_EVENT_JUMP, cpu, 0, target);
}

void dv_user_jumps_instrument_linkage(struct qemu_plugin_insn *insn)
{
	qemu_plugin_register_vcpu_mem_cb(insn, on_linkage, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
}

void dv_user_jumps_instrument(struct qemu_plugin_insn *insn, const struct dv_insn *decoded)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
	uint32_t site = 0;

	switch (decoded->class) {
	case DV_INSN_JUMP:
		if (jumps.sites < MAX_SITES)
			site = __atomic_fetch_add(&jumps.sites, 1, __ATOMIC_RELAXED);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_direct, QEMU_PLUGIN_CB_R_REGS,
						       pack(site, vaddr, decoded->target));
		break;
	case DV_INSN_JUMP_REGISTER:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_register, QEMU_PLUGIN_CB_R_REGS,
						       (void *)(uintptr_t)decoded->reg);
		break;
	case DV_INSN_JUMP_MEMORY:
		qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_MEM_R, NULL);
		break;
	default:
		break;
	}
}

static void on_flush(qemu_plugin_id_t id)
{
	jumps.sites = 1;
	jumps.round += STATES;
}

void dv_user_jumps_start(qemu_plugin_id_t id, bool several_cpus)
{
	jumps.several_cpus = several_cpus;
	jumps.sites = 1;
	jumps.round = STATES;
	jumps.epoch = 1;
	qemu_plugin_register_flush_cb(id, on_flush);
}
