/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serial ports, character devices, monitors, displays. The first serial port is the console: what the
 * guest writes to it goes to the terminal (when the user had it there) and into DV_QEMU_CONSOLE.
 *
 * Input is logged by QEMU only on a character device that -serial names, and not behind a multiplexer:
 * so there is no `mon:` here. Whoever owns the terminal makes Ctrl-A X, through QMP.
 */
#include "qemu/rewrite.h"

#include <string.h>

#define CONSOLE_ID "dv-console"
#define CONSOLE_PATH "%{console,}"

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

struct dv_error *dv_console_scan(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	switch (option->def->action) {
	case DV_OPTION_NOGRAPHIC:
		rw->nographic = true;
		return NULL;
	case DV_OPTION_DISPLAY:
		rw->display_none = !strcmp(option->arg, "none");
		return NULL;
	case DV_OPTION_MONITOR:
		rw->any_monitor = true;
		return NULL;
	case DV_OPTION_CHARDEV:
		DV_TRY(dv_optlist_parse(option->arg, "backend", &list));
		return dv_named_add(&rw->chardevs, "id", &list, "-chardev");
	case DV_OPTION_SERIAL:
		rw->serials++;
		return NULL;
	default:
		return NULL;
	}
}

struct dv_error *dv_console_mark(struct dv_rewriter *rw)
{
	for (size_t i = 0; i < rw->options.len; i++) {
		const struct dv_option *option = &rw->options.items[i];
		_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
		struct dv_named *chardev = NULL;
		const char *id;

		if (option->def->action == DV_OPTION_SERIAL && starts(option->arg, "chardev:")) {
			chardev = dv_named_find(&rw->chardevs, option->arg + 8);
			if (chardev)
				chardev->used |= DV_USED_SERIAL;
		} else if (option->def->action == DV_OPTION_DEVICE) {
			DV_TRY(dv_optlist_parse(option->arg, "driver", &list));
			id = dv_optlist_get(&list, "chardev");
			chardev = id ? dv_named_find(&rw->chardevs, id) : NULL;
			if (chardev)
				chardev->used |= DV_USED_DEVICE;
			id = dv_optlist_get(&list, "driver");
			if (id && !strcmp(id, "isa-serial"))
				rw->serial_device = true;
		}
	}
	return NULL;
}

/*
 * One character device in all its forms: on the terminal while recording (list, with the console's file
 * as its log), a file when there is no terminal, and at replay a file or nothing.
 */
static struct dv_error *emit_console(struct dv_rewriter *rw, const char *id, struct dv_optlist *list,
				     bool on_terminal)
{
	struct dv_qemu_plan *plan = rw->plan;
	_cleanup_free_ char *plain = dv_plan_quote(id);

	if (!plain)
		return dv_error_no_memory();
	DV_TRY(dv_optlist_set(list, "id", id));
	DV_TRY(dv_optlist_set_template(list, "logfile", CONSOLE_PATH));
	plan->has_console = true;
	rw->console_input |= strcmp(dv_optlist_get(list, "backend") ?: "", "file") &&
			     strcmp(dv_optlist_get(list, "backend") ?: "", "null");
	DV_TRY(dv_emit_list(rw, on_terminal ? DV_WHEN_TERMINAL : DV_WHEN_RECORDING, "-chardev", list));
	DV_TRY(dv_plan_addf(plan, DV_WHEN_SAVING | (on_terminal ? DV_WHEN_QUIET : 0), "-chardev",
			    "file,id=%s,path=%s", plain, CONSOLE_PATH));
	return dv_plan_addf(plan, DV_WHEN_REPLAY, "-chardev", "null,id=%s", plain);
}

static struct dv_error *emit_backend(struct dv_rewriter *rw, const char *backend, bool on_terminal)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	DV_TRY(dv_optlist_parse(backend, "backend", &list));
	DV_TRY(emit_console(rw, CONSOLE_ID, &list, on_terminal));
	return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-serial", "chardev:" CONSOLE_ID);
}

/* `-serial unix:PATH,server=on` and the like as a -chardev, which can have a log. */
static struct dv_error *emit_socket(struct dv_rewriter *rw, const char *arg)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT, rest = DV_OPTLIST_INIT;
	const char *address = strchr(arg, ':') + 1;
	bool local = starts(arg, "unix:");
	char *address_value, *colon;

	DV_TRY(dv_optlist_parse("socket", "backend", &list));
	DV_TRY(dv_optlist_parse(address, local ? "path" : "address", &rest));
	if (!rest.len || !rest.items[0].implied)
		return dv_error_new(DV_ERROR_INVALID, "-serial %s: no address", arg);
	address_value = rest.items[0].value;
	colon = strrchr(address_value, ':');
	if (!local && colon) {
		*colon = 0;
		if (*address_value)
			DV_TRY(dv_optlist_set(&list, "host", address_value));
		DV_TRY(dv_optlist_set(&list, "port", colon + 1));
		dv_optlist_remove(&rest, "address");
	}
	if (starts(arg, "telnet:"))
		DV_TRY(dv_optlist_set(&list, "telnet", "on"));
	for (size_t i = 0; i < rest.len; i++) {
		const char *key = rest.items[i].key, *value = rest.items[i].value;

		DV_TRY(dv_optlist_set(&list, strcmp(key, "nowait") ? key : "wait",
				      strcmp(key, "nowait") ? (value ? value : "on") : "off"));
	}
	DV_TRY(emit_console(rw, CONSOLE_ID, &list, false));
	return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-serial", "chardev:" CONSOLE_ID);
}

/* `file:PATH`, `pipe:PATH`: BACKEND with a path. */
static struct dv_error *emit_path(struct dv_rewriter *rw, const char *backend, const char *path)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	DV_TRY(dv_optlist_parse(backend, "backend", &list));
	DV_TRY(dv_optlist_set(&list, "path", path));
	DV_TRY(emit_console(rw, CONSOLE_ID, &list, false));
	return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-serial", "chardev:" CONSOLE_ID);
}

static struct dv_error *emit_first_serial(struct dv_rewriter *rw, const char *arg)
{
	if (!strcmp(arg, "stdio"))
		return emit_backend(rw, "stdio,signal=off", true);
	if (starts(arg, "file:"))
		return emit_path(rw, "file", arg + 5);
	if (starts(arg, "pipe:"))
		return emit_path(rw, "pipe", arg + 5);
	if (starts(arg, "unix:") || starts(arg, "tcp:") || starts(arg, "telnet:"))
		return emit_socket(rw, arg);
	if (!strcmp(arg, "null") || !strcmp(arg, "pty"))
		return emit_backend(rw, arg, false);
	if (!strcmp(arg, "vc") || starts(arg, "vc:"))
		return emit_backend(rw, "vc", true);
	DV_TRY(dv_plan_note(rw->plan, "-serial %s: its output is not kept in the recording", arg));
	DV_TRY(dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, "-serial", arg));
	return dv_plan_add(rw->plan, DV_WHEN_REPLAYING, "-serial", "null");
}

static struct dv_error *emit_serial(struct dv_rewriter *rw, const struct dv_option *option)
{
	const char *arg = option->arg;
	bool first = true;

	for (const struct dv_option *o = rw->options.items; o < option; o++)
		first &= o->def->action != DV_OPTION_SERIAL;
	if (starts(arg, "/dev/") || starts(arg, "con:"))
		return dv_refuse(option->word, arg,
				 "a device of the host cannot be recorded; use stdio, a file or a socket");
	if (starts(arg, "mon:")) {
		arg += 4;
		DV_TRY(dv_plan_note(rw->plan, "no monitor on the console: QEMU would not log what is typed there"));
	}
	if (!strcmp(arg, "none") || starts(arg, "chardev:"))
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, "-serial", arg);
	if (first)
		return emit_first_serial(rw, arg);
	if (!strcmp(arg, "stdio")) {
		DV_TRY(dv_plan_add(rw->plan, DV_WHEN_TERMINAL, "-serial", "stdio"));
		return dv_plan_add(rw->plan, DV_WHEN_QUIET | DV_WHEN_REPLAYING, "-serial", "null");
	}
	DV_TRY(dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, "-serial", arg));
	return dv_plan_add(rw->plan, DV_WHEN_REPLAYING, "-serial", "null");
}

/* One that a -serial names. */
static struct dv_error *emit_serial_chardev(struct dv_rewriter *rw, struct dv_named *chardev,
					    struct dv_optlist *list)
{
	const char *backend = dv_optlist_get(list, "backend");
	bool on_terminal = backend && !strcmp(backend, "stdio");
	_cleanup_free_ char *id = dv_plan_quote(chardev->id);

	if (!id)
		return dv_error_no_memory();
	if (dv_optlist_remove(list, "mux"))
		DV_TRY(dv_plan_note(rw->plan, "-chardev %s: mux= left out: QEMU would not log what is typed there",
				    chardev->id));
	if (on_terminal)
		DV_TRY(dv_optlist_set(list, "signal", "off"));
	if (!rw->plan->has_console && !dv_optlist_get(list, "logfile"))
		return emit_console(rw, chardev->id, list, on_terminal);
	DV_TRY(dv_emit_list(rw, on_terminal ? DV_WHEN_TERMINAL : DV_WHEN_RECORDING, "-chardev", list));
	return dv_plan_addf(rw->plan, DV_WHEN_REPLAYING | (on_terminal ? DV_WHEN_QUIET : 0), "-chardev",
			    "null,id=%s", id);
}

static struct dv_error *emit_device_chardev(struct dv_rewriter *rw, struct dv_named *chardev,
					    const struct dv_optlist *list)
{
	const char *backend = dv_optlist_get(list, "backend");
	_cleanup_free_ char *id = dv_plan_quote(chardev->id);

	if (!id)
		return dv_error_no_memory();
	if (backend && (!strcmp(backend, "file") || !strcmp(backend, "null") || !strcmp(backend, "ringbuf"))) {
		DV_TRY(dv_emit_list(rw, DV_WHEN_RECORDING, "-chardev", list));
		return dv_plan_addf(rw->plan, DV_WHEN_REPLAYING, "-chardev", "null,id=%s", id);
	}
	if (backend && !strcmp(backend, "stdio") && !rw->plan->has_console && !rw->serials) {
		rw->plan->has_console = true;
		DV_TRY(dv_plan_note(rw->plan,
				    "-chardev %s: output only, into the recording: QEMU logs input on -serial alone",
				    chardev->id));
		DV_TRY(dv_plan_addf(rw->plan, DV_WHEN_RECORDING | DV_WHEN_SAVING, "-chardev",
				    "file,id=%s,path=%s", id, CONSOLE_PATH));
		return dv_plan_addf(rw->plan, DV_WHEN_REPLAY, "-chardev", "null,id=%s", id);
	}
	DV_TRY(dv_plan_note(rw->plan, "-chardev %s is cut off: QEMU logs input on -serial alone", chardev->id));
	return dv_plan_addf(rw->plan, DV_WHEN_ALWAYS, "-chardev", "null,id=%s", id);
}

static struct dv_error *emit_chardev(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	struct dv_named *chardev;
	const char *backend;

	DV_TRY(dv_optlist_parse(option->arg, "backend", &list));
	chardev = dv_named_find(&rw->chardevs, dv_optlist_get(&list, "id"));
	backend = dv_optlist_get(&list, "backend");
	if (backend && (!strcmp(backend, "serial") || !strcmp(backend, "tty") ||
			!strcmp(backend, "parallel") || !strcmp(backend, "parport")))
		return dv_refuse("-chardev", backend,
				 "a device of the host cannot be recorded; use stdio, a file or a socket");
	if (chardev->used & DV_USED_SERIAL)
		return emit_serial_chardev(rw, chardev, &list);
	if (chardev->used & DV_USED_DEVICE)
		return emit_device_chardev(rw, chardev, &list);
	return dv_emit_list(rw, DV_WHEN_RECORDING, "-chardev", &list);
}

static struct dv_error *emit_parallel(struct dv_rewriter *rw, const struct dv_option *option)
{
	if (starts(option->arg, "/dev/"))
		return dv_refuse(option->word, option->arg,
				 "a device of the host cannot be recorded; use a file or null");
	if (!strcmp(option->arg, "none") || starts(option->arg, "chardev:"))
		return dv_plan_add_plain(rw->plan, DV_WHEN_ALWAYS, option->word, option->arg);
	DV_TRY(dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, option->word, option->arg));
	return dv_plan_add(rw->plan, DV_WHEN_REPLAYING, option->word, "null");
}

/* A monitor on the terminal that is also the console's has gone; others stay while recording. */
static struct dv_error *emit_monitor(struct dv_rewriter *rw, const struct dv_option *option)
{
	bool terminal = !strcmp(option->arg, "stdio") || !strcmp(option->arg, "mon:stdio");
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const struct dv_named *chardev = NULL;

	if (!strcmp(option->def->name, "mon")) {
		DV_TRY(dv_optlist_parse(option->arg, "chardev", &list));
		chardev = dv_named_find(&rw->chardevs, dv_optlist_get(&list, "chardev") ?: "");
	}
	if (chardev && chardev->used)
		return dv_plan_note(rw->plan, "-mon %s left out: no monitor on a console that is recorded",
				    option->arg);
	return dv_plan_add_plain(rw->plan, terminal ? DV_WHEN_TERMINAL : DV_WHEN_RECORDING, option->word,
				 option->arg);
}

struct dv_error *dv_console_emit(struct dv_rewriter *rw, const struct dv_option *option)
{
	switch (option->def->action) {
	case DV_OPTION_SERIAL:
		return emit_serial(rw, option);
	case DV_OPTION_CHARDEV:
		return emit_chardev(rw, option);
	case DV_OPTION_PARALLEL:
		return emit_parallel(rw, option);
	case DV_OPTION_MONITOR:
		return emit_monitor(rw, option);
	case DV_OPTION_NOGRAPHIC:
		return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-nographic", NULL);
	case DV_OPTION_DISPLAY:
		if (!strcmp(option->arg, "none"))
			return NULL;
		return dv_plan_add_plain(rw->plan, DV_WHEN_TERMINAL, option->word, option->arg);
	default:
		return NULL;
	}
}

/* The serial port that QEMU makes by itself when nothing is said. */
static struct dv_error *emit_default_serial(struct dv_rewriter *rw)
{
	if (rw->serials || rw->nodefaults || rw->serial_device)
		return NULL;
	if (rw->nographic) {
		DV_TRY(dv_plan_note(rw->plan,
				    "no monitor on the console: QEMU would not log what is typed there"));
		return emit_backend(rw, "stdio,signal=off", true);
	}
	return rw->display_none ? emit_backend(rw, "null", false) : emit_backend(rw, "vc", true);
}

struct dv_error *dv_console_finish(struct dv_rewriter *rw)
{
	DV_TRY(emit_default_serial(rw));
	if (!rw->nographic)
		DV_TRY(dv_plan_add(rw->plan,
				   rw->display_none ? DV_WHEN_ALWAYS : DV_WHEN_QUIET | DV_WHEN_REPLAYING,
				   "-display", "none"));
	return dv_plan_add(rw->plan,
			   (rw->nographic && !rw->any_monitor ? DV_WHEN_TERMINAL : 0) | DV_WHEN_QUIET |
				   DV_WHEN_REPLAYING,
			   "-monitor", "none");
}
