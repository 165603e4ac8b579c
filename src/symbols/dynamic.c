/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dynamic symbols without sections: see dynamic.h. */
#include "symbols/dynamic.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SYMBOLS  (1u << 18)
#define MAX_STRINGS  (16u << 20)
#define MAX_DYNAMIC  512
#define MAX_BUCKETS  (1u << 18)
#define MAX_CHAIN    4096

struct source {
	dv_file_read_fn read;
	void *context;
	struct dv_dynamic *dynamic;
	uint64_t symtab, strtab, strings_bytes, gnu_hash, hash; /* addresses; 0: not there */
};

static bool read_at(const struct source *s, uint64_t vaddr, void *to, size_t len)
{
	size_t offset;

	return dv_segments_find(&s->dynamic->segments, vaddr, len, &offset) && s->read(s->context, offset, to, len);
}

/* PT_LOAD and PT_DYNAMIC. */
static bool read_headers(struct source *s, uint64_t *ret_dynamic, size_t *ret_count)
{
	struct dv_segments *segments = &s->dynamic->segments;
	Elf64_Ehdr header;
	Elf64_Phdr phdr;

	if (!s->read(s->context, 0, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_phentsize != sizeof(phdr))
		return false;
	*ret_count = 0;
	for (unsigned i = 0; i < header.e_phnum && i < 64; i++) {
		uint64_t at;

		if (__builtin_add_overflow(header.e_phoff, i * sizeof(phdr), &at) ||
		    !s->read(s->context, at, &phdr, sizeof(phdr)))
			return false;
		if (phdr.p_type == PT_DYNAMIC) {
			*ret_dynamic = phdr.p_vaddr;
			*ret_count = phdr.p_filesz / sizeof(Elf64_Dyn);
		}
		if (phdr.p_type == PT_LOAD && phdr.p_filesz && segments->count < DV_ELF_MAX_SEGMENTS)
			segments->items[segments->count++] = (struct dv_segment){
				.vaddr = phdr.p_vaddr,
				.size_bytes = phdr.p_filesz,
				.offset = phdr.p_offset,
				.executable = phdr.p_flags & PF_X,
			};
	}
	return *ret_count;
}

static bool read_dynamic(struct source *s, uint64_t vaddr, size_t count)
{
	Elf64_Dyn entry;

	for (size_t i = 0; i < count && i < MAX_DYNAMIC; i++) {
		if (!read_at(s, vaddr + i * sizeof(entry), &entry, sizeof(entry)))
			return false;
		switch (entry.d_tag) {
		case DT_SYMTAB:
			s->symtab = entry.d_un.d_ptr;
			break;
		case DT_STRTAB:
			s->strtab = entry.d_un.d_ptr;
			break;
		case DT_STRSZ:
			s->strings_bytes = entry.d_un.d_val;
			break;
		case DT_GNU_HASH:
			s->gnu_hash = entry.d_un.d_ptr;
			break;
		case DT_HASH:
			s->hash = entry.d_un.d_ptr;
			break;
		case DT_NULL:
			return s->symtab && s->strtab;
		}
	}
	return s->symtab && s->strtab;
}

/*
 * How many symbols there are is said by the hash tables alone: DT_HASH has it in its second word; DT_GNU_HASH
 * (nbuckets, first symbol, bloom words of 8 bytes, shift; bloom; buckets; chains) ends the last bucket's chain
 * with a set low bit.
 */
static bool count_gnu(const struct source *s, uint32_t *ret)
{
	_cleanup_free_ uint32_t *buckets = NULL;
	uint32_t words[4], last = 0, chain;
	uint64_t at = s->gnu_hash + sizeof(words);

	if (!read_at(s, s->gnu_hash, words, sizeof(words)) || words[0] > MAX_BUCKETS || words[2] > MAX_BUCKETS)
		return false;
	at += words[2] * 8ull;
	buckets = calloc(words[0] + 1u, sizeof(*buckets));
	if (!buckets || !read_at(s, at, buckets, words[0] * sizeof(*buckets)))
		return false;
	at += words[0] * sizeof(*buckets);
	for (uint32_t i = 0; i < words[0]; i++)
		last = buckets[i] > last ? buckets[i] : last;
	if (last < words[1])
		return false;
	for (uint32_t i = 0; i < MAX_CHAIN; i++, last++) {
		if (!read_at(s, at + (last - words[1]) * 4ull, &chain, sizeof(chain)))
			return false;
		if (chain & 1) {
			*ret = last + 1;
			return true;
		}
	}
	return false;
}

static bool count_symbols(const struct source *s, uint32_t *ret)
{
	uint32_t words[2];

	if (s->gnu_hash && count_gnu(s, ret))
		return true;
	if (!s->hash || !read_at(s, s->hash, words, sizeof(words)))
		return false;
	*ret = words[1];
	return true;
}

static bool read_tables(struct source *s)
{
	struct dv_dynamic *d = s->dynamic;
	uint32_t count;

	if (!count_symbols(s, &count) || !count || count > MAX_SYMBOLS || !s->strings_bytes ||
	    s->strings_bytes > MAX_STRINGS)
		return false;
	d->symbols = malloc(count * sizeof(Elf64_Sym));
	d->strings = malloc(s->strings_bytes);
	if (!d->symbols || !d->strings || !read_at(s, s->symtab, d->symbols, count * sizeof(Elf64_Sym)) ||
	    !read_at(s, s->strtab, d->strings, s->strings_bytes))
		return false;
	d->strings[s->strings_bytes - 1] = 0;
	d->strings_bytes = s->strings_bytes;
	d->symbol_count = count;
	return true;
}

bool dv_dynamic_read(dv_file_read_fn read, void *context, struct dv_dynamic **ret)
{
	struct source s = {.read = read, .context = context, .dynamic = calloc(1, sizeof(*s.dynamic))};
	uint64_t vaddr = 0;
	size_t count;

	if (s.dynamic && read_headers(&s, &vaddr, &count) && read_dynamic(&s, vaddr, count) && read_tables(&s)) {
		*ret = s.dynamic;
		return true;
	}
	dv_dynamic_destroy(s.dynamic);
	return false;
}

void dv_dynamic_destroy(struct dv_dynamic *d)
{
	if (!d)
		return;
	free(d->symbols);
	free(d->strings);
	free(d);
}
