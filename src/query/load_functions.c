/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions of a trace: each worker has its own numbers, the trace's are by name. */
#include <string.h>
#include "query/load_pass.h"

struct named_function {
	struct dv_trace_reader_function is;
	uint32_t worker, number;
};

static int compare_strings(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int by_name(const void *a, const void *b)
{
	const struct named_function *x = a, *y = b;
	int order = compare_strings(x->is.is.name, y->is.is.name);

	if (!order)
		order = compare_strings(x->is.is.module, y->is.is.module);
	if (!order && x->is.is.vaddr != y->is.is.vaddr)
		order = x->is.is.vaddr < y->is.is.vaddr ? -1 : 1;
	if (!order && x->is.key != y->is.key)
		order = x->is.key < y->is.key ? -1 : 1;
	return order ? order : (int)x->is.is.space - (int)y->is.is.space;
}

/* "[virtio_blk] virtblk_probe" without the module. */
static const char *plain_name(const struct dv_trace_function *f)
{
	const char *name = f->name;
	size_t len = f->module ? strlen(f->module) : 0;

	if (len && name[0] == '[' && !strncmp(name + 1, f->module, len) && !strncmp(name + 1 + len, "] ", 2))
		return name + len + 3;
	return name;
}

static bool add_function(struct pass *p, void *rows, const struct named_function *f)
{
	DV_VEC(struct function_row) *functions = rows;
	struct strings *s = &p->l->strings;
	struct function_row *row = dv_vec_add(functions);

	if (!row)
		return false;
	*row = (struct function_row){
		.vaddr = f->is.is.vaddr,
		.key = f->is.key,
		.name = strings_put(s, plain_name(&f->is.is)),
		.slice_name = strings_put(s, f->is.is.name),
		.module = strings_put(s, f->is.is.module),
		.file = strings_put(s, f->is.is.file),
		.line = f->is.is.line,
		.size = f->is.is.size_bytes,
		.space = f->is.is.space,
		.number = f->is.is.has_number ? f->is.is.number : UINT32_MAX,
		.mnemonic = strings_put(s, f->is.is.mnemonic),
	};
	return true;
}

struct dv_error *pass_number_functions(struct pass *p)
{
	DV_VEC(struct named_function) all = {0};
	DV_VEC(struct function_row) rows = {0};
	bool good = true;

	for (unsigned i = 0; i < p->worker_count && good; i++) {
		struct worker *w = &p->workers[i];
		size_t count = dv_trace_reader_function_count(w->reader);

		w->global = calloc(count + 1, sizeof(*w->global));
		good = w->global && (!count || pass_stats_room(w, (uint32_t)count - 1));
		for (uint32_t f = 0; f < count && good; f++) {
			struct named_function *slot = dv_vec_add(&all);

			good = slot;
			if (slot)
				*slot = (struct named_function){*dv_trace_reader_function(w->reader, f), i, f};
		}
	}
	if (good && all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_name);
	for (size_t i = 0; i < all.n && good; i++) {
		if (!i || by_name(&all.v[i - 1], &all.v[i]))
			good = add_function(p, &rows, &all.v[i]);
		p->workers[all.v[i].worker].global[all.v[i].number] = (uint32_t)rows.n - 1;
	}
	good = good && rows.n <= CALL_FUNCTION && COLUMN_SET(p->c, functions, rows.v, rows.n);
	free(rows.v);
	free(all.v);
	return good ? NULL : dv_error_no_memory();
}
