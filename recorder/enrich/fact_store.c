/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in a hash table by kind and key, each with its facts in a list; open addresses in another by subject, because
 * an address may go from one object to the next before anybody says that the first is gone.
 */
#include "recorder/enrich/fact_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { BUCKETS = 4096, PENDING_MAX = 2048 };

struct kept {
	struct kept *next;
	uint64_t from_ns, to_ns;
	size_t bytes;           /* of this allocation */
	const char *json;       /* behind the subject, with a NUL */
	size_t json_len;
	char subject[];
};

struct object {
	struct object *next;
	struct kept *facts;
	unsigned kind;
	uint32_t generation;
	char key[];
};

struct address {
	struct address *next;
	struct object *owner;
	char subject[];
};

struct aq_fact_store {
	aq_fact_sink *sink;
	void *user;
	size_t bytes, max_bytes;
	uint32_t generation[AQ_FACT_STORE_KINDS];
	struct kept *pending;   /* of the object that was begun */
	unsigned pending_count;
	struct object *objects[BUCKETS];
	struct address *addresses[BUCKETS];
};

static unsigned hash(const char *s, unsigned h)
{
	for (h += 2166136261u; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h % BUCKETS;
}

int aq_fact_store_new(size_t max_bytes, aq_fact_sink *sink, void *user, struct aq_fact_store **ret)
{
	struct aq_fact_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->sink = sink;
	s->user = user;
	s->max_bytes = max_bytes;
	*ret = s;
	return 0;
}

static void free_facts(struct aq_fact_store *s, struct kept **list)
{
	while (*list != NULL) {
		struct kept *f = *list;

		*list = f->next;
		s->bytes -= f->bytes;
		free(f);
	}
}

static bool is_address(const char *subject)
{
	return strncmp(subject, "address:", 8) == 0;
}

static struct address **find_address(struct aq_fact_store *s, const char *subject)
{
	struct address **at = &s->addresses[hash(subject, 0)];

	while (*at != NULL && strcmp((*at)->subject, subject) != 0)
		at = &(*at)->next;
	return at;
}

/* Those in the list that are o's. */
static void drop_addresses(struct aq_fact_store *s, const struct object *o, const struct kept *list)
{
	for (const struct kept *f = list; f != NULL; f = f->next) {
		struct address **at = is_address(f->subject) ? find_address(s, f->subject) : NULL, *a = at != NULL ? *at : NULL;

		if (a != NULL && a->owner == o) {
			*at = a->next;
			s->bytes -= sizeof(*a) + strlen(a->subject) + 1;
			free(a);
		}
	}
}

static void remove_object(struct aq_fact_store *s, struct object **at)
{
	struct object *o = *at;

	drop_addresses(s, o, o->facts);
	*at = o->next;
	free_facts(s, &o->facts);
	s->bytes -= sizeof(*o) + strlen(o->key) + 1;
	free(o);
}

void aq_fact_store_free(struct aq_fact_store *s)
{
	if (s == NULL)
		return;
	free_facts(s, &s->pending);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (s->objects[i] != NULL)
			remove_object(s, &s->objects[i]);
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (s->addresses[i] != NULL) {
			struct address *a = s->addresses[i];

			s->addresses[i] = a->next;
			free(a);
		}
	}
	free(s);
}

static int emit(struct aq_fact_store *s, const struct kept *f)
{
	const struct aq_fact fact = { f->subject, f->json, f->json_len, f->from_ns, f->to_ns };

	return s->sink(s->user, &fact);
}

static struct kept *keep(struct aq_fact_store *s, const struct aq_fact *fact)
{
	size_t subject = strlen(fact->subject) + 1, bytes = sizeof(struct kept) + subject + fact->json_len + 1;
	struct kept *f = malloc(bytes);

	if (f == NULL)
		return NULL;
	*f = (struct kept){ .from_ns = fact->valid_from_ns, .to_ns = fact->valid_to_ns, .bytes = bytes,
			    .json_len = fact->json_len };
	memcpy(f->subject, fact->subject, subject);
	memcpy(f->subject + subject, fact->json, fact->json_len);
	f->subject[subject + fact->json_len] = '\0';
	f->json = f->subject + subject;
	s->bytes += bytes;
	return f;
}

void aq_fact_store_begin(struct aq_fact_store *s)
{
	free_facts(s, &s->pending);
	s->pending_count = 0;
}

int aq_fact_store_add(void *user, const struct aq_fact *fact)
{
	struct aq_fact_store *s = user;
	struct kept *f;

	if (s->pending_count >= PENDING_MAX)
		return 0;
	f = keep(s, fact);
	if (f == NULL)
		return -ENOMEM;
	f->next = s->pending;
	s->pending = f;
	s->pending_count++;
	return 0;
}

static struct object **find(struct aq_fact_store *s, unsigned kind, const char *key)
{
	struct object **at = &s->objects[hash(key, kind)];

	while (*at != NULL && ((*at)->kind != kind || strcmp((*at)->key, key) != 0))
		at = &(*at)->next;
	return at;
}

bool aq_fact_store_seen(struct aq_fact_store *s, unsigned kind, const char *key)
{
	struct object *o = *find(s, kind, key);

	if (o != NULL)
		o->generation = s->generation[kind];
	return o != NULL;
}

static struct kept *fact_of(struct kept *list, const char *subject)
{
	while (list != NULL && strcmp(list->subject, subject) != 0)
		list = list->next;
	return list;
}

static int close_fact(struct aq_fact_store *s, struct kept *f, uint64_t now_ns)
{
	if (f->to_ns != 0 && f->to_ns <= now_ns)
		return 0;
	f->to_ns = now_ns > f->from_ns ? now_ns : f->from_ns;
	return emit(s, f);
}

/* The address is o's now: what another still says of it ends where this begins. */
static int take_address(struct aq_fact_store *s, struct object *o, const struct kept *f, uint64_t now_ns)
{
	struct address **at = find_address(s, f->subject), *a = *at;
	size_t n = strlen(f->subject) + 1;
	int r = 0;

	if (a == NULL) {
		a = malloc(sizeof(*a) + n);
		if (a == NULL)
			return -ENOMEM;
		*a = (struct address){ .owner = o };
		memcpy(a->subject, f->subject, n);
		s->bytes += sizeof(*a) + n;
		*at = a;
	} else if (a->owner != o) {
		struct kept *old = fact_of(a->owner->facts, f->subject);

		if (old != NULL && old->to_ns == 0)
			r = close_fact(s, old, f->from_ns > old->from_ns && f->from_ns < now_ns ? f->from_ns : now_ns);
		a->owner = o;
	}
	return r;
}

/* Says what is new or changed, ends what is missing, and keeps the new facts instead of the old ones. */
static int merge(struct aq_fact_store *s, struct object *o, uint64_t now_ns)
{
	int r = 0;

	drop_addresses(s, o, o->facts); /* those that it still has come back at once */
	for (struct kept *f = s->pending; f != NULL && r == 0; f = f->next) {
		struct kept *old = fact_of(o->facts, f->subject);

		if (old != NULL)
			f->from_ns = old->from_ns; /* one time of one object, whatever it says later of its beginning */
		if (old == NULL || old->to_ns != f->to_ns || old->json_len != f->json_len ||
		    memcmp(old->json, f->json, f->json_len) != 0)
			r = emit(s, f);
		if (r == 0 && f->to_ns == 0 && is_address(f->subject))
			r = take_address(s, o, f, now_ns);
	}
	for (struct kept *old = o->facts; old != NULL && r == 0; old = old->next)
		if (fact_of(s->pending, old->subject) == NULL)
			r = close_fact(s, old, now_ns);
	if (r < 0) {
		drop_addresses(s, o, s->pending); /* they are not among its facts */
		return r;
	}
	free_facts(s, &o->facts);
	o->facts = s->pending;
	s->pending = NULL;
	return 0;
}

int aq_fact_store_commit(struct aq_fact_store *s, unsigned kind, const char *key, bool gone, uint64_t now_ns)
{
	struct object **at = find(s, kind, key), *o = *at;
	size_t n = strlen(key) + 1;
	int r = 0;

	if (o == NULL && (gone || s->bytes > s->max_bytes)) {
		for (const struct kept *f = s->pending; f != NULL && r == 0; f = f->next)
			r = emit(s, f);
		free_facts(s, &s->pending);
		return r;
	}
	if (o == NULL) {
		o = calloc(1, sizeof(*o) + n);
		if (o == NULL)
			return -ENOMEM;
		memcpy(o->key, key, n);
		o->kind = kind;
		s->bytes += sizeof(*o) + n;
		*at = o;
	}
	o->generation = s->generation[kind];
	r = merge(s, o, now_ns);
	if (gone || s->bytes > s->max_bytes) /* one that has grown has no more right to stay than a new one */
		remove_object(s, find(s, kind, key));
	return r;
}

void aq_fact_store_list_begin(struct aq_fact_store *s, unsigned kind)
{
	s->generation[kind]++;
}

int aq_fact_store_list_end(struct aq_fact_store *s, unsigned kind, uint64_t now_ns)
{
	int r = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		struct object **at = &s->objects[i];

		while (*at != NULL && r == 0) {
			if ((*at)->kind != kind || (*at)->generation == s->generation[kind]) {
				at = &(*at)->next;
				continue;
			}
			for (struct kept *f = (*at)->facts; f != NULL && r == 0; f = f->next)
				r = close_fact(s, f, now_ns);
			remove_object(s, at);
		}
	}
	return r;
}

static bool says(const cJSON *object, const char *name, const char *value)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(v) && strcmp(v->valuestring, value) == 0;
}

static int mend(struct aq_fact_store *s, struct kept **at, const char *const owner[5])
{
	struct kept *f = *at, *new;
	struct aq_fact fact = { f->subject, NULL, 0, f->from_ns, f->to_ns };
	cJSON *doc = cJSON_ParseWithLength(f->json, f->json_len);
	char *text = NULL;
	int r = 0;

	if (doc != NULL && says(doc, "namespace", owner[0]) && says(doc, "owner_kind", owner[1]) &&
	    says(doc, "owner_name", owner[2]) && (!says(doc, "workload_kind", owner[3]) || !says(doc, "workload_name", owner[4])) &&
	    cJSON_ReplaceItemInObjectCaseSensitive(doc, "workload_kind", cJSON_CreateString(owner[3])) &&
	    cJSON_ReplaceItemInObjectCaseSensitive(doc, "workload_name", cJSON_CreateString(owner[4])))
		text = cJSON_PrintUnformatted(doc);
	cJSON_Delete(doc);
	if (text == NULL || strlen(text) > AQ_FACT_JSON_MAX) {
		free(text);
		return 0;
	}
	fact.json = text;
	fact.json_len = strlen(text);
	new = keep(s, &fact);
	free(text);
	if (new == NULL)
		return -ENOMEM;
	new->next = f->next;
	*at = new;
	s->bytes -= f->bytes;
	free(f);
	r = emit(s, new);
	return r;
}

int aq_fact_store_owner(struct aq_fact_store *s, const char *namespace, const char *kind, const char *name,
			const char *workload_kind, const char *workload_name)
{
	const char *const owner[5] = { namespace, kind, name, workload_kind, workload_name };
	int r = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct object *o = s->objects[i]; o != NULL; o = o->next)
			for (struct kept **at = &o->facts; *at != NULL && r == 0; at = &(*at)->next)
				/* looked for as text first: to parse everything that is kept would cost more than it's worth */
				if (strncmp((*at)->subject, "pod:", 4) == 0 && strstr((*at)->json, name) != NULL)
					r = mend(s, at, owner);
	return r;
}
