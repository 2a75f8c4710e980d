/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of filled slabs and a pool of empty ones under one mutex, held only for a few instructions at a time.
 */
#include "recorder/spool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static_assert(sizeof(struct aq_slab) == AQ_SLAB_BYTES, "slab size");
static_assert(sizeof(struct aq_piece) == 32, "piece size");

struct aq_spool {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct aq_slab *first, *last; /* handed over, not yet taken */
	struct aq_slab *pool;         /* empty ones, kept */
	size_t slabs_max, slabs_used; /* used: outside the pool */
	size_t share[4];              /* slabs_used below which a class gets one */
	uint64_t watermark_ns;
	bool news, finished;
};

int aq_spool_new(size_t bytes, struct aq_spool **ret_spool)
{
	static const unsigned percent[4] = { 100, 90, 80, 70 };
	struct aq_spool *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (s == NULL)
		return -ENOMEM;
	s->slabs_max = bytes / AQ_SLAB_BYTES;
	if (s->slabs_max < AQ_SPOOL_MIN_SLABS)
		s->slabs_max = AQ_SPOOL_MIN_SLABS;
	for (unsigned i = 0; i < 4; i++)
		s->share[i] = s->slabs_max * percent[i] / 100;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->filled, &attr);
	pthread_condattr_destroy(&attr);
	*ret_spool = s;
	return 0;
}

static void free_slabs(struct aq_slab *slab)
{
	while (slab != NULL) {
		struct aq_slab *next = slab->next;

		free(slab);
		slab = next;
	}
}

void aq_spool_free(struct aq_spool *spool)
{
	if (spool == NULL)
		return;
	free_slabs(spool->first);
	free_slabs(spool->pool);
	pthread_cond_destroy(&spool->filled);
	pthread_mutex_destroy(&spool->lock);
	free(spool);
}

struct aq_slab *aq_spool_get(struct aq_spool *spool, unsigned cls)
{
	struct aq_slab *slab = NULL;
	uint32_t lowest = 0;
	bool allowed;

	pthread_mutex_lock(&spool->lock);
	allowed = spool->slabs_used < spool->share[cls & 3];
	if (allowed) {
		while (lowest < 3 && spool->slabs_used < spool->share[lowest + 1])
			lowest++;
		spool->slabs_used++;
		slab = spool->pool;
		if (slab != NULL)
			spool->pool = slab->next;
	}
	pthread_mutex_unlock(&spool->lock);
	if (!allowed)
		return NULL;
	if (slab == NULL)
		slab = aligned_alloc(64, sizeof(*slab));
	if (slab == NULL) {
		pthread_mutex_lock(&spool->lock);
		spool->slabs_used--;
		pthread_mutex_unlock(&spool->lock);
		return NULL;
	}
	slab->next = NULL;
	slab->used = 0;
	slab->pieces_open = 0;
	slab->lowest_class = lowest;
	return slab;
}

void aq_spool_push(struct aq_spool *spool, struct aq_slab *slab)
{
	slab->next = NULL;
	pthread_mutex_lock(&spool->lock);
	if (spool->last != NULL)
		spool->last->next = slab;
	else
		spool->first = slab;
	spool->last = slab;
	pthread_mutex_unlock(&spool->lock);
}

void aq_spool_publish(struct aq_spool *spool, uint64_t watermark_ns)
{
	pthread_mutex_lock(&spool->lock);
	spool->watermark_ns = watermark_ns;
	spool->news = true;
	pthread_cond_signal(&spool->filled);
	pthread_mutex_unlock(&spool->lock);
}

bool aq_spool_idle(struct aq_spool *spool)
{
	bool idle;

	pthread_mutex_lock(&spool->lock);
	idle = !spool->news;
	pthread_mutex_unlock(&spool->lock);
	return idle;
}

void aq_spool_finish(struct aq_spool *spool)
{
	pthread_mutex_lock(&spool->lock);
	spool->finished = true;
	pthread_cond_signal(&spool->filled);
	pthread_mutex_unlock(&spool->lock);
}

struct aq_spool_taken aq_spool_take(struct aq_spool *spool, uint64_t timeout_ns)
{
	struct aq_spool_taken taken;
	struct timespec until;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = (uint64_t)until.tv_nsec + timeout_ns;
	until.tv_sec += (time_t)(ns / 1000000000u);
	until.tv_nsec = (long)(ns % 1000000000u);
	pthread_mutex_lock(&spool->lock);
	while (!spool->news && !spool->finished)
		if (pthread_cond_timedwait(&spool->filled, &spool->lock, &until) == ETIMEDOUT)
			break;
	taken = (struct aq_spool_taken){
		.slabs = spool->first,
		.watermark_ns = spool->watermark_ns,
		.finished = spool->finished,
	};
	spool->first = spool->last = NULL;
	spool->news = false;
	pthread_mutex_unlock(&spool->lock);
	return taken;
}

void aq_spool_put(struct aq_spool *spool, struct aq_slab *slab)
{
	pthread_mutex_lock(&spool->lock);
	slab->next = spool->pool;
	spool->pool = slab;
	spool->slabs_used--;
	pthread_mutex_unlock(&spool->lock);
}

size_t aq_spool_used_bytes(struct aq_spool *spool)
{
	size_t used;

	pthread_mutex_lock(&spool->lock);
	used = spool->slabs_used;
	pthread_mutex_unlock(&spool->lock);
	return used * AQ_SLAB_BYTES;
}

size_t aq_spool_size_bytes(const struct aq_spool *spool)
{
	return spool->slabs_max * AQ_SLAB_BYTES;
}

static struct aq_piece *piece_at(struct aq_slab *slab, size_t offset)
{
	struct aq_piece *piece;

	if (offset + sizeof(*piece) > slab->used || slab->used > sizeof(slab->data))
		return NULL;
	piece = (struct aq_piece *)(void *)(slab->data + offset);
	return piece->bytes > slab->used - offset - sizeof(*piece) ? NULL : piece;
}

struct aq_piece *aq_slab_first(struct aq_slab *slab)
{
	return piece_at(slab, 0);
}

struct aq_piece *aq_slab_after(struct aq_slab *slab, struct aq_piece *piece)
{
	return piece_at(slab, (size_t)((uint8_t *)piece - slab->data) + sizeof(*piece) + ((piece->bytes + 7u) & ~7u));
}
