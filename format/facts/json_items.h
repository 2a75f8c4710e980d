/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a JSON document apart while it arrives: each element of the top object's "items" is given out by itself, and what
 * is left, with "items":[], at the end. So a list of any length needs the memory of one element. It doesn't check JSON,
 * it only finds where elements end: who parses them does.
 */
#ifndef AQ_FORMAT_FACTS_JSON_ITEMS_H
#define AQ_FORMAT_FACTS_JSON_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/buf.h"

enum { AQ_JSON_DEPTH_MAX = 64 };

struct cJSON;

struct aq_json_items {
	struct aq_buf item, rest;       /* rest: the document without its items */
	unsigned depth;
	bool in_string, escaped, in_items, started, key_items;
	char key[8];                    /* the last string at depth 1, as far as it matters */
	size_t key_len, values;         /* values: in the present item */
};

/* item is borrowed for the call. 0, or -errno: feeding ends with it. */
typedef int aq_json_item(void *user, const struct cJSON *item);

void aq_json_items_init(struct aq_json_items *j, size_t item_max_bytes);
void aq_json_items_release(struct aq_json_items *j);
void aq_json_items_reset(struct aq_json_items *j);

/*
 * -EBADMSG: no JSON, or nested deeper than AQ_JSON_DEPTH_MAX; -EMSGSIZE: one item, or what is left, is too large; -ENOMEM;
 * or what the callback gave. After an error the struct may only be reset or released.
 */
int aq_json_items_feed(struct aq_json_items *j, const void *data, size_t n, aq_json_item *each, void *user);

/* What is left; NULL: the document isn't whole or isn't JSON. The caller frees it with cJSON_Delete. */
struct cJSON *aq_json_items_rest(const struct aq_json_items *j);

/* Parses one document of at most AQ_JSON_DEPTH_MAX levels and a bounded number of values; else NULL. */
struct cJSON *aq_json_parse(const void *data, size_t n);

#endif
