/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the guest stops, and why. gdb says that its own commands ended; the timeline says where the guest
 * stands, and when another client moved it. Both on threads of their own, which must not wait for either.
 */
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

void dap_forget(struct adapter *a)
{
	atomic_fetch_add(&a->moves, 1);
}

/* gdb's reason as the protocol's. */
static const char *dap_reason(const char *reason, const char *signal)
{
	static const struct {
		const char *gdb, *dap;
	} rows[] = {
		{"breakpoint-hit", "breakpoint"},
		{"watchpoint-trigger", "data breakpoint"},
		{"read-watchpoint-trigger", "data breakpoint"},
		{"access-watchpoint-trigger", "data breakpoint"},
		{"end-stepping-range", "step"},
		{"function-finished", "step"},
		{"location-reached", "goto"},
		{"no-history", "step"},
	};

	for (size_t i = 0; reason && i < DV_ARRAY_SIZE(rows); i++) {
		if (!strcmp(rows[i].gdb, reason))
			return rows[i].dap;
	}
	return signal && !strcmp(signal, "SIGINT") ? "pause" : "step";
}

static json_t *stopped_body(struct adapter *a, const json_t *values)
{
	const json_t *value = json_object_get(values, "value");
	const char *old_value = dap_string(value, "old"), *new_value = dap_string(value, "new");
	const char *number = dap_string(values, "bkptno");
	struct dv_timeline_now now;
	char why[160], text[512];
	json_t *body;

	dv_timeline_now(a->target.timeline, &now);
	snprintf(text, sizeof(text), "%s", dv_timeline_why_text(&now, why));
	if (old_value && new_value)
		snprintf(text, sizeof(text), "%.200s -> %.200s", old_value, new_value);
	body = json_pack("{s:s, s:i, s:b, s:s, s:s}", "reason",
			 dap_reason(dap_string(values, "reason"), dap_string(values, "signal-name")), "threadId", CPU_THREAD,
			 "allThreadsStopped", 1, "description", text, "text", text);
	if (number)
		json_object_set_new(body, "hitBreakpointIds", json_pack("[i]", atoi(number)));
	return body;
}

static void tell_where(struct adapter *a)
{
	struct dv_timeline_now now;
	char why[160];

	dv_timeline_now(a->target.timeline, &now);
	dap_event(a, "dejaview", json_pack("{s:I, s:s}", "icount", (json_int_t)now.where.icount, "why",
					   dv_timeline_why_text(&now, why)));
}

static void on_exec(struct adapter *a, const struct dv_mi_line *line)
{
	if (!strcmp(line->class, "running")) {
		dap_forget(a);
		atomic_store(&a->is_running, true);
		if (atomic_load(&a->is_ready) && !atomic_exchange(&a->is_told, true))
			dap_event(a, "continued", json_pack("{s:i, s:b}", "threadId", CPU_THREAD, "allThreadsContinued", 1));
	} else if (!strcmp(line->class, "stopped")) {
		dap_forget(a);
		atomic_store(&a->is_running, false);
		atomic_store(&a->is_told, false);
		if (!atomic_load(&a->is_ready))
			return;
		tell_where(a);
		dap_event(a, "stopped", stopped_body(a, line->values));
	}
}

static void on_text(struct adapter *a, const struct dv_mi_line *line)
{
	bool captured = false;

	pthread_mutex_lock(&a->lock);
	if (a->capture && line->kind != DV_MI_LOG) {
		dv_buf_append(a->capture, line->class, strlen(line->class));
		captured = true;
	}
	pthread_mutex_unlock(&a->lock);
	if (!captured && line->kind != DV_MI_LOG)
		dap_event(a, "output", json_pack("{s:s, s:s}", "category", "console", "output", line->class));
}

void dap_on_line(void *context, const struct dv_mi_line *line)
{
	struct adapter *a = context;

	if (!line && atomic_load(&a->is_ready)) {
		dap_complain(a, "gdb has ended");
		dap_event(a, "terminated", NULL);
	} else if (!line) {
		return;
	} else if (line->kind == DV_MI_EXEC) {
		on_exec(a, line);
	} else if (line->kind >= DV_MI_CONSOLE && line->kind <= DV_MI_LOG) {
		on_text(a, line);
	}
}

/* ---- the timeline ---- */

static void show_progress(struct adapter *a, const struct dv_timeline_now *now)
{
	bool seeking = now->state == DV_TIMELINE_SEEKING;
	char text[96];

	if (!a->wants_progress)
		return;
	snprintf(text, sizeof(text), "at %llu", (unsigned long long)now->where.icount);
	if (seeking && !atomic_exchange(&a->in_progress, true))
		dap_event(a, "progressStart", json_pack("{s:s, s:s, s:s, s:b}", "progressId", "seek", "title",
							"Seeking in the replay", "message", text, "cancellable", 1));
	else if (seeking)
		dap_event(a, "progressUpdate", json_pack("{s:s, s:s}", "progressId", "seek", "message", text));
	else if (atomic_exchange(&a->in_progress, false))
		dap_event(a, "progressEnd", json_pack("{s:s}", "progressId", "seek"));
}

void dap_on_change(void *context, const struct dv_timeline_now *now)
{
	struct adapter *a = context;

	show_progress(a, now);
	if (now->state != DV_TIMELINE_STOPPED || now->why != DV_WHY_SEEK)
		return;
	/* A seek: gdb has not heard of it, and remembers what was. */
	dap_forget(a);
	atomic_store(&a->is_stale, true);
	if (!atomic_load(&a->is_ready) || atomic_load(&a->own_seek))
		return;
	tell_where(a);
	dap_event(a, "stopped", json_pack("{s:s, s:i, s:b, s:s}", "reason", "goto", "threadId", CPU_THREAD,
					  "allThreadsStopped", 1, "description", "moved by another client"));
}
