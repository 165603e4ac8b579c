/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints docs/sql.md from the definition of the tables: `sql-docs > docs/sql.md`; a test compares them. */
#include <stdio.h>
#include <string.h>
#include "query/query.h"

static void print_table(const struct dv_sql_table_doc *table)
{
	printf("\n### %s", table->name);
	if (table->arguments)
		printf("(%s)", table->arguments);
	printf("\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n", table->doc);
	for (const struct dv_sql_column_doc *c = table->columns; c->name; c++)
		printf("| %s | %s | %s |\n", c->name, c->type, c->doc);
}

int main(void)
{
	size_t count;
	const struct dv_sql_table_doc *tables = dv_sql_tables(&count);

	puts("# What SQL has\n\n"
	     "`dejaview query`, the viewer and editors ask a trace in SQLite's SQL. The tables have the names, columns\n"
	     "and meaning of Perfetto's trace processor, and there are some more. This page is made from\n"
	     "`src/query/tables.def`, as are the tables `dv_tables` and `dv_columns`.\n\n"
	     "Types: an `id` is a row of some table; an `icount` is an instruction count of the guest (nanoseconds in\n"
	     "other traces), where it happened or how many. Ids and utids are of one trace; what names a call in all\n"
	     "traces of a recording is its start, thread and depth.\n\n"
	     "Fast are conditions on `slice` (and `call`, `thread_slice`) of `id`, `ts`, `track_id`, `depth`, `parent_id`,\n"
	     "`name` (`=` and `glob`), `function_id` and `dur`, and the orders by `id`, `ts` and `name`.");
	puts("\n## Tables");
	for (size_t i = 0; i < count; i++) {
		if (!tables[i].arguments)
			print_table(&tables[i]);
	}
	puts("\n## Table functions\n\nArguments come in brackets, `from callers('vfs_read')`; those that may be left out are said so.");
	for (size_t i = 0; i < count; i++) {
		if (tables[i].arguments)
			print_table(&tables[i]);
	}
	return 0;
}
