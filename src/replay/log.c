/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's record/replay log; the header draws it. */
#include "replay/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/io.h"
#include "base/map.h"

/* What follows the byte of an event's kind. */
enum log_shape {
	SHAPE_FIXED,	/* `bytes` bytes */
	SHAPE_ARRAY,	/* `bytes` bytes, then u32 length and as many bytes */
	SHAPE_INPUT,	/* u32 type, then by type */
	SHAPE_AUDIO_IN, /* u64 samples, u64 position, then 16 bytes per sample */
};

struct log_family {
	uint8_t first, last; /* inclusive */
	enum dv_log_kind kind;
	enum log_shape shape;
	uint8_t bytes;
};

/* enum ReplayEvents of version 0x00e0200c, with 11 causes of a shutdown and 9 checkpoints. */
static const struct log_family families[] = {
	{0, 0, DV_LOG_INSTRUCTIONS, SHAPE_FIXED, 4},
	{1, 1, DV_LOG_INTERRUPT, SHAPE_FIXED, 0},
	{2, 2, DV_LOG_EXCEPTION, SHAPE_FIXED, 0},
	{3, 4, DV_LOG_ASYNC, SHAPE_FIXED, 8}, /* bottom halves: id */
	{5, 5, DV_LOG_ASYNC, SHAPE_INPUT, 0},
	{6, 6, DV_LOG_ASYNC, SHAPE_FIXED, 0}, /* input sync */
	{7, 7, DV_LOG_ASYNC, SHAPE_ARRAY, 1}, /* serial input: device, bytes */
	{8, 8, DV_LOG_ASYNC, SHAPE_FIXED, 8}, /* block: request */
	{9, 9, DV_LOG_ASYNC, SHAPE_ARRAY, 5}, /* packet: filter, flags, bytes */
	{10, 21, DV_LOG_SHUTDOWN, SHAPE_FIXED, 0},
	{22, 22, DV_LOG_OTHER, SHAPE_FIXED, 8},	/* character write: result, offset */
	{23, 23, DV_LOG_OTHER, SHAPE_ARRAY, 0},
	{24, 24, DV_LOG_OTHER, SHAPE_FIXED, 4},
	{25, 25, DV_LOG_OTHER, SHAPE_FIXED, 8},	/* audio out */
	{26, 26, DV_LOG_OTHER, SHAPE_AUDIO_IN, 0},
	{27, 27, DV_LOG_OTHER, SHAPE_ARRAY, 4},	/* random: result, bytes */
	{28, 29, DV_LOG_CLOCK, SHAPE_FIXED, 8},
	{30, 38, DV_LOG_CHECKPOINT, SHAPE_FIXED, 0},
	{39, 39, DV_LOG_END, SHAPE_FIXED, 0},
};

#define LOG_FIRST_SHUTDOWN 10
#define LOG_CLOCK_VIRTUAL_RT 29 /* the host's clock, while the guest runs */
#define LOG_RESET 38
#define LOG_END 39
/* In any one event; QEMU's own are far smaller. */
#define LOG_MAX_ARRAY_BYTES (64u << 20)

static uint32_t take_be32(struct dv_cursor *c)
{
	return __builtin_bswap32(dv_cursor_u32(c));
}

static uint64_t take_be64(struct dv_cursor *c)
{
	return __builtin_bswap64(dv_cursor_u64(c));
}

static const struct log_family *family_of(uint8_t byte)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(families); i++)
		if (byte >= families[i].first && byte <= families[i].last)
			return &families[i];
	return NULL;
}

/* enum InputEventKind: key, btn, rel, abs, mtt. False: there is no such kind. */
static bool skip_input(struct dv_cursor *c)
{
	switch (take_be32(c)) {
	case 0: /* key: number (8 bytes) or qcode (4), then up or down */
		dv_cursor_take(c, take_be32(c) ? 5 : 9);
		return true;
	case 1:
		dv_cursor_take(c, 5);
		return true;
	case 2:
	case 3:
		dv_cursor_take(c, 12);
		return true;
	case 4:
		dv_cursor_take(c, 32);
		return true;
	}
	return c->truncated;
}

/* Moves past what an event carries; false for what cannot be. A short one sets c->truncated. */
static bool skip_body(struct dv_cursor *c, const struct log_family *family, uint64_t *ret_first)
{
	uint64_t count;

	switch (family->shape) {
	case SHAPE_FIXED:
		if (family->bytes == 4)
			*ret_first = take_be32(c);
		else if (family->bytes == 8)
			*ret_first = take_be64(c);
		else
			dv_cursor_take(c, family->bytes);
		return true;
	case SHAPE_ARRAY:
		dv_cursor_take(c, family->bytes);
		count = take_be32(c);
		if (count > LOG_MAX_ARRAY_BYTES)
			return false;
		dv_cursor_take(c, count);
		return true;
	case SHAPE_INPUT:
		return skip_input(c);
	case SHAPE_AUDIO_IN:
		count = take_be64(c);
		take_be64(c);
		if (count > LOG_MAX_ARRAY_BYTES / 16)
			return false;
		dv_cursor_take(c, count * 16);
		return true;
	}
	return false;
}

/* How long nothing was executed: from the last clock read before to the last one read meanwhile. */
struct idle {
	uint64_t begin_ns, now_ns, longest_ns;
};

static void idle_clock(struct idle *idle, uint64_t now_ns)
{
	if (!idle->begin_ns)
		idle->begin_ns = now_ns;
	idle->now_ns = now_ns;
	if (now_ns > idle->begin_ns && now_ns - idle->begin_ns > idle->longest_ns)
		idle->longest_ns = now_ns - idle->begin_ns;
}

struct dv_error *dv_log_walk(const uint8_t *data, size_t len, dv_log_event_fn visit, void *context,
			     struct dv_log_summary *ret)
{
	struct dv_log_summary sum = {.whole_bytes = DV_LOG_HEADER_BYTES};
	struct dv_cursor c = dv_cursor_make(data, len);
	uint64_t shutdown_icount = UINT64_MAX;
	struct idle idle = {0};

	sum.version = take_be32(&c);
	dv_cursor_take(&c, 8);
	if (c.truncated)
		return dv_error_new(DV_ERROR_TRUNCATED, "the log has %zu bytes, fewer than its header's %d", len,
				    DV_LOG_HEADER_BYTES);
	if (sum.version && sum.version != DV_LOG_VERSION)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "the log is of version 0x%08x, known is 0x%08x",
				    sum.version, DV_LOG_VERSION);
	while (dv_cursor_left(&c) && !sum.ended) {
		struct dv_log_event event = {.offset = sum.whole_bytes};
		uint8_t byte = dv_cursor_u8(&c);
		const struct log_family *family = family_of(byte);
		uint64_t first = 0;

		if (!family || !skip_body(&c, family, &first))
			return dv_error_new(DV_ERROR_FORMAT, "the log has no valid event (kind %u) at offset %llu",
					    byte, (unsigned long long)event.offset);
		if (c.truncated)
			break;
		if (family->kind == DV_LOG_INSTRUCTIONS) {
			sum.last_icount += first;
			idle.begin_ns = first ? idle.now_ns : idle.begin_ns;
		} else if (byte == LOG_CLOCK_VIRTUAL_RT) {
			idle_clock(&idle, first);
		}
		if (family->kind == DV_LOG_SHUTDOWN && byte - family->first >= DV_SHUTDOWN_GUEST_SHUTDOWN)
			shutdown_icount = sum.last_icount;
		else if (family->kind == DV_LOG_CHECKPOINT && byte == LOG_RESET)
			shutdown_icount = UINT64_MAX; /* the machine went on */
		sum.ended = family->kind == DV_LOG_END;
		sum.whole_bytes = (uint64_t)(c.pos - data);
		sum.events++;
		event.kind = family->kind;
		event.info = byte - family->first;
		event.icount = sum.last_icount;
		if (visit && !visit(context, &event))
			break;
	}
	sum.longest_idle_ns = idle.longest_ns;
	sum.common_icount = shutdown_icount < sum.last_icount ? shutdown_icount : sum.last_icount;
	*ret = sum;
	return NULL;
}

static void unmap(struct dv_mapped_file *file)
{
	dv_mapped_file_deinit(file);
}

static uint64_t digest_of(const uint8_t *data, uint64_t len)
{
	uint64_t digest = len, word = 0;
	uint64_t i = 0;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		digest = dv_hash64(digest ^ word) + i;
	}
	word = 0;
	memcpy(&word, data + i, len - i);
	return dv_hash64(digest ^ word);
}

struct dv_error *dv_log_read(const char *path, dv_log_event_fn visit, void *context,
			     struct dv_log_summary *ret)
{
	_cleanup_(unmap) struct dv_mapped_file file = {0};

	DV_TRY(dv_mapped_file_init(path, &file));
	DV_TRY(dv_error_prefix(dv_log_walk(file.data, file.len, visit, context, ret), "%s", path));
	ret->digest = digest_of(file.data, ret->whole_bytes);
	return NULL;
}

static struct dv_error *write_at(int fd, const char *path, uint64_t offset, const void *data, size_t len)
{
	ssize_t n = pwrite(fd, data, len, (off_t)offset);

	if (n < 0)
		return dv_error_os(errno, "%s: cannot write", path);
	if ((size_t)n != len)
		return dv_error_new(DV_ERROR_TRUNCATED, "%s: wrote %zd of %zu bytes", path, n, len);
	return NULL;
}

/*
 * Where a log may end. Its events come in groups: a count of instructions, then what the last of them met
 * or needed (what it wrote to the serial port, a clock's value, an interrupt). A replay that lacks one which
 * it needs aborts, and whether the last group is whole cannot be told. So that group goes, and of its
 * instructions all but the last stay.
 */
struct last_group {
	uint64_t offset, icount_before, icount_after;
};

static bool find_last_group(void *context, const struct dv_log_event *event)
{
	struct last_group *group = context;

	if (event->kind == DV_LOG_INSTRUCTIONS)
		*group = (struct last_group){event->offset, group->icount_after, event->icount};
	return true;
}

/* Replaces the last group by a shutdown and the log's end. */
static struct dv_error *end_at(int fd, const char *path, const struct last_group *group)
{
	uint64_t count = group->icount_after - group->icount_before;
	uint8_t tail[5 + 2] = {0}; /* an event of kind DV_LOG_INSTRUCTIONS, and two that carry nothing */
	size_t len = 0;

	if (count > 1) {
		uint32_t fewer = __builtin_bswap32((uint32_t)(count - 1));

		memcpy(tail + 1, &fewer, sizeof(fewer));
		len = 1 + sizeof(fewer);
	}
	tail[len++] = LOG_FIRST_SHUTDOWN + DV_SHUTDOWN_HOST_SIGNAL;
	tail[len++] = LOG_END;
	if (ftruncate(fd, (off_t)group->offset))
		return dv_error_os(errno, "%s: cannot cut off its last, broken events", path);
	return write_at(fd, path, group->offset, tail, len);
}

struct dv_error *dv_log_repair(const char *path, struct dv_log_summary *ret)
{
	static const uint8_t version[4] = {0x00, 0xe0, 0x20, 0x0c};
	struct last_group group = {.offset = DV_LOG_HEADER_BYTES};
	struct dv_log_summary sum;
	_cleanup_close_ int fd = -1;

	DV_TRY(dv_log_read(path, find_last_group, &group, &sum));
	if (sum.version && sum.ended) {
		*ret = sum;
		return NULL;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return dv_error_os(errno, "%s: cannot open for repair", path);
	if (!sum.ended)
		DV_TRY(end_at(fd, path, &group));
	/* The version last: it is what says that the log is whole. */
	if (fsync(fd))
		return dv_error_os(errno, "%s: cannot write", path);
	DV_TRY(write_at(fd, path, 0, version, sizeof(version)));
	return dv_log_read(path, NULL, NULL, ret);
}
