/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the filter: tokens, nodes of the expression, and what its three files owe to each other.
 */
#ifndef AQ_QUERY_FILTER_INTERNAL_H
#define AQ_QUERY_FILTER_INTERNAL_H

#include "query/fields_internal.h"
#include "query/filter.h"

enum aq_token_kind { AQ_TOK_END = 0, AQ_TOK_WORD, AQ_TOK_QUOTED, AQ_TOK_OPEN, AQ_TOK_CLOSE, AQ_TOK_COMMA, AQ_TOK_OP };

enum aq_op {
	AQ_OP_NONE = 0, AQ_OP_EQ, AQ_OP_NE, AQ_OP_LT, AQ_OP_LE, AQ_OP_GT, AQ_OP_GE, AQ_OP_IN, AQ_OP_CONTAINS, AQ_OP_ICONTAINS,
	AQ_OP_STARTSWITH, AQ_OP_ENDSWITH, AQ_OP_GLOB, AQ_OP_PMATCH, AQ_OP_EXISTS,
};

struct aq_token {
	enum aq_token_kind kind;
	enum aq_op op;          /* AQ_TOK_OP */
	uint64_t offset;
	const char *s;          /* WORD: in the expression; QUOTED: in the lexer's buffer, valid until the next token */
	size_t len;
};

struct aq_lexer {
	const char *text;
	size_t len, at;
	char *quoted;           /* as large as the text */
	struct aq_token token;  /* the present one */
};

int aq_lexer_next(struct aq_lexer *lx, struct aq_err *err); /* 0 or -EINVAL */
enum aq_op aq_op_of_word(const char *s, size_t len);
bool aq_word_is(const struct aq_token *t, const char *word);

struct aq_literal {
	char *text;             /* owned, NUL-terminated */
	size_t len;
	bool has_number, is_success, is_prefix;
	bool negative;          /* number is below 0: i counts, else u */
	union {
		int64_t i;
		uint64_t u;
	};
	bool has_bool, b;
	uint8_t ip[16], ip_len, prefix_bits; /* AQ_FT_IP */
};

enum { AQ_FILTER_SET_WORDS = (AQ_EVENT_ID_MAX + 63) / 64, AQ_FILTER_GAP_BIT = AQ_EVENT_ID_MAX };
_Static_assert(AQ_FILTER_GAP_BIT / 64 < AQ_FILTER_SET_WORDS, "the bit of gaps lies behind those of the ids");

enum aq_node_kind { AQ_NODE_AND, AQ_NODE_OR, AQ_NODE_NOT, AQ_NODE_TEST };

struct aq_node {
	uint8_t kind;
	uint8_t op;             /* enum aq_op, TEST */
	bool by_event;          /* TEST: decided by the event id alone: see can_true */
	uint32_t a, b;          /* children; NOT has a only */
	struct aq_field *field; /* TEST, owned */
	struct aq_literal *values;
	uint32_t value_count;
	uint64_t *can_true;     /* by_event: exactly when; else: ids for which it may be so. AQ_FILTER_SET_WORDS, owned */
	uint64_t *can_false;
};

struct aq_filter {
	struct aq_node *nodes;
	uint32_t count, room, root;
	bool empty;
	unsigned needs;
};

/* filter_literal.c */
int aq_literal_set(struct aq_literal *lit, const struct aq_field *f, enum aq_op op, const struct aq_token *t,
		   struct aq_err *err);
void aq_literal_release(struct aq_literal *lit);
/* filter_eval.c */
/* One value against one literal. Only EQ, the orders and the operators on text: the rest is made of these. */
bool aq_literal_matches(const struct aq_literal *lit, enum aq_op op, const struct aq_value *v);
bool aq_glob(const char *pattern, size_t pattern_len, const char *text, size_t len);
/* filter_plan.c */
int aq_filter_bind_events(struct aq_filter *f);
static inline bool aq_bit(const uint64_t *set, uint32_t bit)
{
	return set[bit / 64] >> (bit % 64) & 1;
}

#endif
