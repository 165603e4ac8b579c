/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about src/guest that need no guest: instructions by their bytes, tasks in a byte array. */
#include "guest/arch.h"
#include "guest/linux.h"
#include "guest/printk.h"
#include "guest/syscalls.h"
#include "test.h"

#define AT 0xffffffff81000000ull

static const struct insn_row {
	const char *what;
	uint8_t bytes[8];
	size_t len;
	enum dv_insn_class class;
	uint64_t target;
	uint8_t reg;
} insn_rows[] = {
	{"call rel32", {0xe8, 0x10, 0, 0, 0}, 5, DV_INSN_CALL, AT + 5 + 0x10, 0},
	{"call backwards", {0xe8, 0xf0, 0xff, 0xff, 0xff}, 5, DV_INSN_CALL, AT + 5 - 0x10, 0},
	{"cs call (padded)", {0x2e, 0xe8, 0, 1, 0, 0}, 6, DV_INSN_CALL, AT + 6 + 0x100, 0},
	{"bnd call", {0xf2, 0xe8, 0, 1, 0, 0}, 6, DV_INSN_CALL, AT + 6 + 0x100, 0},
	{"call rel16 is firmware's", {0xe8, 0x10, 0}, 3, DV_INSN_OTHER, 0, 0},
	{"call *%rax", {0xff, 0xd0}, 2, DV_INSN_CALL_REGISTER, 0, 0},
	{"call *%r11", {0x41, 0xff, 0xd3}, 3, DV_INSN_CALL_REGISTER, 0, 11},
	{"notrack jmp *%rdx", {0x3e, 0xff, 0xe2}, 3, DV_INSN_JUMP_REGISTER, 0, 2},
	{"call *8(%rax)", {0xff, 0x50, 0x08}, 3, DV_INSN_CALL_MEMORY, 0, 0},
	{"jmp *x(%rip)", {0xff, 0x25, 1, 2, 3, 4}, 6, DV_INSN_JUMP_MEMORY, 0, 5},
	{"jmp rel32", {0xe9, 0xfb, 0xff, 0xff, 0xff}, 5, DV_INSN_JUMP, AT, 0},
	{"jmp rel8", {0xeb, 0xfe}, 2, DV_INSN_JUMP, AT, 0},
	{"ret", {0xc3}, 1, DV_INSN_RETURN, 0, 0},
	{"rep ret", {0xf3, 0xc3}, 2, DV_INSN_RETURN, 0, 0},
	{"ret imm16", {0xc2, 8, 0}, 3, DV_INSN_RETURN, 0, 0},
	{"lretq", {0x48, 0xcb}, 2, DV_INSN_RETURN, 0, 0},
	{"iretq", {0x48, 0xcf}, 2, DV_INSN_EXCEPTION_RETURN, 0, 0},
	{"sysretq", {0x48, 0x0f, 0x07}, 3, DV_INSN_SYSTEM_RETURN, 0, 0},
	{"sysexit", {0x0f, 0x35}, 2, DV_INSN_SYSTEM_RETURN, 0, 0},
	{"push *%rax", {0xff, 0xf0}, 2, DV_INSN_OTHER, 0, 0},
	{"out %al, (%dx)", {0xee}, 1, DV_INSN_PORT_OUT, 0, 0},
	{"out %eax, (%dx)", {0xef}, 1, DV_INSN_OTHER, 0, 0},
	{"rep outsb", {0xf3, 0x6e}, 2, DV_INSN_PORT_OUT_STRING, 0, 0},
	{"nop", {0x90}, 1, DV_INSN_OTHER, 0, 0},
	{"prefixes alone", {0x66, 0x66, 0x48}, 3, DV_INSN_OTHER, 0, 0},
	{"nothing", {0}, 0, DV_INSN_OTHER, 0, 0},
};

TEST(x86_instructions_are_told_apart)
{
	const struct dv_arch *arch = dv_arch_find("x86_64");

	CHECK(arch);
	for (size_t i = 0; i < DV_ARRAY_SIZE(insn_rows); i++) {
		const struct insn_row *row = &insn_rows[i];
		struct dv_insn insn;

		arch->classify(row->bytes, row->len, AT, &insn);
		if (insn.class != row->class)
			test_fail(__FILE__, __LINE__, "%s: class %d, not %d", row->what, insn.class, row->class);
		if (row->target && insn.target != row->target)
			test_fail(__FILE__, __LINE__, "%s: target %" PRIx64, row->what, insn.target);
		if (insn.class == DV_INSN_CALL_REGISTER || insn.class == DV_INSN_JUMP_REGISTER)
			CHECK_EQ(insn.reg, row->reg);
	}
}

/* As objdump shows them of gcc's, with and without IBT; the place in the GOT is left at 0. */
TEST(x86_linkage_tables_are_told_from_other_jumps)
{
	static const struct {
		const char *what;
		size_t at;
		bool is_linkage;
		uint8_t code[DV_ARCH_LINKAGE_BYTES];
	} rows[] = {
		{".plt", 0, true, {0xff, 0x25, 0, 0, 0, 0, 0x68, 1, 0, 0, 0, 0xe9, 0, 0, 0, 0}},
		{".plt.got", 0, true, {0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90}},
		{".plt.got's next", 8, true, {0xff, 0x25, 0, 0, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90}},
		{".plt.sec", 4, true, {0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x0f, 0x1f, 0x44, 0, 0}},
		{".plt.sec, bnd", 4, true, {0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x44, 0, 0}},
		{"aligned, a function behind it", 0, false, {0xff, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x44, 0, 0}},
		{"behind an epilogue", 4, false, {0x48, 0x83, 0xc4, 0x08, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90}},
		{"anywhere", 9, false, {0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xc4, 0x08, 0x90, 0xff, 0x25, 0, 0, 0, 0, 0x68}},
	};
	const struct dv_arch *arch = dv_arch_find("x86_64");

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		if (arch->is_linkage(rows[i].code, rows[i].at) != rows[i].is_linkage)
			test_fail(__FILE__, __LINE__, "%s", rows[i].what);
	}
}

TEST(an_architecture_that_is_not_there_is_null)
{
	CHECK(!dv_arch_find("s390x"));
}

/* A guest's memory: one page at BASE. */
#define BASE 0xffff888000000000ull

static bool read_page(void *page, uint64_t vaddr, void *to, size_t len)
{
	if (vaddr < BASE || vaddr - BASE > 4096 || len > 4096 - (vaddr - BASE))
		return false;
	memcpy(to, (char *)page + (vaddr - BASE), len);
	return true;
}

static const struct dv_linux layout = {
	.pid = {8, 4}, .tgid = {12, 4}, .flags = {16, 4}, .state = {20, 4}, .real_parent = {24, 8}, .comm = {32, 16},
	.current_offset = 0x100,
};

TEST(a_task_is_read_by_its_layout)
{
	char page[4096] = "";
	struct dv_guest_memory memory = {read_page, page};
	uint64_t parent = BASE + 1024;
	struct dv_task task;
	uint32_t state;
	bool dead;

	memcpy(page + 8, &(uint32_t){42}, 4);
	memcpy(page + 12, &(uint32_t){40}, 4);
	memcpy(page + 20, &(uint32_t){0x80}, 4);
	memcpy(page + 24, &parent, 8);
	memcpy(page + 32, "k\033worker/0:1-evil", 16);
	memcpy(page + 1024 + 12, &(uint32_t){7}, 4);
	CHECK(dv_linux_read_task(&layout, &memory, BASE, &task));
	CHECK_EQ(task.tid, 42);
	CHECK_EQ(task.tgid, 40);
	CHECK_EQ(task.parent_tgid, 7);
	CHECK(!task.is_kernel);
	CHECK_STR(task.comm, "k?worker/0:1-ev");
	CHECK(dv_linux_read_state(&layout, &memory, BASE, &state, &dead));
	CHECK(dead);
}

TEST(memory_that_is_no_task_is_refused)
{
	char page[4096] = "";
	struct dv_guest_memory memory = {read_page, page};
	struct dv_task task;

	memset(page, 0xff, sizeof(page));
	CHECK(!dv_linux_read_task(&layout, &memory, BASE, &task));
	CHECK(!dv_linux_read_task(&layout, &memory, BASE + 4090, &task));
	CHECK(!dv_linux_read_task(&layout, &memory, 0, &task));
}

TEST(the_running_task_is_found_in_the_per_cpu_area)
{
	char page[4096] = "";
	struct dv_guest_memory memory = {read_page, page};
	uint64_t task = 0;

	memcpy(page + 0x180, &(uint64_t){BASE + 64}, 8);
	CHECK(dv_linux_read_current(&layout, &memory, BASE + 0x80, &task));
	CHECK(task == BASE + 64);
	CHECK(!dv_linux_read_current(&layout, &memory, 0, &task));
}

TEST(system_calls_have_their_names_by_table_and_number)
{
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_X86_64, 0), "read");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_X86_64, 257), "openat");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_X86_64, 462), "mseal");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_IA32, 3), "read");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_IA32, 295), "openat");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_X86_64, 0x40000000 | 257), "openat");
	CHECK_STR(dv_syscall_name(DV_SYSCALLS_X86_64, 0x40000000 | 520), "execve");
	CHECK(!dv_syscall_name(DV_SYSCALLS_X86_64, 520));
	CHECK(!dv_syscall_name(DV_SYSCALLS_X86_64, 400));
	CHECK(!dv_syscall_name(DV_SYSCALLS_X86_64, 100000));
	CHECK(!dv_syscall_name(DV_SYSCALLS_IA32, UINT32_MAX));
	CHECK(!dv_syscall_name(DV_SYSCALLS_NONE, 0));
}

/* ---- a ring buffer of printk in a byte array: four descriptors, 64 bytes of text ---- */

#define RING_AT	  0xffff888000001000ull
#define RING_DATA 0xffff888000001400ull

static const struct dv_printk ring_layout = {
	.entry_rb = {0, 8}, .entry_id = {16, 8},
	.count_bits = {0, 4}, .descs = {8, 8}, .infos = {16, 8}, .size_bits = {56, 4}, .data = {64, 8},
	.begin = {8, 8}, .next = {16, 8}, .text_len = {16, 2}, .facility = {18, 1},
	.desc_bytes = 24, .info_bytes = 32, .data_header_bytes = 8,
};

struct ring {
	uint8_t bytes[2048];
};

static bool read_ring(void *context, uint64_t vaddr, void *to, size_t len)
{
	const struct ring *ring = context;

	if (vaddr < RING_AT || vaddr - RING_AT > sizeof(ring->bytes) || len > sizeof(ring->bytes) - (vaddr - RING_AT))
		return false;
	memcpy(to, ring->bytes + (vaddr - RING_AT), len);
	return true;
}

static void put64(struct ring *ring, uint64_t at, uint64_t value)
{
	memcpy(ring->bytes + (at - RING_AT), &value, sizeof(value));
}

/* The entry is at 0x800, the ring buffer at 0x000, descriptors at 0x100, infos at 0x200. */
static bool read_record(uint64_t begin, uint64_t next, uint16_t text_len, const char *text_at_0, const char *text_at_48,
			struct dv_printk_record *ret)
{
	struct ring ring = {{0}};
	const struct dv_guest_memory memory = {.read = read_ring, .context = &ring};
	uint64_t id = 0x100000006; /* index 2 of 4 */

	put64(&ring, RING_AT + 0x700, RING_AT);
	put64(&ring, RING_AT + 0x710, id);
	ring.bytes[0] = 2;
	put64(&ring, RING_AT + 8, RING_AT + 0x100);
	put64(&ring, RING_AT + 16, RING_AT + 0x200);
	ring.bytes[56] = 6;
	put64(&ring, RING_AT + 64, RING_DATA);
	put64(&ring, RING_AT + 0x100 + 2 * 24 + 8, begin);
	put64(&ring, RING_AT + 0x100 + 2 * 24 + 16, next);
	memcpy(ring.bytes + 0x200 + 2 * 32 + 16, &text_len, 2);
	ring.bytes[0x200 + 2 * 32 + 19] = 4 << 5 | 0x1f;
	memcpy(ring.bytes + 0x400 + 8, text_at_0, strlen(text_at_0));
	memcpy(ring.bytes + 0x400 + 48 + 8, text_at_48, strlen(text_at_48));
	return dv_printk_read(&ring_layout, &memory, RING_AT + 0x700, ret);
}

TEST(a_record_of_printk_is_read_where_its_positions_say)
{
	static struct dv_printk_record record;

	CHECK(read_record(0x1000, 0x1010, 5, "hello", "", &record));
	CHECK_EQ(record.id, 0x100000006);
	CHECK_EQ(record.level, 4);
	CHECK_EQ(record.len, 5);
	CHECK(!memcmp(record.text, "hello", 5));
	/* It ends where the ring ends: no wrap. */
	CHECK(read_record(0x1030, 0x1040, 5, "wrong", "right", &record));
	CHECK(!memcmp(record.text, "right", 5));
	/* It would cross the end: the text is at the start. */
	CHECK(read_record(0x1030, 0x1050, 5, "right", "wrong", &record));
	CHECK(!memcmp(record.text, "right", 5));
	/* An empty line has no block. */
	CHECK(read_record(3, 3, 0, "", "", &record));
	CHECK_EQ(record.len, 0);
	/* The text is no longer than its block. */
	CHECK(read_record(0x1000, 0x1010, 5000, "hello", "", &record));
	CHECK_EQ(record.len, 8);
}

TEST(positions_that_cannot_be_are_not_followed)
{
	static struct dv_printk_record record;

	CHECK(!read_record(1, 1, 5, "", "", &record));
	CHECK(!read_record(0x1010, 0x1000, 5, "", "", &record));
	CHECK(!read_record(0x1000, 0x1004, 5, "", "", &record));
	CHECK(!read_record(0x1000, 0x9000, 5, "", "", &record));
}
