/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What gdb asks of a timeline. What only looks at the guest goes to QEMU's stub and back as it is. What sets
 * the guest going becomes a move of the timeline. What would change the guest is refused: a replay that is
 * changed is no replay. Breakpoints are kept here and given to QEMU for the time of a run alone.
 *
 * Packets: gdb's manual, appendix "Remote Serial Protocol".
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "replay/timeline_private.h"

#define REFUSED "E.DejaView replays a recording: it cannot be changed"
#define MAX_MONITOR_BYTES 1024

static void note_thread(struct dv_timeline *t, const char *answer)
{
	const char *at = strstr(answer, "thread:"), *end = at ? strchr(at, ';') : NULL;

	if (end && (size_t)(end + 1 - at) < sizeof(t->gdb_thread))
		snprintf(t->gdb_thread, sizeof(t->gdb_thread), "%.*s", (int)(end + 1 - at), at);
}

/* To QEMU and back. A QEMU that has gone is replaced, at the moment where the guest stood. */
static struct dv_error *pass_on(struct dv_timeline *t, const char *packet, const char **ret)
{
	struct dv_error *err = NULL;

	for (int tries = 0; tries < 2; tries++) {
		struct dv_timeline_now now;
		struct dv_where where;

		err = t->is_open ? dv_gdb_ask(t->replay.gdb, packet, ret) :
				   dv_error_new(DV_ERROR_EXITED, "there is no replay");
		if (!timeline_is_gone(err) || tries)
			return err;
		dv_timeline_now(t, &now);
		DV_TRY(timeline_replace(t, err->message));
		dv_error_destroy(err);
		DV_TRY(timeline_seek(t, now.where.icount, now.where.registers.rip, &where));
	}
	return err;
}

struct dv_error *timeline_gdb_introduce(struct dv_timeline *t)
{
	const char *answer;

	if (!t->gdb_features)
		return NULL;
	return dv_gdb_ask(t->replay.gdb, t->gdb_features, &answer);
}

static void forward(struct dv_timeline *t, const char *packet)
{
	const char *answer = "";
	struct dv_error *err;

	if (!strncmp(packet, "qSupported", strlen("qSupported"))) {
		free(t->gdb_features);
		t->gdb_features = strdup(packet);
	}
	err = pass_on(t, packet, &answer);
	if (err) {
		timeline_note(t, "gdb: %s", err->message);
		dv_gdb_server_answer(&t->server, "E01");
		dv_error_destroy(err);
		return;
	}
	if (*packet == '?')
		note_thread(t, answer);
	dv_gdb_server_answer(&t->server, answer);
}

/* "Z0,ffffffff81000000,1" */
static void set_point(struct dv_timeline *t, const char *packet)
{
	char type = packet[1], *end;
	uint64_t vaddr = packet[2] == ',' ? strtoull(packet + 3, &end, 16) : 0;
	uint64_t bytes = packet[2] == ',' && *end == ',' ? strtoull(end + 1, NULL, 16) : 0;
	struct point *found = NULL;

	if (type < '0' || type > '4' || packet[2] != ',' || !bytes) {
		dv_gdb_server_answer(&t->server, "E22");
		return;
	}
	if (type < '2')
		bytes = 1; /* its kind, not a length */
	for (size_t i = 0; i < t->points_len && !found; i++)
		if (t->points[i].type == type && t->points[i].vaddr == vaddr && t->points[i].bytes == bytes)
			found = &t->points[i];
	if (*packet == 'z' && found) {
		found->by_gdb = false;
		if (!found->by_us)
			*found = t->points[--t->points_len];
	} else if (*packet == 'Z' && !found) {
		if (t->points_len == MAX_POINTS) {
			dv_gdb_server_answer(&t->server, "E.DejaView has no room for more breakpoints");
			return;
		}
		t->points[t->points_len++] = (struct point){.type = type, .vaddr = vaddr, .bytes = bytes, .by_gdb = true};
	} else if (found) {
		found->by_gdb = true;
	}
	dv_gdb_server_answer(&t->server, "OK");
}

static void answer_stop(struct dv_timeline *t, const struct dv_timeline_now *now)
{
	char text[128];

	switch (now->why) {
	case DV_WHY_WATCHPOINT:
		snprintf(text, sizeof(text), "T05%swatch:%" PRIx64 ";", t->gdb_thread, now->address);
		break;
	case DV_WHY_END: snprintf(text, sizeof(text), "T05%sreplaylog:end;", t->gdb_thread); break;
	case DV_WHY_BEGIN: snprintf(text, sizeof(text), "T05%sreplaylog:begin;", t->gdb_thread); break;
	case DV_WHY_INTERRUPT:
	case DV_WHY_FAILED: snprintf(text, sizeof(text), "T02%s", t->gdb_thread); break;
	default: snprintf(text, sizeof(text), "T05%s", t->gdb_thread); break;
	}
	dv_gdb_server_answer(&t->server, text);
}

static void resume(struct dv_timeline *t, enum dv_timeline_verb verb)
{
	struct dv_timeline_command command = {.verb = verb, .rip = DV_NO_RIP};
	struct dv_timeline_now now;
	struct dv_error *err;

	dv_timeline_now(t, &now);
	atomic_store(&t->interrupted, false);
	t->gdb_waits = true;
	err = timeline_command(t, &command, &now);
	t->gdb_waits = false;
	if (err) {
		timeline_note(t, "gdb: %s", err->message);
		now.why = DV_WHY_FAILED;
	}
	dv_error_destroy(err);
	answer_stop(t, &now);
}

/* "vCont;s:p1.1;c" and the like; there is one CPU. */
static bool resume_by_vcont(struct dv_timeline *t, const char *packet)
{
	char action = packet[strlen("vCont;")];

	if (action == 's' || action == 'S')
		resume(t, DV_TIMELINE_STEP);
	else if (action == 'c' || action == 'C')
		resume(t, DV_TIMELINE_CONTINUE);
	else
		return false;
	return true;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* `monitor info ...` looks; other commands of QEMU's monitor would move or change the machine. */
static void monitor(struct dv_timeline *t, const char *packet)
{
	const char *hex = packet + strlen("qRcmd,"), *answer;
	struct dv_error *err = NULL;
	char text[6] = "";

	for (size_t i = 0; i < 5 && hex_value(hex[2 * i]) >= 0 && hex_value(hex[2 * i + 1]) >= 0; i++)
		text[i] = (char)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
	if (strcmp(text, "info ") || strlen(packet) > MAX_MONITOR_BYTES) {
		dv_gdb_server_answer(&t->server, "E.DejaView lets only \"monitor info ...\" through");
		return;
	}
	err = pass_on(t, packet, &answer);
	while (!err && answer && *answer == 'O' && answer[1] != 'K') {
		dv_gdb_server_answer(&t->server, answer);
		err = dv_gdb_receive(t->replay.gdb, (int)t->replay.moves.stuck_ms, &answer);
	}
	dv_gdb_server_answer(&t->server, err || !answer ? "E01" : answer);
	dv_error_destroy(err);
}

static bool begins(const char *packet, const char *with)
{
	return !strncmp(packet, with, strlen(with));
}

void timeline_gdb_packet(struct dv_timeline *t, const char *packet)
{
	if (!strcmp(packet, "bs"))
		resume(t, DV_TIMELINE_STEP_BACK);
	else if (!strcmp(packet, "bc"))
		resume(t, DV_TIMELINE_REVERSE_CONTINUE);
	else if (begins(packet, "vCont;") && resume_by_vcont(t, packet))
		return;
	else if (*packet == 's' || *packet == 'S')
		resume(t, DV_TIMELINE_STEP);
	else if (*packet == 'c' || *packet == 'C')
		resume(t, DV_TIMELINE_CONTINUE);
	else if (*packet == 'Z' || *packet == 'z')
		set_point(t, packet);
	else if (begins(packet, "qRcmd,"))
		monitor(t, packet);
	else if (begins(packet, "vKill") || *packet == 'D')
		dv_gdb_server_answer(&t->server, "OK");
	else if (*packet == 'M' || *packet == 'X' || *packet == 'G' || *packet == 'P')
		dv_gdb_server_answer(&t->server, REFUSED);
	else if (begins(packet, "vRun") || begins(packet, "vFlash") || *packet == 'R' || begins(packet, "Q"))
		dv_gdb_server_answer(&t->server, "");
	else if (*packet != 'k') /* gdb's goodbye: no answer is awaited */
		forward(t, packet);
}
