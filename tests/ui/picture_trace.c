/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a trace that is the same everywhere and always: what the viewer's pictures are compared on. Three
 * processes and two kernel threads take turns on a CPU; they make system calls, take page faults, and are
 * interrupted. `picture-trace FILE`.
 */
#include <stdio.h>
#include <stdlib.h>
#include "trace/writer.h"

#define TURNS 60
#define MAX_DEPTH 14

static const char *const names[] = {
	"vfs_read", "ext4_file_read_iter", "kmem_cache_alloc", "__alloc_pages", "schedule", "pick_next_task_fair",
	"tcp_sendmsg", "skb_copy_datagram_iter", "mutex_lock", "_raw_spin_lock", "hrtimer_start", "tty_write",
	"security_file_permission", "blk_mq_submit_bio", "rcu_read_unlock", "memcpy", "do_idle", "worker_thread",
};
#define NAMES (sizeof(names) / sizeof(names[0]))
enum { SYSCALL = NAMES, FAULT, TIMER, KEYS };

static const struct {
	const char *comm;
	int tid, tgid;
	bool is_kernel, enters; /* the kernel, by system calls */
} threads[] = {
	{"swapper/0", 0, 0, true, false}, {"kworker/0:1", 12, 12, true, false}, {"init", 1, 1, false, true},
	{"server", 40, 40, false, true}, {"server-io", 41, 40, false, true}, {"ksoftirqd/0", 14, 14, true, false},
};
#define THREADS (sizeof(threads) / sizeof(threads[0]))

struct picture {
	struct dv_trace_writer *w;
	uint64_t random, icount;
	unsigned depth[THREADS + 1];
};

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static const char *const entries[] = {"entry_SYSCALL_64", "asm_exc_page_fault",
					      "asm_sysvec_apic_timer_interrupt"};

	(void)context;
	*ret = (struct dv_trace_function){.name = key < NAMES ? names[key] : entries[key - NAMES],
					  .vaddr = 0xffffffff81000000 + key * 0x400, .size_bytes = 0x400};
}

static uint64_t draw(struct picture *p, uint64_t below)
{
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return (p->random >> 33) % below;
}

static void begin(struct picture *p, uint64_t thread, uint64_t key, enum dv_slice_kind kind)
{
	p->icount += 1 + draw(p, 40);
	dv_trace_writer_begin(p->w, thread, p->icount, key, kind);
	p->depth[thread]++;
}

static void end(struct picture *p, uint64_t thread)
{
	p->icount += 1 + draw(p, 60);
	dv_trace_writer_end(p->w, thread, p->icount);
	p->depth[thread]--;
}

/* Calls below what is open, and back to there. */
static void work(struct picture *p, uint64_t thread, unsigned steps)
{
	unsigned floor = p->depth[thread];

	for (unsigned i = 0; i < steps; i++) {
		uint64_t what = draw(p, 100);

		if (p->depth[thread] > floor && (what < 45 || p->depth[thread] >= MAX_DEPTH))
			end(p, thread);
		else if (what < 48)
			begin(p, thread, TIMER, DV_SLICE_INTERRUPT);
		else if (what < 51)
			begin(p, thread, FAULT, DV_SLICE_EXCEPTION);
		else
			begin(p, thread, draw(p, NAMES), what < 54 ? DV_SLICE_TAIL_CALL : DV_SLICE_CALL);
	}
	while (p->depth[thread] > floor)
		end(p, thread);
}

static void turn(struct picture *p, uint64_t thread, uint64_t before)
{
	bool enters = threads[thread - 1].enters;

	dv_trace_writer_switch(p->w, p->icount, 0, before, thread);
	/* Some leave the CPU in the midst of a call, and come back to it. */
	while (p->depth[thread] > (enters ? 1 : 2))
		end(p, thread);
	if (enters && p->depth[thread])
		end(p, thread);
	if (enters)
		begin(p, thread, SYSCALL, DV_SLICE_SYSCALL);
	work(p, thread, 40 + (unsigned)draw(p, 120));
	for (uint64_t i = draw(p, 4); i; i--)
		begin(p, thread, draw(p, NAMES), DV_SLICE_CALL);
	p->icount += 200 + draw(p, 400);
}

int main(int argc, char **argv)
{
	struct dv_trace_options options = {.path = argv[1], .exact = true, .describe = describe};
	struct picture p = {.random = 7, .icount = 1000};
	struct dv_error *err;
	uint64_t before = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: picture-trace FILE\n");
		return 2;
	}
	err = dv_trace_writer_create(&options, &p.w);
	for (size_t i = 0; !err && i < THREADS; i++) {
		struct dv_trace_thread t = {.id = i + 1, .tid = threads[i].tid, .tgid = threads[i].tgid,
					    .is_kernel = threads[i].is_kernel};

		snprintf(t.comm, sizeof(t.comm), "%s", threads[i].comm);
		dv_trace_writer_thread(p.w, p.icount, &t);
	}
	for (unsigned i = 0; !err && i < TURNS; i++) {
		uint64_t thread = 1 + draw(&p, THREADS);

		turn(&p, thread, before);
		before = thread;
	}
	if (!err)
		err = dv_trace_writer_finish(p.w, p.icount);
	if (err)
		fprintf(stderr, "picture-trace: %s\n", err->message);
	return err != NULL;
}
