/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates a compiled filter for one row, three-valued: a test on an unknown value is unknown, and so is its negation.
 */
#include "query/filter_internal.h"

#include <strings.h>

enum truth { NO, YES, UNKNOWN };

/* `*` any run, `?` any byte, `[a-z]` `[!a-z]` a set, `\` takes the next byte as it is. No backtracking beyond the last *. */
static bool class_matches(const char *pattern, size_t len, size_t *at, unsigned char c)
{
	size_t i = *at + 1;
	bool invert = i < len && (pattern[i] == '!' || pattern[i] == '^'), hit = false, first = true;

	if (invert)
		i++;
	for (; i < len && (first || pattern[i] != ']'); first = false) {
		unsigned char low = (unsigned char)pattern[i++], high = low;

		if (i + 1 < len && pattern[i] == '-' && pattern[i + 1] != ']') {
			high = (unsigned char)pattern[i + 1];
			i += 2;
		}
		hit = hit || (c >= low && c <= high);
	}
	if (i >= len) { /* no end: the bracket stands for itself */
		(*at)++;
		return c == '[';
	}
	*at = i + 1;
	return hit != invert;
}

bool aq_glob(const char *pattern, size_t pattern_len, const char *text, size_t len)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;

	while (t < len) {
		size_t at = p;
		bool ok = false;

		if (p < pattern_len && pattern[p] == '*') {
			star = p++;
			star_text = t;
			continue;
		}
		if (p < pattern_len) {
			if (pattern[p] == '?') {
				ok = true;
				at = p + 1;
			} else if (pattern[p] == '[') {
				ok = class_matches(pattern, pattern_len, &at, (unsigned char)text[t]);
			} else {
				at = p + (pattern[p] == '\\' && p + 1 < pattern_len);
				ok = pattern[at] == text[t];
				at++;
			}
		}
		if (ok) {
			p = at;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

static bool contains_nocase(const char *text, size_t len, const char *part, size_t part_len)
{
	if (part_len > len)
		return false;
	for (size_t i = 0; i + part_len <= len; i++)
		if (strncasecmp(text + i, part, part_len) == 0)
			return true;
	return part_len == 0;
}

static bool path_below(const char *path, size_t len, const char *prefix, size_t prefix_len)
{
	while (prefix_len > 1 && prefix[prefix_len - 1] == '/')
		prefix_len--;
	if (len < prefix_len || memcmp(path, prefix, prefix_len) != 0)
		return false;
	return len == prefix_len || path[prefix_len] == '/' || (prefix_len == 1 && prefix[0] == '/');
}

static bool text_matches(enum aq_op op, const char *s, size_t len, const struct aq_literal *lit)
{
	switch (op) {
	case AQ_OP_EQ: return len == lit->len && memcmp(s, lit->text, len) == 0;
	case AQ_OP_CONTAINS: return memmem(s, len, lit->text, lit->len) != NULL;
	case AQ_OP_ICONTAINS: return contains_nocase(s, len, lit->text, lit->len);
	case AQ_OP_STARTSWITH: return len >= lit->len && memcmp(s, lit->text, lit->len) == 0;
	case AQ_OP_ENDSWITH: return len >= lit->len && memcmp(s + len - lit->len, lit->text, lit->len) == 0;
	case AQ_OP_GLOB: return aq_glob(lit->text, lit->len, s, len);
	case AQ_OP_PMATCH: return path_below(s, len, lit->text, lit->len);
	default: return false;
	}
}

/* -1, 0, 1 over the whole range of signed and unsigned numbers. */
static int compare_numbers(const struct aq_value *v, const struct aq_literal *lit)
{
	bool negative = v->kind == AQ_VAL_INT && v->i < 0;

	if (negative != lit->negative)
		return negative ? -1 : 1;
	if (negative)
		return v->i < lit->i ? -1 : v->i > lit->i;
	return v->u < lit->u ? -1 : v->u > lit->u;
}

static bool number_matches(enum aq_op op, int order)
{
	switch (op) {
	case AQ_OP_EQ: return order == 0;
	case AQ_OP_LT: return order < 0;
	case AQ_OP_LE: return order <= 0;
	case AQ_OP_GT: return order > 0;
	case AQ_OP_GE: return order >= 0;
	default: return false;
	}
}

static bool ip_matches(const struct aq_value *v, const struct aq_literal *lit)
{
	unsigned bytes = lit->prefix_bits / 8, bits = lit->prefix_bits % 8;

	if (v->len != lit->ip_len || memcmp(v->ip, lit->ip, bytes) != 0)
		return false;
	return !bits || ((v->ip[bytes] ^ lit->ip[bytes]) & (0xff << (8 - bits) & 0xff)) == 0;
}

bool aq_literal_matches(const struct aq_literal *lit, enum aq_op op, const struct aq_value *v)
{
	char text[1024];
	size_t len;

	switch (v->kind) {
	case AQ_VAL_NONE:
		return false;
	case AQ_VAL_STRING:
		return text_matches(op, v->s, v->len, lit);
	case AQ_VAL_BOOL:
		if (lit->has_bool)
			return op == AQ_OP_EQ && v->b == lit->b;
		break;
	case AQ_VAL_IP:
		if (lit->ip_len)
			return op == AQ_OP_EQ && ip_matches(v, lit);
		break;
	case AQ_VAL_INT:
	case AQ_VAL_UINT:
		if (lit->is_success)
			return op == AQ_OP_EQ && !(v->kind == AQ_VAL_INT && aq_result_is_error(v->i));
		if (lit->has_number && op <= AQ_OP_GE)
			return number_matches(op, compare_numbers(v, lit));
		break;
	}
	len = aq_value_text(v, text, sizeof(text));
	return text_matches(op, text, len < sizeof(text) ? len : sizeof(text) - 1, lit);
}

static enum truth test(const struct aq_node *n, struct aq_row *row)
{
	enum aq_op op = n->op == AQ_OP_IN || n->op == AQ_OP_NE ? AQ_OP_EQ : n->op;
	size_t mark = row->scratch->used;
	struct aq_value v;
	bool hit = false;

	if (n->by_event) {
		uint32_t bit = row->ev ? (row->ev->id < AQ_EVENT_ID_MAX ? row->ev->id : 0) : AQ_FILTER_GAP_BIT;

		return aq_bit(n->can_true, bit) ? YES : aq_bit(n->can_false, bit) ? NO : UNKNOWN;
	}
	if (!aq_field_value_at(n->field, row, 0, &v))
		return n->op == AQ_OP_EXISTS ? NO : UNKNOWN;
	for (unsigned i = 0; !hit && n->op != AQ_OP_EXISTS;) {
		for (uint32_t k = 0; k < n->value_count && !hit; k++)
			hit = aq_literal_matches(&n->values[k], op, &v);
		if (n->field->info->shape == AQ_FS_ONE || ++i > AQ_ANCESTORS_MAX ||
		    !aq_field_value_at(n->field, row, i, &v))
			break;
	}
	row->scratch->used = mark;
	if (n->op == AQ_OP_EXISTS)
		return YES;
	return hit != (n->op == AQ_OP_NE) ? YES : NO;
}

static enum truth eval(const struct aq_filter *f, uint32_t index, struct aq_row *row)
{
	const struct aq_node *n = &f->nodes[index];
	enum aq_node_kind kind = n->kind;
	enum truth decided, result, t;

	if (kind == AQ_NODE_TEST)
		return test(n, row);
	if (kind == AQ_NODE_NOT) {
		t = eval(f, n->a, row);
		return t == UNKNOWN ? UNKNOWN : t == YES ? NO : YES;
	}
	decided = kind == AQ_NODE_AND ? NO : YES;
	result = kind == AQ_NODE_AND ? YES : NO;
	for (;;) {
		t = eval(f, n->a, row);
		if (t == decided)
			return t;
		if (t == UNKNOWN)
			result = UNKNOWN;
		index = n->b;
		n = &f->nodes[index];
		if (n->kind != kind)
			break;
	}
	t = eval(f, index, row);
	return t == decided ? t : t == UNKNOWN ? UNKNOWN : result;
}

bool aq_filter_match(const struct aq_filter *f, struct aq_row *row)
{
	return f->empty || eval(f, f->root, row) == YES;
}
