/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building a plan, and QEMU's argv from it; see plan.h and plan_build.h. */
#include "qemu/plan.h"

#include <string.h>
#include "base/buf.h"
#include "base/io.h"
#include "qemu/layers.h"
#include "qemu/plan_build.h"

void dv_strv_free(char **strv)
{
	if (!strv)
		return;
	for (char **p = strv; *p; p++)
		free(*p);
	free(strv);
}


char **dv_strv_copy(char *const *strv, size_t len)
{
	char **copy = calloc(len + 1, sizeof(*copy));

	for (size_t i = 0; copy && i < len; i++) {
		copy[i] = strdup(strv[i]);
		if (!copy[i]) {
			dv_strv_free(copy);
			return NULL;
		}
	}
	return copy;
}

static void image_deinit(struct dv_qemu_image *image)
{
	free(image->name);
	free(image->path);
	free(image->format);
	free(image->overlay);
	dv_strv_free(image->backing);
}

void dv_qemu_plan_destroy(struct dv_qemu_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->images_len; i++)
		image_deinit(&plan->images[i]);
	for (size_t i = 0; i < plan->files_len; i++) {
		free(plan->files[i].role);
		free(plan->files[i].path);
		free(plan->files[i].stored);
	}
	for (size_t i = 0; i < plan->forwards_len; i++) {
		free(plan->forwards[i].netdev);
		free(plan->forwards[i].rule);
	}
	for (size_t i = 0; i < plan->args_len; i++) {
		free(plan->args[i].option);
		free(plan->args[i].value);
	}
	free(plan->images);
	free(plan->files);
	free(plan->forwards);
	free(plan->args);
	free(plan->binary);
	free(plan->arch);
	free(plan->directory);
	free(plan->icount);
	dv_strv_free(plan->command);
	dv_strv_free(plan->notes);
	free(plan);
}

struct dv_error *dv_plan_add(struct dv_qemu_plan *plan, unsigned when, const char *option,
			     const char *value)
{
	struct dv_qemu_plan_arg *args = reallocarray(plan->args, plan->args_len + 1, sizeof(*args));
	struct dv_qemu_plan_arg *arg;

	if (!args)
		return dv_error_no_memory();
	plan->args = args;
	arg = &args[plan->args_len];
	*arg = (struct dv_qemu_plan_arg){.when = when, .option = strdup(option)};
	if (value)
		arg->value = strdup(value);
	plan->args_len++;
	return !arg->option || (value && !arg->value) ? dv_error_no_memory() : NULL;
}

char *dv_plan_quote(const char *text)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	for (; *text; text++)
		dv_buf_append(&out, (const char[]){*text, *text}, *text == '%' ? 2 : 1);
	return dv_buf_steal_string(&out);
}

struct dv_error *dv_plan_add_plain(struct dv_qemu_plan *plan, unsigned when, const char *option,
				   const char *value)
{
	_cleanup_free_ char *text = dv_plan_quote(value);

	return text ? dv_plan_add(plan, when, option, text) : dv_error_no_memory();
}

struct dv_error *dv_plan_addf(struct dv_qemu_plan *plan, unsigned when, const char *option,
			      const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0) {
		text = NULL;
		return dv_error_no_memory();
	}
	return dv_plan_add(plan, when, option, text);
}

struct dv_error *dv_plan_note(struct dv_qemu_plan *plan, const char *format, ...)
{
	char **notes = reallocarray(plan->notes, plan->notes_len + 2, sizeof(*notes));
	va_list args;
	int len;

	if (!notes)
		return dv_error_no_memory();
	plan->notes = notes;
	va_start(args, format);
	len = vasprintf(&notes[plan->notes_len], format, args);
	va_end(args);
	if (len < 0)
		notes[plan->notes_len] = NULL;
	else
		notes[++plan->notes_len] = NULL;
	return len < 0 ? dv_error_no_memory() : NULL;
}

struct dv_error *dv_plan_new_image(struct dv_qemu_plan *plan, struct dv_qemu_image **ret)
{
	struct dv_qemu_image *images = reallocarray(plan->images, plan->images_len + 1, sizeof(*images));

	if (!images)
		return dv_error_no_memory();
	plan->images = images;
	*ret = &images[plan->images_len++];
	**ret = (struct dv_qemu_image){0};
	return NULL;
}

struct dv_error *dv_plan_new_file(struct dv_qemu_plan *plan, const char *role, const char *path,
				  size_t *ret_index)
{
	struct dv_qemu_file *files = reallocarray(plan->files, plan->files_len + 1, sizeof(*files));
	struct dv_qemu_file *file;

	if (!files)
		return dv_error_no_memory();
	plan->files = files;
	file = &files[plan->files_len];
	*file = (struct dv_qemu_file){.role = strdup(role), .path = strdup(path)};
	*ret_index = plan->files_len++;
	return file->role && file->path ? NULL : dv_error_no_memory();
}

struct dv_error *dv_plan_new_forward(struct dv_qemu_plan *plan, const char *netdev, const char *rule)
{
	struct dv_qemu_forward *forwards = reallocarray(plan->forwards, plan->forwards_len + 1, sizeof(*forwards));
	struct dv_qemu_forward *forward;

	if (!forwards)
		return dv_error_no_memory();
	plan->forwards = forwards;
	forward = &forwards[plan->forwards_len++];
	*forward = (struct dv_qemu_forward){.netdev = strdup(netdev), .rule = strdup(rule)};
	return forward->netdev && forward->rule ? NULL : dv_error_no_memory();
}

struct dv_error *dv_qemu_plan_no_input(struct dv_qemu_plan *plan)
{
	char *icount;

	if (!plan->can_skip_idle)
		return NULL;
	icount = strdup("shift=auto,sleep=off");
	if (!icount)
		return dv_error_no_memory();
	free(plan->icount);
	plan->icount = icount;
	return NULL;
}

char *dv_qemu_image_path(const struct dv_qemu_plan *plan, size_t i, const char *folder)
{
	return dv_path_join(folder, plan->images[i].path);
}

char *dv_qemu_file_path(const struct dv_qemu_plan *plan, size_t i, const char *folder)
{
	const struct dv_qemu_file *file = &plan->files[i];

	return dv_path_join(folder, file->stored ? file->stored : file->path);
}

/* What is being made: the argv so far, and where names come from. */
struct maker {
	const struct dv_qemu_plan *plan;
	const struct dv_qemu_run *run;
	const char *disks;
	struct dv_buf argv; /* of char * */
};

static struct dv_error *push(struct maker *m, char *text)
{
	if (!text)
		return dv_error_no_memory();
	dv_buf_append(&m->argv, &text, sizeof(text));
	if (m->argv.failed) {
		free(text);
		return dv_error_no_memory();
	}
	return NULL;
}

static struct dv_error *pushf(struct maker *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static struct dv_error *pushf(struct maker *m, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return push(m, len < 0 ? NULL : text);
}

static void put_escaped(struct dv_buf *out, const char *text)
{
	for (; *text; text++)
		dv_buf_append(out, (const char[]){*text, *text}, *text == ',' ? 2 : 1);
}

/* Commas doubled, as QEMU wants them inside a value; NULL: none left. */
static char *escaped(const char *text)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	put_escaped(&out, text);
	return dv_buf_steal_string(&out);
}

/* The N of imageN when name has that shape and N is below len; else -1. */
static long indexed(const char *name, const char *stem, size_t len)
{
	size_t stem_len = strlen(stem);
	char *end;
	unsigned long n;

	if (strncmp(name, stem, stem_len) || name[stem_len] < '0' || name[stem_len] > '9')
		return -1;
	n = strtoul(name + stem_len, &end, 10);
	return *end || n >= len ? -1 : (long)n;
}

static struct dv_error *lookup(const struct maker *m, const char *name, char **ret)
{
	const struct dv_qemu_plan *plan = m->plan;
	const struct dv_qemu_run *run = m->run;
	long i;

	if (!strcmp(name, "log"))
		*ret = run->log ? strdup(run->log) : dv_path_join(run->folder, DV_QEMU_LOG);
	else if (!strcmp(name, "console"))
		*ret = run->console ? strdup(run->console) : dv_path_join(run->folder, DV_QEMU_CONSOLE);
	else if (!strcmp(name, "disks"))
		*ret = strdup(m->disks);
	else if ((i = indexed(name, "image", plan->images_len)) >= 0)
		*ret = dv_qemu_image_path(plan, (size_t)i, run->folder);
	else if ((i = indexed(name, "file", plan->files_len)) >= 0)
		*ret = dv_qemu_file_path(plan, (size_t)i, run->folder);
	else if ((i = indexed(name, "format", plan->images_len)) >= 0)
		*ret = strdup(plan->images[i].format ? plan->images[i].format : "raw");
	else
		return dv_error_new(DV_ERROR_FORMAT, "the plan of QEMU's command line names %%{%s}, which is unknown",
				    name);
	return *ret ? NULL : dv_error_no_memory();
}

/* Reads the placeholder at *p, which is behind "%{". */
static struct dv_error *expand_name(const struct maker *m, const char **p, struct dv_buf *out)
{
	_cleanup_free_ char *name = NULL, *value = NULL;
	const char *end = strchr(*p, '}');
	size_t len = end ? (size_t)(end - *p) : 0;
	bool escape = len && (*p)[len - 1] == ',';

	if (!len)
		return dv_error_new(DV_ERROR_FORMAT, "the plan of QEMU's command line has a bad placeholder");
	name = strndup(*p, len - escape);
	if (!name)
		return dv_error_no_memory();
	DV_TRY(lookup(m, name, &value));
	if (escape)
		put_escaped(out, value);
	else
		dv_buf_append(out, value, strlen(value));
	*p = end + 1;
	return NULL;
}

static struct dv_error *push_template(struct maker *m, const char *text)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	while (*text) {
		size_t len = strcspn(text, "%");

		dv_buf_append(&out, text, len);
		text += len;
		if (!*text)
			break;
		if (text[1] == '{') {
			text += 2;
			DV_TRY(expand_name(m, &text, &out));
		} else {
			dv_buf_append(&out, "%", 1);
			text += text[1] == '%' ? 2 : 1;
		}
	}
	return push(m, dv_buf_steal_string(&out));
}

static unsigned when_of(const struct dv_qemu_run *run)
{
	if (run->mode == DV_QEMU_REPLAY)
		return run->console ? DV_WHEN_SAVING : DV_WHEN_REPLAY;
	return run->no_terminal ? DV_WHEN_QUIET : DV_WHEN_TERMINAL;
}

static struct dv_error *push_plugin(struct maker *m)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;

	if (!m->run->plugin)
		return NULL;
	put_escaped(&out, m->run->plugin);
	for (const char *const *option = m->run->plugin_options; option && *option; option++) {
		dv_buf_append(&out, ",", 1);
		put_escaped(&out, *option);
	}
	DV_TRY(pushf(m, "-plugin"));
	return push(m, dv_buf_steal_string(&out));
}

/* The ends that talk to us. */
static struct dv_error *push_sockets(struct maker *m)
{
	const struct dv_qemu_run *run = m->run;
	_cleanup_free_ char *qmp = run->qmp_socket ? escaped(run->qmp_socket) : NULL;
	_cleanup_free_ char *gdb = run->gdb_socket ? escaped(run->gdb_socket) : NULL;

	if ((run->qmp_socket && !qmp) || (run->gdb_socket && !gdb))
		return dv_error_no_memory();
	if (run->qmp_fd > 0 || qmp)
		DV_TRY(pushf(m, "-chardev"));
	if (run->qmp_fd > 0)
		DV_TRY(pushf(m, "socket,id=dv-qmp,fd=%d,server=on,wait=off", run->qmp_fd));
	else if (qmp)
		DV_TRY(pushf(m, "socket,id=dv-qmp,path=%s,server=on,wait=off", qmp));
	if (run->qmp_fd > 0 || qmp) {
		DV_TRY(pushf(m, "-mon"));
		DV_TRY(pushf(m, "chardev=dv-qmp,mode=control"));
	}
	if (gdb) {
		DV_TRY(pushf(m, "-chardev"));
		DV_TRY(pushf(m, "socket,id=dv-gdb,path=%s,server=on,wait=off", gdb));
		DV_TRY(pushf(m, "-gdb"));
		DV_TRY(pushf(m, "chardev:dv-gdb"));
	}
	return NULL;
}

static struct dv_error *make(struct maker *m)
{
	const struct dv_qemu_plan *plan = m->plan;
	const struct dv_qemu_run *run = m->run;
	_cleanup_free_ char *log = NULL, *log_escaped = NULL, *disks_escaped = escaped(m->disks);
	const char *snapshot = run->snapshot ? run->snapshot : DV_QEMU_FIRST_SNAPSHOT;

	DV_TRY(lookup(m, "log", &log));
	log_escaped = escaped(log);
	if (!log_escaped || !disks_escaped)
		return dv_error_no_memory();
	DV_TRY(pushf(m, "%s", run->binary ? run->binary : plan->binary));
	DV_TRY(pushf(m, "-icount"));
	if (run->mode != DV_QEMU_RECORD && plan->cannot_restore && !run->snapshot)
		DV_TRY(pushf(m, "%s,rr=replay,rrfile=%s", plan->icount, log_escaped));
	else
		DV_TRY(pushf(m, "%s,rr=%s,rrfile=%s,rrsnapshot=%s", plan->icount,
			     run->mode == DV_QEMU_RECORD ? "record" : "replay", log_escaped, snapshot));
	/* The first drive that can hold a machine's state gets it: this one must stand before the rest. */
	DV_TRY(pushf(m, "-drive"));
	DV_TRY(pushf(m, "file=%s/%s,format=qcow2,if=none,id=dv-snapshots", disks_escaped, DV_QEMU_SNAPSHOTS));
	for (size_t i = 0; i < plan->args_len; i++) {
		const struct dv_qemu_plan_arg *arg = &plan->args[i];

		if (!(arg->when & when_of(run)))
			continue;
		DV_TRY(push_template(m, arg->option));
		if (arg->value)
			DV_TRY(push_template(m, arg->value));
	}
	DV_TRY(push_plugin(m));
	DV_TRY(push_sockets(m));
	if (run->paused)
		DV_TRY(pushf(m, "-S"));
	return NULL;
}

struct dv_error *dv_qemu_plan_argv(const struct dv_qemu_plan *plan, const struct dv_qemu_run *run,
				   char ***ret)
{
	struct maker m = {.plan = plan, .run = run, .disks = run->disks ? run->disks : run->folder};
	struct dv_error *err;
	char *end = NULL;

	if (!run->folder || *run->folder != '/')
		return dv_error_new(DV_ERROR_INVALID, "the recording's folder must be given as an absolute path");
	err = make(&m);
	dv_buf_append(&m.argv, &end, sizeof(end));
	if (!err && m.argv.failed)
		err = dv_error_no_memory();
	if (err) {
		/* A NULL that did not fit leaves the strings unreachable by a vector: free them one by one. */
		for (size_t i = 0; i < m.argv.len / sizeof(char *); i++)
			free(((char **)(void *)m.argv.data)[i]);
		dv_buf_deinit(&m.argv);
		return err;
	}
	if (run->layers) {
		err = dv_qemu_layers_apply(run, (char **)(void *)m.argv.data);
		if (err) {
			dv_strv_free((char **)(void *)m.argv.data);
			return err;
		}
	}
	*ret = (char **)(void *)m.argv.data;
	return NULL;
}
