/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens an image and asks each part of it in turn: ELF or raw, names, layouts, banner, build id. */
#include "symbols/kernel.h"

#include <string.h>
#include "symbols/elffile.h"
#include "symbols/image.h"
#include "symbols/kallsyms.h"

#define MAX_BANNER_BYTES 512

#define MAX_VDSO_BYTES (1u << 20)

struct dv_kernel {
	struct dv_image image;
	struct dv_elf *elf; /* NULL of a raw Image, and after release */
	struct dv_segments segments;
	struct dv_symtab *symtab;
	struct dv_btf *btf;
	char *banner;
	char *build_id;
	const char *symbol_source;
	uint16_t machine;
};

void dv_kernel_destroy(struct dv_kernel *kernel)
{
	if (!kernel)
		return;
	dv_kernel_release_image(kernel);
	dv_symtab_destroy(kernel->symtab);
	dv_btf_destroy(kernel->btf);
	free(kernel->banner);
	free(kernel->build_id);
	free(kernel);
}

/* The bytes between two symbols. */
static const uint8_t *bytes_between(const struct dv_kernel *kernel, const char *start, const char *end,
				    size_t *ret_len)
{
	const struct dv_symbol *from = dv_symtab_find(kernel->symtab, start);
	const struct dv_symbol *to = dv_symtab_find(kernel->symtab, end);

	if (!from || !to || from->vaddr >= to->vaddr)
		return NULL;
	*ret_len = to->vaddr - from->vaddr;
	return dv_kernel_bytes(kernel, from->vaddr, *ret_len);
}

static struct dv_error *read_symbols(struct dv_kernel *kernel)
{
	const struct dv_image *image = &kernel->image;
	bool mark_text = true;
	size_t count = 0;

	DV_TRY(dv_symtab_create(&kernel->symtab));
	kernel->symbol_source = "symtab";
	if (kernel->elf) {
		DV_TRY(dv_elf_add_text(kernel->elf, kernel->symtab, &count));
		mark_text = !count;
		DV_TRY(dv_elf_add_symbols(kernel->elf, kernel->symtab, &count));
	}
	if (!count) {
		kernel->symbol_source = "kallsyms";
		DV_TRY(dv_kallsyms_add(image->data, image->len, kernel->elf ? &kernel->segments : NULL, mark_text,
				       kernel->symtab));
	}
	return dv_symtab_seal(kernel->symtab);
}

/* A raw Image is loaded in one piece, _text first. */
static struct dv_error *place_raw_image(struct dv_kernel *kernel)
{
	const struct dv_symbol *text = dv_symtab_find(kernel->symtab, "_text");

	if (!text)
		return dv_error_new(DV_ERROR_NOT_FOUND, "kallsyms: no _text, the address of the Image's first byte");
	kernel->segments.count = 1;
	kernel->segments.items[0] = (struct dv_segment){
		.vaddr = text->vaddr, .size_bytes = kernel->image.len, .executable = true};
	return NULL;
}

/* BTF that no section and no symbol leads to: its header's first 8 bytes, on 4 bytes' alignment. */
static struct dv_error *search_btf(const uint8_t *data, size_t len, struct dv_btf **ret)
{
	static const uint8_t magic[] = {0x9f, 0xeb, 1, 0, 24, 0, 0, 0};
	const uint8_t *pos = data, *end = data + len;

	while ((pos = memmem(pos, (size_t)(end - pos), magic, sizeof(magic)))) {
		struct dv_cursor c = dv_cursor_make(pos + sizeof(magic), (size_t)(end - pos) - sizeof(magic));
		_cleanup_error_ struct dv_error *err = NULL;
		uint64_t str_off, str_len;

		dv_cursor_u64(&c); /* type_off, type_len */
		str_off = dv_cursor_u32(&c);
		str_len = dv_cursor_u32(&c);
		if (!c.truncated && 24 + str_off + str_len <= (size_t)(end - pos))
			err = dv_btf_create(pos, 24 + str_off + str_len, ret);
		if (*ret)
			return NULL;
		pos++;
	}
	return NULL;
}

static struct dv_error *read_btf(struct dv_kernel *kernel)
{
	const uint8_t *data = NULL;
	size_t len = 0;

	if (kernel->elf && dv_elf_section(kernel->elf, ".BTF", &data, &len))
		return dv_btf_create(data, len, &kernel->btf);
	data = bytes_between(kernel, "__start_BTF", "__stop_BTF", &len);
	if (data)
		return dv_btf_create(data, len, &kernel->btf);
	return search_btf(kernel->image.data, kernel->image.len, &kernel->btf);
}

static char *banner_at(const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len && n < MAX_BANNER_BYTES && data[n] >= 0x20 && data[n] < 0x7f)
		n++;
	return strndup((const char *)data, n);
}

static char *read_banner(const struct dv_kernel *kernel)
{
	static const char start[] = "Linux version ";
	const struct dv_symbol *symbol = dv_symtab_find(kernel->symtab, "linux_banner");
	size_t offset, n = strlen(start);

	if (symbol && dv_segments_find(&kernel->segments, symbol->vaddr, n + 1, &offset) &&
	    !memcmp(kernel->image.data + offset, start, n))
		return banner_at(kernel->image.data + offset, kernel->image.len - offset);
	for (size_t i = 0; i < kernel->segments.count; i++) {
		const struct dv_segment *s = &kernel->segments.items[i];
		const uint8_t *pos = kernel->image.data + s->offset, *end = pos + s->size_bytes;

		/* "Linux version %s" is a format, not the banner. */
		while ((pos = memmem(pos, (size_t)(end - pos), start, n))) {
			if (pos + n < end && pos[n] >= '0' && pos[n] <= '9')
				return banner_at(pos, (size_t)(end - pos));
			pos++;
		}
	}
	return NULL;
}

static char *read_build_id(const struct dv_kernel *kernel)
{
	char *id = kernel->elf ? dv_elf_build_id(kernel->elf) : NULL;
	const uint8_t *notes;
	size_t len;

	if (id)
		return id;
	notes = bytes_between(kernel, "__start_notes", "__stop_notes", &len);
	return notes ? dv_elf_notes_build_id(notes, len) : NULL;
}

static struct dv_error *read_all(struct dv_kernel *kernel)
{
	struct dv_image *image = &kernel->image;

	kernel->machine = image->raw_machine;
	if (!image->raw_machine) {
		DV_TRY(dv_elf_create(image->data, image->len, &kernel->elf));
		kernel->machine = dv_elf_machine(kernel->elf);
		kernel->segments = *dv_elf_segments(kernel->elf);
	}
	DV_TRY(read_symbols(kernel));
	if (image->raw_machine)
		DV_TRY(place_raw_image(kernel));
	DV_TRY(read_btf(kernel));
	kernel->banner = read_banner(kernel);
	kernel->build_id = read_build_id(kernel);
	return NULL;
}

static struct dv_error *open_image(struct dv_kernel *kernel, struct dv_kernel **ret)
{
	struct dv_error *err = read_all(kernel);

	if (err)
		dv_kernel_destroy(kernel);
	else
		*ret = kernel;
	return err;
}

struct dv_error *dv_kernel_open(const char *path, struct dv_kernel **ret)
{
	struct dv_kernel *kernel = calloc(1, sizeof(*kernel));
	struct dv_error *err;

	if (!kernel)
		return dv_error_no_memory();
	err = dv_image_init(path, &kernel->image);
	if (err && err->code == DV_ERROR_OS) {
		free(kernel);
		return err;
	}
	if (err)
		free(kernel);
	else
		err = open_image(kernel, ret);
	return dv_error_prefix(err, "%s", path);
}

struct dv_error *dv_kernel_open_memory(const void *data, size_t len, size_t max_unpacked_bytes,
				       struct dv_kernel **ret)
{
	struct dv_kernel *kernel = calloc(1, sizeof(*kernel));
	struct dv_error *err;

	if (!kernel)
		return dv_error_no_memory();
	err = dv_image_init_memory(data, len, max_unpacked_bytes, &kernel->image);
	if (!err)
		return open_image(kernel, ret);
	free(kernel);
	return err;
}

const struct dv_symtab *dv_kernel_symtab(const struct dv_kernel *kernel)
{
	return kernel->symtab;
}

const struct dv_btf *dv_kernel_btf(const struct dv_kernel *kernel)
{
	return kernel->btf;
}

const char *dv_kernel_banner(const struct dv_kernel *kernel)
{
	return kernel->banner;
}

const char *dv_kernel_build_id(const struct dv_kernel *kernel)
{
	return kernel->build_id;
}

const char *dv_kernel_symbol_source(const struct dv_kernel *kernel)
{
	return kernel->symbol_source;
}

uint16_t dv_kernel_machine(const struct dv_kernel *kernel)
{
	return kernel->machine;
}

const uint8_t *dv_kernel_bytes(const struct dv_kernel *kernel, uint64_t vaddr, size_t len)
{
	size_t offset;

	if (!kernel->image.data || !dv_segments_find(&kernel->segments, vaddr, len, &offset))
		return NULL;
	return kernel->image.data + offset;
}

/* arch/x86/include/asm/vdso.h: struct vdso_image { void *data; unsigned long size; ... }. */
bool dv_kernel_vdso(const struct dv_kernel *kernel, const uint8_t **ret_data, size_t *ret_len)
{
	const struct dv_symbol *symbol = dv_symtab_find(kernel->symtab, "vdso_image_64");
	const uint8_t *image = symbol ? dv_kernel_bytes(kernel, symbol->vaddr, 16) : NULL;
	uint64_t data, size;

	if (!image)
		return false;
	memcpy(&data, image, 8);
	memcpy(&size, image + 8, 8);
	if (size > MAX_VDSO_BYTES || !dv_kernel_bytes(kernel, data, size))
		return false;
	*ret_data = dv_kernel_bytes(kernel, data, size);
	*ret_len = size;
	return true;
}

void dv_kernel_release_image(struct dv_kernel *kernel)
{
	dv_elf_destroy(kernel->elf);
	kernel->elf = NULL;
	dv_image_deinit(&kernel->image);
}
