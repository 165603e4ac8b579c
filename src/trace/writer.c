/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace writer: see writer.h. begin and end pack a word each into a small chunk; a full chunk goes to the stream.
 */
#include "trace/writer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include "base/io.h"
#include "trace/fields.h"

#define PREFIX_LEVEL 1

void writer_fail(struct dv_trace_writer *w, struct dv_error *err)
{
	if (w->error)
		dv_error_destroy(err);
	else
		w->error = err;
}

void writer_write_out(struct dv_trace_writer *w)
{
	struct dv_error *err = NULL;

	if (w->out.failed)
		writer_fail(w, dv_error_no_memory());
	if (!w->error)
		err = dv_write_all(w->fd, w->out.data, w->out.len, w->path);
	if (err)
		writer_fail(w, dv_error_prefix(err, "trace ends at offset %llu", (unsigned long long)w->offset));
	else if (!w->error)
		w->offset += w->out.len;
	dv_buf_clear(&w->out);
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
	writer_put_clocks(buf, 0, true);
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
		writer_write_out(w);
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

/* Begins and ends */

static uint32_t add_name(struct dv_trace_writer *w, uint64_t key)
{
	struct dv_trace_function function = {0};
	uint32_t iid = names_add(&w->names, key);
	size_t entry;

	if (!iid) {
		writer_fail(w, dv_error_no_memory());
		return 0;
	}
	w->describe(w->describe_context, key, &function);
	writer_put_interned(&w->interned, INTERNED_EVENT_NAMES, iid, function.name ? function.name : "?");
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

/* Every case but the plain one: another thread, a clock that jumps, a new name, the first of a block. */
static __attribute__((noinline)) void add_event_slowly(struct dv_trace_writer *w, uint64_t thread_id,
						       uint64_t icount, uint64_t word)
{
	uint64_t delta;
	uint32_t index;

	writer_cover(w, icount);
	if (thread_id != w->thread_id && writer_describe_thread(w, thread_id, &index)) {
		*w->next++ = (uint64_t)WORD_TRACK << WORD_OP_SHIFT | (uint64_t)index << WORD_ARG_SHIFT;
		*w->next++ = thread_id;
		w->thread_id = thread_id;
		if (w->next >= w->limit)
			writer_drain(w);
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
		writer_drain(w);
		writer_close_full_block(w);
	}
}

static __attribute__((noinline)) void next_chunk(struct dv_trace_writer *w)
{
	writer_drain(w);
	writer_close_full_block(w);
}

static __attribute__((noinline)) void begin_slowly(struct dv_trace_writer *w, uint64_t thread_id,
						   uint64_t icount, uint64_t key, enum dv_slice_kind kind)
{
	uint32_t iid;

	if (w->error)
		return;
	writer_cover(w, icount);
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
		writer_cover(w, icount);
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

void dv_trace_writer_flush(struct dv_trace_writer *w)
{
	if (!w->error)
		writer_close_block(w);
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
		writer_write_out(w);
	}
	if (close(w->fd) < 0 && !w->error)
		writer_fail(w, dv_error_os(errno, "cannot write %s", w->path));
	w->fd = -1;
	err = dv_steal(w->error);
	dv_trace_writer_destroy(w);
	return err;
}
