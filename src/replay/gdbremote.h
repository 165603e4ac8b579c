/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of gdb's remote protocol (gdb's manual, appendix "Remote Serial Protocol"), as far as QEMU's
 * stub for x86_64 needs it. A packet is `$DATA#SUM`, SUM two hex digits of the bytes' sum; each is
 * acknowledged with `+`. One guest CPU.
 */
#ifndef DV_REPLAY_GDBREMOTE_H
#define DV_REPLAY_GDBREMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "guest/memory.h"

struct dv_gdb;

struct dv_x86_registers {
	uint64_t gpr[16]; /* rax rbx rcx rdx rsi rdi rbp rsp r8..r15, gdb's order */
	uint64_t rip;
	uint32_t eflags, cs;
	uint64_t fs_base, gs_base, kernel_gs_base;
};

/* Takes over a connected socket, also when it fails. Errors: DV_ERROR_PROTOCOL, _TIMEOUT, _EXITED. */
struct dv_error *dv_gdb_create(int fd, int timeout_ms, struct dv_gdb **ret);
void dv_gdb_destroy(struct dv_gdb *gdb);
DV_DEFINE_CLEANUP(struct dv_gdb, dv_gdb_destroy);

struct dv_error *dv_gdb_read_registers(struct dv_gdb *gdb, struct dv_x86_registers *ret);
/* All or nothing; DV_ERROR_FAULT for what is not mapped. */
struct dv_error *dv_gdb_read_memory(struct dv_gdb *gdb, uint64_t vaddr, void *to, size_t len);
/* For guest introspection; lives as long as gdb. */
struct dv_guest_memory dv_gdb_memory(struct dv_gdb *gdb);

struct dv_error *dv_gdb_set_breakpoint(struct dv_gdb *gdb, uint64_t vaddr, bool set);
/* One instruction; returns when the CPU has stopped. */
struct dv_error *dv_gdb_step(struct dv_gdb *gdb, int timeout_ms);
/* Returns when the CPU has stopped; on DV_ERROR_TIMEOUT it still runs. */
struct dv_error *dv_gdb_continue(struct dv_gdb *gdb, int timeout_ms);

/*
 * The parts of the above, for who watches other things meanwhile: sends a packet; takes the next one that has
 * come, as a string that lives until the next call (*ret NULL: none within timeout_ms); asks a running CPU
 * to stop, which then answers what set it going.
 */
struct dv_error *dv_gdb_send(struct dv_gdb *gdb, const char *packet);
struct dv_error *dv_gdb_receive(struct dv_gdb *gdb, int timeout_ms, const char **ret);
struct dv_error *dv_gdb_interrupt(struct dv_gdb *gdb);
int dv_gdb_fd(const struct dv_gdb *gdb);
/* Sends and waits for the answer. */
struct dv_error *dv_gdb_ask(struct dv_gdb *gdb, const char *packet, const char **ret);
/* A breakpoint of gdb's type: '0' and '1' execution, '2' write, '3' read, '4' access. */
struct dv_error *dv_gdb_set_point(struct dv_gdb *gdb, char type, uint64_t vaddr, uint64_t bytes, bool set);

/* The text of a packet, checked and with its end cut off; for tests. NULL: not whole yet, or broken
 * (*ret_broken). The bytes up to *ret_used are done with. */
const char *dv_gdb_parse_packet(char *bytes, size_t len, size_t *ret_used, bool *ret_broken);

#endif
