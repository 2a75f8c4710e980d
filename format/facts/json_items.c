/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scanner that knows strings, brackets and commas. Every byte goes either to the present item or to the rest.
 */
#include "format/facts/json_items.h"

#include <errno.h>
#include <string.h>

#include <cjson/cJSON.h>

enum {
	REST_MAX = 1 << 20,
	VALUES_MAX = 100000, /* in one item: the parser makes a node of some 100 bytes of each */
};

void aq_json_items_init(struct aq_json_items *j, size_t item_max_bytes)
{
	*j = (struct aq_json_items){ .depth = 0 };
	aq_buf_init(&j->item, item_max_bytes);
	aq_buf_init(&j->rest, REST_MAX);
}

void aq_json_items_release(struct aq_json_items *j)
{
	aq_buf_release(&j->item);
	aq_buf_release(&j->rest);
}

void aq_json_items_reset(struct aq_json_items *j)
{
	struct aq_buf item = j->item, rest = j->rest;

	aq_buf_reset(&item);
	aq_buf_reset(&rest);
	*j = (struct aq_json_items){ .item = item, .rest = rest };
}

struct cJSON *aq_json_parse(const void *data, size_t n)
{
	const unsigned char *p = data;
	unsigned depth = 0;
	size_t values = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				in_string = false;
		} else if (p[i] == '"') {
			in_string = true;
		} else if (p[i] == '{' || p[i] == '[') {
			values++;
			if (++depth > AQ_JSON_DEPTH_MAX)
				return NULL;
		} else if (p[i] == '}' || p[i] == ']') {
			depth -= depth > 0;
		} else if (p[i] == ',' && ++values > VALUES_MAX) {
			return NULL;
		}
	}
	return values > VALUES_MAX ? NULL : cJSON_ParseWithLength(data, n);
}

struct cJSON *aq_json_items_rest(const struct aq_json_items *j)
{
	if (!j->started || j->depth != 0 || j->in_string)
		return NULL;
	return aq_json_parse(j->rest.data, j->rest.len);
}

static int give(struct aq_json_items *j, aq_json_item *each, void *user)
{
	struct cJSON *item;
	bool blank = true;
	int r;

	for (size_t i = 0; i < j->item.len && blank; i++)
		blank = memchr(" \t\r\n", j->item.data[i], 4) != NULL;
	if (blank) {
		aq_buf_reset(&j->item);
		return 0;
	}
	item = aq_json_parse(j->item.data, j->item.len);
	if (item == NULL)
		return -EBADMSG;
	r = each(user, item);
	cJSON_Delete(item);
	aq_buf_reset(&j->item);
	return r;
}

/* A byte outside of strings. ret_rest: it belongs to the rest. */
static int step(struct aq_json_items *j, unsigned char c, bool *ret_rest, aq_json_item *each, void *user)
{
	*ret_rest = !j->in_items;
	switch (c) {
	case '{':
	case '[':
		if (++j->depth > AQ_JSON_DEPTH_MAX)
			return -EBADMSG;
		if (c == '[' && j->depth == 2 && j->key_items && !j->in_items)
			j->in_items = true;
		j->started = true;
		return 0;
	case '}':
	case ']':
		if (j->depth == 0)
			return -EBADMSG;
		if (--j->depth == 1 && j->in_items) {
			j->in_items = false;
			*ret_rest = true;
			return give(j, each, user);
		}
		return 0;
	case ',':
		if (j->depth == 1)
			j->key_items = false;
		if (j->depth != 2 || !j->in_items)
			return 0;
		*ret_rest = true; /* not stored at all */
		return give(j, each, user);
	case ':':
		if (j->depth == 1)
			j->key_items = j->key_len == 5 && memcmp(j->key, "items", 5) == 0;
		return 0;
	default:
		return j->depth == 0 && memchr(" \t\r\n", c, 4) == NULL ? -EBADMSG : 0;
	}
}

static void string_byte(struct aq_json_items *j, unsigned char c)
{
	if (j->escaped) {
		j->escaped = false;
	} else if (c == '\\') {
		j->escaped = true;
	} else if (c == '"') {
		j->in_string = false;
		return;
	}
	if (j->depth == 1 && j->key_len < sizeof(j->key))
		j->key[j->key_len++] = (char)c;
}

int aq_json_items_feed(struct aq_json_items *j, const void *data, size_t n, aq_json_item *each, void *user)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++) {
		bool rest = !j->in_items, was_items = j->in_items, comma = false;
		int r = 0;

		if (j->in_string) {
			string_byte(j, p[i]);
		} else if (p[i] == '"') {
			j->in_string = true;
			j->key_len = 0;
			if (j->depth == 0)
				return -EBADMSG;
		} else {
			comma = was_items && p[i] == ',' && j->depth == 2;
			r = step(j, p[i], &rest, each, user);
		}
		if (r < 0)
			return r;
		if (!comma)
			aq_buf_put_u8(rest ? &j->rest : &j->item, p[i]);
		if (j->item.failed || j->rest.failed)
			return j->item.len < j->item.max / 2 && j->rest.len < REST_MAX / 2 ? -ENOMEM : -EMSGSIZE;
	}
	return 0;
}
