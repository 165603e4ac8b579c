/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tail calls of every kind, -O2: see tails.py, which has the call tree. Two processes run it at once, by turns: the
 * first one's argument is "first"; a byte on descriptor 11 is the other's turn, one on 10 is ours.
 */
#include <unistd.h>

#define KEEP __attribute__((noipa))
#define FROM_OTHER 10
#define TO_OTHER 11

int from_tails(int n), again_from_tails(int n);

static volatile int sink;

KEEP int leaf(int n)
{
	return sink += n;
}

KEEP int direct(int n)
{
	sink++;
	return leaf(n + 1);
}

KEEP int middle(int n)
{
	sink++;
	return direct(n + 1);
}

KEEP int calls_first(int n)
{
	leaf(n);
	return direct(n);
}

KEEP int through_linkage(int n)
{
	sink++;
	return from_tails(n + 1);
}

struct table {
	int number;
	int (*function)(int n);
};

KEEP int by_register(int n, int (*function)(int n))
{
	sink++;
	return function(n);
}

KEEP int by_memory(int n, const struct table *table)
{
	sink++;
	return table->function(n);
}

KEEP int odd(int n);
KEEP int even(int n)
{
	sink++;
	return n ? odd(n - 1) : 1;
}

KEEP int odd(int n)
{
	sink++;
	return n ? even(n - 1) : 0;
}

/* Jumps that stay where they are: loops, branches, a table of cases. */
KEEP int loops(int n)
{
	for (int i = 0; i < n; i++) {
		if (sink & 1)
			sink += 3;
		else
			sink += leaf(0) & 1;
	}
	return sink;
}

KEEP int cases(int n)
{
	switch (n) {
	case 0: return sink += 5;
	case 1: return sink ^= 17;
	case 2: return sink *= 3;
	case 3: return sink -= n * sink;
	case 4: sink |= 64; break;
	case 5: return sink = -sink;
	case 6: sink &= ~8; break;
	}
	return leaf(n);
}

/* So many that the recorder has learnt, before the next round, which of these jumps it need not send. */
KEEP void spins(int n)
{
	static const void *const steps[] = {&&add, &&double_, &&subtract, &&next};

next:
	if (!n--)
		return;
	goto *steps[n % 3];
add:
	sink += n;
	goto *steps[3];
double_:
	sink *= 2;
	if (sink & 1)
		goto next;
	sink++;
	goto *steps[3];
subtract:
	sink -= n;
	goto next;
}

KEEP void all(void)
{
	const struct table table = {1, middle};

	direct(1);
	middle(1);
	calls_first(1);
	through_linkage(1);
	by_register(1, direct);
	by_memory(1, &table);
	even(4);
	loops(4);
	spins(500000);
	for (int i = 2; i < 7; i++)
		cases(i);
	again_from_tails(2);
}

int main(int argc, char **argv)
{
	char turn = 0;

	(void)argv;
	for (int i = 0; i < 3; i++) {
		if ((argc < 2 || i) && read(FROM_OTHER, &turn, 1) != 1)
			return 1;
		all();
		if (write(TO_OTHER, &turn, 1) != 1)
			return 1;
	}
	return 0;
}
