/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session's gdb: the real one, on a terminal of its own, with symbols at the addresses where the guest ran.
 *
 * Names come from a vmlinux with DWARF if there is one (given, or where distributions install it), else from
 * an ELF file made of the kernel image's own names. What the trace knows by name besides, functions of modules
 * without debug information, goes into another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include "base/io.h"
#include "dv_config.h"
#include "guest/arch.h"
#include "guest/slide.h"
#include "replay/session_private.h"
#include "symbols/debugfiles.h"
#include "symbols/elfwrite.h"

#define SLIDE_PAGE_BYTES 4096
#define SLIDE_PIECE_BYTES 32
#define GDB_GRACE_MS 300
#define MI_TIMEOUT_MS 60000
#define SCRIPT "dejaview.py"
#define MI_SCRIPT "dejaview_mi.py"

int dv_session_terminal_fd(const struct dv_session *session)
{
	return session->terminal_fd;
}

int dv_session_mi_fd(const struct dv_session *session)
{
	return session->mi_fd;
}

int dv_session_gdb_pidfd(const struct dv_session *session)
{
	return session->gdb.pidfd;
}

bool dv_session_gdb_ended(struct dv_session *session, int *ret_status)
{
	bool ended = true;

	dv_error_destroy(dv_process_wait(&session->gdb, 0, &ended));
	if (ended && ret_status)
		*ret_status = session->gdb.status;
	return ended;
}

void dv_session_resize(struct dv_session *session, unsigned rows, unsigned columns)
{
	struct winsize size = {.ws_row = (unsigned short)(rows ?: 24), .ws_col = (unsigned short)(columns ?: 80)};

	if (session->terminal_fd >= 0)
		ioctl(session->terminal_fd, TIOCSWINSZ, &size);
}

/* A file of this session's: its path, which goes when the session does. */
static struct dv_error *own_file(struct dv_session *s, const char *name, const char **ret)
{
	char *path;

	dv_assert(s->files_len < DV_ARRAY_SIZE(s->files));
	path = dv_path_join(dv_timeline_run_dir(s->timeline), name);
	if (!path)
		return dv_error_no_memory();
	s->files[s->files_len++] = path;
	*ret = path;
	return NULL;
}

/* Without a trace that says it: by the code around the guest's place, if that is the kernel's. */
static void find_slide(struct dv_session *s)
{
	const struct dv_arch *arch = dv_arch_find(s->recording->plan->arch);
	struct dv_x86_registers registers;
	uint8_t code[SLIDE_PAGE_BYTES];
	struct dv_error *err;
	uint64_t page;

	if (s->has_slide || !s->kernel || !arch)
		return;
	err = dv_timeline_read_registers(s->timeline, &registers);
	page = err ? 0 : registers.rip & ~(uint64_t)(SLIDE_PAGE_BYTES - 1);
	if (!err && page >= arch->kernel_min && page < arch->kernel_max)
		err = dv_timeline_read_memory(s->timeline, page, code, sizeof(code));
	else
		page = 0;
	for (size_t at = 0; !err && page && !s->has_slide && at + SLIDE_PIECE_BYTES <= sizeof(code);
	     at += SLIDE_PIECE_BYTES / 2)
		s->has_slide = dv_slide_match(s->kernel, arch, page + at, code + at, SLIDE_PIECE_BYTES, &s->slide);
	dv_error_destroy(err);
}

static struct dv_error *write_kernel_symbols(struct dv_session *s, const char *path)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(s->kernel);
	size_t count = dv_symtab_count(symtab), kept = 0;
	_cleanup_free_ struct dv_elf_symbol *rows = calloc(count + 1, sizeof(*rows));

	if (!rows)
		return dv_error_no_memory();
	for (size_t i = 0; i < count; i++) {
		const struct dv_symbol *symbol = dv_symtab_get(symtab, i);

		/* Offsets in the per-CPU area are no addresses. */
		if (!dv_is_kernel_vaddr(symbol->vaddr))
			continue;
		rows[kept++] = (struct dv_elf_symbol){symbol->name, symbol->vaddr + s->slide, symbol->size_bytes,
						      symbol->is_function};
	}
	return dv_elf_write_symbols(path, dv_kernel_machine(s->kernel), rows, kept);
}

/* What the trace has names for and the kernel image has not: functions of modules, but for those with a debug file. */
static struct dv_error *write_trace_symbols(struct dv_session *s, const char *path, size_t *ret_count)
{
	struct dv_trace_reader *reader = dv_stacks_reader(s->stacks);
	size_t count = dv_trace_reader_function_count(reader);
	_cleanup_free_ struct dv_elf_symbol *rows = calloc(count + 1, sizeof(*rows));

	*ret_count = 0;
	if (!rows)
		return dv_error_no_memory();
	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_function *is = &dv_trace_reader_function(reader, (uint32_t)i)->is;
		const char *bare = *is->name == '[' ? strstr(is->name, "] ") : NULL;

		if (is->space != DV_FUNCTION_MODULE || !dv_is_kernel_vaddr(is->vaddr) || !strncmp(is->name, "0x", 2) ||
		    session_modules_have(s, is->vaddr))
			continue;
		rows[(*ret_count)++] = (struct dv_elf_symbol){bare ? bare + 2 : is->name, is->vaddr, is->size_bytes, true};
	}
	return *ret_count ? dv_elf_write_symbols(path, dv_kernel_machine(s->kernel), rows, *ret_count) : NULL;
}

/* What was given, or what packages put there. NULL: nothing. */
static char *find_debug_info(const struct dv_session *s)
{
	_cleanup_(dv_debug_files_destroyp) struct dv_debug_files *files = NULL;
	struct dv_error *err = dv_debug_files_create(s->debug_info, dv_kernel_banner(s->kernel), &files);
	char *found = err ? NULL : dv_debug_files_kernel(files, dv_kernel_build_id(s->kernel));

	dv_error_destroy(err);
	return found;
}

/* Another build's debug information would name everything wrongly. */
static struct dv_error *check_debug_info(const struct dv_session *s, const char *path)
{
	_cleanup_(dv_kernel_destroyp) struct dv_kernel *debug = NULL;
	const char *want = dv_kernel_build_id(s->kernel), *is;

	DV_TRY(dv_kernel_open(path, &debug));
	is = dv_kernel_build_id(debug);
	if (want && is && strcmp(want, is))
		return dv_error_new(DV_ERROR_MISMATCH, "%s is of another build (%s) than the recording's kernel (%s)", path, is,
				    want);
	return NULL;
}

/* gdb's string: backslashes and quotes escaped. */
static void put_path(struct dv_buf *script, const char *path)
{
	dv_buf_printf(script, "\"");
	for (; *path; path++)
		dv_buf_printf(script, *path == '"' || *path == '\\' ? "\\%c" : "%c", *path);
	dv_buf_printf(script, "\"");
}

static void put_debug_info(struct dv_buf *script, const struct dv_session *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash ? (size_t)(slash - path) : 0);
	_cleanup_free_ char *scripts = dir ? dv_path_join(*dir ? dir : ".", "vmlinux-gdb.py") : NULL;

	dv_buf_printf(script, "symbol-file -o 0x%" PRIx64 " ", s->slide);
	put_path(script, path);
	dv_buf_printf(script, "\n");
	if (scripts && !access(scripts, R_OK)) {
		dv_buf_printf(script, "source %s\n", scripts); /* takes the line as it is */
	}
}

static struct dv_error *put_symbols(struct dv_session *s, struct dv_buf *script)
{
	_cleanup_free_ char *debug_info = NULL;
	const char *path;

	if (!s->kernel) {
		dv_buf_printf(script, "echo No symbols: %s\\n\n", s->no_symbols);
		return NULL;
	}
	find_slide(s);
	if (!s->has_slide) {
		dv_buf_printf(script, "echo No symbols: the trace that says where KASLR put the kernel is missing "
				      "(dejaview trace makes it)\\n\n");
		return NULL;
	}
	debug_info = find_debug_info(s);
	if (debug_info) {
		DV_TRY(check_debug_info(s, debug_info));
		put_debug_info(script, s, debug_info);
	} else {
		DV_TRY(own_file(s, "kernel.elf", &path));
		DV_TRY(write_kernel_symbols(s, path));
		dv_buf_printf(script, "file ");
		put_path(script, path);
		dv_buf_printf(script, "\n");
	}
	return NULL;
}

struct dv_error *session_gdb_modules(struct dv_session *s, const char **ret)
{
	const char *path;
	size_t count;

	*ret = NULL;
	if (!s->kernel || !s->has_slide || s->files_len == DV_ARRAY_SIZE(s->files))
		return NULL;
	DV_TRY(own_file(s, "modules.elf", &path));
	DV_TRY(write_trace_symbols(s, path, &count));
	if (count)
		*ret = path;
	return NULL;
}

/* Where it is installed, else in the source tree that this program was built from. */
static struct dv_error *find_script(const char *name, char **ret)
{
	static const char *const places[] = {DV_DATA_DIR, DV_SOURCE_DIR "/src/replay"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = dv_path_join(places[i], name);

		if (path && !access(path, R_OK)) {
			*ret = dv_steal(path);
			return NULL;
		}
	}
	return dv_error_new(DV_ERROR_NOT_FOUND, "%s is neither in %s nor in %s", name, places[0], places[1]);
}

static const char *gdb_arch(const char *qemu_arch)
{
	return !strcmp(qemu_arch, "x86_64") ? "i386:x86-64" : qemu_arch;
}

static struct dv_error *write_script(struct dv_session *s, const struct dv_gdb_options *options, const char *mi_tty,
				     const char **ret)
{
	_cleanup_buf_ struct dv_buf script = DV_BUF_INIT;
	_cleanup_free_ char *python = NULL, *values = NULL;

	DV_TRY(find_script(SCRIPT, &python));
	DV_TRY(find_script(MI_SCRIPT, &values));
	/* Another client's seek may keep gdb waiting; the timeline's own watchdog says when it takes too long. */
	dv_buf_printf(&script, "set remotetimeout 600\nset confirm off\nset architecture %s\n",
		      gdb_arch(s->recording->plan->arch));
	dv_buf_printf(&script, "python gdb.execute('set debug-file-directory ' + gdb.parameter('debug-file-directory') + ':' + ");
	put_path(&script, dv_timeline_run_dir(s->timeline));
	dv_buf_printf(&script, ")\n");
	DV_TRY(put_symbols(s, &script));
	dv_buf_printf(&script, "source %s\npython DejaView.connect(", python);
	put_path(&script, s->socket);
	dv_buf_printf(&script, ", %s)\npython DejaView.attach(\"%s\")\n",
		      options->scripts && options->scripts[0] ? "True" : "False", dv_timeline_gdb_socket(s->timeline));
	if (options->mi)
		dv_buf_printf(&script, "source %s\nnew-ui mi3 %s\n", values, mi_tty);
	if (script.failed)
		return dv_error_no_memory();
	DV_TRY(own_file(s, "init.gdb", ret));
	return dv_replace_file(*ret, script.data, script.len, 0600);
}

/* *ret_slave is the path of its other end, which is opened into *ret_slave_fd. */
static struct dv_error *open_terminal(int *ret_master, int *ret_slave_fd, char ret_slave[static 64])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;

	if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, ret_slave, 64) ||
	    (slave = open(ret_slave, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		struct dv_error *err = dv_error_os(errno, "cannot make a terminal for gdb");

		if (master >= 0)
			close(master);
		return err;
	}
	*ret_master = master;
	*ret_slave_fd = slave;
	return NULL;
}

/* A terminal that a program speaks through: nothing is echoed or translated. */
static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

static struct dv_error *start(struct dv_session *s, const struct dv_gdb_options *options, const char *gdb,
			      const char *script, int slave)
{
	static const char *const before[] = {"-q", "-x"};
	struct dv_process_options process = {.own_terminal = slave};
	const char *argv[40] = {gdb};
	size_t len = 1;

	for (size_t i = 0; i < DV_ARRAY_SIZE(before); i++)
		argv[len++] = before[i];
	argv[len++] = script;
	for (size_t i = 0; options->scripts && options->scripts[i] && len + 2 < DV_ARRAY_SIZE(argv); i++) {
		argv[len++] = "-x";
		argv[len++] = options->scripts[i];
	}
	process.argv = (char *const *)(void *)argv;
	return dv_process_start(&process, &s->gdb);
}

/*
 * A terminal whose other end nobody has open reads as hung up: ours is closed when gdb has opened its own, which
 * the first thing that it says there shows.
 */
static struct dv_error *wait_for_mi(struct dv_session *s)
{
	struct pollfd fds[] = {{.fd = s->mi_fd, .events = POLLIN}, {.fd = s->gdb.pidfd, .events = POLLIN}};

	if (poll(fds, DV_ARRAY_SIZE(fds), MI_TIMEOUT_MS) < 0 && errno != EINTR)
		return dv_error_os(errno, "gdb's machine interface");
	if (fds[0].revents & POLLIN)
		return NULL;
	return dv_error_new(DV_ERROR_EXITED, fds[1].revents ? "gdb ended as soon as it was started" :
							      "gdb did not open its machine interface");
}

static struct dv_error *start_first(struct dv_session *session, const struct dv_gdb_options *options,
				    const char *script, int slave)
{
	static const char *const usual[] = {"gdb-multiarch", "gdb"};
	struct dv_error *err;

	if (options->gdb)
		return start(session, options, options->gdb, script, slave);
	err = start(session, options, usual[0], script, slave);
	if (err && err->code == DV_ERROR_NOT_FOUND) {
		dv_error_destroy(err);
		err = start(session, options, usual[1], script, slave);
	}
	if (err && err->code == DV_ERROR_NOT_FOUND) {
		dv_error_destroy(err);
		err = dv_error_new(DV_ERROR_NOT_FOUND, "gdb is missing: install the package gdb");
	}
	return err;
}

struct dv_error *dv_session_start_gdb(struct dv_session *session, const struct dv_gdb_options *options)
{
	_cleanup_close_ int slave = -1, mi_slave = -1;
	char tty[64], mi_tty[64] = "";
	const char *script;

	DV_TRY(open_terminal(&session->terminal_fd, &slave, tty));
	if (options->mi) {
		DV_TRY(open_terminal(&session->mi_fd, &mi_slave, mi_tty));
		make_raw(mi_slave);
	}
	dv_session_resize(session, options->rows, options->columns);
	DV_TRY(write_script(session, options, mi_tty, &script));
	DV_TRY(start_first(session, options, script, slave));
	return options->mi ? wait_for_mi(session) : NULL;
}

void session_gdb_deinit(struct dv_session *s)
{
	dv_process_stop(&s->gdb, GDB_GRACE_MS);
	dv_process_deinit(&s->gdb);
	if (s->terminal_fd >= 0)
		close(s->terminal_fd);
	if (s->mi_fd >= 0)
		close(s->mi_fd);
	s->terminal_fd = s->mi_fd = -1;
	for (size_t i = 0; i < s->files_len; i++) {
		unlink(s->files[i]);
		free(s->files[i]);
	}
	s->files_len = 0;
}
