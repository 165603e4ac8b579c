/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Symbol tables by hand, and small kernels made for the purpose, whole and broken. */
#include "test.h"

#include <elf.h>
#include "base/io.h"
#include "kernel_image.h"
#include "symbols/kernel.h"

#define MAX_BYTES (16u << 20)
#define LEN_300	  ((size_t)300)

static struct dv_symtab *table(void)
{
	struct dv_symtab *symtab;

	CHECK_OK(dv_symtab_create(&symtab));
	return symtab;
}

static const char *name_at(const struct dv_symtab *symtab, uint64_t address)
{
	const struct dv_symbol *s = dv_symtab_function_at(symtab, address);

	return s ? s->name : "-";
}

TEST(symtab_is_empty)
{
	struct dv_symtab *symtab = table();

	CHECK_OK(dv_symtab_seal(symtab));
	CHECK_EQ(dv_symtab_count(symtab), 0);
	CHECK(!dv_symtab_function_at(symtab, 0));
	CHECK(!dv_symtab_find(symtab, "x"));
	dv_symtab_destroy(symtab);
}

TEST(symtab_prefers_global_then_underscores_then_length)
{
	struct dv_symtab *symtab = table();

	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 't', "a"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'T', "__abc"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'T', "abcd"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'T', "abc"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'W', "ab"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'T', "_stext"));
	CHECK_OK(dv_symtab_add(symtab, 0x1000, 0, 'D', "d"));
	CHECK_OK(dv_symtab_add(symtab, 0x2000, 0, 't', "next"));
	CHECK_OK(dv_symtab_seal(symtab));
	CHECK_STR(name_at(symtab, 0x1000), "abc");
	CHECK_STR(name_at(symtab, 0x1fff), "abc");
	CHECK_STR(dv_symtab_get(symtab, 1)->name, "abcd");
	CHECK_STR(dv_symtab_get(symtab, 6)->name, "d");
	CHECK_EQ(dv_symtab_find(symtab, "_stext")->size_bytes, 0x1000);
	dv_symtab_destroy(symtab);
}

TEST(symtab_finds_the_innermost_function)
{
	struct dv_symtab *symtab = table();

	CHECK_OK(dv_symtab_add(symtab, 100, 100, 'T', "outer"));
	CHECK_OK(dv_symtab_add(symtab, 140, 10, 't', "inner"));
	CHECK_OK(dv_symtab_add(symtab, 190, 20, 't', "across"));
	CHECK_OK(dv_symtab_add(symtab, 300, 4, 'T', "short"));
	CHECK_OK(dv_symtab_add(symtab, 300, 8, 't', "longer"));
	CHECK_OK(dv_symtab_seal(symtab));
	CHECK_STR(name_at(symtab, 99), "-");
	CHECK_STR(name_at(symtab, 100), "outer");
	CHECK_STR(name_at(symtab, 139), "outer");
	CHECK_STR(name_at(symtab, 140), "inner");
	CHECK_STR(name_at(symtab, 149), "inner");
	CHECK_STR(name_at(symtab, 150), "outer");
	CHECK_STR(name_at(symtab, 190), "across");
	CHECK_STR(name_at(symtab, 209), "across");
	CHECK_STR(name_at(symtab, 210), "-");
	CHECK_STR(name_at(symtab, 303), "short");
	CHECK_STR(name_at(symtab, 304), "longer");
	CHECK_STR(name_at(symtab, 308), "-");
	CHECK_STR(name_at(symtab, UINT64_MAX), "-");
	dv_symtab_destroy(symtab);
}

TEST(symtab_knows_what_is_text)
{
	struct dv_symtab *symtab = table();

	CHECK_OK(dv_symtab_add_text(symtab, 0x1000, 0x2000));
	CHECK_OK(dv_symtab_add_text(symtab, 0x9000, 0xa000));
	CHECK_OK(dv_symtab_add(symtab, 0x10, 0, 'T', "percpu"));
	CHECK_OK(dv_symtab_add(symtab, 0x1800, 0, 'T', "last"));
	CHECK_OK(dv_symtab_add(symtab, 0x2000, 0, 'T', "_etext"));
	CHECK_OK(dv_symtab_add(symtab, 0x9000, 0, 't', "init"));
	CHECK_OK(dv_symtab_seal(symtab));
	CHECK_STR(name_at(symtab, 0x10), "-");
	CHECK_STR(name_at(symtab, 0x1fff), "last");
	CHECK_EQ(dv_symtab_find(symtab, "last")->size_bytes, 0x800);
	CHECK_STR(name_at(symtab, 0x2000), "-");
	CHECK(!dv_symtab_find(symtab, "_etext")->is_function);
	CHECK_STR(name_at(symtab, 0x9fff), "init");
	CHECK_STR(name_at(symtab, 0xa000), "-");
	dv_symtab_destroy(symtab);
}

TEST(symtab_finds_the_first_of_a_name)
{
	struct dv_symtab *symtab = table();

	for (uint64_t i = 40; i > 0; i--)
		CHECK_OK(dv_symtab_add(symtab, i * 8, 8, 't', i % 2 ? "odd" : "even"));
	CHECK_OK(dv_symtab_add(symtab, UINT64_MAX, 0, 'T', "top"));
	CHECK_OK(dv_symtab_seal(symtab));
	CHECK_EQ(dv_symtab_find(symtab, "odd")->vaddr, 8);
	CHECK_EQ(dv_symtab_find(symtab, "even")->vaddr, 16);
	CHECK_EQ(dv_symtab_find(symtab, "top")->size_bytes, 1);
	CHECK(!dv_symtab_find(symtab, "neither"));
	dv_symtab_destroy(symtab);
}

static void check_kernel(const struct dv_kernel *kernel, bool percpu)
{
	const struct dv_symtab *symtab = dv_kernel_symtab(kernel);
	const struct dv_symbol *cpu = dv_symtab_find(symtab, "current_task");
	struct dv_btf_member member;

	CHECK_STR(dv_kernel_symbol_source(kernel), "kallsyms");
	CHECK_EQ(dv_kernel_machine(kernel), EM_X86_64);
	CHECK_STR(dv_kernel_banner(kernel), "Linux version 6.1.0-test (me) #1");
	CHECK_STR(dv_kernel_build_id(kernel), "0123456789abcdef");
	CHECK_EQ(dv_symtab_count(symtab), IMAGE_FUNCS + 4 + percpu);
	CHECK(!cpu == !percpu);
	if (cpu) {
		CHECK_EQ(cpu->vaddr, IMAGE_CPU);
		CHECK(!cpu->is_function);
		CHECK_STR(name_at(symtab, IMAGE_CPU), "-");
	}
	CHECK_STR(name_at(symtab, IMAGE_BASE), "func_000");
	CHECK_STR(name_at(symtab, IMAGE_BASE + 16 * 299 + 15), "func_299");
	CHECK_EQ(strlen(name_at(symtab, IMAGE_BASE + 16 * 300)), 200);
	CHECK_STR(name_at(symtab, IMAGE_BASE + 16 * 301), "-");
	CHECK(dv_kernel_btf(kernel));
	CHECK_OK(dv_btf_member(dv_kernel_btf(kernel), "task_struct", "in.d", &member));
	CHECK_EQ(member.offset_bytes, 12);
	CHECK(!memcmp(dv_kernel_bytes(kernel, IMAGE_BASE, 5), "Linux", 5));
	CHECK(!dv_kernel_bytes(kernel, IMAGE_BASE - 1, 2));
	CHECK(!dv_kernel_bytes(kernel, IMAGE_BASE, 1 << 20));
}

TEST(kernel_reads_every_kallsyms_layout)
{
	static const struct image_kind kinds[] = {
		{0},
		{.seqs = true},
		{.wide_markers = true},
		{.absolute = true},
		{.no_percpu = true},
		{.since_6_4 = true},
		{.since_6_4 = true, .absolute = true},
		{.since_6_4 = true, .no_percpu = true},
		{.since_6_4 = true, .no_sections = true},
	};
	for (size_t i = 0; i < DV_ARRAY_SIZE(kinds); i++) {
		_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
		struct image_places places;
		struct dv_kernel *kernel;

		image_make(&kinds[i], &buf, &places);
		CHECK_OK(dv_kernel_open_memory(buf.data, buf.len, MAX_BYTES, &kernel));
		check_kernel(kernel, !kinds[i].no_percpu);
		dv_kernel_release_image(kernel);
		CHECK(!dv_kernel_bytes(kernel, IMAGE_BASE, 5));
		CHECK_STR(name_at(dv_kernel_symtab(kernel), IMAGE_BASE + 16), "func_001");
		dv_kernel_destroy(kernel);
	}
}

/* As arm64's: no ELF header, and the base of the offsets zero, its value in a relocation. */
TEST(kernel_reads_a_raw_image)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct image_places places;
	struct dv_kernel *kernel;
	uint64_t rela[3] = {0, 1027, IMAGE_BASE};
	size_t base;

	image_make(&(struct image_kind){.since_6_4 = true, .no_percpu = true, .no_sections = true}, &buf, &places);
	base = (places.offsets + 4 * (IMAGE_FUNCS + 4) + 7) & ~(size_t)7;
	rela[0] = IMAGE_BASE + base;
	memset(buf.data, 0, 0x100);
	memcpy(buf.data + 0x38, "ARM\x64", 4);
	memset(buf.data + base, 0, 8);
	while (buf.len % 8)
		dv_buf_append(&buf, "", 1);
	dv_buf_append(&buf, rela, sizeof(rela));
	CHECK_OK(dv_kernel_open_memory(buf.data, buf.len, MAX_BYTES, &kernel));
	CHECK_EQ(dv_kernel_machine(kernel), EM_AARCH64);
	CHECK_EQ(dv_symtab_find(dv_kernel_symtab(kernel), "_text")->vaddr, IMAGE_BASE);
	CHECK_STR(name_at(dv_kernel_symtab(kernel), IMAGE_BASE + 16), "func_001");
	CHECK_STR(dv_kernel_banner(kernel), "Linux version 6.1.0-test (me) #1");
	CHECK(dv_kernel_btf(kernel));
	CHECK(!memcmp(dv_kernel_bytes(kernel, IMAGE_BASE + 0x38, 4), "ARM\x64", 4));
	dv_kernel_destroy(kernel);
}

TEST(kernel_prefers_the_symbol_table)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct image_places places;
	struct dv_kernel *kernel;

	image_make(&(struct image_kind){.symtab = true}, &buf, &places);
	CHECK_OK(dv_kernel_open_memory(buf.data, buf.len, MAX_BYTES, &kernel));
	CHECK_STR(dv_kernel_symbol_source(kernel), "symtab");
	CHECK_EQ(dv_symtab_count(dv_kernel_symtab(kernel)), 2);
	CHECK_STR(name_at(dv_kernel_symtab(kernel), IMAGE_BASE + 7), "main");
	CHECK_STR(name_at(dv_kernel_symtab(kernel), IMAGE_BASE + 8), "-");
	CHECK_EQ(dv_symtab_find(dv_kernel_symtab(kernel), "main")->type, 'T');
	CHECK_EQ(dv_symtab_find(dv_kernel_symtab(kernel), "data")->type, 'r');
	dv_kernel_destroy(kernel);
}

static const char *const packers[] = {"gzip", "xz", "lzma", "zstd", "lz4", "bzip2"};

TEST(kernel_unpacks_every_compression)
{
	_cleanup_buf_ struct dv_buf elf = DV_BUF_INIT;
	struct image_places places;

	image_make(&(struct image_kind){.since_6_4 = true}, &elf, &places);
	for (size_t i = 0; i < DV_ARRAY_SIZE(packers); i++) {
		_cleanup_buf_ struct dv_buf packed = DV_BUF_INIT, bz = DV_BUF_INIT;
		uint32_t size = (uint32_t)elf.len;
		struct dv_kernel *kernel;

		image_pack(packers[i], elf.data, elf.len, &packed);
		CHECK_OK(dv_kernel_open_memory(packed.data, packed.len, MAX_BYTES, &kernel));
		check_kernel(kernel, true);
		dv_kernel_destroy(kernel);

		dv_buf_append(&packed, &size, 4);
		image_make_bzimage(packed.data, packed.len, &bz);
		CHECK_OK(dv_kernel_open_memory(bz.data, bz.len, MAX_BYTES, &kernel));
		check_kernel(kernel, true);
		dv_kernel_destroy(kernel);

		/* Before 2.08 the header has no payload_offset: it is searched for. lz4 has no end mark, and
		 * no kernel that old is packed with it. */
		if (!strcmp(packers[i], "lz4"))
			continue;
		bz.data[0x206] = 7;
		memset(bz.data + 0x248, 0, 8);
		CHECK_OK(dv_kernel_open_memory(bz.data, bz.len, MAX_BYTES, &kernel));
		dv_kernel_destroy(kernel);
	}
}

TEST(kernel_unpacks_zboot)
{
	_cleanup_buf_ struct dv_buf elf = DV_BUF_INIT, zboot = DV_BUF_INIT;
	uint8_t header[64] = {'M', 'Z', 0, 0, 'z', 'i', 'm', 'g', 64};
	struct image_places places;
	struct dv_kernel *kernel;
	uint32_t size;

	image_make(&(struct image_kind){0}, &elf, &places);
	dv_buf_append(&zboot, header, sizeof(header));
	image_pack("zstd", elf.data, elf.len, &zboot);
	size = (uint32_t)zboot.len - 64;
	memcpy(zboot.data + 12, &size, 4);
	CHECK_OK(dv_kernel_open_memory(zboot.data, zboot.len, MAX_BYTES, &kernel));
	check_kernel(kernel, true);
	dv_kernel_destroy(kernel);
}

/* An error of which the code and every word are given. Numbers that differ between versions of the
 * compression libraries would not be facts: the streams are cut at a fixed place instead. */
static void check_error(const void *data, size_t len, enum dv_error_code code, const char *message)
{
	struct dv_kernel *kernel;

	CHECK_ERROR(dv_kernel_open_memory(data, len, MAX_BYTES, &kernel), code, message);
}

TEST(truncated_streams)
{
	static const char *const messages[] = {
		"gzip: the compressed data ends after 300 bytes, before its end mark",
		"xz: the compressed data ends after 300 bytes, before its end mark",
		"lzma: the compressed data ends after 300 bytes, before its end mark",
		"zstd: the compressed data ends after 300 bytes, before its end mark",
		NULL, /* lz4: below */
		"bzip2: the compressed data ends after 300 bytes, before its end mark",
	};
	_cleanup_buf_ struct dv_buf elf = DV_BUF_INIT;
	struct image_places places;
	char text[256];

	image_make(&(struct image_kind){0}, &elf, &places);
	for (size_t i = 0; i < DV_ARRAY_SIZE(packers); i++) {
		_cleanup_buf_ struct dv_buf packed = DV_BUF_INIT, bz = DV_BUF_INIT;

		image_pack(packers[i], elf.data, elf.len, &packed);
		snprintf(text, sizeof(text), "lz4: chunk at offset 4 is %zu bytes long, but 292 are left",
			 packed.len - 8);
		check_error(packed.data, LEN_300, DV_ERROR_TRUNCATED, messages[i] ? messages[i] : text);
		image_make_bzimage(packed.data, packed.len, &bz);
		snprintf(text, sizeof(text),
			 "bzImage: the header puts the payload at offset 1536, %zu bytes long, but the file has "
			 "2000 bytes",
			 packed.len);
		check_error(bz.data, 2000, DV_ERROR_TRUNCATED, text);
	}
}

TEST(corrupt_streams)
{
	static const char *const messages[] = {
		"gzip: invalid block type, after 11 bytes of compressed data",
		"xz: corrupt data, after 12 bytes of compressed data",
		"lzma: corrupt data, after ",
		"zstd: ",
		"lz4: chunk at offset 4 (64 bytes) is corrupt",
		"bzip2: corrupt data, after ",
	};
	static const char *const magics[] = {"\x1f\x8b\x08\0\0\0\0\0\0\x03", "\xfd\x37zXZ\0", "\x5d\0\0\x80\0",
					     "\x28\xb5\x2f\xfd", "\x02\x21\x4c\x18\x40\0\0\0", "BZh91AY&SY"};
	static const size_t lens[] = {10, 6, 5, 4, 8, 10};

	for (size_t i = 0; i < DV_ARRAY_SIZE(messages); i++) {
		_cleanup_error_ struct dv_error *err = NULL;
		struct dv_kernel *kernel;
		uint8_t data[72];

		memset(data, 0xff, sizeof(data));
		memcpy(data, magics[i], lens[i]);
		err = dv_kernel_open_memory(data, sizeof(data), MAX_BYTES, &kernel);
		CHECK(err);
		if (strncmp(err->message, messages[i], strlen(messages[i])))
			CHECK_STR(err->message, messages[i]);
	}
}

TEST(containers_that_are_none)
{
	static const uint8_t zeros[0x300];
	_cleanup_buf_ struct dv_buf bz = DV_BUF_INIT, packed = DV_BUF_INIT;
	struct dv_kernel *kernel;

	check_error(zeros, 0, DV_ERROR_FORMAT,
		    "not a kernel image: no kernel in 0 bytes: looked for an ELF, a bzImage, an EFI zboot image, an "
		    "arm64 or riscv Image, and for data compressed by gzip, xz, zstd, lz4, bzip2 or lzma (0 places "
		    "tried)");
	image_make_bzimage("\x89LZO----", 8, &bz);
	check_error(bz.data, bz.len, DV_ERROR_UNSUPPORTED,
		    "bzImage: payload at offset 1536, 8 bytes: compressed with lzo, which is not supported: extract "
		    "vmlinux with the kernel's scripts/extract-vmlinux");
	check_error(bz.data, 0x210, DV_ERROR_TRUNCATED, "bzImage: ends after 528 bytes, inside its setup header");
	memcpy(bz.data + 0x600, "what", 4);
	check_error(bz.data, bz.len, DV_ERROR_FORMAT,
		    "bzImage: payload at offset 1536, 8 bytes: not compressed by gzip, xz, zstd, lz4, bzip2 or lzma: "
		    "begins with 77 68 61 74");
	image_pack("gzip", zeros, sizeof(zeros), &packed);
	check_error(packed.data, packed.len, DV_ERROR_FORMAT,
		    "gzip: unpacks to 768 bytes that are neither an ELF nor an arm64 or riscv Image: begin with 00 00 "
		    "00 00");
	CHECK_ERROR(dv_kernel_open_memory(packed.data, packed.len, 100, &kernel), DV_ERROR_UNSUPPORTED,
		    "gzip: unpacks to more than 100 bytes");
	CHECK_ERROR(dv_kernel_open("/nonexistent/vmlinuz", &kernel), DV_ERROR_OS,
		    "cannot open /nonexistent/vmlinuz: No such file or directory");
}

TEST(file_errors_name_the_file)
{
	_cleanup_free_ char *path = dv_path_join(test_dir(), "vmlinuz");
	struct dv_kernel *kernel;
	char text[512];

	CHECK_OK(dv_replace_file(path, "\x1f\x8b\x08", 3, 0644));
	snprintf(text, sizeof(text), "%s: gzip: the compressed data ends after 3 bytes, before its end mark", path);
	CHECK_ERROR(dv_kernel_open(path, &kernel), DV_ERROR_TRUNCATED, text);
}

static void make(struct dv_buf *buf, struct image_places *places)
{
	image_make(&(struct image_kind){.since_6_4 = true}, buf, places);
}

TEST(broken_elf)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT, with_symtab = DV_BUF_INIT;
	struct image_places places;
	uint64_t huge = 1ull << 40;
	Elf64_Shdr *shdrs;

	make(&buf, &places);
	check_error(buf.data, 40, DV_ERROR_TRUNCATED, "ELF: 40 bytes, fewer than its header has");
	buf.data[EI_CLASS] = ELFCLASS32;
	check_error(buf.data, buf.len, DV_ERROR_UNSUPPORTED,
		    "ELF: not a 64-bit little-endian file (class 1, data 1)");
	buf.data[EI_CLASS] = ELFCLASS64;
	memcpy(buf.data + 64 + offsetof(Elf64_Phdr, p_filesz), &huge, 8);
	buf.len = 0x1000;
	check_error(buf.data, buf.len, DV_ERROR_TRUNCATED,
		    "ELF: program header 0: bytes 0x100 to 0x10000000100, but there are 0x1000");

	image_make(&(struct image_kind){.symtab = true}, &with_symtab, &places);
	shdrs = (Elf64_Shdr *)(with_symtab.data + ((Elf64_Ehdr *)with_symtab.data)->e_shoff);
	((Elf64_Sym *)(with_symtab.data + shdrs[3].sh_offset))[1].st_name = 5000;
	check_error(with_symtab.data, with_symtab.len, DV_ERROR_FORMAT,
		    "ELF: symbol 1: its name is at 5000, outside of its table");
}

TEST(broken_kallsyms)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT, none = DV_BUF_INIT;
	struct image_places places;
	char text[512];
	uint32_t old;

	image_make(&(struct image_kind){.no_kallsyms = true}, &none, &places);
	snprintf(text, sizeof(text),
		 "no kallsyms found: no token table (\"0\" to \"9\" in a row) in 0x%zx bytes; was the kernel built "
		 "without CONFIG_KALLSYMS?",
		 none.len);
	check_error(none.data, none.len, DV_ERROR_NOT_FOUND, text);

	make(&buf, &places);
	buf.data[places.token_index + 2 * 0x80] ^= 1;
	snprintf(text, sizeof(text),
		 "kallsyms: token table at 0x%zx: token 128 begins at 0x%x, but its index at 0x%zx says 0x%x",
		 places.token_table, 227, places.token_index, 226);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);
	buf.data[places.token_index + 2 * 0x80] ^= 1;

	memcpy(&old, buf.data + places.markers + 4, 4);
	buf.data[places.markers + 4] ^= 1;
	snprintf(text, sizeof(text),
		 "kallsyms: 305 names at 0x%zx: name 256 begins at 0x%x, but marker 1 at 0x%zx says 0x%x",
		 places.names, old, places.markers + 4, old ^ 1);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);
	buf.data[places.markers + 4] ^= 1;

	buf.data[places.names + old] = 0;
	snprintf(text, sizeof(text),
		 "kallsyms: 305 names at 0x%zx: name 256 at 0x%zx has a length of 0, or reaches into the token table "
		 "at 0x%zx",
		 places.names, places.names + old, places.token_table);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);
	buf.data[places.names + old] = 5; /* t, func_, 2, 5, 3 */

	buf.data[places.names + old + 1] = 2; /* a token that is empty, where nm's letter belongs */
	buf.data[places.names + old + 2] = 2;
	snprintf(text, sizeof(text),
		 "kallsyms: 305 names at 0x%zx: name 256 at 0x%zx expands to no symbol, or to more than 1023 "
		 "characters",
		 places.names, places.names + old);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);
}

TEST(broken_kallsyms_tables)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct image_places places;
	char text[512];

	make(&buf, &places);
	buf.data[places.offsets + 4 * 9] ^= 0x80;
	snprintf(text, sizeof(text),
		 "kallsyms: 305 names at 0x%zx: neither before them nor after the token index at 0x%zx is a table of "
		 "as many ascending offsets with its base, or of addresses",
		 places.names, places.token_index);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);

	buf.data[places.num_syms + 2] = 0xff;
	snprintf(text, sizeof(text), "kallsyms: token table at 0x%zx: no table of names in the 0x%zx bytes before it",
		 places.token_table, places.token_table);
	check_error(buf.data, buf.len, DV_ERROR_FORMAT, text);
}

static struct dv_btf *open_btf(void)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	struct dv_btf *btf;

	image_make_btf(&buf);
	CHECK_OK(dv_btf_create(buf.data, buf.len, &btf));
	return btf;
}

TEST(btf_members)
{
	static const struct {
		const char *path;
		uint32_t offset, size;
	} rows[] = {{"pid", 0, 4}, {"in", 8, 8}, {"in.c", 8, 4}, {"in.d", 12, 4}, {"x", 16, 4}, {"y", 20, 4}};
	struct dv_btf *btf = open_btf();
	struct dv_btf_member m;
	uint32_t size;

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		CHECK_OK(dv_btf_member(btf, "task_struct", rows[i].path, &m));
		CHECK_EQ(m.offset_bytes, rows[i].offset);
		CHECK_EQ(m.size_bytes, rows[i].size);
	}
	CHECK_OK(dv_btf_struct_size(btf, "task_struct", &size));
	CHECK_EQ(size, 32);
	CHECK_ERROR(dv_btf_struct_size(btf, "no", &size), DV_ERROR_NOT_FOUND, "BTF: no struct no");
	CHECK_ERROR(dv_btf_member(btf, "int", "x", &m), DV_ERROR_NOT_FOUND,
		    "BTF: no struct int (looked for its member x)");
	CHECK_ERROR(dv_btf_member(btf, "task_struct", "in.x", &m), DV_ERROR_NOT_FOUND,
		    "BTF: struct task_struct has no member in.x");
	CHECK_ERROR(dv_btf_member(btf, "task_struct", "pid.x", &m), DV_ERROR_NOT_FOUND,
		    "BTF: struct task_struct has no member pid.x");
	CHECK_ERROR(dv_btf_member(btf, "task_struct", "", &m), DV_ERROR_NOT_FOUND,
		    "BTF: struct task_struct has no member ");
	CHECK_ERROR(dv_btf_member(btf, "task_struct", "bits", &m), DV_ERROR_UNSUPPORTED,
		    "BTF: struct task_struct: member bits is a bitfield");
	dv_btf_destroy(btf);
}

TEST(broken_btf)
{
	static const struct {
		size_t offset;
		uint32_t value;
		const char *message;
	} rows[] = {
		{0, 0x0002eb9f, "BTF: magic 0xeb9f, version 2 instead of 0xeb9f, 1"},
		{0, 0x00019feb, "BTF: magic 0x9feb, version 1 instead of 0xeb9f, 1"},
		{4, 20, "BTF: a header of 20 bytes"},
		{4, 4000, "BTF: a header of 4000 bytes"},
		{4, 25, "BTF: a header of 25 bytes"},
		{8, 2, "BTF: types at 2, which is no multiple of 4"},
		{8, 0xfffffff0, "BTF: types at 4294967280 + 148 and strings at 148 + 43 do not fit into 191 bytes"},
		{20, 44, "BTF: types at 0 + 148 and strings at 148 + 44 do not fit into 191 bytes"},
		{28, 0x1f000000, "BTF: libbpf does not take it: Invalid argument"},
		{28 + 16, 4u << 24 | 60000, "BTF: libbpf does not take it: Invalid argument"},
	};
	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
		struct dv_btf *btf;

		image_make_btf(&buf);
		memcpy(buf.data + rows[i].offset, &rows[i].value, 4);
		CHECK_ERROR(dv_btf_create(buf.data, buf.len, &btf), DV_ERROR_FORMAT, rows[i].message);
		CHECK_ERROR(dv_btf_create(buf.data, 23, &btf), DV_ERROR_FORMAT,
			    "BTF: 23 bytes, fewer than its header has");
	}
}
