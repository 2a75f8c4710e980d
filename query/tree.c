/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds process trees in one pass: the engine follows the state, each exec is noted as it happens, and the processes
 * that the state knows at the end become nodes. Processes are told apart by their serial number in the state.
 */
#include "query/tree.h"

#include <errno.h>
#include <stdlib.h>

#include "query/query_internal.h"

enum { ARENA_BLOCK = 64 * 1024, NO_NODE = -1 };

struct block {
	struct block *next;
	size_t used, size;
	char bytes[];
};

struct history { /* of one process, by serial */
	struct aq_tree_exec *execs;
	uint32_t kept, room, count;
	bool matches;
};

struct build {
	struct block *arena;
	struct history *history;
	uint64_t history_room;
	struct aq_tree_node *nodes;
	uint64_t *serial;       /* of each node */
	int64_t *by_serial;     /* node of a serial, NO_NODE */
	size_t count;
	uint64_t max_serial;
};

struct owned_tree {
	struct aq_tree pub;
	struct block *arena;
	struct aq_tree_node *nodes;
	struct history *history;
	uint64_t history_room;
};

static char *keep_text(struct build *b, const char *s, size_t len)
{
	struct block *k = b->arena;
	char *at;

	if (!k || k->size - k->used < len + 1) {
		size_t size = len + 1 > ARENA_BLOCK ? len + 1 : ARENA_BLOCK;

		k = malloc(sizeof(*k) + size);
		if (!k)
			return NULL;
		k->next = b->arena;
		k->used = 0;
		k->size = size;
		b->arena = k;
	}
	at = k->bytes + k->used;
	memcpy(at, s, len);
	at[len] = '\0';
	k->used += len + 1;
	return at;
}

static struct history *history_of(struct build *b, uint64_t serial)
{
	if (serial >= b->history_room) {
		uint64_t room = b->history_room ? b->history_room * 2 : 1024;
		struct history *more;

		while (room <= serial)
			room *= 2;
		more = realloc(b->history, room * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + b->history_room, 0, (room - b->history_room) * sizeof(*more));
		b->history = more;
		b->history_room = room;
	}
	return &b->history[serial];
}

static int note_exec(struct build *b, const struct aq_proc *p, uint64_t time_ns)
{
	struct history *h = history_of(b, p->serial);
	const struct aq_str *exe = p->exepath ? p->exepath : p->exe;
	struct aq_tree_exec *e;

	if (!h)
		return -ENOMEM;
	h->count++;
	if (h->kept == AQ_TREE_MAX_EXECS)
		return 0;
	if (h->kept == h->room) {
		uint32_t room = h->room ? h->room * 2 : 1;
		struct aq_tree_exec *more = realloc(h->execs, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		h->execs = more;
		h->room = room;
	}
	e = &h->execs[h->kept];
	*e = (struct aq_tree_exec){ .time_ns = time_ns, .uid = p->uid, .uid_known = p->flags & AQ_PROC_CREDS,
				    .from_memfd = p->flags & AQ_PROC_MEMFD, .upper_layer = p->flags & AQ_PROC_UPPER };
	if (exe && !(e->exe = keep_text(b, exe->s, exe->len)))
		return -ENOMEM;
	if (p->argv && !(e->argv = keep_text(b, p->argv->s, p->argv->len)))
		return -ENOMEM;
	e->argv_len = p->argv ? p->argv->len : 0;
	h->kept++;
	return 0;
}

static int on_state(void *user, const struct aq_state *state, const struct aq_event *ev, const struct aq_touch *touch)
{
	struct build *b = user;

	(void)state;
	if (!touch->proc)
		return 0;
	if (ev->id == AQ_EV_proc_exec)
		return note_exec(b, touch->proc, ev->time_ns);
	if (ev->id == AQ_EV_snap_proc) {
		struct history *h = history_of(b, touch->proc->serial);

		if (!h)
			return -ENOMEM;
		return h->count || (!touch->proc->exepath && !touch->proc->argv) ? 0 : note_exec(b, touch->proc, 0);
	}
	return 0;
}

static const char *container_of(struct build *b, const struct aq_state *state, const struct aq_proc *p)
{
	const struct aq_cgroup *c = p->cgroup_id ? aq_state_cgroup(state, p->cgroup_id) : NULL;

	return c && c->path ? keep_text(b, c->container_id, strlen(c->container_id)) : NULL;
}

static int add_node(struct build *b, const struct aq_state *state, const struct aq_proc *p, const struct aq_query *q)
{
	struct aq_tree_node *n = &b->nodes[b->count];
	struct history *h = history_of(b, p->serial);
	const struct aq_str *cwd = aq_proc_cwd(p);

	if (!h)
		return -ENOMEM;
	*n = (struct aq_tree_node){
		.pid = p->pid, .ppid = p->ppid, .ns_pid = p->ns_pid, .parent = NO_NODE, .flags = p->flags,
		.start_ns = p->start_ns, .exit_ns = p->exit_ns, .exit_code = p->exit_code, .exit_signal = p->exit_signal,
		.cgroup_id = p->cgroup_id, .container_id = container_of(b, state, p), .matches = h->matches,
		.execs = h->execs, .exec_kept = h->kept, .exec_count = h->count,
	};
	n->in_window = (!p->exit_ns || p->exit_ns >= q->from_ns) && (!q->to_ns || p->start_ns <= q->to_ns);
	if ((p->comm && !(n->comm = keep_text(b, p->comm->s, p->comm->len))) ||
	    (cwd && !(n->cwd = keep_text(b, cwd->s, cwd->len))))
		return -ENOMEM;
	b->serial[b->count] = p->serial;
	b->by_serial[p->serial] = (int64_t)b->count++;
	return 0;
}

static int collect(struct build *b, const struct aq_query *q)
{
	const struct aq_state *state = q->state;
	struct aq_state_stats stats;
	size_t i = 0;
	int r = 0;

	aq_state_stats(state, &stats);
	for (const struct aq_proc *p = aq_state_next(state, NULL); p; p = aq_state_next(state, p))
		b->max_serial = p->serial > b->max_serial ? p->serial : b->max_serial;
	b->nodes = calloc(stats.processes + 1, sizeof(*b->nodes));
	b->serial = calloc(stats.processes + 1, sizeof(*b->serial));
	b->by_serial = malloc((b->max_serial + 1) * sizeof(*b->by_serial));
	if (!b->nodes || !b->serial || !b->by_serial)
		return -ENOMEM;
	memset(b->by_serial, 0xff, (b->max_serial + 1) * sizeof(*b->by_serial));
	for (const struct aq_proc *p = aq_state_next(state, NULL); p && r == 0; p = aq_state_next(state, p))
		r = add_node(b, state, p, q);
	for (const struct aq_proc *p = aq_state_next(state, NULL); p && r == 0; p = aq_state_next(state, p), i++)
		if (p->parent)
			b->nodes[i].parent = b->by_serial[p->parent->serial];
	return r;
}

/* Which nodes are shown. mark: 1 selected itself, 2 an ancestor, 3 a descendant. */
static void select_nodes(const struct build *b, const struct aq_tree_options *o, uint8_t *mark)
{
	bool down = o->pid || o->with_descendants;

	for (size_t i = 0; i < b->count; i++) {
		const struct aq_tree_node *n = &b->nodes[i];

		if (n->in_window && (n->matches || !o->filter) && (!o->pid || n->pid == o->pid))
			mark[i] = 1;
	}
	/* a descendant's nearest selected ancestor is found by walking up; walks stop at what is settled */
	for (size_t i = 0; down && i < b->count; i++) {
		unsigned steps = 0;

		for (int64_t up = b->nodes[i].parent; !mark[i] && b->nodes[i].in_window && up >= 0 && steps++ < 4096;
		     up = b->nodes[up].parent)
			if (mark[up] == 1)
				mark[i] = 3;
	}
	for (size_t i = 0; i < b->count; i++)
		for (int64_t up = mark[i] == 1 || mark[i] == 3 ? b->nodes[i].parent : -1; up >= 0 && !mark[up];
		     up = b->nodes[up].parent)
			mark[up] = 2;
}

struct order {
	uint64_t start_ns, serial;
	int64_t node;
};

static int later_first(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? 1 : -1;
	return x->serial < y->serial ? 1 : x->serial > y->serial ? -1 : 0;
}

/* Depth first, parents before children, siblings by start. */
static int put_in_order(struct build *b, const uint8_t *mark, struct aq_tree_node **ret_nodes, size_t *ret_count)
{
	size_t n = b->count + 1, out = 0;
	struct order *order = calloc(n, sizeof(*order));
	int64_t *child = malloc(n * sizeof(*child)), *sibling = malloc(n * sizeof(*sibling)), *place = malloc(n * sizeof(*place));
	struct aq_tree_node *nodes = calloc(n, sizeof(*nodes));
	int64_t root = NO_NODE, at;
	int r = -ENOMEM;

	if (!order || !child || !sibling || !place || !nodes)
		goto out;
	for (size_t i = 0; i < b->count; i++) {
		order[i] = (struct order){ b->nodes[i].start_ns, b->serial[i], (int64_t)i };
		child[i] = place[i] = NO_NODE;
	}
	if (b->count)
		qsort(order, b->count, sizeof(*order), later_first);
	for (size_t i = 0; i < b->count; i++) {
		int64_t k = order[i].node, up = b->nodes[k].parent;

		if (!mark[k])
			continue;
		if (up >= 0 && mark[up]) {
			sibling[k] = child[up];
			child[up] = k;
			b->nodes[up].children++;
		} else {
			b->nodes[k].parent = NO_NODE;
			sibling[k] = root;
			root = k;
		}
	}
	for (at = root; at >= 0;) {
		struct aq_tree_node *put = &nodes[out];
		int64_t up = b->nodes[at].parent;

		*put = b->nodes[at];
		put->parent = up >= 0 ? place[up] : NO_NODE;
		put->depth = up >= 0 ? nodes[put->parent].depth + 1 : 0;
		place[at] = (int64_t)out++;
		if (child[at] >= 0) {
			at = child[at];
			continue;
		}
		while (at >= 0 && sibling[at] < 0)
			at = b->nodes[at].parent;
		at = at >= 0 ? sibling[at] : NO_NODE;
	}
	*ret_nodes = nodes;
	*ret_count = out;
	nodes = NULL;
	r = 0;
out:
	free(order);
	free(child);
	free(sibling);
	free(place);
	free(nodes);
	return r;
}

static void free_history(struct history *h, uint64_t room)
{
	for (uint64_t i = 0; h && i < room; i++)
		free(h[i].execs);
	free(h);
}

static void free_arena(struct block *k)
{
	while (k) {
		struct block *next = k->next;

		free(k);
		k = next;
	}
}

static int run(struct build *b, struct aq_query *q, bool filtered, struct aq_err *err)
{
	struct aq_row *row;
	int r;

	q->on_state = on_state;
	q->on_state_user = b;
	while ((r = aq_query_step(q, &row, err)) > 0) {
		struct history *h = row->proc && filtered ? history_of(b, row->proc->serial) : NULL;

		if (h)
			h->matches = true;
	}
	return r;
}

int aq_tree_new(struct aq_capture *c, const struct aq_tree_options *options, struct aq_tree **ret_tree,
		struct aq_verdict *ret_verdict, struct aq_err *err)
{
	static const struct aq_tree_options all;
	const struct aq_tree_options *o = options ? options : &all;
	static const uint64_t none[AQ_SET_WORDS];
	struct aq_query_options qo = { .filter = o->filter, .from_ns = o->from_ns, .to_ns = o->to_ns,
				       .needs = AQ_NEED_PROC | AQ_NEED_CGROUP, .event_set = o->filter ? NULL : none };
	struct build b = { 0 };
	struct owned_tree *t = NULL;
	struct aq_query *q = NULL;
	uint8_t *mark = NULL;
	int r = aq_query_new(c, &qo, &q, err);

	if (r == 0)
		r = run(&b, q, o->filter != NULL, err);
	if (r < 0)
		goto out;
	r = collect(&b, q);
	mark = calloc(b.count + 1, 1);
	t = calloc(1, sizeof(*t));
	if (r == 0 && (!mark || !t))
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < b.count; i++)
		b.nodes[i].matches = b.nodes[i].matches || !o->filter;
	if (r == 0) {
		select_nodes(&b, o, mark);
		r = put_in_order(&b, mark, &t->nodes, &t->pub.count);
	}
	if (r < 0) {
		aq_err_set(err, r, "no memory for the process tree");
		goto out;
	}
	t->pub.nodes = t->nodes;
	t->arena = b.arena;
	t->history = b.history;
	t->history_room = b.history_room;
	b.arena = NULL;
	b.history = NULL;
	if (ret_verdict)
		aq_query_verdict(q, ret_verdict);
	*ret_tree = &t->pub;
	t = NULL;
out:
	free(t);
	free(mark);
	free(b.nodes);
	free(b.serial);
	free(b.by_serial);
	free_arena(b.arena);
	free_history(b.history, b.history_room);
	aq_query_free(q);
	return r;
}

void aq_tree_free(struct aq_tree *tree)
{
	struct owned_tree *t = (struct owned_tree *)tree;

	if (!t)
		return;
	free(t->nodes);
	free_arena(t->arena);
	free_history(t->history, t->history_room);
	free(t);
}
