/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview query: SQL on a trace. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/io.h"
#include "cmds/cmds.h"
#include "cmds/opentrace.h"
#include "cmds/sqlshell.h"

#define MAX_SQL_BYTES (16u << 20)

static const char usage[] =
	"usage: dejaview query [OPTION]... TRACE.dvtrace|RECORDING.dejaview [SQL]...\n"
	"\n"
	"Answers SQL (SQLite's) about a trace: a .dvtrace, a recording's, or any Perfetto trace of track events.\n"
	"Without SQL it reads queries from the terminal, with history and completion, or from standard input.\n"
	"The tables are those of Perfetto's trace processor, and some more: 'select * from dv_tables' and\n"
	"'select * from dv_columns' list them, as docs/sql.md does.\n"
	"\n"
	"  -f, --file FILE  run the queries of a file; may be given again\n"
	"      --csv        comma-separated values, as Perfetto's (the default where a program reads)\n"
	"      --json       an array of objects for each query\n"
	"      --table      aligned columns (the default in the terminal's own prompt)\n"
	"      --timeout S  give up a query after so many seconds\n"
	"      --no-cache   neither use nor keep the trace's columns in the cache folder\n"
	"\n"
	"examples\n"
	"  dejaview query boot.dejaview \"select name, count(*), sum(dur) from slice group by 1 order by 3 desc limit 20\"\n"
	"  dejaview query boot.dejaview --table \"select * from callers('vfs_read') where depth <= 2\"\n"
	"  dejaview query boot.dejaview \"select name, depth from stack_at(1500000000)\"\n";

struct query_options {
	const char *files[64];
	size_t files_len;
	enum dv_sql_format format;
	bool has_format, no_cache;
	double timeout_s;
};

struct dv_error *dv_sql_run_text(struct dv_sql *sql, const char *text, enum dv_sql_format format, FILE *to,
				 uint64_t *ret_rows)
{
	const char *at = text;
	bool first = true;

	*ret_rows = 0;
	while (*at) {
		_cleanup_(dv_sql_finalizep) struct dv_sql_statement *st = NULL;
		_cleanup_free_ char *place = NULL;
		struct dv_error *err = dv_sql_prepare(sql, at, &st, &at);
		int offset = dv_sql_error_offset(sql);
		uint64_t rows = 0;

		if (err && offset >= 0)
			place = dv_sql_point_at(text, (size_t)(at - text) + (size_t)offset);
		if (place) {
			struct dv_error *placed = dv_error_new(err->code, "%s\n%s", err->message, place);

			dv_error_destroy(err);
			return placed;
		}
		DV_TRY(err);
		if (!st)
			break;
		if (!first && dv_sql_column_count(st) && format != DV_SQL_JSON)
			putc('\n', to);
		first = first && !dv_sql_column_count(st);
		DV_TRY(dv_sql_print(to, st, format, &rows));
		*ret_rows += rows;
	}
	return NULL;
}

static struct dv_error *run_stream(struct dv_sql *sql, FILE *from, enum dv_sql_format format)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	char piece[4096];
	uint64_t rows;
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), from)) > 0 && buf.len <= MAX_SQL_BYTES)
		dv_buf_append(&buf, piece, n);
	if (buf.len > MAX_SQL_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "more than %u bytes of SQL", MAX_SQL_BYTES);
	text = dv_buf_steal_string(&buf);
	return text ? dv_sql_run_text(sql, text, format, stdout, &rows) : dv_error_no_memory();
}

static struct dv_error *run_file(struct dv_sql *sql, const char *path, enum dv_sql_format format)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	uint64_t rows;

	DV_TRY(dv_read_file(path, MAX_SQL_BYTES, &buf));
	text = dv_buf_steal_string(&buf);
	return text ? dv_error_prefix(dv_sql_run_text(sql, text, format, stdout, &rows), "%s", path) :
		      dv_error_no_memory();
}

static struct dv_error *run(const struct query_options *o, const char *path, char **sqls)
{
	_cleanup_(dv_query_closep) struct dv_query *q = NULL;
	_cleanup_(dv_sql_closep) struct dv_sql *sql = NULL;
	uint64_t rows;

	DV_TRY(dv_open_trace("query", path, o->no_cache, &q));
	DV_TRY(dv_sql_open(q, &sql));
	dv_sql_set_timeout(sql, (unsigned)(o->timeout_s * 1000));
	for (size_t i = 0; i < o->files_len; i++)
		DV_TRY(run_file(sql, o->files[i], o->format));
	for (char **text = sqls; *text; text++)
		DV_TRY(dv_sql_run_text(sql, *text, o->format, stdout, &rows));
	if (o->files_len || *sqls)
		return NULL;
	if (isatty(STDIN_FILENO))
		return dv_sql_shell(q, sql, o->has_format ? o->format : DV_SQL_TABLE);
	return run_stream(sql, stdin, o->format);
}

static bool parse(int argc, char **argv, struct query_options *o, int *ret_status)
{
	static const struct option options[] = {
		{"file", required_argument, NULL, 'f'},	{"csv", no_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},	{"table", no_argument, NULL, 't'},
		{"timeout", required_argument, NULL, 'T'}, {"no-cache", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},	{0}};
	char *end;
	int c;

	*ret_status = 2;
	while ((c = getopt_long(argc, argv, "f:h", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			if (o->files_len == DV_ARRAY_SIZE(o->files)) {
				fprintf(stderr, "dejaview query: more than %zu files\n", DV_ARRAY_SIZE(o->files));
				return false;
			}
			o->files[o->files_len++] = optarg;
			break;
		case 'c':
		case 'j':
		case 't':
			o->format = c == 'c' ? DV_SQL_CSV : c == 'j' ? DV_SQL_JSON : DV_SQL_TABLE;
			o->has_format = true;
			break;
		case 'T':
			o->timeout_s = strtod(optarg, &end);
			if (end == optarg || *end || o->timeout_s <= 0 || o->timeout_s > 1e6) {
				fprintf(stderr, "dejaview query: --timeout %s: not a number of seconds\n", optarg);
				return false;
			}
			break;
		case 'n':
			o->no_cache = true;
			break;
		default:
			fputs(usage, c == 'h' ? stdout : stderr);
			*ret_status = c == 'h' ? 0 : 2;
			return false;
		}
	}
	if (optind < argc)
		return true;
	fputs(usage, stderr);
	return false;
}

int dv_cmd_query(int argc, char **argv)
{
	struct query_options o = {.format = DV_SQL_CSV};
	int status;

	if (!parse(argc, argv, &o, &status))
		return status;
	status = dv_cmd_report("query", run(&o, argv[optind], argv + optind + 1));
	if (fflush(stdout) || ferror(stdout))
		return 1;
	return status;
}
