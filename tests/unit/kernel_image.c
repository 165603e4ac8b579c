/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Synthesised kernels: see kernel_image.h; the layouts are drawn in src/symbols/kallsyms.c, image.c, btf.c. */
#include "kernel_image.h"

#include <bzlib.h>
#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include "test.h"

#define N_SYMBOLS     (IMAGE_FUNCS + 5)
#define MARKER_STRIDE 256

static void put32(struct dv_buf *buf, uint32_t value)
{
	dv_buf_append(buf, &value, sizeof(value));
}

static void put64(struct dv_buf *buf, uint64_t value)
{
	dv_buf_append(buf, &value, sizeof(value));
}

static void align(struct dv_buf *buf, size_t to)
{
	while (buf->len % to)
		dv_buf_append(buf, "", 1);
}

/* One per-CPU symbol, _text, _stext, the functions, one with a name of 200 characters, _etext. */
static uint64_t symbol(int i, char name[256])
{
	if (i == 0)
		return snprintf(name, 256, "Acurrent_task"), IMAGE_CPU;
	if (i < 3)
		return snprintf(name, 256, i == 1 ? "T_text" : "T_stext"), IMAGE_BASE;
	i -= 3;
	if (i < IMAGE_FUNCS)
		snprintf(name, 256, "%cfunc_%03d", i % 2 ? 't' : 'T', i);
	else if (i == IMAGE_FUNCS)
		snprintf(name, 256, "tlong_%0195d", 7);
	else
		snprintf(name, 256, "T_etext");
	return IMAGE_BASE + 16 * (uint64_t)i;
}

/* Token 1 is "func_": the rest are characters, each for itself. */
static void put_name(struct dv_buf *buf, const char *name)
{
	uint8_t tokens[256];
	size_t len = 0;

	while (*name) {
		if (!strncmp(name, "func_", 5)) {
			tokens[len++] = 1;
			name += 5;
		} else {
			tokens[len++] = (uint8_t)*name++;
		}
	}
	dv_buf_varint(buf, len);
	dv_buf_append(buf, tokens, len);
}

static void put_offsets(const struct image_kind *kind, struct dv_buf *buf, struct image_places *places)
{
	align(buf, 8);
	places->offsets = buf->len;
	for (int i = kind->no_percpu; i < N_SYMBOLS; i++) {
		char name[256];
		uint64_t address = symbol(i, name);

		if (kind->absolute)
			put64(buf, address);
		else if (kind->no_percpu)
			put32(buf, (uint32_t)(address - IMAGE_BASE));
		else
			put32(buf, (uint32_t)(i ? IMAGE_BASE - 1 - address : address));
	}
	align(buf, 8);
	if (!kind->absolute)
		put64(buf, IMAGE_BASE);
}

static void put_names(const struct image_kind *kind, struct dv_buf *buf, struct image_places *places)
{
	uint32_t markers[N_SYMBOLS / MARKER_STRIDE + 1] = {0};
	int n = 0;

	align(buf, 8);
	places->num_syms = buf->len;
	put64(buf, (uint64_t)N_SYMBOLS - kind->no_percpu);
	places->names = buf->len;
	for (int i = kind->no_percpu; i < N_SYMBOLS; i++, n++) {
		char name[256];

		if (n % MARKER_STRIDE == 0)
			markers[n / MARKER_STRIDE] = (uint32_t)(buf->len - places->names);
		symbol(i, name);
		put_name(buf, name);
	}
	align(buf, 8);
	places->markers = buf->len;
	for (int i = 0; i < (n + MARKER_STRIDE - 1) / MARKER_STRIDE; i++) {
		put32(buf, markers[i]);
		if (kind->wide_markers)
			put32(buf, 0);
	}
	for (int i = 0; kind->seqs && i < n; i++)
		put32(buf, (uint32_t)i);
}

static void put_tokens(struct dv_buf *buf, struct image_places *places)
{
	uint16_t index[256];

	align(buf, 8);
	places->token_table = buf->len;
	for (int i = 0; i < 256; i++) {
		char token[8] = {i > 0x20 && i < 0x7f ? (char)i : '\0'};

		if (i == 1)
			strcpy(token, "func_");
		index[i] = (uint16_t)(buf->len - places->token_table);
		dv_buf_append(buf, token, strlen(token) + 1);
	}
	align(buf, 8);
	places->token_index = buf->len;
	dv_buf_append(buf, index, sizeof(index));
}

static void put_kallsyms(const struct image_kind *kind, struct dv_buf *buf, struct image_places *places)
{
	if (!kind->since_6_4)
		put_offsets(kind, buf, places);
	put_names(kind, buf, places);
	put_tokens(buf, places);
	if (kind->since_6_4)
		put_offsets(kind, buf, places);
}

void image_make_btf(struct dv_buf *ret)
{
	static const char strings[] = "\0int\0inner\0c\0d\0x\0y\0task_struct\0pid\0in\0bits";
	enum { S_INT = 1, S_INNER = 5, S_C = 11, S_D = 13, S_X = 15, S_Y = 17, S_TASK = 19, S_PID = 31,
	       S_IN = 35, S_BITS = 38 };
	static const uint32_t types[] = {
		/* name, info (kind_flag, kind, vlen), size; then an int's encoding or members */
		S_INT, 1u << 24, 4, 1u << 24 | 32,
		S_INNER, 4u << 24 | 2, 8, S_C, 1, 0, S_D, 1, 32,
		0, 4u << 24 | 2, 8, S_X, 1, 0, S_Y, 1, 32,
		S_TASK, 1u << 31 | 4u << 24 | 4, 32, S_PID, 1, 0, S_IN, 2, 64, 0, 3, 128, S_BITS, 1, 3u << 24 | 192,
	};
	put32(ret, 0x0001eb9f);
	put32(ret, 24);
	put32(ret, 0);
	put32(ret, sizeof(types));
	put32(ret, sizeof(types));
	put32(ret, sizeof(strings));
	dv_buf_append(ret, types, sizeof(types));
	dv_buf_append(ret, strings, sizeof(strings));
}

static void put_section(struct dv_buf *buf, uint32_t name, uint32_t type, uint64_t flags, size_t offset,
			size_t size, uint32_t link)
{
	Elf64_Shdr shdr = {
		.sh_name = name,
		.sh_type = type,
		.sh_flags = flags,
		.sh_addr = flags & SHF_ALLOC ? IMAGE_BASE + offset - IMAGE_OFFSET : 0,
		.sh_offset = offset,
		.sh_size = size,
		.sh_link = link,
		.sh_addralign = 1,
		.sh_entsize = type == SHT_SYMTAB ? sizeof(Elf64_Sym) : 0,
	};
	dv_buf_append(buf, &shdr, sizeof(shdr));
}

/* .text (as long as the functions), .BTF, .symtab, .strtab, .shstrtab */
static void put_sections(const struct image_kind *kind, const struct image_places *places, struct dv_buf *buf)
{
	static const char names[] = "\0.text\0.BTF\0.symtab\0.strtab\0.shstrtab";
	static const char strings[] = "\0main\0data";
	Elf64_Sym syms[] = {
		{0},
		{.st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1,
		 .st_value = IMAGE_BASE, .st_size = 8},
		{.st_name = 6, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), .st_shndx = 2,
		 .st_value = IMAGE_BASE + 0x4000, .st_size = 4},
	};
	size_t at_syms, at_strings, at_names;
	Elf64_Ehdr *header;

	align(buf, 8);
	at_syms = buf->len;
	dv_buf_append(buf, syms, sizeof(syms));
	at_strings = buf->len;
	dv_buf_append(buf, strings, sizeof(strings));
	at_names = buf->len;
	dv_buf_append(buf, names, sizeof(names));
	align(buf, 8);
	header = (Elf64_Ehdr *)buf->data;
	header->e_shoff = buf->len;
	header->e_shentsize = sizeof(Elf64_Shdr);
	header->e_shnum = 6;
	header->e_shstrndx = 5;
	put_section(buf, 0, SHT_NULL, 0, 0, 0, 0);
	put_section(buf, 1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, IMAGE_OFFSET, 16 * (IMAGE_FUNCS + 1), 0);
	put_section(buf, 7, SHT_PROGBITS, SHF_ALLOC, places->btf, places->btf_len, 0);
	put_section(buf, 12, kind->symtab ? SHT_SYMTAB : SHT_PROGBITS, 0, at_syms, sizeof(syms), 4);
	put_section(buf, 20, SHT_STRTAB, 0, at_strings, sizeof(strings), 0);
	put_section(buf, 28, SHT_STRTAB, 0, at_names, sizeof(names), 0);
}

void image_make(const struct image_kind *kind, struct dv_buf *ret, struct image_places *places)
{
	static const uint32_t note[] = {4, 8, NT_GNU_BUILD_ID, 0x00554e47, 0x67452301, 0xefcdab89};
	Elf64_Ehdr ehdr = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	Elf64_Phdr phdrs[2] = {{.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = IMAGE_OFFSET,
				.p_vaddr = IMAGE_BASE},
			       {.p_type = PT_NOTE, .p_filesz = sizeof(note)}};

	memset(places, 0, sizeof(*places));
	dv_buf_append(ret, &ehdr, sizeof(ehdr));
	dv_buf_append(ret, phdrs, sizeof(phdrs));
	while (ret->len < IMAGE_OFFSET)
		dv_buf_append(ret, "", 1);
	dv_buf_append(ret, "Linux version %s", 17);
	dv_buf_append(ret, "Linux version 6.1.0-test (me) #1\n", 34);
	align(ret, 8);
	phdrs[1].p_offset = ret->len;
	dv_buf_append(ret, note, sizeof(note));
	if (!kind->no_kallsyms)
		put_kallsyms(kind, ret, places);
	align(ret, 8);
	places->btf = ret->len;
	image_make_btf(ret);
	places->btf_len = ret->len - places->btf;
	phdrs[0].p_filesz = phdrs[0].p_memsz = ret->len - IMAGE_OFFSET;
	if (!kind->no_sections)
		put_sections(kind, places, ret);
	CHECK(!ret->failed);
	memcpy(ret->data + sizeof(ehdr), phdrs, sizeof(phdrs));
}

void image_make_bzimage(const void *payload, size_t len, struct dv_buf *ret)
{
	uint8_t setup[0x600] = {0};
	uint32_t offset = 0x200, length = (uint32_t)len;

	setup[0x1f1] = 1; /* one setup sector after the boot sector: they end at 0x400 */
	memcpy(setup + 0x1fe, "\x55\xaa", 2);
	memcpy(setup + 0x202, "HdrS\x0f\x02", 6);
	memcpy(setup + 0x248, &offset, 4);
	memcpy(setup + 0x24c, &length, 4);
	dv_buf_append(ret, setup, sizeof(setup));
	dv_buf_append(ret, payload, len);
	dv_buf_append(ret, "more", 4);
}

static size_t pack_gzip(const void *data, size_t len, uint8_t *room, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len, .next_out = room, .avail_out = (uInt)cap};

	CHECK(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static size_t pack_lzma(const void *data, size_t len, uint8_t *room, size_t cap)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	size_t n;

	lzma_lzma_preset(&options, 6);
	CHECK(lzma_alone_encoder(&stream, &options) == LZMA_OK);
	stream.next_in = data;
	stream.avail_in = len;
	stream.next_out = room;
	stream.avail_out = cap;
	CHECK(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
	n = stream.total_out;
	lzma_end(&stream);
	return n;
}

void image_pack(const char *name, const void *data, size_t len, struct dv_buf *ret)
{
	size_t cap = 2 * len + 65536, n = 0;
	uint8_t *room = dv_buf_reserve(ret, cap);

	if (!strcmp(name, "gzip")) {
		n = pack_gzip(data, len, room, cap);
	} else if (!strcmp(name, "xz")) {
		CHECK(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, data, len, room, &n, cap) == LZMA_OK);
	} else if (!strcmp(name, "lzma")) {
		n = pack_lzma(data, len, room, cap);
	} else if (!strcmp(name, "zstd")) {
		n = ZSTD_compress(room, cap, data, len, 3);
		CHECK(!ZSTD_isError(n));
	} else if (!strcmp(name, "bzip2")) {
		unsigned out = (unsigned)cap;

		CHECK(BZ2_bzBuffToBuffCompress((char *)room, &out, (char *)data, (unsigned)len, 9, 0, 0) == BZ_OK);
		n = out;
	} else {
		int out = LZ4_compress_default(data, (char *)room + 8, (int)len, (int)cap - 8);
		uint32_t head[2] = {0x184c2102, (uint32_t)out};

		CHECK_STR(name, "lz4");
		memcpy(room, head, 8);
		n = (size_t)out + 8;
	}
	ret->len += n;
}
