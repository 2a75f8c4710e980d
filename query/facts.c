/* SPDX-License-Identifier: Apache-2.0 */
/* The table of facts, by subject, and the little JSON that it takes to read them. */
#include "query/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AQ_FACTS_MAX = 1000000, AQ_FACTS_BYTES_MAX = 256 * 1024 * 1024 };

struct fact {
	uint64_t from_ns, to_ns;
	char *subject; /* NUL-terminated; the JSON follows it in the same memory */
	char *json;
	uint32_t json_len;
	uint32_t order;
};

struct aq_facts {
	struct fact *fact;
	size_t count, room, bytes;
};

static int by_subject(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	int d = strcmp(x->subject, y->subject);

	return d ? d : x->order < y->order ? -1 : x->order > y->order;
}

static int add_fact(struct aq_facts *f, const struct aq_event *ev)
{
	const struct aq_attr *subject = aq_event_attr(ev, AQ_ATTR_NAME), *json = aq_event_attr(ev, AQ_ATTR_JSON);
	struct fact *fact;

	if (!subject || !json || f->count >= AQ_FACTS_MAX || f->bytes + subject->len + json->len > AQ_FACTS_BYTES_MAX)
		return 0;
	if (f->count == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct fact *more = realloc(f->fact, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->fact = more;
		f->room = room;
	}
	fact = &f->fact[f->count];
	fact->subject = malloc((size_t)subject->len + 1 + json->len);
	if (!fact->subject)
		return -ENOMEM;
	if (subject->len)
		memcpy(fact->subject, subject->data, subject->len);
	fact->subject[subject->len] = '\0';
	fact->json = fact->subject + subject->len + 1;
	fact->json_len = json->len;
	if (json->len)
		memcpy(fact->json, json->data, json->len);
	fact->from_ns = ev->arg_count > 0 ? ev->args[0] : 0;
	fact->to_ns = ev->arg_count > 1 && ev->args[1] ? ev->args[1] : UINT64_MAX;
	fact->order = (uint32_t)f->count++;
	f->bytes += subject->len + json->len;
	return 0;
}

int aq_facts_load(struct aq_capture *c, struct aq_facts **ret_facts, struct aq_err *err)
{
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 };
	struct aq_iter_options options = { .event_set = set };
	struct aq_facts *f = calloc(1, sizeof(*f));
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	int r;

	if (!f)
		return aq_err_set(err, -ENOMEM, "no memory for facts");
	set[AQ_EV_fact / 64] |= 1ull << (AQ_EV_fact % 64);
	r = aq_event_iter_new(c, &options, &it, err);
	while (r >= 0 && (r = aq_event_iter_next(it, &ev, err)) > 0)
		if (add_fact(f, &ev) < 0)
			r = aq_err_set(err, -ENOMEM, "no memory for facts");
	aq_event_iter_free(it);
	if (r < 0) {
		aq_facts_free(f);
		return r;
	}
	if (f->count)
		qsort(f->fact, f->count, sizeof(*f->fact), by_subject);
	*ret_facts = f;
	return 0;
}

void aq_facts_free(struct aq_facts *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		free(f->fact[i].subject);
	free(f->fact);
	free(f);
}

static size_t first_of(const struct aq_facts *f, const char *subject)
{
	size_t lo = 0, hi = f->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(f->fact[mid].subject, subject) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool aq_facts_get(const struct aq_facts *f, const char *subject, const char *member, uint64_t time_ns, char *buf,
		  size_t size, size_t *ret_len)
{
	bool found = false;

	for (size_t i = f ? first_of(f, subject) : 0; f && i < f->count && strcmp(f->fact[i].subject, subject) == 0; i++) {
		const struct fact *x = &f->fact[i];

		if (!aq_json_member(x->json, x->json_len, member, buf, size, ret_len))
			continue;
		found = true;
		if (time_ns >= x->from_ns && time_ns <= x->to_ns)
			break;
	}
	return found;
}

struct json {
	const char *s;
	size_t len, at;
};

static void skip_space(struct json *j)
{
	while (j->at < j->len && (j->s[j->at] == ' ' || j->s[j->at] == '\t' || j->s[j->at] == '\n' || j->s[j->at] == '\r'))
		j->at++;
}

static int hex4(const struct json *j, uint32_t *ret)
{
	uint32_t v = 0;

	if (j->len - j->at < 4)
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		char c = j->s[j->at + i];
		uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ?
			     (uint32_t)((c | 32) - 'a' + 10) : 99;

		if (d > 15)
			return -1;
		v = v << 4 | d;
	}
	*ret = v;
	return 0;
}

static size_t put_code(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* A string at the present place; buf may be NULL. Cut to size. */
static bool read_string(struct json *j, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	if (j->at >= j->len || j->s[j->at] != '"')
		return false;
	for (j->at++; j->at < j->len && j->s[j->at] != '"';) {
		char piece[4];
		size_t n = 1;

		piece[0] = j->s[j->at++];
		if (piece[0] == '\\') {
			static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
			const char *p;
			uint32_t code, low;

			if (j->at >= j->len)
				return false;
			piece[0] = j->s[j->at++];
			p = piece[0] ? strchr(from, piece[0]) : NULL;
			if (p) {
				piece[0] = to[p - from];
			} else if (piece[0] == 'u' && hex4(j, &code) == 0) {
				j->at += 4;
				if (code >= 0xd800 && code < 0xdc00 && j->len - j->at >= 6 && j->s[j->at] == '\\' &&
				    j->s[j->at + 1] == 'u') {
					struct json next = { j->s, j->len, j->at + 2 };

					if (hex4(&next, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
						code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
						j->at += 6;
					}
				}
				n = put_code(code, piece);
			} else {
				return false;
			}
		}
		for (size_t i = 0; i < n; i++, len++)
			if (buf && len + 1 < size)
				buf[len] = piece[i];
	}
	if (j->at >= j->len)
		return false;
	j->at++;
	if (buf && size)
		buf[len < size ? len : size - 1] = '\0';
	*ret_len = len < size || !size ? len : size - 1;
	return true;
}

static bool skip_value(struct json *j)
{
	unsigned depth = 0;
	size_t ignored;

	do {
		skip_space(j);
		if (j->at >= j->len)
			return false;
		if (j->s[j->at] == '"') {
			if (!read_string(j, NULL, 0, &ignored))
				return false;
		} else if (j->s[j->at] == '{' || j->s[j->at] == '[') {
			depth++;
			j->at++;
		} else if (j->s[j->at] == '}' || j->s[j->at] == ']') {
			if (!depth)
				return true;
			depth--;
			j->at++;
		} else if (j->s[j->at] == ',' || j->s[j->at] == ':') {
			if (!depth)
				return true;
			j->at++;
		} else {
			j->at++;
			if (!depth)
				while (j->at < j->len && !strchr(",}] \t\r\n", j->s[j->at]))
					j->at++;
		}
	} while (depth);
	return true;
}

bool aq_json_member(const char *json, size_t len, const char *member, char *buf, size_t size, size_t *ret_len)
{
	struct json j = { json, len, 0 };
	char key[64];
	size_t key_len;

	skip_space(&j);
	if (j.at >= len || json[j.at++] != '{')
		return false;
	for (;;) {
		skip_space(&j);
		if (!read_string(&j, key, sizeof(key), &key_len))
			return false;
		skip_space(&j);
		if (j.at >= len || json[j.at++] != ':')
			return false;
		skip_space(&j);
		if (strcmp(key, member) == 0)
			return read_string(&j, buf, size, ret_len);
		if (!skip_value(&j))
			return false;
		skip_space(&j);
		if (j.at >= len || json[j.at++] != ',')
			return false;
	}
}
