/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about dynamic symbols that are read without sections, held against a reading with them. */
#include "base/io.h"
#include "symbols/object.h"
#include "test.h"

struct bytes {
	const uint8_t *data;
	size_t len;
};

static bool read_bytes(void *context, uint64_t offset, void *to, size_t len)
{
	const struct bytes *b = context;

	if (offset > b->len || len > b->len - offset)
		return false;
	memcpy(to, b->data + offset, len);
	return true;
}

/* The C library that this test runs with. */
static struct dv_mapped_file libc(void)
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	struct dv_mapped_file file;
	char line[4096];

	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		char *path = strchr(line, '/');

		if (!path || !strstr(path, "/libc.so.6") || !strchr(path, '\n'))
			continue;
		*strchr(path, '\n') = 0;
		CHECK_OK(dv_mapped_file_init(path, &file));
		return file;
	}
	test_fail(__FILE__, __LINE__, "no libc.so.6 in /proc/self/maps");
}

TEST(a_librarys_dynamic_symbols_are_those_of_its_section)
{
	_cleanup_(dv_object_destroyp) struct dv_object *object = NULL;
	_cleanup_(dv_symtab_destroyp) struct dv_symtab *want = NULL;
	_cleanup_(dv_elf_destroyp) struct dv_elf *elf = NULL;
	static const char *const names[] = {"malloc", "printf", "qsort", "getenv", "fopen"};
	struct dv_mapped_file file = libc();
	struct bytes bytes = {file.data, file.len};
	struct dv_dynamic *dynamic;
	size_t count;

	CHECK(dv_dynamic_read(read_bytes, &bytes, &dynamic));
	CHECK_OK(dv_object_from_dynamic(dynamic, &object));
	dv_dynamic_destroy(dynamic);
	CHECK_OK(dv_elf_create(file.data, file.len, &elf));
	CHECK_OK(dv_symtab_create(&want));
	CHECK_OK(dv_elf_add_dynamic_symbols(elf, want, &count));
	CHECK_OK(dv_symtab_seal(want));
	for (size_t i = 0; i < DV_ARRAY_SIZE(names); i++) {
		const struct dv_symbol *is = dv_symtab_find(dv_object_symtab(object), names[i]);
		const struct dv_symbol *must = dv_symtab_find(want, names[i]);

		CHECK(is && must);
		CHECK_EQ(is->vaddr, must->vaddr);
		CHECK_EQ(is->size_bytes, must->size_bytes);
	}
}

TEST(what_is_not_all_there_is_refused)
{
	struct dv_mapped_file file = libc();
	struct dv_dynamic *dynamic;

	for (size_t len = 0; len < 65536; len += 509) {
		struct bytes bytes = {file.data, len};

		CHECK(!dv_dynamic_read(read_bytes, &bytes, &dynamic));
	}
}
