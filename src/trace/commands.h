/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines of processes in a trace: an own record in the block's header, from where our readers have them with
 * nothing inflated, and an entry of Perfetto's process tree. Private to src/trace.
 */
#ifndef DV_TRACE_COMMANDS_H
#define DV_TRACE_COMMANDS_H

#include "trace/format.h"
#include "base/proto.h"

/* arguments: len bytes, a NUL between two; what is no UTF-8 becomes U+FFFD. */
void command_put(struct dv_buf *buf, uint64_t icount, uint64_t thread_id, const char *arguments, size_t len);
/* A whole packet, which takes effect at the icount. */
void command_put_process(struct dv_buf *packets, uint64_t icount, int32_t pid, int32_t parent_pid,
			 const char *arguments, size_t len);

/* Takes a record apart; the arguments are appended to text, a space between two. */
void command_parse(struct dv_cursor c, uint64_t *ret_icount, uint64_t *ret_thread_id, struct dv_buf *text);

#endif
