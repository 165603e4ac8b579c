/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions by name, and their calls in order: what a closer look by replaying begins with. */
#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "query/query_private.h"
#include "trace/format.h"

#define MAX_STACK 4096

uint32_t dv_query_function_at(const struct dv_query *q, uint32_t cpu, uint64_t icount)
{
	uint32_t utid = dv_query_running_at(q, cpu, icount), ids[MAX_STACK];
	const struct dv_query_thread *thread = utid == DV_QUERY_NONE ? NULL : dv_query_thread(q, utid);
	size_t len;

	if (!thread || thread->track == DV_QUERY_NONE)
		return DV_QUERY_NONE;
	len = dv_query_stack_at(q, thread->track, icount, ids, MAX_STACK);
	return len ? slice_function(&q->c, ids[len - 1]) : DV_QUERY_NONE;
}

/* "0x..." as a whole. */
static bool parse_vaddr(const char *text, uint64_t *ret)
{
	char *end;

	if (strncmp(text, "0x", 2))
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	return end != text + 2 && !*end && !errno;
}

/* "libc.so.6:read": of a file in user space. */
static bool is_of_file(const struct dv_query_function *f, const char *name)
{
	size_t len = f->module ? strlen(f->module) : 0;

	return len && !strncmp(name, f->module, len) && name[len] == ':' && !strcmp(name + len + 1, f->name);
}

static bool is_called(const struct dv_query_function *f, const char *name)
{
	return !strcmp(f->name, name) || !strcmp(f->slice_name, name) ||
	       (f->space == DV_FUNCTION_USER && is_of_file(f, name));
}

static struct dv_error *find_functions(const struct dv_query *q, const char *name, bool of_user, uint32_t *ret, size_t max,
				       size_t *ret_len)
{
	uint64_t vaddr;
	bool by_vaddr = !of_user && parse_vaddr(name, &vaddr);
	size_t len = 0;

	for (uint32_t i = 0; i < q->info.functions; i++) {
		const struct dv_query_function *f = &q->functions[i];

		if ((f->space == DV_FUNCTION_USER) != of_user || !(by_vaddr ? f->vaddr == vaddr : is_called(f, name)))
			continue;
		if (len == max)
			return dv_error_new(DV_ERROR_UNSUPPORTED, "more than %zu functions are called '%s': give %s", max,
					    name, of_user ? "FILE:FUNCTION" : "an address");
		ret[len++] = i;
	}
	*ret_len = len;
	return NULL;
}

struct dv_error *dv_query_functions(const struct dv_query *q, const char *name, uint32_t *ret, size_t max, size_t *ret_len)
{
	size_t len;

	DV_TRY(find_functions(q, name, false, ret, max, &len));
	if (!len)
		DV_TRY(find_functions(q, name, true, ret, max, &len));
	if (!len)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the trace has no call of a function '%s'", name);
	*ret_len = len;
	return NULL;
}

struct dv_error *dv_query_calls_of(const struct dv_query *q, const uint32_t *functions, size_t functions_len,
				   uint64_t from_icount, uint64_t to_icount, size_t max, struct dv_query_slice **ret,
				   size_t *ret_len)
{
	const struct columns *c = &q->c;
	_cleanup_free_ bool *wanted = calloc(q->info.functions + 1, sizeof(*wanted));
	_cleanup_buf_ struct dv_buf found = DV_BUF_INIT;
	uint32_t end = first_slice_at(c, to_icount);
	size_t len = 0;

	if (!wanted)
		return dv_error_no_memory();
	for (size_t i = 0; i < functions_len; i++)
		wanted[functions[i]] = true;
	for (uint32_t id = first_slice_at(c, from_icount); id < end && len < max; id++) {
		struct dv_query_slice slice;

		if (!wanted[slice_function(c, id)] || !dv_query_slice(q, id, &slice))
			continue;
		dv_buf_append(&found, &slice, sizeof(slice));
		len++;
	}
	if (found.failed)
		return dv_error_no_memory();
	*ret = (void *)dv_steal(found.data);
	*ret_len = len;
	return NULL;
}
