/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The containers a kernel comes in.
 *
 * x86 bzImage (Documentation/arch/x86/boot.rst, boot protocol 2.08 and later, Linux 2.6.26):
 *
 *	0x1f1  u8   setup_sects (0 means 4)
 *	0x1fe  u16  0xaa55
 *	0x202  "HdrS", u16 protocol version
 *	0x248  u32  payload_offset, from the end of the setup sectors: (setup_sects + 1) * 512
 *	0x24c  u32  payload_length
 *
 * The payload is a compressed vmlinux without symbol table, followed (but for gzip, which has it anyway)
 * by its size in 4 bytes. A relocatable kernel's relocations come after the ELF, inside the compression.
 *
 * EFI zboot (drivers/firmware/efi/libstub/zboot-header.S, Linux 6.1): "MZ", "zimg" at 4, u32 offset and
 * u32 size of the compressed Image at 8 and 12.
 *
 * arm64 and riscv Image: "ARM\x64" or "RSC\x05" at 0x38 (Documentation/arch/arm64/booting.rst), not an
 * ELF; often compressed as a whole.
 */
#include "symbols/image.h"

#include <elf.h>
#include <string.h>
#include "symbols/unpack.h"

#define SETUP_HEADER_END 0x250
#define MAX_SEARCH_TRIES 16
#define MAX_SEARCH_BYTES (64u << 20)

static bool has_bytes(const uint8_t *data, size_t len, size_t offset, const char *bytes, size_t n)
{
	return len >= offset + n && !memcmp(data + offset, bytes, n);
}

static uint32_t get_u32(const uint8_t *data, size_t len, size_t offset)
{
	struct dv_cursor c = dv_cursor_make(data + (offset <= len ? offset : len), offset <= len ? len - offset : 0);

	return dv_cursor_u32(&c);
}

static bool is_bzimage(const uint8_t *data, size_t len)
{
	return has_bytes(data, len, 0x202, "HdrS", 4) && has_bytes(data, len, 0x1fe, "\x55\xaa", 2);
}

/* Accepts an ELF or a raw Image as what the image is. */
static bool accept(struct dv_image *image, const uint8_t *data, size_t len)
{
	if (has_bytes(data, len, 0x38, "ARM\x64", 4))
		image->raw_machine = EM_AARCH64;
	else if (has_bytes(data, len, 0x38, "RSC\x05", 4))
		image->raw_machine = EM_RISCV;
	else if (!has_bytes(data, len, 0, ELFMAG, SELFMAG))
		return false;
	image->data = data;
	image->len = len;
	return true;
}

static const char *first_bytes(const uint8_t *data, size_t len, char text[24])
{
	text[0] = '\0';
	for (size_t i = 0; i < 4 && i < len; i++)
		snprintf(text + 3 * i, 24 - 3 * i, "%02x%s", data[i], i < 3 && i + 1 < len ? " " : "");
	return len ? text : "nothing";
}

/* Unpacks a payload that must be a compressed kernel, and must hold one. */
static struct dv_error *unpack_payload(struct dv_image *image, const uint8_t *data, size_t len,
				       size_t max_bytes)
{
	const struct dv_packer *packer = dv_packer_detect(data, len);
	size_t hint = len >= 8 ? get_u32(data, len, len - 4) : 0;
	char text[24];

	if (!packer && accept(image, data, len))
		return NULL;
	if (!packer && has_bytes(data, len, 0, "\x89LZO", 4))
		return dv_error_new(DV_ERROR_UNSUPPORTED, "compressed with lzo, which is not supported: "
							  "extract vmlinux with the kernel's scripts/extract-vmlinux");
	if (!packer)
		return dv_error_new(DV_ERROR_FORMAT, "not compressed by " DV_PACKER_NAMES ": begins with %s",
				    first_bytes(data, len, text));
	dv_buf_clear(&image->unpacked);
	DV_TRY(dv_unpack(packer, data, len, hint, max_bytes, &image->unpacked));
	if (!accept(image, image->unpacked.data, image->unpacked.len))
		return dv_error_new(DV_ERROR_FORMAT,
				    "%s: unpacks to %zu bytes that are neither an ELF nor an arm64 or riscv "
				    "Image: begin with %s",
				    dv_packer_name(packer), image->unpacked.len,
				    first_bytes(image->unpacked.data, image->unpacked.len, text));
	return NULL;
}

static struct dv_error *open_payload(struct dv_image *image, const uint8_t *data, size_t len, size_t offset,
				     size_t size, size_t max_bytes, const char *what)
{
	if (offset > len || size > len - offset || !size)
		return dv_error_new(DV_ERROR_TRUNCATED,
				    "%s: the header puts the payload at offset %zu, %zu bytes long, but the file "
				    "has %zu bytes",
				    what, offset, size, len);
	return dv_error_prefix(unpack_payload(image, data + offset, size, max_bytes),
			       "%s: payload at offset %zu, %zu bytes", what, offset, size);
}

/* Tries every place that looks like the beginning of a compressed kernel. */
static struct dv_error *search_payload(struct dv_image *image, const uint8_t *data, size_t len,
				       size_t max_bytes, const char *what)
{
	size_t end = len < MAX_SEARCH_BYTES ? len : MAX_SEARCH_BYTES;
	int tries = 0;

	for (size_t offset = 0; offset < end && tries < MAX_SEARCH_TRIES; offset++) {
		_cleanup_error_ struct dv_error *err = NULL;

		if (!dv_packer_detect(data + offset, len - offset))
			continue;
		tries++;
		err = unpack_payload(image, data + offset, len - offset, max_bytes);
		if (!err)
			return NULL;
	}
	return dv_error_new(DV_ERROR_FORMAT,
			    "%s: no kernel in %zu bytes: looked for an ELF, a bzImage, an EFI zboot image, an arm64 "
			    "or riscv Image, and for data compressed by " DV_PACKER_NAMES " (%d places tried)",
			    what, end, tries);
}

static struct dv_error *open_bzimage(struct dv_image *image, const uint8_t *data, size_t len, size_t max_bytes)
{
	size_t setup_sects = data[0x1f1] ? data[0x1f1] : 4;
	unsigned version;

	if (len < SETUP_HEADER_END)
		return dv_error_new(DV_ERROR_TRUNCATED, "bzImage: ends after %zu bytes, inside its setup header",
				    len);
	version = data[0x206] | (unsigned)data[0x207] << 8;
	if (version < 0x208)
		return search_payload(image, data, len, max_bytes, "bzImage older than boot protocol 2.08");
	return open_payload(image, data, len, (setup_sects + 1) * 512 + (size_t)get_u32(data, len, 0x248),
			    get_u32(data, len, 0x24c), max_bytes, "bzImage");
}

static struct dv_error *open_container(struct dv_image *image, const uint8_t *data, size_t len, size_t max_bytes)
{
	if (is_bzimage(data, len))
		return open_bzimage(image, data, len, max_bytes);
	if (has_bytes(data, len, 0, "MZ", 2) && has_bytes(data, len, 4, "zimg", 4))
		return open_payload(image, data, len, get_u32(data, len, 8), get_u32(data, len, 12), max_bytes,
				    "EFI zboot image");
	if (accept(image, data, len))
		return NULL;
	if (dv_packer_detect(data, len))
		return unpack_payload(image, data, len, max_bytes);
	return search_payload(image, data, len, max_bytes, "not a kernel image");
}

struct dv_error *dv_image_init_memory(const uint8_t *data, size_t len, size_t max_bytes, struct dv_image *ret)
{
	struct dv_image image = {0};
	struct dv_error *err = open_container(&image, data, len, max_bytes);

	if (err)
		dv_image_deinit(&image);
	else
		*ret = image;
	return err;
}

struct dv_error *dv_image_init(const char *path, struct dv_image *ret)
{
	struct dv_mapped_file file;
	struct dv_error *err;

	DV_TRY(dv_mapped_file_init(path, &file));
	err = dv_image_init_memory(file.data, file.len, DV_UNPACK_MAX_BYTES, ret);
	if (err || ret->data == ret->unpacked.data)
		dv_mapped_file_deinit(&file);
	else
		ret->file = file;
	return err;
}

void dv_image_deinit(struct dv_image *image)
{
	dv_mapped_file_deinit(&image->file);
	dv_buf_deinit(&image->unpacked);
	memset(image, 0, sizeof(*image));
}
