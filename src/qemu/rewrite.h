/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one rewriting, shared by the files that each know a part of QEMU's command line: machine.c
 * (machine, CPU, clock), drives.c, net.c, console.c. First every option is looked at (`*_scan`), because
 * QEMU's options act on each other whatever their order; then each is written (`*_emit`), in order; then
 * what was missing is added (`*_finish`).
 */
#ifndef DV_QEMU_REWRITE_H
#define DV_QEMU_REWRITE_H

#include "qemu/options.h"
#include "qemu/optlist.h"
#include "qemu/plan.h"
#include "qemu/plan_build.h"

struct dv_arch {
	const char *name;
	bool x86;
};

/* A block node, netdev or character device that the user has named. */
struct dv_named {
	char *id;
	struct dv_optlist list;
	unsigned used; /* DV_USED_* */
};

#define DV_USED_SERIAL 1u
#define DV_USED_DEVICE 2u
#define DV_USED_MACHINE 4u

struct dv_named_list {
	struct dv_named *items;
	size_t len;
};

struct dv_rewriter {
	struct dv_qemu_plan *plan;
	const struct dv_arch *arch;
	struct dv_options options;
	struct dv_optlist machine; /* all -machine merged */
	struct dv_optlist accel;
	bool any_machine, any_accel, kvm;
	bool nodefaults, nographic, display_none;
	bool user_sleep; /* the user has chosen sleep= */
	/* drives.c */
	struct dv_named_list nodes; /* -blockdev */
	size_t images_unnamed;
	/* net.c */
	struct dv_named_list netdevs;
	bool any_net, virtio_net;
	size_t net_nics, net_backends, nics_added;
	/* console.c */
	struct dv_named_list chardevs;
	size_t serials;
	bool any_monitor, serial_device;
	bool console_input; /* something can be typed to the guest */
};

struct dv_named *dv_named_find(const struct dv_named_list *list, const char *id);
/* Takes over list's contents; id is its value of key id_key. */
struct dv_error *dv_named_add(struct dv_named_list *named, const char *id_key, struct dv_optlist *list,
			      const char *option);

/* "-OPTION ARGUMENT: REASON", DV_ERROR_UNSUPPORTED. */
struct dv_error *dv_refuse(const char *option, const char *argument, const char *reason)
	__attribute__((returns_nonnull));
/* Adds `option` with the list as its value. */
struct dv_error *dv_emit_list(struct dv_rewriter *rw, unsigned when, const char *option,
			      const struct dv_optlist *list);
/* An absolute path in new memory. Errors: DV_ERROR_NOT_FOUND, naming the option. */
struct dv_error *dv_resolve(const struct dv_rewriter *rw, const char *option, const char *path, char **ret);

struct dv_error *dv_machine_scan(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_machine_emit(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_machine_begin(struct dv_rewriter *rw);
struct dv_error *dv_machine_finish(struct dv_rewriter *rw);

struct dv_error *dv_drives_scan(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_drives_emit(struct dv_rewriter *rw, const struct dv_option *option);
/* A -device that names a drive. */
struct dv_error *dv_drives_device(struct dv_rewriter *rw, const struct dv_optlist *device);
/* -machine pflash0=NODE: taken out of the machine's list and made a drive. */
struct dv_error *dv_drives_machine(struct dv_rewriter *rw);

/* A NIC that arms a timer when a snapshot is loaded, as e1000 does: its replay livelocks. */
bool dv_net_unreplayable(const char *model);
struct dv_error *dv_net_scan(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_net_emit(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_net_finish(struct dv_rewriter *rw);

struct dv_error *dv_console_scan(struct dv_rewriter *rw, const struct dv_option *option);
struct dv_error *dv_console_emit(struct dv_rewriter *rw, const struct dv_option *option);
/* Marks the character devices by what uses them; called when all are known. */
struct dv_error *dv_console_mark(struct dv_rewriter *rw);
struct dv_error *dv_console_finish(struct dv_rewriter *rw);

#endif
