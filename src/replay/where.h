/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which source line code is: of the kernel, its modules and user programs as they lay in memory when a trace was
 * made, or of one ELF file by itself.
 */
#ifndef DV_REPLAY_WHERE_H
#define DV_REPLAY_WHERE_H

#include "symbols/debuginfo.h"

struct dv_where_options {
	const char *subject;	/* a recording, a trace, or an ELF file */
	const char *debug_info; /* as in dv_debug_files_create(), may be NULL */
	const char *sysroot;	/* as in dv_files_options, may be NULL */
};

struct dv_where;

/* Errors: DV_ERROR_OS, and those of opening a recording, a trace, an ELF file. */
struct dv_error *dv_where_open(const struct dv_where_options *options, struct dv_where **ret);
void dv_where_close(struct dv_where *where);
DV_DEFINE_CLEANUP(struct dv_where, dv_where_close);

/* Which of the processes, and when. */
struct dv_where_filter {
	int32_t pid; /* 0: any */
	bool has_icount;
	uint64_t icount;
};

#define DV_WHERE_MAX_PIDS 16

/* Strings belong to the dv_where, and stay until it is closed. */
struct dv_where_answer {
	uint64_t vaddr;	     /* as it ran; of a user function asked by name: as file_vaddr */
	uint64_t file_vaddr; /* the file's own */
	const char *module;  /* NULL: the kernel, or the one ELF file; a kernel module's name; a file's path */
	const char *function; /* NULL: not known */
	uint64_t offset_bytes; /* in the function, without one in the file or module */
	int32_t pids[DV_WHERE_MAX_PIDS]; /* of a user address: the processes that have it so, at most so many */
	size_t pid_count;
	struct dv_dwarf_frame frames[DV_DWARF_MAX_FRAMES]; /* innermost first, as dv_dwarf_where() has them */
	size_t frame_count;
	const char *missing; /* without frames, why there are none; or NULL */
};

typedef void (*dv_where_fn)(void *context, const struct dv_where_answer *answer);

/*
 * query: "0x..." as it ran; FUNCTION[+OFFSET] of the kernel, else of modules, else of user programs;
 * MODULE:FUNCTION[+OFFSET] and "[MODULE] FUNCTION", MODULE being a kernel module's name or a file's;
 * FILE+0xOFFSET. tell gets one answer or more. Errors: DV_ERROR_INVALID for what is no such thing,
 * DV_ERROR_NOT_FOUND with the way out.
 */
struct dv_error *dv_where_ask(struct dv_where *where, const char *query, const struct dv_where_filter *filter,
			      dv_where_fn tell, void *context);

#endif
