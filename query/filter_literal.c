/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a filter: text, numbers with units and names, addresses; checked against the field's type. */
#include "query/filter_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

static bool parse_magnitude(const char *s, size_t len, uint64_t *ret, size_t *ret_used)
{
	uint64_t value = 0;
	unsigned base = 10;
	size_t at = 0, first;

	if (len > 2 && s[0] == '0' && (s[1] | 32) == 'x') {
		base = 16;
		at = 2;
	} else if (len > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '7') {
		base = 8;
		at = 1;
	}
	for (first = at; at < len; at++) {
		unsigned d = s[at] >= '0' && s[at] <= '9' ? (unsigned)(s[at] - '0') : (s[at] | 32) >= 'a' && (s[at] | 32) <= 'f' ?
			     (unsigned)((s[at] | 32) - 'a' + 10) : 99;

		if (d >= base)
			break;
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) || __builtin_add_overflow(value, (uint64_t)d, &value))
			return false;
	}
	*ret = value;
	*ret_used = at;
	return at > first;
}

static bool parse_number(struct aq_literal *lit, bool duration)
{
	static const struct { const char *unit; uint64_t factor; bool time; } units[] = {
		{ "k", 1ull << 10, false }, { "K", 1ull << 10, false }, { "KiB", 1ull << 10, false },
		{ "M", 1ull << 20, false }, { "MiB", 1ull << 20, false }, { "G", 1ull << 30, false },
		{ "GiB", 1ull << 30, false }, { "T", 1ull << 40, false }, { "TiB", 1ull << 40, false }, { "ns", 1, true },
		{ "us", 1000, true }, { "ms", 1000000, true }, { "s", 1000000000, true }, { "m", 60000000000ull, true },
		{ "h", 3600000000000ull, true }, { "d", 86400000000000ull, true },
	};
	bool minus = lit->len && lit->text[0] == '-';
	const char *s = lit->text + minus;
	size_t len = lit->len - minus, used;
	uint64_t value;

	if (!parse_magnitude(s, len, &value, &used))
		return false;
	if (used < len) {
		uint64_t factor = 0;

		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strcmp(units[i].unit, s + used) == 0 && (duration || !units[i].time || units[i].unit[1]))
				factor = units[i].factor;
		if (!factor || __builtin_mul_overflow(value, factor, &value))
			return false;
	}
	if (minus && value > (uint64_t)INT64_MAX)
		return false;
	lit->has_number = true;
	lit->negative = minus && value;
	if (minus)
		lit->i = -(int64_t)value;
	else
		lit->u = value;
	return true;
}

static bool parse_name(struct aq_literal *lit)
{
	int err = aq_errno_by_name(lit->text);

	if (err <= 0)
		return false;
	lit->has_number = lit->negative = true;
	lit->i = -(int64_t)err;
	return true;
}

static bool parse_ip(struct aq_literal *lit)
{
	char text[INET6_ADDRSTRLEN + 8];
	unsigned long bits = 0;
	char *slash;

	if (lit->len >= sizeof(text))
		return false;
	memcpy(text, lit->text, lit->len + 1);
	slash = strchr(text, '/');
	if (slash) {
		char *end;

		*slash++ = '\0';
		bits = strtoul(slash, &end, 10);
		if (end == slash || *end || bits > 128)
			return false;
		lit->is_prefix = true;
	}
	if (inet_pton(AF_INET, text, lit->ip) == 1)
		lit->ip_len = 4;
	else if (inet_pton(AF_INET6, text, lit->ip) == 1)
		lit->ip_len = 16;
	else
		return false;
	lit->prefix_bits = (uint8_t)(slash ? bits : lit->ip_len * 8u);
	return lit->prefix_bits <= lit->ip_len * 8;
}

static int check_event(const struct aq_literal *lit, uint64_t offset, struct aq_err *err)
{
	uint32_t cursor = 0;
	char near[160];

	if (aq_schema_event_by_name(lit->text) || strcmp(lit->text, "gap") == 0 || strcmp(lit->text, "unknown") == 0)
		return 0;
	aq_suggest(lit->text, lit->len, aq_next_event_name, &cursor, near, sizeof(near));
	return aq_err_set_at(err, -EINVAL, offset, "'%.*s' is not an event%s", (int)(lit->len > 80 ? 80 : lit->len), lit->text,
			     near);
}

static int check_words(const struct aq_literal *lit, const struct aq_field *f, uint64_t offset, struct aq_err *err)
{
	if (f->info->id == AQ_FIELD_EVT_CATEGORY) {
		for (unsigned i = 0; i < AQ_CAT_COUNT; i++)
			if (strcmp(aq_category_name(i), lit->text) == 0)
				return 0;
		return aq_err_set_at(err, -EINVAL, offset, "'%.*s' is not a category of events", 80, lit->text);
	}
	if (f->info->id == AQ_FIELD_EVT_CLASS) {
		for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
			if (strcmp(aq_class_name(i), lit->text) == 0)
				return 0;
		return strcmp(lit->text, "all") == 0 ? 0 :
		       aq_err_set_at(err, -EINVAL, offset, "vital, important, ordinary or bulk was expected");
	}
	return 0;
}

static int set_typed(struct aq_literal *lit, const struct aq_field *f, enum aq_op op, uint64_t offset, struct aq_err *err)
{
	bool equality = op == AQ_OP_EQ || op == AQ_OP_NE || op == AQ_OP_IN;
	bool order = op >= AQ_OP_LT && op <= AQ_OP_GE;

	if (!equality && !order)
		return 0; /* the operators on text take any text */
	switch (f->info->type) {
	case AQ_FT_STRING:
		if (equality && f->info->id == AQ_FIELD_EVT_TYPE)
			return check_event(lit, offset, err);
		return equality ? check_words(lit, f, offset, err) : 0;
	case AQ_FT_INT:
	case AQ_FT_UINT:
	case AQ_FT_TIME:
	case AQ_FT_DURATION:
		if (parse_number(lit, f->info->type == AQ_FT_DURATION) ||
		    (f->info->id == AQ_FIELD_EVT_RAWRES && parse_name(lit)))
			return 0;
		return aq_err_set_at(err, -EINVAL, offset, "'%s' is a number: 42, 0x2a, 052, 4k%s was expected", f->info->name,
				     f->info->type == AQ_FT_DURATION ? ", 10ms" : "");
	case AQ_FT_BOOL:
		lit->has_bool = true;
		lit->b = strcmp(lit->text, "true") == 0 || strcmp(lit->text, "1") == 0;
		if (lit->b || strcmp(lit->text, "false") == 0 || strcmp(lit->text, "0") == 0)
			return 0;
		return aq_err_set_at(err, -EINVAL, offset, "true or false was expected");
	case AQ_FT_IP:
		if (!order && parse_ip(lit))
			return 0;
		return aq_err_set_at(err, -EINVAL, offset, "an address such as 10.0.0.1, 10.0.0.0/8 or ::1 was expected");
	case AQ_FT_DYNAMIC:
		lit->is_success = f->info->id == AQ_FIELD_EVT_RES && strcmp(lit->text, "SUCCESS") == 0;
		if (!parse_number(lit, false) && f->info->id == AQ_FIELD_EVT_RES && !parse_name(lit) && !lit->is_success)
			return aq_err_set_at(err, -EINVAL, offset, "a number, SUCCESS, or the name of an error was expected");
		return 0;
	}
	return 0;
}

int aq_literal_set(struct aq_literal *lit, const struct aq_field *f, enum aq_op op, const struct aq_token *t,
		   struct aq_err *err)
{
	memset(lit, 0, sizeof(*lit));
	lit->text = malloc(t->len + 1);
	if (!lit->text)
		return aq_err_set(err, -ENOMEM, "no memory for a filter");
	if (t->len)
		memcpy(lit->text, t->s, t->len);
	lit->text[t->len] = '\0';
	lit->len = t->len;
	return set_typed(lit, f, op, t->offset, err);
}

void aq_literal_release(struct aq_literal *lit)
{
	free(lit->text);
}
