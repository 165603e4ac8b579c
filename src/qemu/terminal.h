/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's console on our terminal. QEMU's own multiplexer, which makes Ctrl-A X, cannot be used in a
 * recording (it would not log what is typed), so the terminal is ours: QEMU gets pipes for stdin and
 * stdout, a thread carries the bytes, and the terminal is raw meanwhile, so that Ctrl-C is the guest's.
 *
 *	Ctrl-A X	asks for the end: dv_terminal_quit_fd() becomes readable
 *	Ctrl-A A	sends a Ctrl-A
 *	Ctrl-A H	says this
 */
#ifndef DV_QEMU_TERMINAL_H
#define DV_QEMU_TERMINAL_H

#include "base/error.h"

struct dv_terminal;

/*
 * in and out (borrowed) are the terminal, or anything else: then nothing is made raw. Signals that are to
 * be handled by the caller should be blocked or set up before. Errors: DV_ERROR_OS.
 */
struct dv_error *dv_terminal_create(int in, int out, struct dv_terminal **ret);

/* The ends for dv_process_options.stdio[0] and [1]. */
void dv_terminal_child_fds(const struct dv_terminal *terminal, int *ret_stdin, int *ret_stdout);
/* To be called when the child has been started: closes those ends here, starts the thread. */
struct dv_error *dv_terminal_started(struct dv_terminal *terminal);

/* Readable (poll) from Ctrl-A X on. */
int dv_terminal_quit_fd(const struct dv_terminal *terminal);

/*
 * Shows a line below what the guest has written, in place of the one before; "" takes it away. Only on a
 * terminal, and only while the guest's cursor is at the beginning of a line.
 */
void dv_terminal_status(struct dv_terminal *terminal, const char *line);

/*
 * Writes out what the child has left (it must have ended), takes the status line away, and gives the
 * terminal back as it was. NULL-safe.
 */
void dv_terminal_destroy(struct dv_terminal *terminal);
DV_DEFINE_CLEANUP(struct dv_terminal, dv_terminal_destroy);

#endif
