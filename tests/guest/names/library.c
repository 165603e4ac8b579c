/* SPDX-License-Identifier: GPL-2.0-or-later */
int from_library(int n);

__attribute__((noinline)) static int hidden(int n)
{
	volatile int twice = n * 2;

	return twice;
}

int from_library(int n)
{
	volatile int result = hidden(n);

	return result;
}
