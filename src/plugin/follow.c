/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Callbacks that follow address spaces and modules: see follow.h. */
#include "plugin/follow.h"

#include "plugin/places.h"
#include "plugin/tracer_private.h"
#include "plugin/user_jumps.h"

/* What an entry told, until its block's last instruction, where the time may be read. */
struct pending {
	void *event;
	enum dv_event_kind kind;
};

static struct follow {
	struct dv_places places;
	const struct dv_arch *arch;
	uint64_t task_vaddr[DV_EVENT_MAX_CPUS]; /* that runs */
	struct pending pending[DV_EVENT_MAX_CPUS];
} follow;

void dv_follow_start(const struct dv_arch *arch, const struct dv_linux *linux_)
{
	follow.arch = arch;
	dv_places_init(&follow.places, linux_, &dv_tracer_memory);
}

void dv_follow_continue(void)
{
	follow.places.is_continued = true;
}

bool dv_follow_find_modules(void)
{
	return dv_places_find_modules(&follow.places);
}

void dv_follow_found_slide(uint64_t slide)
{
	dv_places_found_slide(&follow.places, slide);
}

static void destroy(struct pending *p)
{
	if (p->kind == DV_EVENT_MODULE)
		dv_event_module_destroy(p->event);
	else if (p->kind == DV_EVENT_COMMAND)
		free(p->event);
	else
		dv_event_mapping_destroy(p->event);
	p->event = NULL;
}

/* Where tracing starts in the middle, who runs is not known before the first switch: the kernel says. */
static uint64_t running_task(unsigned cpu)
{
	uint64_t *task = &follow.task_vaddr[cpu & 0xff], base;

	for (size_t i = 0; !*task && follow.places.is_continued && i < DV_ARRAY_SIZE(follow.arch->percpu_registers); i++) {
		const char *name = follow.arch->percpu_registers[i];

		if (name && dv_tracer_read_register(dv_tracer_find_register(name), &base) && dv_is_kernel_vaddr(base) &&
		    !dv_linux_read_current(follow.places.linux_, &dv_tracer_memory, base, task))
			*task = 0;
	}
	return *task;
}

static void on_entry(unsigned cpu, void *hook)
{
	struct pending *p = &follow.pending[cpu & 0xff];
	uint64_t arguments[2];

	if (p->event)
		destroy(p);
	if (!dv_tracer_read_argument(0, &arguments[0]) || !dv_tracer_read_argument(1, &arguments[1]))
		return;
	p->event = dv_places_enter(&follow.places, (enum dv_place_hook)(uintptr_t)hook, running_task(cpu), arguments,
				   &p->kind);
}

static void on_entered(unsigned cpu, void *block)
{
	struct pending *p = &follow.pending[cpu & 0xff];

	if (!p->event)
		return;
	dv_user_jumps_mapped();
	dv_tracer_put(p->kind, cpu & 0xff, dv_tracer_block_icount(block), (uintptr_t)dv_steal(p->event), 0);
}

void dv_follow_instrument_entry(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr)
{
	enum dv_place_hook hook = dv_places_hook(&follow.places, vaddr);

	if (hook == DV_PLACE_NONE)
		return;
	qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), on_entry, QEMU_PLUGIN_CB_R_REGS,
					       (void *)(uintptr_t)hook);
	qemu_plugin_register_vcpu_insn_exec_cb(last, on_entered, QEMU_PLUGIN_CB_NO_REGS,
					       dv_tracer_pack_block(vaddr, qemu_plugin_tb_n_insns(tb)));
}

uint64_t dv_follow_switch(unsigned cpu, uint64_t icount, const struct dv_task *next)
{
	struct dv_event_mapping *event;
	uint64_t mm = dv_places_switch(&follow.places, next, &event);

	follow.task_vaddr[cpu & 0xff] = next->vaddr;
	dv_user_jumps_switched(mm);
	if (event)
		dv_tracer_put(DV_EVENT_MAPPING, cpu & 0xff, icount, (uintptr_t)event, 0);
	return mm;
}

const struct dv_symbol *dv_follow_module_function(uint64_t vaddr)
{
	const struct dv_symbol *function = NULL;

	dv_module_list_find(&follow.places.loaded, vaddr, &function);
	return function;
}
