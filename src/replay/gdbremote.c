/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/gdbremote.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "base/buf.h"

#define MAX_PACKET_BYTES (1u << 20)
#define ANSWER_TIMEOUT_MS 20000
/* A memory read asks for at most this: QEMU's packets hold 2 KiB of it in hex. */
#define READ_CHUNK_BYTES 1024

struct dv_gdb {
	int fd;
	struct dv_buf in;
	char *answer; /* of the last packet */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *dv_gdb_parse_packet(char *bytes, size_t len, size_t *ret_used, bool *ret_broken)
{
	char *start = memchr(bytes, '$', len), *end;
	uint8_t sum = 0;

	*ret_used = start ? (size_t)(start - bytes) : len; /* acknowledgements and noise before it */
	*ret_broken = false;
	end = start ? memchr(start, '#', len - (size_t)(start - bytes)) : NULL;
	if (!end || (size_t)(bytes + len - end) < 3)
		return NULL;
	*ret_used = (size_t)(end + 3 - bytes);
	for (const char *p = start + 1; p < end; p++)
		sum += (uint8_t)*p;
	if (hex_digit(end[1]) != sum >> 4 || hex_digit(end[2]) != (sum & 15)) {
		*ret_broken = true;
		return NULL;
	}
	*end = 0;
	return start + 1;
}

static struct dv_error *send_all(struct dv_gdb *gdb, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(gdb->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_new(DV_ERROR_EXITED, "gdb stub: QEMU closed the connection");
		data = (const char *)data + n;
		len -= (size_t)n;
	}
	return NULL;
}

static struct dv_error *send_packet(struct dv_gdb *gdb, const char *text)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	uint8_t sum = 0;

	for (const char *p = text; *p; p++)
		sum += (uint8_t)*p;
	dv_buf_printf(&out, "$%s#%02x", text, sum);
	return out.failed ? dv_error_no_memory() : send_all(gdb, out.data, out.len);
}

static struct dv_error *receive(struct dv_gdb *gdb, int64_t deadline_ms)
{
	struct pollfd p = {.fd = gdb->fd, .events = POLLIN};
	int64_t left = deadline_ms - now_ms();
	ssize_t n;
	int ready = poll(&p, 1, left > 0 ? (int)left : 0);

	if (ready == 0)
		return dv_error_new(DV_ERROR_TIMEOUT, "gdb stub: no answer in time");
	if (!dv_buf_reserve(&gdb->in, 8192))
		return dv_error_no_memory();
	n = ready > 0 ? read(gdb->fd, gdb->in.data + gdb->in.len, 8192) : -1;
	if (n == 0 || (n < 0 && errno != EINTR))
		return dv_error_new(DV_ERROR_EXITED, "gdb stub: QEMU closed the connection");
	gdb->in.len += n > 0 ? (size_t)n : 0;
	if (gdb->in.len > MAX_PACKET_BYTES)
		return dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: a packet of more than %u bytes", MAX_PACKET_BYTES);
	return NULL;
}

/* The next packet's text, in gdb->answer. */
static struct dv_error *read_packet(struct dv_gdb *gdb, int timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;

	for (;;) {
		size_t used = 0;
		bool broken = false;
		const char *text = gdb->in.len ? dv_gdb_parse_packet((char *)gdb->in.data, gdb->in.len, &used, &broken)
					       : NULL;

		if (text) {
			free(gdb->answer);
			gdb->answer = strdup(text);
		}
		gdb->in.len -= used;
		if (used)
			memmove(gdb->in.data, gdb->in.data + used, gdb->in.len);
		if (text)
			return gdb->answer ? send_all(gdb, "+", 1) : dv_error_no_memory();
		if (broken)
			DV_TRY(send_all(gdb, "-", 1));
		DV_TRY(receive(gdb, deadline_ms));
	}
}

static struct dv_error *ask(struct dv_gdb *gdb, const char *packet, int timeout_ms)
{
	DV_TRY(send_packet(gdb, packet));
	return dv_error_prefix(read_packet(gdb, timeout_ms), "%s", packet);
}

struct dv_error *dv_gdb_create(int fd, int timeout_ms, struct dv_gdb **ret)
{
	struct dv_gdb *gdb = calloc(1, sizeof(*gdb));
	struct dv_error *err;

	if (!gdb) {
		close(fd);
		return dv_error_no_memory();
	}
	gdb->fd = fd;
	err = ask(gdb, "?", timeout_ms);
	if (!err && *gdb->answer != 'T' && *gdb->answer != 'S')
		err = dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: ?: answered \"%s\"", gdb->answer);
	if (err) {
		dv_gdb_destroy(gdb);
		return err;
	}
	*ret = gdb;
	return NULL;
}

void dv_gdb_destroy(struct dv_gdb *gdb)
{
	if (!gdb)
		return;
	close(gdb->fd);
	dv_buf_deinit(&gdb->in);
	free(gdb->answer);
	free(gdb);
}

/* Hex text into bytes; false when it is not len of them. */
static bool unhex(const char *text, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* 16 general ones, rip; then eflags and six segments of 4 bytes; then the bases. */
#define REGISTERS_BYTES (17 * 8 + 7 * 4 + 3 * 8)

struct dv_error *dv_gdb_read_registers(struct dv_gdb *gdb, struct dv_x86_registers *ret)
{
	uint8_t bytes[REGISTERS_BYTES] = {0};
	struct dv_cursor c = dv_cursor_make(bytes, sizeof(bytes));

	DV_TRY(ask(gdb, "g", ANSWER_TIMEOUT_MS));
	if (!unhex(gdb->answer, bytes, sizeof(bytes)))
		return dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: g: %zu digits are not x86_64's registers",
				    strlen(gdb->answer));
	for (size_t i = 0; i < DV_ARRAY_SIZE(ret->gpr); i++)
		ret->gpr[i] = dv_cursor_u64(&c);
	ret->rip = dv_cursor_u64(&c);
	ret->eflags = dv_cursor_u32(&c);
	ret->cs = dv_cursor_u32(&c);
	dv_cursor_take(&c, 5 * 4);
	ret->fs_base = dv_cursor_u64(&c);
	ret->gs_base = dv_cursor_u64(&c);
	ret->kernel_gs_base = dv_cursor_u64(&c);
	return NULL;
}

struct dv_error *dv_gdb_read_memory(struct dv_gdb *gdb, uint64_t vaddr, void *to, size_t len)
{
	uint8_t *at = to;

	while (len) {
		size_t chunk = len < READ_CHUNK_BYTES ? len : READ_CHUNK_BYTES;
		char packet[64];

		snprintf(packet, sizeof(packet), "m%" PRIx64 ",%zx", vaddr, chunk);
		DV_TRY(ask(gdb, packet, ANSWER_TIMEOUT_MS));
		if (*gdb->answer == 'E' && strlen(gdb->answer) == 3)
			return dv_error_new(DV_ERROR_FAULT, "guest memory at 0x%" PRIx64 " is not mapped", vaddr);
		if (!unhex(gdb->answer, at, chunk))
			return dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: %s: %zu digits", packet, strlen(gdb->answer));
		at += chunk;
		vaddr += chunk;
		len -= chunk;
	}
	return NULL;
}

static bool read_for_guest(void *context, uint64_t vaddr, void *to, size_t len)
{
	struct dv_error *err = dv_gdb_read_memory(context, vaddr, to, len);

	dv_error_destroy(err);
	return !err;
}

struct dv_guest_memory dv_gdb_memory(struct dv_gdb *gdb)
{
	return (struct dv_guest_memory){.read = read_for_guest, .context = gdb};
}

struct dv_error *dv_gdb_send(struct dv_gdb *gdb, const char *packet)
{
	return send_packet(gdb, packet);
}

struct dv_error *dv_gdb_receive(struct dv_gdb *gdb, int timeout_ms, const char **ret)
{
	struct dv_error *err = read_packet(gdb, timeout_ms);

	*ret = err ? NULL : gdb->answer;
	if (err && err->code == DV_ERROR_TIMEOUT) {
		dv_error_destroy(err);
		return NULL;
	}
	return err;
}

struct dv_error *dv_gdb_interrupt(struct dv_gdb *gdb)
{
	return send_all(gdb, "\003", 1);
}

int dv_gdb_fd(const struct dv_gdb *gdb)
{
	return gdb->fd;
}

struct dv_error *dv_gdb_ask(struct dv_gdb *gdb, const char *packet, const char **ret)
{
	DV_TRY(ask(gdb, packet, ANSWER_TIMEOUT_MS));
	*ret = gdb->answer;
	return NULL;
}

struct dv_error *dv_gdb_set_breakpoint(struct dv_gdb *gdb, uint64_t vaddr, bool set)
{
	/* Hardware ones (1): nothing is written into the guest's memory. */
	return dv_gdb_set_point(gdb, '1', vaddr, 1, set);
}

struct dv_error *dv_gdb_set_point(struct dv_gdb *gdb, char type, uint64_t vaddr, uint64_t bytes, bool set)
{
	char packet[64];

	snprintf(packet, sizeof(packet), "%c%c,%" PRIx64 ",%" PRIx64, set ? 'Z' : 'z', type, vaddr, bytes);
	DV_TRY(ask(gdb, packet, ANSWER_TIMEOUT_MS));
	if (strcmp(gdb->answer, "OK"))
		return dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: %s: answered \"%s\"", packet, gdb->answer);
	return NULL;
}

static struct dv_error *resume(struct dv_gdb *gdb, const char *packet, int timeout_ms)
{
	DV_TRY(ask(gdb, packet, timeout_ms));
	if (*gdb->answer == 'W' || *gdb->answer == 'X')
		return dv_error_new(DV_ERROR_EXITED, "gdb stub: the guest has ended");
	if (*gdb->answer != 'T' && *gdb->answer != 'S')
		return dv_error_new(DV_ERROR_PROTOCOL, "gdb stub: %s: answered \"%s\"", packet, gdb->answer);
	return NULL;
}

struct dv_error *dv_gdb_step(struct dv_gdb *gdb, int timeout_ms)
{
	return resume(gdb, "s", timeout_ms);
}

struct dv_error *dv_gdb_continue(struct dv_gdb *gdb, int timeout_ms)
{
	return resume(gdb, "c", timeout_ms);
}
