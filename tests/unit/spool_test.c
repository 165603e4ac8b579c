/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about spools: what goes in comes out, also through a file that grows; what is none is refused. */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "plugin/spool.h"
#include "plugin/spool_drain.h"
#include "symbols/dynamic.h"
#include "test.h"

#define TEXT 0xffffffff81000000ull
#define STACK 0xffffc90000003f00ull

static struct dv_event event(enum dv_event_kind kind, uint64_t icount, uint64_t a, uint64_t b)
{
	return (struct dv_event){dv_event_head(kind, kind == DV_EVENT_LEAVE, icount), a, b};
}

static uint64_t mapping(void)
{
	struct dv_event_mapping *e = calloc(1, sizeof(*e) + sizeof(e->mappings[0]));
	struct dv_dynamic *dynamic = calloc(1, sizeof(*dynamic));

	CHECK(e && dynamic);
	dynamic->segments.count = 1;
	dynamic->segments.items[0] = (struct dv_segment){.vaddr = 0x1000, .size_bytes = 0x2000, .offset = 64, .executable = true};
	dynamic->symbols = calloc(1, sizeof(Elf64_Sym));
	dynamic->symbol_count = 1;
	dynamic->strings = strdup("f");
	dynamic->strings_bytes = 2;
	e->change = DV_MAPPING_MAP;
	e->mm_vaddr = STACK;
	e->tgid = 7;
	e->is_current = e->is_walk = true;
	e->count = 1;
	e->mappings[0] = (struct dv_mapping){.mm_vaddr = STACK, .start_vaddr = 0x400000, .end_vaddr = 0x500000, .executable = true,
					     .inode = 12, .device = 8 << 20, .dynamic = dynamic, .path = strdup("/bin/x")};
	return (uintptr_t)e;
}

static uint64_t module(void)
{
	struct dv_event_module *e = calloc(1, sizeof(*e));

	CHECK(e && (e->code = calloc(1, sizeof(*e->code))));
	e->module_vaddr = e->code->vaddr = STACK;
	e->code->references = 1;
	strcpy(e->code->name, "virtio");
	strcpy(e->code->build_id, "c0ffee");
	e->code->base_vaddr = 0xffffffffc0000000;
	e->code->size_bytes = 0x1000;
	CHECK_OK(dv_symtab_create(&e->code->symtab));
	CHECK_OK(dv_symtab_add_text(e->code->symtab, e->code->base_vaddr, e->code->base_vaddr + 0x1000));
	CHECK_OK(dv_symtab_add(e->code->symtab, e->code->base_vaddr + 16, 32, 't', "probe"));
	CHECK_OK(dv_symtab_seal(e->code->symtab));
	return (uintptr_t)e;
}

static uint64_t switch_to(void)
{
	struct dv_event_switch *e = calloc(1, sizeof(*e));

	CHECK(e);
	e->next = (struct dv_task){.vaddr = STACK, .tid = 5, .tgid = -4, .comm = "sh", .is_kernel = true};
	e->prev_dead = true;
	e->prev_exit_code = -1;
	return (uintptr_t)e;
}

static uint64_t print(void)
{
	struct dv_event_print *e = calloc(1, sizeof(*e) + 3);

	CHECK(e);
	e->source = DV_CONSOLE_HVC;
	e->level = DV_CONSOLE_NO_LEVEL;
	e->len = 3;
	memcpy(e->text, "a\0b", 3);
	return (uintptr_t)e;
}

static uint64_t command(void)
{
	struct dv_event_command *e = calloc(1, sizeof(*e) + 5);

	CHECK(e);
	e->len = 5;
	memcpy(e->text, "ls\0-l", 5);
	return (uintptr_t)e;
}

static void check_code(struct dv_error *err, enum dv_error_code code)
{
	CHECK(err && err->code == code);
	dv_error_destroy(err);
}

enum { PLAIN = 10, ALL = PLAIN + 5 };

static void make(struct dv_event events[ALL], uint64_t icount)
{
	const struct dv_event made[ALL] = {
		event(DV_EVENT_CALL, icount, STACK, TEXT),
		event(DV_EVENT_CALL, icount + 5, STACK - 64, TEXT + 4096),
		event(DV_EVENT_JUMP, icount + 5, 0, TEXT),
		event(DV_EVENT_JUMP, icount + 6, STACK - 24, 0x55550020),
		event(DV_EVENT_RETURN, icount + 900000, STACK - 64, TEXT + 4),
		event(DV_EVENT_ENTER, icount + 900001, STACK - 0x4003, TEXT + 8192),
		event(DV_EVENT_LEAVE, icount + 3, 0, 0),
		event(DV_EVENT_RETURN, icount + 900001, STACK + 8, 0x55550000),
		event(DV_EVENT_SIGNAL, icount + 900001, 0, 0x55550010),
		event(DV_EVENT_CALL, icount + 900001, 0x7ffe00000002, TEXT),
		event(DV_EVENT_SWITCH, icount + 900002, switch_to(), 0),
		event(DV_EVENT_MAPPING, icount + 900002, mapping(), 0),
		event(DV_EVENT_MODULE, icount + 900002, module(), 0),
		event(DV_EVENT_COMMAND, icount + 900002, command(), 0),
		event(DV_EVENT_PRINT, icount + 900003, print(), 0),
	};

	memcpy(events, made, sizeof(made));
}

static void check_payloads(const struct dv_event *events)
{
	const struct dv_event_switch *s = (const void *)(uintptr_t)events[PLAIN].a;
	const struct dv_event_mapping *m = (const void *)(uintptr_t)events[PLAIN + 1].a;
	const struct dv_event_module *module = (const void *)(uintptr_t)events[PLAIN + 2].a;
	const struct dv_event_print *p = (const void *)(uintptr_t)events[PLAIN + 4].a;
	const struct dv_event_command *c = (const void *)(uintptr_t)events[PLAIN + 3].a;

	CHECK(s->next.tid == 5 && s->next.tgid == -4 && s->next.is_kernel && s->prev_dead && s->prev_exit_code == -1);
	CHECK_STR(s->next.comm, "sh");
	CHECK(m->is_walk && m->is_current && m->tgid == 7 && m->mappings[0].inode == 12);
	CHECK_STR(m->mappings[0].path, "/bin/x");
	CHECK_EQ(m->mappings[0].dynamic->symbol_count, 1);
	CHECK_EQ(m->mappings[0].dynamic->segments.items[0].size_bytes, 0x2000);
	CHECK_STR(dv_symtab_function_at(module->code->symtab, module->code->base_vaddr + 20)->name, "probe");
	CHECK_STR(module->code->build_id, "c0ffee");
	CHECK(c->len == 5 && !memcmp(c->text, "ls\0-l", 5));
	CHECK(p->level == DV_CONSOLE_NO_LEVEL && p->len == 3 && !memcmp(p->text, "a\0b", 3));
}

TEST(events_come_out_as_they_went_in)
{
	struct dv_spool_state writer = {0}, reader = {0};
	struct dv_buf bytes = DV_BUF_INIT;
	uint64_t slide;
	size_t at = DV_SPOOL_HEADER_BYTES;

	dv_spool_put_header(&bytes, 0x1200000);
	CHECK_OK(dv_spool_get_header(bytes.data, &slide));
	CHECK_EQ(slide, 0x1200000);
	for (uint64_t chunk = 0; chunk < 3; chunk++) {
		struct dv_event in[ALL], out[ALL];
		uint32_t len, count;

		make(in, chunk * 1000000);
		dv_spool_put(&writer, &bytes, in, ALL);
		CHECK_OK(dv_spool_get_chunk(bytes.data + at, &len, &count));
		CHECK_EQ(count, ALL);
		CHECK_OK(dv_spool_get(&reader, bytes.data + at + DV_SPOOL_CHUNK_HEADER_BYTES, len, out, count));
		at += DV_SPOOL_CHUNK_HEADER_BYTES + len;
		for (size_t i = 0; i < ALL; i++)
			CHECK(out[i].head == in[i].head && out[i].b == in[i].b && (i >= PLAIN || out[i].a == in[i].a));
		check_payloads(out);
		for (size_t i = 0; i < ALL; i++)
			dv_spool_free_payload(&out[i]);
	}
	CHECK_EQ(at, bytes.len);
	dv_buf_deinit(&bytes);
}

/* Around each limit of a word: what is just short of it, on it and beyond it. */
TEST(events_of_every_size_come_out)
{
	enum { COUNT = 20000 };
	static const uint64_t edges[] = {0, 1, 2, 0x1f8, 0x1ff, 0x200, 0x208, 0x7ffff, 0x80000, 0xfffff8, 0x1000000, 0x1000008};
	static const uint64_t bases[] = {0, 8, STACK, 0x7ffe00001000, 1ull << 63, UINT64_MAX - 7};
	struct dv_event *in = calloc(COUNT, sizeof(*in)), *out = calloc(COUNT, sizeof(*out));
	struct dv_spool_state *writer = calloc(1, sizeof(*writer)), *reader = calloc(1, sizeof(*reader));
	struct dv_buf bytes = DV_BUF_INIT;
	uint64_t icount = 0, seed = 1;

	CHECK(in && out && writer && reader);
	for (size_t i = 0; i < COUNT; i++) {
		enum dv_event_kind kind;
		uint64_t distance;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		kind = seed >> 60 < 5 ? (enum dv_event_kind)(seed >> 60) : DV_EVENT_CALL;
		icount += edges[(seed >> 50) % DV_ARRAY_SIZE(edges)];
		distance = edges[(seed >> 40) % DV_ARRAY_SIZE(edges)];
		if (seed >> 39 & 1)
			distance = -distance;
		in[i] = event(kind, icount, bases[(seed >> 30) % DV_ARRAY_SIZE(bases)] + distance, TEXT + (seed >> 20 & 0x3f));
	}
	dv_spool_put(writer, &bytes, in, COUNT);
	CHECK_OK(dv_spool_get(reader, bytes.data + DV_SPOOL_CHUNK_HEADER_BYTES, bytes.len - DV_SPOOL_CHUNK_HEADER_BYTES, out, COUNT));
	for (size_t i = 0; i < COUNT; i++)
		CHECK(in[i].head == out[i].head && in[i].a == out[i].a && in[i].b == out[i].b);
	dv_buf_deinit(&bytes);
	free(in);
	free(out);
	free(writer);
	free(reader);
}

/* A call in a function that is known, and the return from it, four bytes each. */
TEST(near_events_are_short)
{
	struct dv_spool_state *writer = calloc(1, sizeof(*writer));
	struct dv_buf bytes = DV_BUF_INIT;
	struct dv_event events[200];

	CHECK(writer);
	for (size_t i = 0; i < DV_ARRAY_SIZE(events); i++)
		events[i] = event(i & 1 ? DV_EVENT_RETURN : DV_EVENT_CALL, i * 100, STACK - 8 * (i & 2), TEXT + 64 * (i & 1));
	dv_spool_put(writer, &bytes, events, DV_ARRAY_SIZE(events));
	CHECK(bytes.len < 4 * DV_ARRAY_SIZE(events) + 100);
	dv_buf_deinit(&bytes);
	free(writer);
}

TEST(every_damage_is_refused_or_harmless)
{
	struct dv_spool_state writer = {0}, *reader = malloc(sizeof(*reader));
	struct dv_buf bytes = DV_BUF_INIT;
	struct dv_event events[ALL];
	size_t refused = 0;

	CHECK(reader);
	make(events, 0);
	dv_spool_put(&writer, &bytes, events, ALL);
	for (size_t at = DV_SPOOL_CHUNK_HEADER_BYTES; at < bytes.len; at++) {
		struct dv_error *err;

		bytes.data[at] ^= 0x5a;
		memset(reader, 0, sizeof(*reader));
		err = dv_spool_get(reader, bytes.data + DV_SPOOL_CHUNK_HEADER_BYTES, bytes.len - DV_SPOOL_CHUNK_HEADER_BYTES,
				   events, ALL);
		for (size_t i = 0; !err && i < ALL; i++)
			dv_spool_free_payload(&events[i]);
		refused += err != NULL;
		dv_error_destroy(err);
		bytes.data[at] ^= 0x5a;
	}
	CHECK(refused > 20);
	for (size_t len = 0; len + DV_SPOOL_CHUNK_HEADER_BYTES < bytes.len; len++) {
		memset(reader, 0, sizeof(*reader));
		check_code(dv_spool_get(reader, bytes.data + DV_SPOOL_CHUNK_HEADER_BYTES, len, events, ALL), DV_ERROR_FORMAT);
	}
	dv_buf_deinit(&bytes);
	free(reader);
}

/* ---- a file that grows ---- */

enum { CHUNKS = 200 };

static void *write_slowly(void *path)
{
	struct dv_spool_state writer = {0};
	int fd = open(path, O_WRONLY | O_APPEND);
	struct dv_buf bytes = DV_BUF_INIT;

	dv_spool_put_header(&bytes, 0);
	for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
		struct dv_event e = event(DV_EVENT_CALL, chunk, STACK, TEXT);

		dv_spool_put(&writer, &bytes, &e, 1);
		/* In halves, as a reader may see them. */
		dv_error_destroy(dv_write_all(fd, bytes.data, bytes.len / 2, path));
		dv_error_destroy(dv_write_all(fd, bytes.data + bytes.len / 2, bytes.len - bytes.len / 2, path));
		dv_buf_clear(&bytes);
	}
	dv_spool_put_end(&bytes);
	dv_error_destroy(dv_write_all(fd, bytes.data, bytes.len, path));
	dv_buf_deinit(&bytes);
	close(fd);
	return NULL;
}

static void count_events(void *context, const struct dv_event *events, size_t count)
{
	uint64_t *next = context;

	for (size_t i = 0; i < count; i++)
		CHECK_EQ(dv_event_icount(&events[i]), (*next)++);
}

TEST(a_spool_is_read_while_it_grows)
{
	char path[] = "/tmp/dejaview-spool-XXXXXX";
	int fd = mkstemp(path);
	uint64_t next = 0;
	struct dv_spool_source source = {.path = path, .take = count_events, .context = &next};
	pthread_t writer;

	CHECK(fd >= 0 && !pthread_create(&writer, NULL, write_slowly, path));
	CHECK_OK(dv_spool_drain(&source));
	pthread_join(writer, NULL);
	CHECK_EQ(next, CHUNKS);
	source.slide = 0x200000;
	check_code(dv_spool_drain(&source), DV_ERROR_MISMATCH);
	unlink(path);
	close(fd);
}
