/* SPDX-License-Identifier: Apache-2.0 */
/* Counting by fields, in bounded memory: what does not fit any more is counted in one number. */
#include "query/query_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { AQ_GROUP_TEXT_MAX = 4096, AQ_GROUPS_DEFAULT = 1000000, AQ_GROUP_FIELDS_MAX = 16 };
#define AQ_GROUP_BYTES_MAX (1ull << 30)

struct slot {
	uint64_t hash, count;
	uint8_t *key;   /* per field: length as 4 bytes (UINT32_MAX: unknown), then the text and one NUL */
	uint32_t key_bytes;
};

struct table {
	struct slot *slot;
	size_t size, used, max;
	uint64_t bytes, other, rows;
};

struct owned_groups { /* what aq_groups_free takes: the public part first */
	struct aq_groups pub;
	struct aq_group *group;
	const char **keys;
	uint32_t *lens;
	struct table table;
};

static uint64_t hash_bytes(const uint8_t *s, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ len;

	while (len >= 8) {
		uint64_t w;

		memcpy(&w, s, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
		s += 8;
		len -= 8;
	}
	while (len--)
		h = (h ^ *s++) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static int grow(struct table *t)
{
	size_t size = t->size ? t->size * 2 : 1024;
	struct slot *slot = calloc(size, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++) {
		size_t at = t->slot[i].hash & (size - 1);

		if (!t->slot[i].key)
			continue;
		while (slot[at].key)
			at = (at + 1) & (size - 1);
		slot[at] = t->slot[i];
	}
	free(t->slot);
	t->slot = slot;
	t->size = size;
	return 0;
}

static int count_key(struct table *t, const uint8_t *key, uint32_t bytes, uint64_t by)
{
	uint64_t hash = hash_bytes(key, bytes);
	size_t at;

	t->rows += by;
	if (t->used * 2 >= t->size && grow(t) < 0)
		return -ENOMEM;
	for (at = hash & (t->size - 1); t->slot[at].key; at = (at + 1) & (t->size - 1))
		if (t->slot[at].hash == hash && t->slot[at].key_bytes == bytes && memcmp(t->slot[at].key, key, bytes) == 0) {
			t->slot[at].count += by;
			return 0;
		}
	if (t->used >= t->max || t->bytes + bytes > AQ_GROUP_BYTES_MAX) {
		t->other += by;
		return 0;
	}
	t->slot[at].key = malloc(bytes);
	if (!t->slot[at].key)
		return -ENOMEM;
	memcpy(t->slot[at].key, key, bytes);
	t->slot[at].key_bytes = bytes;
	t->slot[at].hash = hash;
	t->slot[at].count = by;
	t->used++;
	t->bytes += bytes;
	return 0;
}

static uint32_t put_part(uint8_t *key, uint32_t at, const char *text, uint32_t len, bool known)
{
	uint32_t mark = known ? len : UINT32_MAX;

	memcpy(key + at, &mark, 4);
	if (known && len)
		memcpy(key + at + 4, text, len);
	key[at + 4 + (known ? len : 0)] = '\0';
	return at + 4 + (known ? len : 0) + 1;
}

static int group_rows(struct aq_query *q, struct table *t, struct aq_err *err)
{
	uint8_t key[AQ_GROUP_FIELDS_MAX * (AQ_GROUP_TEXT_MAX + 5)];
	char text[AQ_GROUP_TEXT_MAX];
	struct aq_row *row;
	int r;

	while ((r = aq_query_step(q, &row, err)) > 0) {
		uint32_t at = 0;

		for (size_t i = 0; i < q->field_count; i++) {
			struct aq_value v;
			bool known = aq_field_value(q->fields[i], row, &v);
			size_t len = known ? aq_field_value_text(q->fields[i], row, text, sizeof(text)) : 0;

			at = put_part(key, at, text, (uint32_t)(len < sizeof(text) ? len : sizeof(text) - 1), known);
		}
		if (count_key(t, key, at, 1) < 0)
			return aq_err_set(err, -ENOMEM, "no memory for groups");
	}
	return r;
}

static int group_ids(struct aq_query *q, struct table *t, struct aq_err *err)
{
	uint64_t by_id[AQ_EVENT_ID_MAX] = { 0 };
	uint8_t key[128];
	int r = aq_query_count_ids(q, by_id, err);

	for (uint32_t id = 0; r == 0 && id < AQ_EVENT_ID_MAX; id++) {
		const struct aq_event_schema *row = id ? aq_schema_event(id) : NULL;
		const char *name = q->fields[0]->info->id == AQ_FIELD_EVT_CATEGORY ?
				   aq_category_name(row ? row->category : AQ_CAT_UNKNOWN) : row ? row->name : "unknown";

		if (by_id[id] && count_key(t, key, put_part(key, 0, name, (uint32_t)strnlen(name, 100), true), by_id[id]) < 0)
			r = aq_err_set(err, -ENOMEM, "no memory for groups");
	}
	return r;
}

static int by_count(const void *a, const void *b)
{
	const struct aq_group *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	for (size_t i = 0;; i++) { /* keys differ somewhere; both arrays end with a NULL of length UINT32_MAX */
		uint32_t xl = x->key_lens[i], yl = y->key_lens[i];
		int d;

		if (xl == UINT32_MAX - 1 || yl == UINT32_MAX - 1)
			return 0;
		if (!x->keys[i] || !y->keys[i]) {
			if (!x->keys[i] != !y->keys[i])
				return x->keys[i] ? -1 : 1;
			continue;
		}
		d = memcmp(x->keys[i], y->keys[i], xl < yl ? xl : yl);
		if (d || xl != yl)
			return d ? d : xl < yl ? -1 : 1;
	}
}

static int publish(struct owned_groups *g, size_t key_count)
{
	size_t n = g->table.used, stride = key_count + 1, out = 0;

	g->group = calloc(n ? n : 1, sizeof(*g->group));
	g->keys = calloc(n ? n * stride : 1, sizeof(*g->keys));
	g->lens = calloc(n ? n * stride : 1, sizeof(*g->lens));
	if (!g->group || !g->keys || !g->lens)
		return -ENOMEM;
	for (size_t i = 0; i < g->table.size; i++) {
		const struct slot *s = &g->table.slot[i];
		uint32_t at = 0;

		if (!s->key)
			continue;
		for (size_t k = 0; k < key_count; k++) {
			uint32_t len;

			memcpy(&len, s->key + at, 4);
			g->keys[out * stride + k] = len == UINT32_MAX ? NULL : (const char *)s->key + at + 4;
			g->lens[out * stride + k] = len == UINT32_MAX ? 0 : len;
			at += 4 + (len == UINT32_MAX ? 0 : len) + 1;
		}
		g->lens[out * stride + key_count] = UINT32_MAX - 1;
		g->group[out] = (struct aq_group){ s->count, g->keys + out * stride, g->lens + out * stride };
		out++;
	}
	qsort(g->group, out, sizeof(*g->group), by_count);
	g->pub = (struct aq_groups){ g->group, out, key_count, g->table.rows, g->table.other };
	return 0;
}

int aq_query_group(struct aq_query *q, size_t max_groups, struct aq_groups **ret_groups, struct aq_err *err)
{
	struct owned_groups *g;
	unsigned id;
	int r;

	if (q->field_count == 0 || q->field_count > AQ_GROUP_FIELDS_MAX)
		return aq_err_set(err, -EINVAL, "between 1 and %d fields to group by were expected", AQ_GROUP_FIELDS_MAX);
	g = calloc(1, sizeof(*g));
	if (!g)
		return aq_err_set(err, -ENOMEM, "no memory for groups");
	g->table.max = max_groups ? max_groups : AQ_GROUPS_DEFAULT;
	id = q->fields[0]->info->id;
	if (q->field_count == 1 && (id == AQ_FIELD_EVT_TYPE || id == AQ_FIELD_EVT_CATEGORY) && aq_query_is_columnar(q))
		r = group_ids(q, &g->table, err);
	else
		r = group_rows(q, &g->table, err);
	if (r == 0 && publish(g, q->field_count) < 0)
		r = aq_err_set(err, -ENOMEM, "no memory for groups");
	if (r < 0) {
		aq_groups_free(&g->pub);
		return r;
	}
	*ret_groups = &g->pub;
	return 0;
}

void aq_groups_free(struct aq_groups *groups)
{
	struct owned_groups *g = (struct owned_groups *)groups;

	if (!g)
		return;
	for (size_t i = 0; i < g->table.size; i++)
		free(g->table.slot[i].key);
	free(g->table.slot);
	free(g->group);
	free(g->keys);
	free(g->lens);
	free(g);
}
