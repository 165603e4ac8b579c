/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "base/io.h"
#include "dv_config.h"
#include "qemu/layers.h"
#include "replay/watchdog.h"

#define QMP_TIMEOUT_MS 20000
#define START_TIMEOUT_MS 60000
#define BACKGROUND_NICE 10

static struct dv_error *copy_into(const char *folder, const char *name, const char *to_folder)
{
	_cleanup_free_ char *from = dv_path_join(folder, name);
	_cleanup_free_ char *to = dv_path_join(to_folder, name);

	if (!from || !to)
		return dv_error_no_memory();
	return dv_copy_file(from, to);
}

struct dv_error *dv_machine_scratch(const struct dv_recording *recording, struct dv_scratch *ret)
{
	_cleanup_free_ char *cache = NULL;
	struct dv_error *err = dv_scratch_create(recording->folder, ".replay-", ret);

	if (!err)
		return NULL;
	dv_error_destroy(err);
	DV_TRY(dv_scratch_cache(&cache));
	return dv_scratch_create(cache, "replay-", ret);
}

static struct dv_error *make_disks(struct dv_machine *m, const struct dv_machine_options *options)
{
	const struct dv_recording *r = m->recording;

	if (options->layer)
		return NULL;
	DV_TRY(dv_machine_scratch(r, &m->disks));
	if (options->checkpoints)
		return dv_qemu_layer_create(r->plan, m->disks.path);
	DV_TRY(copy_into(r->folder, DV_QEMU_SNAPSHOTS, m->disks.path));
	for (size_t i = 0; i < r->plan->images_len; i++)
		if (r->plan->images[i].overlay)
			DV_TRY(copy_into(r->folder, r->plan->images[i].overlay, m->disks.path));
	return NULL;
}

static size_t strv_len(const char *const *strv)
{
	size_t len = 0;

	while (strv && strv[len])
		len++;
	return len;
}

/* QEMU's argv, with a power-off that pauses: it is we who end it, once everything is logged. */
static struct dv_error *make_argv(struct dv_machine *m, const struct dv_machine_options *options,
				  const char *qmp_socket, char ***ret)
{
	static const char *const more[] = {"-action", "shutdown=pause"}, *const no_layers[] = {NULL};
	_cleanup_free_ char *status = dv_machine_status_path(m);
	_cleanup_free_ const char **plugin_options = NULL;
	_cleanup_buf_ struct dv_buf status_option = DV_BUF_INIT;
	size_t len = strv_len(options->plugin_options), more_len = options->unattended ? 0 : DV_ARRAY_SIZE(more);
	struct dv_qemu_run run = {
		.mode = options->mode,
		.folder = m->recording->folder,
		.binary = options->qemu,
		.disks = options->layer ?: m->disks.path,
		.snapshot = options->snapshot,
		.plugin = options->plugin,
		.qmp_socket = qmp_socket,
		.gdb_socket = m->gdb_socket,
		.no_terminal = !options->terminal,
		.paused = options->paused,
	};
	char **argv = NULL, **longer;

	if (options->checkpoints)
		run.layers = (const char *const *)options->checkpoints->layers ?: no_layers;
	plugin_options = calloc(len + 2, sizeof(*plugin_options));
	dv_buf_printf(&status_option, "status=%s%c", status ?: "", 0);
	if (!status || !plugin_options || status_option.failed)
		return dv_error_no_memory();
	if (len)
		memcpy(plugin_options, options->plugin_options, len * sizeof(*plugin_options));
	plugin_options[len] = (const char *)status_option.data;
	run.plugin_options = plugin_options;
	DV_TRY(dv_qemu_plan_argv(m->recording->plan, &run, &argv));
	len = strv_len((const char *const *)argv);
	longer = realloc(argv, (len + more_len + 1) * sizeof(*argv));
	if (!longer) {
		dv_strv_free(argv);
		return dv_error_no_memory();
	}
	for (size_t i = 0; i < more_len; i++) {
		longer[len++] = strdup(more[i]);
		longer[len] = NULL;
	}
	*ret = longer;
	return NULL;
}

struct dv_error *dv_machine_why_exited(struct dv_machine *m, struct dv_error *err)
{
	bool ended = false;
	struct dv_error *better = dv_process_wait(&m->process, 5000, &ended);

	if (!better && ended)
		better = dv_process_check(&m->process);
	if (!better)
		return err;
	dv_error_destroy(err);
	return better;
}

static struct dv_error *is_silent(const struct dv_machine *m, struct dv_error *err)
{
	dv_error_destroy(err);
	return dv_error_new(DV_ERROR_TIMEOUT, "%s was started and has not answered on its monitor (QMP) in %d s: it was ended",
			    m->binary, START_TIMEOUT_MS / 1000);
}

static struct dv_error *connect_qmp(struct dv_machine *m, const char *socket)
{
	int fd = -1;

	for (int waited_ms = 0;; waited_ms += 100) {
		struct dv_error *err = dv_unix_connect(socket, 100, &fd);
		bool ended = false;

		if (!err) {
			err = dv_qmp_create(fd, START_TIMEOUT_MS, &m->qmp);
			if (err && err->code == DV_ERROR_TIMEOUT)
				return is_silent(m, err);
			return err && err->code == DV_ERROR_EXITED ? dv_machine_why_exited(m, err) : err;
		}
		if (err->code != DV_ERROR_TIMEOUT)
			return err;
		if (waited_ms >= START_TIMEOUT_MS)
			return is_silent(m, err);
		dv_error_destroy(err);
		DV_TRY(dv_process_wait(&m->process, 0, &ended));
		if (ended) {
			DV_TRY(dv_process_check(&m->process));
			return dv_error_new(DV_ERROR_EXITED, "QEMU ended as soon as it was started");
		}
	}
}

static struct dv_error *start(struct dv_machine *m, const struct dv_machine_options *options)
{
	_cleanup_free_ char *qmp_socket = NULL, *errors = NULL;
	/* While recording, what the user named relative to where he stands is found there. */
	struct dv_process_options process = {.directory = options->mode == DV_QEMU_RECORD ?
								  m->recording->plan->directory :
								  m->recording->folder};
	char **argv = NULL;
	struct dv_error *err;

	DV_TRY(dv_scratch_create_short(&m->run));
	if (options->mode == DV_QEMU_REPLAY)
		DV_TRY(make_disks(m, options));
	qmp_socket = options->unattended ? NULL : dv_path_join(m->run.path, "qmp");
	errors = options->mode == DV_QEMU_RECORD ? dv_recording_path(m->recording, DV_RECORDING_QEMU_LOG)
						 : dv_path_join(m->run.path, "stderr");
	m->gdb_socket = options->gdb ? dv_path_join(m->run.path, "gdb") : NULL;
	if ((!qmp_socket && !options->unattended) || !errors || (options->gdb && !m->gdb_socket))
		return dv_error_no_memory();
	DV_TRY(make_argv(m, options, qmp_socket, &argv));
	process.argv = argv;
	m->binary = options->qemu ?: m->recording->plan->binary;
	process.stderr_path = errors;
	if (options->terminal)
		dv_terminal_child_fds(options->terminal, &process.stdio[0], &process.stdio[1]);
	err = dv_process_start(&process, &m->process);
	dv_strv_free(argv);
	if (!err && options->terminal)
		err = dv_terminal_started(options->terminal);
	if (!err && options->in_background)
		setpriority(PRIO_PROCESS, (id_t)m->process.pid, BACKGROUND_NICE);
	return err || options->unattended ? err : connect_qmp(m, qmp_socket);
}

struct dv_error *dv_machine_start(const struct dv_recording *recording, const struct dv_machine_options *options,
				  struct dv_machine *ret)
{
	struct dv_machine m = DV_MACHINE_INIT;
	struct dv_error *err;

	m.recording = recording;
	err = start(&m, options);
	if (err) {
		dv_machine_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}

void dv_machine_deinit(struct dv_machine *machine)
{
	dv_qmp_destroy(machine->qmp);
	dv_process_deinit(&machine->process);
	dv_scratch_remove(&machine->disks);
	dv_scratch_remove(&machine->run);
	free(machine->gdb_socket);
	*machine = (struct dv_machine)DV_MACHINE_INIT;
}

char *dv_machine_status_path(const struct dv_machine *machine)
{
	return dv_path_join(machine->run.path, "status");
}

struct dv_error *dv_machine_quit(struct dv_machine *machine, int timeout_ms)
{
	bool ended = false;

	/* QEMU may close the connection before it answers. */
	dv_error_destroy(dv_qmp_run(machine->qmp, "quit", NULL, QMP_TIMEOUT_MS, NULL));
	DV_TRY(dv_process_wait(&machine->process, timeout_ms, &ended));
	if (!ended) {
		dv_process_stop(&machine->process, 0);
		return dv_error_new(DV_ERROR_TIMEOUT, "QEMU did not quit within %d s and was killed", timeout_ms / 1000);
	}
	return dv_process_check(&machine->process);
}

struct dv_error *dv_machine_where(struct dv_machine *machine, uint64_t *ret_icount, char ret_status[32])
{
	json_t *answer = NULL;

	DV_TRY(dv_qmp_run(machine->qmp, "query-status", NULL, QMP_TIMEOUT_MS, &answer));
	snprintf(ret_status, 32, "%s", json_string_value(json_object_get(answer, "status")) ?: "");
	json_decref(answer);
	DV_TRY(dv_qmp_run(machine->qmp, "query-replay", NULL, QMP_TIMEOUT_MS, &answer));
	*ret_icount = (uint64_t)json_integer_value(json_object_get(answer, "icount"));
	json_decref(answer);
	return NULL;
}

/* Takes events until there is none for timeout_ms; a shutdown sets *ret_ended. */
static struct dv_error *wait_shutdown(struct dv_machine *m, int timeout_ms, bool *ret_ended)
{
	json_t *event = NULL;

	do {
		const char *name;

		DV_TRY(dv_qmp_event(m->qmp, timeout_ms, &event));
		name = json_string_value(json_object_get(event, "event"));
		*ret_ended |= name && !strcmp(name, "SHUTDOWN");
		json_decref(event);
	} while (event && !*ret_ended);
	return NULL;
}

/* A repaired log ends as if QEMU had been asked to quit: the replay quits, too, with exit code 0. */
static struct dv_error *quit_by_itself(struct dv_machine *m, struct dv_error *err, bool *ret_ended)
{
	if (!err || err->code != DV_ERROR_EXITED)
		return err;
	dv_error_destroy(err);
	DV_TRY(dv_process_wait(&m->process, QMP_TIMEOUT_MS, ret_ended));
	return dv_process_check(&m->process);
}

struct dv_error *dv_machine_run_to_end(struct dv_machine *machine, dv_machine_progress_fn progress,
				       void *context)
{
	struct dv_watchdog dog = dv_watchdog_make(machine, DV_MACHINE_STUCK_MS);
	uint64_t icount = 0;
	bool ended = false;
	char status[32] = "";

	while (!ended) {
		DV_TRY(quit_by_itself(machine, wait_shutdown(machine, 500, &ended), &ended));
		if (!ended)
			DV_TRY(quit_by_itself(machine, dv_machine_where(machine, &icount, status), &ended));
		if (!strcmp(status, "shutdown") || !strcmp(status, "paused"))
			ended = true; /* "paused": QEMU ran out of log */
		if (progress && !progress(context, icount))
			return dv_error_new(DV_ERROR_CANCELLED, "interrupted");
		if (ended || !dv_watchdog_look(&dog, icount)) {
			ended |= dv_watchdog_log_is_over(&dog, machine);
			continue;
		}
		return dv_error_new(DV_ERROR_TIMEOUT, "the replay has been standing at icount %llu for %d s: it is stuck",
				    (unsigned long long)icount, dog.still_ms / 1000);
	}
	return NULL;
}

struct dv_error *dv_plugin_find(char **ret)
{
	static const char name[] = "libdejaview-plugin.so";
	const char *set = getenv("DEJAVIEW_PLUGIN");
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	_cleanup_free_ char *beside = NULL, *installed = dv_path_join(DV_PLUGIN_DIR, name);

	if (set) {
		*ret = realpath(set, NULL);
		return *ret ? NULL : dv_error_os(errno, "DEJAVIEW_PLUGIN=%s", set);
	}
	self[len > 0 ? len : 0] = 0;
	if (strrchr(self, '/'))
		*strrchr(self, '/') = 0;
	beside = dv_path_join(self, name);
	if (!beside || !installed)
		return dv_error_no_memory();
	if (!access(beside, R_OK)) {
		*ret = dv_steal(beside);
		return NULL;
	}
	if (!access(installed, R_OK)) {
		*ret = dv_steal(installed);
		return NULL;
	}
	return dv_error_new(DV_ERROR_NOT_FOUND, "%s is neither %s nor %s: build it, or use --no-trace", name, beside,
			    installed);
}
