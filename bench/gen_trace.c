/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a trace of as many slices as asked for, shaped as a guest's: `bench-gen-trace FILE [SLICES]`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "trace/writer.h"

#define THREADS 200
#define FUNCTIONS 8000
#define MAX_DEPTH 40

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static char name[32];

	snprintf(name, sizeof(name), "function_%" PRIu64, key);
	*ret = (struct dv_trace_function){.name = name, .vaddr = 0xffffffff81000000 + key * 64};
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

int main(int argc, char **argv)
{
	struct dv_trace_options options = {.path = argc > 1 ? argv[1] : NULL, .exact = true, .describe = describe};
	uint64_t slices = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000000, random = 1, icount = 1000, before = 0;
	uint32_t depth[THREADS + 1] = {0};
	struct dv_trace_writer *w;
	struct dv_error *err;

	if (argc < 2) {
		fprintf(stderr, "usage: bench-gen-trace FILE [SLICES]\n");
		return 2;
	}
	err = dv_trace_writer_create(&options, &w);
	for (uint64_t made = 0, thread = 1, left = 0; !err && made < slices; left--) {
		if (!left) {
			struct dv_trace_thread t = {.id = thread = 1 + next_random(&random) % THREADS};

			t.tid = t.tgid = (int32_t)t.id - 1;
			snprintf(t.comm, sizeof(t.comm), "thread-%" PRIu64, t.id);
			if (!before || !depth[thread])
				dv_trace_writer_thread(w, icount, &t);
			dv_trace_writer_switch(w, icount, 0, before, thread);
			before = thread;
			left = 20000 + next_random(&random) % 60000;
		}
		icount += 1 + next_random(&random) % 120;
		if (depth[thread] < 3 || (depth[thread] < MAX_DEPTH && next_random(&random) & 1)) {
			dv_trace_writer_begin(w, thread, icount, next_random(&random) % FUNCTIONS, DV_SLICE_CALL);
			depth[thread]++;
			made++;
		} else {
			dv_trace_writer_end(w, thread, icount);
			depth[thread]--;
		}
	}
	if (!err)
		err = dv_trace_writer_finish(w, icount);
	if (err)
		fprintf(stderr, "bench-gen-trace: %s\n", err->message);
	return err != NULL;
}
