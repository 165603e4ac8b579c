/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug information as distributions ship it, made here with the tools that they use: gcc, objcopy, dwz, xz. What is
 * asked for is the line of a function, which only the file that is looked for has.
 */
#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "symbols/debugfiles.h"
#include "symbols/files.h"
#include "symbols/modulefile.h"
#include "symbols/program.h"

#define TEXT_VADDR 0xffffffffc0100000
#define INIT_VADDR 0xffffffffc0200000

static const char source[] = "struct shared { int a; struct shared *next; char text[16]; };\n"
			     "struct other { struct shared one; long two; unsigned char three[3]; };\n"
			     "volatile int sink;\n"
			     "static inline void store(struct shared *s) { sink = s->a; }\n"
			     "__attribute__((noinline, used)) void first(struct shared *s) { store(s); }\n"
			     "__attribute__((noinline, used)) void second(struct other *o) { sink = (int)o->two; }\n"
			     "__attribute__((noinline, used, section(\".init.text\"))) int begin(void) { return sink; }\n"
			     "#ifndef MODULE\n"
			     "#define TEXT(x) #x\n"
			     "#define STRING(x) TEXT(x)\n"
			     "const char name[] = STRING(NAME);\n"
			     "int main(void) { return begin(); }\n"
			     "#endif\n";
enum { LINE_STORE = 4, LINE_SECOND = 6, LINE_BEGIN };

static char folder[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void clean(void)
{
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static __attribute__((format(printf, 1, 2))) void run(const char *format, ...)
{
	char command[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		test_fail(__FILE__, __LINE__, "%s", command);
}

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void begin_folder(void)
{
	strcpy(folder, "/tmp/dejaview-unit-XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(clean);
	CHECK_OK(dv_replace_file(in_folder("code.c"), source, sizeof(source) - 1, 0600));
}

static void make_module(void)
{
	run("cd %s && gcc -g -O1 -fno-pie -mcmodel=kernel -fcf-protection=none -DMODULE -Wa,--generate-missing-build-notes=no "
	    "-c code.c -o code.o && ld -r --build-id -o some_thing.ko code.o && ln some_thing.ko some-thing.ko", folder);
}

static struct dv_elf *read_elf(const char *path, struct dv_mapped_file *file)
{
	struct dv_elf *elf;

	CHECK_OK(dv_mapped_file_init(path, file));
	CHECK_OK(dv_elf_create(file->data, file->len, &elf));
	return elf;
}

static char *id_of(const char *path)
{
	struct dv_mapped_file file;
	struct dv_elf *elf = read_elf(path, &file);
	char *id = dv_elf_build_id(elf);

	CHECK(id);
	dv_elf_destroy(elf);
	dv_mapped_file_deinit(&file);
	return id;
}

/* How long a module's code is, as the kernel would have it. */
static struct dv_module_place place_of(const char *path)
{
	struct dv_module_place place = {TEXT_VADDR, 0, INIT_VADDR, 0};
	char command[512];
	FILE *sizes;

	snprintf(command, sizeof(command), "readelf -SW %s | sed -n 's/^ *\\[ *[0-9]*\\] *//p'", path);
	sizes = popen(command, "r");
	CHECK(sizes);
	while (fgets(command, sizeof(command), sizes)) {
		char name[64], type[32], flags[16];
		unsigned long vaddr, offset, bytes, entry;

		if (sscanf(command, "%63s %31s %lx %lx %lx %lx %15s", name, type, &vaddr, &offset, &bytes, &entry,
			   flags) != 7)
			continue;
		if (!strcmp(name, ".text"))
			place.text_bytes = bytes;
		if (!strcmp(name, ".init.text"))
			place.init_bytes = bytes;
	}
	pclose(sizes);
	CHECK(place.text_bytes && place.init_bytes);
	return place;
}

static uint32_t line_of(const struct dv_program *program, const char *function, const char *innermost)
{
	const struct dv_symbol *symbol = dv_symtab_find(dv_object_symtab(dv_program_object(program)), function);
	struct dv_dwarf_frame frames[DV_DWARF_MAX_FRAMES];
	size_t count;

	if (!symbol)
		test_fail(__FILE__, __LINE__, "no symbol %s", function);
	count = dv_dwarf_where(dv_program_dwarf(program), symbol->vaddr, frames);
	CHECK(count);
	CHECK_STR(frames[0].function, innermost);
	CHECK_STR(frames[0].file, "code.c");
	return frames[0].line;
}

TEST(compressed_modules)
{
	static const char *const packers[] = {"xz --check=crc32", "zstd -q", "gzip -n"};
	static const char *const endings[] = {"xz", "zst", "gz"};
	struct dv_module_place place;
	char *id;

	begin_folder();
	make_module();
	place = place_of(in_folder("some_thing.ko"));
	id = id_of(in_folder("some_thing.ko"));
	for (size_t i = 0; i < DV_ARRAY_SIZE(packers); i++) {
		struct dv_debug_files *files;
		struct dv_program *program;
		struct dv_sources *sources;
		const char *file;
		char *found;
		uint32_t line;

		run("cd %s && rm -rf d && mkdir -p d/kernel && %s <some-thing.ko >d/kernel/some-thing.ko.%s", folder,
		    packers[i], endings[i]);
		CHECK_OK(dv_debug_files_create(in_folder("d"), NULL, &files));
		CHECK(!dv_debug_files_module(files, "some_thing", "0123456789"));
		CHECK(!dv_debug_files_module(files, "some_thin", id));
		found = dv_debug_files_module(files, "some_thing", id);
		CHECK(found);
		CHECK_OK(dv_program_open(found, id, &place, &program));
		CHECK_EQ(line_of(program, "second", "second"), LINE_SECOND);
		CHECK_EQ(line_of(program, "begin", "begin"), LINE_BEGIN);
		CHECK_EQ(line_of(program, "first", "store"), LINE_STORE);
		CHECK_OK(dv_sources_open(found, id, &place, &sources));
		CHECK(dv_sources_find(sources, INIT_VADDR, &file, &line));
		CHECK_EQ(line, LINE_BEGIN);
		dv_sources_destroy(sources);
		dv_program_destroy(program);
		dv_debug_files_destroy(files);
		free(found);
	}
	free(id);
}

TEST(a_damaged_compressed_module_is_named)
{
	struct dv_module_place place = {TEXT_VADDR, 16, 0, 0};
	struct dv_program *program;
	struct dv_error *err;

	begin_folder();
	make_module();
	run("cd %s && xz -c some_thing.ko | head -c 600 >cut.ko.xz", folder);
	err = dv_program_open(in_folder("cut.ko.xz"), NULL, &place, &program);
	CHECK(err && err->code == DV_ERROR_TRUNCATED && strstr(err->message, "cut.ko.xz: xz: "));
	dv_error_destroy(err);
}

/* Another build of a module has another length of code, mostly. */
TEST(a_module_of_another_length_is_refused)
{
	struct dv_module_place place;
	struct dv_program *program;
	struct dv_error *err;

	begin_folder();
	make_module();
	place = place_of(in_folder("some_thing.ko"));
	place.text_bytes += 1;
	err = dv_program_open(in_folder("some_thing.ko"), NULL, &place, &program);
	CHECK(err && err->code == DV_ERROR_MISMATCH && strstr(err->message, "some_thing.ko: ") &&
	      strstr(err->message, "but the module that ran has"));
	dv_error_destroy(err);
	place.text_bytes--;
	place.init_bytes = 1;
	err = dv_module_file_write(in_folder("some_thing.ko"), &place, in_folder("out.ko"));
	CHECK(err && err->code == DV_ERROR_MISMATCH && strstr(err->message, "some_thing.ko: "));
	CHECK(access(in_folder("out.ko"), F_OK));
	dv_error_destroy(err);
	/* From 6.4 on the kernel says it in whole pages. */
	place.text_bytes = place.init_bytes = 4096;
	CHECK_OK(dv_program_open(in_folder("some_thing.ko"), NULL, &place, &program));
	dv_program_destroy(program);
}

/* What is written for gdb is read again as any other program, at the addresses where it ran. */
TEST(a_module_as_it_ran)
{
	struct dv_module_place place;
	struct dv_program *program;

	begin_folder();
	make_module();
	place = place_of(in_folder("some_thing.ko"));
	CHECK_OK(dv_module_file_write(in_folder("some_thing.ko"), &place, in_folder("out.ko")));
	CHECK_OK(dv_program_open(in_folder("out.ko"), NULL, NULL, &program));
	CHECK_EQ(dv_symtab_find(dv_object_symtab(dv_program_object(program)), "begin")->vaddr, INIT_VADDR);
	CHECK_EQ(line_of(program, "begin", "begin"), LINE_BEGIN);
	CHECK_EQ(line_of(program, "first", "store"), LINE_STORE);
	CHECK_EQ(line_of(program, "second", "second"), LINE_SECOND);
	dv_program_destroy(program);
	run("cd %s && gdb -nx -batch -ex 'info line *%#lx' out.ko | grep -q 'Line %d of \"code.c\" starts at address .*<begin>'",
	    folder, INIT_VADDR, LINE_BEGIN);
	run("cd %s && gdb -nx -batch -ex 'ptype struct other' out.ko | grep -q 'unsigned char three'", folder);
}

/* ---- user programs, in a folder like a guest's root ---- */

/* root/usr/bin/NAME, stripped, which has no DWARF and no names, and NAME.debug, which has them. */
static void make_program(const char *name)
{
	run("cd %s && mkdir -p root/usr/bin root/usr/lib/debug && gcc -g -O1 -Wl,--build-id -DNAME=%s code.c -o %s && "
	    "objcopy --only-keep-debug %s %s.debug && strip -o root/usr/bin/%s %s", folder, name, name, name, name, name, name);
}

static void by_build_id(const char *name)
{
	char *id = id_of(in_folder(name));

	run("cd %s && mkdir -p root/usr/lib/debug/.build-id/%.2s && mv %s.debug root/usr/lib/debug/.build-id/%.2s/%s.debug",
	    folder, id, name, id, id + 2);
	free(id);
}

static struct dv_program *take(const char *name, size_t *ret_alt_bytes)
{
	const struct dv_files_options options = {.sysroot = in_folder("root")};
	_cleanup_(dv_file_copy_deinit) struct dv_file_copy copy = {0};
	struct dv_file_name file = {.path = name};
	struct dv_error *complaint;
	struct dv_program *program;
	struct dv_files *files;
	struct dv_object *object;
	const char *source_file;
	uint32_t line;

	CHECK_OK(dv_files_open(&options, &files, &complaint));
	CHECK_OK(complaint);
	/* As the plugin has it. */
	CHECK_OK(dv_files_object(files, &file, &object));
	CHECK(dv_object_source(object, dv_symtab_find(dv_object_symtab(object), "second")->vaddr, &source_file, &line));
	CHECK_STR(source_file, "code.c");
	CHECK_EQ(line, LINE_SECOND);
	dv_object_destroy(object);
	/* As `where` has it. */
	CHECK_OK(dv_files_copy(files, &file, &copy));
	*ret_alt_bytes = copy.alt.len;
	CHECK_OK(dv_program_take(&copy, NULL, &program));
	dv_files_close(files);
	return program;
}

static void check_program(const char *name, bool with_alt)
{
	size_t alt_bytes;
	struct dv_program *program = take(name, &alt_bytes);

	CHECK(dv_program_dwarf(program));
	CHECK_EQ(line_of(program, "first", "store"), LINE_STORE);
	CHECK_EQ(line_of(program, "second", "second"), LINE_SECOND);
	CHECK_EQ(alt_bytes != 0, with_alt);
	dv_program_destroy(program);
}

TEST(debug_file_by_build_id)
{
	begin_folder();
	make_program("one");
	by_build_id("one");
	check_program("/usr/bin/one", false);
}

TEST(debug_file_by_link)
{
	static const char *const places[] = {"usr/bin", "usr/bin/.debug", "usr/lib/debug/usr/bin"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(places); i++) {
		begin_folder();
		make_program("one");
		run("cd %s && objcopy --add-gnu-debuglink=one.debug root/usr/bin/one && mkdir -p root/%s && mv one.debug root/%s",
		    folder, places[i], places[i]);
		/* One of the name, but not the one that is meant: it is passed over. */
		if (i)
			run("cd %s && cp one root/usr/bin/one.debug && strip -d root/usr/bin/one.debug", folder);
		check_program("/usr/bin/one", false);
		clean();
	}
}

/* As debhelper's dh_dwz does it, with an absolute name; others have one that is relative to the debug file. */
static void share(const char *option)
{
	begin_folder();
	make_program("one");
	make_program("two");
	by_build_id("one");
	by_build_id("two");
	run("cd %s/root/usr/lib/debug && mkdir .dwz && dwz -L none -m .dwz/both.debug %s .build-id/*/*.debug && "
	    "readelf -SW .build-id/*/*.debug 2>/dev/null | grep -q gnu_debugaltlink", folder, option);
}

TEST(debug_files_that_share_another)
{
	share("-M /usr/lib/debug/.dwz/both.debug");
	check_program("/usr/bin/one", true);
	check_program("/usr/bin/two", true);
	/* Names and lines really come out of it: another one in its place is not taken. */
	run("cd %s && cp one root/usr/lib/debug/.dwz/both.debug", folder);
	{
		const struct dv_files_options options = {.sysroot = in_folder("root")};
		_cleanup_(dv_file_copy_deinit) struct dv_file_copy copy = {0};
		struct dv_error *complaint;
		struct dv_files *files;

		CHECK_OK(dv_files_open(&options, &files, &complaint));
		CHECK_OK(dv_files_copy(files, &(struct dv_file_name){.path = "/usr/bin/one"}, &copy));
		CHECK(copy.debug.len && !copy.alt.len && !copy.alt_build_id);
		dv_files_close(files);
	}
}

TEST(debug_files_that_share_another_by_a_relative_name)
{
	share("-r");
	check_program("/usr/bin/one", true);
}
