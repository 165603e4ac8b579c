/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of gdb's machine interface (gdb's manual, "GDB/MI"), version 3, over a pipe or a terminal. Results
 * are JSON: a tuple is an object, a list an array (of what stands behind the equals signs, where it has
 * names), a string a string.
 *
 *	12^done,stack=[frame={level="0",addr="0x1"},frame={...}]
 *	*stopped,reason="breakpoint-hit"		{"reason": "breakpoint-hit"}
 *	~"text for people\n"
 *
 * A thread of its own reads. Commands may be run from any thread but that one.
 */
#ifndef DV_REPLAY_MI_H
#define DV_REPLAY_MI_H

#include <jansson.h>
#include <stdint.h>
#include "base/error.h"

struct dv_mi;

/* gdb writes longer lines than one would think: a list of all locals. */
#define DV_MI_MAX_LINE_BYTES (64u << 20)
#define DV_MI_MAX_NESTING 64

enum dv_mi_kind {
	DV_MI_RESULT,  /* ^ done, running, connected, error, exit */
	DV_MI_EXEC,    /* * running, stopped */
	DV_MI_STATUS,  /* + */
	DV_MI_NOTIFY,  /* = */
	DV_MI_CONSOLE, /* ~ */
	DV_MI_TARGET,  /* @ */
	DV_MI_LOG,     /* & */
	DV_MI_PROMPT,  /* (gdb) */
};

struct dv_mi_line {
	enum dv_mi_kind kind;
	uint64_t token; /* of a result; 0: none */
	char *class;	/* "done", "stopped"; the text of CONSOLE, TARGET and LOG; owned */
	json_t *values; /* an object; NULL of text; owned */
};

/* One line without its newline. Errors: DV_ERROR_PROTOCOL, with what stands where it does not fit. */
struct dv_error *dv_mi_parse(const char *line, struct dv_mi_line *ret);
void dv_mi_line_deinit(struct dv_mi_line *line);

/* Told of what no command asked for, on the reading thread; must not run commands. line is its own. NULL:
 * gdb has gone. */
typedef void (*dv_mi_fn)(void *context, const struct dv_mi_line *line);

/* Takes in_fd and out_fd over (they may be the same), also when it fails. Errors: DV_ERROR_NO_MEMORY. */
struct dv_error *dv_mi_create(int in_fd, int out_fd, dv_mi_fn on_line, void *context, struct dv_mi **ret);
void dv_mi_destroy(struct dv_mi *mi);
DV_DEFINE_CLEANUP(struct dv_mi, dv_mi_destroy);

/*
 * Runs a command and waits for its result. ret (an object, new reference) may be NULL. Errors:
 * DV_ERROR_INVALID with gdb's words for ^error, DV_ERROR_TIMEOUT, DV_ERROR_EXITED when gdb has gone.
 */
struct dv_error *dv_mi_run(struct dv_mi *mi, int timeout_ms, json_t **ret, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* text as an argument of a command: in quotes, with what must be escaped so. free(). */
char *dv_mi_quote(const char *text);

#endif
