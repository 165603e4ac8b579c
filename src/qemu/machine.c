/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine, accelerator, CPU, clock: what of them does not replay is turned into what does. */
#include "qemu/rewrite.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Properties of -machine that only a hypervisor's accelerator has. */
static const char *const kvm_properties[] = {"kernel-irqchip", "kernel_irqchip", "kvm-shadow-mem",
					     "igd-passthru"};

static const char *const smp_parts[] = {"drawers", "books",   "sockets", "dies",
					"clusters", "modules", "cores", "threads"};

static struct dv_error *scan_accel_name(struct dv_rewriter *rw, const char *option, const char *name)
{
	static const char *const hypervisors[] = {"kvm", "hvf", "nvmm", "whpx", "mshv"};

	if (!strcmp(name, "tcg"))
		return NULL;
	for (size_t i = 0; i < DV_ARRAY_SIZE(hypervisors); i++)
		if (!strcmp(name, hypervisors[i])) {
			rw->kvm = true;
			return NULL;
		}
	return dv_refuse(option, name, "only TCG can record; use -accel tcg, or leave it out");
}

static struct dv_error *scan_accel_names(struct dv_rewriter *rw, const char *option, const char *names)
{
	while (*names) {
		size_t len = strcspn(names, ":");
		_cleanup_free_ char *name = strndup(names, len);

		if (!name)
			return dv_error_no_memory();
		DV_TRY(scan_accel_name(rw, option, name));
		names += len + (names[len] == ':');
	}
	return NULL;
}

static struct dv_error *scan_accel(struct dv_rewriter *rw, const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *name;

	DV_TRY(dv_optlist_parse(arg, "accel", &list));
	name = dv_optlist_get(&list, "accel");
	rw->any_accel = true;
	if (!name)
		return dv_error_new(DV_ERROR_INVALID, "-accel %s names no accelerator", arg);
	DV_TRY(scan_accel_names(rw, "-accel", name));
	if (strcmp(name, "tcg"))
		return NULL;
	return dv_optlist_merge(&rw->accel, &list);
}

static struct dv_error *scan_machine(struct dv_rewriter *rw, const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *type, *accel;

	DV_TRY(dv_optlist_parse(arg, "type", &list));
	rw->any_machine = true;
	type = dv_optlist_get(&list, "type");
	accel = dv_optlist_get(&list, "accel");
	if (type && (!strcmp(type, "none") || !strncmp(type, "xen", 3)))
		return dv_refuse("-machine", type, "there is nothing in it to record; choose pc, q35 or virt");
	if (type && !strcmp(type, "help"))
		return dv_refuse("-machine", type, "it only prints and ends: there is nothing to record");
	if (accel) {
		rw->any_accel = true;
		DV_TRY(scan_accel_names(rw, "-machine accel=", accel));
		dv_optlist_remove(&list, "accel");
	}
	return dv_optlist_merge(&rw->machine, &list);
}

/* The number behind a key; missing: 0. Errors: DV_ERROR_INVALID. */
static struct dv_error *number(const struct dv_optlist *list, const char *key, unsigned long *ret)
{
	const char *text = dv_optlist_get(list, key);
	char *end;

	*ret = 0;
	if (!text)
		return NULL;
	*ret = strtoul(text, &end, 10);
	if (!*text || *end || *ret > 65536)
		return dv_error_new(DV_ERROR_INVALID, "-smp %s=%s: not a number of CPUs", key, text);
	return NULL;
}

static struct dv_error *scan_smp(const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	unsigned long cpus, max, product = 1, part;

	DV_TRY(dv_optlist_parse(arg, "cpus", &list));
	DV_TRY(number(&list, "cpus", &cpus));
	DV_TRY(number(&list, "maxcpus", &max));
	for (size_t i = 0; i < DV_ARRAY_SIZE(smp_parts); i++) {
		DV_TRY(number(&list, smp_parts[i], &part));
		product *= part ? part : 1;
	}
	if (!cpus)
		cpus = max ? max : product;
	if (cpus > 1)
		return dv_refuse("-smp", arg,
				 "QEMU records one CPU only; use -smp 1 (without recording, the plugin "
				 "alone traces several)");
	return NULL;
}

/* "512", "512M", "4G", "1.5G"; megabytes when no unit is there. 0 when it is not plain. */
static uint64_t memory_bytes(const char *text)
{
	static const char units[] = "bkmgt";
	const char *unit = "m";
	char *end;
	double size;

	errno = 0;
	size = strtod(text, &end);
	if (end == text || errno || size <= 0 || size > 1e15)
		return 0;
	if (*end) {
		char c[] = {*end | 0x20, 0};

		unit = c[0] ? strstr(units, c) : NULL;
		if (!unit || end[1])
			return 0;
		for (; unit > units; unit--)
			size *= 1024;
		return size < 1e18 ? (uint64_t)size : 0;
	}
	return (uint64_t)(size * 1048576);
}

static struct dv_error *scan_memory(struct dv_rewriter *rw, const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *size;

	DV_TRY(dv_optlist_parse(arg, "size", &list));
	size = dv_optlist_get(&list, "size");
	if (size)
		rw->plan->memory_bytes = memory_bytes(size);
	return NULL;
}

static struct dv_error *scan_rtc(const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *base;

	DV_TRY(dv_optlist_parse(arg, NULL, &list));
	base = dv_optlist_get(&list, "base");
	if (base && !strcmp(base, "localtime"))
		return dv_refuse("-rtc", "base=localtime",
				 "QEMU cannot replay it; use base=utc and set the guest's time zone");
	return NULL;
}

/* shift= and sleep= are the user's to choose; the rest is ours. */
static struct dv_error *scan_icount(struct dv_rewriter *rw, const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *shift, *sleep;

	DV_TRY(dv_optlist_parse(arg, "shift", &list));
	if (dv_optlist_has_prefix(&list, "rr"))
		return dv_refuse("-icount", arg,
				 "the recorder sets rr=, rrfile= and rrsnapshot= itself; leave them out");
	if (dv_optlist_get_bool(&list, "align", false))
		return dv_refuse("-icount", "align=on", "it needs the host's clock; leave it out");
	shift = dv_optlist_get(&list, "shift");
	sleep = dv_optlist_get(&list, "sleep");
	rw->user_sleep = sleep;
	free(rw->plan->icount);
	if (asprintf(&rw->plan->icount, "shift=%s%s%s", shift ? shift : "auto", sleep ? ",sleep=" : "",
		     sleep ? sleep : "") < 0) {
		rw->plan->icount = NULL;
		return dv_error_no_memory();
	}
	if (strchr(rw->plan->icount, '%') || strchr(rw->plan->icount, ' '))
		return dv_error_new(DV_ERROR_INVALID, "-icount %s: not a shift that QEMU takes", arg);
	return NULL;
}

static struct dv_error *scan_plugin(const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *file;

	DV_TRY(dv_optlist_parse(arg, "file", &list));
	file = dv_optlist_get(&list, "file");
	if (file && strstr(file, "dejaview-plugin"))
		return dv_refuse("-plugin", file,
				 "the recorder loads it itself; leave it out and give its options to the recorder");
	return NULL;
}

struct dv_error *dv_machine_scan(struct dv_rewriter *rw, const struct dv_option *option)
{
	switch (option->def->action) {
	case DV_OPTION_MACHINE:
		return scan_machine(rw, option->arg);
	case DV_OPTION_ACCEL:
		return scan_accel(rw, option->arg);
	case DV_OPTION_ENABLE_KVM:
		rw->kvm = rw->any_accel = true;
		return NULL;
	case DV_OPTION_SMP:
		return scan_smp(option->arg);
	case DV_OPTION_MEMORY:
		return scan_memory(rw, option->arg);
	case DV_OPTION_RTC:
		return scan_rtc(option->arg);
	case DV_OPTION_ICOUNT:
		return scan_icount(rw, option->arg);
	case DV_OPTION_PLUGIN:
		return scan_plugin(option->arg);
	case DV_OPTION_NODEFAULTS:
		rw->nodefaults = true;
		return NULL;
	default:
		return NULL;
	}
}

/* `-cpu host,+avx2,migratable=off` becomes `-cpu max,+avx2`: those flags are the host CPU's alone. */
static struct dv_error *emit_cpu(struct dv_rewriter *rw, const char *arg)
{
	size_t len = strcspn(arg, ",");
	_cleanup_free_ char *flags = NULL;

	if (len != 4 || strncmp(arg, "host", 4))
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-cpu", arg);
	DV_TRY(dv_plan_note(rw->plan, "-cpu host is -cpu max: TCG is recorded, not the host's CPU"));
	if (asprintf(&flags, "max%s", arg + len) < 0) {
		flags = NULL;
		return dv_error_no_memory();
	}
	for (char *at; (at = strstr(flags, ",migratable=")) != NULL;) {
		size_t cut = 1 + strcspn(at + 1, ",");

		memmove(at, at + cut, strlen(at + cut) + 1);
	}
	return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-cpu", flags);
}

static bool is_global(const char *arg, const char *driver, const char *property)
{
	_cleanup_free_ char *dotted = NULL;
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *list_driver, *list_property;
	size_t len;

	if (asprintf(&dotted, "%s.%s=", driver, property) < 0) {
		dotted = NULL;
		return false;
	}
	len = strlen(dotted);
	if (!strncmp(arg, dotted, len))
		return true;
	dv_error_destroy(dv_optlist_parse(arg, NULL, &list));
	list_driver = dv_optlist_get(&list, "driver");
	list_property = dv_optlist_get(&list, "property");
	return list_driver && list_property && !strcmp(list_driver, driver) &&
	       !strcmp(list_property, property);
}

/* Those that are set by us are left out here; dv_machine_finish and dv_net_finish give them. */
static struct dv_error *emit_global(struct dv_rewriter *rw, const char *arg)
{
	if (rw->arch->x86 && is_global(arg, "apic-common", "vapic"))
		return NULL;
	if (strncmp(arg, "virtio-net", 10) == 0 && strstr(arg, "guest_announce"))
		return NULL;
	return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-global", arg);
}

struct dv_error *dv_machine_emit(struct dv_rewriter *rw, const struct dv_option *option)
{
	switch (option->def->action) {
	case DV_OPTION_CPU:
		return emit_cpu(rw, option->arg);
	case DV_OPTION_GLOBAL:
		return emit_global(rw, option->arg);
	case DV_OPTION_SMP:
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-smp", option->arg);
	case DV_OPTION_MEMORY:
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-m", option->arg);
	case DV_OPTION_RTC:
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-rtc", option->arg);
	case DV_OPTION_PLUGIN:
		DV_TRY(dv_plan_note(rw->plan, "-plugin %s is loaded while recording only", option->arg));
		return dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, "-plugin", option->arg);
	case DV_OPTION_NODEFAULTS:
		return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-nodefaults", NULL);
	default: /* machine, accel, enable-kvm, icount: written by dv_machine_begin and dv_qemu_plan_argv */
		return NULL;
	}
}

/* PCs have a HPET; microvm is an x86 machine without. */
static bool has_hpet(const struct dv_rewriter *rw)
{
	const char *type = dv_optlist_get(&rw->machine, "type");

	return rw->arch->x86 && !(type && (!strncmp(type, "microvm", 7) || !strncmp(type, "isapc", 5)));
}

static struct dv_error *drop_kvm_properties(struct dv_rewriter *rw)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(kvm_properties); i++)
		if (dv_optlist_remove(&rw->machine, kvm_properties[i]))
			DV_TRY(dv_plan_note(rw->plan, "-machine %s= left out: it is KVM's", kvm_properties[i]));
	if (!rw->arch->x86 && dv_optlist_get(&rw->machine, "gic-version") &&
	    !strcmp(dv_optlist_get(&rw->machine, "gic-version"), "host")) {
		dv_optlist_remove(&rw->machine, "gic-version");
		return dv_plan_note(rw->plan, "-machine gic-version=host left out: it is KVM's");
	}
	return NULL;
}

static struct dv_error *emit_accel(struct dv_rewriter *rw)
{
	const char *thread = dv_optlist_get(&rw->accel, "thread");

	if (!rw->any_accel)
		return NULL;
	if (rw->kvm)
		DV_TRY(dv_plan_note(rw->plan, "KVM is TCG: QEMU records its own CPU emulation only"));
	if (thread && !strcmp(thread, "multi")) {
		dv_optlist_remove(&rw->accel, "thread");
		DV_TRY(dv_plan_note(rw->plan, "-accel tcg,thread=multi is thread=single: a recording has one CPU"));
	}
	if (!rw->accel.len)
		return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-accel", "tcg");
	return dv_emit_list(rw, DV_WHEN_ALWAYS, "-accel", &rw->accel);
}

struct dv_error *dv_machine_begin(struct dv_rewriter *rw)
{
	DV_TRY(drop_kvm_properties(rw));
	if (has_hpet(rw) && dv_optlist_get_bool(&rw->machine, "hpet", true)) {
		DV_TRY(dv_optlist_set(&rw->machine, "hpet", "off"));
		DV_TRY(dv_plan_note(rw->plan, "HPET off: a replay from a snapshot would hang with it"));
	}
	if (rw->machine.len)
		DV_TRY(dv_emit_list(rw, DV_WHEN_ALWAYS, "-machine", &rw->machine));
	return emit_accel(rw);
}

struct dv_error *dv_machine_finish(struct dv_rewriter *rw)
{
	struct dv_qemu_plan *plan = rw->plan;
	const char *type = dv_optlist_get(&rw->machine, "type");
	/* The i440FX PC's firmware waits for its floppy controller, which starves as a disk does. */
	bool idle = !plan->images_len && !plan->has_network &&
		    !(rw->arch->x86 && (!type || !strncmp(type, "pc", 2) || !strncmp(type, "isapc", 5)));

	if (rw->arch->x86) {
		DV_TRY(dv_plan_add(plan, DV_WHEN_ALWAYS, "-global", "apic-common.vapic=off"));
		DV_TRY(dv_plan_note(plan, "vAPIC off: going back to a snapshot would hang with it"));
	}
	if (!plan->icount) {
		plan->can_skip_idle = idle;
		plan->icount = strdup(idle && !rw->console_input ? "shift=auto,sleep=off" : "shift=auto");
		return plan->icount ? NULL : dv_error_no_memory();
	}
	if (!idle && strstr(plan->icount, "sleep=off"))
		return dv_plan_note(plan, "sleep=off, as you chose: with a disk or a network the guest may "
					  "starve");
	return NULL;
}
