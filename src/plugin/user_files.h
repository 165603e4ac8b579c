/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that user code runs from: their ids, which the functions' keys carry, and their symbols. A
 * thread of its own opens the sources and reads the files, so that neither the guest nor the writer waits
 * for a disk; a name is waited for only when it is needed.
 */
#ifndef DV_PLUGIN_USER_FILES_H
#define DV_PLUGIN_USER_FILES_H

#include "guest/mappings.h"
#include "symbols/files.h"
#include "trace/writer.h"

/* Functions in no file (compiled at run time): the address as it ran is in the lower bits. */
#define DV_ANON_KEY 0x4100000000000000ull

struct dv_user_files;

/* vdso: the bytes of the kernel's vDSO, or NULL; borrowed, as is what options name. */
struct dv_error *dv_user_files_create(const struct dv_files_options *options, const void *vdso, size_t vdso_bytes,
				      struct dv_user_files **ret);
void dv_user_files_destroy(struct dv_user_files *files);

/* The id of a mapping's file: a new one is told to the writer and its symbols are sent for. 0 for what is
 * no file, or when there are too many. */
uint32_t dv_user_files_id(struct dv_user_files *files, const struct dv_mapping *mapping,
			  struct dv_trace_writer *writer);

/* Tells the writer of build ids that became known: once more before the trace ends. */
void dv_user_files_finish(struct dv_user_files *files, struct dv_trace_writer *writer);

/* What a jump to a key goes to. NEVER: into the middle of a function, into a compiler's cold part of one, or into
 * a linkage table, from where it goes on. UNNAMED: no symbol is there. UNKNOWN: nobody has the file's symbols.
 * Waits for them. */
enum dv_user_place { DV_USER_PLACE_UNKNOWN, DV_USER_PLACE_ENTRY, DV_USER_PLACE_NEVER, DV_USER_PLACE_UNNAMED };
enum dv_user_place dv_user_files_place(struct dv_user_files *files, uint64_t key);

/* As dv_trace_describe_fn, for a key that dv_is_file_key(); waits for the file's symbols. */
void dv_user_files_describe(struct dv_user_files *files, uint64_t key, struct dv_trace_function *ret);

#endif
