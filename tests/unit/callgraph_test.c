/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The call-graph machine by tables: events in, frames out. */
#include "base/buf.h"
#include "callgraph/callgraph.h"
#include "test.h"

#define KERNEL_STACK 0xffffc90000004000ull
#define IRQ_STACK    0xffffc90000800000ull
#define USER_STACK   0x7ffffffde000ull
#define KERNEL_TEXT  0xffffffff81000000ull
#define USER_TEXT    0x401000ull

/* Stack slots count down from the stack's top, 8 bytes each. */
#define K(n)   (KERNEL_STACK - 8ull * (n))
#define IRQ(n) (IRQ_STACK - 8ull * (n))
#define U(n)   (USER_STACK - 8ull * (n))

/* Functions: a letter each, 4 KiB apart; 'a'-'z' are the kernel's, 'A'-'Z' the user's. */
#define FN(letter) ((letter) >= 'a' ? KERNEL_TEXT + 4096ull * (uint64_t)((letter) - 'a') : \
				      USER_TEXT + 4096ull * (uint64_t)((letter) - 'A'))

#define CALL(icount, slot, to)	   {dv_event_head(DV_EVENT_CALL, 0, icount), slot, to}
#define RETURN(icount, slot, to)   {dv_event_head(DV_EVENT_RETURN, 0, icount), slot, to}
#define JUMP(icount, to)	   {dv_event_head(DV_EVENT_JUMP, 0, icount), 0, to}
#define USER_JUMP(icount, stack, to) {dv_event_head(DV_EVENT_JUMP, 0, icount), stack, to}
#define SITE(icount, to, site)	   {dv_event_head(DV_EVENT_SITE, 0, icount), to, site}
#define ENTER(icount, stack, at)   {dv_event_head(DV_EVENT_ENTER, 0, icount), stack, at}
#define LEAVE(icount, stack)	   {dv_event_head(DV_EVENT_LEAVE, 0, icount), stack, KERNEL_TEXT}
#define LEAVE_TO(icount, stack, to) {dv_event_head(DV_EVENT_LEAVE, 0, icount), stack, to}
#define SYSRET(icount)		   {dv_event_head(DV_EVENT_LEAVE, 0, icount), 0, 0}
#define SIGNAL(icount, handler)	   {dv_event_head(DV_EVENT_SIGNAL, 0, icount), 0, handler}
#define SWITCH(icount, task, tid, comm) \
	{dv_event_head(DV_EVENT_SWITCH, 0, icount), new_switch(task, tid, comm, false), 0}
#define SWITCH_FROM_DEAD(icount, task, tid, comm) \
	{dv_event_head(DV_EVENT_SWITCH, 0, icount), new_switch(task, tid, comm, true), 0}
#define EXEC(icount, task, tid, comm) {dv_event_head(DV_EVENT_RENAME, 0, icount), new_task(task, tid, comm), 1}
#define RENAME(icount, task, tid, comm) {dv_event_head(DV_EVENT_RENAME, 0, icount), new_task(task, tid, comm), 0}

#define FORK(icount, task, tid, comm)	{dv_event_head(DV_EVENT_FORK, 0, icount), new_task(task, tid, comm), 0}
#define PRINT(icount, text)		{dv_event_head(DV_EVENT_PRINT, 0, icount), new_print(text), 0}

static struct dv_task task_of(uint64_t vaddr, int32_t tid, const char *comm)
{
	struct dv_task task = {.vaddr = vaddr, .tid = tid, .tgid = tid};

	snprintf(task.comm, sizeof(task.comm), "%s", comm);
	return task;
}

static uint64_t new_task(uint64_t vaddr, int32_t tid, const char *comm)
{
	struct dv_task *task = calloc(1, sizeof(*task));

	*task = task_of(vaddr, tid, comm);
	return (uintptr_t)task;
}

static uint64_t new_print(const char *text)
{
	struct dv_event_print *print = calloc(1, sizeof(*print) + strlen(text));

	print->len = (uint32_t)strlen(text);
	memcpy(print->text, text, print->len);
	return (uintptr_t)print;
}

static uint64_t new_switch(uint64_t vaddr, int32_t tid, const char *comm, bool dead)
{
	struct dv_event_switch *info = calloc(1, sizeof(*info));

	info->next = task_of(vaddr, tid, comm);
	info->prev_dead = dead;
	info->prev_exit_code = dead ? 256 : 0;
	return (uintptr_t)info;
}

/* ---- what comes out, as text: "@icount thread>function", "@icount thread<" ---- */

static const char *kind_mark[DV_SLICE_KINDS] = {"", "~", "!", "?", "$"};

static char letter(uint64_t key)
{
	if (dv_is_syscall_key(key))
		return (char)('A' + (key & 15) - 1);
	return (char)(key >= KERNEL_TEXT ? 'a' + (key - KERNEL_TEXT) / 4096 : 'A' + (key - USER_TEXT) / 4096);
}

static void on_thread(void *out, uint64_t icount, const struct dv_trace_thread *thread)
{
	dv_buf_printf(out, "@%" PRIu64 " thread %" PRIu64 " ", icount, thread->id);
	if (thread->exit_icount) {
		CHECK_EQ(thread->exit_icount, icount);
		dv_buf_printf(out, "exits %d\n", thread->exit_code);
		return;
	}
	dv_buf_printf(out, "is %d %s", thread->tid, thread->comm);
	if (thread->start_icount)
		dv_buf_printf(out, ", made at %" PRIu64 " by %" PRIu64, thread->start_icount, thread->creator_id);
	dv_buf_printf(out, "\n");
}

static void on_begin(void *out, uint64_t thread_id, uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	dv_buf_printf(out, "@%" PRIu64 " %" PRIu64 ">%c%s\n", icount, thread_id, letter(key), kind_mark[kind]);
}

static void on_end(void *out, uint64_t thread_id, uint64_t icount)
{
	dv_buf_printf(out, "@%" PRIu64 " %" PRIu64 "<\n", icount, thread_id);
}

static void on_switched(void *out, uint64_t icount, unsigned cpu, uint64_t prev_id, uint64_t next_id)
{
	dv_buf_printf(out, "@%" PRIu64 " %" PRIu64 "=>%" PRIu64 "\n", icount, prev_id, next_id);
}

static void on_print(void *out, uint64_t icount, uint64_t thread_id, const struct dv_event_print *print)
{
	dv_buf_printf(out, "@%" PRIu64 " %" PRIu64 " prints %.*s\n", icount, thread_id, (int)print->len, print->text);
}

/* Answers to sites, as text. */
static void settle(void *out, uint64_t site)
{
	dv_buf_printf(out, "settled %" PRIu64 "\n", site);
}

/* G may be a function, t is a thunk, i an interrupt's entry, y a system call's, x is ignored below, s starts and p stops. */
static unsigned resolve(void *context, uint64_t vaddr)
{
	bool entry = vaddr % 4096 == 0;
	unsigned flags = 0;

	if (vaddr < KERNEL_TEXT && !entry)
		return DV_TARGET_CALLABLE | DV_TARGET_NEVER;
	switch (letter(vaddr)) {
	case 't':
		return DV_TARGET_THUNK | (entry ? DV_TARGET_CALLABLE : 0);
	case 'G':
		flags = DV_TARGET_GUESSED;
		break;
	case 'i':
		flags = DV_TARGET_INTERRUPT;
		break;
	case 'y':
		flags = DV_TARGET_SYSCALL;
		break;
	case 'x':
		flags = DV_TARGET_IGNORE_BELOW;
		break;
	case 's':
		flags = DV_TARGET_START;
		break;
	case 'p':
		flags = DV_TARGET_STOP;
		break;
	}
	return flags | (entry ? DV_TARGET_CALLABLE | DV_TARGET_ENTRY : 0);
}

static uint64_t function_at(void *context, uint64_t vaddr)
{
	return vaddr & ~4095ull;
}

static struct dv_callgraph_counts run(const struct dv_callgraph_filter *filter, const struct dv_event *events,
				      size_t count, const char *want)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	struct dv_callgraph_options options = {
		.resolve = resolve,
		.function_at = function_at,
		.settle = settle,
		.resolve_context = &out,
		.sink = {on_thread, on_begin, on_end, on_switched, on_print, NULL, &out},
	};
	struct dv_callgraph_counts counts;
	struct dv_callgraph *cg;
	char *got;

	if (filter)
		options.filter = *filter;
	CHECK_OK(dv_callgraph_create(&options, &cg));
	dv_callgraph_feed(cg, events, count);
	dv_callgraph_finish(cg, 1000000);
	counts = dv_callgraph_counts(cg);
	dv_callgraph_destroy(cg);
	got = dv_buf_steal_string(&out);
	CHECK_STR(got, want);
	free(got);
	return counts;
}

/* The first event of a CPU makes the thread of what runs before any task is known. */
#define FIRMWARE "thread 1 is 4194305 firmware\n"
#define RUN(want, ...) RUN_FILTERED(NULL, want, __VA_ARGS__)
#define RUN_FILTERED(filter, want, ...)                                          \
	({                                                                       \
		struct dv_event events_[] = {__VA_ARGS__};                       \
		run(filter, events_, DV_ARRAY_SIZE(events_), want);              \
	})

/* A thread of the kernel's. */
#define TO_ONE SWITCH(5, 0x1000, 7, "one")
#define ONE    "@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n"

TEST(calls_nest_and_returns_close_them)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>b\n@30 1<\n@40 1>c\n@50 1<\n@60 1<\n",
	    CALL(10, K(1), FN('a')), CALL(20, K(3), FN('b')), RETURN(30, K(3), FN('a') + 9),
	    CALL(40, K(3), FN('c')), RETURN(50, K(3), FN('a') + 19), RETURN(60, K(1), 0));
}

TEST(a_return_closes_its_own_frame_and_what_is_above)
{
	/* b and c never return: longjmp. */
	RUN("@10 " FIRMWARE "@10 1>A\n@20 1>B\n@30 1>C\n@40 1<\n@40 1<\n@40 1<\n",
	    CALL(10, U(1), FN('A')), CALL(20, U(5), FN('B')), CALL(30, U(9), FN('C')), RETURN(40, U(1), FN('A')));
}

TEST(a_call_from_higher_up_the_stack_closes_what_was_left)
{
	struct dv_callgraph_counts counts =
		RUN("@10 " FIRMWARE "@10 1>A\n@20 1>B\n@30 1>C\n@40 1<\n@40 1<\n@40 1>D\n",
		    CALL(10, U(1), FN('A')), CALL(20, U(5), FN('B')), CALL(30, U(9), FN('C')),
		    CALL(40, U(4), FN('D')));

	CHECK_EQ(counts.stale_frames, 2);
}

TEST(before_the_kernel_a_return_that_fits_no_frame_is_an_early_one)
{
	struct dv_callgraph_counts counts =
		RUN("@10 " FIRMWARE "@10 1>A\n@30 1<\n", CALL(10, U(1), FN('A')), RETURN(20, U(3), USER_TEXT + 3),
		    RETURN(30, U(1), 0));

	CHECK_EQ(counts.early_returns, 1);
	CHECK_EQ(counts.unmatched_returns, 0);
}

TEST(a_return_that_fits_no_frame_closes_none)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>A\n@30 2<\n", TO_ONE, CALL(10, U(1), FN('A')), RETURN(20, U(3), USER_TEXT + 3),
		    RETURN(30, U(1), 0));

	CHECK_EQ(counts.unmatched_returns, 1);
	CHECK_EQ(counts.early_returns, 0);
}

TEST(a_return_out_of_what_was_called_before_the_thread_was_seen_is_an_outer_one)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>A\n@30 2<\n", TO_ONE, CALL(10, U(9), FN('A')), RETURN(30, U(9), 0),
		    RETURN(40, U(5), FN('B') + 7), RETURN(50, U(2), FN('C') + 7));

	CHECK_EQ(counts.outer_returns, 2);
	CHECK_EQ(counts.unmatched_returns, 0);
}

/* error_entry: its return address is taken along, below what it pushes. */
TEST(a_return_address_that_the_entry_code_moved_closes_its_frame)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>e?\n@12 2>a\n@20 2<\n@21 2>b\n@30 2<\n@40 2<\n", TO_ONE, ENTER(10, K(5), FN('e')),
		    CALL(12, K(6), FN('a')), RETURN(20, K(21), FN('e') + 9), CALL(21, K(22), FN('b')),
		    RETURN(30, K(22), FN('e') + 20), LEAVE(40, K(5)));

	CHECK_EQ(counts.unmatched_returns, 0);
}

TEST(so_it_does_when_the_helper_has_jumped_on)
{
	RUN(ONE "@10 2>e?\n@12 2>a\n@14 2>b~\n@20 2<\n@20 2<\n@40 2<\n", TO_ONE, ENTER(10, K(5), FN('e')),
	    CALL(12, K(6), FN('a')), JUMP(14, FN('b')), RETURN(20, K(21), FN('e') + 9), LEAVE(40, K(5)));
}

/* ftrace's and kretprobes' trampolines: the slot was read by the function's own return already, and the
 * trampoline goes to where it would have gone. */
TEST(a_trampolines_return_to_the_real_caller_closes_nothing)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>a\n@12 2>b\n@20 2<\n@21 2>r\n@25 2<\n@40 2<\n", TO_ONE, CALL(10, K(1), FN('a')),
		    CALL(12, K(5), FN('b')), RETURN(20, K(5), FN('z') + 1), CALL(21, K(8), FN('r')),
		    RETURN(25, K(8), FN('z') + 9), CALL(26, K(5), FN('z') + 20), RETURN(27, K(5), FN('a') + 30),
		    RETURN(40, K(1), 0));

	CHECK_EQ(counts.made_returns, 1);
	CHECK_EQ(counts.unmatched_returns, 0);
}

/* An interrupt's handler that was jumped to lies as near to its entry as the entry's helpers do. */
TEST(so_it_does_right_above_an_entry)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>e?\n@12 2>a\n@14 2>b~\n@15 2>c\n@20 2<\n@30 2>d\n@35 2<\n@40 2<\n@40 2<\n@50 2<\n", TO_ONE,
		    ENTER(10, K(5), FN('e')), CALL(12, K(6), FN('a')), JUMP(14, FN('b')), CALL(15, K(9), FN('c')),
		    RETURN(20, K(9), FN('z') + 1), CALL(26, K(9), FN('z') + 20), RETURN(27, K(9), FN('b') + 30),
		    CALL(30, K(9), FN('d')), RETURN(35, K(9), FN('b') + 40), RETURN(40, K(6), FN('e') + 9),
		    LEAVE(50, K(5)));

	CHECK_EQ(counts.made_returns, 1);
	CHECK_EQ(counts.unmatched_returns, 0);
}

TEST(an_indirect_call_through_a_thunk_shows_its_target)
{
	/* call thunk; the thunk calls into itself, overwrites the slot and returns to the target. */
	RUN("@10 " FIRMWARE "@10 1>a\n@23 1>b\n@30 1<\n@40 1<\n",
	    CALL(10, K(1), FN('a')), CALL(20, K(3), FN('t')), CALL(21, K(4), FN('t') + 8),
	    RETURN(23, K(4), FN('b')), RETURN(30, K(3), FN('a') + 5), RETURN(40, K(1), 0));
}

TEST(a_patched_thunk_jumps_to_its_target)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@21 1>b\n@30 1<\n@40 1<\n", CALL(10, K(1), FN('a')),
	    CALL(20, K(3), FN('t')), JUMP(21, FN('b')), RETURN(30, K(3), FN('a') + 5), RETURN(40, K(1), 0));
}

TEST(a_return_through_the_return_thunk_is_invisible)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@21 1<\n", CALL(10, K(1), FN('a')), JUMP(20, FN('t')), RETURN(21, K(1), 0));
}

TEST(a_tail_call_ends_with_the_frame_it_left)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>b\n@30 1>c~\n@40 1<\n@40 1<\n@50 1<\n", CALL(10, K(1), FN('a')),
	    CALL(20, K(3), FN('b')), JUMP(30, FN('c')), RETURN(40, K(3), FN('a') + 5), RETURN(50, K(1), 0));
}

TEST(a_tail_call_through_a_thunk_shows_its_target)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@22 1>b~\n@30 1<\n@30 1<\n", CALL(10, K(1), FN('a')), JUMP(20, FN('t')),
	    CALL(21, K(2), FN('t') + 8), RETURN(22, K(2), FN('b')), RETURN(30, K(1), 0));
}

TEST(a_loop_of_tail_calls_does_not_pile_up)
{
	enum { JUMPS = 200 };
	struct dv_event events[JUMPS + 2] = {CALL(10, K(1), FN('a'))};
	_cleanup_buf_ struct dv_buf want = DV_BUF_INIT;
	unsigned open = 1;
	char *text;

	dv_buf_printf(&want, "@10 " FIRMWARE "@10 1>a\n");
	for (uint64_t i = 0; i < JUMPS; i++) {
		events[i + 1] = (struct dv_event)JUMP(20 + i, FN('b'));
		if (open > DV_CALLGRAPH_MAX_TAIL_CALLS) {
			dv_buf_printf(&want, "@%" PRIu64 " 1<\n", 20 + i);
			open--;
		}
		dv_buf_printf(&want, "@%" PRIu64 " 1>b~\n", 20 + i);
		open++;
	}
	events[JUMPS + 1] = (struct dv_event)RETURN(900, K(1), 0);
	while (open--)
		dv_buf_printf(&want, "@900 1<\n");
	text = dv_buf_steal_string(&want);
	run(NULL, events, JUMPS + 2, text);
	free(text);
}

TEST(a_jump_in_user_space_with_the_return_address_on_top_is_a_tail_call)
{
	RUN(ONE "@10 2>A\n@20 2>B\n@30 2>C~\n@32 2>D~\n@40 2<\n@40 2<\n@40 2<\n@50 2<\n", TO_ONE, CALL(10, U(1), FN('A')),
	    CALL(20, U(3), FN('B')), USER_JUMP(30, U(3), FN('C')), USER_JUMP(32, U(3), FN('D')),
	    RETURN(40, U(3), FN('A') + 5), RETURN(50, U(1), 0));
}

/* Inside of functions; to one's own start; to what may be no function; with something on the stack. */
TEST(other_jumps_in_user_space_are_none)
{
	RUN(ONE "@10 2>A\n@20 2>B~\n@50 2<\n@50 2<\n", TO_ONE, CALL(10, U(1), FN('A')), USER_JUMP(11, U(1), FN('A') + 64),
	    USER_JUMP(12, U(1), FN('C') + 64), USER_JUMP(13, U(1), FN('A')), USER_JUMP(14, U(1), FN('G')),
	    USER_JUMP(15, U(2), FN('B')), USER_JUMP(16, USER_STACK, FN('B')), USER_JUMP(20, U(1), FN('B')),
	    USER_JUMP(21, U(1), FN('B')), RETURN(50, U(1), 0));
}

TEST(a_linkage_table_may_lead_to_a_function_without_a_symbol)
{
	RUN(ONE "@10 2>A\n@14 2>G~\n@50 2<\n@50 2<\n", TO_ONE, CALL(10, U(1), FN('A')), JUMP(14, FN('G')),
	    RETURN(50, U(1), 0));
}

/* longjmp() to B, from C and D. */
TEST(a_tail_call_after_longjmp_belongs_to_who_was_jumped_to)
{
	RUN(ONE "@10 2>A\n@20 2>B\n@30 2>C\n@35 2>D\n@40 2<\n@40 2<\n@40 2>E~\n@50 2<\n@50 2<\n@60 2<\n", TO_ONE,
	    CALL(10, U(1), FN('A')), CALL(20, U(3), FN('B')), CALL(30, U(9), FN('C')), CALL(35, U(12), FN('D')),
	    USER_JUMP(40, U(3), FN('E')), RETURN(50, U(3), FN('A') + 5), RETURN(60, U(1), 0));
}

TEST(a_site_is_settled_when_no_function_can_be_there)
{
	RUN(ONE "settled 7\n", TO_ONE, SITE(10, FN('A'), 5), SITE(10, FN('G'), 6), SITE(10, FN('A') + 4, 7),
	    SITE(10, FN('a') + 4, 8));
}

TEST(a_call_into_the_middle_of_a_function_is_none)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@30 1<\n", CALL(10, K(1), FN('a')), CALL(20, K(3), FN('a') + 100),
	    RETURN(30, K(1), 0));
}

TEST(an_interrupt_is_a_slice_and_iret_closes_it)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>i!\n@22 1>b\n@30 1<\n@35 1<\n@40 1<\n", CALL(10, K(1), FN('a')),
	    ENTER(20, K(20), FN('i')), CALL(22, IRQ(1), FN('b')), RETURN(30, IRQ(1), FN('i') + 9),
	    LEAVE(35, K(20)), RETURN(40, K(1), 0));
}

TEST(an_exception_with_an_error_code_is_closed_too)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>e?\n@35 1<\n@40 1<\n", CALL(10, K(1), FN('a')),
	    ENTER(20, K(20), FN('e')), LEAVE(35, K(19)), RETURN(40, K(1), 0));
}

TEST(an_iret_that_ends_no_interrupt_closes_nothing)
{
	/* sync_core() returns to itself by iret. */
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>i!\n@35 1<\n", CALL(10, K(1), FN('a')), ENTER(20, K(20), FN('i')),
	    LEAVE(25, K(30)), LEAVE(35, K(20)));
}

TEST(a_system_call_lies_in_its_caller_and_sysret_ends_the_kernel)
{
	RUN("@10 " FIRMWARE "@10 1>A\n@20 1>y$\n@22 1>a\n@23 1>b\n@40 1<\n@40 1<\n@40 1<\n@50 1<\n",
	    CALL(10, U(1), FN('A')), ENTER(20, 0, FN('y')), CALL(22, K(5), FN('a')), CALL(23, K(9), FN('b')),
	    SYSRET(40), RETURN(50, U(1), 0));
}

TEST(a_signals_handler_is_called_by_the_kernel)
{
	struct dv_callgraph_counts counts =
		RUN(ONE "@10 2>A\n@20 2>i!\n@21 2>a\n@28 2<\n@30 2<\n@30 2>H\n@35 2>B\n@36 2<\n@40 2<\n"
			"@42 2>y$\n@50 2<\n@60 2<\n", TO_ONE,
		    CALL(10, U(1), FN('A')), ENTER(20, K(5), FN('i')), CALL(21, K(6), FN('a')), SIGNAL(25, FN('H')),
		    RETURN(28, K(6), 0), LEAVE_TO(30, U(50), FN('H')), CALL(35, U(55), FN('B')),
		    RETURN(36, U(55), FN('H') + 5), RETURN(40, U(50), FN('R') + 1), ENTER(42, 0, FN('y')),
		    LEAVE_TO(50, U(3), FN('A') + 9), RETURN(60, U(1), 0));

	CHECK_EQ(counts.unmatched_returns, 0);
}

TEST(of_two_signals_at_once_the_later_handler_runs_first)
{
	RUN(ONE "@10 2>A\n@20 2>y$\n@30 2<\n@30 2>J\n@40 2<\n@42 2>y$\n@50 2<\n@50 2>H\n@60 2<\n", TO_ONE,
	    CALL(10, U(1), FN('A')), ENTER(20, 0, FN('y')), SIGNAL(25, FN('H')), SIGNAL(26, FN('J')),
	    LEAVE_TO(30, U(90), FN('J')), RETURN(40, U(90), FN('R')), ENTER(42, 0, FN('y')),
	    LEAVE_TO(50, U(50), FN('H')), RETURN(60, U(50), FN('R')));
}

TEST(a_handler_that_jumps_out_leaves_no_frame)
{
	RUN(ONE "@10 2>A\n@20 2>y$\n@30 2<\n@30 2>H\n@35 2<\n@35 2>B\n", TO_ONE, CALL(10, U(1), FN('A')),
	    ENTER(20, 0, FN('y')), SIGNAL(25, FN('H')), LEAVE_TO(30, U(50), FN('H')), CALL(35, U(3), FN('B')));
}

TEST(exec_ends_what_the_old_program_had_called_and_begins_the_new_one)
{
	RUN(ONE "@10 2>A\n@20 2>y$\n@25 thread 2 is 7 new\n@30 2<\n@30 2<\n@30 2>S\n@35 2>B\n", TO_ONE,
	    CALL(10, U(1), FN('A')), ENTER(20, 0, FN('y')), EXEC(25, 0x1000, 7, "new"),
	    LEAVE_TO(30, U(1000), FN('S')), CALL(35, U(1002), FN('B')));
}

TEST(threads_keep_their_frames_while_they_do_not_run)
{
	RUN("@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n@10 2>a\n@20 thread 3 is 8 two\n@20 2=>3\n@25 3>b\n"
	    "@30 3=>2\n@40 2<\n@50 2=>3\n@60 3<\n",
	    SWITCH(5, 0x1000, 7, "one"), CALL(10, K(1), FN('a')), SWITCH(20, 0x2000, 8, "two"),
	    CALL(25, K(5000), FN('b')), SWITCH(30, 0x1000, 7, "one"), RETURN(40, K(1), 0),
	    SWITCH(50, 0x2000, 8, "two"), RETURN(60, K(5000), 0));
}

TEST(a_dead_thread_ends_its_frames_and_its_task_may_be_reused)
{
	struct dv_callgraph_counts counts =
		RUN("@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n@10 2>a\n@20 thread 3 is 8 two\n@20 2=>3\n@20 2<\n"
		    "@20 thread 2 exits 256\n@30 thread 4 is 7 three\n@30 3=>4\n",
		    SWITCH(5, 0x1000, 7, "one"), CALL(10, K(1), FN('a')), SWITCH_FROM_DEAD(20, 0x2000, 8, "two"),
		    SWITCH(30, 0x1000, 7, "three"));

	CHECK_EQ(counts.threads, 4);
}

TEST(a_task_address_with_another_tid_is_another_thread)
{
	RUN("@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n@10 2>a\n@20 thread 3 is 8 two\n@20 2=>3\n@30 2<\n"
	    "@30 thread 4 is 9 new\n@30 3=>4\n",
	    SWITCH(5, 0x1000, 7, "one"), CALL(10, K(1), FN('a')), SWITCH(20, 0x2000, 8, "two"),
	    SWITCH(30, 0x1000, 9, "new"));
}

TEST(a_thread_begins_when_its_creator_wakes_it_and_may_never_run)
{
	RUN("@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n@10 thread 3 is 8 one, made at 10 by 2\n"
	    "@15 thread 3 is 8 kworker, made at 10 by 2\n@20 thread 4 is 9 two, made at 20 by 2\n@30 2=>4\n"
	    "@30 thread 2 exits 256\n@40 thread 5 is 10 two, made at 40 by 4\n",
	    SWITCH(5, 0x1000, 7, "one"), FORK(10, 0x2000, 8, "one"), RENAME(15, 0x2000, 8, "kworker"),
	    FORK(20, 0x3000, 9, "two"), SWITCH_FROM_DEAD(30, 0x3000, 9, "two"), FORK(40, 0x2000, 10, "two"));
}

TEST(what_is_printed_is_the_running_threads)
{
	RUN("@5 " FIRMWARE "@5 1 prints early\n@10 thread 2 is 7 one\n@10 1=>2\n@20 2 prints late\n",
	    PRINT(5, "early"), SWITCH(10, 0x1000, 7, "one"), PRINT(20, "late"));
}

TEST(a_system_call_is_its_own_key)
{
	RUN("@10 " FIRMWARE "@10 1>A\n@20 1>C$\n@30 1<\n", CALL(10, U(1), FN('A')),
	    ENTER(20, dv_syscall_key(2, 3), FN('y')), SYSRET(30));
}

TEST(a_thread_is_renamed_at_exec)
{
	RUN("@5 " FIRMWARE "@5 thread 2 is 7 sh\n@5 1=>2\n@9 thread 2 is 7 ls\n", SWITCH(5, 0x1000, 7, "sh"),
	    RENAME(9, 0x1000, 7, "ls"), RENAME(11, 0x9000, 99, "unseen"));
}

TEST(a_new_tasks_first_return_is_its_first_frame)
{
	RUN("@5 " FIRMWARE "@5 thread 2 is 7 new\n@5 1=>2\n@6 2>f~\n@7 2>a\n@8 2<\n@9 2<\n",
	    SWITCH(5, 0x1000, 7, "new"), RETURN(6, K(10), FN('f')), CALL(7, K(10), FN('a')),
	    RETURN(8, K(10), FN('f') + 5), SYSRET(9));
}

TEST(min_insns_keeps_every_ancestor_of_what_it_keeps)
{
	static const struct dv_callgraph_filter filter = {.min_insns = 10};

	RUN_FILTERED(&filter, "@10 " FIRMWARE "@10 1>a\n@22 1>c\n@40 1<\n@50 1<\n", CALL(10, K(1), FN('a')),
		     CALL(12, K(3), FN('b')), RETURN(15, K(3), 0), CALL(22, K(3), FN('c')),
		     CALL(23, K(5), FN('d')), RETURN(30, K(5), 0), RETURN(40, K(3), 0), RETURN(50, K(1), 0));
}

TEST(min_insns_begins_what_is_still_open_at_the_end)
{
	static const struct dv_callgraph_filter filter = {.min_insns = 1000};

	RUN_FILTERED(&filter, "@10 " FIRMWARE "@10 1>a\n", CALL(10, K(1), FN('a')));
}

TEST(max_depth_leaves_out_what_is_deeper)
{
	static const struct dv_callgraph_filter filter = {.max_depth = 2};

	RUN_FILTERED(&filter, "@10 " FIRMWARE "@10 1>a\n@20 1>b\n@40 1<\n", CALL(10, K(1), FN('a')),
		     CALL(20, K(3), FN('b')), CALL(25, K(5), FN('c')), RETURN(30, K(5), 0), RETURN(40, K(3), 0));
}

TEST(ignore_below_shows_the_function_and_not_its_callees)
{
	RUN("@10 " FIRMWARE "@10 1>a\n@20 1>x\n@40 1<\n@50 1>c\n", CALL(10, K(1), FN('a')),
	    CALL(20, K(3), FN('x')), CALL(25, K(5), FN('b')), RETURN(30, K(5), 0), RETURN(40, K(3), 0),
	    CALL(50, K(3), FN('c')));
}

TEST(starting_from_and_stopping_at_bound_the_trace)
{
	static const struct dv_callgraph_filter filter = {.from_start_target = true};

	RUN_FILTERED(&filter, "@5 " FIRMWARE "@5 thread 2 is 7 one\n@5 1=>2\n@20 2>s\n@25 2>b\n@30 2<\n@30 2<\n",
		     SWITCH(5, 0x1000, 7, "one"), CALL(10, K(1), FN('a')), CALL(20, K(3), FN('s')),
		     CALL(25, K(5), FN('b')), CALL(30, K(7), FN('p')), CALL(35, K(9), FN('c')),
		     RETURN(50, K(1), 0));
}

TEST(during_shows_one_command_alone)
{
	static const struct dv_callgraph_filter filter = {.during = "ls"};

	RUN_FILTERED(&filter, "@5 " FIRMWARE "@5 thread 2 is 7 sh\n@5 1=>2\n@9 thread 2 is 7 ls\n@10 2>b\n@20 2<\n",
		     SWITCH(5, 0x1000, 7, "sh"), CALL(6, K(1), FN('a')), RENAME(9, 0x1000, 7, "ls"),
		     CALL(10, K(3), FN('b')), RETURN(20, K(3), 0), RETURN(30, K(1), 0));
}

TEST(endless_recursion_is_bounded)
{
	enum { DEPTH = DV_CALLGRAPH_MAX_FRAMES + 100 };
	struct dv_event *events = calloc(DEPTH, sizeof(*events));
	struct dv_callgraph_options options = {.resolve = resolve, .filter = {.during = "nobody"}};
	struct dv_callgraph *cg;
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	options.sink = (struct dv_frame_sink){on_thread, on_begin, on_end, on_switched, on_print, NULL, &out};
	for (uint64_t i = 0; i < DEPTH; i++)
		events[i] = (struct dv_event)CALL(i, U(2 * i), FN('A'));
	CHECK_OK(dv_callgraph_create(&options, &cg));
	dv_callgraph_feed(cg, events, DEPTH);
	CHECK_EQ(dv_callgraph_counts(cg).dropped_frames, 100);
	dv_callgraph_destroy(cg);
	free(events);
}
