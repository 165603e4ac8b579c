/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a trace has beside begins and ends: threads, switches, notes, console lines, command lines, mappings. */
#include "trace/writer_private.h"

#include "trace/commands.h"
#include "trace/console.h"
#include "trace/fields.h"
#include "trace/places.h"

#define UNKNOWN_PRIORITY 120 /* what Linux gives a task that asks for nothing */
#define UNKNOWN_STATE 1	     /* interruptible sleep: why a thread left the CPU is not known */

/* Threads and switches */

/* UINT32_MAX when out of memory, which is then the writer's error. */
static uint32_t set_thread(struct dv_trace_writer *w, uint64_t icount, const struct dv_trace_thread *thread)
{
	uint32_t index = writer_threads_set(&w->threads, icount, thread);

	if (index == UINT32_MAX)
		writer_fail(w, dv_error_no_memory());
	else
		writer_thread_put(&w->thread_news, BLOCK_THREAD, &w->threads.threads[index]);
	return index;
}

bool writer_describe_thread(struct dv_trace_writer *w, uint64_t thread_id, uint32_t *ret)
{
	const struct dv_trace_thread nameless = {.id = thread_id, .comm = "?"};
	uint32_t index = writer_threads_find(&w->threads, thread_id);

	if (index == UINT32_MAX) /* not declared */
		index = set_thread(w, 0, &nameless);
	if (index == UINT32_MAX)
		return false;
	writer_threads_describe(&w->threads, index, w->block, &w->descriptors, &w->own);
	*ret = index;
	return true;
}

static struct dv_buf *sched_of(struct dv_trace_writer *w, uint32_t cpu)
{
	struct dv_buf *sched;

	if (cpu < w->cpus)
		return &w->sched[cpu];
	if (cpu >= DV_TRACE_MAX_CPUS)
		return NULL;
	sched = realloc(w->sched, (cpu + 1) * sizeof(*sched));
	if (!sched) {
		writer_fail(w, dv_error_no_memory());
		return NULL;
	}
	memset(sched + w->cpus, 0, (cpu + 1 - w->cpus) * sizeof(*sched));
	w->sched = sched;
	w->cpus = cpu + 1;
	return &sched[cpu];
}

/* What became of a thread, for stock Perfetto. Which CPU's event it is does not matter there. */
static void put_life(struct dv_trace_writer *w, uint32_t index, bool is_new, bool is_renamed, bool has_ended)
{
	const struct dv_trace_thread *thread = &w->threads.threads[index].is;
	struct dv_buf *sched = sched_of(w, 0);

	if (!sched)
		return;
	writer_cover(w, w->threads.threads[index].icount);
	if (is_new && thread->start_icount)
		writer_threads_put_begin(&w->threads, index, writer_threads_find(&w->threads, thread->creator_id), sched);
	if (is_renamed)
		writer_threads_put_rename(&w->threads, index, sched);
	if (has_ended)
		writer_threads_put_end(&w->threads, index, sched);
}

void dv_trace_writer_thread(struct dv_trace_writer *w, uint64_t icount, const struct dv_trace_thread *thread)
{
	uint32_t index = writer_threads_find(&w->threads, thread->id);
	bool is_new = index == UINT32_MAX, is_renamed, was_ended;

	if (w->error)
		return;
	is_renamed = !is_new && strncmp(w->threads.threads[index].is.comm, thread->comm, sizeof(thread->comm) - 1);
	was_ended = !is_new && w->threads.threads[index].is.exit_icount;
	index = set_thread(w, icount, thread);
	if (index == UINT32_MAX)
		return;
	/* One whose beginning was not seen is described when it first runs, others and new names at once. */
	if (!is_new || thread->start_icount) {
		put_life(w, index, is_new, is_renamed, thread->exit_icount && !was_ended);
		writer_threads_describe(&w->threads, index, w->block, &w->descriptors, &w->own);
	}
	writer_close_full_block(w);
}

struct switch_side {
	char comm[16]; /* a copy: threads move when one is added */
	int32_t tid;
};

static struct switch_side side_of(struct dv_trace_writer *w, uint64_t thread_id)
{
	struct switch_side side = {.comm = "swapper"};
	const struct writer_thread *thread;
	uint32_t index;

	if (!thread_id || !writer_describe_thread(w, thread_id, &index))
		return side;
	thread = &w->threads.threads[index];
	memcpy(side.comm, thread->is.comm, sizeof(side.comm));
	side.tid = thread->is.tid == 0 ? 0 : dv_trace_thread_tid(&thread->is);
	return side;
}

static void put_sched_switch(struct dv_buf *buf, uint64_t icount, const struct switch_side *prev,
			     const struct switch_side *next)
{
	size_t event = proto_open(buf, BUNDLE_EVENT), message;

	proto_uint(buf, FTRACE_TIMESTAMP, icount);
	proto_uint(buf, FTRACE_PID, (uint32_t)prev->tid);
	message = proto_open(buf, FTRACE_SCHED_SWITCH);
	proto_string(buf, SWITCH_PREV_COMM, prev->comm);
	proto_uint(buf, SWITCH_PREV_PID, (uint32_t)prev->tid);
	proto_uint(buf, SWITCH_PREV_PRIO, UNKNOWN_PRIORITY);
	proto_uint(buf, SWITCH_PREV_STATE, UNKNOWN_STATE);
	proto_string(buf, SWITCH_NEXT_COMM, next->comm);
	proto_uint(buf, SWITCH_NEXT_PID, (uint32_t)next->tid);
	proto_uint(buf, SWITCH_NEXT_PRIO, UNKNOWN_PRIORITY);
	proto_close(buf, message);
	proto_close(buf, event);
}

void dv_trace_writer_switch(struct dv_trace_writer *w, uint64_t icount, uint32_t cpu, uint64_t prev_id,
			    uint64_t next_id)
{
	struct dv_buf *sched = w->error ? NULL : sched_of(w, cpu);
	struct switch_side prev, next;

	if (!sched)
		return;
	writer_cover(w, icount);
	prev = side_of(w, prev_id);
	next = side_of(w, next_id);
	put_sched_switch(sched, icount, &prev, &next);
	dv_buf_varint(&w->switches, proto_zigzag((int64_t)(icount - w->switch_icount)));
	dv_buf_varint(&w->switches, cpu);
	dv_buf_varint(&w->switches, prev_id);
	dv_buf_varint(&w->switches, next_id);
	w->switch_icount = icount;
	w->switch_count++;
	if (sched->len >= FULL_SIDE_BYTES)
		writer_close_block(w);
}

void dv_trace_writer_note(struct dv_trace_writer *w, const char *key, const char *value)
{
	size_t note;

	if (w->error)
		return;
	note = proto_open(&w->notes, BLOCK_NOTE);
	proto_string(&w->notes, NOTE_KEY, key);
	proto_string(&w->notes, NOTE_VALUE, value);
	proto_close(&w->notes, note);
	writer_close_full_block(w);
}

void dv_trace_writer_console(struct dv_trace_writer *w, const struct dv_console_line *line)
{
	int32_t pid, tid;
	uint32_t index;

	if (w->error)
		return;
	writer_cover(w, line->icount);
	if (!writer_describe_thread(w, line->thread_id, &index))
		return;
	writer_threads_ids(&w->threads, index, &pid, &tid);
	dv_buf_clear(&w->text);
	console_put_utf8(&w->text, line->text, strlen(line->text));
	for (size_t from = 0, len; from == 0 || from < w->text.len; from += len) {
		len = console_piece(w->text.data + from, w->text.len - from, DV_TRACE_MAX_CONSOLE_TEXT);
		console_put_line(&w->console_lines, line, w->text.data + from, len);
		console_put_log(&w->log, line, w->text.data + from, len, pid, tid);
		if (!len)
			break;
	}
	w->log.failed |= w->text.failed;
	writer_close_full_block(w);
}

void dv_trace_writer_command(struct dv_trace_writer *w, uint64_t icount, uint64_t thread_id, const char *arguments,
			     size_t len)
{
	struct dv_buf *sched;
	uint32_t index;

	if (w->error || !icount)
		return;
	writer_cover(w, icount);
	sched = sched_of(w, 0);
	if (!sched || !writer_describe_thread(w, thread_id, &index))
		return;
	command_put(&w->thread_news, icount, thread_id, arguments, len);
	writer_threads_put_command(&w->threads, index, icount, arguments, len, &w->descriptors, sched);
	writer_close_full_block(w);
}

void dv_trace_writer_mapped_file(struct dv_trace_writer *w, const struct dv_trace_mapped_file *file)
{
	if (w->error)
		return;
	places_put_file(&w->places, file);
	writer_close_full_block(w);
}

void dv_trace_writer_mapping(struct dv_trace_writer *w, const struct dv_trace_mapping_change *change)
{
	if (w->error)
		return;
	places_put_mapping(&w->places, change);
	writer_close_full_block(w);
}

void dv_trace_writer_module(struct dv_trace_writer *w, const struct dv_trace_module_change *change)
{
	if (w->error)
		return;
	places_put_module(&w->places, change);
	writer_close_full_block(w);
}
