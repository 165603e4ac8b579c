/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file:	ELF header | .symtab | .strtab | .shstrtab | section headers
 *
 * with sections 0 (none), one for each run of symbols (SHT_NOBITS), then the three above.
 */
#include "symbols/elfwrite.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"

#define MAX_RUNS 4096
#define GAP_BYTES 4096 /* symbols that lie further apart are no neighbours: modules lie between others */

static const char names[] = "\0.text\0.data\0.symtab\0.strtab\0.shstrtab";
#define NAME_TEXT 1
#define NAME_DATA 7
#define NAME_SYMTAB 13
#define NAME_STRTAB 21
#define NAME_SHSTRTAB 29

static int by_vaddr(const void *a, const void *b)
{
	const struct dv_elf_symbol *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

struct output {
	struct dv_buf sections, symbols, strings;
	Elf64_Shdr run;
	size_t runs;
};

static void end_run(struct output *o)
{
	if (o->run.sh_type)
		dv_buf_append(&o->sections, &o->run, sizeof(o->run));
}

static void add(struct output *o, const struct dv_elf_symbol *s, uint64_t next_vaddr)
{
	uint64_t flags = s->is_function ? SHF_ALLOC | SHF_EXECINSTR : SHF_ALLOC | SHF_WRITE;
	uint64_t end = s->vaddr + (s->size_bytes ? s->size_bytes : 1);
	Elf64_Sym symbol = {.st_name = (Elf64_Word)o->strings.len,
			    .st_info = ELF64_ST_INFO(STB_GLOBAL, s->is_function ? STT_FUNC : STT_OBJECT),
			    .st_value = s->vaddr, .st_size = s->size_bytes};

	if (end > next_vaddr && next_vaddr > s->vaddr)
		end = next_vaddr;
	if ((!o->run.sh_type || o->run.sh_flags != flags || s->vaddr > o->run.sh_addr + o->run.sh_size + GAP_BYTES) &&
	    o->runs < MAX_RUNS) {
		end_run(o);
		o->run = (Elf64_Shdr){.sh_name = s->is_function ? NAME_TEXT : NAME_DATA, .sh_type = SHT_NOBITS,
				      .sh_flags = flags, .sh_addr = s->vaddr, .sh_offset = sizeof(Elf64_Ehdr),
				      .sh_addralign = 1};
		o->runs++;
	}
	if (end > o->run.sh_addr + o->run.sh_size)
		o->run.sh_size = end - o->run.sh_addr;
	symbol.st_shndx = (Elf64_Half)o->runs;
	dv_buf_append(&o->symbols, &symbol, sizeof(symbol));
	dv_buf_append(&o->strings, s->name, strlen(s->name) + 1);
}

static void finish(struct output *o, uint16_t machine, struct dv_buf *file)
{
	uint64_t at = sizeof(Elf64_Ehdr);
	Elf64_Shdr none = {0};
	Elf64_Shdr symtab = {.sh_name = NAME_SYMTAB, .sh_type = SHT_SYMTAB, .sh_offset = at,
			     .sh_size = o->symbols.len, .sh_link = (Elf64_Word)o->runs + 2, .sh_info = 1,
			     .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym)};
	Elf64_Shdr strtab = {.sh_name = NAME_STRTAB, .sh_type = SHT_STRTAB, .sh_offset = at + o->symbols.len,
			     .sh_size = o->strings.len, .sh_addralign = 1};
	Elf64_Shdr shstrtab = {.sh_name = NAME_SHSTRTAB, .sh_type = SHT_STRTAB,
			       .sh_offset = strtab.sh_offset + o->strings.len, .sh_size = sizeof(names), .sh_addralign = 1};
	Elf64_Ehdr head = {.e_type = ET_EXEC, .e_machine = machine, .e_version = EV_CURRENT,
			   .e_shoff = shstrtab.sh_offset + sizeof(names), .e_ehsize = sizeof(head),
			   .e_shentsize = sizeof(none), .e_shnum = (Elf64_Half)(o->runs + 4),
			   .e_shstrndx = (Elf64_Half)(o->runs + 3)};

	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	dv_buf_append(file, &head, sizeof(head));
	dv_buf_append(file, o->symbols.data, o->symbols.len);
	dv_buf_append(file, o->strings.data, o->strings.len);
	dv_buf_append(file, names, sizeof(names));
	dv_buf_append(file, &none, sizeof(none));
	dv_buf_append(file, o->sections.data, o->sections.len);
	dv_buf_append(file, &symtab, sizeof(symtab));
	dv_buf_append(file, &strtab, sizeof(strtab));
	dv_buf_append(file, &shstrtab, sizeof(shstrtab));
}

struct dv_error *dv_elf_write_symbols(const char *path, uint16_t machine, struct dv_elf_symbol *symbols,
				      size_t count)
{
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	struct output o = {0};
	Elf64_Sym none = {0};
	struct dv_error *err;

	if (count)
		qsort(symbols, count, sizeof(*symbols), by_vaddr);
	dv_buf_append(&o.symbols, &none, sizeof(none));
	dv_buf_append(&o.strings, "", 1);
	for (size_t i = 0; i < count; i++)
		add(&o, &symbols[i], i + 1 < count ? symbols[i + 1].vaddr : UINT64_MAX);
	end_run(&o);
	finish(&o, machine, &file);
	err = o.sections.failed || o.symbols.failed || o.strings.failed || file.failed ?
		      dv_error_no_memory() : dv_replace_file(path, file.data, file.len, 0600);
	dv_buf_deinit(&o.sections);
	dv_buf_deinit(&o.symbols);
	dv_buf_deinit(&o.strings);
	return err;
}
