/* SPDX-License-Identifier: Apache-2.0 */
/* Zeros ahead of a writer; see ahead.h. That none can be made (a full disk) is no error: the writer finds out itself. */
#include "format/segment/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { ZEROS_BYTES = 256 * 1024 };

struct aq_ahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	uint64_t room_bytes;
	uint8_t *zeros;
	bool tried, runs; /* the thread; the caller's */
	/* under the lock */
	int fd;              /* -1: none */
	uint64_t used_bytes; /* nothing below is touched */
	uint64_t made_bytes; /* zeros or more up to here */
	bool wanted, busy, stop;
};

static bool put_zeros(const struct aq_ahead *a, int fd, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t n = to - from < ZEROS_BYTES ? (size_t)(to - from) : ZEROS_BYTES;
		ssize_t k = pwrite(fd, a->zeros, n, (off_t)from);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		from += (uint64_t)k;
	}
	return fdatasync(fd) == 0;
}

/* Under the lock, which is given up meanwhile. */
static void make_room(struct aq_ahead *a, uint64_t bytes)
{
	uint64_t from = a->made_bytes > a->used_bytes ? a->made_bytes : a->used_bytes, to = from + bytes;
	int fd = a->fd;
	a->wanted = false;
	a->busy = true;
	pthread_mutex_unlock(&a->lock);
	bool good = put_zeros(a, fd, from, to);
	pthread_mutex_lock(&a->lock);
	a->busy = false;
	a->made_bytes = good ? to : UINT64_MAX; /* no second try in this file */
	pthread_cond_broadcast(&a->change);
}

static void *run(void *arg)
{
	struct aq_ahead *a = arg;
	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		if (a->wanted && a->fd >= 0)
			make_room(a, a->room_bytes);
		else
			pthread_cond_wait(&a->change, &a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int aq_ahead_new(uint64_t room_bytes, struct aq_ahead **ret_ahead)
{
	struct aq_ahead *a = calloc(1, sizeof(*a));
	if (a)
		a->zeros = calloc(1, ZEROS_BYTES);
	if (!a || !a->zeros) {
		free(a);
		return -ENOMEM;
	}
	a->room_bytes = room_bytes;
	a->fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->change, NULL);
	*ret_ahead = a;
	return 0;
}

/* What is started has the rights of the thread that starts it, not its priority. */
void aq_ahead_start(struct aq_ahead *a)
{
	struct sched_param param = { 0 };
	pthread_attr_t attr;
	if (a->tried || pthread_attr_init(&attr) != 0)
		return;
	a->tried = true;
	(void)pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	(void)pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	(void)pthread_attr_setschedparam(&attr, &param);
	a->runs = pthread_create(&a->thread, &attr, run, a) == 0;
	pthread_attr_destroy(&attr);
}

void aq_ahead_free(struct aq_ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->change);
	pthread_mutex_unlock(&a->lock);
	if (a->runs)
		pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->change);
	pthread_mutex_destroy(&a->lock);
	free(a->zeros);
	free(a);
}

void aq_ahead_begin(struct aq_ahead *a, int fd, uint64_t used_bytes)
{
	pthread_mutex_lock(&a->lock);
	a->fd = fd;
	a->used_bytes = a->made_bytes = used_bytes;
	make_room(a, ZEROS_BYTES);
	pthread_mutex_unlock(&a->lock);
}

void aq_ahead_use(struct aq_ahead *a, uint64_t end_bytes)
{
	pthread_mutex_lock(&a->lock);
	while (a->busy && end_bytes > a->made_bytes)
		pthread_cond_wait(&a->change, &a->lock);
	a->used_bytes = end_bytes;
	if (!a->wanted && !a->busy && (a->made_bytes < end_bytes || a->made_bytes - end_bytes < a->room_bytes / 2)) {
		a->wanted = true;
		pthread_cond_broadcast(&a->change);
	}
	pthread_mutex_unlock(&a->lock);
}

void aq_ahead_end(struct aq_ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->wanted = false;
	while (a->busy)
		pthread_cond_wait(&a->change, &a->lock);
	a->fd = -1;
	pthread_mutex_unlock(&a->lock);
}
