/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-seek RECORDING [SEEKS]: how long it takes to any moment of a recording, and whether it is the right one.
 *
 * Random moments are first visited in the order of time by a replay that starts at the beginning and uses no
 * checkpoint: that is what is right. Then they are sought in random order, forward and backward, as a debugging
 * session does it. Prints the distribution, what the checkpoints cost, and how long it takes to gdb's prompt.
 * Exit code 1 when a single seek was not exact.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/buf.h"
#include "replay/session.h"

#define DEFAULT_SEEKS 200
#define PROMPT_TIMEOUT_MS 60000

struct probe {
	uint64_t icount, rip;
	double seconds;
	bool exact;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t random_u64(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 11;
}

static int by_icount(const void *a, const void *b)
{
	const struct probe *x = a, *y = b;

	return x->icount < y->icount ? -1 : x->icount > y->icount;
}

static int by_seconds(const void *a, const void *b)
{
	const struct probe *x = a, *y = b;

	return x->seconds < y->seconds ? -1 : x->seconds > y->seconds;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct dv_error *visit_straight(const struct dv_recording *r, struct probe *probes, size_t len)
{
	_cleanup_replay_ struct dv_replay replay = DV_REPLAY_INIT;
	struct dv_where where;

	DV_TRY(dv_replay_open_bare(r, NULL, &replay));
	for (size_t i = 0; i < len; i++) {
		DV_TRY(dv_replay_seek(&replay, probes[i].icount, DV_NO_RIP, &where));
		probes[i].rip = where.registers.rip;
	}
	return NULL;
}

static struct dv_error *seek_all(struct dv_timeline *timeline, struct probe *probes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct dv_timeline_command command = {.verb = DV_TIMELINE_SEEK, .icount = probes[i].icount,
						      .rip = DV_NO_RIP};
		struct dv_timeline_now now;
		double start = now_s();

		DV_TRY(dv_timeline_do(timeline, &command, &now));
		probes[i].seconds = now_s() - start;
		probes[i].exact = now.where.icount == probes[i].icount && now.where.registers.rip == probes[i].rip;
	}
	return NULL;
}

static void print_seeks(struct probe *probes, size_t len, size_t *ret_exact)
{
	*ret_exact = 0;
	for (size_t i = 0; i < len; i++) {
		*ret_exact += probes[i].exact;
		if (!probes[i].exact)
			printf("  not exact: icount %" PRIu64 ", straight replay stands on 0x%" PRIx64 "\n", probes[i].icount,
			       probes[i].rip);
	}
	qsort(probes, len, sizeof(*probes), by_seconds);
	printf("seeks                 %8zu      exact %zu\n", len, *ret_exact);
	printf("  median              %8.3f s    aim <= 0.25\n", probes[len / 2].seconds);
	printf("  95th percentile     %8.3f s    aim <= 0.6\n", probes[len * 95 / 100].seconds);
	printf("  fastest, slowest    %8.3f s    %.3f s\n", probes[0].seconds, probes[len - 1].seconds);
}

static struct dv_error *print_checkpoints(const struct dv_recording *r)
{
	_cleanup_checkpoints_ struct dv_checkpoints set = {0};
	_cleanup_free_ uint32_t *ms = NULL;

	DV_TRY(dv_checkpoints_open(r, &set));
	ms = calloc(set.len + 1, sizeof(*ms));
	if (!ms)
		return dv_error_no_memory();
	for (size_t i = 0; i < set.len; i++)
		ms[i] = set.items[i].save_ms;
	qsort(ms, set.len, sizeof(*ms), by_value);
	printf("checkpoints           %8zu      %.0f MiB\n", set.len, (double)set.bytes / 1048576.0);
	if (set.len)
		printf("  making one          %8.3f s    median; %.3f s the slowest; aim <= 0.2\n", ms[set.len / 2] / 1e3,
		       ms[set.len - 1] / 1e3);
	return NULL;
}

/* From nothing to gdb's first prompt, in the middle of the recording. */
static struct dv_error *time_prompt(const struct dv_recording *r)
{
	_cleanup_(dv_session_destroyp) struct dv_session *session = NULL;
	struct dv_session_options options = {0};
	struct dv_timeline_command to = {.verb = DV_TIMELINE_SEEK, .icount = dv_recording_common_icount(r) / 2,
					 .rip = DV_NO_RIP};
	_cleanup_buf_ struct dv_buf seen = DV_BUF_INIT;
	double start = now_s();

	DV_TRY(dv_session_create(r, &options, &session));
	DV_TRY(dv_timeline_post(dv_session_timeline(session), &to, NULL, NULL));
	DV_TRY(dv_session_start_gdb(session, &(struct dv_gdb_options){0}));
	while (!seen.len || !memmem(seen.data, seen.len, "(gdb) ", 6)) {
		struct pollfd p = {.fd = dv_session_terminal_fd(session), .events = POLLIN};
		uint8_t *room = dv_buf_reserve(&seen, 4096);
		ssize_t n = room && poll(&p, 1, PROMPT_TIMEOUT_MS) > 0 ? read(p.fd, room, 4096) : -1;

		if (n <= 0)
			return dv_error_new(DV_ERROR_TIMEOUT, "gdb came to no prompt");
		seen.len += (size_t)n;
	}
	printf("to gdb's prompt       %8.3f s    aim <= 1.5\n", now_s() - start);
	return NULL;
}

static struct dv_error *run(const char *folder, size_t len, size_t *ret_exact)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;
	_cleanup_(dv_timeline_destroyp) struct dv_timeline *timeline = NULL;
	_cleanup_free_ struct probe *probes = calloc(len, sizeof(*probes));
	struct dv_timeline_options options = {.no_background = true};
	uint64_t state = 1;

	if (!probes)
		return dv_error_no_memory();
	DV_TRY(dv_recording_open(folder, &r));
	for (size_t i = 0; i < len; i++)
		probes[i].icount = 1 + random_u64(&state) % (dv_recording_common_icount(r) - 1);
	qsort(probes, len, sizeof(*probes), by_icount);
	DV_TRY(visit_straight(r, probes, len));
	for (size_t i = len - 1; i > 0; i--) {
		size_t k = random_u64(&state) % (i + 1);
		struct probe swapped = probes[i];

		probes[i] = probes[k];
		probes[k] = swapped;
	}
	DV_TRY(dv_timeline_create(r, &options, &timeline));
	DV_TRY(seek_all(timeline, probes, len));
	print_seeks(probes, len, ret_exact);
	DV_TRY(print_checkpoints(r));
	return time_prompt(r);
}

int main(int argc, char **argv)
{
	size_t len = argc > 2 ? strtoul(argv[2], NULL, 10) : DEFAULT_SEEKS, exact = 0;
	struct dv_error *err;

	if (argc < 2 || !len) {
		fputs("usage: bench-seek RECORDING [SEEKS]\n", stderr);
		return 2;
	}
	err = run(argv[1], len, &exact);
	if (err)
		fprintf(stderr, "bench-seek: %s\n", err->message);
	dv_error_destroy(err);
	return err || exact != len;
}
