/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of calls_test.py's guest: recursion, callbacks, longjmp, signals, threads and fork. It is compiled with
 * -finstrument-functions and keeps a record of its own calls for each thread, which it prints before it
 * switches the machine off: "calls TID", then "+ADDRESS FRAME" for a function entered, "-ADDRESS" for one left.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNSEEN __attribute__((no_instrument_function, noinline))
#define MAX_CALLS 20000

struct call {
	void *function, *frame; /* frame NULL: left */
};

struct record {
	long tid;
	int count;
	struct call calls[MAX_CALLS];
};

static __thread struct record *mine;
static struct record *all[8];
static volatile int all_count;

UNSEEN static void keep(void *function, void *frame)
{
	if (!mine) {
		mine = calloc(1, sizeof(*mine));
		mine->tid = syscall(SYS_gettid);
		all[__sync_fetch_and_add(&all_count, 1)] = mine;
	}
	if (mine->count < MAX_CALLS)
		mine->calls[mine->count++] = (struct call){function, frame};
}

UNSEEN void __cyg_profile_func_enter(void *function, void *site)
{
	keep(function, __builtin_frame_address(1)); /* where its return address lies, all but 8 */
}

UNSEEN void __cyg_profile_func_exit(void *function, void *site)
{
	keep(function, NULL);
}

UNSEEN static void print_calls(void)
{
	for (int i = 0; i < all_count; i++) {
		printf("calls %ld\n", all[i]->tid);
		for (int k = 0; k < all[i]->count; k++) {
			const struct call *c = &all[i]->calls[k];

			if (c->frame)
				printf("+%lx %lx\n", (long)c->function, (long)c->frame);
			else
				printf("-%lx\n", (long)c->function);
		}
	}
	printf("calls end\n");
	fflush(stdout);
}

/* A fork's child begins a record of its own. */
UNSEEN static void begin_anew(void)
{
	all_count = 0;
	mine = NULL;
}

static jmp_buf out;
static volatile int signals, sink;

static int fibonacci(int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int odd(int n);
static int even(int n)
{
	return n ? odd(n - 1) : 1;
}

static int odd(int n)
{
	return n ? even(n - 1) : 0;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int leaf(int x)
{
	return x * 3 + 1;
}

static int through(int (*callback)(int), int x)
{
	return callback(x) + callback(x + 1);
}

static void dive(int n)
{
	if (!n)
		longjmp(out, 1);
	dive(n - 1);
	leaf(n);
}

static void jumps(void)
{
	for (volatile int i = 0; i < 3; i++) {
		if (!setjmp(out))
			dive(5 + i);
		else
			leaf(i);
	}
}

static void inner_handler(int number)
{
	signals += leaf(number);
}

static void handler(int number)
{
	leaf(number);
	if (number == SIGUSR1)
		raise(SIGUSR2);
	leaf(number);
}

static void jumping_handler(int number)
{
	leaf(number);
	longjmp(out, 2);
}

static void spin(void)
{
	for (int seen = signals; signals == seen;)
		sink++;
}

static void catches(void)
{
	const struct itimerval soon = {.it_value.tv_usec = 2000};
	static char stack[65536];
	const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = inner_handler};

	signal(SIGUSR1, handler);
	signal(SIGUSR2, inner_handler);
	raise(SIGUSR1);
	leaf(1);
	/* In the midst of user code, by an interrupt. */
	signal(SIGALRM, inner_handler);
	setitimer(ITIMER_REAL, &soon, NULL);
	spin();
	/* Two at once, when they are let through. */
	sigset_t both, before;
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	sigprocmask(SIG_BLOCK, &both, &before);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	leaf(2);
	/* Out of the handler without returning. */
	signal(SIGHUP, jumping_handler);
	if (!setjmp(out))
		raise(SIGHUP);
	leaf(3);
	/* On a stack of its own. */
	sigaltstack(&other, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGTERM, &action, NULL);
	raise(SIGTERM);
	leaf(4);
}

static void *worker(void *number)
{
	for (int i = 0; i < 5; i++) {
		fibonacci(3 + (int)(intptr_t)number);
		usleep(500);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[3];

	for (intptr_t i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static pid_t forks(void)
{
	pid_t pid = fork();

	if (!pid)
		begin_anew();
	else
		waitpid(pid, NULL, 0);
	leaf(5);
	return pid;
}

int main(void)
{
	int numbers[20];

	for (int i = 0; i < 20; i++)
		numbers[i] = i * 7 % 20;
	fibonacci(6);
	even(9);
	qsort(numbers, 20, sizeof(numbers[0]), by_value);
	through(leaf, 3);
	jumps();
	catches();
	threads();
	if (!forks()) {
		/* The child has come out of what its parent had called. */
		through(leaf, 6);
		print_calls();
		_exit(0);
	}
	print_calls();
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
