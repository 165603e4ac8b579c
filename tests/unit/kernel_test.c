/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two real kernels, in the folder that DEJAVIEW_TEST_KERNELS names (6.1/vmlinuz, 6.12/vmlinuz).
 * What kallsyms says is held against what the image itself says elsewhere: its export table, and data
 * that must be at the addresses and offsets we found.
 */
#include "test.h"

#include <elf.h>
#include "base/io.h"
#include "symbols/kernel.h"

#define MAX_MAP_BYTES	 (64u << 20)
#define MIN_MAP_LINES	 1000 /* Debian ships a placeholder of one line; the real one is with its debug package */
#define PERCPU_MAX_VADDR 0x40000

static char *kernel_file(const char *version, const char *name)
{
	const char *dir = getenv("DEJAVIEW_TEST_KERNELS");
	static char path[4096];

	if (!dir)
		test_fail(__FILE__, __LINE__,
			  "DEJAVIEW_TEST_KERNELS is not set: ./check sets it to a folder with 6.1/vmlinuz and "
			  "6.12/vmlinuz");
	snprintf(path, sizeof(path), "%s/%s/%s", dir, version, name);
	return path;
}

static struct dv_kernel *open_kernel(const char *version)
{
	struct dv_kernel *kernel;

	CHECK_OK(dv_kernel_open(kernel_file(version, "vmlinuz"), &kernel));
	return kernel;
}

static uint64_t address_of(const struct dv_kernel *kernel, const char *name)
{
	const struct dv_symbol *s = dv_symtab_find(dv_kernel_symtab(kernel), name);

	if (!s)
		test_fail(__FILE__, __LINE__, "no symbol %s", name);
	return s->vaddr;
}

static bool has_symbol(const struct dv_symtab *symtab, uint64_t vaddr, const char *name)
{
	size_t low = 0, high = dv_symtab_count(symtab);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (dv_symtab_get(symtab, middle)->vaddr < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < dv_symtab_count(symtab) && dv_symtab_get(symtab, low)->vaddr == vaddr; low++) {
		if (!strcmp(dv_symtab_get(symtab, low)->name, name))
			return true;
	}
	return false;
}

/* struct kernel_symbol: three offsets (value, name, namespace), each relative to its own place. */
static int check_exports(const struct dv_kernel *kernel, const char *from, const char *to)
{
	uint64_t start = address_of(kernel, from), end = address_of(kernel, to);
	int count = 0;

	for (uint64_t at = start; at < end; at += 12, count++) {
		const int32_t *e = (const int32_t *)dv_kernel_bytes(kernel, at, 12);
		uint64_t value, name;

		CHECK(e);
		value = at + (uint64_t)(int64_t)e[0];
		name = at + 4 + (uint64_t)(int64_t)e[1];
		CHECK(dv_kernel_bytes(kernel, name, 128));
		if (!has_symbol(dv_kernel_symtab(kernel), value, (const char *)dv_kernel_bytes(kernel, name, 1)))
			test_fail(__FILE__, __LINE__, "exported %s is not at 0x%" PRIx64,
				  dv_kernel_bytes(kernel, name, 1), value);
	}
	return count;
}

/* Functions of kallsyms have no sizes of their own, so that none lies within another. */
static void check_functions(const struct dv_symtab *symtab, bool nested)
{
	size_t functions = 0;

	for (size_t i = 0; i < dv_symtab_count(symtab); i++) {
		const struct dv_symbol *s = dv_symtab_get(symtab, i);
		const struct dv_symbol *first = dv_symtab_function_at(symtab, s->vaddr);
		const struct dv_symbol *last = dv_symtab_function_at(symtab, s->vaddr + s->size_bytes - 1);

		CHECK(s->size_bytes);
		if (s->vaddr < PERCPU_MAX_VADDR)
			CHECK(!s->is_function && !first);
		if (!s->is_function)
			continue;
		functions++;
		CHECK(first && first->vaddr == s->vaddr);
		CHECK(nested || last == first);
	}
	CHECK(functions > 30000);
}

static uint32_t offset_of(const struct dv_kernel *kernel, const char *type, const char *path, uint32_t size)
{
	struct dv_btf_member m;

	CHECK_OK(dv_btf_member(dv_kernel_btf(kernel), type, path, &m));
	CHECK_EQ(m.size_bytes, size);
	return m.offset_bytes;
}

static uint64_t init_task_word(const struct dv_kernel *kernel, const char *path, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, dv_kernel_bytes(kernel, address_of(kernel, "init_task") +
					       offset_of(kernel, "task_struct", path, size), size), size);
	return value;
}

/* The kernel's own first task is in its data: BTF's offsets must find what it is known to hold. */
static void check_layouts(const struct dv_kernel *kernel)
{
	uint64_t init_mm = address_of(kernel, "init_mm"), pgd;
	uint32_t comm = offset_of(kernel, "task_struct", "comm", 16), size;

	CHECK_STR((const char *)dv_kernel_bytes(kernel, address_of(kernel, "init_task") + comm, 16), "swapper");
	CHECK_EQ(init_task_word(kernel, "real_parent", 8), address_of(kernel, "init_task"));
	CHECK_EQ(init_task_word(kernel, "group_leader", 8), address_of(kernel, "init_task"));
	CHECK_EQ(init_task_word(kernel, "active_mm", 8), init_mm);
	CHECK_EQ(init_task_word(kernel, "pid", 4), 0);
	CHECK_EQ(offset_of(kernel, "task_struct", "tgid", 4), offset_of(kernel, "task_struct", "pid", 4) + 4);
	memcpy(&pgd, dv_kernel_bytes(kernel, init_mm + offset_of(kernel, "mm_struct", "pgd", 8), 8), 8);
	CHECK_EQ(pgd, address_of(kernel, "init_top_pgt"));
	CHECK_OK(dv_btf_struct_size(dv_kernel_btf(kernel), "task_struct", &size));
	CHECK(size >= comm + 16 && size % 64 == 0);
}

static void check_common(const struct dv_kernel *kernel, const char *banner)
{
	CHECK_STR(dv_kernel_symbol_source(kernel), "kallsyms");
	CHECK_EQ(dv_kernel_machine(kernel), EM_X86_64);
	CHECK(!strncmp(dv_kernel_banner(kernel), banner, strlen(banner)));
	CHECK(!memcmp(dv_kernel_bytes(kernel, address_of(kernel, "linux_banner"), 14), "Linux version ", 14));
	CHECK_EQ(strlen(dv_kernel_build_id(kernel)), 40);
	CHECK(dv_symtab_find(dv_kernel_symtab(kernel), "start_kernel")->is_function);
	CHECK(dv_symtab_find(dv_kernel_symtab(kernel), "schedule")->is_function);
}

TEST(linux_6_1)
{
	struct dv_kernel *kernel = open_kernel("6.1");
	const struct dv_symtab *symtab = dv_kernel_symtab(kernel);

	check_common(kernel, "Linux version 6.1.");
	check_functions(symtab, false);
	CHECK(check_exports(kernel, "__start___ksymtab", "__stop___ksymtab") > 4000);
	CHECK(check_exports(kernel, "__start___ksymtab_gpl", "__stop___ksymtab_gpl") > 4000);
	check_layouts(kernel);
	CHECK(address_of(kernel, "current_task") < PERCPU_MAX_VADDR);
	CHECK(!dv_symtab_find(symtab, "pcpu_hot"));
	dv_kernel_destroy(kernel);
}

TEST(linux_6_12)
{
	struct dv_kernel *kernel = open_kernel("6.12");
	const struct dv_symtab *symtab = dv_kernel_symtab(kernel);

	check_common(kernel, "Linux version 6.12.");
	check_functions(symtab, false);
	CHECK(check_exports(kernel, "__start___ksymtab", "__stop___ksymtab") > 4000);
	CHECK(check_exports(kernel, "__start___ksymtab_gpl", "__stop___ksymtab_gpl") > 4000);
	check_layouts(kernel);
	CHECK(address_of(kernel, "pcpu_hot") < PERCPU_MAX_VADDR);
	CHECK_EQ(offset_of(kernel, "pcpu_hot", "current_task", 8), 0);
	CHECK(!dv_symtab_find(symtab, "current_task"));
	dv_kernel_destroy(kernel);
}

/* Each line of a System.map (or of a running guest's /proc/kallsyms, without KASLR) that is a function. */
static void check_map(const char *version)
{
	_cleanup_buf_ struct dv_buf map = DV_BUF_INIT;
	struct dv_kernel *kernel = open_kernel(version);
	char *save = NULL, *line;
	int lines = 0;

	CHECK_OK(dv_read_file(kernel_file(version, "System.map"), MAX_MAP_BYTES, &map));
	dv_buf_append(&map, "", 1);
	for (line = strtok_r((char *)map.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++) {
		uint64_t vaddr;
		char type, name[1024];

		if (sscanf(line, "%" SCNx64 " %c %1023s", &vaddr, &type, name) != 3 || strchr(line, '['))
			continue;
		if ((type == 't' || type == 'T') && !has_symbol(dv_kernel_symtab(kernel), vaddr, name))
			test_fail(__FILE__, __LINE__, "%s is not there", line);
	}
	if (lines < MIN_MAP_LINES)
		printf("# System.map of %s is the placeholder of Debian's package: nothing compared\n", version);
	dv_kernel_destroy(kernel);
}

/* vmlinux of the debug package, when it was fetched: its symbol table has all that kallsyms has. */
static void check_vmlinux(const char *version)
{
	struct dv_kernel *packed = open_kernel(version), *vmlinux;
	const struct dv_symtab *symtab = dv_kernel_symtab(packed);
	const char *path = kernel_file(version, "vmlinux");

	if (access(path, R_OK)) {
		printf("# %s is not there: nothing compared\n", path);
		dv_kernel_destroy(packed);
		return;
	}
	CHECK_OK(dv_kernel_open(path, &vmlinux));
	CHECK_STR(dv_kernel_symbol_source(vmlinux), "symtab");
	CHECK_STR(dv_kernel_build_id(vmlinux), dv_kernel_build_id(packed));
	CHECK_STR(dv_kernel_banner(vmlinux), dv_kernel_banner(packed));
	check_functions(dv_kernel_symtab(vmlinux), true);
	check_layouts(vmlinux);
	for (size_t i = 0; i < dv_symtab_count(symtab); i++) {
		const struct dv_symbol *s = dv_symtab_get(symtab, i);

		if (!has_symbol(dv_kernel_symtab(vmlinux), s->vaddr, s->name))
			test_fail(__FILE__, __LINE__, "%s at 0x%" PRIx64 " is not in vmlinux", s->name, s->vaddr);
	}
	dv_kernel_destroy(vmlinux);
	dv_kernel_destroy(packed);
}

TEST(linux_6_1_vmlinux)
{
	check_vmlinux("6.1");
}

TEST(linux_6_12_vmlinux)
{
	check_vmlinux("6.12");
}

TEST(linux_6_1_system_map)
{
	check_map("6.1");
}

TEST(linux_6_12_system_map)
{
	check_map("6.12");
}
