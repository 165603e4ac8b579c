/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.def as arrays. */
#include "query/vtab.h"

#define TABLE(symbol, source, name, arguments, doc) static const struct dv_sql_column_doc docs_##symbol[] = {
#define COLUMN(name, type, value, doc) {name, type, doc},
#define END {0}};
#include "query/tables.def"
#undef TABLE
#undef COLUMN
#undef END

#define TABLE(symbol, source, name, arguments, doc) static const uint8_t values_##symbol[] = {
#define COLUMN(name, type, value, doc) value,
#define END };
#include "query/tables.def"
#undef TABLE
#undef COLUMN
#undef END

#define COLUMN(name, type, value, doc)
#define END
static const struct dv_sql_table_doc docs[] = {
#define TABLE(symbol, source, name, arguments, doc) {name, arguments, doc, docs_##symbol},
#include "query/tables.def"
#undef TABLE
};

enum {
#define TABLE(symbol, source, name, arguments, doc) TABLE_##symbol,
#include "query/tables.def"
#undef TABLE
};

const struct table_def table_defs[] = {
#define TABLE(symbol, source, name, arguments, doc) \
	{&docs[TABLE_##symbol], values_##symbol, DV_ARRAY_SIZE(values_##symbol), source},
#include "query/tables.def"
#undef TABLE
};
#undef COLUMN
#undef END
const size_t table_def_count = DV_ARRAY_SIZE(table_defs);

const struct dv_sql_table_doc *dv_sql_tables(size_t *ret_count)
{
	*ret_count = DV_ARRAY_SIZE(docs);
	return docs;
}
