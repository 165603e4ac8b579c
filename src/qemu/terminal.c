/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's console on our terminal; see terminal.h. */
#include "qemu/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <time.h>
#include "base/buf.h"
#include "base/io.h"
#include "base/thread.h"

#define ESCAPE 1 /* Ctrl-A */
/*
 * QEMU reads as many bytes as the serial port has room for before it gives them to the guest, and so reads
 * too many: what comes faster than this is lost.
 */
#define TYPE_BYTES 1
#define TYPE_EVERY_MS 8
#define TYPE_AHEAD 65536

#define CLEAR_LINE "\r\033[K"

static const char help_text[] =
	"\r\nCtrl-A X  end the recording\r\nCtrl-A A  send a Ctrl-A to the guest\r\n"
	"Ctrl-A H  this help\r\n";

struct dv_terminal {
	int in, out;
	int guest_in[2];  /* [1] is ours, [0] is QEMU's stdin */
	int guest_out[2]; /* [0] is ours, [1] is QEMU's stdout */
	int quit, wake;	  /* eventfds: the user wants the end; the thread should end */
	bool raw, is_terminal, running;
	struct termios before;
	pthread_t thread;
	bool escaped;	  /* the last byte typed was ESCAPE; this and the next are the thread's */
	bool in_ended;
	struct dv_buf typed; /* not yet given to the guest, from typed_at on */
	size_t typed_at;
	int64_t type_next_ms; /* CLOCK_MONOTONIC; no sooner */
	pthread_mutex_t lock; /* of what follows, and of writing to out */
	bool at_line_start, status_shown;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct dv_error *make_raw(struct dv_terminal *t)
{
	struct termios raw;

	if (!isatty(t->in) || tcgetattr(t->in, &t->before))
		return NULL;
	raw = t->before;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(t->in, TCSANOW, &raw))
		return dv_error_os(errno, "cannot take the terminal over");
	t->raw = true;
	return NULL;
}

struct dv_error *dv_terminal_create(int in, int out, struct dv_terminal **ret)
{
	_cleanup_(dv_terminal_destroyp) struct dv_terminal *t = calloc(1, sizeof(*t));

	if (!t)
		return dv_error_no_memory();
	*t = (struct dv_terminal){.in = in, .out = out, .guest_in = {-1, -1}, .guest_out = {-1, -1},
				  .quit = -1, .wake = -1, .is_terminal = isatty(out), .at_line_start = true};
	pthread_mutex_init(&t->lock, NULL);
	t->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->quit < 0 || t->wake < 0 || pipe2(t->guest_in, O_CLOEXEC) || pipe2(t->guest_out, O_CLOEXEC))
		return dv_error_os(errno, "cannot make the console's pipes");
	/* A guest that does not read must not hold up what it writes. */
	fcntl(t->guest_in[1], F_SETFL, O_NONBLOCK);
	DV_TRY(make_raw(t));
	*ret = dv_steal(t);
	return NULL;
}

void dv_terminal_child_fds(const struct dv_terminal *t, int *ret_stdin, int *ret_stdout)
{
	*ret_stdin = t->guest_in[0];
	*ret_stdout = t->guest_out[1];
}

int dv_terminal_quit_fd(const struct dv_terminal *t)
{
	return t->quit;
}

/* What cannot be written to the terminal is lost: the console's file has it. */
static void put(struct dv_terminal *t, const void *data, size_t len)
{
	dv_error_destroy(dv_write_all(t->out, data, len, "the terminal"));
}

static void clear_status(struct dv_terminal *t)
{
	if (t->status_shown)
		put(t, CLEAR_LINE, strlen(CLEAR_LINE));
	t->status_shown = false;
}

void dv_terminal_status(struct dv_terminal *t, const char *line)
{
	pthread_mutex_lock(&t->lock);
	if (t->is_terminal && t->at_line_start) {
		clear_status(t);
		put(t, line, strlen(line));
		t->status_shown = *line;
	}
	pthread_mutex_unlock(&t->lock);
}

static void show(struct dv_terminal *t, const char *bytes, size_t len)
{
	pthread_mutex_lock(&t->lock);
	clear_status(t);
	put(t, bytes, len);
	t->at_line_start = bytes[len - 1] == '\n';
	pthread_mutex_unlock(&t->lock);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is signalled already */
}

static size_t typed_left(const struct dv_terminal *t)
{
	return t->typed.len - t->typed_at;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* For poll(): how long until type() has something to do. */
static int type_timeout_ms(const struct dv_terminal *t)
{
	int64_t left = t->type_next_ms - now_ms();

	return !typed_left(t) ? -1 : left < 0 ? 0 : (int)left;
}

static void type(struct dv_terminal *t)
{
	size_t len = typed_left(t) < TYPE_BYTES ? typed_left(t) : TYPE_BYTES;
	ssize_t done = 0;

	if (len && now_ms() < t->type_next_ms)
		return;
	if (len)
		t->type_next_ms = now_ms() + TYPE_EVERY_MS;
	if (len && t->guest_in[1] >= 0)
		done = write(t->guest_in[1], t->typed.data + t->typed_at, len);
	if (done > 0)
		t->typed_at += (size_t)done;
	else if (done < 0 && errno == EPIPE)
		close_fd(&t->guest_in[1]);
	if (!typed_left(t) || t->guest_in[1] < 0) {
		dv_buf_clear(&t->typed);
		t->typed_at = 0;
		if (t->in_ended)
			close_fd(&t->guest_in[1]);
	}
}

static void send_key(struct dv_terminal *t, char c)
{
	if (t->typed.len < TYPE_AHEAD)
		dv_buf_append(&t->typed, &c, 1);
}

static void key(struct dv_terminal *t, char c)
{
	if (!t->escaped) {
		t->escaped = c == ESCAPE;
		if (!t->escaped)
			send_key(t, c);
		return;
	}
	t->escaped = false;
	switch (c) {
	case 'x':
	case 'X':
		signal_fd(t->quit);
		break;
	case ESCAPE:
	case 'a':
	case 'A':
		send_key(t, ESCAPE);
		break;
	case 'h':
	case 'H':
	case '?':
		show(t, help_text, strlen(help_text));
		break;
	default: /* as QEMU: an unknown key after the escape is swallowed */
		break;
	}
}

/* Returns false at the end of the stream. */
static bool carry_in(struct dv_terminal *t)
{
	char bytes[256];
	ssize_t got = read(t->in, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < got; i++)
		key(t, bytes[i]);
	return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

static bool carry_out(struct dv_terminal *t)
{
	char bytes[4096];
	ssize_t got = read(t->guest_out[0], bytes, sizeof(bytes));

	if (got > 0)
		show(t, bytes, (size_t)got);
	return got > 0 || (got < 0 && errno == EINTR);
}

static void *carry(void *context)
{
	struct dv_terminal *t = context;
	struct pollfd fds[] = {{.fd = t->guest_out[0], .events = POLLIN},
			       {.fd = t->in, .events = POLLIN},
			       {.fd = t->wake, .events = POLLIN}};

	for (;;) {
		if (poll(fds, DV_ARRAY_SIZE(fds), type_timeout_ms(t)) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !carry_out(t))
			break;
		/* Only when nothing is left to show may the thread be told to end. */
		if (!fds[0].revents && fds[2].revents)
			break;
		if (fds[1].revents && !carry_in(t)) {
			fds[1].fd = -1;
			t->in_ended = true;
		}
		type(t);
	}
	return NULL;
}

struct dv_error *dv_terminal_started(struct dv_terminal *t)
{
	close_fd(&t->guest_in[0]);
	close_fd(&t->guest_out[1]);
	/* A write to a QEMU that is gone is an error there, and no signal. */
	DV_TRY(dv_thread_start(&t->thread, NULL, carry, t));
	t->running = true;
	return NULL;
}

void dv_terminal_destroy(struct dv_terminal *t)
{
	if (!t)
		return;
	if (t->running) {
		signal_fd(t->wake);
		pthread_join(t->thread, NULL);
	}
	clear_status(t);
	if (t->raw)
		tcsetattr(t->in, TCSANOW, &t->before);
	for (int i = 0; i < 2; i++) {
		close_fd(&t->guest_in[i]);
		close_fd(&t->guest_out[i]);
	}
	close_fd(&t->quit);
	close_fd(&t->wake);
	pthread_mutex_destroy(&t->lock);
	dv_buf_deinit(&t->typed);
	free(t);
}
