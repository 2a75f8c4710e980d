/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter implies for the events to read: for each node the ids for which it can be true and those for which it
 * can be false (in neither: always unknown). Tests on type and category are decided by the id and evaluated here, once.
 */
#include "query/filter_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { WORDS = AQ_FILTER_SET_WORDS };

static void set_bit(uint64_t *set, uint32_t bit)
{
	set[bit / 64] |= 1ull << (bit % 64);
}

static bool values_match(const struct aq_node *n, const char *text)
{
	enum aq_op op = n->op == AQ_OP_IN || n->op == AQ_OP_NE ? AQ_OP_EQ : n->op;
	struct aq_value v;
	bool hit = n->op == AQ_OP_EXISTS;

	aq_v_text(&v, text);
	for (uint32_t k = 0; k < n->value_count && !hit; k++)
		hit = aq_literal_matches(&n->values[k], op, &v);
	return hit != (n->op == AQ_OP_NE);
}

static void decide_by_event(struct aq_node *n)
{
	bool type = n->field->info->id == AQ_FIELD_EVT_TYPE;

	n->by_event = true;
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++) {
		const struct aq_event_schema *row = id ? aq_schema_event(id) : NULL;
		const char *text = type ? (row ? row->name : "unknown") :
				   aq_category_name(row ? row->category : AQ_CAT_UNKNOWN);

		set_bit(values_match(n, text) ? n->can_true : n->can_false, id);
	}
	if (type)
		set_bit(values_match(n, "gap") ? n->can_true : n->can_false, AQ_FILTER_GAP_BIT);
}

/* Ids for which the field has a value at all; all when in doubt. */
static void field_events(const struct aq_field *f, uint64_t *set)
{
	unsigned id = f->info->id;

	if (id >= AQ_FIELD_GAP_COUNT) {
		set_bit(set, AQ_FILTER_GAP_BIT);
	} else if (id == AQ_FIELD_EVT_ARG || id == AQ_FIELD_EVT_RAWARG) {
		for (uint32_t e = 0; e < AQ_EVENT_ID_MAX; e++)
			if (f->has_index || f->attr || f->arg_of[e] >= 0)
				set_bit(set, e);
	} else if (id == AQ_FIELD_EVT_RES || id == AQ_FIELD_EVT_RAWRES || id == AQ_FIELD_EVT_FAILED) {
		for (uint32_t e = 0; e < AQ_EVENT_ID_STATE; e++)
			set_bit(set, e);
	} else {
		memset(set, 0xff, WORDS * sizeof(*set));
	}
}

static bool is_true_test(const struct aq_node *n)
{
	return n->op == AQ_OP_EQ && n->value_count == 1 && n->values[0].has_bool && n->values[0].b;
}

static void bind_test(struct aq_node *n)
{
	unsigned id = n->field->info->id;

	if (id == AQ_FIELD_EVT_TYPE || id == AQ_FIELD_EVT_CATEGORY) {
		decide_by_event(n);
		return;
	}
	field_events(n->field, n->can_true);
	if (n->op == AQ_OP_EXISTS)
		memset(n->can_false, 0xff, WORDS * sizeof(*n->can_false));
	else
		memcpy(n->can_false, n->can_true, WORDS * sizeof(*n->can_false));
	if (!is_true_test(n))
		return;
	if (id >= AQ_FIELD_EVT_IS_OPEN_READ && id <= AQ_FIELD_EVT_IS_OPEN_EXEC) {
		memset(n->can_true, 0, WORDS * sizeof(*n->can_true));
		set_bit(n->can_true, AQ_EV_open);
		set_bit(n->can_true, AQ_EV_openat);
		set_bit(n->can_true, AQ_EV_openat2);
		set_bit(n->can_true, AQ_EV_creat);
	} else if (id >= AQ_FIELD_EVT_IS_IO && id <= AQ_FIELD_EVT_IS_IO_WRITE) {
		memset(n->can_true, 0, WORDS * sizeof(*n->can_true));
		for (const struct aq_event_schema *e = aq_schema_next(0); e; e = aq_schema_next(e->id))
			if ((e->category == AQ_CAT_IO_READ || e->category == AQ_CAT_IO_WRITE) && e->id < AQ_EVENT_ID_MAX)
				set_bit(n->can_true, e->id);
	}
}

int aq_filter_bind_events(struct aq_filter *f)
{
	for (uint32_t i = 0; i < f->count; i++) {
		struct aq_node *n = &f->nodes[i];

		if (n->kind != AQ_NODE_TEST)
			continue;
		n->can_true = calloc(WORDS, sizeof(*n->can_true));
		n->can_false = calloc(WORDS, sizeof(*n->can_false));
		if (!n->can_true || !n->can_false)
			return -ENOMEM;
		bind_test(n);
	}
	return 0;
}

struct sets {
	uint64_t yes[WORDS], no[WORDS];
};

static void combine(enum aq_node_kind kind, struct sets *into, const struct sets *part)
{
	for (unsigned i = 0; i < WORDS; i++) {
		if (kind == AQ_NODE_AND) {
			into->yes[i] &= part->yes[i];
			into->no[i] |= part->no[i];
		} else {
			into->yes[i] |= part->yes[i];
			into->no[i] &= part->no[i];
		}
	}
}

static void possible(const struct aq_filter *f, uint32_t index, struct sets *ret)
{
	const struct aq_node *n = &f->nodes[index];
	enum aq_node_kind kind = n->kind;
	struct sets part;

	if (kind == AQ_NODE_TEST) {
		memcpy(ret->yes, n->can_true, sizeof(ret->yes));
		memcpy(ret->no, n->can_false, sizeof(ret->no));
		return;
	}
	if (kind == AQ_NODE_NOT) {
		possible(f, n->a, &part);
		memcpy(ret->yes, part.no, sizeof(ret->yes));
		memcpy(ret->no, part.yes, sizeof(ret->no));
		return;
	}
	possible(f, n->a, ret);
	for (index = n->b; f->nodes[index].kind == kind; index = f->nodes[index].b) {
		possible(f, f->nodes[index].a, &part);
		combine(kind, ret, &part);
	}
	possible(f, index, &part);
	combine(kind, ret, &part);
}

static void whole(const struct aq_filter *f, struct sets *ret)
{
	if (f->empty)
		memset(ret, 0xff, sizeof(*ret));
	else
		possible(f, f->root, ret);
}

void aq_filter_event_set(const struct aq_filter *f, uint64_t *ret_set)
{
	struct sets s;

	whole(f, &s);
	memcpy(ret_set, s.yes, sizeof(s.yes));
	for (uint32_t bit = AQ_EVENT_ID_MAX; bit < WORDS * 64; bit++)
		ret_set[bit / 64] &= ~(1ull << (bit % 64));
}

static void named(const struct aq_filter *f, uint32_t index, bool negated, uint64_t *set)
{
	const struct aq_node *n = &f->nodes[index];

	for (; n->kind == AQ_NODE_AND || n->kind == AQ_NODE_OR; n = &f->nodes[n->b])
		named(f, n->a, negated, set);
	if (n->kind == AQ_NODE_NOT)
		named(f, n->a, !negated, set);
	if (n->kind == AQ_NODE_TEST && n->by_event && !negated && n->op != AQ_OP_NE && n->op != AQ_OP_EXISTS)
		for (unsigned i = 0; i < WORDS; i++)
			set[i] |= n->can_true[i];
	if (n->kind == AQ_NODE_TEST && n->field->info->id >= AQ_FIELD_GAP_COUNT && !negated)
		set_bit(set, AQ_FILTER_GAP_BIT);
}

void aq_filter_named_events(const struct aq_filter *f, uint64_t *ret_set)
{
	memset(ret_set, 0, WORDS * sizeof(*ret_set));
	if (!f->empty)
		named(f, f->root, false, ret_set);
	for (uint32_t bit = AQ_EVENT_ID_MAX; bit < WORDS * 64; bit++)
		ret_set[bit / 64] &= ~(1ull << (bit % 64));
}

bool aq_filter_wants_gaps(const struct aq_filter *f, bool *ret_named)
{
	uint64_t set[WORDS] = { 0 };
	struct sets s;

	whole(f, &s);
	if (!f->empty)
		named(f, f->root, false, set);
	*ret_named = aq_bit(set, AQ_FILTER_GAP_BIT) && aq_bit(s.yes, AQ_FILTER_GAP_BIT);
	return aq_bit(s.yes, AQ_FILTER_GAP_BIT);
}

bool aq_filter_is_event_set(const struct aq_filter *f)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (f->nodes[i].kind == AQ_NODE_TEST && !f->nodes[i].by_event)
			return false;
	return true;
}
