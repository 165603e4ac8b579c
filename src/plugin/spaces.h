/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user address spaces of the guest, as the writer thread knows them from the events: what file lies
 * where. Each change is told to the trace.
 */
#ifndef DV_PLUGIN_SPACES_H
#define DV_PLUGIN_SPACES_H

#include "callgraph/callgraph.h"
#include "plugin/user_files.h"
#include "trace/writer.h"

struct dv_spaces;

/* files is borrowed. */
struct dv_error *dv_spaces_create(struct dv_user_files *files, struct dv_spaces **ret);
void dv_spaces_destroy(struct dv_spaces *spaces);

/* Takes an event in. writer may be NULL. */
void dv_spaces_apply(struct dv_spaces *spaces, uint64_t icount, const struct dv_event_mapping *e,
		     struct dv_trace_writer *writer);
/* The space of an mm_struct, or NULL. It stays where it is; its generation tells whether it is the same. */
const struct dv_space *dv_spaces_find(const struct dv_spaces *spaces, uint64_t mm_vaddr);
/* What a user address of a space is a function's key by: the file and the offset in it, DV_ANON_KEY for
 * code that is in no file, the address itself where nothing is known to be mapped. */
uint64_t dv_spaces_key(const struct dv_space *space, uint64_t vaddr);

#endif
