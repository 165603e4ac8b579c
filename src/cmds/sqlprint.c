/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of SQL as text: see sqlprint.h. */
#include "cmds/sqlprint.h"

#include <inttypes.h>
#include <string.h>
#include "base/buf.h"

#define TABLE_ROWS 1000 /* widths come from the first rows; what follows may stick out */
#define MAX_COLUMN_WIDTH 80

/* CSV */

static void put_quoted(FILE *to, const char *text, size_t len)
{
	putc('"', to);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			putc('"', to);
		putc(text[i], to);
	}
	putc('"', to);
}

static void put_csv(FILE *to, const struct dv_sql_value *v)
{
	switch (v->type) {
	case DV_SQL_INTEGER:
		fprintf(to, "%" PRId64, v->integer);
		break;
	case DV_SQL_REAL:
		fprintf(to, "%f", v->real);
		break;
	case DV_SQL_TEXT:
		put_quoted(to, v->text, v->len);
		break;
	case DV_SQL_BLOB:
		fputs("\"<raw bytes>\"", to);
		break;
	default:
		fputs("\"[NULL]\"", to);
	}
}

static struct dv_error *print_csv(FILE *to, struct dv_sql_statement *st, uint64_t *rows)
{
	int columns = dv_sql_column_count(st);
	bool row;

	for (int i = 0; i < columns; i++) {
		fputs(i ? "," : "", to);
		put_quoted(to, dv_sql_column_name(st, i), strlen(dv_sql_column_name(st, i)));
	}
	if (columns)
		putc('\n', to);
	for (;; (*rows)++) {
		DV_TRY(dv_sql_step(st, &row));
		if (!row)
			return NULL;
		for (int i = 0; i < columns; i++) {
			struct dv_sql_value value = dv_sql_column(st, i);

			fputs(i ? "," : "", to);
			put_csv(to, &value);
		}
		putc('\n', to);
	}
}

/* JSON */

static void put_json_string(FILE *to, const char *text, size_t len)
{
	putc('"', to);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 0x20)
			fprintf(to, "\\u%04x", c);
		else
			putc(c, to);
	}
	putc('"', to);
}

static void put_json(FILE *to, const struct dv_sql_value *v)
{
	switch (v->type) {
	case DV_SQL_INTEGER:
		fprintf(to, "%" PRId64, v->integer);
		break;
	case DV_SQL_REAL:
		/* JSON knows no infinity. */
		fprintf(to, __builtin_isfinite(v->real) ? "%.17g" : "null", v->real);
		break;
	case DV_SQL_TEXT:
		put_json_string(to, v->text, v->len);
		break;
	case DV_SQL_BLOB:
		putc('"', to);
		for (size_t i = 0; i < v->len; i++)
			fprintf(to, "%02x", (unsigned char)v->text[i]);
		putc('"', to);
		break;
	default:
		fputs("null", to);
	}
}

static struct dv_error *print_json(FILE *to, struct dv_sql_statement *st, uint64_t *rows)
{
	int columns = dv_sql_column_count(st);
	bool row;

	for (;; (*rows)++) {
		DV_TRY(dv_sql_step(st, &row));
		if (!columns)
			return NULL;
		fputs(!*rows ? row ? "[\n" : "[" : row ? ",\n" : "\n", to);
		if (!row) {
			fputs("]\n", to);
			return NULL;
		}
		for (int i = 0; i < columns; i++) {
			struct dv_sql_value value = dv_sql_column(st, i);

			fputs(i ? ", " : "{", to);
			put_json_string(to, dv_sql_column_name(st, i), strlen(dv_sql_column_name(st, i)));
			fputs(": ", to);
			put_json(to, &value);
		}
		putc('}', to);
	}
}

/* Tables for people */

struct text_table {
	char **cells; /* row by row, the names first; owned */
	bool *right;  /* by column: numbers */
	int *widths;  /* in letters */
	int columns;
	size_t rows, cap;
};

/* Letters of UTF-8, which is how wide they are as a rule. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static char *cell_text(const struct dv_sql_value *v)
{
	char *text = NULL;
	int bad = 0;

	if (v->type == DV_SQL_INTEGER)
		bad = asprintf(&text, "%" PRId64, v->integer);
	else if (v->type == DV_SQL_REAL)
		bad = asprintf(&text, "%.6g", v->real);
	else if (v->type == DV_SQL_BLOB)
		bad = asprintf(&text, "<%zu bytes>", v->len);
	else
		text = strdup(v->type == DV_SQL_TEXT ? v->text : "NULL");
	if (bad < 0)
		return NULL;
	for (char *c = text; c && *c; c++) {
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	}
	return text;
}

static bool add_cell(struct text_table *t, int column, char *text)
{
	size_t at = t->rows * (size_t)t->columns + (size_t)column;
	int width;

	if (at >= t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 256;
		char **cells = realloc(t->cells, cap * sizeof(*cells));

		if (!cells) {
			free(text);
			return false;
		}
		memset(cells + t->cap, 0, (cap - t->cap) * sizeof(*cells));
		t->cells = cells;
		t->cap = cap;
	}
	if (!text)
		return false;
	t->cells[at] = text;
	width = width_of(text);
	if (width > t->widths[column])
		t->widths[column] = width < MAX_COLUMN_WIDTH ? width : MAX_COLUMN_WIDTH;
	return true;
}

static void put_cell(FILE *to, const struct text_table *t, int column, const char *text)
{
	int pad = t->widths[column] - width_of(text);
	bool last = column == t->columns - 1;

	fputs(column ? "  " : "", to);
	if (t->right[column])
		fprintf(to, "%*s%s", pad > 0 ? pad : 0, "", text);
	else
		fprintf(to, "%s%*s", text, pad > 0 && !last ? pad : 0, "");
}

static void put_rows(FILE *to, struct text_table *t, bool with_names)
{
	for (size_t r = 0; r < t->rows; r++) {
		for (int c = 0; c < t->columns; c++) {
			char **cell = &t->cells[r * (size_t)t->columns + (size_t)c];

			put_cell(to, t, c, *cell);
			free(*cell);
			*cell = NULL;
		}
		putc('\n', to);
		for (int c = 0; !r && with_names && c < t->columns; c++) {
			fputs(c ? "  " : "", to);
			for (int i = 0; i < t->widths[c]; i++)
				fputs("─", to);
		}
		if (!r && with_names)
			putc('\n', to);
	}
	t->rows = 0;
}

static struct dv_error *fill_table(FILE *to, struct dv_sql_statement *st, struct text_table *t, uint64_t *rows)
{
	bool row, with_names = true;

	for (int i = 0; i < t->columns; i++) {
		if (!add_cell(t, i, strdup(dv_sql_column_name(st, i))))
			return dv_error_no_memory();
	}
	t->rows = 1;
	for (;; (*rows)++) {
		DV_TRY(dv_sql_step(st, &row));
		if (!row)
			break;
		for (int i = 0; i < t->columns; i++) {
			struct dv_sql_value value = dv_sql_column(st, i);

			if (!*rows)
				t->right[i] = value.type == DV_SQL_INTEGER || value.type == DV_SQL_REAL;
			if (!add_cell(t, i, cell_text(&value)))
				return dv_error_no_memory();
		}
		t->rows++;
		if (t->rows >= TABLE_ROWS) {
			put_rows(to, t, with_names);
			with_names = false;
		}
	}
	put_rows(to, t, with_names);
	return NULL;
}

static struct dv_error *print_table(FILE *to, struct dv_sql_statement *st, uint64_t *rows)
{
	struct text_table t = {.columns = dv_sql_column_count(st)};
	struct dv_error *err = NULL;
	bool row;

	if (!t.columns)
		return dv_sql_step(st, &row);
	t.right = calloc((size_t)t.columns, sizeof(*t.right));
	t.widths = calloc((size_t)t.columns, sizeof(*t.widths));
	err = t.right && t.widths ? fill_table(to, st, &t, rows) : dv_error_no_memory();
	for (size_t i = 0; i < t.cap; i++)
		free(t.cells[i]);
	free(t.cells);
	free(t.right);
	free(t.widths);
	return err;
}

struct dv_error *dv_sql_print(FILE *to, struct dv_sql_statement *st, enum dv_sql_format format, uint64_t *ret_rows)
{
	*ret_rows = 0;
	if (format == DV_SQL_JSON)
		return print_json(to, st, ret_rows);
	return format == DV_SQL_TABLE ? print_table(to, st, ret_rows) : print_csv(to, st, ret_rows);
}

char *dv_sql_point_at(const char *text, size_t offset)
{
	size_t first = offset, end = offset;
	struct dv_buf out = DV_BUF_INIT;
	int line = 1;

	while (first && text[first - 1] != '\n')
		first--;
	while (text[end] && text[end] != '\n')
		end++;
	for (size_t i = 0; i < first; i++)
		line += text[i] == '\n';
	dv_buf_printf(&out, "line %d: %.*s\n", line, (int)(end - first), text + first);
	dv_buf_printf(&out, "     %*s ", line < 10 ? 1 : line < 100 ? 2 : 3, "");
	for (size_t i = first; i < offset; i++) {
		if (text[i] == '\t')
			dv_buf_append(&out, "\t", 1);
		else if (((unsigned char)text[i] & 0xc0) != 0x80)
			dv_buf_append(&out, " ", 1);
	}
	dv_buf_printf(&out, " ^");
	return dv_buf_steal_string(&out);
}
