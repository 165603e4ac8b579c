/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A position-independent program with a library of its own. */
#include <stdlib.h>

int from_library(int n);

__attribute__((noinline)) static int recurse(int n)
{
	return n ? recurse(n - 1) + 1 : 0;
}

static inline __attribute__((always_inline)) void keep(volatile int *to, int value)
{
	*to = value;
}

__attribute__((noinline)) int outer(int n)
{
	volatile int depth;

	keep(&depth, recurse(n));
	return depth;
}

int main(void)
{
	char *volatile memory = malloc(100);

	memory[0] = (char)(outer(5) + from_library(3));
	free(memory);
	return 0;
}
