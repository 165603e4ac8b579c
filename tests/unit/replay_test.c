/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log's walk and repair, manifests, and the two clients against a peer on a socket pair. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "replay/gdbremote.h"
#include "replay/log.h"
#include "replay/qmp.h"
#include "replay/recording.h"
#include "replay/scratch.h"
#include "replay/watchdog.h"
#include "test.h"

#define HEAD(v0, v1, v2, v3) v0, v1, v2, v3, 0, 0, 0, 0, 0, 0, 0, 0
#define VERSION HEAD(0x00, 0xe0, 0x20, 0x0c)

static const uint8_t whole_log[] = {
	VERSION,
	0, 0, 0, 1, 0,			    /* 256 instructions */
	1,				    /* interrupt */
	28, 0, 0, 0, 0, 0, 0, 0, 9,	    /* clock */
	7, 0, 0, 0, 0, 2, 'l', 's',	    /* two bytes typed */
	0, 0, 0, 0, 7,			    /* 7 instructions */
	16,				    /* the guest powers off */
	0, 0, 0, 0, 3,			    /* 3 instructions more */
	39,				    /* end */
};

struct seen {
	uint64_t interrupt_icount, async_offset;
	int events;
};

static bool see(void *context, const struct dv_log_event *event)
{
	struct seen *seen = context;

	seen->events++;
	if (event->kind == DV_LOG_INTERRUPT)
		seen->interrupt_icount = event->icount;
	if (event->kind == DV_LOG_ASYNC)
		seen->async_offset = event->offset;
	return true;
}

TEST(log_is_walked)
{
	struct dv_log_summary sum;
	struct seen seen = {0};

	CHECK_OK(dv_log_walk(whole_log, sizeof(whole_log), see, &seen, &sum));
	CHECK_EQ(sum.last_icount, 266);
	CHECK_EQ(sum.common_icount, 263);
	CHECK_EQ(sum.events, 8);
	CHECK_EQ(sum.whole_bytes, sizeof(whole_log));
	CHECK(sum.ended);
	CHECK_EQ(seen.events, 8);
	CHECK_EQ(seen.interrupt_icount, 256);
	CHECK_EQ(seen.async_offset, 27);
}

#define CLOCK(seconds) 29, 0, 0, 0, (uint8_t)((seconds) * 1000000000ull >> 32), (uint8_t)((seconds) * 1000000000ull >> 24), \
	(uint8_t)((seconds) * 1000000000ull >> 16), (uint8_t)((seconds) * 1000000000ull >> 8), (uint8_t)((seconds) * 1000000000ull)
#define INSTRUCTIONS 0, 0, 0, 0, 7

TEST(log_says_how_long_nothing_ran)
{
	static const uint8_t log[] = {
		VERSION, CLOCK(100), CLOCK(101), INSTRUCTIONS, CLOCK(103), CLOCK(106), INSTRUCTIONS, INSTRUCTIONS,
		CLOCK(107), INSTRUCTIONS, CLOCK(106), CLOCK(110),
	};
	struct dv_log_summary sum;

	CHECK_OK(dv_log_walk(log, sizeof(log), NULL, NULL, &sum));
	CHECK_EQ(sum.longest_idle_ns, 5000000000);
	CHECK_OK(dv_log_walk(whole_log, sizeof(whole_log), NULL, NULL, &sum));
	CHECK_EQ(sum.longest_idle_ns, 0);
}

static bool is_stuck_after(unsigned seconds, unsigned cpu_percent, int64_t idle_ms, bool patient, uint64_t icounts)
{
	struct dv_recording recording = {.longest_idle_ms = idle_ms};
	struct dv_machine machine = {.recording = &recording};
	struct dv_watchdog dog = dv_watchdog_make(&machine, 10000);
	bool stuck = false;

	dog.patient = patient;
	for (unsigned ms = 0; ms <= seconds * 1000 && !stuck; ms += 100)
		stuck = dv_watchdog_see(&dog, ms < 500 ? ms : 500 + ms % icounts, 5000 + ms,
					1000000000 + ms * cpu_percent * 10000ull);
	return stuck;
}

TEST(a_watchdog_tells_idle_from_stuck)
{
	CHECK(!is_stuck_after(600, 0, 0, false, UINT32_MAX)); /* it goes on */
	CHECK(!is_stuck_after(3, 0, 0, false, 1));
	CHECK(is_stuck_after(5, 0, 0, false, 1));
	CHECK(!is_stuck_after(6, 0, 2000, false, 1)); /* the guest once slept for 2 s */
	CHECK(is_stuck_after(9, 0, 2000, false, 1));
	CHECK(!is_stuck_after(9, 50, 0, false, 1)); /* it computes */
	CHECK(is_stuck_after(12, 50, 0, false, 1));
	CHECK(!is_stuck_after(9, 0, -1, false, 1)); /* the log is not known */
	CHECK(!is_stuck_after(9, 0, 0, true, 1));
	CHECK(is_stuck_after(12, 0, 0, true, 1));
}

TEST(log_cut_anywhere_ends_at_a_whole_event)
{
	for (size_t len = DV_LOG_HEADER_BYTES; len < sizeof(whole_log); len++) {
		struct dv_log_summary sum;

		CHECK_OK(dv_log_walk(whole_log, len, NULL, NULL, &sum));
		CHECK(!sum.ended);
		CHECK(sum.whole_bytes <= len);
	}
}

TEST(log_errors_name_the_place)
{
	static const uint8_t bad_kind[] = {VERSION, 1, 77};
	static const uint8_t other[] = {HEAD(0, 0xe0, 0x20, 0x0b)};
	static const uint8_t long_array[] = {VERSION, 7, 0, 0xff, 0, 0, 0};
	struct dv_log_summary sum;

	CHECK_ERROR(dv_log_walk(bad_kind, sizeof(bad_kind), NULL, NULL, &sum), DV_ERROR_FORMAT,
		    "the log has no valid event (kind 77) at offset 13");
	CHECK_ERROR(dv_log_walk(other, sizeof(other), NULL, NULL, &sum), DV_ERROR_UNSUPPORTED,
		    "the log is of version 0x00e0200b, known is 0x00e0200c");
	CHECK_ERROR(dv_log_walk(long_array, sizeof(long_array), NULL, NULL, &sum), DV_ERROR_FORMAT,
		    "the log has no valid event (kind 7) at offset 12");
	CHECK_ERROR(dv_log_walk(other, 5, NULL, NULL, &sum), DV_ERROR_TRUNCATED,
		    "the log has 5 bytes, fewer than its header's 12");
}

TEST(killed_recorders_log_is_repaired)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "rr.log");
	uint8_t killed[sizeof(whole_log)];
	struct dv_log_summary sum, again;

	memcpy(killed, whole_log, sizeof(killed));
	memset(killed, 0, 4);
	/* Cut inside the typed bytes: of the last group its instructions stay, but for the last of them. */
	CHECK_OK(dv_replace_file(path, killed, 34, 0644));
	CHECK_OK(dv_log_repair(path, &sum));
	CHECK_EQ(sum.version, DV_LOG_VERSION);
	CHECK(sum.ended);
	CHECK_EQ(sum.last_icount, 255);
	CHECK_EQ(sum.common_icount, 255);
	CHECK_EQ(sum.whole_bytes, DV_LOG_HEADER_BYTES + 5 + 2);
	CHECK_OK(dv_log_repair(path, &again));
	CHECK_EQ(again.whole_bytes, sum.whole_bytes);
}

TEST(killed_before_it_ran_anything)
{
	static const uint8_t one[] = {HEAD(0, 0, 0, 0), 30, 0, 0, 0, 0, 1, 1};
	_cleanup_free_ char *path = dv_path_join(test_dir(), "rr.log");
	struct dv_log_summary sum;

	/* Of one instruction none is left. */
	CHECK_OK(dv_replace_file(path, one, sizeof(one), 0644));
	CHECK_OK(dv_log_repair(path, &sum));
	CHECK(sum.ended);
	CHECK_EQ(sum.last_icount, 0);
	CHECK_EQ(sum.whole_bytes, DV_LOG_HEADER_BYTES + 1 + 2);
	/* And of no instructions neither. */
	CHECK_OK(dv_replace_file(path, one, DV_LOG_HEADER_BYTES + 1, 0644));
	CHECK_OK(dv_log_repair(path, &sum));
	CHECK(sum.ended);
	CHECK_EQ(sum.whole_bytes, DV_LOG_HEADER_BYTES + 2);
}

TEST(manifest_that_does_not_parse)
{
	static const char newer[] = "{\"schema\": 2, \"state\": \"complete\", \"plan\": {}}";
	static const char none[] = "{\"a\": 1}";
	static const char stateless[] = "{\"schema\": 1, \"plan\": {}}";
	json_t *manifest;

	CHECK_ERROR(dv_manifest_parse("m", newer, sizeof(newer) - 1, &manifest), DV_ERROR_UNSUPPORTED,
		    "m: schema 2 is newer than this dejaview's 1: use the dejaview that made it");
	CHECK_ERROR(dv_manifest_parse("m", none, sizeof(none) - 1, &manifest), DV_ERROR_FORMAT,
		    "m: no \"schema\": this is no recording's manifest");
	CHECK_ERROR(dv_manifest_parse("m", stateless, sizeof(stateless) - 1, &manifest), DV_ERROR_FORMAT,
		    "m: no \"state\"");
	CHECK_ERROR(dv_manifest_parse("m", "{", 1, &manifest), DV_ERROR_FORMAT,
		    "m: line 1: string or '}' expected near end of file");
}

TEST(folder_that_is_no_recording)
{
	char want[4200];
	struct dv_recording *r;

	snprintf(want, sizeof(want), "%s: not a recording (no manifest.json in it)", test_dir());
	CHECK_ERROR(dv_recording_open(test_dir(), &r), DV_ERROR_NOT_FOUND, want);
}

/* A peer that says everything at once, whatever it is asked. */
static int peer_that_says(const char *text)
{
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CHECK(write(fds[1], text, strlen(text)) == (ssize_t)strlen(text));
	shutdown(fds[1], SHUT_WR);
	return fds[0];
}

#define GREETING "{\"QMP\": {}}\n{\"return\": {}}\n"

TEST(qmp_answers_errors_and_events)
{
	struct dv_qmp *qmp;
	json_t *answer;

	CHECK_OK(dv_qmp_create(peer_that_says(GREETING "{\"event\": \"STOP\"}\n{\"return\": {\"icount\": 5}}\n"
						       "{\"error\": {\"desc\": \"no such thing\"}}\n"),
			       1000, &qmp));
	CHECK_OK(dv_qmp_run(qmp, "query-replay", NULL, 1000, &answer));
	CHECK_EQ(json_integer_value(json_object_get(answer, "icount")), 5);
	json_decref(answer);
	CHECK_OK(dv_qmp_event(qmp, 0, &answer));
	CHECK_STR(json_string_value(json_object_get(answer, "event")), "STOP");
	json_decref(answer);
	CHECK_ERROR(dv_qmp_run(qmp, "x", NULL, 1000, NULL), DV_ERROR_PROTOCOL, "QMP x: no such thing");
	CHECK_ERROR(dv_qmp_run(qmp, "y", NULL, 1000, NULL), DV_ERROR_EXITED, "y: QMP: QEMU closed the connection");
	dv_qmp_destroy(qmp);
}

TEST(qmp_peer_that_is_none)
{
	struct dv_qmp *qmp;

	CHECK_ERROR(dv_qmp_create(peer_that_says("{\"hello\": 1}\n"), 1000, &qmp), DV_ERROR_PROTOCOL,
		    "QMP: the peer's greeting is none");
}

TEST(gdb_packets)
{
	char good[] = "+$T05#b9", noise[] = "++", bad[] = "$T05#b8", cut[] = "$T05#b";
	size_t used;
	bool broken;

	CHECK_STR(dv_gdb_parse_packet(good, 8, &used, &broken), "T05");
	CHECK_EQ(used, 8);
	CHECK(!dv_gdb_parse_packet(noise, 2, &used, &broken) && !broken);
	CHECK_EQ(used, 2);
	CHECK(!dv_gdb_parse_packet(bad, 7, &used, &broken) && broken);
	CHECK_EQ(used, 7);
	CHECK(!dv_gdb_parse_packet(cut, 6, &used, &broken) && !broken);
	CHECK_EQ(used, 0);
}

TEST(gdb_reads_memory)
{
	uint8_t bytes[2];
	struct dv_gdb *gdb;

	CHECK_OK(dv_gdb_create(peer_that_says("$T05#b9+$90c3#ff+$E14#aa+$zz#f4"), 1000, &gdb));
	CHECK_OK(dv_gdb_read_memory(gdb, 0x1000, bytes, 2));
	CHECK_EQ(bytes[0], 0x90);
	CHECK_EQ(bytes[1], 0xc3);
	CHECK_ERROR(dv_gdb_read_memory(gdb, 0x1000, bytes, 2), DV_ERROR_FAULT,
		    "guest memory at 0x1000 is not mapped");
	CHECK_ERROR(dv_gdb_read_memory(gdb, 0x1000, bytes, 1), DV_ERROR_PROTOCOL,
		    "gdb stub: m1000,1: 2 digits");
	dv_gdb_destroy(gdb);
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

TEST(scratch_folders_of_the_dead_are_removed)
{
	const char *dir = test_dir();
	_cleanup_free_ char *left = dv_path_join(dir, ".replay-AbCdEf"), *other = dv_path_join(dir, ".replay-AbCdEfG");
	_cleanup_free_ char *file = dv_path_join(left, "disk.qcow2");
	struct dv_scratch first, second;
	_cleanup_free_ char *mine = NULL;

	CHECK(!mkdir(left, 0700) && !mkdir(other, 0700));
	CHECK_OK(dv_replace_file(file, "x", 1, 0600));
	CHECK_OK(dv_scratch_create(dir, ".replay-", &first));
	CHECK(!exists(left));
	CHECK(exists(other)); /* not a name of ours */
	mine = dv_path_join(first.path, "status");
	CHECK_OK(dv_replace_file(mine, "x", 1, 0600));
	/* One whose maker lives stays. */
	CHECK_OK(dv_scratch_create(dir, ".replay-", &second));
	CHECK(exists(mine));
	dv_scratch_remove(&first);
	CHECK(!exists(mine) && !first.path);
	dv_scratch_remove(&first);
	dv_scratch_remove(&second);
	rmdir(other);
}

TEST(scratch_folders_with_short_paths)
{
	const char *dir = test_dir();
	struct dv_scratch scratch;

	setenv("XDG_RUNTIME_DIR", dir, 1);
	CHECK_OK(dv_scratch_create_short(&scratch));
	CHECK(!strncmp(scratch.path, dir, strlen(dir)));
	dv_scratch_remove(&scratch);
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	setenv("XDG_CACHE_HOME", dir, 1);
	CHECK_OK(dv_scratch_create_short(&scratch));
	CHECK(strstr(scratch.path, "/dejaview/run/dejaview-"));
	dv_scratch_remove(&scratch);
}
