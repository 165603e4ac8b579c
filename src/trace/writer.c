/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace writer: see writer.h. begin and end pack a word each into a small chunk; a full chunk goes
 * to the encoder; a full block is put together from its parts and written with one call:
 *
 *	packet { compressed: clock, defaults, names, functions, threads, switches }
 *	packet { compressed: begins and ends }
 *	own { block: what was in it, checksums }
 */
#include "trace/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include "base/io.h"
#include "trace/commands.h"
#include "trace/console.h"
#include "trace/fields.h"
#include "trace/names.h"
#include "trace/places.h"
#include "trace/stream.h"
#include "base/proto.h"
#include "trace/threads.h"

#define FULL_EVENT_WORDS (384u << 10) /* about 4 MiB of packets */
#define FULL_SIDE_BYTES (1u << 20) /* of each other part */
#define NO_THREAD UINT64_MAX
#define PREFIX_LEVEL 1
#define UNKNOWN_PRIORITY 120 /* what Linux gives a task that asks for nothing */
#define UNKNOWN_STATE 1	     /* interruptible sleep: why a thread left the CPU is not known */

struct dv_trace_writer {
	/* What every begin and end touches. */
	uint64_t *next, *limit; /* into chunk; limit leaves room for a double word */
	uint64_t clock_icount;	/* of the last event on the incremental clock */
	uint64_t thread_id;	/* whose track the stream is on */
	struct names names;
	uint64_t begins, ends;

	uint64_t chunk[STREAM_CHUNK_WORDS];
	dv_trace_describe_fn describe;
	void *describe_context;
	struct stream *stream;
	struct writer_threads threads;

	/* The open block. */
	uint32_t block; /* its number, from 1 */
	bool is_open;
	uint64_t base_icount, first_icount, last_icount, block_begins, block_ends, block_switches;
	struct dv_buf interned, own, descriptors, log;
	struct dv_buf *sched; /* per CPU, the events of its ftrace bundle */
	uint32_t cpus;
	struct dv_buf text; /* of the console line at hand */

	/* What the next block's header says. */
	struct dv_buf switches; /* packed; see put_switch() */
	uint64_t switch_icount;
	struct dv_buf thread_news, notes, console_lines, places;

	/* The file. */
	int fd;
	char *path;
	uint64_t offset, raw_bytes, switch_count;
	struct dv_buf index; /* packed: each block's bytes in the file, from the first block on */
	struct dv_buf raw, out;
	struct libdeflate_compressor *deflate;
	struct dv_error *error; /* the first one */
};

static void fail(struct dv_trace_writer *w, struct dv_error *err)
{
	if (w->error)
		dv_error_destroy(err);
	else
		w->error = err;
}

static void write_out(struct dv_trace_writer *w)
{
	struct dv_error *err = NULL;

	if (w->out.failed)
		fail(w, dv_error_no_memory());
	if (!w->error)
		err = dv_write_all(w->fd, w->out.data, w->out.len, w->path);
	if (err)
		fail(w, dv_error_prefix(err, "trace ends at offset %llu", (unsigned long long)w->offset));
	else if (!w->error)
		w->offset += w->out.len;
	dv_buf_clear(&w->out);
}

/* {1: {clock, T}...}: where the clocks of the sequence stand. */
static void put_clocks(struct dv_buf *buf, uint64_t icount, bool with_realtime)
{
	size_t snapshot = proto_open(buf, PACKET_CLOCK_SNAPSHOT), clock;

	clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
	proto_uint(buf, CLOCK_ID, CLOCK_DELTA);
	proto_uint(buf, CLOCK_TIMESTAMP, icount);
	proto_uint(buf, CLOCK_IS_INCREMENTAL, 1);
	proto_close(buf, clock);
	clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
	proto_uint(buf, CLOCK_ID, CLOCK_BOOTTIME);
	proto_uint(buf, CLOCK_TIMESTAMP, icount);
	proto_close(buf, clock);
	if (with_realtime) {
		clock = proto_open(buf, CLOCK_SNAPSHOT_CLOCKS);
		proto_uint(buf, CLOCK_ID, CLOCK_REALTIME);
		proto_uint(buf, CLOCK_TIMESTAMP, icount);
		proto_close(buf, clock);
	}
	proto_close(buf, snapshot);
}

static void put_metadata(struct dv_buf *buf, const struct dv_trace_options *options)
{
	size_t own = proto_open(buf, PACKET_OWN), metadata;

	metadata = proto_open(buf, OWN_METADATA);
	proto_uint(buf, METADATA_VERSION, DV_TRACE_VERSION);
	proto_uint(buf, METADATA_CLOCK, options->clock);
	proto_uint(buf, METADATA_EXACT, options->exact);
	proto_string(buf, METADATA_EXACT_REASON, options->exact_reason);
	proto_string(buf, METADATA_BANNER, options->kernel_banner);
	proto_string(buf, METADATA_BUILD_ID, options->kernel_build_id);
	proto_close(buf, metadata);
	proto_close(buf, own);
}

/* The head: one plain packet, so that the file starts with 0x0a and says what it is. */
static void put_head(struct dv_buf *buf, const struct dv_trace_options *options)
{
	size_t packet = proto_open(buf, TRACE_PACKET), info;

	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	info = proto_open(buf, PACKET_QEMU_INFO);
	for (char *const *arg = options->command; arg && *arg; arg++)
		proto_string(buf, QEMU_INFO_COMMAND, *arg);
	proto_string(buf, QEMU_INFO_DIRECTORY, options->directory);
	proto_close(buf, info);
	put_metadata(buf, options);
	put_clocks(buf, 0, true);
	proto_close(buf, packet);
}

struct dv_error *dv_trace_writer_create(const struct dv_trace_options *options,
					struct dv_trace_writer **ret)
{
	struct dv_trace_writer *w = calloc(1, sizeof(*w));
	struct dv_error *err = NULL;

	if (!w)
		return dv_error_no_memory();
	w->fd = -1;
	w->next = w->chunk;
	w->limit = w->chunk + STREAM_CHUNK_WORDS - 2;
	w->thread_id = NO_THREAD;
	w->block = 1;
	w->describe = options->describe;
	w->describe_context = options->describe_context;
	w->path = strdup(options->path);
	w->deflate = libdeflate_alloc_compressor(PREFIX_LEVEL);
	err = stream_create(options->encodes_apart, &w->stream);
	if (!err && (!w->path || !w->deflate || !names_init(&w->names, 13)))
		err = dv_error_no_memory();
	if (!err) {
		w->fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (w->fd < 0)
			err = dv_error_os(errno, "cannot create %s", w->path);
	}
	if (!err) {
		put_head(&w->out, options);
		write_out(w);
		err = dv_steal(w->error);
	}
	if (err) {
		dv_trace_writer_destroy(w);
		return err;
	}
	*ret = w;
	return NULL;
}

void dv_trace_writer_destroy(struct dv_trace_writer *w)
{
	struct dv_buf *bufs[] = {&w->interned, &w->own, &w->descriptors, &w->switches, &w->thread_news,
				 &w->notes, &w->index, &w->raw, &w->out, &w->log, &w->console_lines, &w->text,
				 &w->places};

	if (!w)
		return;
	for (size_t i = 0; i < DV_ARRAY_SIZE(bufs); i++)
		dv_buf_deinit(bufs[i]);
	for (uint32_t i = 0; i < w->cpus; i++)
		dv_buf_deinit(&w->sched[i]);
	free(w->sched);
	writer_threads_deinit(&w->threads);
	names_deinit(&w->names);
	stream_destroy(w->stream);
	if (w->deflate)
		libdeflate_free_compressor(w->deflate);
	if (w->fd >= 0)
		close(w->fd);
	free(w->path);
	dv_error_destroy(w->error);
	free(w);
}

/* The parts of a block */

static void open_block(struct dv_trace_writer *w, uint64_t icount)
{
	w->is_open = true;
	w->base_icount = w->clock_icount = w->first_icount = w->last_icount = icount;
	w->block_begins = w->begins;
	w->block_ends = w->ends;
	w->block_switches = w->switch_count;
	w->thread_id = NO_THREAD;
	names_clear(&w->names);
}

/* Stretches what the block says of its time over icount; the incremental clock is seen to at its end. */
static void cover(struct dv_trace_writer *w, uint64_t icount)
{
	if (!w->is_open)
		open_block(w, icount);
	if (icount < w->first_icount)
		w->first_icount = icount;
	if (icount > w->last_icount)
		w->last_icount = icount;
}

static void put_state(struct dv_trace_writer *w, struct dv_buf *buf)
{
	size_t packet = proto_open(buf, TRACE_PACKET), defaults;

	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	proto_uint(buf, PACKET_SEQUENCE_FLAGS, SEQUENCE_CLEARED);
	defaults = proto_open(buf, PACKET_DEFAULTS);
	proto_uint(buf, DEFAULTS_CLOCK_ID, CLOCK_DELTA);
	proto_close(buf, defaults);
	proto_close(buf, packet);

	packet = proto_open(buf, TRACE_PACKET);
	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	put_clocks(buf, w->base_icount, false);
	proto_close(buf, packet);
}

static void put_interned(struct dv_buf *buf, uint32_t field, uint32_t iid, const char *name)
{
	size_t entry = proto_open(buf, field);

	proto_uint(buf, INTERNED_IID, iid);
	proto_string(buf, INTERNED_NAME, name);
	proto_close(buf, entry);
}

static void put_names(struct dv_trace_writer *w, struct dv_buf *buf)
{
	static const char *const categories[DV_SLICE_KINDS] = DV_SLICE_KIND_NAMES;
	size_t packet = proto_open(buf, TRACE_PACKET), interned, own;

	proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	interned = proto_open(buf, PACKET_INTERNED_DATA);
	for (uint32_t kind = DV_SLICE_CALL + 1; kind < DV_SLICE_KINDS; kind++)
		put_interned(buf, INTERNED_CATEGORIES, kind, categories[kind]);
	dv_buf_append(buf, w->interned.data, w->interned.len);
	proto_close(buf, interned);
	own = proto_open(buf, PACKET_OWN);
	dv_buf_append(buf, w->own.data, w->own.len);
	proto_close(buf, own);
	proto_close(buf, packet);
}

static void put_sched(struct dv_trace_writer *w, struct dv_buf *buf)
{
	for (uint32_t cpu = 0; cpu < w->cpus; cpu++) {
		size_t packet, bundle;

		if (!w->sched[cpu].len)
			continue;
		packet = proto_open(buf, TRACE_PACKET);
		proto_uint(buf, PACKET_SEQUENCE_ID, SEQUENCE_ID);
		bundle = proto_open(buf, PACKET_FTRACE_EVENTS);
		proto_uint(buf, BUNDLE_CPU, cpu);
		dv_buf_append(buf, w->sched[cpu].data, w->sched[cpu].len);
		proto_close(buf, bundle);
		proto_close(buf, packet);
		buf->failed |= w->sched[cpu].failed;
		dv_buf_clear(&w->sched[cpu]);
	}
}

/* The packet of a zlib stream that is to follow from a compressor: close_stream() sets the lengths. */
static size_t open_stream(struct dv_buf *out, size_t *ret_packet)
{
	*ret_packet = proto_open(out, TRACE_PACKET);
	return proto_open(out, PACKET_COMPRESSED);
}

static void close_stream(struct dv_buf *out, size_t stream, size_t packet)
{
	proto_close(out, stream);
	proto_close(out, packet);
}

static void put_prefix(struct dv_trace_writer *w)
{
	size_t bound, packet, stream;
	uint8_t *to;

	put_state(w, &w->raw);
	put_names(w, &w->raw);
	dv_buf_append(&w->raw, w->descriptors.data, w->descriptors.len);
	put_sched(w, &w->raw);
	dv_buf_append(&w->raw, w->log.data, w->log.len);
	w->out.failed |= w->raw.failed | w->interned.failed | w->own.failed | w->descriptors.failed |
			 w->log.failed;
	stream = open_stream(&w->out, &packet);
	bound = libdeflate_zlib_compress_bound(w->deflate, w->raw.len);
	to = dv_buf_reserve(&w->out, bound);
	if (to)
		w->out.len += libdeflate_zlib_compress(w->deflate, w->raw.data, w->raw.len, to, bound);
	close_stream(&w->out, stream, packet);
}

static void put_header(struct dv_trace_writer *w, size_t raw_bytes)
{
	struct dv_buf *out = &w->out;
	size_t file_bytes = out->len, own, block;
	uint32_t crc = out->failed ? 0 : libdeflate_crc32(0, out->data, out->len);

	own = proto_open(out, TRACE_OWN);
	block = proto_open(out, OWN_BLOCK);
	proto_uint(out, BLOCK_NUMBER, w->block);
	proto_uint(out, BLOCK_FIRST_ICOUNT, w->first_icount);
	proto_uint(out, BLOCK_LAST_ICOUNT, w->last_icount);
	proto_uint(out, BLOCK_FILE_BYTES, file_bytes);
	proto_uint(out, BLOCK_RAW_BYTES, raw_bytes);
	proto_fixed32(out, BLOCK_CRC32, crc);
	proto_uint(out, BLOCK_BEGINS, w->begins - w->block_begins);
	proto_uint(out, BLOCK_ENDS, w->ends - w->block_ends);
	proto_uint(out, BLOCK_SWITCH_COUNT, w->switch_count - w->block_switches);
	if (w->switches.len)
		proto_bytes(out, BLOCK_SWITCHES, w->switches.data, w->switches.len);
	dv_buf_append(out, w->thread_news.data, w->thread_news.len);
	dv_buf_append(out, w->notes.data, w->notes.len);
	dv_buf_append(out, w->console_lines.data, w->console_lines.len);
	dv_buf_append(out, w->places.data, w->places.len);
	out->failed |= w->switches.failed | w->thread_news.failed | w->notes.failed | w->console_lines.failed |
		       w->places.failed;
	crc = out->failed ? 0 : libdeflate_crc32(0, out->data + block, out->len - block);
	proto_fixed32(out, BLOCK_OWN_CRC32, crc);
	proto_close(out, block);
	proto_close(out, own);
}

/* Words from the chunk to the stream. */
static void drain(struct dv_trace_writer *w)
{
	if (!w->error)
		stream_add(w->stream, w->chunk, (size_t)(w->next - w->chunk));
	w->next = w->chunk;
}

static bool has_something(const struct dv_trace_writer *w)
{
	return w->is_open || w->thread_news.len || w->notes.len || w->console_lines.len || w->places.len;
}

static void close_block(struct dv_trace_writer *w)
{
	size_t packet, stream, raw_bytes;

	if (!has_something(w))
		return;
	drain(w);
	if (!w->is_open)
		open_block(w, w->clock_icount);
	cover(w, w->clock_icount);
	put_prefix(w);
	raw_bytes = w->raw.len;
	if (stream_words(w->stream)) {
		stream = open_stream(&w->out, &packet);
		raw_bytes += stream_finish(w->stream, &w->out);
		close_stream(&w->out, stream, packet);
	}
	put_header(w, raw_bytes);
	dv_buf_varint(&w->index, w->out.len);
	w->raw_bytes += raw_bytes;
	write_out(w);

	dv_buf_clear(&w->raw);
	dv_buf_clear(&w->interned);
	dv_buf_clear(&w->own);
	dv_buf_clear(&w->descriptors);
	dv_buf_clear(&w->switches);
	dv_buf_clear(&w->thread_news);
	dv_buf_clear(&w->notes);
	dv_buf_clear(&w->log);
	dv_buf_clear(&w->console_lines);
	dv_buf_clear(&w->places);
	w->is_open = false;
	w->switch_icount = 0;
	w->thread_id = NO_THREAD;
	w->block++;
}

static void close_full_block(struct dv_trace_writer *w)
{
	if (stream_words(w->stream) >= FULL_EVENT_WORDS || w->own.len >= FULL_SIDE_BYTES ||
	    w->interned.len >= FULL_SIDE_BYTES || w->descriptors.len >= FULL_SIDE_BYTES ||
	    w->thread_news.len >= FULL_SIDE_BYTES || w->console_lines.len >= FULL_SIDE_BYTES ||
	    w->notes.len >= FULL_SIDE_BYTES || w->places.len >= FULL_SIDE_BYTES)
		close_block(w);
}

/* Begins and ends */

static uint32_t add_name(struct dv_trace_writer *w, uint64_t key)
{
	struct dv_trace_function function = {0};
	uint32_t iid = names_add(&w->names, key);
	size_t entry;

	if (!iid) {
		fail(w, dv_error_no_memory());
		return 0;
	}
	w->describe(w->describe_context, key, &function);
	put_interned(&w->interned, INTERNED_EVENT_NAMES, iid, function.name ? function.name : "?");
	entry = proto_open(&w->own, OWN_FUNCTION);
	proto_uint(&w->own, FUNCTION_IID, iid);
	proto_fixed64(&w->own, FUNCTION_VADDR, function.vaddr);
	if (key != function.vaddr)
		proto_fixed64(&w->own, FUNCTION_KEY, key);
	proto_string(&w->own, FUNCTION_MODULE, function.module);
	if (function.space)
		proto_uint(&w->own, FUNCTION_SPACE, function.space);
	if (function.has_number)
		proto_uint(&w->own, FUNCTION_NUMBER, function.number);
	proto_string(&w->own, FUNCTION_MNEMONIC, function.mnemonic);
	if (function.size_bytes)
		proto_uint(&w->own, FUNCTION_SIZE, function.size_bytes);
	proto_string(&w->own, FUNCTION_FILE, function.file);
	if (function.line)
		proto_uint(&w->own, FUNCTION_LINE, function.line);
	proto_close(&w->own, entry);
	return iid;
}

/* UINT32_MAX when out of memory, which is then the writer's error. */
static uint32_t set_thread(struct dv_trace_writer *w, uint64_t icount, const struct dv_trace_thread *thread)
{
	uint32_t index = writer_threads_set(&w->threads, icount, thread);

	if (index == UINT32_MAX)
		fail(w, dv_error_no_memory());
	else
		writer_thread_put(&w->thread_news, BLOCK_THREAD, &w->threads.threads[index]);
	return index;
}

static bool describe_thread(struct dv_trace_writer *w, uint64_t thread_id, uint32_t *ret)
{
	const struct dv_trace_thread nameless = {.id = thread_id, .comm = "?"};
	uint32_t index = writer_threads_find(&w->threads, thread_id);

	if (index == UINT32_MAX) /* not declared */
		index = set_thread(w, 0, &nameless);
	if (index == UINT32_MAX)
		return false;
	writer_threads_describe(&w->threads, index, w->block, &w->descriptors, &w->own);
	*ret = index;
	return true;
}

/* Every case but the plain one: another thread, a clock that jumps, a new name, the first of a block. */
static __attribute__((noinline)) void add_event_slowly(struct dv_trace_writer *w, uint64_t thread_id,
						       uint64_t icount, uint64_t word)
{
	uint64_t delta;
	uint32_t index;

	cover(w, icount);
	if (thread_id != w->thread_id && describe_thread(w, thread_id, &index)) {
		*w->next++ = (uint64_t)WORD_TRACK << WORD_OP_SHIFT | (uint64_t)index << WORD_ARG_SHIFT;
		*w->next++ = thread_id;
		w->thread_id = thread_id;
		if (w->next >= w->limit)
			drain(w);
	}
	delta = icount - w->clock_icount;
	if (icount < w->clock_icount) {
		*w->next++ = word | WORD_AT;
		*w->next++ = icount;
	} else if (delta > UINT32_MAX) {
		*w->next++ = word | WORD_WIDE;
		*w->next++ = delta;
		w->clock_icount = icount;
	} else {
		*w->next++ = word | delta;
		w->clock_icount = icount;
	}
	if (w->next >= w->limit) {
		drain(w);
		close_full_block(w);
	}
}

static __attribute__((noinline)) void next_chunk(struct dv_trace_writer *w)
{
	drain(w);
	close_full_block(w);
}

static __attribute__((noinline)) void begin_slowly(struct dv_trace_writer *w, uint64_t thread_id,
						   uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	uint32_t iid;

	if (w->error)
		return;
	cover(w, icount);
	iid = names_find(&w->names, key);
	if (!iid)
		iid = add_name(w, key);
	w->begins++;
	add_event_slowly(w, thread_id, icount,
			 (uint64_t)WORD_BEGIN << WORD_OP_SHIFT | (uint64_t)kind << WORD_KIND_SHIFT |
				 (uint64_t)iid << WORD_ARG_SHIFT);
}

void dv_trace_writer_begin(struct dv_trace_writer *w, uint64_t thread_id, uint64_t icount, uint64_t key,
			   enum dv_slice_kind kind)
{
	uint64_t delta = icount - w->clock_icount;
	uint32_t iid = names_find(&w->names, key);

	if (__builtin_expect(!iid || thread_id != w->thread_id || delta > UINT32_MAX, 0)) {
		begin_slowly(w, thread_id, icount, key, kind);
		return;
	}
	w->clock_icount = icount;
	w->begins++;
	*w->next++ = (uint64_t)WORD_BEGIN << WORD_OP_SHIFT | (uint64_t)kind << WORD_KIND_SHIFT |
		     (uint64_t)iid << WORD_ARG_SHIFT | delta;
	if (__builtin_expect(w->next >= w->limit, 0))
		next_chunk(w);
}

void dv_trace_writer_end(struct dv_trace_writer *w, uint64_t thread_id, uint64_t icount)
{
	uint64_t delta = icount - w->clock_icount;

	if (__builtin_expect(thread_id != w->thread_id || delta > UINT32_MAX, 0)) {
		if (w->error)
			return;
		cover(w, icount);
		w->ends++;
		add_event_slowly(w, thread_id, icount, (uint64_t)WORD_END << WORD_OP_SHIFT);
		return;
	}
	w->clock_icount = icount;
	w->ends++;
	*w->next++ = (uint64_t)WORD_END << WORD_OP_SHIFT | delta;
	if (__builtin_expect(w->next >= w->limit, 0))
		next_chunk(w);
}

/* Threads and switches */

static struct dv_buf *sched_of(struct dv_trace_writer *w, uint32_t cpu)
{
	struct dv_buf *sched;

	if (cpu < w->cpus)
		return &w->sched[cpu];
	if (cpu >= DV_TRACE_MAX_CPUS)
		return NULL;
	sched = realloc(w->sched, (cpu + 1) * sizeof(*sched));
	if (!sched) {
		fail(w, dv_error_no_memory());
		return NULL;
	}
	memset(sched + w->cpus, 0, (cpu + 1 - w->cpus) * sizeof(*sched));
	w->sched = sched;
	w->cpus = cpu + 1;
	return &sched[cpu];
}

/* What became of a thread, for stock Perfetto. Which CPU's event it is does not matter there. */
static void put_life(struct dv_trace_writer *w, uint32_t index, bool is_new, bool is_renamed, bool has_ended)
{
	const struct dv_trace_thread *thread = &w->threads.threads[index].is;
	struct dv_buf *sched = sched_of(w, 0);

	if (!sched)
		return;
	cover(w, w->threads.threads[index].icount);
	if (is_new && thread->start_icount)
		writer_threads_put_begin(&w->threads, index, writer_threads_find(&w->threads, thread->creator_id), sched);
	if (is_renamed)
		writer_threads_put_rename(&w->threads, index, sched);
	if (has_ended)
		writer_threads_put_end(&w->threads, index, sched);
}

void dv_trace_writer_thread(struct dv_trace_writer *w, uint64_t icount, const struct dv_trace_thread *thread)
{
	uint32_t index = writer_threads_find(&w->threads, thread->id);
	bool is_new = index == UINT32_MAX, is_renamed, was_ended;

	if (w->error)
		return;
	is_renamed = !is_new && strncmp(w->threads.threads[index].is.comm, thread->comm, sizeof(thread->comm) - 1);
	was_ended = !is_new && w->threads.threads[index].is.exit_icount;
	index = set_thread(w, icount, thread);
	if (index == UINT32_MAX)
		return;
	/* One whose beginning was not seen is described when it first runs, others and new names at once. */
	if (!is_new || thread->start_icount) {
		put_life(w, index, is_new, is_renamed, thread->exit_icount && !was_ended);
		writer_threads_describe(&w->threads, index, w->block, &w->descriptors, &w->own);
	}
	close_full_block(w);
}

struct switch_side {
	char comm[16]; /* a copy: threads move when one is added */
	int32_t tid;
};

static struct switch_side side_of(struct dv_trace_writer *w, uint64_t thread_id)
{
	struct switch_side side = {.comm = "swapper"};
	const struct writer_thread *thread;
	uint32_t index;

	if (!thread_id || !describe_thread(w, thread_id, &index))
		return side;
	thread = &w->threads.threads[index];
	memcpy(side.comm, thread->is.comm, sizeof(side.comm));
	side.tid = thread->is.tid == 0 ? 0 : dv_trace_thread_tid(&thread->is);
	return side;
}

static void put_sched_switch(struct dv_buf *buf, uint64_t icount, const struct switch_side *prev,
			     const struct switch_side *next)
{
	size_t event = proto_open(buf, BUNDLE_EVENT), message;

	proto_uint(buf, FTRACE_TIMESTAMP, icount);
	proto_uint(buf, FTRACE_PID, (uint32_t)prev->tid);
	message = proto_open(buf, FTRACE_SCHED_SWITCH);
	proto_string(buf, SWITCH_PREV_COMM, prev->comm);
	proto_uint(buf, SWITCH_PREV_PID, (uint32_t)prev->tid);
	proto_uint(buf, SWITCH_PREV_PRIO, UNKNOWN_PRIORITY);
	proto_uint(buf, SWITCH_PREV_STATE, UNKNOWN_STATE);
	proto_string(buf, SWITCH_NEXT_COMM, next->comm);
	proto_uint(buf, SWITCH_NEXT_PID, (uint32_t)next->tid);
	proto_uint(buf, SWITCH_NEXT_PRIO, UNKNOWN_PRIORITY);
	proto_close(buf, message);
	proto_close(buf, event);
}

void dv_trace_writer_switch(struct dv_trace_writer *w, uint64_t icount, uint32_t cpu, uint64_t prev_id,
			    uint64_t next_id)
{
	struct dv_buf *sched = w->error ? NULL : sched_of(w, cpu);
	struct switch_side prev, next;

	if (!sched)
		return;
	cover(w, icount);
	prev = side_of(w, prev_id);
	next = side_of(w, next_id);
	put_sched_switch(sched, icount, &prev, &next);
	dv_buf_varint(&w->switches, proto_zigzag((int64_t)(icount - w->switch_icount)));
	dv_buf_varint(&w->switches, cpu);
	dv_buf_varint(&w->switches, prev_id);
	dv_buf_varint(&w->switches, next_id);
	w->switch_icount = icount;
	w->switch_count++;
	if (sched->len >= FULL_SIDE_BYTES)
		close_block(w);
}

void dv_trace_writer_note(struct dv_trace_writer *w, const char *key, const char *value)
{
	size_t note;

	if (w->error)
		return;
	note = proto_open(&w->notes, BLOCK_NOTE);
	proto_string(&w->notes, NOTE_KEY, key);
	proto_string(&w->notes, NOTE_VALUE, value);
	proto_close(&w->notes, note);
	close_full_block(w);
}

void dv_trace_writer_console(struct dv_trace_writer *w, const struct dv_console_line *line)
{
	int32_t pid, tid;
	uint32_t index;

	if (w->error)
		return;
	cover(w, line->icount);
	if (!describe_thread(w, line->thread_id, &index))
		return;
	writer_threads_ids(&w->threads, index, &pid, &tid);
	dv_buf_clear(&w->text);
	console_put_utf8(&w->text, line->text, strlen(line->text));
	for (size_t from = 0, len; from == 0 || from < w->text.len; from += len) {
		len = console_piece(w->text.data + from, w->text.len - from, DV_TRACE_MAX_CONSOLE_TEXT);
		console_put_line(&w->console_lines, line, w->text.data + from, len);
		console_put_log(&w->log, line, w->text.data + from, len, pid, tid);
		if (!len)
			break;
	}
	w->log.failed |= w->text.failed;
	close_full_block(w);
}

void dv_trace_writer_command(struct dv_trace_writer *w, uint64_t icount, uint64_t thread_id, const char *arguments,
			     size_t len)
{
	struct dv_buf *sched;
	uint32_t index;

	if (w->error || !icount)
		return;
	cover(w, icount);
	sched = sched_of(w, 0);
	if (!sched || !describe_thread(w, thread_id, &index))
		return;
	command_put(&w->thread_news, icount, thread_id, arguments, len);
	writer_threads_put_command(&w->threads, index, icount, arguments, len, &w->descriptors, sched);
	close_full_block(w);
}

void dv_trace_writer_mapped_file(struct dv_trace_writer *w, const struct dv_trace_mapped_file *file)
{
	if (w->error)
		return;
	places_put_file(&w->places, file);
	close_full_block(w);
}

void dv_trace_writer_mapping(struct dv_trace_writer *w, const struct dv_trace_mapping_change *change)
{
	if (w->error)
		return;
	places_put_mapping(&w->places, change);
	close_full_block(w);
}

void dv_trace_writer_module(struct dv_trace_writer *w, const struct dv_trace_module_change *change)
{
	if (w->error)
		return;
	places_put_module(&w->places, change);
	close_full_block(w);
}

void dv_trace_writer_flush(struct dv_trace_writer *w)
{
	if (!w->error)
		close_block(w);
}

struct dv_trace_totals dv_trace_writer_totals(const struct dv_trace_writer *w)
{
	return (struct dv_trace_totals){
		.begins = w->begins,
		.ends = w->ends,
		.switches = w->switch_count,
		.blocks = w->block - 1,
		.raw_bytes = w->raw_bytes,
		.file_bytes = w->offset,
	};
}

/* The index and, to find it from the end of the file, a trailer of fixed size. */
static void put_index(struct dv_trace_writer *w, uint64_t last_icount)
{
	struct dv_buf *out = &w->out;
	size_t own = proto_open(out, TRACE_OWN), index = proto_open(out, OWN_INDEX);
	uint32_t crc;

	proto_bytes(out, INDEX_BLOCKS, w->index.data, w->index.len);
	proto_uint(out, INDEX_LAST_ICOUNT, last_icount > w->last_icount ? last_icount : w->last_icount);
	proto_uint(out, INDEX_BEGINS, w->begins);
	proto_uint(out, INDEX_ENDS, w->ends);
	proto_uint(out, INDEX_SWITCHES, w->switch_count);
	out->failed |= w->index.failed;
	crc = out->failed ? 0 : libdeflate_crc32(0, out->data + index, out->len - index);
	proto_fixed32(out, INDEX_OWN_CRC32, crc);
	proto_close(out, index);
	proto_close(out, own);

	proto_tag(out, TRACE_OWN, PROTO_BYTES);
	dv_buf_varint(out, DV_TRACE_TRAILER_BYTES - 2);
	proto_tag(out, OWN_TRAILER, PROTO_BYTES);
	dv_buf_varint(out, DV_TRACE_TRAILER_BYTES - 4);
	proto_fixed64(out, TRAILER_INDEX_OFFSET, w->offset);
	proto_fixed64(out, TRAILER_MAGIC, DV_TRACE_MAGIC);
}

struct dv_error *dv_trace_writer_finish(struct dv_trace_writer *w, uint64_t last_icount)
{
	struct dv_error *err;

	dv_trace_writer_flush(w);
	if (!w->error) {
		put_index(w, last_icount);
		write_out(w);
	}
	if (close(w->fd) < 0 && !w->error)
		fail(w, dv_error_os(errno, "cannot write %s", w->path));
	w->fd = -1;
	err = dv_steal(w->error);
	dv_trace_writer_destroy(w);
	return err;
}
