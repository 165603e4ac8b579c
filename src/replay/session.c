/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session's questions and answers; see session.h. */
#include "replay/session.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/io.h"
#include "base/thread.h"
#include "guest/arch.h"
#include "guest/slide.h"
#include "replay/session_private.h"

#define MAX_LINE_BYTES 65536
#define MAX_THREAD_LINES 10000
#define SLIDE_PAGE_BYTES 4096
#define SLIDE_PIECE_BYTES 32

struct dv_timeline *dv_session_timeline(struct dv_session *session)
{
	return session->timeline;
}

struct dv_stacks *dv_session_stacks(struct dv_session *session)
{
	return session->stacks;
}

static struct dv_error *need_trace(const struct dv_session *s)
{
	return s->stacks ? NULL : dv_error_new(DV_ERROR_NOT_FOUND, "%s has no trace: make one with dejaview trace",
					       s->recording->folder);
}

/* To a call's first instruction, on the side of it where an event that comes there has or has not been. */
static void aim_at(struct dv_session *s, const struct dv_call *call, struct dv_timeline_command *ret)
{
	struct dv_trace_reader *reader = dv_stacks_reader(s->stacks);
	uint64_t vaddr;

	*ret = (struct dv_timeline_command){.verb = DV_TIMELINE_SEEK, .icount = call->icount, .rip = DV_NO_RIP};
	if (dv_trace_reader_metadata(reader)->exact &&
	    dv_trace_reader_entry_vaddr(reader, call->function, call->thread_id, call->icount, &vaddr))
		ret->rip = vaddr;
}

static struct dv_error *resolve_call(struct dv_session *s, const char *text, struct dv_timeline_command *ret)
{
	const char *hash = strrchr(text, '#');
	_cleanup_free_ char *name = strndup(text, hash ? (size_t)(hash - text) : strlen(text));
	uint64_t n = hash ? strtoull(hash + 1, NULL, 10) : 1;
	struct dv_call call;
	bool found;

	DV_TRY(need_trace(s));
	if (!name)
		return dv_error_no_memory();
	DV_TRY(dv_stacks_nth_call(s->stacks, name, n, &call, &found));
	if (!found)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the trace has no call %" PRIu64 " of %s", n, name);
	aim_at(s, &call, ret);
	return NULL;
}

static struct dv_error *resolve_slice(struct dv_session *s, uint64_t icount, const char *rest,
				      struct dv_timeline_command *ret)
{
	struct dv_call call;
	unsigned depth;
	bool found;
	int tid;

	if (sscanf(rest, ":%d:%u", &tid, &depth) != 2)
		return dv_error_new(DV_ERROR_INVALID, "a slice is START:TID:DEPTH");
	DV_TRY(need_trace(s));
	DV_TRY(dv_stacks_find_slice(s->stacks, icount, tid, depth, &call, &found));
	if (!found)
		return dv_error_new(DV_ERROR_NOT_FOUND, "no slice begins at icount %" PRIu64 " in thread %d at depth %u", icount,
				    tid, depth);
	aim_at(s, &call, ret);
	return NULL;
}

/* Of a bare icount: the side where the trace has a call begin, if it has. */
static struct dv_error *prefer_call(struct dv_session *s, struct dv_timeline_command *command)
{
	uint64_t vaddr;
	bool found;

	if (!s->stacks)
		return NULL;
	DV_TRY(dv_stacks_entry_at(s->stacks, command->icount, &vaddr, &found));
	if (found)
		command->rip = vaddr;
	return NULL;
}

struct dv_error *dv_session_resolve(struct dv_session *session, const char *text,
				    struct dv_timeline_command *ret)
{
	struct dv_timeline_command command = {.verb = DV_TIMELINE_SEEK, .rip = DV_NO_RIP};
	struct dv_error *err = NULL;
	char *end = NULL;

	if (!strcmp(text, "end")) {
		command.verb = DV_TIMELINE_SEEK_END;
		*ret = command;
		return NULL;
	}
	if (*text >= '0' && *text <= '9')
		command.icount = strtoull(text, &end, 0);
	pthread_mutex_lock(&session->asking);
	if (!*text)
		err = dv_error_new(DV_ERROR_INVALID, "where? Give an icount, START:TID:DEPTH, FUNC#N or end");
	else if (!end)
		err = resolve_call(session, text, &command);
	else if (*end == ':')
		err = resolve_slice(session, command.icount, end, &command);
	else if (*end == '@')
		command.rip = strtoull(end + 1, &end, 0);
	else if (!*end)
		err = prefer_call(session, &command);
	if (!err && end && *end && *end != ':')
		err = dv_error_new(DV_ERROR_INVALID, "'%s' is no ICOUNT[@ADDRESS], START:TID:DEPTH, FUNC#N or end", text);
	pthread_mutex_unlock(&session->asking);
	if (!err)
		*ret = command;
	return err;
}

/* What is asked and what is answered. */
struct talk {
	struct dv_session *s;
	const json_t *request;
	json_t *answer;
	struct dv_buf text;
};

static const char *argument(const struct talk *t, const char *name)
{
	return json_string_value(json_object_get(t->request, name)) ?: "";
}

static void say_thread(struct talk *t, uint64_t icount)
{
	uint64_t id = t->s->stacks ? dv_stacks_thread_at(t->s->stacks, icount) : 0;
	const struct dv_trace_thread *thread = id ? dv_trace_reader_thread(dv_stacks_headers(t->s->stacks), id) : NULL;

	if (!thread)
		return;
	dv_buf_printf(&t->text, ", thread %d (%s)", thread->tid, thread->comm);
	json_object_set_new(t->answer, "tid", json_integer(thread->tid));
	json_object_set_new(t->answer, "comm", json_string(thread->comm));
}

static struct dv_error *open_frames(struct talk *t, uint64_t icount, struct dv_frame **ret, size_t *ret_len)
{
	uint64_t thread = dv_stacks_thread_at(t->s->stacks, icount);

	*ret = NULL;
	*ret_len = 0;
	return thread ? dv_stacks_at(t->s->stacks, thread, icount, ret, ret_len) : NULL;
}

static struct dv_error *do_when(struct talk *t)
{
	_cleanup_free_ struct dv_frame *frames = NULL;
	struct dv_timeline_now now;
	size_t len = 0;
	char why[160];

	dv_timeline_now(t->s->timeline, &now);
	json_object_set_new(t->answer, "icount", json_integer((json_int_t)now.where.icount));
	json_object_set_new(t->answer, "why", json_string(dv_timeline_why_text(&now, why)));
	dv_buf_printf(&t->text, "icount %" PRIu64 " of %" PRIu64, now.where.icount,
		      dv_recording_common_icount(t->s->recording));
	say_thread(t, now.where.icount);
	dv_buf_printf(&t->text, ": %s\n", why);
	/* "quick": when that needs no waiting. */
	if (!t->s->stacks || (json_is_true(json_object_get(t->request, "quick")) && !dv_stacks_ready(t->s->stacks)))
		return NULL;
	DV_TRY(open_frames(t, now.where.icount, &frames, &len));
	json_object_set_new(t->answer, "open", json_integer((json_int_t)len));
	if (len)
		dv_buf_printf(&t->text, "in %s since icount %" PRIu64 "; %zu calls are open (dv bt)\n",
			      dv_trace_reader_function(dv_stacks_reader(t->s->stacks), frames[len - 1].function)->is.name,
			      frames[len - 1].start_icount, len);
	return NULL;
}

static struct dv_error *go(struct talk *t, const struct dv_timeline_command *command)
{
	struct dv_timeline_now now;
	char why[160];

	pthread_mutex_unlock(&t->s->asking); /* others may ask meanwhile, and cancel */
	struct dv_error *err = dv_timeline_do(t->s->timeline, command, &now);
	pthread_mutex_lock(&t->s->asking);
	DV_TRY(err);
	json_object_set_new(t->answer, "icount", json_integer((json_int_t)now.where.icount));
	dv_buf_printf(&t->text, "icount %" PRIu64, now.where.icount);
	say_thread(t, now.where.icount);
	if (now.why != DV_WHY_SEEK)
		dv_buf_printf(&t->text, ": %s", dv_timeline_why_text(&now, why));
	dv_buf_printf(&t->text, "\n");
	return NULL;
}

static struct dv_error *do_seek(struct talk *t)
{
	struct dv_timeline_command command;
	struct dv_error *err;

	pthread_mutex_unlock(&t->s->asking);
	err = dv_session_resolve(t->s, argument(t, "to"), &command);
	pthread_mutex_lock(&t->s->asking);
	DV_TRY(err);
	return go(t, &command);
}

static struct dv_error *do_call(struct talk *t, bool backward)
{
	const char *name = argument(t, "function");
	struct dv_timeline_command command;
	struct dv_timeline_now now;
	struct dv_call call;
	bool found;

	DV_TRY(need_trace(t->s));
	if (!*name)
		return dv_error_new(DV_ERROR_INVALID, "which function?");
	dv_timeline_now(t->s->timeline, &now);
	DV_TRY(dv_stacks_find_call(t->s->stacks, name, now.where.icount, backward, &call, &found));
	if (!found)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the trace has no call of %s %s icount %" PRIu64, name,
				    backward ? "before" : "after", now.where.icount);
	aim_at(t->s, &call, &command);
	return go(t, &command);
}

static struct dv_error *do_next_call(struct talk *t)
{
	return do_call(t, false);
}

static struct dv_error *do_prev_call(struct talk *t)
{
	return do_call(t, true);
}

static struct dv_error *do_bt(struct talk *t)
{
	static const char *const kinds[] = DV_SLICE_KIND_NAMES;
	_cleanup_free_ struct dv_frame *frames = NULL;
	json_t *list = json_array();
	struct dv_trace_reader *reader;
	struct dv_timeline_now now;
	size_t len;

	json_object_set_new(t->answer, "frames", list);
	DV_TRY(need_trace(t->s));
	reader = dv_stacks_reader(t->s->stacks);
	dv_timeline_now(t->s->timeline, &now);
	DV_TRY(open_frames(t, now.where.icount, &frames, &len));
	for (size_t i = len; i > 0; i--) {
		const struct dv_frame *frame = &frames[i - 1];
		const struct dv_trace_function *is = &dv_trace_reader_function(reader, frame->function)->is;
		const char *kind = frame->kind < DV_SLICE_KINDS ? kinds[frame->kind] : "?";

		dv_buf_printf(&t->text, "#%-3zu %s", len - i, is->name);
		if (is->module && *is->name != '[')
			dv_buf_printf(&t->text, " [%s]", is->module);
		if (frame->kind)
			dv_buf_printf(&t->text, " (%s)", kind);
		dv_buf_printf(&t->text, "  since icount %" PRIu64 "\n", frame->start_icount);
		json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:I, s:i}", "function", is->name, "module", is->module,
						      "kind", kind, "start", (json_int_t)frame->start_icount, "depth",
						      (int)(i - 1)));
	}
	if (!len)
		dv_buf_printf(&t->text, "The trace has no open call here.\n");
	return NULL;
}

/* Each thread's last state at or before now, of those that have not exited. */
static struct dv_error *do_threads(struct talk *t)
{
	struct dv_trace_reader *reader;
	json_t *list = json_array();
	struct dv_timeline_now now;
	uint64_t running;
	size_t states;

	json_object_set_new(t->answer, "threads", list);
	DV_TRY(need_trace(t->s));
	reader = dv_stacks_reader(t->s->stacks);
	dv_timeline_now(t->s->timeline, &now);
	running = dv_stacks_thread_at(t->s->stacks, now.where.icount);
	states = dv_trace_reader_thread_state_count(reader);
	dv_buf_printf(&t->text, "    %7s %7s  %s\n", "tid", "tgid", "name");
	for (size_t i = 0, lines = 0; i < states && lines < MAX_THREAD_LINES; i++) {
		const struct dv_trace_thread_state *state = dv_trace_reader_thread_state(reader, i);
		const struct dv_trace_thread *last = dv_trace_reader_thread(reader, state->thread.id);
		bool newest = state->icount <= now.where.icount;

		for (size_t k = i + 1; k < states && newest; k++) {
			const struct dv_trace_thread_state *later = dv_trace_reader_thread_state(reader, k);

			newest = later->thread.id != state->thread.id || later->icount > now.where.icount;
		}
		if (!newest || (last && last->exit_icount && last->exit_icount <= now.where.icount))
			continue;
		dv_buf_printf(&t->text, "%s %7d %7d  %s\n", state->thread.id == running ? "  *" : "   ", state->thread.tid,
			      state->thread.tgid, state->thread.comm);
		json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:b}", "tid", state->thread.tid, "tgid",
						      state->thread.tgid, "comm", state->thread.comm, "running",
						      (int)(state->thread.id == running)));
		lines++;
	}
	return NULL;
}

static struct dv_error *do_cancel(struct talk *t)
{
	dv_timeline_interrupt(t->s->timeline);
	return NULL;
}

static struct dv_error *do_notes(struct talk *t)
{
	_cleanup_free_ char *notes = dv_timeline_notes(t->s->timeline);

	dv_buf_printf(&t->text, "%s", notes ?: "");
	return NULL;
}

/* gdb's files of the modules: with debug information, which have to be found; else what the trace has names for,
 * which takes a pass over it. */
static struct dv_error *do_modules(struct talk *t)
{
	const char *path = NULL, *complaint;

	DV_TRY(need_trace(t->s));
	DV_TRY(session_modules_find(t->s));
	DV_TRY(session_gdb_modules(t->s, &path));
	if (path)
		json_object_set_new(t->answer, "path", json_string(path));
	json_object_set_new(t->answer, "modules", session_modules_now(t->s));
	complaint = session_modules_complaint(t->s);
	if (complaint)
		json_object_set_new(t->answer, "complaint", json_string(complaint));
	return NULL;
}

/* gdb's files of the running process's programs and libraries, and of the modules that are loaded. */
static struct dv_error *do_user_symbols(struct talk *t)
{
	json_t *files = json_array(), *missing = json_array();

	json_object_set_new(t->answer, "files", files);
	json_object_set_new(t->answer, "missing", missing);
	json_object_set_new(t->answer, "modules", session_modules_now(t->s));
	return t->s->stacks ? session_user_symbols(t->s, files, missing) : NULL;
}

static const struct verb {
	const char *name;
	struct dv_error *(*act)(struct talk *t);
	bool at_once; /* while another question waits for its answer */
} verbs[] = {
	{"when", do_when}, {"seek", do_seek}, {"bt", do_bt}, {"next-call", do_next_call}, {"prev-call", do_prev_call},
	{"threads", do_threads}, {"cancel", do_cancel, true}, {"notes", do_notes, true}, {"modules", do_modules},
	{"user-symbols", do_user_symbols},
};

json_t *dv_session_answer(struct dv_session *session, const json_t *request)
{
	struct talk t = {.s = session, .request = request, .answer = json_object()};
	const char *name = argument(&t, "do");
	struct dv_error *err = NULL;
	const struct verb *verb = NULL;
	struct dv_timeline_now now;

	for (size_t i = 0; i < DV_ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			verb = &verbs[i];
	if (!verb) {
		err = dv_error_new(DV_ERROR_INVALID, "there is no '%.40s' to be done", name);
	} else if (verb->at_once) {
		err = verb->act(&t);
	} else {
		pthread_mutex_lock(&session->asking);
		err = verb->act(&t);
		pthread_mutex_unlock(&session->asking);
	}
	dv_timeline_now(session->timeline, &now);
	json_object_set_new(t.answer, "generation", json_integer((json_int_t)now.generation));
	json_object_set_new(t.answer, "ok", json_boolean(!err));
	if (err)
		json_object_set_new(t.answer, "error", json_string(err->message));
	json_object_set_new(t.answer, "text", json_stringn((const char *)t.text.data ?: "", t.text.len));
	dv_buf_deinit(&t.text);
	dv_error_destroy(err);
	return t.answer;
}

/* With MSG_DONTWAIT a listener that does not read loses its connection, not us our time. */
static void write_line(struct session_client *c, json_t *json, int flags)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	json_decref(json);
	if (!text)
		return;
	text[len++] = '\n';
	pthread_mutex_lock(&c->writing);
	for (size_t done = 0; done < len && c->fd >= 0;) {
		ssize_t n = send(c->fd, text + done, len - done, MSG_NOSIGNAL | flags);

		if (n < 0 && errno != EINTR) {
			shutdown(c->fd, SHUT_RDWR);
			break;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	pthread_mutex_unlock(&c->writing);
}

static void on_change(void *context, const struct dv_timeline_now *now)
{
	struct dv_session *s = context;
	char why[160];

	if (now->state != DV_TIMELINE_STOPPED)
		return;
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		if (s->clients[i].listens)
			write_line(&s->clients[i], json_pack("{s:s, s:I, s:s, s:b, s:b, s:I}", "event", "moved",
							     "icount", (json_int_t)now->where.icount, "why",
							     dv_timeline_why_text(now, why), "by_gdb", (int)now->by_gdb, "end",
							     (int)(now->why == DV_WHY_END), "generation",
							     (json_int_t)now->generation),
				   MSG_DONTWAIT);
}

static void take_line(struct session_client *c, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, 0, NULL);

	if (!strcmp(json_string_value(json_object_get(request, "do")) ?: "", "listen")) {
		c->listens = true;
		write_line(c, json_pack("{s:b}", "ok", 1), 0);
	} else {
		write_line(c, dv_session_answer(c->session, request), 0);
	}
	json_decref(request);
}

static void *serve_client(void *context)
{
	struct session_client *c = context;
	_cleanup_buf_ struct dv_buf in = DV_BUF_INIT;

	for (;;) {
		uint8_t *room = dv_buf_reserve(&in, 4096), *end;
		ssize_t n = room ? recv(c->fd, room, 4096, 0) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || in.len > MAX_LINE_BYTES)
			break;
		in.len += (size_t)n;
		while (in.len && (end = memchr(in.data, '\n', in.len))) {
			size_t len = (size_t)(end - in.data);

			take_line(c, (const char *)in.data, len);
			in.len -= len + 1;
			memmove(in.data, end + 1, in.len);
		}
	}
	pthread_mutex_lock(&c->writing);
	c->listens = false;
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&c->writing);
	return NULL;
}

static void accept_client(struct dv_session *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; i < MAX_CLIENTS && fd >= 0; i++) {
		struct session_client *c = &s->clients[i];

		if (c->fd >= 0)
			continue;
		if (c->has_thread)
			pthread_join(c->thread, NULL);
		c->fd = fd;
		c->has_thread = !pthread_create(&c->thread, NULL, serve_client, c);
		if (c->has_thread)
			return;
		c->fd = -1;
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void *accept_clients(void *context)
{
	struct dv_session *s = context;

	for (;;) {
		struct pollfd p[2] = {{.fd = s->stop_fd, .events = POLLIN}, {.fd = s->listen_fd, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[0].revents)
			return NULL;
		if (p[1].revents)
			accept_client(s);
	}
}

static struct dv_error *start_serving(struct dv_session *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	s->socket = dv_path_join(dv_timeline_run_dir(s->timeline), "dv");
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!s->socket)
		return dv_error_no_memory();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->socket);
	if (s->stop_fd < 0 || s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(s->listen_fd, 8))
		return dv_error_os(errno, "%s: cannot listen", s->socket);
	DV_TRY(dv_thread_start(&s->acceptor, NULL, accept_clients, s));
	s->has_acceptor = true;
	return dv_timeline_subscribe(s->timeline, on_change, s, &s->subscription);
}

static void *open_kernel(void *context)
{
	struct dv_session *s = context;
	struct dv_error *err = dv_recording_open_kernel(s->recording, &s->kernel);

	if (err)
		s->no_symbols = strdup(err->message);
	dv_error_destroy(err);
	if (!s->kernel && !s->no_symbols)
		s->no_symbols = strdup("the recording has no kernel image of its own (it is on the disk)");
	return NULL;
}

static struct dv_error *open_trace(struct dv_session *s)
{
	_cleanup_free_ char *path = dv_recording_path(s->recording, DV_RECORDING_TRACE);
	const struct dv_trace_metadata *metadata;
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *reader = NULL;

	if (!path)
		return dv_error_no_memory();
	if (access(path, R_OK))
		return NULL;
	DV_TRY(dv_trace_reader_open(path, &reader));
	metadata = dv_trace_reader_metadata(reader);
	for (size_t i = 0; i < metadata->note_count; i++) {
		if (strcmp(metadata->notes[i].key, "kaslr_slide"))
			continue;
		s->slide = strtoull(metadata->notes[i].value, NULL, 0);
		s->has_slide = true;
	}
	return dv_stacks_create(path, &s->stacks);
}

/* QEMU starts while the kernel image is read. */
static struct dv_error *open_parts(struct dv_session *s, const struct dv_session_options *options)
{
	pthread_t reading;
	bool apart = !pthread_create(&reading, NULL, open_kernel, s);
	struct dv_error *err = open_trace(s);

	if (!err)
		err = dv_timeline_create(s->recording, &options->timeline, &s->timeline);
	if (apart)
		pthread_join(reading, NULL);
	else
		open_kernel(s);
	return err;
}

struct dv_error *dv_session_create(const struct dv_recording *recording, const struct dv_session_options *options,
				   struct dv_session **ret)
{
	_cleanup_(dv_session_destroyp) struct dv_session *s = calloc(1, sizeof(*s));

	if (!s)
		return dv_error_no_memory();
	pthread_mutex_init(&s->asking, NULL);
	s->recording = recording;
	s->listen_fd = s->stop_fd = s->terminal_fd = s->mi_fd = -1;
	s->gdb = (struct dv_process)DV_PROCESS_INIT;
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		s->clients[i].session = s;
		s->clients[i].fd = -1;
		pthread_mutex_init(&s->clients[i].writing, NULL);
	}
	s->debug_info = options->debug_info ? strdup(options->debug_info) : NULL;
	if (s->debug_info && access(s->debug_info, R_OK))
		return dv_error_os(errno, "--debug-info %s", s->debug_info);
	DV_TRY(session_user_create(options->sysroot, &s->user));
	DV_TRY(open_parts(s, options));
	DV_TRY(start_serving(s));
	*ret = dv_steal(s);
	return NULL;
}

void dv_session_destroy(struct dv_session *session)
{
	struct dv_session *s = session;

	if (!s)
		return;
	session_gdb_deinit(s);
	if (s->timeline) {
		dv_timeline_interrupt(s->timeline);
		dv_timeline_unsubscribe(s->timeline, s->subscription);
	}
	if (s->has_acceptor) {
		uint64_t one = 1;

		if (write(s->stop_fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(s->acceptor, NULL);
	}
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		struct session_client *c = &s->clients[i];

		pthread_mutex_lock(&c->writing);
		if (c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
		pthread_mutex_unlock(&c->writing);
		if (c->has_thread)
			pthread_join(c->thread, NULL);
		pthread_mutex_destroy(&c->writing);
	}
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	if (s->socket)
		unlink(s->socket);
	dv_timeline_destroy(s->timeline);
	dv_stacks_destroy(s->stacks);
	session_user_destroy(s->user);
	session_modules_destroy(s->modules);
	dv_kernel_destroy(s->kernel);
	pthread_mutex_destroy(&s->asking);
	free(s->socket);
	free(s->no_symbols);
	free(s->debug_info);
	free(s);
}
