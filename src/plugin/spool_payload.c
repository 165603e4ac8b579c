/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What events point to, to bytes and back: numbers as varints, bytes behind their length. */
#include "plugin/spool_payload.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/dynamic.h"

#define MAX_PATH_BYTES	  65536u
#define MAX_PRINT_BYTES	  65536u
#define MAX_TABLE_BYTES	  (32u << 20)
#define MAX_SYMBOLS	  (1u << 18)
#define MAX_MAPPINGS	  65536u
/* The fewest bytes that a mapping, or a symbol, takes: more of them than fit are not believed. */
#define MIN_MAPPING_BYTES 10u
#define MIN_SYMBOL_BYTES  4u

static struct dv_error *damaged(void)
{
	return dv_error_new(DV_ERROR_FORMAT, "spool: an event's details that are none");
}

static void put_number(struct dv_buf *to, uint64_t number)
{
	dv_buf_varint(to, number);
}

static void put_bytes(struct dv_buf *to, const void *bytes, size_t len)
{
	dv_buf_varint(to, len);
	if (len)
		dv_buf_append(to, bytes, len);
}

static void put_text(struct dv_buf *to, const char *text)
{
	put_bytes(to, text, text ? strlen(text) : 0);
}

/* NULL when there are not so many, or more than max. */
static const uint8_t *get_bytes(struct dv_cursor *c, size_t max, size_t *ret_len)
{
	uint64_t len = dv_cursor_varint(c);

	*ret_len = (size_t)len;
	return len <= max ? dv_cursor_take(c, (size_t)len) : NULL;
}

/* free(); NULL for what is no text, and without memory. */
static char *get_text(struct dv_cursor *c, size_t max)
{
	size_t len;
	const uint8_t *bytes = get_bytes(c, max, &len);

	return bytes && !memchr(bytes, 0, len) ? strndup((const char *)bytes, len) : NULL;
}

/* A copy; free(). NULL as above, and for no bytes. */
static void *get_copy(struct dv_cursor *c, size_t max, size_t *ret_len)
{
	const uint8_t *bytes = get_bytes(c, max, ret_len);
	void *copy = bytes && *ret_len ? malloc(*ret_len) : NULL;

	if (copy)
		memcpy(copy, bytes, *ret_len);
	return copy;
}

/* ---- tasks ---- */

static void put_task(struct dv_buf *to, const struct dv_task *task)
{
	put_number(to, task->vaddr);
	put_number(to, (uint32_t)task->tid);
	put_number(to, (uint32_t)task->tgid);
	put_number(to, (uint32_t)task->parent_tgid);
	put_number(to, task->is_kernel);
	dv_buf_append(to, task->comm, sizeof(task->comm));
}

static bool get_task(struct dv_cursor *c, struct dv_task *ret)
{
	const uint8_t *comm;

	ret->vaddr = dv_cursor_varint(c);
	ret->tid = (int32_t)dv_cursor_varint(c);
	ret->tgid = (int32_t)dv_cursor_varint(c);
	ret->parent_tgid = (int32_t)dv_cursor_varint(c);
	ret->is_kernel = dv_cursor_varint(c);
	comm = dv_cursor_take(c, sizeof(ret->comm));
	if (!comm)
		return false;
	dv_linux_copy_comm(ret->comm, (const char *)comm);
	return true;
}

static struct dv_error *get_task_event(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_task *task = calloc(1, sizeof(*task));

	if (!task)
		return dv_error_no_memory();
	if (!get_task(c, task)) {
		free(task);
		return damaged();
	}
	e->a = (uintptr_t)task;
	return NULL;
}

static void put_switch(struct dv_buf *to, const struct dv_event_switch *info)
{
	put_task(to, &info->next);
	put_number(to, info->prev_dead);
	put_number(to, (uint32_t)info->prev_exit_code);
	put_number(to, info->mm_vaddr);
}

static struct dv_error *get_switch(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_event_switch *info = calloc(1, sizeof(*info));
	bool good;

	if (!info)
		return dv_error_no_memory();
	good = get_task(c, &info->next);
	info->prev_dead = dv_cursor_varint(c);
	info->prev_exit_code = (int32_t)dv_cursor_varint(c);
	info->mm_vaddr = dv_cursor_varint(c);
	if (!good || c->truncated) {
		free(info);
		return damaged();
	}
	e->a = (uintptr_t)info;
	return NULL;
}

/* ---- prints ---- */

static void put_print(struct dv_buf *to, const struct dv_event_print *print)
{
	put_number(to, print->source);
	put_number(to, print->channel);
	put_number(to, (uint32_t)print->level);
	put_number(to, print->record);
	put_number(to, print->is_final);
	put_number(to, print->port);
	put_bytes(to, print->text, print->len);
}

static struct dv_error *get_print(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_event_print head = {0}, *print;
	uint64_t source = dv_cursor_varint(c);
	const uint8_t *text;
	size_t len;

	head.source = (enum dv_console_source)source;
	head.channel = (uint32_t)dv_cursor_varint(c);
	head.level = (int32_t)dv_cursor_varint(c);
	head.record = dv_cursor_varint(c);
	head.is_final = dv_cursor_varint(c);
	head.port = (uint8_t)dv_cursor_varint(c);
	text = get_bytes(c, MAX_PRINT_BYTES, &len);
	if (source >= DV_CONSOLE_SOURCES || c->truncated || !text)
		return damaged();
	print = malloc(sizeof(*print) + len);
	if (!print)
		return dv_error_no_memory();
	*print = head;
	print->len = (uint32_t)len;
	memcpy(print->text, text, len);
	e->a = (uintptr_t)print;
	return NULL;
}

/* ---- command lines ---- */

static struct dv_error *get_command(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_event_command *command;
	size_t len;
	const uint8_t *text = get_bytes(c, DV_COMMAND_MAX_BYTES, &len);

	if (c->truncated || !text)
		return damaged();
	command = malloc(sizeof(*command) + len);
	if (!command)
		return dv_error_no_memory();
	command->len = (uint32_t)len;
	memcpy(command->text, text, len);
	e->a = (uintptr_t)command;
	return NULL;
}

/* ---- mappings ---- */

static void put_dynamic(struct dv_buf *to, const struct dv_dynamic *dynamic)
{
	put_number(to, dynamic != NULL);
	if (!dynamic)
		return;
	put_number(to, dynamic->segments.count);
	for (size_t i = 0; i < dynamic->segments.count; i++) {
		const struct dv_segment *segment = &dynamic->segments.items[i];

		put_number(to, segment->vaddr);
		put_number(to, segment->size_bytes);
		put_number(to, segment->offset);
		put_number(to, segment->executable);
	}
	put_bytes(to, dynamic->symbols, dynamic->symbol_count * sizeof(Elf64_Sym));
	put_bytes(to, dynamic->strings, dynamic->strings_bytes);
}

static bool fill_dynamic(struct dv_cursor *c, struct dv_dynamic *ret)
{
	uint64_t count = dv_cursor_varint(c);
	size_t len;

	if (count > DV_ELF_MAX_SEGMENTS)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct dv_segment *segment = &ret->segments.items[ret->segments.count++];

		segment->vaddr = dv_cursor_varint(c);
		segment->size_bytes = dv_cursor_varint(c);
		segment->offset = dv_cursor_varint(c);
		segment->executable = dv_cursor_varint(c);
	}
	ret->symbols = get_copy(c, MAX_TABLE_BYTES, &len);
	ret->symbol_count = ret->symbols ? (uint32_t)(len / sizeof(Elf64_Sym)) : 0;
	ret->strings = get_copy(c, MAX_TABLE_BYTES, &ret->strings_bytes);
	return ret->symbol_count && ret->strings && !ret->strings[ret->strings_bytes - 1];
}

static bool get_dynamic(struct dv_cursor *c, struct dv_dynamic **ret)
{
	struct dv_dynamic *dynamic;

	*ret = NULL;
	if (!dv_cursor_varint(c))
		return !c->truncated;
	dynamic = calloc(1, sizeof(*dynamic));
	if (dynamic && fill_dynamic(c, dynamic)) {
		*ret = dynamic;
		return true;
	}
	dv_dynamic_destroy(dynamic);
	return false;
}

static void put_mapping(struct dv_buf *to, const struct dv_mapping *m)
{
	put_number(to, m->mm_vaddr);
	put_number(to, m->start_vaddr);
	put_number(to, m->end_vaddr);
	put_number(to, m->offset_bytes);
	put_number(to, m->executable);
	put_number(to, m->device);
	put_number(to, m->inode);
	put_number(to, m->file_vaddr);
	put_text(to, m->path);
	put_dynamic(to, m->dynamic);
}

static bool get_mapping(struct dv_cursor *c, struct dv_mapping *ret)
{
	ret->mm_vaddr = dv_cursor_varint(c);
	ret->start_vaddr = dv_cursor_varint(c);
	ret->end_vaddr = dv_cursor_varint(c);
	ret->offset_bytes = dv_cursor_varint(c);
	ret->executable = dv_cursor_varint(c);
	ret->device = dv_cursor_varint(c);
	ret->inode = dv_cursor_varint(c);
	ret->file_vaddr = dv_cursor_varint(c);
	ret->path = get_text(c, MAX_PATH_BYTES);
	return ret->path && get_dynamic(c, &ret->dynamic);
}

static void put_mappings(struct dv_buf *to, const struct dv_event_mapping *info)
{
	put_number(to, info->change);
	put_number(to, info->mm_vaddr);
	put_number(to, info->from_mm_vaddr);
	put_number(to, (uint32_t)info->tgid);
	put_number(to, info->is_current);
	put_number(to, info->is_walk);
	put_number(to, info->start_vaddr);
	put_number(to, info->end_vaddr);
	put_number(to, info->count);
	for (size_t i = 0; i < info->count; i++)
		put_mapping(to, &info->mappings[i]);
}

static struct dv_error *get_mappings(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_event_mapping head = {0}, *info;
	uint64_t change = dv_cursor_varint(c), count;

	head.change = (enum dv_mapping_change)change;
	head.mm_vaddr = dv_cursor_varint(c);
	head.from_mm_vaddr = dv_cursor_varint(c);
	head.tgid = (int32_t)dv_cursor_varint(c);
	head.is_current = dv_cursor_varint(c);
	head.is_walk = dv_cursor_varint(c);
	head.start_vaddr = dv_cursor_varint(c);
	head.end_vaddr = dv_cursor_varint(c);
	count = dv_cursor_varint(c);
	if (change > DV_MAPPING_USE || c->truncated || count > MAX_MAPPINGS || count * MIN_MAPPING_BYTES > dv_cursor_left(c))
		return damaged();
	info = calloc(1, sizeof(*info) + count * sizeof(info->mappings[0]));
	if (!info)
		return dv_error_no_memory();
	*info = head;
	for (uint64_t i = 0; i < count; i++) {
		if (get_mapping(c, &info->mappings[info->count++]))
			continue;
		dv_event_mapping_destroy(info);
		return damaged();
	}
	e->a = (uintptr_t)info;
	return NULL;
}

/* ---- modules ---- */

static void put_code(struct dv_buf *to, const struct dv_module_code *code)
{
	size_t count = dv_symtab_count(code->symtab);

	put_text(to, code->name);
	put_text(to, code->build_id);
	put_number(to, code->base_vaddr);
	put_number(to, code->size_bytes);
	put_number(to, code->init_vaddr);
	put_number(to, code->init_size_bytes);
	put_number(to, count);
	for (size_t i = 0; i < count; i++) {
		const struct dv_symbol *symbol = dv_symtab_get(code->symtab, i);

		put_number(to, symbol->vaddr);
		put_number(to, symbol->size_bytes);
		dv_buf_append(to, &symbol->type, 1);
		put_text(to, symbol->name);
	}
}

static struct dv_error *get_symbols(struct dv_cursor *c, const struct dv_module_code *code, struct dv_symtab **ret)
{
	_cleanup_(dv_symtab_destroyp) struct dv_symtab *symtab = NULL;
	uint64_t count = dv_cursor_varint(c);

	if (count > MAX_SYMBOLS || count * MIN_SYMBOL_BYTES > dv_cursor_left(c))
		return damaged();
	DV_TRY(dv_symtab_create(&symtab));
	DV_TRY(dv_symtab_add_text(symtab, code->base_vaddr, code->base_vaddr + code->size_bytes));
	if (code->init_size_bytes)
		DV_TRY(dv_symtab_add_text(symtab, code->init_vaddr, code->init_vaddr + code->init_size_bytes));
	for (uint64_t i = 0; i < count; i++) {
		uint64_t vaddr = dv_cursor_varint(c), size = dv_cursor_varint(c);
		char type = (char)dv_cursor_u8(c);
		_cleanup_free_ char *name = get_text(c, MAX_PATH_BYTES);

		if (!name)
			return damaged();
		DV_TRY(dv_symtab_add(symtab, vaddr, size, type, name));
	}
	DV_TRY(dv_symtab_seal(symtab));
	*ret = dv_steal(symtab);
	return NULL;
}

static struct dv_error *get_code(struct dv_cursor *c, uint64_t module_vaddr, struct dv_module_code **ret)
{
	struct dv_module_code *code = calloc(1, sizeof(*code));
	_cleanup_free_ char *name = get_text(c, sizeof(code->name) - 1);
	_cleanup_free_ char *build_id = get_text(c, sizeof(code->build_id) - 1);
	struct dv_error *err;

	if (!code || !name || !build_id) {
		free(code);
		return code ? damaged() : dv_error_no_memory();
	}
	code->references = 1;
	code->vaddr = module_vaddr;
	memcpy(code->name, name, strlen(name));
	memcpy(code->build_id, build_id, strlen(build_id));
	code->base_vaddr = dv_cursor_varint(c);
	code->size_bytes = dv_cursor_varint(c);
	code->init_vaddr = dv_cursor_varint(c);
	code->init_size_bytes = dv_cursor_varint(c);
	err = get_symbols(c, code, &code->symtab);
	if (err) {
		free(code);
		return err;
	}
	*ret = code;
	return NULL;
}

static void put_module(struct dv_buf *to, const struct dv_event_module *info)
{
	put_number(to, info->is_gone);
	put_number(to, info->module_vaddr);
	put_number(to, info->code != NULL);
	if (info->code)
		put_code(to, info->code);
}

static struct dv_error *get_module(struct dv_cursor *c, struct dv_event *e)
{
	struct dv_event_module *info = calloc(1, sizeof(*info));
	struct dv_error *err = NULL;
	bool has_code;

	if (!info)
		return dv_error_no_memory();
	info->is_gone = dv_cursor_varint(c);
	info->module_vaddr = dv_cursor_varint(c);
	has_code = dv_cursor_varint(c);
	if (c->truncated)
		err = damaged();
	else if (has_code)
		err = get_code(c, info->module_vaddr, &info->code);
	if (err) {
		free(info);
		return err;
	}
	e->a = (uintptr_t)info;
	return NULL;
}

/* ---- all ---- */

void spool_put_payload(struct dv_buf *to, const struct dv_event *e)
{
	const void *payload = (const void *)(uintptr_t)e->a;

	switch (dv_event_kind(e)) {
	case DV_EVENT_SWITCH:
		put_switch(to, payload);
		break;
	case DV_EVENT_RENAME:
	case DV_EVENT_FORK:
		put_task(to, payload);
		break;
	case DV_EVENT_COMMAND:
		put_bytes(to, ((const struct dv_event_command *)payload)->text,
			  ((const struct dv_event_command *)payload)->len);
		break;
	case DV_EVENT_PRINT:
		put_print(to, payload);
		break;
	case DV_EVENT_MAPPING:
		put_mappings(to, payload);
		break;
	case DV_EVENT_MODULE:
		put_module(to, payload);
		break;
	default:
		break;
	}
}

struct dv_error *spool_get_payload(struct dv_cursor *c, struct dv_event *e)
{
	switch (dv_event_kind(e)) {
	case DV_EVENT_SWITCH:
		return get_switch(c, e);
	case DV_EVENT_RENAME:
	case DV_EVENT_FORK:
		return get_task_event(c, e);
	case DV_EVENT_COMMAND:
		return get_command(c, e);
	case DV_EVENT_PRINT:
		return get_print(c, e);
	case DV_EVENT_MAPPING:
		return get_mappings(c, e);
	case DV_EVENT_MODULE:
		return get_module(c, e);
	default:
		return damaged();
	}
}
