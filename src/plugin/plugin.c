/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading and unloading: options, the kernel's symbols, the clock, then the tracer and its writer. What
 * cannot work is refused here, before the guest starts, with one line that says why.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plugin/capture.h"
#include "plugin/command.h"
#include "plugin/recorder.h"
#include "plugin/spooler.h"
#include "plugin/tracer.h"
#include "plugin/watch.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT extern int qemu_plugin_version;
int qemu_plugin_version = DV_QEMU_PLUGIN_API;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

/* QEMU's callbacks carry no context, and there is one plugin in a process. */
static struct plugin {
	struct dv_plugin_options options;
	char *kernel_path, *initrd_path;
	struct dv_sources *sources;
	struct dv_debug_files *debug_files;
	struct dv_kernel *kernel;
	struct dv_linux linux_;
	bool have_linux;
	struct dv_recorder *recorder;
	struct dv_spooler *spooler;
	struct dv_answers answers;
	FILE *records; /* of a closer look */
} plugin;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	fprintf(stderr, "dejaview: %s\n", text ? text : "out of memory");
}

static void *look_up(const char *symbol)
{
	return dlsym(RTLD_DEFAULT, symbol);
}

/* The value of one of QEMU's own options ("-kernel"), from its command line; NULL when there is none. */
static char *own_option(const char *name)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	_cleanup_free_ char **argv = dv_own_command(&text);

	for (char **arg = argv; arg && arg[0] && arg[1]; arg++) {
		if (!strcmp(*arg, name) || (arg[0][0] == '-' && !strcmp(*arg + 1, name)))
			return strdup(arg[1]);
	}
	return NULL;
}

static void find_initrd(void)
{
	plugin.initrd_path = plugin.options.initrd ? strdup(plugin.options.initrd) : own_option("-initrd");
}

static struct dv_error *load_symbols(const struct dv_arch *arch)
{
	struct dv_error *err;

	plugin.kernel_path = plugin.options.symbols_from ? strdup(plugin.options.symbols_from) : own_option("-kernel");
	if (!plugin.kernel_path) {
		say("no symbols_from= and no -kernel: functions are shown by address, threads are not told apart");
		return NULL;
	}
	err = dv_kernel_open(plugin.kernel_path, &plugin.kernel);
	if (err && plugin.options.symbols_from)
		return err;
	if (err) {
		say("%s: functions are shown by address; give symbols_from=VMLINUX", err->message);
		dv_error_destroy(err);
		return NULL;
	}
	if (dv_kernel_machine(plugin.kernel) != arch->machine)
		return dv_error_new(DV_ERROR_MISMATCH, "%s is a kernel for another machine (ELF machine %u) than %s",
				    plugin.kernel_path, dv_kernel_machine(plugin.kernel), arch->qemu_target);
	err = dv_linux_init(&plugin.linux_, plugin.kernel);
	plugin.have_linux = !err;
	if (err)
		say("%s: %s", plugin.kernel_path, err->message);
	dv_error_destroy(err);
	return NULL;
}

/* Lines of the kernel's functions: out of what is given, else of an installed debug package, else of the
 * kernel's own file. All of it is read before the guest starts: some seconds for a whole kernel. */
static struct dv_error *load_sources(void)
{
	const char *build_id, *folder;
	_cleanup_free_ char *path = NULL;

	if (!plugin.kernel)
		return NULL;
	build_id = dv_kernel_build_id(plugin.kernel);
	DV_TRY(dv_debug_files_create(plugin.options.debug_info, dv_kernel_banner(plugin.kernel), &plugin.debug_files));
	path = dv_debug_files_kernel(plugin.debug_files, build_id);
	folder = dv_debug_files_folder(plugin.debug_files);
	if (path) {
		say("reading the kernel's debug information out of %s", path);
		return dv_sources_open(path, build_id, NULL, &plugin.sources);
	}
	if (folder)
		say("%s: no vmlinux with debug information of this kernel (build id %s): its functions have no lines",
		    folder, build_id ? build_id : "not known");
	dv_error_destroy(dv_sources_open(plugin.kernel_path, build_id, NULL, &plugin.sources)); /* mostly a packed image */
	return NULL;
}

/* A filter by function that no function answers to would silently trace nothing. */
static struct dv_error *check_functions(void)
{
	const char *names[] = {plugin.options.starting_from, plugin.options.stopping_at, plugin.options.ignore_below};
	static const char *const options[] = {"starting_from", "stopping_at", "ignore_below"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(names); i++) {
		if (!names[i])
			continue;
		if (!plugin.kernel)
			return dv_error_new(DV_ERROR_INVALID, "option %s needs the kernel's symbols: give symbols_from=",
					    options[i]);
		if (!dv_symtab_find(dv_kernel_symtab(plugin.kernel), names[i]))
			return dv_error_new(DV_ERROR_NOT_FOUND, "option %s: no function '%s' in %s", options[i],
					    names[i], plugin.kernel_path);
	}
	return NULL;
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *unused)
{
	_cleanup_error_ struct dv_error *err = dv_recorder_finish(dv_steal(plugin.recorder));

	if (err)
		say("the trace is not complete: %s", err->message);
}

static void on_exit_of_segment(qemu_plugin_id_t id, void *unused)
{
	_cleanup_error_ struct dv_error *err = dv_spooler_finish(dv_steal(plugin.spooler));

	dv_answers_deinit(&plugin.answers);
	if (err)
		say("the segment is not complete: %s", err->message);
}

static void on_exit_of_look(qemu_plugin_id_t id, void *unused)
{
	bool failed = ferror(plugin.records);

	if (fclose(plugin.records) || failed)
		say("%s: not all could be written: %s", plugin.options.out, strerror(errno));
}

/* watch= or capture=: a replay looked at closer, instead of traced. */
static struct dv_error *start_look(qemu_plugin_id_t id, const struct dv_arch *arch)
{
	struct dv_clock clock = dv_clock_choose(plugin.options.clock, 1, look_up);
	struct dv_capture capture;
	struct dv_watch watch;

	if (plugin.options.watch && plugin.options.capture)
		return dv_error_new(DV_ERROR_INVALID, "options watch and capture do not go together");
	if (plugin.options.watch)
		DV_TRY(dv_watch_parse(plugin.options.watch, &watch));
	else
		DV_TRY(dv_capture_parse(plugin.options.capture, &capture));
	if (clock.inexact_reason)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "watch and capture need exact instruction counts: %s",
				    clock.inexact_reason);
	plugin.records = fopen(plugin.options.out, "we");
	if (!plugin.records)
		return dv_error_os(errno, "%s: cannot be written", plugin.options.out);
	if (plugin.options.watch)
		dv_watch_start(id, &watch, &clock, plugin.records);
	else
		dv_capture_start(id, &capture, arch, &clock, plugin.records);
	qemu_plugin_register_atexit_cb(id, on_exit_of_look, NULL);
	return NULL;
}

/* spool=: one segment of several. What is not the first one's own business is what the guest did. */
static struct dv_error *start_segment(qemu_plugin_id_t id, struct dv_tracer_setup *tracer)
{
	DV_TRY(load_symbols(tracer->arch));
	tracer->clock = dv_clock_choose(plugin.options.clock, tracer->several_cpus ? 2 : 1, look_up);
	if (!plugin.kernel || tracer->clock.inexact_reason)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "segments need the kernel's symbols and exact instruction counts");
	find_initrd();
	DV_TRY(dv_answers_init(&plugin.answers, tracer->arch, plugin.kernel, &plugin.options, plugin.initrd_path));
	DV_TRY(dv_spooler_create(&plugin.options, &plugin.answers, &plugin.spooler));
	tracer->kernel = plugin.kernel;
	tracer->linux_ = plugin.have_linux ? &plugin.linux_ : NULL;
	tracer->ring = dv_spooler_ring(plugin.spooler);
	tracer->is_continued = true;
	dv_tracer_start(id, tracer);
	qemu_plugin_register_atexit_cb(id, on_exit_of_segment, NULL);
	return NULL;
}

static struct dv_error *start(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	const struct dv_arch *arch = dv_arch_find(info->target_name);
	struct dv_recorder_setup recorder = {.options = &plugin.options, .arch = arch};
	struct dv_tracer_setup tracer = {.arch = arch, .several_cpus = info->system.max_vcpus > 1};

	if (!info->system_emulation || !arch)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "guests of %s%s cannot be traced; x86_64 systems can",
				    info->target_name, info->system_emulation ? "" : " user mode");
	DV_TRY(dv_plugin_options_parse(argc, argv, &plugin.options));
	if (plugin.options.watch || plugin.options.capture)
		return start_look(id, arch);
	if (plugin.options.spool)
		return start_segment(id, &tracer);
	DV_TRY(load_symbols(arch));
	DV_TRY(check_functions());
	DV_TRY(load_sources());
	tracer.clock = dv_clock_choose(plugin.options.clock, (unsigned)info->system.max_vcpus, look_up);
	if (tracer.clock.inexact_reason)
		say("timestamps are %s and cannot be sought exactly: %s",
		    tracer.clock.kind == DV_TRACE_CLOCK_ICOUNT ? "counted instructions" : "host nanoseconds",
		    tracer.clock.inexact_reason);
	find_initrd();
	recorder.initrd = plugin.initrd_path;
	recorder.follows_user_space = plugin.have_linux;
	recorder.sources = plugin.sources;
	recorder.debug_files = plugin.debug_files;
	recorder.kernel = plugin.kernel;
	recorder.clock = tracer.clock.kind;
	recorder.inexact_reason = tracer.clock.inexact_reason;
	DV_TRY(dv_recorder_create(&recorder, &plugin.recorder));
	tracer.kernel = plugin.kernel;
	tracer.linux_ = plugin.have_linux ? &plugin.linux_ : NULL;
	tracer.ring = dv_recorder_ring(plugin.recorder);
	dv_tracer_start(id, &tracer);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return NULL;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	_cleanup_error_ struct dv_error *err = NULL;

	if (plugin.recorder || plugin.records || plugin.spooler)
		err = dv_error_new(DV_ERROR_INVALID, "the plugin is loaded already: one -plugin is enough");
	else
		err = start(id, info, argc, argv);
	if (err)
		say("%s", err->message);
	return err ? -1 : 0;
}
