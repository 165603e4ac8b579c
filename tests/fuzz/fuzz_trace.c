/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace reader. Checksums and compression would stop nearly every mutation at the door, so the
 * first byte says what the others are: 0 a file as it is; 1 the packets of a block, which the harness
 * wraps up rightly; 2 the body of a block's header, given a right checksum.
 */
#include <libdeflate.h>
#include <string.h>
#include "fuzz.h"
#include "trace/fields.h"
#include "trace/reader_private.h"

static bool look(void *context, const struct dv_trace_slice *slice)
{
	struct dv_trace_reader *r = context;

	dv_assert(slice->function < dv_trace_reader_function_count(r));
	dv_assert(slice->end_icount >= slice->start_icount || !slice->is_open);
	return true;
}

static void look_at_places(struct dv_trace_reader *r)
{
	const struct dv_trace_mapping *mappings;
	const struct dv_trace_module *modules;
	struct dv_error *err;
	size_t count;
	uint64_t vaddr;

	err = dv_trace_reader_mappings(r, &mappings, &count);
	for (size_t i = 0; !err && i < count; i++) {
		dv_assert(mappings[i].from_icount < mappings[i].to_icount);
		dv_assert(!mappings[i].file || mappings[i].file->path);
	}
	dv_error_destroy(err);
	dv_error_destroy(dv_trace_reader_modules(r, &modules, &count));
	for (size_t i = 0; i < count; i++)
		dv_assert(modules[i].name);
	for (uint32_t i = 0; i < dv_trace_reader_function_count(r); i++)
		dv_trace_reader_entry_vaddr(r, i, 1, 0, &vaddr);
}

static void read_all(const void *data, size_t len, struct dv_trace_reader **ret)
{
	struct dv_trace_reader *r = NULL;

	dv_error_destroy(dv_trace_reader_open_bytes(data, len, "fuzz", &r));
	for (size_t b = 0; r && b < dv_trace_reader_block_count(r); b++) {
		const struct dv_trace_event *events;
		size_t count;

		dv_error_destroy(dv_trace_reader_read_block(r, b, &events, &count));
	}
	if (r) {
		dv_error_destroy(dv_trace_reader_slices(r, look, r));
		look_at_places(r);
	}
	*ret = r;
}

static void put_head(struct dv_buf *file)
{
	size_t packet = proto_open(file, TRACE_PACKET), own = proto_open(file, PACKET_OWN), metadata;

	metadata = proto_open(file, OWN_METADATA);
	proto_uint(file, METADATA_VERSION, DV_TRACE_VERSION);
	proto_close(file, metadata);
	proto_close(file, own);
	proto_close(file, packet);
}

static void put_block(struct dv_buf *file, size_t start, const uint8_t *more, size_t more_len, size_t raw,
		      uint64_t begins, uint64_t ends)
{
	size_t bytes = file->len - start, own = proto_open(file, TRACE_OWN), block;
	uint32_t crc = libdeflate_crc32(0, file->data + start, bytes);

	block = proto_open(file, OWN_BLOCK);
	proto_uint(file, BLOCK_FILE_BYTES, bytes);
	proto_uint(file, BLOCK_RAW_BYTES, raw);
	proto_fixed32(file, BLOCK_CRC32, crc);
	proto_uint(file, BLOCK_BEGINS, begins);
	proto_uint(file, BLOCK_ENDS, ends);
	dv_buf_append(file, more, more_len);
	crc = libdeflate_crc32(0, file->data + block, file->len - block);
	proto_fixed32(file, BLOCK_OWN_CRC32, crc);
	proto_close(file, block);
	proto_close(file, own);
}

static void put_packets(struct dv_buf *file, const uint8_t *data, size_t len)
{
	struct libdeflate_compressor *deflate = libdeflate_alloc_compressor(1);
	size_t packet = proto_open(file, TRACE_PACKET), stream = proto_open(file, PACKET_COMPRESSED);
	size_t bound = libdeflate_zlib_compress_bound(deflate, len);

	file->len += libdeflate_zlib_compress(deflate, data, len, dv_buf_reserve(file, bound), bound);
	proto_close(file, stream);
	proto_close(file, packet);
	libdeflate_free_compressor(deflate);
}

/* Twice: the first reading counts the events, so that in the second they are let through. */
static void read_packets(const uint8_t *data, size_t len)
{
	uint64_t begins = 0, ends = 0;

	for (int i = 0; i < 2; i++) {
		_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
		_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
		size_t start;

		put_head(&file);
		start = file.len;
		put_packets(&file, data, len);
		put_block(&file, start, NULL, 0, len, begins, ends);
		read_all(file.data, file.len, &r);
		for (size_t e = 0; r && e < r->events.n; e++) {
			begins += r->events.v[e].type == DV_TRACE_BEGIN;
			ends += r->events.v[e].type == DV_TRACE_END;
		}
	}
}

static void read_header(const uint8_t *data, size_t len)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	size_t start;

	put_head(&file);
	start = file.len;
	put_packets(&file, NULL, 0);
	put_block(&file, start, data, len, 0, 0, 0);
	read_all(file.data, file.len, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(dv_trace_reader_closep) struct dv_trace_reader *r = NULL;

	if (!size)
		return 0;
	if (data[0] % 3 == 0)
		read_all(data + 1, size - 1, &r);
	else if (data[0] % 3 == 1)
		read_packets(data + 1, size - 1);
	else
		read_header(data + 1, size - 1);
	return 0;
}
