/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scripts/kallsyms.c writes into the kernel's .rodata, each table aligned to 8 bytes:
 *
 *	Linux up to 6.3			Linux 6.4 and later
 *	offsets (or addresses)		num_syms
 *	relative_base			names
 *	num_syms			markers
 *	names				token_table
 *	markers				token_index
 *	seqs_of_names (6.2, 6.3)	offsets (or addresses, until 6.10)
 *	token_table			relative_base
 *	token_index			seqs_of_names
 *
 * num_syms	u32 (u64 before 4.20) N
 * names	N times: a length, then that many tokens of a byte each. The length is one byte; since 6.1,
 *		with bit 7 set, two (ULEB128). Expanded, the first character is nm's letter.
 * markers	u32 (u64 before 4.20) per 256 names: the offset in names of names 0, 256, 512, ...
 * seqs_of_names  an index by name, of no use here
 * token_table	256 NUL-terminated strings. A character that names use stands for itself, so that "0" to "9"
 *		are always tokens 0x30 to 0x39: ten pairs of bytes in a row, by which the table is found.
 * token_index	u16 per token: its offset in token_table. It confirms the find.
 * offsets	i32 per name (CONFIG_KALLSYMS_BASE_RELATIVE), ascending by the address they stand for:
 *		with CONFIG_KALLSYMS_ABSOLUTE_PERCPU (x86 SMP until 6.14), v >= 0 is the address v and
 *		v < 0 is relative_base - 1 - v; without, the address is relative_base + (u32)v.
 * addresses	u64 per name (!CONFIG_KALLSYMS_BASE_RELATIVE)
 *
 * names is found by trying every N before token_table: the names must expand to symbols, end in front
 * of markers, and agree with each of these.
 */
#include "symbols/kallsyms.h"

#include <string.h>

#define N_TOKENS	   256
#define MARKER_STRIDE	   256
#define MAX_NAME_CHARS	   1024
#define MAX_NAMES_BYTES	   (64u << 20) /* how far before token_table num_syms may lie */
#define MAX_MARKER_BYTES   8
#define NAMES_TRIED_FIRST  8
#define R_AARCH64_RELATIVE 1027
#define IMAGE_ALIGN_MASK   0xffffu

struct kallsyms {
	const uint8_t *data;
	size_t len;
	const struct dv_segments *segments;
	/* Offsets in data. */
	size_t token_table, token_index_end, num_syms, names;
	const char *token[N_TOKENS];
	uint16_t token_len[N_TOKENS];
	size_t count;
	/* Where addresses come from: see read_address. */
	size_t addresses;
	uint64_t base;
	enum { RELATIVE, RELATIVE_PERCPU, ABSOLUTE } scheme;
	/* The best explanation so far of why something is no kallsyms, and how far it got. */
	struct dv_error *why;
	size_t why_progress;
};

static size_t align8(size_t offset)
{
	return (offset + 7) & ~(size_t)7;
}

/* The caller has checked the bounds. */
static uint32_t u32_at(const uint8_t *data, size_t offset)
{
	uint32_t value;

	memcpy(&value, data + offset, sizeof(value));
	return value;
}

static uint64_t u64_at(const uint8_t *data, size_t offset)
{
	uint64_t value;

	memcpy(&value, data + offset, sizeof(value));
	return value;
}

/* Keeps the explanation of the candidate that got farthest. */
static void explain(struct kallsyms *k, size_t progress, struct dv_error *why)
{
	if (k->why && progress <= k->why_progress) {
		dv_error_destroy(why);
		return;
	}
	dv_error_destroy(k->why);
	k->why = why;
	k->why_progress = progress;
}

/* The end of `count` NUL-terminated strings, or 0. */
static size_t skip_strings(const struct kallsyms *k, size_t offset, int count)
{
	for (int i = 0; i < count; i++) {
		const uint8_t *nul = offset < k->len ? memchr(k->data + offset, 0, k->len - offset) : NULL;

		if (!nul || (size_t)(nul - k->data) - offset >= MAX_NAME_CHARS)
			return 0;
		offset = (size_t)(nul - k->data) + 1;
	}
	return offset;
}

static bool is_token(const char *token)
{
	for (; *token; token++) {
		if ((uint8_t)*token <= 0x20 || *token == 0x7f)
			return false;
	}
	return true;
}

/* zero is where the token "0" is. */
static bool read_tokens(struct kallsyms *k, size_t zero)
{
	size_t end = skip_strings(k, zero, N_TOKENS - '0'), index = align8(end), offset;

	if (!end || index + 2 * N_TOKENS > k->len)
		return false;
	offset = k->data[index + 2 * '0'] | (size_t)k->data[index + 2 * '0' + 1] << 8;
	if (offset > zero)
		return false;
	k->token_table = zero - offset;
	offset = 0;
	for (int i = 0; i < N_TOKENS; i++) {
		size_t claimed = k->data[index + 2 * (size_t)i] | (size_t)k->data[index + 2 * (size_t)i + 1] << 8;
		const char *token = (const char *)k->data + k->token_table + offset;

		if (claimed != offset || k->token_table + offset >= end || !is_token(token)) {
			explain(k, (size_t)i,
				dv_error_new(DV_ERROR_FORMAT,
					     "token table at 0x%zx: token %d begins at 0x%zx, but its index at "
					     "0x%zx says 0x%zx",
					     k->token_table, i, offset, index, claimed));
			return false;
		}
		k->token[i] = token;
		k->token_len[i] = (uint16_t)strlen(token);
		offset += k->token_len[i] + 1u;
	}
	k->token_index_end = index + 2 * N_TOKENS;
	return true;
}

struct name {
	const uint8_t *tokens;
	size_t len;
};

/* Reads the name at *offset and moves past it; false when it reaches beyond end. */
static bool next_name(const struct kallsyms *k, size_t *offset, size_t end, struct name *ret)
{
	size_t at = *offset;

	if (at >= end)
		return false;
	ret->len = k->data[at++];
	if (ret->len & 0x80) {
		if (at >= end)
			return false;
		ret->len = (ret->len & 0x7f) | (size_t)k->data[at++] << 7;
	}
	if (!ret->len || ret->len > end - at)
		return false;
	ret->tokens = k->data + at;
	*offset = at + ret->len;
	return true;
}

/* Expands a name: nm's letter, then the symbol. Returns its length, or 0 when it is none. */
static size_t expand(const struct kallsyms *k, const struct name *name, char text[MAX_NAME_CHARS])
{
	size_t len = 0;

	for (size_t i = 0; i < name->len; i++) {
		uint8_t token = name->tokens[i];

		if (len + k->token_len[token] >= MAX_NAME_CHARS)
			return 0;
		memcpy(text + len, k->token[token], k->token_len[token]);
		len += k->token_len[token];
	}
	text[len] = '\0';
	return len && strchr("aAbBcCdDgGiInNpPrRsStTuUvVwW?-", text[0]) ? len : 0;
}

/* The name of a candidate's first symbols must look like one: rejects nearly all candidates at once. */
static bool first_names_good(const struct kallsyms *k, size_t offset)
{
	char text[MAX_NAME_CHARS];
	struct name name;

	for (int i = 0; i < NAMES_TRIED_FIRST; i++) {
		if (!next_name(k, &offset, k->token_table, &name) || !expand(k, &name, text))
			return false;
	}
	return true;
}

/* The end of the names of candidate k->names; their offsets every 256 must be the markers'. */
static bool names_and_markers_good(struct kallsyms *k, unsigned marker_bytes)
{
	size_t offset = k->names, n_markers = (k->count + MARKER_STRIDE - 1) / MARKER_STRIDE, markers;
	struct name name;

	for (size_t i = 0; i < k->count; i++) {
		if (!next_name(k, &offset, k->token_table, &name)) {
			explain(k, N_TOKENS + i,
				dv_error_new(DV_ERROR_FORMAT,
					     "%zu names at 0x%zx: name %zu at 0x%zx has a length of 0, or reaches "
					     "into the token table at 0x%zx",
					     k->count, k->names, i, offset, k->token_table));
			return false;
		}
	}
	markers = align8(offset);
	if (n_markers * marker_bytes > k->token_table - k->names ||
	    markers + n_markers * marker_bytes > k->token_table)
		return false;
	offset = k->names;
	for (size_t i = 0; i < k->count; i++) {
		size_t at = markers + i / MARKER_STRIDE * marker_bytes;
		uint64_t marker = marker_bytes == 4 ? u32_at(k->data, at) : u64_at(k->data, at);

		if (i % MARKER_STRIDE == 0 && marker != offset - k->names) {
			explain(k, N_TOKENS + k->count + i,
				dv_error_new(DV_ERROR_FORMAT,
					     "%zu names at 0x%zx: name %zu begins at 0x%zx, but marker %zu at 0x%zx "
					     "says 0x%llx",
					     k->count, k->names, i, offset - k->names, i / MARKER_STRIDE, at,
					     (unsigned long long)marker));
			return false;
		}
		next_name(k, &offset, k->token_table, &name);
	}
	return true;
}

static bool find_names(struct kallsyms *k)
{
	size_t lowest = k->token_table > MAX_NAMES_BYTES ? k->token_table - MAX_NAMES_BYTES : 0;

	for (size_t at = k->token_table & ~(size_t)7; at >= lowest + 8;) {
		uint32_t count;

		at -= 8;
		count = u32_at(k->data, at);
		if (u32_at(k->data, at + 4) || count < DV_KALLSYMS_MIN_SYMBOLS ||
		    count > DV_KALLSYMS_MAX_SYMBOLS || 2 * (size_t)count > k->token_table - at)
			continue;
		k->num_syms = at;
		k->names = at + 8;
		k->count = count;
		if (first_names_good(k, k->names) &&
		    (names_and_markers_good(k, 4) || names_and_markers_good(k, 8)))
			return true;
	}
	explain(k, 1,
		dv_error_new(DV_ERROR_FORMAT, "token table at 0x%zx: no table of names in the 0x%zx bytes before it",
			     k->token_table, k->token_table - lowest));
	return false;
}

static uint64_t read_address(const struct kallsyms *k, size_t i)
{
	int32_t offset;

	if (k->scheme == ABSOLUTE)
		return u64_at(k->data, k->addresses + 8 * i);
	offset = (int32_t)u32_at(k->data, k->addresses + 4 * i);
	if (k->scheme == RELATIVE)
		return k->base + (uint32_t)offset;
	return offset >= 0 ? (uint64_t)offset : k->base - 1 - (int64_t)offset;
}

static bool addresses_ascend(const struct kallsyms *k)
{
	uint64_t last = 0;

	for (size_t i = 0; i < k->count; i++) {
		uint64_t address = read_address(k, i);

		if (address < last)
			return false;
		last = address;
	}
	return true;
}

/*
 * arm64's linker leaves words that are relocated at boot zero and keeps their values in .rela.dyn:
 * {u64 r_offset, u64 type, u64 addend}. The base, at `offset` of the Image, is the Image's own address,
 * so that in its entry r_offset - addend is that offset; no other pointer is likely to say the same.
 */
static uint64_t relocated_base(const struct kallsyms *k, size_t offset)
{
	for (size_t at = 0; at + 24 <= k->len; at += 8) {
		uint64_t base = u64_at(k->data, at + 16);

		if (u64_at(k->data, at + 8) == R_AARCH64_RELATIVE && base >> 63 && !(base & IMAGE_ALIGN_MASK) &&
		    u64_at(k->data, at) - base == offset)
			return base;
	}
	return 0;
}

static bool try_offsets(struct kallsyms *k, size_t offsets, size_t base)
{
	size_t unused;

	if (base > k->len || k->len - base < 8 || offsets > base)
		return false;
	k->addresses = offsets;
	k->base = u64_at(k->data, base);
	k->scheme = RELATIVE;
	for (size_t i = 0; i < k->count && k->scheme == RELATIVE; i++) {
		if (u32_at(k->data, offsets + 4 * i) >> 31)
			k->scheme = RELATIVE_PERCPU;
	}
	if (k->segments && !dv_segments_find(k->segments, k->base, 1, &unused))
		return false;
	if (!addresses_ascend(k))
		return false;
	if (!k->base)
		k->base = relocated_base(k, base);
	return k->base != 0;
}

static bool try_addresses(struct kallsyms *k, size_t addresses)
{
	size_t unused, in_image = 0;

	if (addresses > k->len || (k->len - addresses) / 8 < k->count)
		return false;
	k->addresses = addresses;
	k->scheme = ABSOLUTE;
	if (!addresses_ascend(k))
		return false;
	for (size_t i = 0; i < k->count; i++) {
		uint64_t address = read_address(k, i);

		in_image += k->segments ? dv_segments_find(k->segments, address, 1, &unused) : address >> 63;
	}
	return in_image > k->count / 2;
}

static bool find_addresses(struct kallsyms *k)
{
	size_t after = align8(k->token_index_end), bytes = align8(4 * k->count);

	if (try_offsets(k, after, after + bytes))
		return true;
	if (k->num_syms >= 8 + bytes && try_offsets(k, k->num_syms - 8 - bytes, k->num_syms - 8))
		return true;
	if (try_addresses(k, after))
		return true;
	if (k->num_syms >= 8 * k->count && try_addresses(k, k->num_syms - 8 * k->count))
		return true;
	explain(k, SIZE_MAX,
		dv_error_new(DV_ERROR_FORMAT,
			     "%zu names at 0x%zx: neither before them nor after the token index at 0x%zx is a table "
			     "of as many ascending offsets with its base, or of addresses",
			     k->count, k->names, k->token_index_end - 2 * N_TOKENS));
	return false;
}

struct marks {
	uint64_t stext, etext, sinittext, einittext;
};

static void note_mark(struct marks *marks, const char *name, uint64_t address)
{
	if (name[0] != '_')
		return;
	if (!strcmp(name, "_stext"))
		marks->stext = address;
	else if (!strcmp(name, "_etext"))
		marks->etext = address;
	else if (!strcmp(name, "_sinittext"))
		marks->sinittext = address;
	else if (!strcmp(name, "_einittext"))
		marks->einittext = address;
}

static struct dv_error *add_symbols(const struct kallsyms *k, bool mark_text, struct dv_symtab *symtab)
{
	size_t offset = k->names;
	struct marks marks = {0};

	for (size_t i = 0; i < k->count; i++) {
		char text[MAX_NAME_CHARS];
		uint64_t address = read_address(k, i);
		size_t at = offset;
		struct name name;

		if (!next_name(k, &offset, k->token_table, &name) || !expand(k, &name, text))
			return dv_error_new(DV_ERROR_FORMAT,
					    "%zu names at 0x%zx: name %zu at 0x%zx expands to no symbol, or to more "
					    "than %d characters",
					    k->count, k->names, i, at, MAX_NAME_CHARS - 1);
		if (!text[1])
			continue;
		note_mark(&marks, text + 1, address);
		DV_TRY(dv_symtab_add(symtab, address, 0, text[0], text + 1));
	}
	if (!mark_text)
		return NULL;
	DV_TRY(dv_symtab_add_text(symtab, marks.stext, marks.etext));
	return dv_symtab_add_text(symtab, marks.sinittext, marks.einittext);
}

static bool find_tables(struct kallsyms *k)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *pos = k->data, *end = k->data + k->len;

	while ((pos = memmem(pos, (size_t)(end - pos), digits, sizeof(digits)))) {
		if (read_tokens(k, (size_t)(pos - k->data)) && find_names(k) && find_addresses(k))
			return true;
		pos++;
	}
	return false;
}

struct dv_error *dv_kallsyms_add(const uint8_t *data, size_t len, const struct dv_segments *segments,
				 bool mark_text, struct dv_symtab *symtab)
{
	struct kallsyms k = {.data = data, .len = len, .segments = segments};
	struct dv_error *err;

	if (find_tables(&k))
		err = add_symbols(&k, mark_text, symtab);
	else if (k.why)
		err = dv_steal(k.why);
	else
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "no kallsyms found: no token table (\"0\" to \"9\" in a row) in 0x%zx bytes; was "
				    "the kernel built without CONFIG_KALLSYMS?",
				    len);
	dv_error_destroy(k.why);
	return dv_error_prefix(err, "kallsyms");
}
