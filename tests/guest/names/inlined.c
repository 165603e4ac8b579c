/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is inlined into what, by line: see names_test.py. */
static volatile int sink;

static inline __attribute__((always_inline)) void innermost(int n)
{
	sink = n;
}

static inline __attribute__((always_inline)) void middle(int n)
{
	innermost(n + 1);
}

__attribute__((noinline)) void outermost(int n)
{
	middle(n);
}

int main(void)
{
	outermost(sink);
	return 0;
}
