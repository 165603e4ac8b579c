/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/subject.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "qemu/probe.h"

#define MAX_SUGGESTIONS 5

static struct dv_error *open_trace(struct dv_subject *s)
{
	_cleanup_free_ char *path = dv_recording_path(s->recording, DV_RECORDING_TRACE);
	const struct dv_trace_metadata *metadata;

	if (!path)
		return dv_error_no_memory();
	if (access(path, R_OK))
		return dv_error_new(DV_ERROR_NOT_FOUND, "%s has no trace yet: 'dejaview trace %s' makes it",
				    s->recording->folder, s->recording->folder);
	DV_TRY(dv_trace_reader_open(path, &s->trace));
	metadata = dv_trace_reader_metadata(s->trace);
	if (metadata->clock != DV_TRACE_CLOCK_ICOUNT || !metadata->exact)
		return dv_error_new(DV_ERROR_UNSUPPORTED, "%s: its timestamps are not exact: %s", path,
				    metadata->exact_reason ?: "they are no instruction counts");
	for (size_t i = 0; i < metadata->note_count; i++)
		if (!strcmp(metadata->notes[i].key, "kaslr_slide"))
			s->slide = strtoull(metadata->notes[i].value, NULL, 0);
	return NULL;
}

static struct dv_error *init(const struct dv_subject_options *options, struct dv_subject *s)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};

	DV_TRY(dv_recording_open(options->folder, &s->recording));
	DV_TRY(dv_recording_repair(s->recording));
	for (size_t i = 0; i < options->images_len; i++)
		DV_TRY(dv_recording_set_image(s->recording, options->images[i]));
	DV_TRY(dv_qemu_probe(options->qemu ?: s->recording->plan->binary, &version));
	DV_TRY(dv_recording_check(s->recording, version.text));
	s->qemu = options->qemu;
	s->arch = dv_arch_find(s->recording->plan->arch);
	DV_TRY(open_trace(s));
	/* Names are a help, not a need: addresses can be given. */
	dv_error_destroy(dv_recording_open_kernel(s->recording, &s->kernel));
	return NULL;
}

struct dv_error *dv_subject_init(const struct dv_subject_options *options, struct dv_subject *ret)
{
	struct dv_subject s = {0};
	struct dv_error *err = init(options, &s);

	if (err) {
		dv_subject_deinit(&s);
		return err;
	}
	*ret = s;
	return NULL;
}

void dv_subject_deinit(struct dv_subject *subject)
{
	dv_trace_reader_close(subject->trace);
	dv_kernel_destroy(subject->kernel);
	dv_recording_destroy(subject->recording);
	*subject = (struct dv_subject){0};
}

/* ---- names ---- */

static struct dv_error *no_such_symbol(const struct dv_subject *s, const char *name)
{
	const struct dv_symtab *symtab = s->kernel ? dv_kernel_symtab(s->kernel) : NULL;
	_cleanup_buf_ struct dv_buf near = DV_BUF_INIT;
	size_t count = symtab ? dv_symtab_count(symtab) : 0, found = 0;

	for (size_t i = 0; i < count && found < MAX_SUGGESTIONS; i++) {
		const char *other = dv_symtab_get(symtab, i)->name;

		if (strstr(other, name))
			dv_buf_printf(&near, "%s%s", found++ ? ", " : "", other);
	}
	if (!symtab)
		return dv_error_new(DV_ERROR_NOT_FOUND, "'%s': the recording's kernel has no symbols: give an address",
				    name);
	return dv_error_new(DV_ERROR_NOT_FOUND, "the kernel has no symbol '%s'%s%s", name, found ? "; there is " : "",
			    found ? (const char *)near.data : "");
}

/* A symbol's own address and size, or a number. */
static struct dv_error *resolve_base(const struct dv_subject *s, const char *name, uint64_t *ret_vaddr,
				     uint64_t *ret_bytes)
{
	const struct dv_symbol *symbol;
	char *end;

	errno = 0;
	*ret_vaddr = strtoull(name, &end, 0);
	*ret_bytes = 0;
	if (*name >= '0' && *name <= '9') {
		if (*end || errno)
			return dv_error_new(DV_ERROR_INVALID, "'%s' is no address", name);
		return NULL;
	}
	symbol = s->kernel ? dv_symtab_find(dv_kernel_symtab(s->kernel), name) : NULL;
	if (!symbol)
		return no_such_symbol(s, name);
	*ret_vaddr = symbol->vaddr + s->slide;
	*ret_bytes = symbol->size_bytes;
	return NULL;
}

/* The number behind a mark in text, which is cut there. */
static struct dv_error *take_number(char *text, char mark, uint64_t *ret)
{
	char *at = strrchr(text, mark), *end;

	if (!at)
		return NULL;
	errno = 0;
	*ret = strtoull(at + 1, &end, 0);
	if (end == at + 1 || *end || errno)
		return dv_error_new(DV_ERROR_INVALID, "'%s' is no number", at + 1);
	*at = 0;
	return NULL;
}

struct dv_error *dv_subject_resolve(const struct dv_subject *subject, const char *text, uint64_t *ret_vaddr,
				    uint64_t *ret_bytes)
{
	_cleanup_free_ char *name = strdup(text);
	uint64_t offset = 0, bytes = 0, symbol_bytes;

	if (!name)
		return dv_error_no_memory();
	DV_TRY(take_number(name, ':', &bytes));
	DV_TRY(take_number(name, '+', &offset));
	DV_TRY(resolve_base(subject, name, ret_vaddr, &symbol_bytes));
	*ret_vaddr += offset;
	*ret_bytes = bytes ?: symbol_bytes > offset ? symbol_bytes - offset : 0;
	return NULL;
}

const struct dv_symbol *dv_subject_function_at(const struct dv_subject *subject, uint64_t vaddr, uint64_t *ret_offset)
{
	const struct dv_symbol *symbol = NULL;

	if (subject->kernel && dv_is_kernel_vaddr(vaddr))
		symbol = dv_symtab_function_at(dv_kernel_symtab(subject->kernel), vaddr - subject->slide);
	if (symbol)
		*ret_offset = vaddr - subject->slide - symbol->vaddr;
	return symbol;
}

/* A thread with the name that it had then. */
static const struct dv_trace_thread *thread_named_at(const struct dv_subject *s, uint64_t id, uint64_t icount)
{
	const struct dv_trace_thread *thread = NULL;

	for (size_t i = 0; i < dv_trace_reader_thread_state_count(s->trace); i++) {
		const struct dv_trace_thread_state *state = dv_trace_reader_thread_state(s->trace, i);

		if (state->thread.id == id && (!thread || state->icount <= icount))
			thread = &state->thread;
	}
	return thread;
}

const struct dv_trace_thread *dv_subject_thread_at(const struct dv_subject *subject, uint64_t icount)
{
	const struct dv_trace_switch *last = dv_trace_reader_switch_at(subject->trace, icount);

	return last ? thread_named_at(subject, last->next_id, icount) : NULL;
}

struct dv_error *dv_subject_thread_ran_before(const struct dv_subject *subject, int32_t tid, uint64_t before_icount,
					      uint64_t *ret_icount)
{
	const struct dv_trace_switch *switches = dv_trace_reader_switches(subject->trace);
	uint64_t end = before_icount;

	for (size_t i = dv_trace_reader_switch_count(subject->trace); i-- > 0;) {
		const struct dv_trace_thread *thread = dv_trace_reader_thread(subject->trace, switches[i].next_id);

		if (switches[i].icount >= before_icount)
			continue;
		if (thread && thread->tid == tid) {
			*ret_icount = end - 1;
			return NULL;
		}
		end = switches[i].icount;
	}
	return dv_error_new(DV_ERROR_NOT_FOUND, "no thread %" PRId32 " ran before %" PRIu64, tid, before_icount);
}
