/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes checkpoints: one replay that is halted now and then for a snapshot, and another that proves each by
 * restoring it and running on a little. checkpoints.h tells how they are kept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include "base/io.h"
#include "dv_config.h"
#include "qemu/layers.h"
#include "replay/checkpoints_private.h"
#include "replay/moves.h"
#include "replay/watchdog.h"

#define STUCK_MS 15000
#define QUIT_TIMEOUT_MS 60000
/* How far behind a checkpoint the two replays are compared, and once more one instruction later, since
 * there may be an event at the first place, and QEMU stops on either side of it. */
#define PROBE_ICOUNT 20000
/* Asynchronous events under way: QEMU saves nothing then. A little later they have arrived. */
#define SAVE_TRIES 50
#define SAVE_AGAIN_ICOUNT 2000
/* A checkpoint right behind another gains nothing (idle time passes in no instructions). */
#define MIN_DISTANCE_ICOUNT 100000
/* The file system is left with at least this. */
#define RESERVE_BYTES (128ull << 20)

struct made {
	struct dv_checkpoint is;
	uint64_t probe[2];
	bool good;
};

struct maker {
	const struct dv_recording *recording;
	const struct dv_checkpoints_options *options;
	struct dv_checkpoints set; /* what there is already */
	char *layer;		   /* the one being made */
	struct dv_machine machine;
	struct dv_moves moves;
	struct made *made;
	size_t len;
	uint64_t end_icount, icount; /* where the pass is */
	uint64_t budget_bytes, file_bytes, kept_bytes;
	unsigned interval_ms;
	bool thinned, cancelled, complete;
	size_t proved;
	enum dv_checkpoints_phase phase;
	struct dv_checkpoints_made result;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool gives_up(const struct maker *m)
{
	return m->options->give_up && atomic_load(m->options->give_up);
}

static bool go_on(void *context, uint64_t icount)
{
	struct maker *m = context;
	struct dv_checkpoints_progress progress = {
		.phase = m->phase, .icount = icount, .end_icount = m->end_icount, .made = m->len, .proved = m->proved,
		.bytes = m->file_bytes, .save_ms = m->len ? m->made[m->len - 1].is.save_ms : 0};

	if (m->options->progress && !m->options->progress(m->options->context, &progress))
		m->cancelled = true;
	if (gives_up(m))
		m->cancelled = true;
	return !m->cancelled;
}

static struct dv_error *start(struct maker *m, const struct dv_checkpoints *set, const char *layer,
			      const char *snapshot)
{
	struct dv_machine_options options = {
		.mode = DV_QEMU_REPLAY, .qemu = m->options->qemu, .paused = true, .checkpoints = set, .layer = layer,
		.snapshot = snapshot, .in_background = m->options->in_background};

	return dv_machine_start(m->recording, &options, &m->machine);
}

/* Lets the replay go on for a while of its time. *ret_ended when it has come to its end. */
static struct dv_error *run_on(struct maker *m, bool *ret_ended)
{
	int64_t until_ms = now_ms() + m->interval_ms;
	struct dv_watchdog dog = dv_watchdog_make(&m->machine, m->interval_ms + STUCK_MS);
	uint64_t start_icount = m->icount;
	char status[32] = "running";

	DV_TRY(dv_machine_cont(&m->machine));
	while (!strcmp(status, "running") && !m->cancelled &&
	       (now_ms() < until_ms || m->icount < start_icount + MIN_DISTANCE_ICOUNT)) {
		json_t *event = NULL;

		DV_TRY(dv_qmp_event(m->machine.qmp, 10, &event));
		json_decref(event);
		DV_TRY(dv_machine_where(&m->machine, &m->icount, status));
		go_on(m, m->icount);
		if (dv_watchdog_look(&dog, m->icount))
			return dv_error_new(DV_ERROR_TIMEOUT, "the replay has been standing at icount %" PRIu64
					    " for %d s: it is stuck", m->icount, dog.still_ms / 1000);
	}
	*ret_ended = strcmp(status, "running");
	if (*ret_ended)
		return NULL;
	return dv_machine_halt(&m->machine, &m->moves, &m->icount);
}

static struct dv_error *disk_error(struct maker *m, struct dv_error *err)
{
	struct statvfs fs;

	if (statvfs(m->layer, &fs) || (uint64_t)fs.f_bavail * fs.f_frsize > RESERVE_BYTES / 8)
		return err;
	dv_error_destroy(err);
	return dv_error_os(ENOSPC, "%s: no checkpoints made", m->set.dir);
}

static bool disk_has_room(struct maker *m)
{
	struct statvfs fs;
	uint64_t last = m->len ? m->made[m->len - 1].is.bytes : m->recording->plan->memory_bytes / 4;

	return statvfs(m->layer, &fs) || (uint64_t)fs.f_bavail * fs.f_frsize > RESERVE_BYTES + 2 * last;
}

/* Half as many, twice as far apart. */
static struct dv_error *thin_out(struct maker *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->len; i++) {
		if (i % 2 == 0) {
			DV_TRY(dv_machine_delete_snapshot(&m->machine, &m->moves, m->made[i].is.name));
			m->kept_bytes -= m->made[i].is.bytes;
			continue;
		}
		m->made[kept++] = m->made[i];
	}
	m->len = kept;
	m->interval_ms *= 2;
	m->thinned = true;
	return NULL;
}

/* *ret_saved: false when events were under way all the time. */
static struct dv_error *save(struct maker *m, struct dv_checkpoint *c, bool *ret_saved)
{
	for (int i = 0; i < SAVE_TRIES; i++) {
		int64_t start_ms = now_ms();
		struct dv_error *err;

		c->icount = m->icount;
		snprintf(c->name, sizeof(c->name), "cp-%" PRIu64, c->icount);
		err = dv_machine_save_snapshot(&m->machine, &m->moves, c->name);
		c->save_ms = (uint32_t)(now_ms() - start_ms);
		*ret_saved = !err;
		if (!err)
			return NULL;
		if (err->code != DV_ERROR_PROTOCOL || !disk_has_room(m))
			return disk_error(m, err);
		dv_error_destroy(err);
		if (m->icount + SAVE_AGAIN_ICOUNT + PROBE_ICOUNT >= m->end_icount)
			return NULL;
		DV_TRY(dv_machine_run_to(&m->machine, &m->moves, m->icount + SAVE_AGAIN_ICOUNT, &m->icount));
	}
	return NULL;
}

static struct dv_error *take(struct maker *m)
{
	struct made *more = reallocarray(m->made, m->len + 1, sizeof(*more));
	struct made one = {0};
	uint64_t bytes;
	bool saved;

	if (!more)
		return dv_error_no_memory();
	m->made = more;
	DV_TRY(save(m, &one.is, &saved));
	if (!saved || m->icount + PROBE_ICOUNT + 1 >= m->end_icount)
		return NULL;
	bytes = dv_layer_bytes(m->layer);
	/* Behind a thinning the room of those that went is used again, and the file does not tell any more. */
	one.is.bytes = m->thinned && m->len ? m->made[m->len - 1].is.bytes : bytes - m->file_bytes;
	m->file_bytes = bytes;
	m->kept_bytes += one.is.bytes;
	m->made[m->len++] = one; /* when the rest fails, it has no probes and does not come through the proof */
	for (int i = 0; i < 2; i++) {
		DV_TRY(dv_machine_run_to(&m->machine, &m->moves, one.is.icount + PROBE_ICOUNT + (uint64_t)i, &m->icount));
		DV_TRY(dv_machine_registers_digest(&m->machine, &m->moves, &m->made[m->len - 1].probe[i]));
	}
	if (m->kept_bytes > m->budget_bytes || m->len + m->set.len > DV_CHECKPOINTS_MAX)
		DV_TRY(thin_out(m));
	return NULL;
}

static struct dv_error *pass(struct maker *m)
{
	const struct dv_checkpoint *last = m->set.len ? &m->set.items[m->set.len - 1] : NULL;
	struct dv_error *err = NULL;
	bool ended = false;

	m->phase = DV_CHECKPOINTS_REPLAYING;
	m->icount = last ? last->icount : 0;
	DV_TRY(start(m, &m->set, m->layer, last ? last->name : NULL));
	m->file_bytes = dv_layer_bytes(m->layer);
	while (!err && !m->cancelled) {
		err = run_on(m, &ended);
		if (err || ended || m->icount + PROBE_ICOUNT + 1 >= m->end_icount || !disk_has_room(m))
			break;
		err = m->cancelled ? NULL : take(m);
		if (m->options->max && m->len >= m->options->max)
			break;
	}
	m->complete = !m->cancelled && !err && (ended || m->icount + PROBE_ICOUNT + 1 >= m->end_icount);
	if (err && (m->cancelled || err->code == DV_ERROR_CANCELLED)) {
		dv_error_destroy(err);
		err = NULL;
	}
	/* QEMU's fault, and rare: what was saved before it is proved and kept all the same. */
	if (err && err->code == DV_ERROR_TIMEOUT && m->len > 1) {
		dv_error_destroy(err);
		err = NULL;
		m->result.stuck_icount = m->icount;
	}
	/* "quit" closes the files properly; their contents matter from here on. QEMU may abort over an event that was left
	 * by a stop (virtio-net with tx=bh): the proof tells what the files are worth. */
	if (!err && !gives_up(m) && !m->result.stuck_icount) {
		err = dv_machine_quit(&m->machine, QUIT_TIMEOUT_MS);
		if (err && err->code == DV_ERROR_EXITED) {
			dv_error_destroy(err);
			err = NULL;
		}
	}
	dv_machine_deinit(&m->machine);
	return err;
}

static struct dv_error *prove_one(struct maker *m, struct made *made)
{
	uint64_t digest;

	DV_TRY(dv_machine_load_snapshot(&m->machine, &m->moves, made->is.name));
	for (int i = 0; i < 2 && !made->good; i++) {
		DV_TRY(dv_machine_run_to(&m->machine, &m->moves, made->is.icount + PROBE_ICOUNT + (uint64_t)i, NULL));
		DV_TRY(dv_machine_registers_digest(&m->machine, &m->moves, &digest));
		made->good = digest == made->probe[i];
	}
	return NULL;
}

/* The set as sessions will see it; borrows. */
static struct dv_error *prove(struct maker *m)
{
	size_t layers = 0;
	struct dv_checkpoints set = m->set;
	_cleanup_free_ char **all = NULL;
	struct dv_error *err = NULL;

	while (m->set.layers && m->set.layers[layers])
		layers++;
	all = calloc(layers + 2, sizeof(*all));
	if (!all)
		return dv_error_no_memory();
	if (layers)
		memcpy(all, m->set.layers, layers * sizeof(*all));
	all[layers] = m->layer;
	set.layers = all;
	m->phase = DV_CHECKPOINTS_PROVING;
	for (size_t i = 0; i < m->len && !err && !m->cancelled; i++) {
		if (!m->machine.qmp)
			DV_TRY(start(m, &set, NULL, NULL));
		err = prove_one(m, &m->made[i]);
		m->proved += m->made[i].good;
		go_on(m, m->made[i].is.icount);
		if (err && (err->code == DV_ERROR_TIMEOUT || err->code == DV_ERROR_EXITED ||
			    err->code == DV_ERROR_CANCELLED || err->code == DV_ERROR_PROTOCOL)) {
			dv_error_destroy(err); /* it does not replay: that was the question */
			err = NULL;
			dv_machine_deinit(&m->machine);
		}
	}
	dv_machine_deinit(&m->machine);
	return err;
}

/* QEMU itself goes to the nearest snapshot when it goes back: those that are not proved must not be there. */
static struct dv_error *drop_bad(struct maker *m)
{
	size_t kept = 0;
	struct dv_error *err = NULL;

	if (m->proved == m->len)
		return NULL;
	DV_TRY(start(m, &m->set, m->layer, NULL));
	for (size_t i = 0; i < m->len && !err; i++) {
		if (m->made[i].good)
			m->made[kept++] = m->made[i];
		else
			err = dv_machine_delete_snapshot(&m->machine, &m->moves, m->made[i].is.name);
	}
	if (!err)
		err = dv_machine_quit(&m->machine, QUIT_TIMEOUT_MS);
	dv_machine_deinit(&m->machine);
	m->result.dropped = m->len - m->proved;
	m->len = m->proved;
	return err;
}

static struct dv_error *sync_layer(const char *layer)
{
	DIR *dir = opendir(layer);
	struct dirent *entry;
	struct dv_error *err = NULL;

	while (dir && !err && (entry = readdir(dir))) {
		_cleanup_close_ int fd = *entry->d_name == '.' ? -1 : openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && fsync(fd))
			err = dv_error_os(errno, "%s/%s", layer, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return err;
}

static json_t *describe(const struct maker *m)
{
	const json_t *manifest = m->recording->manifest, *end = json_object_get(manifest, "end");
	json_t *items = json_array();
	uint64_t id = 0;
	char text[20];

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		id = (uint64_t)now_ms();
	snprintf(text, sizeof(text), "%016" PRIx64, id);
	for (size_t i = 0; i < m->len; i++) {
		const struct dv_checkpoint *c = &m->made[i].is;

		json_array_append_new(items, json_pack("{s:s, s:I, s:I, s:I}", "name", c->name, "icount",
						       (json_int_t)c->icount, "bytes", (json_int_t)c->bytes, "save_ms",
						       (json_int_t)c->save_ms));
	}
	return json_pack("{s:i, s:s, s:s, s:s, s:{s:O?, s:O?, s:O?, s:O?}, s:I, s:b, s:I, s:o}", "schema",
			 DV_CHECKPOINTS_SCHEMA, "dejaview", DV_VERSION, "id", text, "below", m->set.top_id, "of", "icount",
			 json_object_get(end, "icount"), "log_bytes", json_object_get(end, "log_bytes"), "started",
			 json_object_get(manifest, "started"), "qemu_version", json_object_get(manifest, "qemu_version"),
			 "to_icount", (json_int_t)(m->complete ? m->end_icount : m->made[m->len - 1].is.icount), "complete",
			 (int)m->complete, "interval_ms", (json_int_t)m->interval_ms, "checkpoints", items);
}

static struct dv_error *publish(struct maker *m)
{
	_cleanup_free_ char *path = dv_path_join(m->layer, LAYER_JSON), *text = NULL, *final = NULL;
	_cleanup_close_ int dir = -1;
	size_t layers = 0;
	json_t *json;

	while (m->set.layers && m->set.layers[layers])
		layers++;
	final = dv_layer_path(m->set.dir, layers + 1);
	DV_TRY(sync_layer(m->layer));
	json = describe(m);
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	if (!path || !text || !final)
		return dv_error_no_memory();
	DV_TRY(dv_replace_file(path, text, strlen(text), 0644));
	dir = open(m->set.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rename(m->layer, final) || (dir >= 0 && fsync(dir)))
		return dv_error_os(errno, "%s", final);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sum_up(struct maker *m)
{
	_cleanup_free_ uint32_t *ms = calloc(m->len + 1, sizeof(*ms));

	for (size_t i = 0; ms && i < m->len; i++)
		ms[i] = m->made[i].is.save_ms;
	if (ms && m->len) {
		qsort(ms, m->len, sizeof(*ms), by_value);
		m->result.median_save_ms = ms[m->len / 2];
		m->result.max_save_ms = ms[m->len - 1];
	}
	m->result.proved = m->len;
	m->result.complete = m->complete;
}

static struct dv_error *make_layer(struct maker *m)
{
	struct dv_error *err;

	DV_TRY(dv_qemu_layer_create(m->recording->plan, m->layer));
	DV_TRY(pass(m));
	m->cancelled = false;
	err = m->len && !gives_up(m) ? prove(m) : NULL;
	if (!err && gives_up(m))
		err = dv_error_new(DV_ERROR_CANCELLED, "given up");
	if (!err)
		err = drop_bad(m);
	sum_up(m);
	if (!err && m->len)
		err = publish(m);
	return err;
}

/* Layers that cannot be used, and those above the last that can. */
static struct dv_error *clear(struct maker *m)
{
	size_t layers = 0;

	dv_checkpoints_sweep(m->set.dir, !m->set.layers);
	while (m->set.layers && m->set.layers[layers])
		layers++;
	for (size_t n = layers + 1;; n++) {
		_cleanup_free_ char *path = dv_layer_path(m->set.dir, n);

		if (!path)
			return dv_error_no_memory();
		if (access(path, F_OK))
			return NULL;
		dv_layer_remove(path);
	}
}

static struct dv_error *make(struct maker *m)
{
	_cleanup_close_ int lock = -1;
	_cleanup_free_ char *template = NULL;
	struct dv_error *err;
	struct statvfs fs;

	if (m->recording->plan->cannot_restore)
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "the guest has a virtio-serial device, and a replay that is restored with one hangs in "
				    "QEMU: there can be no checkpoints. Seeks replay from the beginning; record without the "
				    "device, with -serial for a console, to have them");
	DV_TRY(dv_checkpoints_open(m->recording, &m->set));
	if (m->set.complete)
		return NULL;
	DV_TRY(dv_checkpoints_lock(m->set.dir, &lock));
	dv_checkpoints_deinit(&m->set);
	DV_TRY(dv_checkpoints_open(m->recording, &m->set));
	if (m->set.complete)
		return NULL;
	DV_TRY(clear(m));
	m->budget_bytes = m->options->budget_bytes ?: DV_CHECKPOINTS_BUDGET_BYTES;
	if (!statvfs(m->set.dir, &fs) && m->budget_bytes > (uint64_t)fs.f_bavail * fs.f_frsize / 2 + m->set.bytes)
		m->budget_bytes = (uint64_t)fs.f_bavail * fs.f_frsize / 2 + m->set.bytes;
	m->budget_bytes -= m->budget_bytes < m->set.bytes ? m->budget_bytes : m->set.bytes;
	template = dv_path_join(m->set.dir, MAKING "XXXXXX");
	if (!template)
		return dv_error_no_memory();
	if (!mkdtemp(template))
		return dv_error_os(errno, "%s: cannot make checkpoints there", m->set.dir);
	m->layer = dv_steal(template);
	err = make_layer(m);
	m->result.bytes = m->len && !err ? m->kept_bytes : 0;
	dv_layer_remove(m->layer); /* nothing when it has got its name */
	return err;
}

struct dv_error *dv_checkpoints_make(const struct dv_recording *recording,
				     const struct dv_checkpoints_options *options, struct dv_checkpoints_made *ret)
{
	struct maker m = {.recording = recording, .options = options, .machine = DV_MACHINE_INIT};
	struct dv_error *err;

	m.moves = (struct dv_moves){.stuck_ms = STUCK_MS, .go_on = go_on, .context = &m};
	m.interval_ms = options->interval_ms ?: DV_CHECKPOINTS_INTERVAL_MS;
	m.end_icount = dv_recording_common_icount(recording);
	err = make(&m);
	if (!err) {
		if (m.set.complete)
			m.result.complete = true;
		*ret = m.result;
	}
	dv_machine_deinit(&m.machine);
	dv_checkpoints_deinit(&m.set);
	free(m.layer);
	free(m.made);
	return err;
}
