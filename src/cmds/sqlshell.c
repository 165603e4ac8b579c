/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interactive prompt: readline's editing, a history under XDG_STATE_HOME, completion of tables,
 * columns and functions' names, the time each query took. Ctrl-C stops a query, not the prompt.
 */
#include "cmds/sqlshell.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <readline/history.h>
#include <readline/readline.h>
#include "base/io.h"

#define HISTORY_LINES 5000
#define CONTINUED "     ...> "

/* readline's completion functions get no context. */
static const struct dv_query *completing;

static const char help[] =
	".tables         tables and table functions, with what they are\n"
	".columns NAME   a table's columns\n"
	".mode NAME      table, csv or json\n"
	".quit           as Ctrl-D\n"
	"Anything else is SQL, up to a semicolon. Tab completes, Ctrl-C stops a query.\n";

/* History */

static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *folder = NULL;
	_cleanup_error_ struct dv_error *err = NULL;

	if (state && *state == '/')
		folder = dv_path_join(state, "dejaview");
	else if (home && *home)
		folder = dv_path_join(home, ".local/state/dejaview");
	if (!folder)
		return NULL;
	err = dv_make_dirs(folder);
	return err ? NULL : dv_path_join(folder, "query-history");
}

/* Completion */

static const char *const keywords[] = {"select", "from", "where", "group by", "order by", "limit", "join", "using",
				       "count(*)", "sum(", "max(", "min(", "avg(", "like", "glob", "distinct", "desc",
				       "between", "having", "with", "case", "when", "then", "else", "end", "is null",
				       "not", "and", "or", "in"};

/* Candidates one by one: keywords, tables, their columns; within quotes, functions. */
static const char *candidate(size_t i, bool quoted)
{
	size_t tables;
	const struct dv_sql_table_doc *docs = dv_sql_tables(&tables);

	if (quoted)
		return i < dv_query_info(completing)->functions ? dv_query_function(completing, (uint32_t)i)->slice_name :
								  NULL;
	if (i < DV_ARRAY_SIZE(keywords))
		return keywords[i];
	i -= DV_ARRAY_SIZE(keywords);
	if (i < tables)
		return docs[i].name;
	i -= tables;
	for (size_t t = 0; t < tables; t++) {
		for (const struct dv_sql_column_doc *c = docs[t].columns; c->name; c++) {
			if (!i--)
				return c->name;
		}
	}
	return NULL;
}

static char *next_match(const char *text, int state)
{
	static size_t at;
	bool quoted = rl_completion_quote_character != 0;
	const char *name;

	if (!state)
		at = 0;
	while ((name = candidate(at++, quoted))) {
		if (!strncasecmp(name, text, strlen(text)))
			return strdup(name);
	}
	return NULL;
}

static char **complete(const char *text, int start, int end)
{
	rl_attempted_completion_over = 1;
	return rl_completion_matches(text, next_match);
}

/* Ctrl-C */

struct interrupter {
	pthread_t thread;
	struct dv_sql *sql;
	bool runs;
	volatile bool ends;
};

static void *wait_for_interrupts(void *context)
{
	struct interrupter *in = context;
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	while (!sigwait(&set, &signal) && !in->ends)
		dv_sql_interrupt(in->sql);
	return NULL;
}

static void start_interrupter(struct interrupter *in)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	in->runs = !pthread_create(&in->thread, NULL, wait_for_interrupts, in);
}

static void stop_interrupter(struct interrupter *in)
{
	if (!in->runs)
		return;
	in->ends = true;
	pthread_kill(in->thread, SIGINT);
	pthread_join(in->thread, NULL);
}

/* Commands */

static void list_tables(void)
{
	size_t count;
	const struct dv_sql_table_doc *docs = dv_sql_tables(&count);

	for (size_t i = 0; i < count; i++) {
		char name[80];

		snprintf(name, sizeof(name), docs[i].arguments ? "%s(%s)" : "%s", docs[i].name,
			 docs[i].arguments ? docs[i].arguments : "");
		printf("  %-48s %s\n", name, docs[i].doc);
	}
}

static void list_columns(const char *table)
{
	size_t count;
	const struct dv_sql_table_doc *docs = dv_sql_tables(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(docs[i].name, table))
			continue;
		for (const struct dv_sql_column_doc *c = docs[i].columns; c->name; c++)
			printf("  %-26s %-7s %s\n", c->name, c->type, c->doc);
		return;
	}
	fprintf(stderr, "there is no table '%s': .tables lists them\n", table);
}

static bool set_mode(const char *name, enum dv_sql_format *format)
{
	if (!strcmp(name, "csv"))
		*format = DV_SQL_CSV;
	else if (!strcmp(name, "json"))
		*format = DV_SQL_JSON;
	else if (!strcmp(name, "table"))
		*format = DV_SQL_TABLE;
	else
		fprintf(stderr, "modes are table, csv and json\n");
	return true;
}

/* False: the prompt ends. */
static bool run_command(char *line, enum dv_sql_format *format)
{
	char *argument = line + strcspn(line, " \t");

	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	argument[strcspn(argument, " \t;")] = '\0';
	if (!strcmp(line, ".quit") || !strcmp(line, ".exit"))
		return false;
	if (!strcmp(line, ".tables"))
		list_tables();
	else if (!strcmp(line, ".columns") || !strcmp(line, ".schema"))
		list_columns(argument);
	else if (!strcmp(line, ".mode"))
		set_mode(argument, format);
	else
		fputs(help, strcmp(line, ".help") ? stderr : stdout);
	return true;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_time(uint64_t rows, double s)
{
	bool is_short = s < 1;

	fprintf(stderr, "%" PRIu64 " row%s in %.*f %s\n", rows, rows == 1 ? "" : "s", is_short && s < 0.01 ? 2 : is_short ? 0 : 2,
		is_short ? s * 1000 : s, is_short ? "ms" : "s");
}

static void run_sql(struct dv_sql *sql, const char *text, enum dv_sql_format format)
{
	_cleanup_error_ struct dv_error *err = NULL;
	double start = now_s();
	uint64_t rows = 0;

	err = dv_sql_run_text(sql, text, format, stdout, &rows);
	fflush(stdout);
	if (err)
		fprintf(stderr, "%s\n", err->message);
	else
		print_time(rows, now_s() - start);
}

/* Whether the text ends with a semicolon that ends a statement: not one in a string or a comment. */
static bool is_complete(const char *text)
{
	char quote = '\0', last = '\0';

	for (const char *c = text; *c; c++) {
		if (quote) {
			quote = *c == quote ? '\0' : quote;
		} else if (*c == '\'' || *c == '"') {
			quote = last = *c;
		} else if (*c == '-' && c[1] == '-') {
			c += strcspn(c, "\n");
			c -= !*c;
		} else if (!isspace((unsigned char)*c)) {
			last = *c;
		}
	}
	return !quote && last == ';';
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\n")] == '\0';
}

static void take_text(struct dv_sql *sql, struct dv_buf *text, enum dv_sql_format format)
{
	_cleanup_free_ char *all = dv_buf_steal_string(text);

	if (!all || is_blank(all))
		return;
	add_history(all);
	run_sql(sql, all, format);
}

static void loop(struct dv_sql *sql, enum dv_sql_format format)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;
	bool goes_on = true;

	while (goes_on) {
		_cleanup_free_ char *line = readline(text.len ? CONTINUED : "dejaview> ");

		if (!line)
			break;
		if (!text.len && *line == '.') {
			add_history(line);
			goes_on = run_command(line, &format);
			continue;
		}
		if (!text.len && is_blank(line))
			continue;
		dv_buf_printf(&text, "%s%s", text.len ? "\n" : "", line);
		dv_buf_append(&text, "", 1);
		text.len--;
		if (text.failed || is_complete((const char *)text.data))
			take_text(sql, &text, format);
	}
	take_text(sql, &text, format);
}

struct dv_error *dv_sql_shell(const struct dv_query *q, struct dv_sql *sql, enum dv_sql_format format)
{
	_cleanup_free_ char *path = history_path();
	struct interrupter in = {.sql = sql};

	completing = q;
	rl_readline_name = "dejaview";
	rl_attempted_completion_function = complete;
	rl_completer_quote_characters = "'\"";
	rl_basic_word_break_characters = " \t\n\"'`@$><=;|&{(,.";
	rl_completion_append_character = '\0';
	rl_catch_signals = 0;
	using_history();
	stifle_history(HISTORY_LINES);
	if (path)
		read_history(path);
	fprintf(stderr, "%" PRIu32 " slices, %" PRIu32 " functions, %" PRIu32 " threads; .help for help\n",
		dv_query_info(q)->slices, dv_query_info(q)->functions, dv_query_info(q)->threads);
	start_interrupter(&in);
	loop(sql, format);
	stop_interrupter(&in);
	fputc('\n', stderr);
	if (path && write_history(path))
		return dv_error_os(errno, "cannot keep the history in %s", path);
	return NULL;
}
