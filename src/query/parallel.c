/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work on several threads: see parallel.h. */
#include "query/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

struct worker {
	pthread_t thread;
	parallel_fn fn;
	void *context;
	unsigned number, workers;
	bool runs;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	w->fn(w->context, w->number, w->workers);
	return NULL;
}

void parallel_run(unsigned workers, parallel_fn fn, void *context)
{
	struct worker all[PARALLEL_MAX];

	for (unsigned i = 1; i < workers; i++) {
		all[i] = (struct worker){.fn = fn, .context = context, .number = i, .workers = workers};
		all[i].runs = !pthread_create(&all[i].thread, NULL, work, &all[i]);
	}
	fn(context, 0, workers);
	for (unsigned i = 1; i < workers; i++) {
		if (all[i].runs)
			pthread_join(all[i].thread, NULL);
		else
			work(&all[i]);
	}
}

unsigned parallel_workers(unsigned wanted)
{
	cpu_set_t set;
	int cpus = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		cpus = CPU_COUNT(&set);
	if (!wanted)
		wanted = cpus > 0 ? (unsigned)cpus : 1;
	return wanted < PARALLEL_MAX ? wanted : PARALLEL_MAX;
}
