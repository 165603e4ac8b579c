/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A crash to find the cause of: docs/tutorial.md does. It is the guest's /init, and the kernel panics because
 * init dies of a wild jump. Whoever looks at the wreck sees a function pointer that is nonsense. Who wrote
 * that, and when?
 *
 * A pool of requests is handed out and taken back. A helper thread still writes its result into a request
 * that was given to somebody else in the meantime.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

struct request {
	char text[24];
	void (*finish)(struct request *request);
	unsigned long result;
};

static struct request pool[4];
static _Atomic(struct request *) for_helper;
static atomic_int rounds;

static void say_done(struct request *request)
{
	printf("request '%s': %lu\n", request->text, request->result);
}

/* The pool is small, and the oldest request is taken, whoever still has it. */
static struct request *get_request(const char *text)
{
	static unsigned next;
	struct request *request = &pool[next++ % 4];

	memset(request, 0, sizeof(*request));
	snprintf(request->text, sizeof(request->text), "%s", text);
	request->finish = say_done;
	return request;
}

static unsigned long think(unsigned long n)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum = sum * 31 + i;
	return sum;
}

/* What it writes is as long as what it was asked: too long now and then. */
static void store_result(struct request *request, unsigned long value)
{
	char *end = request->text + strlen(request->text);

	sprintf(end, " -> %lx", value);
	request->result = value;
}

static void *help(void *unused)
{
	pthread_setname_np(pthread_self(), "helper");
	for (;;) {
		struct request *request = atomic_exchange(&for_helper, NULL);

		if (request)
			store_result(request, think(30000));
		else
			usleep(1000);
	}
	return unused;
}

static void serve(int round)
{
	char text[24];
	struct request *request;

	snprintf(text, sizeof(text), "round %d", round);
	request = get_request(text);
	if (round % 3 == 0)
		atomic_store(&for_helper, request);
	else
		request->result = think(20000);
	usleep(2000);
	request->finish(request);
	atomic_fetch_add(&rounds, 1);
}

int main(void)
{
	pthread_t helper;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("late-writer: start\n");
	pthread_create(&helper, NULL, help, NULL);
	for (int round = 0;; round++)
		serve(round);
}
