/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The golden guest's whole user space: /init, without a C library, so that golden.expected can list every
 * call that it makes. It ends by powering the machine off.
 */
#define SYS_write 1
#define SYS_fork 57
#define SYS_exit 60
#define SYS_wait4 61
#define SYS_reboot 169
#define KEEP __attribute__((noinline, noclone, noipa))

static volatile long sink;
static void *landing[5];
static char pages[64 << 12];

static inline __attribute__((always_inline)) long system_call(long nr, long a, long b, long c)
{
	register long r10 __asm__("r10") = 0;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

KEEP static void leaf(void)
{
	sink++;
}

KEEP static void nest_b(void)
{
	leaf();
	leaf();
}

KEEP static void nest_a(void)
{
	nest_b();
	leaf();
}

KEEP static long factorial(long n)
{
	return n < 2 ? 1 : n * factorial(n - 1);
}

KEEP static void callback(void)
{
	sink += 2;
}

KEEP static void apply(void (*function)(void), int times)
{
	while (times--)
		function();
}

KEEP static void thrower(void)
{
	leaf();
	__builtin_longjmp(landing, 1);
}

KEEP static void between(void)
{
	thrower();
	sink++;
}

KEEP static void catcher(void)
{
	if (!__builtin_setjmp(landing))
		between();
	leaf();
}

/*
 * As longjmp() and a tail call by -fno-plt: what was called in between is still open when the jump through a slot of the
 * GOT comes, and its callee is not called by that. In assembly, since gcc makes no tail call of it here.
 */
KEEP static void goes_on(void)
{
	leaf();
}

__attribute__((used)) static void (*slot_of_goes_on)(void) = goes_on;
__attribute__((used)) static long saved_stack;

__attribute__((naked, noinline)) static void thrower_in_assembly(void)
{
	__asm__("call leaf\n"
		"mov saved_stack(%rip), %rsp\n"
		"jmp .Llanding");
}

__attribute__((naked, noinline)) static void catcher_in_assembly(void)
{
	__asm__("mov %%rsp, saved_stack(%%rip)\n"
		"sub $8, %%rsp\n"
		"call %P0\n"
		".balign 16\n" /* as an entry of a linkage table, which it is not */
		".Llanding:\n"
		"jmp *slot_of_goes_on(%%rip)" : : "i"(thrower_in_assembly));
}

/* Each touch is a page fault in the middle of the function. */
KEEP static void touch(long page)
{
	pages[page << 12] = 1;
	leaf();
}

KEEP static void faults(void)
{
	for (long page = 0; page < 8; page++)
		touch(page);
}

KEEP static void child(void)
{
	nest_a();
}

KEEP static void parent(long pid)
{
	system_call(SYS_wait4, pid, 0, 0);
	leaf();
}

KEEP static void say(const char *text, long len)
{
	system_call(SYS_write, 1, (long)text, len);
}

KEEP static void all(void)
{
	long pid;

	nest_a();
	sink = factorial(5);
	apply(callback, 3);
	catcher();
	catcher_in_assembly();
	leaf();
	faults();
	pid = system_call(SYS_fork, 0, 0, 0);
	if (!pid) {
		child();
		system_call(SYS_exit, 0, 0, 0);
	}
	parent(pid);
	say("golden\n", 7);
}

__attribute__((used, force_align_arg_pointer, noreturn)) void _start(void)
{
	all();
	for (;;)
		system_call(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc);
}
