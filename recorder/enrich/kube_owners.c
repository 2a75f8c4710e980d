/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table whose entries stand in a list by age as well, and those that wait in a queue.
 */
#include "recorder/enrich/kube_owners.h"

#include <stdlib.h>
#include <string.h>

struct aq_kube_owner {
	struct aq_kube_owner *next;             /* in the bucket */
	struct aq_kube_owner *newer, *older;
	struct aq_kube_owner *ask_next;
	bool waiting, known, owned;
	struct aq_pods_owner of;
	const char *namespace, *name;           /* behind kind */
	char kind[];
};

static unsigned add_hash(unsigned h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 16777619u;
	while (*s++ != '\0');
	return h;
}

static struct aq_kube_owner **place(struct aq_kube_owners *o, const char *kind, const char *namespace, const char *name)
{
	unsigned h = add_hash(add_hash(add_hash(2166136261u, kind), namespace), name);
	struct aq_kube_owner **at = &o->bucket[h % (sizeof(o->bucket) / sizeof(o->bucket[0]))];

	while (*at != NULL && (strcmp((*at)->name, name) != 0 || strcmp((*at)->namespace, namespace) != 0 ||
			       strcmp((*at)->kind, kind) != 0))
		at = &(*at)->next;
	return at;
}

static void unlink_age(struct aq_kube_owners *o, struct aq_kube_owner *e)
{
	*(e->newer != NULL ? &e->newer->older : &o->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &o->oldest) = e->newer;
}

static void link_newest(struct aq_kube_owners *o, struct aq_kube_owner *e)
{
	e->newer = NULL;
	e->older = o->newest;
	*(o->newest != NULL ? &o->newest->newer : &o->oldest) = e;
	o->newest = e;
}

static void enqueue(struct aq_kube_owners *o, struct aq_kube_owner *e)
{
	e->ask_next = NULL;
	e->waiting = true;
	*(o->ask_last != NULL ? &o->ask_last->ask_next : &o->ask) = e;
	o->ask_last = e;
}

static struct aq_kube_owner *dequeue(struct aq_kube_owners *o)
{
	struct aq_kube_owner *e = o->ask;

	if (e == NULL)
		return NULL;
	o->ask = e->ask_next;
	if (o->ask == NULL)
		o->ask_last = NULL;
	e->waiting = false;
	return e;
}

/* False: all wait. */
static bool drop_oldest(struct aq_kube_owners *o)
{
	struct aq_kube_owner *e = o->oldest, **at;

	while (e != NULL && e->waiting)
		e = e->newer;
	if (e == NULL)
		return false;
	at = place(o, e->kind, e->namespace, e->name);
	*at = e->next;
	unlink_age(o, e);
	free(e);
	o->count--;
	return true;
}

void aq_kube_owners_release(struct aq_kube_owners *o)
{
	while (o->newest != NULL) {
		struct aq_kube_owner *e = o->newest;

		o->newest = e->older;
		free(e);
	}
	*o = (struct aq_kube_owners){ .count = 0 };
}

bool aq_kube_owners_find(struct aq_kube_owners *o, const char *kind, const char *namespace, const char *name,
			 struct aq_pods_owner *ret)
{
	size_t k = strlen(kind) + 1, ns = strlen(namespace) + 1, n = strlen(name) + 1;
	struct aq_kube_owner **at = place(o, kind, namespace, name), *e = *at;

	if (e != NULL) {
		unlink_age(o, e);
		link_newest(o, e);
		if (e->known && e->owned)
			*ret = e->of;
		return e->known;
	}
	if (o->count >= AQ_KUBE_OWNERS_MAX && !drop_oldest(o))
		return false;
	e = calloc(1, sizeof(*e) + k + ns + n);
	if (e == NULL)
		return false;
	memcpy(e->kind, kind, k);
	e->namespace = memcpy(e->kind + k, namespace, ns);
	e->name = memcpy(e->kind + k + ns, name, n);
	at = place(o, kind, namespace, name); /* anew: the one that made room may have stood there */
	*at = e;
	link_newest(o, e);
	enqueue(o, e);
	o->count++;
	return false;
}

bool aq_kube_owners_next(const struct aq_kube_owners *o, struct aq_kube_question *ret)
{
	if (o->ask == NULL)
		return false;
	*ret = (struct aq_kube_question){ o->ask->kind, o->ask->namespace, o->ask->name };
	return true;
}

void aq_kube_owners_answer(struct aq_kube_owners *o, bool known, const struct aq_pods_owner *of)
{
	struct aq_kube_owner *e = dequeue(o);

	if (e == NULL)
		return;
	e->known = known;
	e->owned = known && of != NULL;
	if (e->owned)
		e->of = *of;
}

void aq_kube_owners_later(struct aq_kube_owners *o)
{
	struct aq_kube_owner *e = dequeue(o);

	if (e != NULL)
		enqueue(o, e);
}
