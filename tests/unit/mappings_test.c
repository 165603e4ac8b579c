/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about mappings and modules, in a guest that is a byte array. */
#include <bpf/btf.h>
#include <elf.h>
#include <stdlib.h>
#include "base/buf.h"
#include "guest/mappings.h"
#include "guest/modules.h"
#include "test.h"

#define BASE  0xffff888000000000ull
#define BYTES 16384

static bool read_bytes(void *bytes, uint64_t vaddr, void *to, size_t len)
{
	if (vaddr < BASE || vaddr - BASE > BYTES || len > BYTES - (vaddr - BASE))
		return false;
	memcpy(to, (char *)bytes + (vaddr - BASE), len);
	return true;
}

static char bytes[BYTES];
static const struct dv_guest_memory memory = {read_bytes, bytes};

static void put64(uint64_t at, uint64_t value)
{
	memcpy(bytes + at, &value, 8);
}

static void put32(uint64_t at, uint32_t value)
{
	memcpy(bytes + at, &value, 4);
}

static const struct dv_mappings_layout layout = {
	.vm_start = {0, 8}, .vm_end = {8, 8}, .vm_mm = {16, 8}, .vm_flags = {24, 8}, .vm_pgoff = {32, 8},
	.vm_file = {40, 8}, .vm_ops = {48, 8}, .vm_private_data = {56, 8},
	.file_mnt = {0, 8}, .file_dentry = {8, 8},
	.dentry_name = {0, 8}, .dentry_name_len = {8, 4}, .dentry_parent = {16, 8}, .dentry_inode = {24, 8},
	.inode_number = {0, 8}, .inode_sb = {8, 8}, .sb_dev = {4, 4},
	.mount_mnt = {32, 16}, .mount_parent = {0, 8}, .mount_mountpoint = {8, 8}, .mnt_root = {0, 8},
	.task_mm = {64, 8}, .has_maple_tree = true, .mm_vmas = {8, 8},
	.range_pivot = {8, 120}, .range_slot = {128, 128}, .arange_pivot = {8, 72}, .arange_slot = {80, 80},
	.special_name = {0, 8}, .special_ops_vaddr = 0xffffffff82000000,
};

enum {
	VMA = 0x100, FILE_AT = 0x200, LIB = 0x300, USR = 0x340, ROOT = 0x380, DISK_MOUNT = 0x400, ROOT_MOUNT = 0x480,
	ROOTFS_ROOT = 0x500, INODE = 0x540, SB = 0x580, NAMES = 0x600, MM = 0x700, NODES = 0x1000,
};

static void put_dentry(uint64_t at, const char *name, uint64_t parent)
{
	static uint64_t name_at;

	name_at = name_at ? name_at : NAMES;
	put64(at, BASE + name_at);
	put32(at + 8, (uint32_t)strlen(name));
	put64(at + 16, BASE + parent);
	memcpy(bytes + name_at, name, strlen(name));
	name_at += strlen(name);
}

static void put_vma(uint64_t at, uint64_t start, uint64_t end, uint64_t flags, uint64_t pgoff, uint64_t file)
{
	put64(at, start);
	put64(at + 8, end);
	put64(at + 16, BASE + MM);
	put64(at + 24, flags);
	put64(at + 32, pgoff);
	put64(at + 40, file ? BASE + file : 0);
}

/* A disk mounted at "/mnt" of the first file system has /usr/libx.so. */
static void put_files(void)
{
	put64(FILE_AT, BASE + DISK_MOUNT + 32);
	put64(FILE_AT + 8, BASE + LIB);
	put_dentry(LIB, "libx.so", USR);
	put_dentry(USR, "usr", ROOT);
	put_dentry(ROOT, "/", ROOT);
	put_dentry(0x3c0, "mnt", ROOTFS_ROOT);
	put_dentry(ROOTFS_ROOT, "/", ROOTFS_ROOT);
	put64(DISK_MOUNT, BASE + ROOT_MOUNT);
	put64(DISK_MOUNT + 8, BASE + 0x3c0);
	put64(DISK_MOUNT + 32, BASE + ROOT);
	put64(ROOT_MOUNT, BASE + ROOT_MOUNT);
	put64(ROOT_MOUNT + 8, BASE + ROOTFS_ROOT);
	put64(ROOT_MOUNT + 32, BASE + ROOTFS_ROOT);
	put64(LIB + 24, BASE + INODE);
	put64(INODE, 1234);
	put64(INODE + 8, BASE + SB);
	put32(SB + 4, 8 << 20 | 1);
}

TEST(a_mapping_has_its_files_path_across_mounts)
{
	struct dv_mapping m;

	put_files();
	put_vma(VMA, 0x7f0000001000, 0x7f0000005000, 5, 0x28, FILE_AT);
	CHECK(dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	CHECK_STR(m.path, "/mnt/usr/libx.so");
	CHECK_EQ(m.start_vaddr, 0x7f0000001000);
	CHECK_EQ(m.end_vaddr, 0x7f0000005000);
	CHECK_EQ(m.offset_bytes, 0x28000);
	CHECK_EQ(m.mm_vaddr, BASE + MM);
	CHECK_EQ(m.inode, 1234);
	CHECK_EQ(m.device, 8 << 20 | 1);
	CHECK(m.executable);
	dv_mapping_deinit(&m);
}

TEST(data_have_no_path_and_code_without_a_file_says_so)
{
	struct dv_mapping m;

	put_files();
	put_vma(VMA, 0x1000, 0x2000, 3, 0, FILE_AT);
	CHECK(dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	CHECK(!m.executable && !m.path);
	put_vma(VMA, 0x1000, 0x2000, 5, 0x7f000, 0);
	CHECK(dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	CHECK_STR(m.path, "[anon]");
	CHECK_EQ(m.offset_bytes, 0);
	dv_mapping_deinit(&m);
	put64(VMA + 48, 0xffffffff82000000 + 0x1000000); /* special_mapping_vmops, moved */
	put64(VMA + 56, BASE + 0x680);
	put64(0x680, BASE + 0x688);
	memcpy(bytes + 0x688, "[vdso]", 7);
	CHECK(dv_mappings_read(&layout, &memory, 0x1000000, BASE + VMA, &m));
	CHECK_STR(m.path, "[vdso]");
	dv_mapping_deinit(&m);
}

TEST(what_is_no_mapping_is_refused)
{
	struct dv_mapping m;

	put_files();
	put_vma(VMA, 0x2000, 0x2000, 5, 0, 0);
	CHECK(!dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	put_vma(VMA, 0x2000, 0xffff888000000000, 5, 0, 0);
	CHECK(!dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	put_vma(VMA, 0x2000, 0x3000, 5, 0, BYTES - 4);
	CHECK(!dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	CHECK(!dv_mappings_read(&layout, &memory, 0, 0x1000, &m));
	/* Dentries in a ring: a path of some length, and an end. */
	put_vma(VMA, 0x2000, 0x3000, 5, 0, FILE_AT);
	put64(USR + 16, BASE + LIB);
	CHECK(dv_mappings_read(&layout, &memory, 0, BASE + VMA, &m));
	CHECK(strlen(m.path) < 4096);
	dv_mapping_deinit(&m);
}

static bool note(void *context, uint64_t vma)
{
	dv_buf_printf(context, "%x ", (unsigned)(vma - BASE));
	return true;
}

static char *walked(const struct dv_mappings_layout *l)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	dv_mappings_walk(l, &memory, BASE + MM, note, &text);
	return dv_buf_steal_string(&text);
}

static uint64_t node(uint64_t at, unsigned type)
{
	return (BASE + at) | type << 3 | 4; /* bit 2 is set in nodes below the root */
}

/* A root with gaps over a full leaf, one that a pivot of 0 ends, and slots that hold nothing. */
TEST(a_maple_tree_is_walked_in_order)
{
	_cleanup_free_ char *text = NULL;

	put64(MM + 8, (BASE + NODES) | 3 << 3 | 2);
	put64(NODES + 8, 0xfff);
	put64(NODES + 80, node(NODES + 0x100, 1));
	put64(NODES + 16, UINT64_MAX);
	put64(NODES + 88, node(NODES + 0x200, 1));
	for (int i = 0; i < 16; i++) {
		if (i < 15)
			put64(NODES + 0x100 + 8 + (unsigned)i * 8, (unsigned)i * 0x100 + 0xff);
		put64(NODES + 0x100 + 128 + (unsigned)i * 8, i % 2 ? BASE + 0x2000 + (unsigned)i * 0x100 : 0);
	}
	put64(NODES + 0x200 + 8, 0x1fff);
	put64(NODES + 0x200 + 128, BASE + 0x3000);
	put64(NODES + 0x200 + 136, BASE + 0x3100);
	put64(NODES + 0x200 + 144, BASE + 0x3200); /* behind the end: left over */
	text = walked(&layout);
	CHECK_STR(text, "2100 2300 2500 2700 2900 2b00 2d00 2f00 3000 3100 ");
}

TEST(a_broken_tree_ends)
{
	_cleanup_free_ char *ring = NULL, *nothing = NULL;

	put64(MM + 8, (BASE + NODES) | 2 << 3 | 2);
	for (unsigned i = 0; i < 16; i++)
		put64(NODES + 128 + i * 8, i ? 0 : node(NODES, 2));
	ring = walked(&layout);
	CHECK_STR(ring, "");
	put64(MM + 8, 0x1234567812345602);
	nothing = walked(&layout);
	CHECK_STR(nothing, "");
}

TEST(a_list_of_mappings_is_walked)
{
	struct dv_mappings_layout old = layout;
	_cleanup_free_ char *text = NULL;

	old.has_maple_tree = false;
	old.vm_next = (struct dv_btf_member){64, 8};
	put64(MM + 8, BASE + 0x800);
	put64(0x800 + 64, BASE + 0x900);
	put64(0x900 + 64, 0);
	text = walked(&old);
	CHECK_STR(text, "800 900 ");
}

/* ---- modules ---- */

static const struct dv_modules_layout before_6_4 = {
	.name = {24, 56}, .kallsyms = {80, 8}, .symtab = {0, 8}, .num_symtab = {8, 4}, .strtab = {16, 8},
	.typetab = {24, 8}, .has_typetab = true, .core = {96, 32}, .init = {128, 32}, .base = {0, 8},
	.text_bytes = {12, 4},
};

#define TEXT 0xffffffffc0000000ull

static void put_symbol(unsigned i, uint32_t name, uint64_t value, uint64_t size, unsigned info, unsigned section)
{
	Elf64_Sym s = {.st_name = name, .st_value = value, .st_size = size, .st_info = (unsigned char)info,
		       .st_shndx = (Elf64_Section)section};

	memcpy(bytes + 0x1000 + i * sizeof(s), &s, sizeof(s));
}

static void put_module(void)
{
	static const char strings[] = "\0probe\0init_module\0blk_init\0printk\0data";

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 0x100 + 24, "virtio_blk", 11);
	put64(0x100 + 80, BASE + 0x400);
	put64(0x100 + 96, TEXT);
	put32(0x100 + 96 + 12, 0x3000);
	put64(0x100 + 128, TEXT + 0x10000);
	put32(0x100 + 128 + 12, 0x1000);
	put64(0x400, BASE + 0x1000);
	put32(0x408, 6);
	put64(0x410, BASE + 0x2000);
	put64(0x418, BASE + 0x3000);
	memcpy(bytes + 0x2000, strings, sizeof(strings));
	memcpy(bytes + 0x3000, "?tTtUd", 6);
	put_symbol(1, 1, TEXT + 0x40, 0x20, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), 1);
	put_symbol(2, 7, TEXT + 0x10000, 0x30, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 2);
	put_symbol(3, 19, TEXT + 0x10000, 0x30, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), 2);
	put_symbol(4, 28, 0xffffffff81000000, 0, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0);
	put_symbol(5, 35, TEXT + 0x80, 8, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), 3);
}

static struct dv_module_code *read_module(const struct dv_modules_layout *l)
{
	struct dv_module_code *code;
	struct dv_module m;

	CHECK(dv_modules_read(l, &memory, BASE + 0x100, &m));
	CHECK_STR(m.name, "virtio_blk");
	CHECK_EQ(m.base_vaddr, TEXT);
	CHECK_EQ(m.size_bytes, 0x3000);
	CHECK_EQ(m.init_vaddr, TEXT + 0x10000);
	CHECK_EQ(m.init_size_bytes, 0x1000);
	CHECK_OK(dv_module_code_create(&m, &code));
	dv_module_deinit(&m);
	return code;
}

TEST(a_modules_functions_are_those_of_its_own_table)
{
	struct dv_module_list list = {0};
	const struct dv_symbol *symbol;
	struct dv_module_code *code;

	put_module();
	code = read_module(&before_6_4);
	CHECK(dv_module_list_add(&list, code));
	dv_module_code_unref(code);
	CHECK(dv_module_list_find(&list, TEXT + 0x48, &symbol) == code);
	CHECK_STR(symbol->name, "probe");
	CHECK_EQ(symbol->size_bytes, 0x20);
	CHECK(dv_module_list_find(&list, TEXT + 0x10000, &symbol) == code);
	CHECK_STR(symbol->name, "blk_init");
	CHECK(dv_module_list_find(&list, TEXT + 0x88, &symbol) == code && !symbol);
	CHECK(!dv_module_list_find(&list, TEXT + 0x3000, &symbol));
	CHECK(dv_module_list_get(&list, BASE + 0x100) == code);
	dv_module_list_remove(&list, BASE + 0x100);
	CHECK(!dv_module_list_find(&list, TEXT + 0x48, &symbol));
	dv_module_list_deinit(&list);
}

TEST(modules_have_their_memory_in_an_array_since_6_4)
{
	struct dv_modules_layout l = before_6_4;

	put_module();
	l.has_mem = true;
	l.text_bytes = (struct dv_btf_member){8, 4};
	put32(0x100 + 96 + 8, 0x3000);
	put32(0x100 + 128 + 8, 0x1000);
	dv_module_code_unref(read_module(&l));
}

TEST(a_module_without_a_readable_table_has_no_names)
{
	struct dv_module m;

	put_module();
	put64(0x410, 0x1000);
	CHECK(dv_modules_read(&before_6_4, &memory, BASE + 0x100, &m));
	CHECK_EQ(m.symbol_count, 0);
	dv_module_deinit(&m);
	put_module();
	put32(0x408, 0x7fffffff);
	CHECK(dv_modules_read(&before_6_4, &memory, BASE + 0x100, &m));
	CHECK_EQ(m.symbol_count, 0);
	dv_module_deinit(&m);
	put64(0x100 + 96, 0x1000); /* no address of the kernel's */
	CHECK(!dv_modules_read(&before_6_4, &memory, BASE + 0x100, &m));
}

/* ---- build ids among the notes, in both shapes of Linux, by BTF that is put together here ---- */

struct field {
	const char *name, *type; /* a struct of the table, "int", or a pointer */
	uint32_t offset_bytes;
};

struct composite {
	const char *name;
	uint32_t bytes;
	struct field fields[10];
};

/* Neighbours that nobody asks for are left out. */
static const struct composite common[] = {
	{"list_head", 16, {{"next", "pointer", 0}}},
	{"module_layout", 32, {{"base", "pointer", 0}, {"text_size", "int", 12}}},
	{"mod_kallsyms", 32, {{"symtab", "pointer", 0}, {"num_symtab", "int", 8}, {"strtab", "pointer", 16}}},
	{"bin_attribute", 64, {{"size", "pointer", 16}, {"private", "pointer", 24}}},
	{"attribute_group", 40, {{"name", "pointer", 0}, {"bin_attrs", "pointer", 24}}},
};
static const struct composite until_6_13 = {
	"module_notes_attrs", 16, {{"dir", "pointer", 0}, {"notes", "int", 8}, {"attrs", "bin_attribute", 16}}};
static const struct composite since_6_14 = {
	"module_notes_attrs", 40, {{"grp", "attribute_group", 0}, {"attrs", "bin_attribute", 40}}};
static const struct composite another = {"module_notes_attrs", 16, {{"xarray", "pointer", 0}}};
static const struct composite module = {
	"module", 512, {{"list", "list_head", 8}, {"name", "pointer", 24}, {"kallsyms", "pointer", 80},
			{"core_layout", "module_layout", 96}, {"init_layout", "module_layout", 128},
			{"notes_attrs", "pointer", 168}}};

static void add_composite(struct btf *btf, const struct composite *c)
{
	CHECK(btf__add_struct(btf, c->name, c->bytes) > 0);
	for (const struct field *f = c->fields; f->name; f++) {
		int type = !strcmp(f->type, "int")     ? 1 :
			   !strcmp(f->type, "pointer") ? 2 : btf__find_by_name_kind(btf, f->type, BTF_KIND_STRUCT);

		CHECK(type > 0);
		CHECK(!btf__add_field(btf, f->name, type, f->offset_bytes * 8, 0));
	}
}

static struct dv_modules_layout layout_of(const struct composite *notes)
{
	struct btf *made = btf__new_empty();
	struct dv_modules_layout l;
	struct dv_btf *btf;
	const void *raw;
	uint32_t len;

	CHECK(made && btf__add_int(made, "int", 4, BTF_INT_SIGNED) == 1 && btf__add_ptr(made, 1) == 2);
	for (size_t i = 0; i < DV_ARRAY_SIZE(common); i++)
		add_composite(made, &common[i]);
	add_composite(made, notes);
	add_composite(made, &module);
	raw = btf__raw_data(made, &len);
	CHECK_OK(dv_btf_create(raw, len, &btf));
	CHECK_OK(dv_modules_init_btf(&l, btf));
	dv_btf_destroy(btf);
	btf__free(made);
	return l;
}

enum { ATTRS = 0x3100, LIST = 0x3300, NOTE = 0x3400, FAR = 0x3600 };

static const uint8_t note_of_linux[] = {6, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 'L', 'i', 'n', 'u', 'x', 0, 0, 0, 0, 0, 0, 0};
static const uint8_t note_of_gnu[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
				      10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

static void put_attribute(uint64_t at, const uint8_t *note, size_t note_bytes)
{
	memcpy(bytes + at + 0x100, note, note_bytes);
	put64(at + 16, note_bytes);
	put64(at + 24, BASE + at + 0x100);
}

static void check_build_id(const struct dv_modules_layout *l, const char *want)
{
	struct dv_module m;

	CHECK(dv_modules_read(l, &memory, BASE + 0x100, &m));
	CHECK_STR(m.build_id, want);
	dv_module_deinit(&m);
}

#define GNU_ID "0102030405060708090a0b0c0d0e0f1011121314"

TEST(notes_are_an_array_until_6_13)
{
	struct dv_modules_layout l = layout_of(&until_6_13);

	put_module();
	check_build_id(&l, "");
	put64(0x100 + 168, BASE + ATTRS);
	put32(ATTRS + 8, 2);
	put_attribute(ATTRS + 16, note_of_linux, sizeof(note_of_linux));
	put_attribute(ATTRS + 16 + 64, note_of_gnu, sizeof(note_of_gnu));
	check_build_id(&l, GNU_ID);
	put32(ATTRS + 8, 1);
	check_build_id(&l, "");
}

TEST(notes_are_a_list_of_a_group_since_6_14)
{
	struct dv_modules_layout l = layout_of(&since_6_14);

	put_module();
	check_build_id(&l, "");
	put64(0x100 + 168, BASE + ATTRS);
	check_build_id(&l, "");
	put64(ATTRS + 24, BASE + LIST);
	put64(LIST, BASE + NOTE);
	put64(LIST + 8, BASE + FAR);
	put_attribute(NOTE, note_of_linux, sizeof(note_of_linux));
	put_attribute(FAR, note_of_gnu, sizeof(note_of_gnu));
	check_build_id(&l, GNU_ID);
	put64(LIST + 8, 0); /* its end */
	check_build_id(&l, "");
	put64(LIST + 8, 8); /* no memory */
	check_build_id(&l, "");
}

TEST(notes_of_another_shape_are_not_read)
{
	struct dv_modules_layout l = layout_of(&another);

	CHECK(!l.has_notes);
	put_module();
	put64(0x100 + 168, BASE + ATTRS);
	check_build_id(&l, "");
}
