/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a filter expression into tokens. */
#include "query/filter_internal.h"

#include <errno.h>
#include <strings.h>

static const struct { const char *word; enum aq_op op; } op_words[] = {
	{ "in", AQ_OP_IN }, { "contains", AQ_OP_CONTAINS }, { "icontains", AQ_OP_ICONTAINS },
	{ "startswith", AQ_OP_STARTSWITH }, { "endswith", AQ_OP_ENDSWITH }, { "glob", AQ_OP_GLOB },
	{ "pmatch", AQ_OP_PMATCH }, { "exists", AQ_OP_EXISTS },
};

enum aq_op aq_op_of_word(const char *s, size_t len)
{
	for (size_t i = 0; i < sizeof(op_words) / sizeof(op_words[0]); i++)
		if (strlen(op_words[i].word) == len && strncasecmp(op_words[i].word, s, len) == 0)
			return op_words[i].op;
	return AQ_OP_NONE;
}

bool aq_word_is(const struct aq_token *t, const char *word)
{
	return t->kind == AQ_TOK_WORD && t->len == strlen(word) && strncasecmp(t->s, word, t->len) == 0;
}

static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '(' || c == ')' || c == ',' || c == '=' || c == '!' ||
	       c == '<' || c == '>' || c == '\'' || c == '"';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static int quoted(struct aq_lexer *lx, char quote, struct aq_err *err)
{
	size_t begin = lx->at++, n = 0;

	while (lx->at < lx->len && lx->text[lx->at] != quote) {
		char c = lx->text[lx->at++];

		if (c == '\\') {
			int high, low;

			c = lx->at < lx->len ? lx->text[lx->at++] : '\0';
			switch (c) {
			case 'n': c = '\n'; break;
			case 'r': c = '\r'; break;
			case 't': c = '\t'; break;
			case '\\': case '\'': case '"': break;
			case 'x':
				high = lx->at + 1 < lx->len ? hex_digit(lx->text[lx->at]) : -1;
				low = high >= 0 ? hex_digit(lx->text[lx->at + 1]) : -1;
				if (low < 0)
					return aq_err_set_at(err, -EINVAL, lx->at, "two hexadecimal digits were expected after \\x");
				c = (char)(high << 4 | low);
				lx->at += 2;
				break;
			default:
				return aq_err_set_at(err, -EINVAL, lx->at ? lx->at - 1 : 0,
						     "one of \\\\ \\' \\\" \\n \\r \\t \\xHH was expected");
			}
		}
		lx->quoted[n++] = c;
	}
	if (lx->at >= lx->len)
		return aq_err_set_at(err, -EINVAL, begin, "the quote that begins here has no end");
	lx->at++;
	lx->token.kind = AQ_TOK_QUOTED;
	lx->token.s = lx->quoted;
	lx->token.len = n;
	return 0;
}

static int symbol(struct aq_lexer *lx, struct aq_err *err)
{
	char c = lx->text[lx->at], next = lx->at + 1 < lx->len ? lx->text[lx->at + 1] : '\0';

	lx->token.kind = AQ_TOK_OP;
	lx->at++;
	if (next == '=') {
		lx->at++;
		lx->token.op = c == '=' ? AQ_OP_EQ : c == '!' ? AQ_OP_NE : c == '<' ? AQ_OP_LE : AQ_OP_GE;
		return 0;
	}
	if (c == '!')
		return aq_err_set_at(err, -EINVAL, lx->at - 1, "'!=' was expected; the negation of a term is 'not'");
	lx->token.op = c == '=' ? AQ_OP_EQ : c == '<' ? AQ_OP_LT : AQ_OP_GT;
	return 0;
}

int aq_lexer_next(struct aq_lexer *lx, struct aq_err *err)
{
	size_t begin;
	char c;

	while (lx->at < lx->len && (lx->text[lx->at] == ' ' || lx->text[lx->at] == '\t' || lx->text[lx->at] == '\n' ||
				    lx->text[lx->at] == '\r'))
		lx->at++;
	lx->token = (struct aq_token){ .kind = AQ_TOK_END, .offset = lx->at, .s = "" };
	if (lx->at >= lx->len)
		return 0;
	c = lx->text[lx->at];
	switch (c) {
	case '(': lx->token.kind = AQ_TOK_OPEN; lx->at++; return 0;
	case ')': lx->token.kind = AQ_TOK_CLOSE; lx->at++; return 0;
	case ',': lx->token.kind = AQ_TOK_COMMA; lx->at++; return 0;
	case '\'': case '"': return quoted(lx, c, err);
	case '=': case '!': case '<': case '>': return symbol(lx, err);
	default: break;
	}
	begin = lx->at;
	while (lx->at < lx->len && !ends_word(lx->text[lx->at]))
		lx->at++;
	lx->token.kind = AQ_TOK_WORD;
	lx->token.s = lx->text + begin;
	lx->token.len = lx->at - begin;
	return 0;
}
