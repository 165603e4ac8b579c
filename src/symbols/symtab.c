/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symbols in one sorted array with their names in one pool; an open-addressed table for names; and for
 * addresses the functions flattened into regions that do not overlap, so that one binary search among
 * the few regions of a bucket answers function_at.
 */
#include "symbols/symtab.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

#define MAX_SYMBOLS    (16u << 20)
#define MAX_POOL_BYTES (1u << 30)
#define NO_FUNCTION    UINT32_MAX

struct pending {
	uint64_t vaddr;
	uint64_t size_bytes;
	uint32_t name; /* offset in the pool */
	char type;
};

struct text_range {
	uint64_t start, end; /* exclusive */
};

/* From start to the next region's start, the function is symbols[index], or none. */
struct region {
	uint64_t start;
	uint32_t index;
};

struct dv_symtab {
	struct dv_buf pool;
	struct dv_buf pending; /* struct pending; empty once sealed */
	struct dv_buf text;    /* struct text_range */
	struct dv_symbol *symbols;
	size_t count;
	struct region *regions;
	size_t n_regions;
	uint32_t *buckets; /* per bucket, the last region that starts at or before the bucket does */
	size_t n_buckets;
	unsigned bucket_shift;
	uint32_t *names; /* index + 1 of a symbol, 0 for an empty slot */
	size_t names_mask;
};

struct dv_error *dv_symtab_create(struct dv_symtab **ret)
{
	struct dv_symtab *symtab = calloc(1, sizeof(*symtab));

	if (!symtab)
		return dv_error_no_memory();
	*ret = symtab;
	return NULL;
}

void dv_symtab_destroy(struct dv_symtab *symtab)
{
	if (!symtab)
		return;
	dv_buf_deinit(&symtab->pool);
	dv_buf_deinit(&symtab->pending);
	dv_buf_deinit(&symtab->text);
	free(symtab->symbols);
	free(symtab->regions);
	free(symtab->buckets);
	free(symtab->names);
	free(symtab);
}

struct dv_error *dv_symtab_add(struct dv_symtab *symtab, uint64_t vaddr, uint64_t size_bytes, char type,
			       const char *name)
{
	struct pending p = {.vaddr = vaddr, .size_bytes = size_bytes, .type = type};
	size_t len = strlen(name) + 1;

	dv_assert(!symtab->symbols);
	if (symtab->count >= MAX_SYMBOLS || len > MAX_POOL_BYTES - symtab->pool.len)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %u symbols, or %u bytes of names",
				    MAX_SYMBOLS, MAX_POOL_BYTES);
	p.name = (uint32_t)symtab->pool.len;
	dv_buf_append(&symtab->pool, name, len);
	dv_buf_append(&symtab->pending, &p, sizeof(p));
	if (symtab->pool.failed || symtab->pending.failed)
		return dv_error_no_memory();
	symtab->count++;
	return NULL;
}

struct dv_error *dv_symtab_add_text(struct dv_symtab *symtab, uint64_t start, uint64_t end)
{
	struct text_range range = {.start = start, .end = end};

	dv_assert(!symtab->symbols);
	if (start < end)
		dv_buf_append(&symtab->text, &range, sizeof(range));
	return symtab->text.failed ? dv_error_no_memory() : NULL;
}

/* The end of the text range that vaddr is in, 0 when in none. */
static uint64_t text_end(const struct dv_symtab *symtab, uint64_t vaddr)
{
	const struct text_range *ranges = (const void *)symtab->text.data;
	size_t n = symtab->text.len / sizeof(*ranges);

	if (!n)
		return UINT64_MAX;
	for (size_t i = 0; i < n; i++) {
		if (vaddr >= ranges[i].start && vaddr < ranges[i].end)
			return ranges[i].end;
	}
	return 0;
}

static bool is_code_type(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W' || type == 'i';
}

/* Names that linker scripts put at the edges of sections: _stext, __irqentry_text_start, ... */
static bool is_section_marker(const char *name)
{
	static const char *const suffixes[] = {"text", "_start", "_begin", "_end"};
	size_t len = strlen(name);

	if (name[0] != '_')
		return false;
	for (size_t i = 0; i < DV_ARRAY_SIZE(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !strcmp(name + len - n, suffixes[i]))
			return true;
	}
	return false;
}

/* How well a name stands for its address: less is better. */
static int name_rank(char type, const char *name)
{
	int rank = type == 'T' || type == 'i' ? 0 : type == 'W' ? 1 : type == 't' ? 2 : 3;

	return is_section_marker(name) ? rank + 4 : rank;
}

static int compare_pending(const void *left, const void *right, void *pool)
{
	const struct pending *a = left, *b = right;
	const char *a_name = (const char *)pool + a->name, *b_name = (const char *)pool + b->name;
	size_t a_len, b_len;
	int a_rank, b_rank;

	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	a_rank = is_code_type(a->type) ? name_rank(a->type, a_name) : 8;
	b_rank = is_code_type(b->type) ? name_rank(b->type, b_name) : 8;
	if (a_rank != b_rank)
		return a_rank - b_rank;
	a_len = strspn(a_name, "_");
	b_len = strspn(b_name, "_");
	if (a_len == b_len) {
		a_len = strlen(a_name);
		b_len = strlen(b_name);
	}
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return strcmp(a_name, b_name);
}

static void fill_symbols(struct dv_symtab *symtab)
{
	const struct pending *pending = (const void *)symtab->pending.data;
	uint64_t next = UINT64_MAX; /* address of the first symbol after this one's address */

	for (size_t i = symtab->count; i-- > 0;) {
		const struct pending *p = &pending[i];
		struct dv_symbol *s = &symtab->symbols[i];
		uint64_t end = text_end(symtab, p->vaddr);

		if (i + 1 < symtab->count && pending[i + 1].vaddr != p->vaddr)
			next = pending[i + 1].vaddr;
		s->vaddr = p->vaddr;
		s->name = (const char *)symtab->pool.data + p->name;
		s->type = p->type;
		s->is_function = is_code_type(p->type) && end && p->vaddr != UINT64_MAX;
		s->size_bytes = p->size_bytes;
		if (!s->size_bytes) {
			bool cut = s->is_function && end < next;

			s->size_bytes = (cut ? end : next) - s->vaddr;
		}
		/* The very last one has no next: it ends where its page does. */
		if (!p->size_bytes && s->vaddr + s->size_bytes == UINT64_MAX)
			s->size_bytes = 4096 - (s->vaddr & 4095);
		if (s->size_bytes > UINT64_MAX - s->vaddr)
			s->size_bytes = s->vaddr == UINT64_MAX ? 1 : UINT64_MAX - s->vaddr;
	}
}

static void add_region(struct dv_symtab *symtab, uint64_t start, uint32_t index)
{
	struct region *last = symtab->n_regions ? &symtab->regions[symtab->n_regions - 1] : NULL;

	if (last && last->start == start)
		last->index = index;
	else
		symtab->regions[symtab->n_regions++] = (struct region){.start = start, .index = index};
}

/* Closes the functions on the stack that end at or before vaddr, and opens what lies below them. */
static size_t close_functions(struct dv_symtab *symtab, const uint32_t *stack, size_t depth, uint64_t vaddr)
{
	const struct dv_symbol *symbols = symtab->symbols;

	while (depth) {
		const struct dv_symbol *top = &symbols[stack[depth - 1]];
		uint64_t end = top->vaddr + top->size_bytes;

		if (end > vaddr)
			break;
		while (depth && symbols[stack[depth - 1]].vaddr + symbols[stack[depth - 1]].size_bytes <= end)
			depth--;
		add_region(symtab, end, depth ? stack[depth - 1] : NO_FUNCTION);
	}
	return depth;
}

/*
 * Sweeps the functions by address with a stack of those still open. At one address the preferred one,
 * first in the array, is pushed last, to be on top. At most two regions come of each function.
 */
static struct dv_error *make_regions(struct dv_symtab *symtab)
{
	_cleanup_free_ uint32_t *stack = calloc(symtab->count + 1, sizeof(*stack));
	size_t depth = 0, last;

	symtab->regions = calloc(2 * symtab->count + 1, sizeof(*symtab->regions));
	if (!stack || !symtab->regions)
		return dv_error_no_memory();
	for (size_t i = 0; i < symtab->count; i = last) {
		uint64_t vaddr = symtab->symbols[i].vaddr;

		for (last = i; last < symtab->count && symtab->symbols[last].vaddr == vaddr; last++)
			;
		if (!symtab->symbols[i].is_function)
			continue;
		depth = close_functions(symtab, stack, depth, vaddr);
		for (size_t k = last; k-- > i;) {
			if (symtab->symbols[k].is_function)
				stack[depth++] = (uint32_t)k;
		}
		add_region(symtab, vaddr, stack[depth - 1]);
	}
	close_functions(symtab, stack, depth, UINT64_MAX);
	return NULL;
}

static struct dv_error *make_buckets(struct dv_symtab *symtab)
{
	uint64_t span;
	size_t r = 0;

	if (!symtab->n_regions)
		return NULL;
	span = symtab->regions[symtab->n_regions - 1].start - symtab->regions[0].start;
	while (span >> symtab->bucket_shift > symtab->n_regions)
		symtab->bucket_shift++;
	symtab->n_buckets = (span >> symtab->bucket_shift) + 1;
	symtab->buckets = calloc(symtab->n_buckets + 1, sizeof(*symtab->buckets));
	if (!symtab->buckets)
		return dv_error_no_memory();
	for (size_t b = 0; b < symtab->n_buckets; b++) {
		uint64_t offset = (uint64_t)b << symtab->bucket_shift;

		while (r + 1 < symtab->n_regions &&
		       symtab->regions[r + 1].start - symtab->regions[0].start <= offset)
			r++;
		symtab->buckets[b] = (uint32_t)r;
	}
	symtab->buckets[symtab->n_buckets] = (uint32_t)symtab->n_regions - 1;
	return NULL;
}

static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash ^ (hash >> 15);
}

/* The slot that holds this name, or the empty one where it would go. */
static uint32_t *name_slot(const struct dv_symtab *symtab, const char *name)
{
	size_t i = hash_name(name) & symtab->names_mask;

	while (symtab->names[i] && strcmp(symtab->symbols[symtab->names[i] - 1].name, name))
		i = (i + 1) & symtab->names_mask;
	return &symtab->names[i];
}

static struct dv_error *make_names(struct dv_symtab *symtab)
{
	size_t cap = 16;

	while (cap < symtab->count + symtab->count / 2)
		cap *= 2;
	symtab->names = calloc(cap, sizeof(*symtab->names));
	if (!symtab->names)
		return dv_error_no_memory();
	symtab->names_mask = cap - 1;
	for (size_t i = 0; i < symtab->count; i++) {
		uint32_t *slot = name_slot(symtab, symtab->symbols[i].name);

		if (!*slot)
			*slot = (uint32_t)i + 1;
	}
	return NULL;
}

struct dv_error *dv_symtab_seal(struct dv_symtab *symtab)
{
	struct region *exact;

	dv_assert(!symtab->symbols);
	symtab->symbols = calloc(symtab->count + 1, sizeof(*symtab->symbols));
	if (!symtab->symbols)
		return dv_error_no_memory();
	if (symtab->count)
		qsort_r(symtab->pending.data, symtab->count, sizeof(struct pending), compare_pending,
			symtab->pool.data);
	fill_symbols(symtab);
	dv_buf_deinit(&symtab->pending);
	dv_buf_deinit(&symtab->text);
	DV_TRY(make_regions(symtab));
	exact = realloc(symtab->regions, (symtab->n_regions + 1) * sizeof(*exact));
	if (exact)
		symtab->regions = exact;
	DV_TRY(make_buckets(symtab));
	return make_names(symtab);
}

size_t dv_symtab_count(const struct dv_symtab *symtab)
{
	return symtab->count;
}

const struct dv_symbol *dv_symtab_get(const struct dv_symtab *symtab, size_t index)
{
	dv_assert(symtab->symbols && index < symtab->count);
	return &symtab->symbols[index];
}

const struct dv_symbol *dv_symtab_function_at(const struct dv_symtab *symtab, uint64_t address)
{
	const struct region *regions = symtab->regions;
	size_t low, high, bucket;
	uint64_t offset;

	if (!symtab->n_regions || address < regions[0].start)
		return NULL;
	offset = address - regions[0].start;
	bucket = offset >> symtab->bucket_shift;
	if (bucket >= symtab->n_buckets)
		bucket = symtab->n_buckets - 1;
	/* The answer is the last region that starts at or before address: low does, what is past high not. */
	low = symtab->buckets[bucket];
	high = symtab->buckets[bucket + 1];
	while (low < high) {
		size_t middle = (low + high + 1) / 2;

		if (regions[middle].start <= address)
			low = middle;
		else
			high = middle - 1;
	}
	return regions[low].index == NO_FUNCTION ? NULL : &symtab->symbols[regions[low].index];
}

const struct dv_symbol *dv_symtab_find(const struct dv_symtab *symtab, const char *name)
{
	uint32_t slot;

	if (!symtab->names)
		return NULL;
	slot = *name_slot(symtab, name);
	return slot ? &symtab->symbols[slot - 1] : NULL;
}
