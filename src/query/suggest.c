/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that are nearly right: see suggest.h. */
#include "query/suggest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "query/query.h"

#define MAX_NAME 64u

/* How many letters must be put in, left out or changed to get from one to the other; UINT32_MAX of long ones. */
static uint32_t distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	uint32_t row[MAX_NAME + 1];

	if (rows > MAX_NAME || columns > MAX_NAME)
		return UINT32_MAX;
	for (uint32_t i = 0; i <= columns; i++)
		row[i] = i;
	for (uint32_t r = 1; r <= rows; r++) {
		uint32_t diagonal = row[0];

		row[0] = r;
		for (uint32_t i = 1; i <= columns; i++) {
			uint32_t changed = diagonal + (tolower((unsigned char)a[r - 1]) != tolower((unsigned char)b[i - 1]));
			uint32_t least = row[i] < row[i - 1] ? row[i] + 1 : row[i - 1] + 1;

			diagonal = row[i];
			row[i] = changed < least ? changed : least;
		}
	}
	return row[columns];
}

struct nearest {
	const char *asked, *name;
	uint32_t distance;
};

/* At most a third of the letters may be wrong. */
static struct nearest nearest_to(const char *asked)
{
	return (struct nearest){asked, NULL, (uint32_t)(strlen(asked) + 2) / 3 + 1};
}

static void try_name(struct nearest *n, const char *name)
{
	uint32_t d = distance(n->asked, name);

	if (d < n->distance) {
		n->distance = d;
		n->name = name;
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool names_table(const char *statement, const char *table)
{
	size_t len = strlen(table);

	for (const char *at = statement; (at = strcasestr(at, table)); at++) {
		if ((at == statement || !is_word(at[-1])) && !is_word(at[len]))
			return true;
	}
	return false;
}

struct dv_error *suggest_error(const char *message, const char *statement)
{
	static const char no_table[] = "no such table: ", no_column[] = "no such column: ";
	bool of_table = !strncmp(message, no_table, strlen(no_table));
	bool of_column = !strncmp(message, no_column, strlen(no_column));
	const char *asked = message + (of_table ? strlen(no_table) : strlen(no_column)), *dot;
	const struct dv_sql_table_doc *tables;
	struct nearest nearest;
	size_t count;

	if (!of_table && !of_column)
		return dv_error_new(DV_ERROR_INVALID, "%s", message);
	dot = strrchr(asked, '.');
	nearest = nearest_to(dot ? dot + 1 : asked);
	tables = dv_sql_tables(&count);
	for (size_t t = 0; t < count; t++) {
		if (of_table)
			try_name(&nearest, tables[t].name);
		else if (names_table(statement, tables[t].name))
			for (const struct dv_sql_column_doc *c = tables[t].columns; c->name; c++)
				try_name(&nearest, c->name);
	}
	if (nearest.name)
		return dv_error_new(DV_ERROR_INVALID, "%s; is it %s?", message, nearest.name);
	return dv_error_new(DV_ERROR_INVALID, "%s; there are those of the table %s", message,
			    of_table ? "dv_tables" : "dv_columns");
}
