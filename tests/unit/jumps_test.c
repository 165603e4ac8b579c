/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jumps of user code without QEMU: which are sent, which are asked for, and when an answer stands. */
#include "plugin/tracer_private.h"
#include "plugin/user_jumps.h"
#include "test.h"

#define MAX_EVENTS 16
#define STACK	   0x7ffe00001008ull

/* What QEMU and the tracer would have. */
static struct {
	uint64_t insn_vaddr, counter, target;
	qemu_plugin_vcpu_udata_cb_t on_jump;
	void *userdata;
	qemu_plugin_simple_cb_t on_flush;
	struct dv_event events[MAX_EVENTS];
	size_t len;
} fake;

uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
	return fake.insn_vaddr;
}

void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t cb,
					    enum qemu_plugin_cb_flags flags, void *userdata)
{
	CHECK_EQ(flags, QEMU_PLUGIN_CB_R_REGS);
	fake.on_jump = cb;
	fake.userdata = userdata;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_mem_cb_t cb,
				      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw, void *userdata)
{
}

void qemu_plugin_register_flush_cb(qemu_plugin_id_t id, qemu_plugin_simple_cb_t cb)
{
	fake.on_flush = cb;
}

void dv_tracer_put_now(enum dv_event_kind kind, unsigned cpu, uint64_t a, uint64_t b)
{
	CHECK(fake.len < MAX_EVENTS);
	fake.events[fake.len++] = (struct dv_event){dv_event_head(kind, cpu, 0), a, b};
}

bool dv_tracer_read_place(uint64_t *ret_stack, uint64_t *ret_counter)
{
	*ret_stack = STACK;
	*ret_counter = fake.counter;
	return true;
}

bool dv_tracer_read_target(unsigned reg, uint64_t *ret)
{
	*ret = fake.target;
	return true;
}

uint64_t dv_tracer_read_value(qemu_plugin_meminfo_t info)
{
	return fake.target;
}

/* ---- */

static void translate(enum dv_insn_class class, uint64_t vaddr, uint64_t target)
{
	fake.insn_vaddr = vaddr;
	dv_user_jumps_instrument(NULL, &(struct dv_insn){.class = class, .target = target});
}

/* How many events the jump sends; the last one's word when it asks, else 0. */
static size_t jump(uint64_t *ret_word)
{
	const struct dv_event *last;

	fake.len = 0;
	fake.on_jump(0, fake.userdata);
	last = fake.len ? &fake.events[fake.len - 1] : NULL;
	*ret_word = last && dv_event_kind(last) == DV_EVENT_SITE ? last->b : 0;
	return fake.len;
}

static size_t jump_to(uint64_t target, uint64_t *ret_word)
{
	fake.target = target;
	return jump(ret_word);
}

TEST(a_direct_jump_goes_to_where_it_runs_and_is_asked_for_once)
{
	uint64_t word, none;

	dv_user_jumps_start(0, false);
	translate(DV_INSN_JUMP, 0x7f0000001ffc, 0x7f0000000100);
	fake.counter = 0x7f55aabb1fe0; /* another process, at the block's start */
	CHECK_EQ(jump(&word), 2);
	CHECK_EQ(fake.events[0].a, STACK);
	CHECK_EQ(fake.events[0].b, 0x7f55aabb0100);
	CHECK_EQ(fake.events[1].a, 0x7f55aabb0100);
	CHECK_EQ(jump(&none), 1);
	dv_user_jumps_settle(word);
	CHECK_EQ(jump(&none), 0);
	dv_user_jumps_ask_again(word);
	CHECK_EQ(jump(&word), 2);
}

TEST(a_late_answer_does_not_settle_what_was_translated_since)
{
	uint64_t old, word;

	dv_user_jumps_start(0, false);
	translate(DV_INSN_JUMP, 0x401000, 0x402000);
	fake.counter = 0x401000;
	CHECK_EQ(jump(&old), 2);
	fake.on_flush(0);
	translate(DV_INSN_JUMP, 0x501000, 0x502000);
	fake.counter = 0x501000;
	CHECK_EQ(jump(&word), 2);
	CHECK(word != old);
	dv_user_jumps_settle(old);
	CHECK(jump(&word) > 0);
}

TEST(a_place_is_asked_for_once_in_an_address_space)
{
	uint64_t word, none;

	dv_user_jumps_start(0, false);
	dv_user_jumps_switched(0x1000);
	translate(DV_INSN_JUMP_REGISTER, 0x401000, 0);
	CHECK_EQ(jump_to(0x401040, &word), 2);
	CHECK_EQ(fake.events[0].a, STACK);
	CHECK_EQ(fake.events[0].b, 0x401040);
	CHECK_EQ(jump_to(0x401040, &none), 1);
	dv_user_jumps_settle(word);
	CHECK_EQ(jump_to(0x401040, &none), 0);
	/* A kernel thread, and back. */
	dv_user_jumps_switched(0);
	dv_user_jumps_switched(0x1000);
	CHECK_EQ(jump_to(0x401040, &none), 0);
	CHECK_EQ(jump_to(0x401050, &none), 2);
	dv_user_jumps_switched(0x2000);
	CHECK_EQ(jump_to(0x401040, &none), 2);
	CHECK_EQ(jump_to(0xffffffff81000000, &none), 0);
}

/* exec runs another space without a switch; then whoever shared the old one with it (vfork) goes on. */
TEST(a_place_is_asked_for_again_when_the_space_has_changed)
{
	uint64_t word, none;

	dv_user_jumps_start(0, false);
	dv_user_jumps_switched(0x1000);
	translate(DV_INSN_JUMP_REGISTER, 0x401000, 0);
	dv_user_jumps_mapped();
	CHECK_EQ(jump_to(0x401040, &word), 2);
	dv_user_jumps_settle(word);
	CHECK_EQ(jump_to(0x401040, &none), 0);
	dv_user_jumps_switched(0x1000);
	CHECK_EQ(jump_to(0x401040, &none), 2);
	/* The answer to the question before. */
	dv_user_jumps_settle(word);
	CHECK_EQ(jump_to(0x401040, &none), 1);
}

TEST(with_several_cpus_places_are_not_asked_for)
{
	uint64_t word;

	dv_user_jumps_start(0, true);
	translate(DV_INSN_JUMP_REGISTER, 0x401000, 0);
	CHECK_EQ(jump_to(0x401040, &word), 1);
	CHECK_EQ(jump_to(0x401040, &word), 1);
}
