/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers that wait to be looked at, a few at a time, and the digests of their images, each asked for once. A container
 * that has vanished before its turn keeps what its event or the list said.
 */
#include "recorder/enrich/docker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static struct aq_docker_box **find(struct aq_docker_feed *f, const char *id)
{
	unsigned hash = 2166136261u;
	struct aq_docker_box **at;

	for (const char *s = id; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	at = &f->boxes[hash % AQ_DOCKER_BUCKETS];
	while (*at != NULL && strcmp((*at)->id, id) != 0)
		at = &(*at)->hash_next;
	return at;
}

static void append(struct aq_docker_feed *f, struct aq_docker_box *b)
{
	b->waits = true;
	b->next = NULL;
	if (f->last != NULL)
		f->last->next = b;
	else
		f->first = b;
	f->last = b;
}

/* Neither waits nor is looked at any more. */
static void drop(struct aq_docker_feed *f, struct aq_docker_box *b)
{
	*find(f, b->id) = b->hash_next;
	f->box_count--;
	free(b);
}

void aq_docker_want(struct aq_docker_feed *f, const char *id, uint64_t from_ns, bool listed)
{
	struct aq_docker_box **at = find(f, id), *b = *at;

	if (b == NULL) {
		if (f->box_count >= AQ_DOCKER_WAITING_MAX) /* what is known of it already has to do */
			return;
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			return;
		snprintf(b->id, sizeof(b->id), "%s", id);
		*at = b;
		f->box_count++;
	}
	if (from_ns != 0)
		b->from_ns = from_ns;
	b->to_ns = 0;
	b->listed = listed;
	b->again = b->busy;
	if (!b->busy && !b->waits)
		append(f, b);
}

void aq_docker_want_renamed(struct aq_docker_feed *f, const char *id, uint64_t from_ns)
{
	struct aq_docker_box *b;

	aq_docker_want(f, id, from_ns, false);
	b = *find(f, id);
	if (b != NULL)
		b->stale = b->busy;
}

void aq_docker_want_ended(struct aq_docker_feed *f, const char *id, uint64_t to_ns)
{
	struct aq_docker_box *b = *find(f, id);

	if (b != NULL && b->to_ns == 0)
		b->to_ns = to_ns;
}

static void end_look(struct aq_docker_look *l)
{
	aq_docker_request_end(&l->request);
	cJSON_Delete(l->container);
	l->container = NULL;
	l->box = NULL;
	l->request.feed = NULL;
}

void aq_docker_forget(struct aq_docker_feed *f)
{
	for (unsigned i = 0; i < AQ_DOCKER_LOOKS; i++)
		if (f->docker->looks[i].request.feed == f)
			end_look(&f->docker->looks[i]);
	for (unsigned i = 0; i < AQ_DOCKER_BUCKETS; i++)
		while (f->boxes[i] != NULL) {
			struct aq_docker_box *b = f->boxes[i];

			f->boxes[i] = b->hash_next;
			free(b);
		}
	f->first = f->last = NULL;
	f->box_count = 0;
}

static struct aq_docker_feed *next_feed(struct aq_docker *d)
{
	for (unsigned i = 0; i < d->feed_count; i++) {
		struct aq_docker_feed *f = d->feeds[(d->turn + i) % d->feed_count];

		if (f->first != NULL && f->phase >= AQ_DOCKER_OPENING) {
			d->turn = (d->turn + i + 1) % d->feed_count;
			return f;
		}
	}
	return NULL;
}

void aq_docker_looks_begin(struct aq_docker *d)
{
	struct aq_docker_feed *f;

	for (unsigned i = 0; i < AQ_DOCKER_LOOKS; i++) {
		struct aq_docker_look *l = &d->looks[i];

		if (l->request.busy)
			continue;
		f = next_feed(d);
		if (f == NULL)
			return;
		l->box = f->first;
		f->first = l->box->next;
		if (f->first == NULL)
			f->last = NULL;
		l->box->waits = false;
		l->box->busy = true;
		if (aq_docker_request_begin(&l->request, f, AQ_DOCKER_INSPECT, l->box->id) < 0) {
			drop(f, l->box);
			end_look(l);
		}
	}
}

/* What is known of its image; NULL: nobody has asked yet. */
static const struct aq_docker_image *image_of(const struct aq_docker *d, const struct aq_containers_head *head)
{
	for (unsigned i = 0; i < AQ_DOCKER_IMAGES; i++)
		if (strcmp(d->images[i].id, head->image_id) == 0 && strcmp(d->images[i].name, head->image) == 0)
			return &d->images[i];
	return NULL;
}

static void take_image(struct aq_docker_look *l, bool whole, long status)
{
	struct aq_docker *d = l->request.docker;
	struct aq_docker_image image = { .digest = "" };
	cJSON *doc = whole ? aq_json_parse(l->request.body.data, l->request.body.len) : NULL;

	if (doc == NULL && status != 404) /* perhaps the next one learns it */
		return;
	memcpy(image.id, l->head.image_id, sizeof(image.id));
	memcpy(image.name, l->head.image, sizeof(image.name));
	(void)aq_containers_digest(doc, image.name, image.digest);
	cJSON_Delete(doc);
	d->images[d->next_image++ % AQ_DOCKER_IMAGES] = image;
}

/* Its facts, with all that is known now. */
static void tell(struct aq_docker_look *l)
{
	struct aq_docker_feed *f = l->request.feed;
	const struct aq_docker_image *image = image_of(f->docker, &l->head);
	uint64_t now_ns = aq_docker_now_ns(CLOCK_BOOTTIME), to_ns = l->box->to_ns;
	struct aq_containers_about about;

	if (to_ns == 0 && l->box->listed && l->head.ended)
		to_ns = l->head.ended_real_ns != 0 ? aq_docker_boot_ns(l->head.ended_real_ns) : now_ns;
	about = aq_docker_about(f, l->box->from_ns, to_ns);
	if (image != NULL && image->digest[0] != '\0')
		about.digest = image->digest;
	aq_fact_store_begin(f->docker->store);
	aq_docker_commit(f, l->box->id, aq_containers_facts(l->container, &about, aq_fact_store_add, f->docker->store),
			 to_ns != 0, now_ns);
}

/* The answer about the container. true: its image is to be asked for before anything is told. */
static bool take_container(struct aq_docker_look *l, bool whole, long status)
{
	struct aq_docker_feed *f = l->request.feed;
	const char *id = l->box->id;

	if (status == 404 && l->box->to_ns == 0) { /* gone, and its end was not seen */
		aq_fact_store_begin(f->docker->store);
		if (aq_fact_store_seen(f->docker->store, f->number, id))
			aq_docker_commit(f, id, 0, true, aq_docker_now_ns(CLOCK_BOOTTIME));
	}
	if (!whole)
		return false;
	l->container = aq_json_parse(l->request.body.data, l->request.body.len);
	if (aq_containers_head(l->container, &l->head) < 0 || strcmp(l->head.id, id) != 0) {
		cJSON_Delete(l->container);
		l->container = NULL;
		return false;
	}
	return l->head.image_id[0] != '\0' && image_of(f->docker, &l->head) == NULL;
}

void aq_docker_look_done(struct aq_docker_look *l, CURLcode result)
{
	struct aq_docker_feed *f = l->request.feed;
	struct aq_docker_box *b = l->box;
	long status;
	bool whole = aq_docker_request_judge(&l->request, result, &status);

	aq_docker_request_end(&l->request);
	if (b->stale)
		;
	else if (l->container != NULL)
		take_image(l, whole, status);
	else if (take_container(l, whole, status) &&
		 aq_docker_request_begin(&l->request, f, AQ_DOCKER_IMAGE, l->head.image_id) == 0)
		return;
	if (l->container != NULL && !b->stale)
		tell(l);
	end_look(l);
	if (!b->again) {
		drop(f, b);
		return;
	}
	b->busy = b->again = b->stale = false;
	append(f, b);
}
