/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/retrace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "base/thread.h"
#include "replay/watchdog.h"
#include "trace/status.h"

/* How far behind its checkpoint a segment begins. */
#define WARM_UP_INSNS 50000u
/* And before the recording's end, at least. */
#define MARGIN_INSNS  50000u
/* A start of QEMU must be worth it. */
#define MIN_CHECKPOINTS_PER_SEGMENT 3u
/* Measured on a boot. In units of the replay's time: what the call-graph machine takes for all events when nothing
 * holds it up, and what it costs to put them into a file. In units of the time between two checkpoints: what a segment
 * that starts at one takes more, for the start and for translating again what the one before it has translated. */
#define MACHINE_SHARE	0.20
#define SPOOL_SHARE	0.03
#define START_INTERVALS 2.0
#define QUIT_TIMEOUT_MS 60000
#define WAIT_MS 20
#define MAX_OPTIONS 128

/* ---- cutting ---- */

size_t dv_retrace_cut(const struct dv_checkpoints *set, uint64_t last_icount, unsigned jobs, uint64_t *ret)
{
	size_t count = set->layers ? set->len : 0, segments = count / MIN_CHECKPOINTS_PER_SEGMENT + 1, cuts = 0;
	double others, each, first;

	if (segments > jobs)
		segments = jobs;
	if (segments > DV_RETRACE_MAX_SEGMENTS)
		segments = DV_RETRACE_MAX_SEGMENTS;
	if (segments < 2)
		return 0;
	/*
	 * All are to end together, each on a CPU. The first one's machine keeps up with its replay and then takes the
	 * others' events:
	 *	first + (1 - first) * MACHINE = START + (1 - first) * (1 + SPOOL) / others
	 * Checkpoints are spaced by replay time.
	 */
	others = (double)(segments - 1);
	each = (1 + SPOOL_SHARE) / others;
	first = (START_INTERVALS / (double)(count + 1) + each - MACHINE_SHARE) / (1 - MACHINE_SHARE + each);
	if (first < 0.5 / (double)segments)
		first = 0.5 / (double)segments;
	for (size_t i = 0; i + 1 < segments; i++) {
		double at = first + (1 - first) * (double)i / others;
		size_t index = (size_t)(at * (double)(count + 1));
		uint64_t icount;

		index = index ? index - 1 : 0;
		icount = set->items[index < count ? index : count - 1].icount + WARM_UP_INSNS;
		if (icount + MARGIN_INSNS + WARM_UP_INSNS < last_icount && (!cuts || icount > ret[cuts - 1]))
			ret[cuts++] = icount;
	}
	return cuts;
}

/* ---- one segment ---- */

struct crew;

struct segment {
	struct crew *crew;
	size_t index;
	uint64_t from_icount, to_icount; /* to: UINT64_MAX for the last one */
	char *spool; /* NULL: the first one, which has none */
	struct dv_trace_status *status;
	uint64_t at_icount; /* under the lock */
	bool too_early;
	struct dv_error *err;
	pthread_t thread;
};

/* A QEMU that is waited for. */
struct watched {
	struct dv_watchdog dog;
	bool told_to_end;
};

struct crew {
	const struct dv_recording *recording;
	const struct dv_retrace *retrace;
	const char *plugin;
	uint64_t last_icount;
	struct segment segments[DV_RETRACE_MAX_SEGMENTS];
	size_t len;
	pthread_mutex_t lock;
	bool stop;
};

/* Half of the way is the replays', half the machine's. */
static bool tell(struct crew *crew)
{
	const struct dv_retrace *retrace = crew->retrace;
	const struct dv_trace_status *status = crew->segments[0].status;
	uint64_t done = status ? dv_trace_status_get(&status->icount) : 0;

	for (size_t i = 0; i < crew->len; i++)
		done += crew->segments[i].at_icount - crew->segments[i].from_icount;
	return !retrace->progress || retrace->progress(retrace->context, done, 2 * crew->last_icount);
}

static bool on_progress(void *context, uint64_t icount)
{
	struct segment *s = context;
	uint64_t end = s->to_icount < s->crew->last_icount ? s->to_icount : s->crew->last_icount;
	bool go_on;

	pthread_mutex_lock(&s->crew->lock);
	if (icount > s->from_icount)
		s->at_icount = icount < end ? icount : end;
	go_on = !s->crew->stop && tell(s->crew);
	pthread_mutex_unlock(&s->crew->lock);
	return go_on && !(s->status && dv_trace_status_get(&s->status->failed));
}

/* What the plugin has said, and why it did. */
static struct dv_error *why_failed(struct segment *s, struct dv_machine *machine)
{
	_cleanup_free_ char *said = NULL;

	s->too_early = dv_trace_status_get(&s->status->too_early);
	dv_process_stop(&machine->process, QUIT_TIMEOUT_MS);
	said = dv_process_stderr_tail(&machine->process, 500);
	return dv_error_new(s->too_early ? DV_ERROR_UNSUPPORTED : DV_ERROR_EXITED, "%s", said && *said ? said : "the plugin failed");
}

/* Where its events are; what is told after the segment is over belongs to the others. */
static struct dv_error *check_progress(struct segment *s, struct watched *w, uint64_t *ret_icount)
{
	uint64_t icount = dv_trace_status_get(&s->status->icount);

	*ret_icount = icount;
	/* Who has told enough waits for the others. */
	if (w->told_to_end || !dv_watchdog_look(&w->dog, icount))
		return NULL;
	return dv_error_new(DV_ERROR_TIMEOUT, "the replay stands at icount %" PRIu64 ": it is stuck", icount);
}

/* Until QEMU has ended: by itself with the guest, and of others when they have told all of their segment. The first
 * one's ends once it has read what all others have told. */
static struct dv_error *watch(struct segment *s, struct dv_machine *machine)
{
	struct watched w = {.dog = dv_watchdog_make(machine, DV_MACHINE_STUCK_MS)};
	bool ended = false;

	w.dog.patient = true; /* no event is told while the guest is idle, or in code without calls */
	for (;;) {
		uint64_t icount;

		DV_TRY(dv_process_wait(&machine->process, WAIT_MS, &ended));
		if (ended)
			break;
		DV_TRY(check_progress(s, &w, &icount));
		if (!on_progress(s, icount))
			return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
		if (!w.told_to_end && (dv_trace_status_get(&s->status->over) || dv_watchdog_log_is_over(&w.dog, machine))) {
			w.told_to_end = true;
			dv_process_terminate(&machine->process);
		}
	}
	DV_TRY(dv_process_check(&machine->process));
	if (!dv_trace_status_get(&s->status->finished))
		return dv_error_new(DV_ERROR_EXITED, "QEMU ended before its plugin");
	return NULL;
}

/* Where symbols are: each segment's plugin needs them, to know what it need not send. */
static bool is_of_symbols(const char *option)
{
	static const char *const names[] = {"symbols_from=", "sysroot=", "initrd=", "disk="};

	for (size_t i = 0; i < DV_ARRAY_SIZE(names); i++) {
		if (!strncmp(option, names[i], strlen(names[i])))
			return true;
	}
	return false;
}

/* Its plugin's options: of the first all that were given and those that follow it; of others the symbols. */
static struct dv_error *make_options(const struct segment *s, struct dv_buf *text, const char **ret)
{
	const char *const *given = s->crew->retrace->plugin_options;
	size_t len = 0, offsets[DV_RETRACE_MAX_SEGMENTS + 2], made = 0;

	for (size_t i = 0; given[i] && len < MAX_OPTIONS - DV_RETRACE_MAX_SEGMENTS - 4; i++) {
		if (!s->index || is_of_symbols(given[i]))
			ret[len++] = given[i];
	}
	if (s->to_icount != UINT64_MAX) {
		offsets[made++] = text->len;
		dv_buf_printf(text, "to=%" PRIu64 "%c", s->to_icount, 0);
	}
	if (s->index) {
		offsets[made++] = text->len;
		dv_buf_printf(text, "from=%" PRIu64 "%cspool=%s%c", s->from_icount, 0, s->spool, 0);
		offsets[made] = offsets[made - 1] + strlen((const char *)text->data + offsets[made - 1]) + 1;
		made++;
	}
	for (size_t i = 1; !s->index && i < s->crew->len; i++) {
		offsets[made++] = text->len;
		dv_buf_printf(text, "then=%s%c", s->crew->segments[i].spool, 0);
	}
	if (text->failed)
		return dv_error_no_memory();
	for (size_t i = 0; i < made; i++)
		ret[len++] = (const char *)text->data + offsets[i];
	ret[len] = NULL;
	return NULL;
}

static struct dv_error *run_segment(struct segment *s)
{
	_cleanup_machine_ struct dv_machine machine = DV_MACHINE_INIT;
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char *status = NULL;
	const struct dv_retrace *retrace = s->crew->retrace;
	const struct dv_checkpoint *checkpoint;
	const char *plugin_options[MAX_OPTIONS];
	struct dv_machine_options options = {.mode = DV_QEMU_REPLAY, .qemu = retrace->qemu, .plugin = s->crew->plugin,
					     .plugin_options = plugin_options, .unattended = true,
					     .checkpoints = retrace->checkpoints};
	struct dv_error *err;

	DV_TRY(make_options(s, &text, plugin_options));
	checkpoint = s->index ? dv_checkpoints_before(retrace->checkpoints, s->from_icount - WARM_UP_INSNS) : NULL;
	options.snapshot = checkpoint ? checkpoint->name : NULL;
	DV_TRY(dv_machine_start(s->crew->recording, &options, &machine));
	status = dv_machine_status_path(&machine);
	if (!status)
		return dv_error_no_memory();
	pthread_mutex_lock(&s->crew->lock);
	err = dv_trace_status_map(status, &s->status);
	pthread_mutex_unlock(&s->crew->lock);
	DV_TRY(err);
	err = watch(s, &machine);
	if (!dv_trace_status_get(&s->status->failed))
		return err;
	dv_error_destroy(err);
	return why_failed(s, &machine);
}

static void *work(void *context)
{
	struct segment *s = context;

	s->err = run_segment(s);
	if (s->err) {
		pthread_mutex_lock(&s->crew->lock);
		s->crew->stop = true;
		pthread_mutex_unlock(&s->crew->lock);
	}
	return NULL;
}

/* ---- all of them ---- */

static struct dv_error *prepare(struct crew *crew, const uint64_t *cuts, size_t count, const char *folder)
{
	crew->len = count + 1;
	for (size_t i = 0; i < crew->len; i++) {
		struct segment *s = &crew->segments[i];
		_cleanup_buf_ struct dv_buf path = DV_BUF_INIT;
		_cleanup_close_ int fd = -1;

		*s = (struct segment){.crew = crew, .index = i, .to_icount = i < count ? cuts[i] : UINT64_MAX};
		s->from_icount = s->at_icount = i ? cuts[i - 1] : 0;
		if (!i)
			continue;
		dv_buf_printf(&path, "%s/segment-%zu", folder, i);
		s->spool = dv_buf_steal_string(&path);
		if (!s->spool)
			return dv_error_no_memory();
		fd = open(s->spool, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			return dv_error_os(errno, "%s: cannot be written", s->spool);
	}
	return NULL;
}

/* The one that failed, and not those that were stopped for it. */
static struct dv_error *first_error(struct crew *crew)
{
	struct segment *worst = NULL;

	for (size_t i = 0; i < crew->len; i++) {
		struct segment *s = &crew->segments[i];

		if (s->err && (!worst || worst->err->code == DV_ERROR_CANCELLED))
			worst = s;
	}
	if (!worst || worst->err->code == DV_ERROR_CANCELLED)
		return worst ? dv_steal(worst->err) : NULL;
	if (worst->to_icount == UINT64_MAX)
		return dv_error_prefix(dv_steal(worst->err), "the segment from icount %" PRIu64 " on", worst->from_icount);
	return dv_error_prefix(dv_steal(worst->err), "the segment of icounts %" PRIu64 " to %" PRIu64, worst->from_icount,
			       worst->to_icount);
}

static struct dv_error *run_crew(struct crew *crew)
{
	struct dv_error *err = NULL;
	size_t started = 0;

	while (!err && started < crew->len) {
		err = dv_thread_start(&crew->segments[started].thread, NULL, work, &crew->segments[started]);
		started += !err;
	}
	if (err) {
		pthread_mutex_lock(&crew->lock);
		crew->stop = true;
		pthread_mutex_unlock(&crew->lock);
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(crew->segments[i].thread, NULL);
	return err ?: first_error(crew);
}

/* ret_first: of the segments after the first one, the first that starts with a kernel; 0: none was too early. */
static struct dv_error *run_cuts(struct crew *crew, const uint64_t *cuts, size_t count, size_t *ret_first)
{
	_cleanup_(dv_scratch_remove) struct dv_scratch folder = DV_SCRATCH_INIT;
	struct dv_error *err = dv_machine_scratch(crew->recording, &folder);

	crew->stop = false;
	if (!err)
		err = prepare(crew, cuts, count, folder.path);
	if (!err)
		err = run_crew(crew);
	*ret_first = 0;
	for (size_t i = 0; i < crew->len; i++) {
		if (crew->segments[i].too_early)
			*ret_first = i + 1;
		dv_trace_status_unmap(crew->segments[i].status);
		dv_error_destroy(crew->segments[i].err);
		free(crew->segments[i].spool);
	}
	return err;
}

struct dv_error *dv_retrace_run(const struct dv_recording *recording, const struct dv_retrace *retrace)
{
	_cleanup_free_ struct crew *crew = calloc(1, sizeof(*crew));
	_cleanup_free_ char *plugin = NULL;
	uint64_t cuts[DV_RETRACE_MAX_SEGMENTS], *next = cuts;
	size_t count, first = 0;
	struct dv_error *err;

	if (!crew)
		return dv_error_no_memory();
	DV_TRY(dv_plugin_find(&plugin));
	crew->recording = recording;
	crew->retrace = retrace;
	crew->plugin = plugin;
	crew->last_icount = dv_recording_last_icount(recording);
	pthread_mutex_init(&crew->lock, NULL);
	count = dv_retrace_cut(retrace->checkpoints, crew->last_icount, retrace->jobs, cuts);
	err = dv_error_new(DV_ERROR_UNSUPPORTED, "there are too few checkpoints to cut the recording at: dejaview checkpoint makes some");
	/* Which checkpoints lie before the kernel's start is only seen there, at once. */
	while (err->code == DV_ERROR_UNSUPPORTED && count) {
		dv_error_destroy(err);
		err = run_cuts(crew, next, count, &first);
		if (!err || !first)
			break;
		next += first - 1;
		count -= first - 1;
	}
	pthread_mutex_destroy(&crew->lock);
	return err;
}
