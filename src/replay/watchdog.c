/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/watchdog.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Besides twice the guest's longest idle time: for a host that is slow to read a disk or to give CPU time. */
#define QUIET_MS 3000u
/* Of the time it has been standing, less than this part in the CPU is quiet. Our questions take some. */
#define QUIET_PARTS 10
/* Between two looks at most so much counts: the one who looks may have been held up itself. */
#define MAX_LOOK_MS 500

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0: it has ended. */
static uint64_t cpu_ns_of(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct dv_watchdog dv_watchdog_make(const struct dv_machine *machine, unsigned busy_ms)
{
	int64_t idle_ms = machine->recording->longest_idle_ms;
	struct dv_watchdog dog = {.pid = machine->process.pid, .busy_ms = busy_ms, .quiet_ms = busy_ms,
				  .icount = UINT64_MAX};

	if (idle_ms >= 0 && 2 * idle_ms + QUIET_MS < busy_ms)
		dog.quiet_ms = (unsigned)(2 * idle_ms) + QUIET_MS;
	return dog;
}

static bool is_quiet(const struct dv_watchdog *dog)
{
	return dog->still_ms > dog->quiet_ms && dog->since_cpu_ns / 1000000 < dog->still_ms / QUIET_PARTS;
}

bool dv_watchdog_see(struct dv_watchdog *dog, uint64_t icount, int64_t now_ms, uint64_t cpu_ns)
{
	int64_t since_ms = now_ms - dog->looked_ms;

	dog->looked_ms = now_ms;
	if (icount != dog->icount) {
		dog->icount = icount;
		dog->still_ms = 0;
		dog->cpu_ns = cpu_ns;
		return false;
	}
	dog->still_ms += (unsigned)(since_ms < MAX_LOOK_MS ? since_ms : MAX_LOOK_MS);
	/* One that has ended is not stuck: that is found out elsewhere. */
	dog->since_cpu_ns = cpu_ns > dog->cpu_ns ? cpu_ns - dog->cpu_ns : cpu_ns ? 0 : UINT64_MAX;
	return dog->still_ms > dog->busy_ms || (!dog->patient && is_quiet(dog));
}

bool dv_watchdog_look(struct dv_watchdog *dog, uint64_t icount)
{
	return dv_watchdog_see(dog, icount, now_ms(), cpu_ns_of(dog->pid));
}

/* The file offset of the descriptor that QEMU has the log open with; -1: it is not found. */
static int64_t log_position(pid_t pid, const char *log)
{
	char path[64], target[4096], line[64];
	long long pos = -1;

	for (int fd = 3; fd < 64 && pos < 0; fd++) {
		ssize_t len;
		FILE *info;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = 0;
		if (strcmp(target, log))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
		info = fopen(path, "re");
		if (info && (!fgets(line, sizeof(line), info) || sscanf(line, "pos: %lld", &pos) != 1))
			pos = -1;
		if (info)
			fclose(info);
	}
	return pos;
}

bool dv_watchdog_log_is_over(const struct dv_watchdog *dog, const struct dv_machine *machine)
{
	_cleanup_free_ char *log = dv_recording_path(machine->recording, DV_QEMU_LOG);
	struct stat st;

	return dog->still_ms > 2 * dog->quiet_ms && log && !stat(log, &st) &&
	       log_position(dog->pid, log) >= st.st_size;
}
