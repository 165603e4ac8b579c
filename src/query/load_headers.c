/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the headers of a .dvtrace's blocks say: threads, processes, who ran when, metadata. */
#include <inttypes.h>
#include <string.h>
#include "query/load.h"

#define KTHREADD_PID 2
#define MAX_CPUS 65536u

struct header_pass {
	struct loader *l;
	struct dv_trace_reader *r;
	struct dv_map *utids;	/* thread id -> utid + 1 */
	struct dv_map upids;	/* pid -> the newest process of it + 1 */
	DV_VEC(struct thread_row) threads;
	DV_VEC(struct process_row) processes;
	DV_VEC(uint64_t) leaders;	/* by upid: thread id + 1; 0: none yet */
};

/* Threads and processes */

static bool is_idle(const struct dv_trace_thread *t)
{
	return t->tid <= 0 || t->tgid <= 0;
}

static struct dv_error *add_process(struct header_pass *p, int32_t pid, const char *name, uint32_t *ret)
{
	struct process_row *row = dv_vec_add(&p->processes);
	uint64_t *leader = dv_vec_add(&p->leaders), *slot = dv_map_put(&p->upids, (uint32_t)pid);

	if (!row || !leader || !slot)
		return dv_error_no_memory();
	*row = (struct process_row){.pid = pid, .start = UINT64_MAX, .end = UINT64_MAX, .parent = DV_QUERY_NONE};
	row->name = strings_put(&p->l->strings, name);
	*leader = 0;
	*ret = (uint32_t)p->processes.n - 1;
	*slot = *ret + 1;
	return NULL;
}

/* Kernel threads are one process; a leader that comes again makes a new one. */
static struct dv_error *process_of(struct header_pass *p, const struct dv_trace_thread *t, uint64_t icount,
				   uint32_t *ret)
{
	int32_t pid = is_idle(t) ? 0 : t->is_kernel ? KTHREADD_PID : t->tgid;
	bool leads = !is_idle(t) && t->tid == pid;
	const uint64_t *known = dv_map_get(&p->upids, (uint32_t)pid);
	uint32_t upid = known ? (uint32_t)*known - 1 : DV_QUERY_NONE;

	if (known && leads && p->leaders.v[upid])
		known = NULL;
	if (!known) {
		DV_TRY(add_process(p, pid, pid == KTHREADD_PID ? "kthreadd" : NULL, &upid));
		p->processes.v[upid].start = icount;
	}
	if (leads)
		p->leaders.v[upid] = t->id + 1;
	if (t->parent_tgid && p->processes.v[upid].parent == DV_QUERY_NONE) {
		const uint64_t *parent = dv_map_get(&p->upids, (uint32_t)t->parent_tgid);

		if (parent && *parent - 1 != upid)
			p->processes.v[upid].parent = (uint32_t)*parent - 1;
	}
	*ret = upid;
	return NULL;
}

static struct dv_error *add_thread(struct header_pass *p, const struct dv_trace_thread_state *state)
{
	const struct dv_trace_thread *t = &state->thread;
	uint64_t *utid = dv_map_put(p->utids, t->id);
	struct thread_row *row;

	if (!utid)
		return dv_error_no_memory();
	if (!*utid) {
		uint32_t upid;

		DV_TRY(process_of(p, t, state->icount, &upid));
		row = dv_vec_add(&p->threads);
		if (!row)
			return dv_error_no_memory();
		*row = (struct thread_row){.tid = t->tid, .start = state->icount, .end = UINT64_MAX, .id = t->id,
					   .upid = upid, .track = DV_QUERY_NONE, .creator = DV_QUERY_NONE};
		*utid = p->threads.n;
	}
	row = &p->threads.v[*utid - 1];
	row->name = strings_put(&p->l->strings, t->comm);
	if (t->start_icount)
		row->start = t->start_icount;
	if (t->exit_icount) {
		row->end = t->exit_icount;
		row->exit_code = t->exit_code;
	}
	if (t->creator_id && row->creator == DV_QUERY_NONE) {
		const uint64_t *creator = dv_map_get(p->utids, t->creator_id);

		row->creator = creator && *creator ? (uint32_t)*creator - 1 : DV_QUERY_NONE;
	}
	if (p->leaders.v[row->upid] == t->id + 1) {
		p->processes.v[row->upid].start = row->start;
		p->processes.v[row->upid].end = row->end;
	}
	row->is_kernel = t->is_kernel || is_idle(t);
	row->is_idle = is_idle(t);
	row->is_main = !is_idle(t) && t->tid == t->tgid;
	if (p->leaders.v[row->upid] == t->id + 1 || (row->is_idle && !p->processes.v[row->upid].name))
		p->processes.v[row->upid].name = row->name;
	return NULL;
}

/* The newest command line stands, as in Perfetto. */
static void name_commands(struct header_pass *p)
{
	const struct dv_trace_command *commands = dv_trace_reader_commands(p->r);

	for (size_t i = 0; i < dv_trace_reader_command_count(p->r); i++) {
		const uint64_t *utid = dv_map_get(p->utids, commands[i].thread_id);
		struct process_row *process = utid && *utid ? &p->processes.v[p->threads.v[*utid - 1].upid] : NULL;

		if (process && process->pid > 0 && process->pid != KTHREADD_PID)
			process->cmdline = strings_put(&p->l->strings, commands[i].text);
	}
}

/* The first idle task, or one that stands for it, before all other threads. */
static struct dv_error *add_idle(struct header_pass *p)
{
	struct dv_trace_thread_state none = {.thread = {.id = UINT64_MAX, .comm = "swapper"}};
	size_t count = dv_trace_reader_thread_state_count(p->r);

	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_thread_state *state = dv_trace_reader_thread_state(p->r, i);

		if (state->thread.tid == 0)
			return add_thread(p, state);
	}
	return add_thread(p, &none);
}

static struct dv_error *load_threads(struct header_pass *p)
{
	struct columns *c = p->l->c;
	size_t count = dv_trace_reader_thread_state_count(p->r);
	DV_VEC(struct track_row) tracks = {0};
	struct dv_error *err = NULL;
	uint32_t upid;

	DV_TRY(add_process(p, 0, NULL, &upid)); /* upid 0 and utid 0 are idle, as Perfetto has them */
	DV_TRY(add_idle(p));
	for (size_t i = 0; i < count; i++)
		DV_TRY(add_thread(p, dv_trace_reader_thread_state(p->r, i)));
	name_commands(p);
	for (size_t i = 0; i < p->threads.n && !err; i++) {
		struct track_row *track = dv_vec_add(&tracks);

		if (!track) {
			err = dv_error_no_memory();
			break;
		}
		*track = (struct track_row){.uuid = p->threads.v[i].id, .parent = DV_QUERY_NONE,
					    .type = DV_TRACK_THREAD, .utid = (uint32_t)i, .upid = p->threads.v[i].upid};
		p->threads.v[i].track = (uint32_t)i;
	}
	if (!err && (!COLUMN_SET(c, threads, p->threads.v, p->threads.n) ||
		     !COLUMN_SET(c, processes, p->processes.v, p->processes.n) ||
		     !COLUMN_SET(c, tracks, tracks.v, tracks.n)))
		err = dv_error_no_memory();
	free(tracks.v);
	return err;
}

/* Spells */

struct cpu {
	uint64_t since;
	uint32_t utid;
	bool is_known;
};

struct spell_pass {
	struct header_pass *p;
	DV_VEC(struct spell_row) spells;
	DV_VEC(struct cpu) cpus;
	uint64_t *until; /* by utid: the end of its last spell */
};

static uint32_t utid_of(struct header_pass *p, uint64_t id)
{
	const uint64_t *utid = dv_map_get(p->utids, id);

	return utid ? (uint32_t)*utid - 1 : DV_QUERY_NONE;
}

static struct dv_error *add_spell(struct spell_pass *s, uint32_t utid, uint32_t cpu, uint64_t from, uint64_t to,
				  bool is_open)
{
	struct spell_row *row;

	if (utid == DV_QUERY_NONE)
		return NULL;
	/* Out of order or overlapping, as only a damaged file has them: keep what is new. */
	if (from < s->until[utid])
		from = s->until[utid];
	if (from >= to)
		return NULL;
	row = dv_vec_add(&s->spells);
	if (!row)
		return dv_error_no_memory();
	*row = (struct spell_row){.start = from, .end = to, .utid = utid, .cpu = cpu, .is_open = is_open};
	s->until[utid] = to;
	return NULL;
}

/* Whoever a CPU's first switch puts aside is taken to have run there since the trace began. */
static struct dv_error *gather_spells(struct spell_pass *s)
{
	const struct dv_trace_switch *switches = dv_trace_reader_switches(s->p->r);
	size_t count = dv_trace_reader_switch_count(s->p->r);
	uint64_t end = s->p->l->c->last_icount;

	for (size_t i = 0; i < count; i++) {
		const struct dv_trace_switch *sw = &switches[i];
		struct cpu *cpu;

		if (sw->cpu >= MAX_CPUS)
			continue;
		while (s->cpus.n <= sw->cpu) {
			cpu = dv_vec_add(&s->cpus);
			if (!cpu)
				return dv_error_no_memory();
			*cpu = (struct cpu){0};
		}
		cpu = &s->cpus.v[sw->cpu];
		DV_TRY(add_spell(s, cpu->is_known ? cpu->utid : utid_of(s->p, sw->prev_id), sw->cpu, cpu->since,
				 sw->icount, false));
		*cpu = (struct cpu){sw->icount, utid_of(s->p, sw->next_id), true};
	}
	for (uint32_t i = 0; i < s->cpus.n; i++) {
		if (s->cpus.v[i].is_known)
			DV_TRY(add_spell(s, s->cpus.v[i].utid, i, s->cpus.v[i].since, end, true));
	}
	return NULL;
}

/* Brings the spells in the order of threads; those of one thread are in order of time already. */
static struct dv_error *store_spells(struct spell_pass *s)
{
	struct columns *c = s->p->l->c;
	uint32_t first = 0;

	c->n_spells = s->spells.n;
	c->spells = column_alloc(c->n_spells, sizeof(*c->spells));
	if (!c->spells)
		return dv_error_no_memory();
	for (size_t i = 0; i < s->spells.n; i++)
		c->threads[s->spells.v[i].utid].spells++;
	for (size_t t = 0; t < c->n_threads; t++) {
		c->threads[t].first_spell = first;
		first += c->threads[t].spells;
		c->threads[t].spells = 0;
	}
	for (size_t i = 0; i < s->spells.n; i++) {
		struct thread_row *thread = &c->threads[s->spells.v[i].utid];
		struct spell_row *row = &c->spells[thread->first_spell + thread->spells++];

		*row = s->spells.v[i];
		row->before = thread->cpu;
		thread->cpu += row->end - row->start;
	}
	c->cpus = (uint32_t)s->cpus.n;
	return NULL;
}

static int by_cpu(const void *a, const void *b, void *context)
{
	const struct spell_row *spells = context, *x = &spells[*(const uint32_t *)a], *y = &spells[*(const uint32_t *)b];

	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static struct dv_error *load_spells(struct header_pass *p)
{
	struct columns *c = p->l->c;
	struct spell_pass s = {.p = p, .until = calloc(c->n_threads + 1, sizeof(*s.until))};
	struct dv_error *err = s.until ? gather_spells(&s) : dv_error_no_memory();

	if (!err)
		err = store_spells(&s);
	free(s.until);
	free(s.spells.v);
	free(s.cpus.v);
	if (err)
		return err;
	c->n_sched = c->n_spells;
	c->sched = column_alloc(c->n_sched, sizeof(*c->sched));
	if (!c->sched)
		return dv_error_no_memory();
	for (uint32_t i = 0; i < c->n_sched; i++)
		c->sched[i] = i;
	qsort_r(c->sched, c->n_sched, sizeof(*c->sched), by_cpu, c->spells);
	return NULL;
}

/* Metadata */

static struct dv_error *load_metadata(struct header_pass *p)
{
	const struct dv_trace_metadata *m = dv_trace_reader_metadata(p->r);
	struct strings *s = &p->l->strings;
	DV_VEC(struct metadata_row) rows = {0};
	struct dv_buf command = DV_BUF_INIT;
	const struct dv_trace_note fixed[] = {
		{"exact_reason", m->exact_reason},
		{"kernel_banner", m->kernel_banner},
		{"kernel_build_id", m->kernel_build_id},
		{"qemu_directory", m->directory},
		{"clock", m->clock == DV_TRACE_CLOCK_ICOUNT ? "icount" : "host ns"},
		{"exact", m->exact ? "1" : "0"},
		{"finished", m->finished ? "1" : "0"},
	};
	struct metadata_row *row;
	bool good = true;

	for (const char *const *arg = m->command; arg && *arg; arg++)
		dv_buf_printf(&command, "%s%s", arg == m->command ? "" : " ", *arg);
	for (size_t i = 0; i < DV_ARRAY_SIZE(fixed) + m->note_count + 1; i++) {
		struct dv_trace_note note = i < DV_ARRAY_SIZE(fixed)		     ? fixed[i] :
					    i - DV_ARRAY_SIZE(fixed) < m->note_count ? m->notes[i - DV_ARRAY_SIZE(fixed)] :
										       (struct dv_trace_note){NULL, NULL};

		if (i == DV_ARRAY_SIZE(fixed) + m->note_count)
			note = (struct dv_trace_note){"qemu_command", command.len ? dv_buf_steal_string(&command) : NULL};
		if (!note.value)
			continue;
		row = dv_vec_add(&rows);
		good = good && row;
		if (row)
			*row = (struct metadata_row){strings_put(s, note.key), strings_put(s, note.value)};
		if (i == DV_ARRAY_SIZE(fixed) + m->note_count)
			free((char *)note.value);
	}
	good = good && COLUMN_SET(p->l->c, metadata, rows.v, rows.n);
	free(rows.v);
	dv_buf_deinit(&command);
	return good ? NULL : dv_error_no_memory();
}

/* The console */

struct line_at {
	uint64_t icount;
	size_t line;
};

static int compare_lines(const void *a, const void *b)
{
	const struct line_at *x = a, *y = b;

	if (x->icount != y->icount)
		return x->icount < y->icount ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* The file has them as they ended, each source by itself; here they come as they began. */
static struct dv_error *order_lines(const struct dv_console_line *lines, size_t count, struct line_at **ret)
{
	struct line_at *order = malloc((count + 1) * sizeof(*order));

	if (!order)
		return dv_error_no_memory();
	for (size_t i = 0; i < count; i++)
		order[i] = (struct line_at){lines[i].icount, i};
	qsort(order, count, sizeof(*order), compare_lines);
	*ret = order;
	return NULL;
}

static struct dv_error *load_console(struct header_pass *p)
{
	static const char *const sources[] = DV_CONSOLE_SOURCE_NAMES;
	const struct dv_console_line *lines = dv_trace_reader_console_lines(p->r);
	size_t count = dv_trace_reader_console_line_count(p->r);
	_cleanup_free_ struct line_at *order = NULL;
	struct columns *c = p->l->c;

	DV_TRY(order_lines(lines, count, &order));
	c->console = column_alloc(count, sizeof(*c->console));
	if (!c->console)
		return dv_error_no_memory();
	c->n_console = count;
	for (size_t i = 0; i < count; i++) {
		const struct dv_console_line *line = &lines[order[i].line];
		const uint64_t *utid = dv_map_get(p->utids, line->thread_id);

		c->console[i] = (struct console_row){
			.icount = line->icount,
			.utid = utid && *utid ? (uint32_t)*utid - 1 : DV_QUERY_NONE,
			.level = line->level >= 0 && line->level <= 7 ? (uint32_t)line->level : 255,
			.source = strings_put(&p->l->strings, sources[line->source < DV_CONSOLE_SOURCES ? line->source : 0]),
			.text = strings_put(&p->l->strings, line->text ? line->text : ""),
		};
	}
	return NULL;
}

/* Where code lies. What the reader cannot make of it is left out: slices do not need it. */

static uint32_t upid_of(struct header_pass *p, int32_t tgid)
{
	const uint64_t *upid = dv_map_get(&p->upids, (uint32_t)tgid);

	return upid && *upid ? (uint32_t)*upid - 1 : DV_QUERY_NONE;
}

static struct dv_error *load_mappings(struct header_pass *p)
{
	const struct dv_trace_mapping *rows;
	struct columns *c = p->l->c;
	struct dv_error *err;
	size_t count;

	err = dv_trace_reader_mappings(p->r, &rows, &count);
	if (err && err->code == DV_ERROR_NO_MEMORY)
		return err;
	if (err)
		count = 0;
	dv_error_destroy(err);
	c->mappings = column_alloc(count, sizeof(*c->mappings));
	if (!c->mappings)
		return dv_error_no_memory();
	c->n_mappings = count;
	for (size_t i = 0; i < count; i++)
		c->mappings[i] = (struct mapping_row){
			.start = rows[i].start_vaddr,
			.end = rows[i].end_vaddr,
			.offset = rows[i].offset_bytes,
			.icount = rows[i].from_icount,
			.to_icount = rows[i].to_icount,
			.upid = upid_of(p, rows[i].tgid),
			.path = strings_put(&p->l->strings, rows[i].file ? rows[i].file->path : NULL),
			.build_id = strings_put(&p->l->strings, rows[i].file ? rows[i].file->build_id : NULL),
		};
	return NULL;
}

static struct dv_error *load_modules(struct header_pass *p)
{
	const struct dv_trace_module *rows;
	struct columns *c = p->l->c;
	struct dv_error *err;
	size_t count;

	err = dv_trace_reader_modules(p->r, &rows, &count);
	if (err && err->code == DV_ERROR_NO_MEMORY)
		return err;
	if (err)
		count = 0;
	dv_error_destroy(err);
	c->modules = column_alloc(count, sizeof(*c->modules));
	if (!c->modules)
		return dv_error_no_memory();
	c->n_modules = count;
	for (size_t i = 0; i < count; i++)
		c->modules[i] = (struct module_row){
			.base = rows[i].base_vaddr,
			.size = rows[i].size_bytes,
			.icount = rows[i].from_icount,
			.to_icount = rows[i].to_icount,
			.name = strings_put(&p->l->strings, rows[i].name),
			.build_id = strings_put(&p->l->strings, rows[i].build_id),
		};
	return NULL;
}

struct dv_error *load_headers(struct loader *l, struct dv_trace_reader *r, struct dv_map *utids)
{
	const struct dv_trace_metadata *m = dv_trace_reader_metadata(r);
	struct header_pass p = {.l = l, .r = r, .utids = utids};
	struct dv_error *err;

	l->c->is_dejaview = true;
	l->c->clock = m->clock == DV_TRACE_CLOCK_ICOUNT ? DV_QUERY_CLOCK_ICOUNT : DV_QUERY_CLOCK_NS;
	l->c->exact = m->exact;
	l->c->first_icount = m->first_icount;
	l->c->last_icount = m->last_icount;
	l->c->file_bytes = m->file_bytes;
	err = load_threads(&p);
	if (!err && dv_trace_reader_switch_count(r))
		err = load_spells(&p);
	if (!err)
		err = load_metadata(&p);
	if (!err)
		err = load_console(&p);
	if (!err)
		err = load_mappings(&p);
	if (!err)
		err = load_modules(&p);
	free(p.threads.v);
	free(p.processes.v);
	free(p.leaders.v);
	dv_map_deinit(&p.upids);
	return err;
}
