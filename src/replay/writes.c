/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/writes.h"

#include <inttypes.h>
#include <string.h>
#include "replay/seek.h"

#define PAGE_BYTES 4096u
#define MAX_HEX_BYTES 16

struct dv_error *dv_writes_resolve(const struct dv_subject *subject, const char *text, uint64_t bytes,
				   uint64_t *ret_vaddr, uint32_t *ret_bytes)
{
	uint64_t vaddr, own_bytes;

	DV_TRY(dv_subject_resolve(subject, text, &vaddr, &own_bytes));
	if (!own_bytes || (own_bytes > DV_WRITES_DEFAULT_BYTES && !strchr(text, ':')))
		own_bytes = DV_WRITES_DEFAULT_BYTES;
	if (!bytes)
		bytes = own_bytes;
	if (bytes > DV_WRITES_MAX_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "%s: %" PRIu64 " bytes are too many, up to %u can be watched: name "
				    "a part, as %.*s:8", text, bytes, DV_WRITES_MAX_BYTES, (int)strcspn(text, ":"), text);
	*ret_vaddr = vaddr;
	*ret_bytes = (uint32_t)bytes;
	return NULL;
}

static void print_value(const uint8_t *bytes, uint32_t len, struct dv_buf *to)
{
	uint64_t value = 0;

	if (len <= sizeof(value)) {
		memcpy(&value, bytes, len);
		dv_buf_printf(to, "0x%" PRIx64, value);
		return;
	}
	for (uint32_t i = 0; i < len && i < MAX_HEX_BYTES; i++)
		dv_buf_printf(to, "%s%02x", i ? " " : "", bytes[i]);
	dv_buf_printf(to, "%s", len > MAX_HEX_BYTES ? " ..." : "");
}

void dv_write_print_change(const struct dv_write *write, uint32_t place_bytes, struct dv_buf *before,
			   struct dv_buf *after)
{
	bool is_number = place_bytes <= sizeof(uint64_t);
	uint32_t offset = is_number ? 0 : write->offset, len = is_number ? place_bytes : write->size_bytes;

	print_value(write->before + offset, len, before);
	print_value(write->after + offset, len, after);
}

struct dv_error *dv_writes_locate(struct dv_machine *machine, uint64_t vaddr, uint32_t bytes,
				  struct dv_writes_place *ret)
{
	struct dv_writes_place place = {.bytes = bytes};

	if (!bytes || bytes > DV_WRITES_MAX_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "%" PRIu32 " bytes: 1 to %u can be watched", bytes,
				    DV_WRITES_MAX_BYTES);
	for (uint32_t done = 0; done < bytes;) {
		struct dv_phys_piece *piece = &place.pieces[place.pieces_len++];
		uint32_t here = PAGE_BYTES - (uint32_t)(vaddr + done) % PAGE_BYTES;

		piece->bytes = bytes - done < here ? bytes - done : here;
		DV_TRY(dv_machine_translate(machine, vaddr + done, &piece->phys));
		done += piece->bytes;
	}
	*ret = place;
	return NULL;
}

char *dv_writes_option(const struct dv_writes_place *place)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	dv_buf_printf(&text, "watch=");
	for (size_t i = 0; i < place->pieces_len; i++)
		dv_buf_printf(&text, "%s0x%" PRIx64 ":%" PRIu32, i ? "+" : "", place->pieces[i].phys,
			      place->pieces[i].bytes);
	return dv_buf_steal_string(&text);
}

/* What of the place a store wrote, into memory, which is the whole place's. False: nothing. */
static bool apply(const struct dv_writes_place *place, const struct dv_capture_write *write, uint8_t *memory,
		  uint32_t *ret_offset, uint32_t *ret_size)
{
	uint32_t piece_offset = 0;
	uint8_t value[sizeof(write->value)];

	memcpy(value, write->value, sizeof(value));
	for (size_t i = 0; i < place->pieces_len; i++) {
		const struct dv_phys_piece *piece = &place->pieces[i];
		uint64_t low = write->phys > piece->phys ? write->phys : piece->phys;
		uint64_t high = write->phys + write->size_bytes;

		if (high > piece->phys + piece->bytes)
			high = piece->phys + piece->bytes;
		if (low < high && write->size_bytes <= sizeof(value)) {
			*ret_offset = piece_offset + (uint32_t)(low - piece->phys);
			*ret_size = (uint32_t)(high - low);
			memcpy(memory + *ret_offset, value + (low - write->phys), *ret_size);
			return true;
		}
		piece_offset += piece->bytes;
	}
	return false;
}

/* A change that the stores do not explain, between two counts. */
static bool report_unexplained(uint64_t from_icount, uint64_t to_icount, const uint8_t *before, const uint8_t *after,
			       const struct dv_writes_place *place, dv_writes_fn fn, void *context)
{
	struct dv_write write = {.icount = from_icount, .until_icount = to_icount, .before = before, .after = after};
	uint32_t low = 0, high = place->bytes;

	while (low < high && before[low] == after[low])
		low++;
	while (high > low && before[high - 1] == after[high - 1])
		high--;
	if (low == high)
		return true;
	write.offset = low;
	write.size_bytes = high - low;
	return fn(context, &write);
}

/* A store, and what it wrote over. */
struct store {
	struct dv_write write;
	uint8_t old[sizeof(((struct dv_capture_write *)0)->value)];
};

/* Runs the stores over memory, which was the segment's first and becomes what they alone would have left. */
static struct dv_error *collect(const struct dv_writes_place *place, const struct dv_look_result *found,
				uint8_t *memory, struct dv_buf *ret)
{
	const struct dv_capture_record *record;
	_cleanup_free_ uint8_t *old = malloc(place->bytes);
	size_t offset = 0;

	if (!old)
		return dv_error_no_memory();
	while ((record = dv_look_next(found, &offset))) {
		struct store store = {.write = {.by_cpu = true}};

		if (record->kind != DV_CAPTURE_WRITE)
			continue;
		memcpy(old, memory, place->bytes);
		if (!apply(place, &record->write, memory, &store.write.offset, &store.write.size_bytes))
			continue;
		memcpy(store.old, old + store.write.offset, store.write.size_bytes);
		store.write.icount = store.write.until_icount = record->write.icount;
		store.write.rip = record->write.rip;
		store.write.vaddr = record->write.vaddr;
		dv_buf_append(ret, &store, sizeof(store));
	}
	return ret->failed ? dv_error_no_memory() : NULL;
}

/* Back from the last store: each is taken out of memory again. */
static bool report(const struct store *stores, size_t len, uint8_t *memory, uint8_t *before, uint32_t bytes,
		   dv_writes_fn fn, void *context)
{
	for (size_t i = len; i-- > 0;) {
		struct dv_write write = stores[i].write;

		memcpy(before, memory, bytes);
		memcpy(before + write.offset, stores[i].old, write.size_bytes);
		write.before = before;
		write.after = memory;
		if (!fn(context, &write))
			return false;
		memcpy(memory, before, bytes);
	}
	return true;
}

struct dv_error *dv_writes_in_segment(const struct dv_writes_place *place, const struct dv_look *look,
				      const struct dv_look_result *found, dv_writes_fn fn, void *context,
				      bool *ret_more)
{
	_cleanup_buf_ struct dv_buf stores = DV_BUF_INIT;
	_cleanup_free_ uint8_t *memory = malloc(place->bytes), *before = malloc(place->bytes);
	uint64_t last = look->from_icount;
	size_t len;

	if (!memory || !before)
		return dv_error_no_memory();
	if (found->before.len != place->bytes || found->after.len != place->bytes)
		return dv_error_new(DV_ERROR_INVALID, "the memory at the segment's ends was not read");
	memcpy(memory, found->before.data, place->bytes);
	DV_TRY(collect(place, found, memory, &stores));
	len = stores.len / sizeof(struct store);
	if (len)
		last = ((const struct store *)(const void *)stores.data)[len - 1].write.icount;
	*ret_more = report_unexplained(last, look->to_icount, memory, found->after.data, place, fn, context) &&
		    report((const void *)stores.data, len, memory, before, place->bytes, fn, context);
	return NULL;
}

/* ---- the search ---- */

struct finding {
	const struct dv_writes_search *search;
	struct dv_writes_place place;
	struct dv_error *err;
	uint64_t moment_icount, total_icount; /* where the place is found; all that is replayed */
};

static bool deliver(void *context, const struct dv_look *look, struct dv_look_result *result)
{
	struct finding *f = context;
	bool more = false;

	f->err = dv_writes_in_segment(&f->place, look, result, f->search->write, f->search->context, &more);
	return more && !f->err;
}

/* Of the search, which comes after the seek to where the place is found. */
static bool on_progress(void *context, uint64_t done_icount, uint64_t total_icount)
{
	const struct finding *f = context;

	return !f->search->progress ||
	       f->search->progress(f->search->context, f->moment_icount + done_icount, f->moment_icount + total_icount);
}

static bool on_seek(void *context, uint64_t icount)
{
	const struct finding *f = context;

	if (icount > f->moment_icount)
		icount = f->moment_icount;
	return !f->search->progress || f->search->progress(f->search->context, icount, f->total_icount);
}

static struct dv_error *locate(const struct dv_recording *recording, struct finding *f)
{
	_cleanup_replay_ struct dv_replay replay = {.machine = DV_MACHINE_INIT};
	struct dv_where where;

	DV_TRY(dv_replay_open(recording, f->search->qemu, &replay));
	replay.moves.go_on = on_seek;
	replay.moves.context = f;
	DV_TRY(dv_replay_seek(&replay, f->moment_icount, DV_NO_RIP, &where));
	return dv_error_prefix(dv_writes_locate(&replay.machine, f->search->vaddr, f->search->bytes, &f->place),
			       "at icount %" PRIu64, f->moment_icount);
}

struct dv_error *dv_writes_find(const struct dv_recording *recording, const struct dv_writes_search *search)
{
	uint64_t end = dv_recording_common_icount(recording);
	uint64_t to = search->to_icount && search->to_icount < end ? search->to_icount : end;
	struct finding f = {.search = search};
	struct dv_segments segments = {.checkpoints = search->checkpoints, .backward = true, .jobs = search->jobs,
				       .deliver = deliver, .progress = on_progress, .context = &f};
	_cleanup_free_ char *option = NULL;
	struct dv_error *err;

	if (search->from_icount >= to)
		return dv_error_new(DV_ERROR_INVALID, "nothing lies between icount %" PRIu64 " and %" PRIu64,
				    search->from_icount, to);
	f.moment_icount = search->moment_icount ?: to;
	f.total_icount = f.moment_icount + to - search->from_icount;
	DV_TRY(locate(recording, &f));
	if (search->located)
		search->located(search->context, &f.place);
	option = dv_writes_option(&f.place);
	if (!option)
		return dv_error_no_memory();
	segments.look = (struct dv_look){.from_icount = search->from_icount, .to_icount = to, .option = option,
					 .qemu = search->qemu, .pieces = f.place.pieces, .pieces_len = f.place.pieces_len};
	err = dv_segments_run(recording, &segments);
	return err ?: f.err;
}
