/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs, one per file. Each gets argv with the verb itself as argv[0], and returns the process's exit
 * status: 0, 1 when it failed (and has said why on stderr), 2 when it was called wrongly. A verb must
 * answer --help.
 */
#ifndef DV_CMDS_CMDS_H
#define DV_CMDS_CMDS_H

#include "base/error.h"

int dv_cmd_checkpoint(int argc, char **argv);
int dv_cmd_debug(int argc, char **argv);
int dv_cmd_info(int argc, char **argv);
int dv_cmd_pack(int argc, char **argv);
int dv_cmd_record(int argc, char **argv);
int dv_cmd_trace(int argc, char **argv);
int dv_cmd_dump(int argc, char **argv);
int dv_cmd_graph(int argc, char **argv);
int dv_cmd_report_verb(int argc, char **argv); /* dejaview report */
int dv_cmd_query(int argc, char **argv);
int dv_cmd_seek(int argc, char **argv);
int dv_cmd_dap(int argc, char **argv);
int dv_cmd_serve(int argc, char **argv);
int dv_cmd_calls(int argc, char **argv);
int dv_cmd_unpack(int argc, char **argv);
int dv_cmd_where(int argc, char **argv);
int dv_cmd_writes(int argc, char **argv);

/* Whether this version has the verb. */
bool dv_cmd_exists(const char *verb);

/* Prints "dejaview VERB: MESSAGE" and destroys err. Returns 1; 0 when err is NULL. */
int dv_cmd_report(const char *verb, struct dv_error *err);

#endif
