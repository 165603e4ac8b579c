/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLite's virtual tables (sqlite.org/vtab.html), the part that all tables share. All are eponymous: there
 * from the start, and with hidden columns for arguments they are table functions.
 */
#include "query/vtab.h"

#include <string.h>

static const struct source_ops *ops_of(const struct table *t)
{
	if (t->def->source <= SOURCE_STACK_AT)
		return &slice_ops;
	return t->def->source <= SOURCE_DV_COLUMNS ? &row_ops : &made_ops;
}

/* Errors */

int table_errorf(struct table *t, const char *format, ...)
{
	va_list ap;

	sqlite3_free(t->base.zErrMsg);
	va_start(ap, format);
	t->base.zErrMsg = sqlite3_vmprintf(format, ap);
	va_end(ap);
	return SQLITE_ERROR;
}

int table_error(struct table *t, struct dv_error *err)
{
	int rc = err->code == DV_ERROR_NO_MEMORY ? SQLITE_NOMEM :
		 err->code == DV_ERROR_CANCELLED ? SQLITE_INTERRUPT :
						   table_errorf(t, "%s", err->message);

	dv_error_destroy(err);
	return rc;
}

/* Results */

void result_string(sqlite3_context *ctx, const char *string)
{
	if (string)
		sqlite3_result_text(ctx, string, -1, SQLITE_STATIC);
	else
		sqlite3_result_null(ctx);
}

void result_row(sqlite3_context *ctx, uint32_t row)
{
	if (row == DV_QUERY_NONE)
		sqlite3_result_null(ctx);
	else
		sqlite3_result_int64(ctx, row);
}

void result_dur(sqlite3_context *ctx, uint64_t dur)
{
	sqlite3_result_int64(ctx, dur == DV_QUERY_OPEN ? -1 : (sqlite3_int64)dur);
}

/* Connecting */

static int connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_error)
{
	const struct table_def *def = NULL;
	struct dv_buf sql = DV_BUF_INIT;
	struct table *t;
	char *text;
	int rc;

	for (size_t i = 0; i < table_def_count; i++) {
		if (!strcmp(table_defs[i].doc->name, argv[0]))
			def = &table_defs[i];
	}
	if (!def)
		return SQLITE_ERROR;
	dv_buf_printf(&sql, "create table x(");
	for (int i = 0; i < def->columns; i++) {
		const struct dv_sql_column_doc *column = &def->doc->columns[i];
		bool is_arg = def->values[i] >= ARG_1 && def->values[i] <= ARG_4;
		const char *type = !strcmp(column->type, "string") ? "text" : !strcmp(column->type, "real") ? "real" :
									      "integer";

		dv_buf_printf(&sql, "%s\"%s\" %s%s", i ? ", " : "", column->name, type, is_arg ? " hidden" : "");
	}
	dv_buf_printf(&sql, ")");
	text = dv_buf_steal_string(&sql);
	t = sqlite3_malloc(sizeof(*t));
	rc = text && t ? sqlite3_declare_vtab(db, text) : SQLITE_NOMEM;
	free(text);
	if (rc) {
		sqlite3_free(t);
		return rc;
	}
	*t = (struct table){.def = def, .sql = aux, .q = ((struct dv_sql *)aux)->q};
	*ret = &t->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *vtab)
{
	sqlite3_free(vtab);
	return SQLITE_OK;
}

/* Planning */

enum value constraint_value(const struct table *t, const sqlite3_index_info *info, int constraint)
{
	int column = info->aConstraint[constraint].iColumn;

	return column < 0 || column >= t->def->columns ? VALUE_NULL : t->def->values[column];
}

/* The plan is a text of four letters for each constraint: the operator, then the value, in hexadecimal. */
void plan_take(struct table *t, sqlite3_index_info *info, int constraint)
{
	char *plan = sqlite3_mprintf("%s%02x%02x", info->idxStr ? info->idxStr : "", info->aConstraint[constraint].op,
				     constraint_value(t, info, constraint));

	if (!plan)
		return;
	if (info->needToFreeIdxStr)
		sqlite3_free(info->idxStr);
	info->idxStr = plan;
	info->needToFreeIdxStr = 1;
	info->aConstraintUsage[constraint].argvIndex = (int)strlen(plan) / 4;
}

/* Takes the arguments; SQLITE_CONSTRAINT when one cannot be had in this order of tables. */
static int plan_args(struct table *t, sqlite3_index_info *info)
{
	for (int i = 0; i < info->nConstraint; i++) {
		enum value value = constraint_value(t, info, i);

		if (value < ARG_1 || value > ARG_4 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		plan_take(t, info, i);
		info->aConstraintUsage[i].omit = 1;
	}
	return SQLITE_OK;
}

static int best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	struct table *t = (struct table *)vtab;
	const struct source_ops *ops = ops_of(t);
	int rc = plan_args(t, info);

	if (rc)
		return rc;
	info->estimatedRows = 1000;
	info->estimatedCost = 1000;
	if (ops->plan)
		ops->plan(t, info);
	return SQLITE_OK;
}

/* Cursors */

static int open_cursor(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret)
{
	struct cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	*c = (struct cursor){.table = (struct table *)vtab};
	*ret = &c->base;
	return SQLITE_OK;
}

static void empty_cursor(struct cursor *c)
{
	struct table *t = c->table;

	free(c->own_ids);
	free(c->functions);
	free(c->stats);
	free(c->nodes);
	free(c->cells);
	sqlite3_free(c->text_arg);
	*c = (struct cursor){.base = c->base, .table = t};
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	empty_cursor((struct cursor *)base);
	sqlite3_free(base);
	return SQLITE_OK;
}

/* Arguments to the cursor; all else stays. Returns how many stay. */
static int take_args(struct cursor *c, struct constraint *constraints, int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++) {
		int arg = constraints[i].value - ARG_1;

		if (arg < 0 || arg >= MAX_ARGS) {
			constraints[kept++] = constraints[i];
			continue;
		}
		c->has_arg[arg] = sqlite3_value_type(constraints[i].is) != SQLITE_NULL;
		c->args[arg] = sqlite3_value_int64(constraints[i].is);
		if (!arg && sqlite3_value_type(constraints[i].is) == SQLITE_TEXT)
			c->text_arg = sqlite3_mprintf("%s", sqlite3_value_text(constraints[i].is));
	}
	return kept;
}

#define MAX_CONSTRAINTS 64

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static int filter(sqlite3_vtab_cursor *base, int order, const char *plan, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;
	struct constraint constraints[MAX_CONSTRAINTS];
	const struct source_ops *ops = ops_of(c->table);
	int count = argc < MAX_CONSTRAINTS ? argc : MAX_CONSTRAINTS, rc;

	empty_cursor(c);
	/* By hand: this runs for each row of an outer loop. */
	for (int i = 0; i < count; i++)
		constraints[i] = (struct constraint){(unsigned char)(hex_digit(plan[i * 4]) << 4 | hex_digit(plan[i * 4 + 1])),
						     (uint8_t)(hex_digit(plan[i * 4 + 2]) << 4 | hex_digit(plan[i * 4 + 3])),
						     argv[i]};
	count = take_args(c, constraints, count);
	rc = ops->filter(c, order, constraints, count);
	return rc ? rc : ops->next(c);
}

static int next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;

	c->table->sql->rows_read++;
	if (c->reverse)
		c->row--;
	else
		c->row++;
	return ops_of(c->table)->next(c);
}

static int at_end(sqlite3_vtab_cursor *base)
{
	const struct cursor *c = (const struct cursor *)base;

	return c->reverse ? c->row <= c->end : c->row >= c->end;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int number)
{
	struct cursor *c = (struct cursor *)base;
	enum value value = c->table->def->values[number];

	if (value == VALUE_ZERO)
		sqlite3_result_int(ctx, 0);
	else if (value >= ARG_1 && value <= ARG_4 && c->has_arg[value - ARG_1])
		c->text_arg && value == ARG_1 ? sqlite3_result_text(ctx, c->text_arg, -1, SQLITE_TRANSIENT) :
						sqlite3_result_int64(ctx, c->args[value - ARG_1]);
	else if (value != VALUE_NULL)
		ops_of(c->table)->column(ctx, c, value);
	return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	const struct cursor *c = (const struct cursor *)base;

	*ret = (sqlite3_int64)c->row;
	return SQLITE_OK;
}

const sqlite3_module dv_module = {
	.iVersion = 0,
	.xConnect = connect,
	.xBestIndex = best_index,
	.xDisconnect = disconnect,
	.xDestroy = disconnect,
	.xOpen = open_cursor,
	.xClose = close_cursor,
	.xFilter = filter,
	.xNext = next,
	.xEof = at_end,
	.xColumn = column,
	.xRowid = rowid,
};
