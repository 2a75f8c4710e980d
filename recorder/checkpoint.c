/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that takes a snapshot, a bounded list of copied events between it and the encoding thread.
 */
#include "recorder/checkpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct entry *next;
	size_t bytes;
	struct aq_event ev; /* its attributes' data stands behind the entry */
	uint8_t data[];
};

struct aq_checkpoint {
	aq_snapshot_function *snapshot;
	void *user;
	size_t queue_max;
	pthread_t thread;
	bool runs; /* the encoding thread's view: started and not yet joined */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct entry *first, **last;
	size_t queued;
	bool ended, stop;
	int result;
	struct aq_err err;
};

int aq_checkpoint_new(aq_snapshot_function *snapshot, void *user, size_t queue_bytes, struct aq_checkpoint **ret_checkpoint)
{
	struct aq_checkpoint *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->snapshot = snapshot;
	c->user = user;
	c->queue_max = queue_bytes != 0 ? queue_bytes : (size_t)4 << 20;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	*ret_checkpoint = c;
	return 0;
}

static void free_entries(struct entry *e)
{
	for (struct entry *next; e != NULL; e = next) {
		next = e->next;
		free(e);
	}
}

static void join(struct aq_checkpoint *c)
{
	pthread_join(c->thread, NULL);
	free_entries(c->first);
	c->first = NULL;
	c->last = &c->first;
	c->queued = 0;
	c->runs = false;
}

static void stop(struct aq_checkpoint *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	join(c);
}

void aq_checkpoint_free(struct aq_checkpoint *c)
{
	if (c == NULL)
		return;
	if (c->runs)
		stop(c);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct entry *copy_event(const struct aq_event *ev)
{
	size_t n = 0;
	struct entry *e;

	for (unsigned i = 0; i < ev->attr_count; i++)
		n += ev->attrs[i].len;
	e = malloc(sizeof(*e) + n);
	if (e == NULL)
		return NULL;
	e->next = NULL;
	e->bytes = sizeof(*e) + n;
	e->ev = *ev;
	n = 0;
	for (unsigned i = 0; i < ev->attr_count; i++) {
		if (ev->attrs[i].len > 0)
			memcpy(e->data + n, ev->attrs[i].data, ev->attrs[i].len);
		e->ev.attrs[i].data = e->data + n;
		n += ev->attrs[i].len;
	}
	return e;
}

/* On the snapshot's thread. */
static int queue_event(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct aq_checkpoint *c = user;
	struct entry *e = copy_event(ev);
	bool stopped;

	if (e == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&c->lock);
	while (c->queued > 0 && c->queued + e->bytes > c->queue_max && !c->stop)
		pthread_cond_wait(&c->changed, &c->lock);
	stopped = c->stop;
	if (!stopped) {
		*c->last = e;
		c->last = &e->next;
		c->queued += e->bytes;
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	if (!stopped)
		return 0;
	free(e);
	return aq_err_set(err, -ECANCELED, "stopped");
}

static void *snapshot_main(void *arg)
{
	struct aq_checkpoint *c = arg;
	struct aq_err err = { 0 };
	int r = c->snapshot(c->user, queue_event, c, &err);

	pthread_mutex_lock(&c->lock);
	c->result = r;
	c->err = err;
	c->ended = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int aq_checkpoint_start(struct aq_checkpoint *c)
{
	int r;

	if (c->runs)
		return -EBUSY;
	c->ended = c->stop = false;
	c->result = 0;
	r = pthread_create(&c->thread, NULL, snapshot_main, c);
	c->runs = r == 0;
	return -r;
}

bool aq_checkpoint_runs(const struct aq_checkpoint *c)
{
	return c->runs;
}

/* Everything that waits; NULL: nothing. *ret_ended: and nothing will come. */
static struct entry *take_all(struct aq_checkpoint *c, bool wait, bool *ret_ended)
{
	struct entry *list;

	pthread_mutex_lock(&c->lock);
	while (wait && c->first == NULL && !c->ended)
		pthread_cond_wait(&c->changed, &c->lock);
	list = c->first;
	c->first = NULL;
	c->last = &c->first;
	c->queued = 0;
	*ret_ended = c->ended;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return list;
}

int aq_checkpoint_take(struct aq_checkpoint *c, bool wait, aq_emit_function *emit, void *emit_user, struct aq_err *err)
{
	bool ended;

	if (!c->runs)
		return 0;
	do {
		struct entry *list = take_all(c, wait, &ended);
		int r = 0;

		for (struct entry *e = list; e != NULL && r == 0; e = e->next)
			r = emit(emit_user, &e->ev, err);
		free_entries(list);
		if (r != 0) {
			stop(c);
			return r;
		}
	} while (wait && !ended);
	if (!ended)
		return 1;
	join(c);
	if (c->result < 0 && err != NULL)
		*err = c->err;
	return c->result;
}
