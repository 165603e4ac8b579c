/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls as trees: flame graphs, callees, callers. Each slice of the area is put below the node of its
 * parent; a node's total is what its slices' threads ran in them within the area, and its own is that
 * less its children's.
 */
#include <string.h>
#include "query/load.h"
#include "query/vtab.h"

#define DEFAULT_MAX_NODES 1000000u
#define CANCEL_EVERY 65536u
#define MAX_STACK 4096u

struct node {
	uint32_t function, parent, depth;
	uint32_t last_child, previous; /* the newest child; the child before this one, of the same parent */
	uint64_t calls, total, elapsed;
};

/* A call's part within the area. */
struct part {
	uint64_t cpu, elapsed;
};

struct tree {
	const struct columns *c;
	struct dv_query_area area;
	enum dv_query_tree_kind kind;
	uint32_t function, function_end, max_depth, max_nodes;
	const volatile bool *cancel; /* set by another thread */
	DV_VEC(struct node) nodes;
	uint32_t *slots; /* hash of (parent, function) -> node; 0: free, as node 0 is no one's child */
	uint32_t mask;
	uint32_t **open; /* by track and depth: the node of the slice that is open there */
	uint32_t *spell; /* by track: where its thread's spells are at */
};

static uint32_t hash_of(uint32_t parent, uint32_t function)
{
	return (uint32_t)(((uint64_t)parent << 32 | function) * 0x9e3779b97f4a7c15ull >> 32);
}

static bool grow_slots(struct tree *t)
{
	uint32_t mask = t->mask ? t->mask * 2 + 1 : 4095;
	uint32_t *slots = calloc((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 1; i < t->nodes.n; i++) {
		uint32_t at = hash_of(t->nodes.v[i].parent, t->nodes.v[i].function) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return true;
}

/* The child of a node; DV_QUERY_NONE when there may be no more nodes. *good: false when out of memory. */
static uint32_t child_of(struct tree *t, uint32_t parent, uint32_t function, bool *good)
{
	uint32_t last = t->nodes.v[parent].last_child, at;
	struct node *node;

	if (last != DV_QUERY_NONE && t->nodes.v[last].function == function)
		return last;
	for (at = hash_of(parent, function) & t->mask; t->slots[at]; at = (at + 1) & t->mask) {
		const struct node *have = &t->nodes.v[t->slots[at]];

		if (have->parent == parent && have->function == function)
			return t->slots[at];
	}
	if (t->nodes.n >= t->max_nodes || t->nodes.v[parent].depth >= t->max_depth)
		return DV_QUERY_NONE;
	if (t->nodes.n >= t->mask / 2) {
		*good = grow_slots(t);
		return *good ? child_of(t, parent, function, good) : DV_QUERY_NONE;
	}
	node = dv_vec_add(&t->nodes);
	if (!node) {
		*good = false;
		return DV_QUERY_NONE;
	}
	*node = (struct node){.function = function, .parent = parent, .depth = t->nodes.v[parent].depth + 1,
			      .last_child = DV_QUERY_NONE, .previous = t->nodes.v[parent].last_child};
	t->slots[at] = (uint32_t)t->nodes.n - 1;
	t->nodes.v[parent].last_child = (uint32_t)t->nodes.n - 1;
	return (uint32_t)t->nodes.n - 1;
}

/* What a thread ran in [from, to), where from does not go back from call to call of one track. */
static uint64_t cpu_between(struct tree *t, uint32_t track, uint64_t from, uint64_t to)
{
	const struct columns *c = t->c;
	uint32_t utid = c->tracks[track].utid;
	const struct thread_row *thread;
	const struct spell_row *spells;
	uint64_t before, until;

	if (from >= to)
		return 0;
	if (utid == DV_QUERY_NONE || !columns_know_cpu(c))
		return to - from;
	thread = &c->threads[utid];
	spells = c->spells + thread->first_spell;
	while (t->spell[track] < thread->spells && spells[t->spell[track]].end <= from)
		t->spell[track]++;
	if (t->spell[track] == thread->spells)
		return 0;
	spells += t->spell[track];
	if (from >= spells->start && to <= spells->end)
		return to - from;
	before = spells->before + (from > spells->start ? from - spells->start : 0);
	until = thread_cpu_until(c, utid, to);
	return until > before ? until - before : 0;
}

static struct part clip(struct tree *t, uint32_t id)
{
	uint64_t start = slice_start(t->c, id), end = slice_end(t->c, id);

	if (end == UINT64_MAX)
		end = t->c->last_icount > start ? t->c->last_icount : start;
	start = start > t->area.from_icount ? start : t->area.from_icount;
	end = end < t->area.to_icount ? end : t->area.to_icount;
	return (struct part){cpu_between(t, t->c->track[id], start, end), end > start ? end - start : 0};
}

static void add_to(struct tree *t, uint32_t node, bool is_call, struct part part)
{
	t->nodes.v[node].calls += is_call;
	t->nodes.v[node].total += part.cpu;
	t->nodes.v[node].elapsed += part.elapsed;
}

static bool is_asked(const struct tree *t, uint32_t function)
{
	return function >= t->function && function < t->function_end;
}

/* From the callee outwards, a node for each caller: calls and instructions are the callee's. */
static bool add_callers(struct tree *t, uint32_t id, bool is_call)
{
	uint32_t node = 0, slice = id;
	struct part part = {0};
	bool good = true;

	/* Of recursive calls the outermost has all the instructions. */
	if (!(t->c->call[id] & CALL_RECURSIVE))
		part = clip(t, id);
	add_to(t, 0, is_call, part);
	while (slice != DV_QUERY_NONE) {
		node = child_of(t, node, slice_function(t->c, slice), &good);
		if (node == DV_QUERY_NONE)
			return good;
		add_to(t, node, is_call, part);
		slice = t->c->parent[slice];
	}
	return true;
}

/* is_call: it starts in the area; else it is only open at the area's start. */
static bool add_slice(struct tree *t, uint32_t id, bool is_call)
{
	const struct columns *c = t->c;
	uint32_t depth = c->depth[id], *open = t->open[c->track[id]], function = slice_function(c, id);
	uint32_t parent = depth ? open[depth - 1] : 0, node = DV_QUERY_NONE;
	bool good = true;
	struct part part;

	if (t->kind == DV_TREE_CALLERS)
		return !is_asked(t, function) || add_callers(t, id, is_call);
	if (t->kind == DV_TREE_CALLEES && (!depth || parent == DV_QUERY_NONE))
		parent = is_asked(t, function) ? 0 : DV_QUERY_NONE;
	if (parent != DV_QUERY_NONE)
		node = child_of(t, parent, function, &good);
	open[depth] = node;
	if (node == DV_QUERY_NONE)
		return good;
	part = clip(t, id);
	add_to(t, node, is_call, part);
	if (!parent)
		add_to(t, 0, is_call, part);
	return true;
}

static bool is_wanted(const struct tree *t, uint32_t track)
{
	const struct track_row *row = &t->c->tracks[track];

	return (t->area.utid == DV_QUERY_NONE || row->utid == t->area.utid) &&
	       (t->area.upid == DV_QUERY_NONE || row->upid == t->area.upid);
}

static struct dv_error *prepare(struct tree *t)
{
	struct node *root = dv_vec_add(&t->nodes);

	t->open = calloc(t->c->n_tracks + 1, sizeof(*t->open));
	t->spell = calloc(t->c->n_tracks + 1, sizeof(*t->spell));
	if (!root || !t->open || !t->spell || !grow_slots(t))
		return dv_error_no_memory();
	*root = (struct node){.function = DV_QUERY_NONE, .parent = DV_QUERY_NONE, .last_child = DV_QUERY_NONE,
			      .previous = DV_QUERY_NONE};
	for (uint32_t i = 0; i < t->c->n_tracks; i++) {
		if (!is_wanted(t, i))
			continue;
		t->open[i] = calloc(t->c->tracks[i].depths + 1u, sizeof(**t->open));
		if (!t->open[i])
			return dv_error_no_memory();
	}
	return NULL;
}

/* What is open when the area begins, by track. */
static bool add_open(struct tree *t, const struct dv_query *q, uint32_t *stack)
{
	bool good = true;

	for (uint32_t i = 0; t->area.from_icount && i < t->c->n_tracks && good; i++) {
		size_t n;

		if (!t->open[i])
			continue;
		n = dv_query_stack_at(q, i, t->area.from_icount - 1, stack, MAX_STACK);
		for (size_t s = 0; s < n && good; s++)
			good = slice_end(t->c, stack[s]) <= t->area.from_icount || add_slice(t, stack[s], false);
	}
	return good;
}

/* The slices between the first and the last of the tracks that are wanted. */
static void bound(const struct tree *t, uint32_t *first, uint32_t *end)
{
	uint32_t least = *end, most = *first;

	for (uint32_t i = 0; i < t->c->n_tracks; i++) {
		const struct track_row *track = &t->c->tracks[i];

		for (uint32_t d = 0; t->open[i] && d < track->depths; d++) {
			struct lane lane = track_lane(t->c, track, d);

			if (!d && t->c->lanes[lane.first] < least)
				least = t->c->lanes[lane.first];
			if (t->c->lanes[lane.end - 1] >= most)
				most = t->c->lanes[lane.end - 1] + 1;
		}
	}
	if (least > *first)
		*first = least;
	if (most < *end)
		*end = most;
}

static struct dv_error *gather(struct tree *t, const struct dv_query *q)
{
	uint32_t id = first_slice_at(t->c, t->area.from_icount), *stack = malloc(MAX_STACK * sizeof(*stack));
	uint32_t end = t->area.to_icount == UINT64_MAX ? t->c->n : first_slice_at(t->c, t->area.to_icount);
	bool good = stack && add_open(t, q, stack);

	free(stack);
	bound(t, &id, &end);
	for (; id < end && good; id++) {
		if (id % CANCEL_EVERY == 0 && t->cancel && __atomic_load_n(t->cancel, __ATOMIC_RELAXED))
			return dv_error_new(DV_ERROR_CANCELLED, "cancelled");
		if (t->open[t->c->track[id]])
			good = add_slice(t, id, true);
	}
	return good ? NULL : dv_error_no_memory();
}

/* Output: depth first, siblings by total */

static int by_total(const void *a, const void *b, void *context)
{
	const struct node *nodes = context, *x = &nodes[*(const uint32_t *)a], *y = &nodes[*(const uint32_t *)b];

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return x->function < y->function ? -1 : x->function > y->function;
}

struct output {
	const struct tree *t;
	struct dv_query_tree_node *nodes;
	uint32_t n;
	DV_VEC(uint32_t) todo;   /* children that wait, the next one last */
	uint32_t *place;      /* by node: where it is in the output */
	uint32_t *before;     /* by output node: whose next it becomes; indexed by parent's place */
};

static bool push_children(struct output *o, uint32_t node)
{
	const struct tree *t = o->t;
	size_t first = o->todo.n;

	for (uint32_t i = t->nodes.v[node].last_child; i != DV_QUERY_NONE; i = t->nodes.v[i].previous) {
		uint32_t *slot = dv_vec_add(&o->todo);

		if (!slot)
			return false;
		*slot = i;
	}
	if (o->todo.n == first)
		return true;
	qsort_r(o->todo.v + first, o->todo.n - first, sizeof(*o->todo.v), by_total, t->nodes.v);
	for (size_t a = first, b = o->todo.n - 1; a < b; a++, b--) {
		uint32_t swap = o->todo.v[a];

		o->todo.v[a] = o->todo.v[b];
		o->todo.v[b] = swap;
	}
	return true;
}

static void put_node(struct output *o, uint32_t number)
{
	const struct node *node = &o->t->nodes.v[number];
	struct dv_query_tree_node *out = &o->nodes[o->n];

	*out = (struct dv_query_tree_node){
		.function = node->function,
		.parent = number ? o->place[node->parent] : DV_QUERY_NONE,
		.depth = node->depth,
		.next = DV_QUERY_NONE,
		.calls = node->calls,
		.own_icount = node->total,
		.total_icount = node->total,
		.elapsed_icount = node->elapsed,
	};
	o->place[number] = o->n;
	o->before[o->n] = DV_QUERY_NONE;
	if (number) {
		struct dv_query_tree_node *parent = &o->nodes[out->parent];
		uint32_t *before = &o->before[out->parent];

		if (*before != DV_QUERY_NONE)
			o->nodes[*before].next = o->n;
		*before = o->n;
		parent->own_icount -= node->total < parent->own_icount ? node->total : parent->own_icount;
	}
	o->n++;
}

static struct dv_error *put_out(const struct tree *t, struct dv_query_tree_node **ret, size_t *ret_len)
{
	struct output o = {.t = t};
	bool good;

	o.nodes = malloc(t->nodes.n * sizeof(*o.nodes));
	o.place = malloc(t->nodes.n * sizeof(*o.place));
	o.before = malloc(t->nodes.n * sizeof(*o.before));
	good = o.nodes && o.place && o.before;
	if (good) {
		put_node(&o, 0);
		good = push_children(&o, 0);
	}
	while (good && o.todo.n) {
		uint32_t node = o.todo.v[--o.todo.n];

		put_node(&o, node);
		good = push_children(&o, node);
	}
	free(o.todo.v);
	free(o.place);
	free(o.before);
	if (!good) {
		free(o.nodes);
		return dv_error_no_memory();
	}
	*ret = o.nodes;
	*ret_len = o.n;
	return NULL;
}

static void tree_deinit(struct tree *t)
{
	for (uint32_t i = 0; t->open && i < t->c->n_tracks; i++)
		free(t->open[i]);
	free(t->open);
	free(t->spell);
	free(t->slots);
	free(t->nodes.v);
}

struct dv_error *query_tree(const struct dv_query *q, enum dv_query_tree_kind kind, uint32_t function,
			    uint32_t function_end, const struct dv_query_area *area, uint32_t max_depth,
			    uint32_t max_nodes, const volatile bool *cancel, struct dv_query_tree_node **ret,
			    size_t *ret_len)
{
	struct tree t = {
		.c = &q->c,
		.area = area ? *area : DV_QUERY_WHOLE,
		.kind = kind,
		.function = function,
		.function_end = function_end,
		.max_depth = max_depth ? max_depth : UINT32_MAX,
		.max_nodes = max_nodes ? max_nodes : DEFAULT_MAX_NODES,
		.cancel = cancel,
	};
	struct dv_error *err = prepare(&t);

	if (!err)
		err = gather(&t, q);
	if (!err)
		err = put_out(&t, ret, ret_len);
	tree_deinit(&t);
	return err;
}

struct dv_error *dv_query_tree(const struct dv_query *q, enum dv_query_tree_kind kind, uint32_t function,
			       const struct dv_query_area *area, uint32_t max_depth, uint32_t max_nodes,
			       const volatile bool *cancel, struct dv_query_tree_node **ret, size_t *ret_len)
{
	if (kind != DV_TREE_FLAMEGRAPH && function >= q->c.n_functions)
		return dv_error_new(DV_ERROR_INVALID, "there is no function %u", function);
	return query_tree(q, kind, function, function + 1, area, max_depth, max_nodes, cancel, ret, ret_len);
}
