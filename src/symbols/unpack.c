/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One function per compression. The streaming ones share a loop: grow the output, let the library fill
 * it, until it says that the stream has ended.
 */
#include "symbols/unpack.h"

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define FIRST_ROOM_BYTES (1u << 20)

struct output {
	struct dv_buf *buf;
	size_t start; /* buf->len before the first byte of ours */
	size_t max_bytes;
	size_t consumed; /* bytes of compressed data, up to the end of the stream */
};

struct dv_packer {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_len;
	struct dv_error *(*unpack)(const uint8_t *data, size_t len, struct output *out);
};

static struct dv_error *too_large(const struct output *out)
{
	return dv_error_new(DV_ERROR_UNSUPPORTED, "unpacks to more than %zu bytes", out->max_bytes);
}

static struct dv_error *ends_early(size_t len)
{
	return dv_error_new(DV_ERROR_TRUNCATED, "the compressed data ends after %zu bytes, before its end mark",
			    len);
}

/* Room for what comes next, at least one byte: as much as is there already, so growth is geometric. */
static struct dv_error *output_room(struct output *out, uint8_t **ret_pos, size_t *ret_len)
{
	struct dv_buf *buf = out->buf;
	size_t used = buf->len - out->start, room = buf->cap - buf->len;

	if (used >= out->max_bytes)
		return too_large(out);
	if (!room) {
		room = used < FIRST_ROOM_BYTES ? FIRST_ROOM_BYTES : used;
		if (!dv_buf_reserve(buf, room))
			return dv_error_no_memory();
	}
	if (room > out->max_bytes - used)
		room = out->max_bytes - used;
	*ret_pos = buf->data + buf->len;
	*ret_len = room;
	return NULL;
}

/* RFC 1952. */
static struct dv_error *inflate_all(z_stream *z, size_t len, struct output *out)
{
	int rc = Z_OK;

	while (rc != Z_STREAM_END) {
		uint8_t *pos;
		size_t room;

		DV_TRY(output_room(out, &pos, &room));
		z->next_out = pos;
		z->avail_out = (uInt)(room > (1u << 30) ? 1u << 30 : room);
		rc = inflate(z, Z_NO_FLUSH);
		out->buf->len += (size_t)(z->next_out - pos);
		if (rc == Z_BUF_ERROR && !z->avail_in)
			return ends_early(len);
		if (rc != Z_OK && rc != Z_STREAM_END)
			return dv_error_new(DV_ERROR_FORMAT, "%s, after %lu bytes of compressed data",
					    z->msg ? z->msg : zError(rc), z->total_in);
	}
	return NULL;
}

static struct dv_error *unpack_gzip(const uint8_t *data, size_t len, struct output *out)
{
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
	struct dv_error *err;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return dv_error_no_memory();
	err = inflate_all(&z, len, out);
	out->consumed = z.total_in;
	inflateEnd(&z);
	return err;
}

static const char *lzma_message(lzma_ret rc)
{
	switch (rc) {
	case LZMA_FORMAT_ERROR:
		return "not such a file";
	case LZMA_OPTIONS_ERROR:
		return "unknown options";
	case LZMA_MEMLIMIT_ERROR:
		return "the decoder wants too much memory";
	default:
		return "corrupt data";
	}
}

static struct dv_error *lzma_all(lzma_stream *stream, size_t len, struct output *out)
{
	lzma_ret rc = LZMA_OK;

	while (rc != LZMA_STREAM_END) {
		uint8_t *pos;
		size_t room;

		DV_TRY(output_room(out, &pos, &room));
		stream->next_out = pos;
		stream->avail_out = room;
		rc = lzma_code(stream, LZMA_RUN);
		out->buf->len += (size_t)(stream->next_out - pos);
		if (rc == LZMA_MEM_ERROR)
			return dv_error_no_memory();
		if (rc == LZMA_BUF_ERROR)
			return ends_early(len);
		if (rc != LZMA_OK && rc != LZMA_STREAM_END)
			return dv_error_new(DV_ERROR_FORMAT, "%s, after %llu bytes of compressed data",
					    lzma_message(rc), (unsigned long long)stream->total_in);
	}
	return NULL;
}

static struct dv_error *unpack_xz(const uint8_t *data, size_t len, struct output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	struct dv_error *err;

	if (lzma_stream_decoder(&stream, DV_UNPACK_MAX_DECODER_BYTES, 0) != LZMA_OK)
		return dv_error_no_memory();
	stream.next_in = data;
	stream.avail_in = len;
	err = lzma_all(&stream, len, out);
	out->consumed = (size_t)stream.total_in;
	lzma_end(&stream);
	return err;
}

/* The .lzma of LZMA Utils: a 13-byte header, its size field often -1 with an end mark in the data. */
static struct dv_error *unpack_lzma(const uint8_t *data, size_t len, struct output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	struct dv_error *err;

	if (lzma_alone_decoder(&stream, DV_UNPACK_MAX_DECODER_BYTES) != LZMA_OK)
		return dv_error_no_memory();
	stream.next_in = data;
	stream.avail_in = len;
	err = lzma_all(&stream, len, out);
	out->consumed = (size_t)stream.total_in;
	lzma_end(&stream);
	return err;
}

static struct dv_error *bunzip2_all(bz_stream *bz, size_t len, struct output *out)
{
	int rc = BZ_OK;

	while (rc != BZ_STREAM_END) {
		uint8_t *pos;
		size_t room;

		DV_TRY(output_room(out, &pos, &room));
		bz->next_out = (char *)pos;
		bz->avail_out = (unsigned)(room > (1u << 30) ? 1u << 30 : room);
		rc = BZ2_bzDecompress(bz);
		out->buf->len += (size_t)((uint8_t *)bz->next_out - pos);
		if (rc == BZ_MEM_ERROR)
			return dv_error_no_memory();
		if (rc != BZ_OK && rc != BZ_STREAM_END)
			return dv_error_new(DV_ERROR_FORMAT, "corrupt data, after %u bytes of compressed data",
					    bz->total_in_lo32);
		if (rc == BZ_OK && !bz->avail_in && bz->avail_out)
			return ends_early(len);
	}
	return NULL;
}

static struct dv_error *unpack_bzip2(const uint8_t *data, size_t len, struct output *out)
{
	bz_stream bz = {.next_in = (char *)data, .avail_in = (unsigned)len};
	struct dv_error *err;

	if (BZ2_bzDecompressInit(&bz, 0, 0) != BZ_OK)
		return dv_error_no_memory();
	err = bunzip2_all(&bz, len, out);
	out->consumed = len - bz.avail_in;
	BZ2_bzDecompressEnd(&bz);
	return err;
}

/*
 * RFC 8878. In one go into a buffer of the largest size the frame can have, which needs no window
 * beside it (kernels are packed with windows of up to 128 MB).
 */
static struct dv_error *unpack_zstd(const uint8_t *data, size_t len, struct output *out)
{
	size_t frame = ZSTD_findFrameCompressedSize(data, len), size;
	unsigned long long bound;

	if (ZSTD_isError(frame)) {
		if (ZSTD_getErrorCode(frame) == ZSTD_error_srcSize_wrong)
			return ends_early(len);
		return dv_error_new(DV_ERROR_FORMAT, "%s", ZSTD_getErrorName(frame));
	}
	bound = ZSTD_getFrameContentSize(data, frame);
	if (bound == ZSTD_CONTENTSIZE_ERROR || bound == ZSTD_CONTENTSIZE_UNKNOWN)
		bound = out->max_bytes;
	if (bound > out->max_bytes)
		return too_large(out);
	if (!dv_buf_reserve(out->buf, bound))
		return dv_error_no_memory();
	size = ZSTD_decompress(out->buf->data + out->buf->len, bound, data, frame);
	if (ZSTD_isError(size))
		return dv_error_new(DV_ERROR_FORMAT, "%s", ZSTD_getErrorName(size));
	out->buf->len += size;
	out->consumed = frame;
	return NULL;
}

/*
 * The legacy frame of lz4's command line (lz4_Frame_format.md, "Legacy frame"), which the kernel uses:
 * the magic number, then chunks of a 4-byte length and that many bytes, each of which unpacks to at most
 * 8 MiB. There is no end mark: what follows the last chunk (the unpacked size, in a bzImage) looks like
 * the length of a chunk that is not there. The magic number may come again between chunks.
 */
#define LZ4_LEGACY_MAGIC     0x184c2102u
#define LZ4_LEGACY_CHUNK_MAX (8u << 20)

static struct dv_error *unpack_lz4(const uint8_t *data, size_t len, struct output *out)
{
	struct dv_cursor c = dv_cursor_make(data, len);

	dv_cursor_u32(&c);
	while (dv_cursor_left(&c) > 4) {
		size_t offset = (size_t)(c.pos - data), left, used = out->buf->len - out->start;
		uint32_t chunk = dv_cursor_u32(&c);
		uint8_t *room;
		int n;

		if (chunk == LZ4_LEGACY_MAGIC)
			continue;
		left = dv_cursor_left(&c);
		if (!chunk || chunk > left)
			return dv_error_new(DV_ERROR_TRUNCATED,
					    "chunk at offset %zu is %u bytes long, but %zu are left", offset,
					    chunk, left);
		if (used + LZ4_LEGACY_CHUNK_MAX > out->max_bytes)
			return too_large(out);
		room = dv_buf_reserve(out->buf, LZ4_LEGACY_CHUNK_MAX);
		if (!room)
			return dv_error_no_memory();
		n = LZ4_decompress_safe((const char *)dv_cursor_take(&c, chunk), (char *)room, (int)chunk,
					LZ4_LEGACY_CHUNK_MAX);
		if (n < 0)
			return dv_error_new(DV_ERROR_FORMAT, "chunk at offset %zu (%u bytes) is corrupt", offset,
					    chunk);
		out->buf->len += (size_t)n;
		out->consumed = (size_t)(c.pos - data);
	}
	return NULL;
}

static const struct dv_packer packers[] = {
	{"gzip", {0x1f, 0x8b, 8}, 3, unpack_gzip},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
	{"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
	{"bzip2", {'B', 'Z', 'h'}, 3, unpack_bzip2},
	{"lzma", {0x5d, 0, 0}, 3, unpack_lzma},
};

const struct dv_packer *dv_packer_detect(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(packers); i++) {
		if (len >= packers[i].magic_len && !memcmp(data, packers[i].magic, packers[i].magic_len))
			return &packers[i];
	}
	return NULL;
}

const char *dv_packer_name(const struct dv_packer *packer)
{
	return packer->name;
}

static struct dv_error *unpack(const struct dv_packer *packer, const uint8_t *data, size_t len, size_t size_hint,
			       struct output *out)
{
	dv_assert(out->max_bytes <= DV_UNPACK_MAX_BYTES);
	if (len > DV_UNPACK_MAX_BYTES)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: more than %u bytes of compressed data",
				    packer->name, DV_UNPACK_MAX_BYTES);
	/* Deflate, the least that is here, packs 1032 to 1 at best; what is far beyond is no hint. */
	if (size_hint && size_hint <= out->max_bytes && size_hint / 1100 <= len)
		dv_buf_reserve(out->buf, size_hint);
	return dv_error_prefix(packer->unpack(data, len, out), "%s", packer->name);
}

struct dv_error *dv_unpack(const struct dv_packer *packer, const uint8_t *data, size_t len,
			   size_t size_hint, size_t max_bytes, struct dv_buf *ret)
{
	struct output out = {.buf = ret, .start = ret->len, .max_bytes = max_bytes};

	return unpack(packer, data, len, size_hint, &out);
}

struct dv_error *dv_unpack_one(const struct dv_packer *packer, const uint8_t *data, size_t len, size_t max_bytes,
			       struct dv_buf *ret, size_t *ret_consumed)
{
	struct output out = {.buf = ret, .start = ret->len, .max_bytes = max_bytes};

	DV_TRY(unpack(packer, data, len, 0, &out));
	*ret_consumed = out.consumed;
	return NULL;
}
