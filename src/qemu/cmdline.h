/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the user's own QEMU command line to a plan that records and replays, or to a refusal. Nothing
 * is started and no image is opened: the only thing read is whether a file named by an option exists.
 * QEMU's version is checked apart (probe.h).
 */
#ifndef DV_QEMU_CMDLINE_H
#define DV_QEMU_CMDLINE_H

#include "qemu/plan.h"

/*
 * argv[0] is a qemu-system-* (a path or a name). directory: what relative paths are relative to; NULL:
 * the working directory. Errors: DV_ERROR_UNSUPPORTED for what cannot be recorded, DV_ERROR_INVALID for
 * what QEMU itself would not take; the message gives the option, the reason and the way out.
 */
struct dv_error *dv_qemu_plan_create(int argc, char *const *argv, const char *directory,
				     struct dv_qemu_plan **ret);

#endif
