/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library of tails.c. */
#define KEEP __attribute__((noipa))

static volatile int sink;

KEEP static int inner(int n)
{
	return sink += n;
}

KEEP int from_tails(int n)
{
	sink++;
	return inner(n + 1);
}

KEEP int again_from_tails(int n)
{
	sink++;
	inner(n);
	return from_tails(n);
}
