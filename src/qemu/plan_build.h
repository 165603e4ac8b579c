/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a plan, for the files that make one. An argument is an option and perhaps a value, both
 * templates: `%%` is a percent sign, `%{NAME}` is replaced when an argv is made, `%{NAME,}` likewise with
 * the commas of what is put in doubled. Names: log, console, disks (where overlays and snapshots are),
 * imageN and formatN (the Nth image's base), fileN.
 */
#ifndef DV_QEMU_PLAN_BUILD_H
#define DV_QEMU_PLAN_BUILD_H

#include "qemu/plan.h"

/* When an argument is given to QEMU. */
#define DV_WHEN_TERMINAL 1u /* recording, with a console on the terminal */
#define DV_WHEN_QUIET	 2u /* recording, without */
#define DV_WHEN_REPLAY	 4u /* replaying; console discarded */
#define DV_WHEN_SAVING	 8u /* replaying; console to a file */
#define DV_WHEN_RECORDING (DV_WHEN_TERMINAL | DV_WHEN_QUIET)
#define DV_WHEN_REPLAYING (DV_WHEN_REPLAY | DV_WHEN_SAVING)
#define DV_WHEN_ALWAYS	  (DV_WHEN_RECORDING | DV_WHEN_REPLAYING)

struct dv_qemu_plan_arg {
	unsigned when;
	char *option; /* template */
	char *value;  /* template; may be NULL */
};

/* option and value are templates; value may be NULL. */
struct dv_error *dv_plan_add(struct dv_qemu_plan *plan, unsigned when, const char *option,
			     const char *value);
/* value is plain text. */
struct dv_error *dv_plan_add_plain(struct dv_qemu_plan *plan, unsigned when, const char *option,
				   const char *value);
/* Plain text as a template; NULL: none left. */
char *dv_plan_quote(const char *text);
/* A formatted template. */
struct dv_error *dv_plan_addf(struct dv_qemu_plan *plan, unsigned when, const char *option,
			      const char *format, ...) __attribute__((format(printf, 4, 5)));
struct dv_error *dv_plan_note(struct dv_qemu_plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* New zeroed entry at the end. */
struct dv_error *dv_plan_new_image(struct dv_qemu_plan *plan, struct dv_qemu_image **ret);
struct dv_error *dv_plan_new_file(struct dv_qemu_plan *plan, const char *role, const char *path,
				  size_t *ret_index);
struct dv_error *dv_plan_new_forward(struct dv_qemu_plan *plan, const char *netdev, const char *rule);
/* Copies a vector of len strings and ends it with NULL; NULL: none left. */
char **dv_strv_copy(char *const *strv, size_t len);

#endif
