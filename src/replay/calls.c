/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two passes: the first goes to where the calls start and takes those returns that come in the same piece of
 * the recording. The second goes to the other returns, whose stack slots are known by then.
 */
#include "replay/calls.h"

#include <inttypes.h>

/* Slots that one replay may wait for; the plugin takes as many. */
#define MAX_SLOTS 1024

struct fetch {
	const struct dv_calls *calls;
	uint64_t end_icount; /* of what all replays have in common */
	size_t told;	     /* calls that ready() was told of */
	bool goes_by_start;  /* the first pass: what starts in a piece has been seen when that is delivered */
};

static int compare_start(const void *key, const void *row)
{
	uint64_t icount = *(const uint64_t *)key, start = ((const struct dv_call *)row)->start_icount;

	return icount < start ? -1 : icount > start;
}

#define MAX_BETWEEN 1000 /* calls that begin while the first instruction of one waits */

/*
 * Of calls with one start (none that were exact have that) any will do. One whose first instruction was kept
 * waiting is seen when that runs.
 */
static struct dv_call *find(const struct dv_calls *calls, uint64_t icount)
{
	struct dv_call *call = bsearch(&icount, calls->calls, calls->calls_len, sizeof(*calls->calls), compare_start);
	size_t low = 0, high = calls->calls_len;

	if (call && call->first_icount == icount)
		return call;
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (calls->calls[mid].start_icount <= icount)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t looked = 0; low-- > 0 && looked < MAX_BETWEEN; looked++)
		if (calls->calls[low].first_icount == icount)
			return &calls->calls[low];
	return NULL;
}

/* The call that returns by this slot at this count. */
static struct dv_call *find_returned(const struct dv_calls *calls, const struct dv_capture_return *returned)
{
	size_t low = 0, high = calls->calls_len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (calls->calls[mid].start_icount <= returned->icount)
			low = mid + 1;
		else
			high = mid;
	}
	while (low-- > 0) {
		struct dv_call *call = &calls->calls[low];

		if (call->has_arguments && call->entry.slot == returned->slot)
			return call->end_icount == returned->icount + 1 ? call : NULL;
	}
	return NULL;
}

static bool lacks_return(const struct fetch *f, const struct dv_call *call)
{
	return call->has_arguments && !call->has_value && call->end_icount < f->end_icount;
}

/* Tells of calls that start before icount, in the first pass up to one whose return the second looks for. */
static void tell(struct fetch *f, uint64_t icount)
{
	const struct dv_calls *c = f->calls;
	size_t next = f->told;

	while (next < c->calls_len && c->calls[next].start_icount < icount &&
	       !(f->goes_by_start && lacks_return(f, &c->calls[next])))
		next++;
	if (c->ready && next > f->told)
		c->ready(c->context, c->calls + f->told, next - f->told);
	f->told = next;
}

static bool deliver(void *context, const struct dv_look *look, struct dv_look_result *result)
{
	struct fetch *f = context;
	const struct dv_capture_record *record;
	struct dv_call *call;
	size_t offset = 0;

	while ((record = dv_look_next(result, &offset))) {
		if (record->kind == DV_CAPTURE_CALL) {
			call = find(f->calls, record->call.icount);
			if (call) {
				call->has_arguments = true;
				call->entry = record->call;
			}
		} else if (record->kind == DV_CAPTURE_RETURN) {
			call = find_returned(f->calls, &record->returned);
			if (call) {
				call->has_value = true;
				call->value = record->returned.value;
				call->value_high = record->returned.value_high;
			}
		}
	}
	if (f->goes_by_start)
		tell(f, look->to_icount);
	return true;
}

static bool on_progress(void *context, uint64_t done_icount, uint64_t total_icount)
{
	const struct fetch *f = context;

	return !f->calls->progress || f->calls->progress(f->calls->context, done_icount, total_icount);
}

static struct dv_error *run(const struct dv_recording *recording, struct fetch *f, const char *option,
			    const struct dv_segment *needed, size_t len)
{
	uint64_t to = 0;
	struct dv_segments segments = {
		.checkpoints = f->calls->checkpoints,
		.needed = needed,
		.needed_len = len,
		.jobs = f->calls->jobs,
		.deliver = deliver,
		.progress = on_progress,
		.context = f,
	};

	for (size_t i = 0; i < len; i++)
		to = needed[i].to_icount > to ? needed[i].to_icount : to;
	segments.look = (struct dv_look){.to_icount = to, .option = option, .qemu = f->calls->qemu};
	return dv_segments_run(recording, &segments);
}

static struct dv_error *fetch_starts(const struct dv_recording *recording, struct fetch *f)
{
	const struct dv_calls *c = f->calls;
	_cleanup_free_ struct dv_segment *needed = calloc(c->calls_len + 1, sizeof(*needed));
	_cleanup_buf_ struct dv_buf option = DV_BUF_INIT;

	for (size_t i = 0; i < c->functions_len; i++)
		dv_buf_printf(&option, "%s0x%" PRIx64 ":%" PRIu32, i ? "+" : "capture=", c->functions[i].vaddr,
			      c->functions[i].strings_mask);
	dv_buf_append(&option, "", 1);
	if (!needed || option.failed)
		return dv_error_no_memory();
	for (size_t i = 0; i < c->calls_len; i++) {
		needed[i].from_icount = c->calls[i].start_icount;
		needed[i].to_icount = c->calls[i].first_icount + 1;
		if (c->calls[i].end_icount < f->end_icount)
			needed[i].to_icount = c->calls[i].end_icount + 1;
	}
	return run(recording, f, (const char *)option.data, needed, c->calls_len);
}

static int compare_from(const void *a, const void *b)
{
	uint64_t x = ((const struct dv_segment *)a)->from_icount, y = ((const struct dv_segment *)b)->from_icount;

	return x < y ? -1 : x > y;
}

/* Up to MAX_SLOTS of the calls from *next on. */
static struct dv_error *fetch_returns(const struct dv_recording *recording, struct fetch *f, size_t *next)
{
	const struct dv_calls *c = f->calls;
	_cleanup_free_ struct dv_segment *needed = calloc(MAX_SLOTS, sizeof(*needed));
	_cleanup_buf_ struct dv_buf option = DV_BUF_INIT;
	size_t len = 0;

	for (; *next < c->calls_len && len < MAX_SLOTS; ++*next) {
		const struct dv_call *call = &c->calls[*next];

		if (!lacks_return(f, call))
			continue;
		dv_buf_printf(&option, "%s0x%" PRIx64, len ? "+" : "capture=@", call->entry.slot);
		needed[len].from_icount = call->end_icount - 1;
		needed[len++].to_icount = call->end_icount + 1;
	}
	dv_buf_append(&option, "", 1);
	if (!needed || option.failed)
		return dv_error_no_memory();
	if (!len)
		return NULL;
	qsort(needed, len, sizeof(*needed), compare_from);
	return run(recording, f, (const char *)option.data, needed, len);
}

struct dv_error *dv_calls_fetch(const struct dv_recording *recording, const struct dv_calls *calls)
{
	struct fetch f = {.calls = calls, .end_icount = dv_recording_common_icount(recording)};
	size_t next = 0;

	if (!calls->calls_len || !calls->functions_len)
		return NULL;
	if (calls->functions_len > DV_CALLS_MAX_FUNCTIONS)
		return dv_error_new(DV_ERROR_INVALID, "%zu functions at once; up to %d can be looked at",
				    calls->functions_len, DV_CALLS_MAX_FUNCTIONS);
	f.goes_by_start = true;
	DV_TRY(fetch_starts(recording, &f));
	f.goes_by_start = false;
	while (next < calls->calls_len) {
		DV_TRY(fetch_returns(recording, &f, &next));
		tell(&f, calls->calls[next - 1].start_icount + 1);
	}
	return NULL;
}

/* ---- showing ---- */

uint32_t dv_calls_strings_mask(const struct dv_prototype *prototype)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < prototype->len && i < DV_CAPTURE_ARGUMENTS; i++)
		mask |= (uint32_t)(prototype->parameters[i].form == DV_VALUE_STRING) << i;
	return mask;
}

/* The string that an argument pointed to, or NULL. */
static const char *string_of(const struct dv_call *call, size_t argument)
{
	return argument < DV_CAPTURE_ARGUMENTS && call->entry.strings_mask & 1u << argument
		       ? call->entry.strings[argument]
		       : NULL;
}

static bool argument_value(const struct dv_call *call, size_t argument, uint64_t *ret)
{
	if (argument >= DV_CAPTURE_ARGUMENTS + DV_ARRAY_SIZE(call->entry.stack))
		return false;
	*ret = argument < DV_CAPTURE_ARGUMENTS ? call->entry.arguments[argument]
					       : call->entry.stack[argument - DV_CAPTURE_ARGUMENTS];
	return true;
}

void dv_call_print_argument(const struct dv_call *call, const struct dv_prototype *prototype, size_t argument,
			    const struct dv_btf *btf, struct dv_buf *to)
{
	uint64_t value;

	if (argument_value(call, argument, &value))
		dv_value_print(&prototype->parameters[argument], value, btf, string_of(call, argument), to);
	else
		dv_buf_printf(to, "...");
}
