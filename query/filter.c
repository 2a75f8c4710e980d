/* SPDX-License-Identifier: Apache-2.0 */
/* Parses filter expressions by recursive descent, bounded in depth and size, into an array of nodes. */
#include "query/filter_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { AQ_SET_MAX = 4096 };

struct parser {
	struct aq_lexer lx;
	struct aq_filter *f;
	unsigned depth;
	struct aq_err *err;
};

static int parse_or(struct parser *p, uint32_t *ret_node);

static int expected(struct parser *p, const char *what)
{
	const struct aq_token *t = &p->lx.token;

	if (t->kind == AQ_TOK_END)
		return aq_err_set_at(p->err, -EINVAL, t->offset, "%s was expected, but the expression ends", what);
	if (t->kind == AQ_TOK_WORD)
		return aq_err_set_at(p->err, -EINVAL, t->offset, "%s was expected, not '%.*s'", what,
				     (int)(t->len > 60 ? 60 : t->len), t->s);
	return aq_err_set_at(p->err, -EINVAL, t->offset, "%s was expected", what);
}

static int next(struct parser *p)
{
	return aq_lexer_next(&p->lx, p->err);
}

static int new_node(struct parser *p, enum aq_node_kind kind, uint32_t *ret_node)
{
	struct aq_filter *f = p->f;

	if (f->count == AQ_FILTER_MAX_NODES)
		return aq_err_set_at(p->err, -EINVAL, p->lx.token.offset, "the filter has too many terms (limit %d)",
				     AQ_FILTER_MAX_NODES);
	if (f->count == f->room) {
		uint32_t room = f->room ? f->room * 2 : 16;
		struct aq_node *more = realloc(f->nodes, room * sizeof(*more));

		if (!more)
			return aq_err_set(p->err, -ENOMEM, "no memory for a filter");
		f->nodes = more;
		f->room = room;
	}
	f->nodes[f->count] = (struct aq_node){ .kind = (uint8_t)kind };
	*ret_node = f->count++;
	return 0;
}

static int add_value(struct parser *p, uint32_t node, uint32_t *room)
{
	struct aq_node *n = &p->f->nodes[node];
	int r;

	if (p->lx.token.kind != AQ_TOK_WORD && p->lx.token.kind != AQ_TOK_QUOTED)
		return expected(p, "a value");
	if (n->value_count == AQ_SET_MAX)
		return aq_err_set_at(p->err, -EINVAL, p->lx.token.offset, "a set may have %d values", AQ_SET_MAX);
	if (n->value_count == *room) {
		uint32_t more = *room ? *room * 2 : 1;
		struct aq_literal *values = realloc(n->values, more * sizeof(*values));

		if (!values)
			return aq_err_set(p->err, -ENOMEM, "no memory for a filter");
		n->values = values;
		*room = more;
	}
	r = aq_literal_set(&n->values[n->value_count], n->field, n->op, &p->lx.token, p->err);
	n->value_count++; /* released with the node, also when it was wrong */
	return r < 0 ? r : next(p);
}

static int parse_values(struct parser *p, uint32_t node)
{
	enum aq_op op = p->f->nodes[node].op;
	uint32_t room = 0;
	int r;

	if (op == AQ_OP_EXISTS)
		return 0;
	if (op != AQ_OP_IN && !(op == AQ_OP_PMATCH && p->lx.token.kind == AQ_TOK_OPEN))
		return add_value(p, node, &room);
	if (p->lx.token.kind != AQ_TOK_OPEN)
		return expected(p, "'(' and the values");
	do {
		r = next(p);
		if (r < 0)
			return r;
		if (p->lx.token.kind == AQ_TOK_CLOSE && p->f->nodes[node].value_count)
			break; /* a comma before the ) is allowed */
		r = add_value(p, node, &room);
		if (r < 0)
			return r;
	} while (p->lx.token.kind == AQ_TOK_COMMA);
	if (p->lx.token.kind != AQ_TOK_CLOSE)
		return expected(p, "',' or ')'");
	return next(p);
}

static int check_op(struct parser *p, const struct aq_field *f, enum aq_op op, uint64_t offset)
{
	bool text = op >= AQ_OP_CONTAINS && op <= AQ_OP_PMATCH, order = op >= AQ_OP_LT && op <= AQ_OP_GE;
	enum aq_field_type type = f->info->type;

	if (text && type != AQ_FT_STRING && type != AQ_FT_DYNAMIC)
		return aq_err_set_at(p->err, -EINVAL, offset, "this operator is for text; '%s' is of type %s", f->text,
				     aq_field_type_name(type));
	if (order && (type == AQ_FT_STRING || type == AQ_FT_BOOL || type == AQ_FT_IP))
		return aq_err_set_at(p->err, -EINVAL, offset, "this operator is for numbers; '%s' is of type %s", f->text,
				     aq_field_type_name(type));
	return 0;
}

static int parse_test(struct parser *p, uint32_t *ret_node)
{
	const struct aq_token field_token = p->lx.token;
	struct aq_field *field = NULL;
	size_t used;
	uint64_t op_offset;
	enum aq_op op;
	uint32_t node;
	int r;

	if (field_token.kind != AQ_TOK_WORD)
		return expected(p, "a field, 'not' or '('");
	r = aq_field_compile_part(field_token.s, field_token.len, field_token.offset, &field, &used, p->err);
	if (r < 0)
		return r;
	r = new_node(p, AQ_NODE_TEST, &node);
	if (r < 0) {
		aq_field_free(field);
		return r;
	}
	p->f->nodes[node].field = field;
	if (used != field_token.len)
		return aq_err_set_at(p->err, -EINVAL, field_token.offset + used, "the end of the field was expected");
	r = next(p);
	if (r < 0)
		return r;
	op_offset = p->lx.token.offset;
	op = p->lx.token.kind == AQ_TOK_OP ? p->lx.token.op :
	     p->lx.token.kind == AQ_TOK_WORD ? aq_op_of_word(p->lx.token.s, p->lx.token.len) : AQ_OP_NONE;
	if (op == AQ_OP_NONE)
		return expected(p, "an operator (= != < <= > >= in contains icontains startswith endswith glob pmatch exists)");
	r = check_op(p, field, op, op_offset);
	if (r < 0)
		return r;
	p->f->nodes[node].op = (uint8_t)op;
	p->f->needs |= aq_field_needs(field);
	r = next(p);
	*ret_node = node;
	return r < 0 ? r : parse_values(p, node);
}

static int parse_term(struct parser *p, uint32_t *ret_node)
{
	uint32_t child;
	int r;

	if (p->depth >= AQ_FILTER_MAX_DEPTH)
		return aq_err_set_at(p->err, -EINVAL, p->lx.token.offset, "the filter is nested too deeply (limit %d)",
				     AQ_FILTER_MAX_DEPTH);
	p->depth++;
	if (aq_word_is(&p->lx.token, "not")) {
		r = next(p);
		if (r == 0)
			r = parse_term(p, &child);
		if (r == 0)
			r = new_node(p, AQ_NODE_NOT, ret_node);
		if (r == 0)
			p->f->nodes[*ret_node].a = child;
	} else if (p->lx.token.kind == AQ_TOK_OPEN) {
		r = next(p);
		if (r == 0)
			r = parse_or(p, ret_node);
		if (r == 0)
			r = p->lx.token.kind == AQ_TOK_CLOSE ? next(p) : expected(p, "'and', 'or' or ')'");
	} else {
		r = parse_test(p, ret_node);
	}
	p->depth--;
	return r;
}

/* Terms joined by one word. The chain leans to the right, so that whoever walks it can loop along b. */
static int parse_chain(struct parser *p, const char *word, enum aq_node_kind kind,
		       int (*part)(struct parser *p, uint32_t *ret_node), uint32_t *ret_node)
{
	uint32_t first, last = 0, right, node;
	bool chained = false;
	int r = part(p, &first);

	while (r == 0 && aq_word_is(&p->lx.token, word)) {
		r = next(p);
		if (r == 0)
			r = part(p, &right);
		if (r == 0)
			r = new_node(p, kind, &node);
		if (r < 0)
			break;
		p->f->nodes[node].a = chained ? p->f->nodes[last].b : first;
		p->f->nodes[node].b = right;
		if (chained)
			p->f->nodes[last].b = node;
		else
			first = node;
		chained = true;
		last = node;
	}
	if (r == 0)
		*ret_node = first;
	return r;
}

static int parse_and(struct parser *p, uint32_t *ret_node)
{
	return parse_chain(p, "and", AQ_NODE_AND, parse_term, ret_node);
}

static int parse_or(struct parser *p, uint32_t *ret_node)
{
	return parse_chain(p, "or", AQ_NODE_OR, parse_and, ret_node);
}

int aq_filter_compile(const char *text, struct aq_filter **ret_filter, struct aq_err *err)
{
	struct parser p = { .err = err };
	int r;

	p.lx.text = text ? text : "";
	p.lx.len = strlen(p.lx.text);
	if (p.lx.len > AQ_FILTER_MAX_BYTES)
		return aq_err_set_at(err, -EINVAL, AQ_FILTER_MAX_BYTES, "a filter may be %d bytes long", AQ_FILTER_MAX_BYTES);
	p.f = calloc(1, sizeof(*p.f));
	p.lx.quoted = malloc(p.lx.len + 1);
	if (!p.f || !p.lx.quoted) {
		r = aq_err_set(err, -ENOMEM, "no memory for a filter");
		goto out;
	}
	r = next(&p);
	if (r == 0 && p.lx.token.kind == AQ_TOK_END) {
		p.f->empty = true;
	} else if (r == 0) {
		r = parse_or(&p, &p.f->root);
		if (r == 0 && p.lx.token.kind != AQ_TOK_END)
			r = expected(&p, "'and', 'or' or the end");
		if (r == 0 && aq_filter_bind_events(p.f) < 0)
			r = aq_err_set(err, -ENOMEM, "no memory for a filter");
	}
out:
	free(p.lx.quoted);
	if (r < 0) {
		aq_filter_free(p.f);
		return r;
	}
	*ret_filter = p.f;
	return 0;
}

void aq_filter_free(struct aq_filter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->count; i++) {
		struct aq_node *n = &f->nodes[i];

		aq_field_free(n->field);
		for (uint32_t k = 0; k < n->value_count; k++)
			aq_literal_release(&n->values[k]);
		free(n->values);
		free(n->can_true);
		free(n->can_false);
	}
	free(f->nodes);
	free(f);
}

unsigned aq_filter_needs(const struct aq_filter *f)
{
	return f->needs;
}
