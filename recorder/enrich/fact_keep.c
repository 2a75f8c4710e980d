/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list in the order in which they came, for repeating, and a hash table over subject, source and beginning, for replacing.
 * The source is the first member of each fact's object.
 */
#include "recorder/enrich/fact_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 8192 };

#define ENDED_NS 60000000000ull /* events may come late, but not so late */

struct kept {
	struct aq_fact fact;
	struct kept *in_bucket, *next, **link; /* link: what points here, in the list */
	uint32_t told;          /* in which segment */
	uint32_t source_len;    /* of the object's beginning that names its source */
	size_t bytes;
	char text[];
};

struct aq_fact_keep {
	struct kept *first, **last, *cursor;
	struct kept *bucket[BUCKETS];
	size_t bytes, max_bytes;
	uint64_t count, refused;
	uint32_t segment;
};

int aq_fact_keep_new(size_t max_bytes, struct aq_fact_keep **ret)
{
	struct aq_fact_keep *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	k->max_bytes = max_bytes;
	k->last = &k->first;
	*ret = k;
	return 0;
}

void aq_fact_keep_free(struct aq_fact_keep *k)
{
	struct kept *next;

	if (k == NULL)
		return;
	for (struct kept *one = k->first; one != NULL; one = next) {
		next = one->next;
		free(one);
	}
	free(k);
}

/* {"source":"NAME" at its beginning; 0: it begins otherwise */
static uint32_t source_len(const char *json, size_t n)
{
	static const char begin[] = "{\"source\":\"";
	const char *end;

	if (n < sizeof(begin) || memcmp(json, begin, sizeof(begin) - 1) != 0)
		return 0;
	end = memchr(json + sizeof(begin) - 1, '"', n - (sizeof(begin) - 1));
	return end != NULL ? (uint32_t)(end + 1 - json) : 0;
}

static struct kept **find(struct aq_fact_keep *k, const struct aq_fact *fact, uint32_t source)
{
	uint64_t h = 14695981039346656037u ^ fact->valid_from_ns;
	struct kept **at;

	for (const char *s = fact->subject; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	for (uint32_t i = 0; i < source; i++)
		h = (h ^ (unsigned char)fact->json[i]) * 1099511628211u;
	for (at = &k->bucket[(h ^ h >> 32) % BUCKETS]; *at != NULL; at = &(*at)->in_bucket)
		if ((*at)->fact.valid_from_ns == fact->valid_from_ns && (*at)->source_len == source &&
		    strcmp((*at)->fact.subject, fact->subject) == 0 && memcmp((*at)->fact.json, fact->json, source) == 0)
			break;
	return at;
}

/* at: in its bucket */
static void forget(struct aq_fact_keep *k, struct kept **at)
{
	struct kept *one = *at;

	*at = one->in_bucket;
	if (k->cursor == one)
		k->cursor = one->next;
	*one->link = one->next;
	if (one->next != NULL)
		one->next->link = one->link;
	else
		k->last = one->link;
	k->bytes -= one->bytes;
	k->count--;
	free(one);
}

void aq_fact_keep_put(struct aq_fact_keep *k, const struct aq_fact *fact)
{
	size_t subject = strlen(fact->subject) + 1, bytes = sizeof(struct kept) + subject + fact->json_len;
	uint32_t source = source_len(fact->json, fact->json_len);
	struct kept **at = find(k, fact, source), *one;

	if (*at != NULL)
		forget(k, at);
	one = k->bytes + bytes <= k->max_bytes ? malloc(bytes) : NULL;
	if (one == NULL) {
		k->refused++;
		return;
	}
	*one = (struct kept){ .fact = *fact, .in_bucket = *at, .link = k->last, .told = k->segment, .source_len = source, .bytes = bytes };
	memcpy(one->text, fact->subject, subject);
	memcpy(one->text + subject, fact->json, fact->json_len);
	one->fact.subject = one->text;
	one->fact.json = one->text + subject;
	*at = one;
	*k->last = one;
	k->last = &one->next;
	k->bytes += bytes;
	k->count++;
}

void aq_fact_keep_restart(struct aq_fact_keep *k, uint64_t now_ns)
{
	k->segment++;
	k->cursor = NULL;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct kept **at = &k->bucket[i]; *at != NULL;) {
			uint64_t to_ns = (*at)->fact.valid_to_ns;

			if (to_ns != 0 && to_ns < now_ns && now_ns - to_ns >= ENDED_NS)
				forget(k, at);
			else
				at = &(*at)->in_bucket;
		}
	k->cursor = k->first;
}

const struct aq_fact *aq_fact_keep_next(struct aq_fact_keep *k)
{
	struct kept *one = k->cursor;

	while (one != NULL && one->told == k->segment)
		one = one->next;
	k->cursor = one != NULL ? one->next : NULL;
	if (one == NULL)
		return NULL;
	one->told = k->segment;
	return &one->fact;
}

uint64_t aq_fact_keep_count(const struct aq_fact_keep *k)
{
	return k->count;
}

uint64_t aq_fact_keep_refused(const struct aq_fact_keep *k)
{
	return k->refused;
}
