/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of code: see where.h. */
#include "replay/where.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "guest/arch.h"
#include "replay/guestfiles.h"
#include "symbols/debugfiles.h"
#include "symbols/program.h"
#include "trace/reader.h"

#define MAX_ANSWERS 16

/* A kernel module or a user file that was asked of. */
struct image {
	const struct dv_trace_module *module;	 /* one of the two */
	const struct dv_trace_mapped_file *file;
	struct dv_program *program; /* NULL: there is none */
	char *missing;		    /* why there are no lines; NULL: there are */
};

struct dv_where {
	struct dv_trace_reader *reader; /* NULL: one ELF file */
	struct dv_recording *recording; /* NULL: a trace by itself */
	struct dv_debug_files *debug_files;
	struct dv_files *files; /* NULL: not yet opened */
	char *complaint;	/* a source of files that could not be opened */
	char *sysroot;
	struct dv_program *kernel; /* or the one ELF file; NULL: not yet opened */
	char *kernel_path;
	uint64_t slide;
	const struct dv_trace_module *modules;
	const struct dv_trace_mapping *mappings;
	size_t modules_len, mappings_len;
	struct image **images;
	size_t images_len, images_cap;
};

struct question {
	struct dv_where *w;
	const struct dv_where_filter *filter;
	dv_where_fn tell;
	void *context;
	size_t answers;
};

/* ---- opening ---- */

static bool is_elf(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char magic[4] = "";

	return file && fread(magic, 1, 4, file) == 4 && !memcmp(magic, "\177ELF", 4);
}

/* A trace that lies in a recording's folder is that recording's. */
static void find_recording(struct dv_where *w, const char *trace)
{
	const char *slash = strrchr(trace, '/');
	_cleanup_free_ char *folder = slash ? strndup(trace, (size_t)(slash - trace) + 1) : strdup(".");

	if (folder)
		dv_error_destroy(dv_recording_open(folder, &w->recording));
}

static struct dv_error *open_trace(struct dv_where *w, const char *path)
{
	const struct dv_trace_metadata *m;

	DV_TRY(dv_trace_reader_open(path, &w->reader));
	m = dv_trace_reader_metadata(w->reader);
	for (size_t i = 0; i < m->note_count; i++) {
		if (!strcmp(m->notes[i].key, "kaslr_slide"))
			w->slide = strtoull(m->notes[i].value, NULL, 0);
	}
	DV_TRY(dv_trace_reader_modules(w->reader, &w->modules, &w->modules_len));
	return dv_trace_reader_mappings(w->reader, &w->mappings, &w->mappings_len);
}

static struct dv_error *open_subject(struct dv_where *w, const char *subject)
{
	_cleanup_free_ char *trace = NULL;
	struct stat st;

	if (stat(subject, &st))
		return dv_error_os(errno, "%s", subject);
	if (S_ISREG(st.st_mode) && is_elf(subject)) {
		w->kernel_path = strdup(subject);
		return w->kernel_path ? dv_program_open(subject, NULL, NULL, &w->kernel) : dv_error_no_memory();
	}
	if (!S_ISDIR(st.st_mode)) {
		find_recording(w, subject);
		return open_trace(w, subject);
	}
	DV_TRY(dv_recording_open(subject, &w->recording));
	trace = dv_path_join(subject, DV_RECORDING_TRACE);
	return trace ? open_trace(w, trace) : dv_error_no_memory();
}

struct dv_error *dv_where_open(const struct dv_where_options *options, struct dv_where **ret)
{
	_cleanup_(dv_where_closep) struct dv_where *w = calloc(1, sizeof(*w));

	if (!w)
		return dv_error_no_memory();
	if (options->sysroot && access(options->sysroot, R_OK | X_OK))
		return dv_error_os(errno, "--sysroot %s", options->sysroot);
	w->sysroot = options->sysroot ? strdup(options->sysroot) : NULL;
	DV_TRY(open_subject(w, options->subject));
	DV_TRY(dv_debug_files_create(options->debug_info,
				     w->reader ? dv_trace_reader_metadata(w->reader)->kernel_banner : NULL, &w->debug_files));
	*ret = dv_steal(w);
	return NULL;
}

void dv_where_close(struct dv_where *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->images_len; i++) {
		dv_program_destroy(w->images[i]->program);
		free(w->images[i]->missing);
		free(w->images[i]);
	}
	free(w->images);
	dv_program_destroy(w->kernel);
	dv_files_close(w->files);
	dv_debug_files_destroy(w->debug_files);
	dv_trace_reader_close(w->reader);
	dv_recording_destroy(w->recording);
	free(w->complaint);
	free(w->sysroot);
	free(w->kernel_path);
	free(w);
}

/* ---- programs ---- */

static struct dv_error *open_kernel(struct dv_where *w)
{
	const struct dv_trace_metadata *m;

	if (w->kernel)
		return NULL;
	m = dv_trace_reader_metadata(w->reader);
	if (!w->kernel_path)
		w->kernel_path = dv_debug_files_kernel(w->debug_files, m->kernel_build_id);
	if (!w->kernel_path)
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "no debug information here for the kernel (build id %s): give --debug-info VMLINUX or a "
				    "folder with it, or install its debug package (Debian: linux-image-VERSION-dbg)",
				    m->kernel_build_id ? m->kernel_build_id : "not known");
	return dv_program_open(w->kernel_path, m->kernel_build_id, NULL, &w->kernel);
}

static struct dv_error *open_module(struct dv_where *w, struct image *image)
{
	const struct dv_trace_module *m = image->module;
	_cleanup_free_ char *path = dv_debug_files_module(w->debug_files, m->name, m->build_id);
	const struct dv_module_place place = {m->base_vaddr, m->size_bytes, m->init_vaddr, m->init_size_bytes};

	if (path)
		return dv_program_open(path, m->build_id, &place, &image->program);
	return dv_error_new(DV_ERROR_NOT_FOUND, "no debug information here for module %s (build id %s): give --debug-info "
			    "FOLDER, or install its debug package", m->name, m->build_id ? m->build_id : "not known");
}

static struct dv_error *open_files(struct dv_where *w)
{
	const struct dv_trace_metadata *m = dv_trace_reader_metadata(w->reader);
	const char *folder = dv_debug_files_folder(w->debug_files);
	struct dv_error *complaint = NULL, *err;

	if (w->recording)
		err = dv_guest_files_open(w->recording, w->sysroot, folder, &w->files, &complaint);
	else
		err = dv_guest_files_of_command(m->command, m->directory, w->sysroot, folder, &w->files, &complaint);
	if (complaint)
		w->complaint = strdup(complaint->message);
	dv_error_destroy(complaint);
	return err;
}

static struct dv_error *open_file(struct dv_where *w, struct image *image)
{
	const struct dv_trace_mapped_file *is = image->file;
	const struct dv_file_name name = {is->path, is->device, is->inode};
	_cleanup_(dv_file_copy_deinit) struct dv_file_copy copy = {0};

	if (!is->path || is->path[0] != '/')
		return dv_error_new(DV_ERROR_NOT_FOUND, "it is no file");
	if (!w->files)
		DV_TRY(open_files(w));
	DV_TRY(dv_files_copy(w->files, &name, &copy));
	if (!copy.bytes.len)
		return dv_error_new(DV_ERROR_NOT_FOUND, "the file is in none of the guest's images here%s%s: give --sysroot DIR",
				    w->complaint ? "; " : "", w->complaint ? w->complaint : "");
	DV_TRY(dv_program_take(&copy, is->build_id, &image->program));
	if (dv_program_dwarf(image->program))
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND, "it has no debug information, nor is there a debug file of build id %s",
			    is->build_id ? is->build_id : "(not known)");
}

/* What cannot be opened is an image too, and says why there are no lines. */
static struct dv_error *image_of(struct dv_where *w, const struct dv_trace_module *module,
				 const struct dv_trace_mapped_file *file, const struct image **ret)
{
	struct dv_error *err;
	struct image *image;

	for (size_t i = 0; i < w->images_len; i++) {
		image = w->images[i];
		if (image->module == module && image->file == file) {
			*ret = image;
			return NULL;
		}
	}
	if (w->images_len == w->images_cap) {
		size_t cap = w->images_cap ? w->images_cap * 2 : 16;
		struct image **images = reallocarray(w->images, cap, sizeof(*images));

		if (!images)
			return dv_error_no_memory();
		w->images = images;
		w->images_cap = cap;
	}
	image = calloc(1, sizeof(*image));
	if (!image)
		return dv_error_no_memory();
	*image = (struct image){.module = module, .file = file};
	w->images[w->images_len++] = image;
	err = module ? open_module(w, image) : open_file(w, image);
	if (err)
		image->missing = strdup(err->message);
	dv_error_destroy(err);
	*ret = image;
	return NULL;
}

/* ---- answers ---- */

static void tell(struct question *q, struct dv_program *program, struct dv_where_answer *a)
{
	const struct dv_symbol *symbol;
	struct dv_dwarf *dwarf;

	if (program) {
		symbol = dv_object_function_at(dv_program_object(program), a->file_vaddr);
		dwarf = dv_program_dwarf(program);
		a->function = symbol ? symbol->name : NULL;
		a->offset_bytes = symbol ? a->file_vaddr - symbol->vaddr : a->offset_bytes;
		a->frame_count = dwarf ? dv_dwarf_where(dwarf, a->file_vaddr, a->frames) : 0;
	}
	q->answers++;
	q->tell(q->context, a);
}

static void tell_kernel(struct question *q, uint64_t file_vaddr)
{
	struct dv_where_answer a = {.vaddr = file_vaddr + q->w->slide, .file_vaddr = file_vaddr, .offset_bytes = file_vaddr};

	tell(q, q->w->kernel, &a);
}

static void tell_module(struct question *q, const struct image *image, uint64_t vaddr)
{
	struct dv_where_answer a = {.vaddr = vaddr, .file_vaddr = vaddr, .module = image->module->name,
				    .offset_bytes = vaddr - image->module->base_vaddr, .missing = image->missing};

	tell(q, image->program, &a);
}

static void tell_file(struct question *q, const struct image *image, uint64_t file_vaddr)
{
	struct dv_where_answer a = {.vaddr = file_vaddr, .file_vaddr = file_vaddr, .module = image->file->path,
				    .offset_bytes = file_vaddr, .missing = image->missing};

	tell(q, image->program, &a);
}

/* ---- addresses ---- */

static bool is_in(uint64_t vaddr, uint64_t start, uint64_t bytes)
{
	return vaddr >= start && vaddr - start < bytes;
}

/* The youngest module that has the address: that of before is gone. */
static const struct dv_trace_module *module_at(const struct question *q, uint64_t vaddr)
{
	const struct dv_trace_module *found = NULL;

	for (size_t i = 0; i < q->w->modules_len; i++) {
		const struct dv_trace_module *m = &q->w->modules[i];

		if ((is_in(vaddr, m->base_vaddr, m->size_bytes) || is_in(vaddr, m->init_vaddr, m->init_size_bytes)) &&
		    (!q->filter->has_icount || dv_trace_module_is_at(m, q->filter->icount)))
			found = m;
	}
	return found;
}

static struct dv_error *ask_kernel_address(struct question *q, uint64_t vaddr)
{
	const struct dv_trace_module *module = module_at(q, vaddr);
	const struct image *image;

	if (module) {
		DV_TRY(image_of(q->w, module, NULL, &image));
		tell_module(q, image, vaddr);
		return NULL;
	}
	DV_TRY(open_kernel(q->w));
	tell_kernel(q, vaddr - q->w->slide);
	return NULL;
}

/* A file and an offset in it, for all processes that have it at the address. */
struct user_place {
	const struct dv_trace_mapped_file *file;
	uint64_t offset;
	int32_t pids[DV_WHERE_MAX_PIDS];
	size_t pid_count;
};

static void add_pid(struct user_place *place, int32_t pid)
{
	for (size_t i = 0; i < place->pid_count; i++) {
		if (place->pids[i] == pid)
			return;
	}
	if (place->pid_count < DV_WHERE_MAX_PIDS)
		place->pids[place->pid_count++] = pid;
}

static size_t find_user_places(const struct question *q, uint64_t vaddr, struct user_place places[MAX_ANSWERS])
{
	size_t count = 0, at;

	for (size_t i = 0; i < q->w->mappings_len; i++) {
		const struct dv_trace_mapping *m = &q->w->mappings[i];
		uint64_t offset = vaddr - m->start_vaddr + m->offset_bytes;

		if (vaddr < m->start_vaddr || vaddr >= m->end_vaddr || !m->file ||
		    (q->filter->pid && q->filter->pid != m->tgid) ||
		    (q->filter->has_icount && !dv_trace_mapping_is_at(m, q->filter->icount)))
			continue;
		for (at = 0; at < count && !(places[at].file == m->file && places[at].offset == offset); at++)
			;
		if (at == MAX_ANSWERS)
			continue;
		if (at == count)
			places[count++] = (struct user_place){.file = m->file, .offset = offset};
		add_pid(&places[at], m->tgid);
	}
	return count;
}

static struct dv_error *tell_user_place(struct question *q, uint64_t vaddr, const struct user_place *place)
{
	struct dv_where_answer a = {.vaddr = vaddr, .file_vaddr = place->offset, .module = place->file->path,
				    .pid_count = place->pid_count};
	const struct image *image;

	DV_TRY(image_of(q->w, NULL, place->file, &image));
	if (image->program)
		dv_object_vaddr(dv_program_object(image->program), place->offset, &a.file_vaddr);
	a.offset_bytes = a.file_vaddr;
	a.missing = image->missing;
	memcpy(a.pids, place->pids, sizeof(a.pids));
	tell(q, image->program, &a);
	return NULL;
}

static struct dv_error *ask_user_address(struct question *q, uint64_t vaddr)
{
	struct user_place places[MAX_ANSWERS];
	size_t count = find_user_places(q, vaddr, places);

	for (size_t i = 0; i < count; i++)
		DV_TRY(tell_user_place(q, vaddr, &places[i]));
	if (count)
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND, "0x%" PRIx64 ": no process%s had code there%s", vaddr,
			    q->filter->pid ? " of that pid" : "", q->filter->has_icount ? " then" : "");
}

static struct dv_error *ask_address(struct question *q, const char *text)
{
	uint64_t vaddr;
	char *end;

	errno = 0;
	vaddr = strtoull(text, &end, 16);
	if (*end || errno)
		return dv_error_new(DV_ERROR_INVALID, "'%s' is no address", text);
	if (!q->w->reader)
		tell_kernel(q, vaddr);
	else if (dv_is_kernel_vaddr(vaddr))
		return ask_kernel_address(q, vaddr);
	else
		return ask_user_address(q, vaddr);
	return NULL;
}

/* ---- names ---- */

/* "[MODULE] FUNCTION+OFFSET" in pieces. */
struct name {
	char *module;	/* NULL: none given */
	char *function; /* "" with a module: its start */
	uint64_t offset;
	bool has_offset;
};

static void name_deinit(struct name *name)
{
	free(name->module);
	free(name->function);
}

static struct dv_error *parse_name(const char *text, struct name *ret)
{
	const char *rest = text, *plus, *colon;
	char *end = NULL;

	if (*text == '[') {
		rest = strchr(text, ']');
		if (!rest)
			return dv_error_new(DV_ERROR_INVALID, "'%s' is no place: a ] is missing", text);
		rest++;
		ret->module = strndup(text + 1, (size_t)(rest - text) - 2);
		rest += strspn(rest, " ");
	} else if ((colon = strchr(text, ':')) && colon != text && colon[1] != ':') {
		ret->module = strndup(text, (size_t)(colon - text));
		rest = colon + 1;
	}
	plus = strrchr(rest, '+');
	if (plus && plus[1] >= '0' && plus[1] <= '9') {
		errno = 0;
		ret->offset = strtoull(plus + 1, &end, 0);
		if (*end || errno)
			return dv_error_new(DV_ERROR_INVALID, "'%s': '%s' is no offset", text, plus + 1);
		ret->has_offset = true;
		ret->function = strndup(rest, (size_t)(plus - rest));
	} else {
		ret->function = strdup(rest);
	}
	return ret->function && (ret->module || *text != '[') ? NULL : dv_error_no_memory();
}

static const struct dv_symbol *symbol_in(const struct dv_program *program, const char *function)
{
	return program ? dv_symtab_find(dv_object_symtab(dv_program_object(program)), function) : NULL;
}

static bool is_file_name(const struct dv_trace_mapped_file *file, const char *name)
{
	const char *slash = strrchr(file->path, '/');

	/* "[vdso]" is asked for as "[vdso]+0x10". */
	if (file->path[0] == '[')
		return strlen(file->path) == strlen(name) + 2 && !strncmp(file->path + 1, name, strlen(name));
	return !strcmp(file->path, name) || (slash && !strcmp(slash + 1, name));
}

/* One that was loaded again at its old place is told once. */
static bool is_loaded_again(const struct question *q, const struct dv_trace_module *m)
{
	for (const struct dv_trace_module *before = q->w->modules; before < m; before++) {
		if (before->base_vaddr == m->base_vaddr && before->init_vaddr == m->init_vaddr &&
		    !strcmp(before->name, m->name) && before->build_id && m->build_id &&
		    !strcmp(before->build_id, m->build_id) &&
		    (!q->filter->has_icount || dv_trace_module_is_at(before, q->filter->icount)))
			return true;
	}
	return false;
}

/* name: of one module, NULL: of any. */
static struct dv_error *ask_modules(struct question *q, const char *module, const struct name *name)
{
	for (size_t i = 0; i < q->w->modules_len && q->answers < MAX_ANSWERS; i++) {
		const struct dv_trace_module *m = &q->w->modules[i];
		const struct dv_symbol *symbol;
		const struct image *image;

		if ((module && strcmp(m->name, module)) ||
		    (q->filter->has_icount && !dv_trace_module_is_at(m, q->filter->icount)) || is_loaded_again(q, m))
			continue;
		DV_TRY(image_of(q->w, m, NULL, &image));
		symbol = symbol_in(image->program, name->function);
		if (symbol)
			tell_module(q, image, symbol->vaddr + name->offset);
		else if (module && !*name->function && name->has_offset)
			tell_module(q, image, m->base_vaddr + name->offset);
		else if (module && !image->program)
			return dv_error_new(DV_ERROR_NOT_FOUND, "%s", image->missing);
	}
	return NULL;
}

/* The same file may be mapped from the initramfs and from the disk: it is told once. */
static bool is_again(const struct question *q, uint32_t id, const struct dv_trace_mapped_file *file)
{
	for (uint32_t before = 1; before < id; before++) {
		const struct dv_trace_mapped_file *f = dv_trace_reader_mapped_file(q->w->reader, before);

		if (f && f->path && f->build_id && file->build_id && !strcmp(f->path, file->path) &&
		    !strcmp(f->build_id, file->build_id))
			return true;
	}
	return false;
}

/* file: its name or path, NULL: any. Of FILE+OFFSET the offset is an address of the file's. */
static struct dv_error *ask_files(struct question *q, const char *file, const struct name *name)
{
	for (uint32_t id = 1; id <= DV_FILE_KEY_MAX_ID && q->answers < MAX_ANSWERS; id++) {
		const struct dv_trace_mapped_file *f = dv_trace_reader_mapped_file(q->w->reader, id);
		const struct dv_symbol *symbol;
		const struct image *image;

		if (!f || !f->path || (file && !is_file_name(f, file)) || is_again(q, id, f))
			continue;
		DV_TRY(image_of(q->w, NULL, f, &image));
		symbol = symbol_in(image->program, name->function);
		if (symbol)
			tell_file(q, image, symbol->vaddr + name->offset);
		else if (file && name->has_offset && (!*name->function || !name->module))
			tell_file(q, image, name->offset);
		else if (file && !image->program)
			return dv_error_new(DV_ERROR_NOT_FOUND, "%s: %s", f->path, image->missing);
	}
	return NULL;
}

static struct dv_error *ask_in_module(struct question *q, const struct name *name)
{
	DV_TRY(ask_modules(q, name->module, name));
	if (!q->answers)
		DV_TRY(ask_files(q, name->module, name));
	if (q->answers)
		return NULL;
	return dv_error_new(DV_ERROR_NOT_FOUND, "no %s%s%s in a module or file '%s' that the guest had",
			    *name->function ? "function '" : "such place", name->function, *name->function ? "'" : "",
			    name->module);
}

/* The kernel's, else a file's as it is shown where it has no name, else modules', else anybody's. */
static struct dv_error *ask_anywhere(struct question *q, const struct name *name)
{
	struct dv_error *no_kernel = q->w->kernel ? NULL : open_kernel(q->w);
	const struct dv_symbol *symbol = no_kernel ? NULL : symbol_in(q->w->kernel, name->function);
	struct dv_error *err = NULL;

	if (no_kernel && no_kernel->code == DV_ERROR_MISMATCH)
		return no_kernel;
	if (symbol)
		tell_kernel(q, symbol->vaddr + name->offset);
	if (!q->answers && q->w->reader && name->has_offset)
		err = ask_files(q, name->function, name);
	if (!err && !q->answers && q->w->reader)
		err = ask_modules(q, NULL, name);
	if (!err && !q->answers && q->w->reader)
		err = ask_files(q, NULL, name);
	if (err || q->answers) {
		dv_error_destroy(no_kernel);
		return err;
	}
	if (no_kernel)
		return dv_error_prefix(no_kernel, "no function '%s' in modules and programs, and the kernel's are not known", name->function);
	return dv_error_new(DV_ERROR_NOT_FOUND, "no function '%s' in %s%s (addresses begin with 0x)", name->function,
			    q->w->kernel_path, q->w->reader ? ", nor in modules and programs" : "");
}

struct dv_error *dv_where_ask(struct dv_where *w, const char *query, const struct dv_where_filter *filter,
			      dv_where_fn tell_fn, void *context)
{
	struct question q = {.w = w, .filter = filter, .tell = tell_fn, .context = context};
	_cleanup_(name_deinit) struct name name = {0};

	if (!strncmp(query, "0x", 2) || !strncmp(query, "0X", 2))
		return ask_address(&q, query);
	DV_TRY(parse_name(query, &name));
	return name.module && w->reader ? ask_in_module(&q, &name) : ask_anywhere(&q, &name);
}
