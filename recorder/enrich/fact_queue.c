/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list under a mutex that is held for a few instructions only; each fact is one allocation with its texts behind it.
 */
#include "recorder/enrich/fact_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct queued {
	struct aq_fact fact; /* first: what is taken is freed through it */
	struct queued *next;
	size_t bytes;
	char text[];
};

struct aq_fact_queue {
	pthread_mutex_t lock;
	struct queued *first, **last;
	size_t bytes, max_bytes;
	atomic_size_t count;
	_Atomic uint64_t refused;
};

int aq_fact_queue_new(size_t max_bytes, struct aq_fact_queue **ret)
{
	struct aq_fact_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	q->last = &q->first;
	q->max_bytes = max_bytes;
	*ret = q;
	return 0;
}

void aq_fact_queue_free(struct aq_fact_queue *q)
{
	struct aq_fact *fact;

	if (q == NULL)
		return;
	while ((fact = aq_fact_queue_take(q)) != NULL)
		free(fact);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int aq_fact_queue_put(void *user, const struct aq_fact *fact)
{
	struct aq_fact_queue *q = user;
	size_t subject = strlen(fact->subject) + 1, bytes = sizeof(struct queued) + subject + fact->json_len;
	struct queued *one = NULL;

	if (subject <= AQ_FACT_SUBJECT_MAX && fact->json_len <= AQ_FACT_JSON_MAX)
		one = malloc(bytes);
	if (one != NULL) {
		memcpy(one->text, fact->subject, subject);
		memcpy(one->text + subject, fact->json, fact->json_len);
		one->fact = *fact;
		one->fact.subject = one->text;
		one->fact.json = one->text + subject;
		one->next = NULL;
		one->bytes = bytes;
		pthread_mutex_lock(&q->lock);
		if (q->bytes + bytes <= q->max_bytes) {
			*q->last = one;
			q->last = &one->next;
			q->bytes += bytes;
			atomic_fetch_add(&q->count, 1);
			one = NULL;
			bytes = 0;
		}
		pthread_mutex_unlock(&q->lock);
		free(one);
	}
	if (bytes != 0)
		atomic_fetch_add(&q->refused, 1);
	return 0;
}

struct aq_fact *aq_fact_queue_take(struct aq_fact_queue *q)
{
	struct queued *one;

	if (atomic_load(&q->count) == 0)
		return NULL;
	pthread_mutex_lock(&q->lock);
	one = q->first;
	if (one != NULL) {
		q->first = one->next;
		if (q->first == NULL)
			q->last = &q->first;
		q->bytes -= one->bytes;
		atomic_fetch_sub(&q->count, 1);
	}
	pthread_mutex_unlock(&q->lock);
	return one != NULL ? &one->fact : NULL;
}

uint64_t aq_fact_queue_refused(struct aq_fact_queue *q)
{
	return atomic_load(&q->refused);
}
