/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One engine: who it is, its events from then on, and after that the list of what there is already, so that nothing falls
 * between the two. When the events end, the same from the beginning, and events since the last one.
 *
 * An event names its container at once; looking at it then tells the rest.
 */
#include "recorder/enrich/docker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "format/facts/pods.h"

#define SECOND 1000000000ull
enum { LOOK_MS = 2000, OPEN_MS = 500, BACKOFF_MAX_S = 30, RECENT_S = 60 };

int aq_docker_feed_new(struct aq_docker *d, const char *path, bool usual, struct aq_docker_feed **ret)
{
	struct aq_docker_feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->docker = d;
	f->number = d->feed_count;
	f->usual = usual;
	f->source = strstr(path, "podman") != NULL ? "podman" : "docker";
	snprintf(f->path, sizeof(f->path), "%s", path);
	aq_json_items_init(&f->items, AQ_DOCKER_LINE_MAX);
	if (aq_docker_request_init(&f->ask, d) < 0 || aq_docker_request_init(&f->events, d) < 0) {
		aq_docker_feed_free(f);
		return -ENOMEM;
	}
	*ret = f;
	return 0;
}

void aq_docker_feed_free(struct aq_docker_feed *f)
{
	if (f == NULL)
		return;
	aq_docker_request_release(&f->ask);
	aq_docker_request_release(&f->events);
	aq_docker_forget(f);
	aq_json_items_release(&f->items);
	free(f);
}

/* Why names are missing, as a fact for as long as it is so; NULL: they are not. */
static void say(struct aq_docker_feed *f, const char *reason)
{
	struct aq_docker *d = f->docker;
	uint64_t now_ns = aq_docker_now_ns(CLOCK_BOOTTIME);
	char text[sizeof(f->said)] = "";
	int r = 0;

	if (reason != NULL)
		snprintf(text, sizeof(text), "%s: %s", f->source, reason);
	if (strcmp(f->said, text) == 0)
		return;
	if (f->said[0] != '\0')
		r = aq_pods_unknown(f->said_source, "container", f->said, f->said_from_ns, now_ns, d->sink, d->user);
	if (r == 0 && text[0] != '\0')
		r = aq_pods_unknown(f->source, "container", text, now_ns, 0, d->sink, d->user);
	if (r < 0 && r != -ENOMEM)
		d->fatal = r;
	memcpy(f->said, text, sizeof(f->said));
	f->said_source = f->source;
	f->said_from_ns = now_ns;
}

/* Everything ends; it begins again after wait_ns, half of it more or less. */
static void part(struct aq_docker_feed *f, uint64_t wait_ns)
{
	aq_docker_request_end(&f->ask);
	aq_docker_request_end(&f->events);
	aq_docker_forget(f);
	f->phase = AQ_DOCKER_AWAY;
	f->known_real_ns = f->last_real_ns;
	f->look_ns = aq_docker_now_ns(CLOCK_MONOTONIC) + LOOK_MS * 1000000ull;
	f->next_ns = aq_docker_now_ns(CLOCK_MONOTONIC) + wait_ns / 2 +
		     (uint64_t)((double)wait_ns * rand_r(&f->docker->seed) / ((double)RAND_MAX + 1));
}

/* 0.5 s, 1 s, 2 s … */
static void fail(struct aq_docker_feed *f, const char *reason)
{
	uint64_t wait_ns = (SECOND / 2) << (f->failures < 7 ? f->failures : 7);

	say(f, reason);
	f->failures++;
	part(f, wait_ns < BACKOFF_MAX_S * SECOND ? wait_ns : BACKOFF_MAX_S * SECOND);
}

/* Another engine's socket may be this one by another name. */
static bool is_double(const struct aq_docker_feed *f)
{
	for (unsigned i = 0; i < f->docker->feed_count; i++) {
		const struct aq_docker_feed *other = f->docker->feeds[i];

		if (other != f && other->phase != AQ_DOCKER_AWAY && other->st.st_ino == f->st.st_ino && other->st.st_dev == f->st.st_dev)
			return true;
	}
	return false;
}

/* Whether there is a socket to be tried now; it is looked at every two seconds only. */
static bool is_there(struct aq_docker_feed *f, uint64_t now_ns)
{
	struct stat st;
	bool other;

	if (f->look_ns > now_ns && (f->next_ns > now_ns || f->st.st_ino == 0))
		return false;
	f->look_ns = now_ns + LOOK_MS * 1000000ull;
	if (stat(f->path, &st) < 0) {
		f->stat_errno = errno;
		f->st.st_ino = 0;
		return false;
	}
	f->stat_errno = S_ISSOCK(st.st_mode) ? 0 : ENOTSOCK;
	other = st.st_ino != f->st.st_ino || st.st_dev != f->st.st_dev || st.st_ctim.tv_sec != f->st.st_ctim.tv_sec ||
		st.st_ctim.tv_nsec != f->st.st_ctim.tv_nsec;
	f->st = st;
	if (other) { /* whoever made it listens by now, or is about to */
		f->failures = 0;
		f->next_ns = now_ns;
	}
	return f->stat_errno == 0 && f->next_ns <= now_ns && !is_double(f);
}

/* Why it isn't there, if that is of interest. */
static void tell_absence(struct aq_docker_feed *f)
{
	char text[100];

	if (f->stat_errno != 0 && (!f->usual || f->stat_errno == EACCES)) {
		snprintf(text, sizeof(text), "%s", strerror(f->stat_errno));
		text[0] = (char)(text[0] >= 'A' && text[0] <= 'Z' ? text[0] + 32 : text[0]);
		say(f, text);
		return;
	}
	if (f->stat_errno != 0)
		say(f, NULL);
}

static void open_events(struct aq_docker_feed *f)
{
	uint64_t since_ns;
	char since[32];

	if (f->last_real_ns > aq_docker_now_ns(CLOCK_REALTIME)) /* the clock was set back: what comes is new all the same */
		f->last_real_ns = f->known_real_ns = 0;
	since_ns = f->last_real_ns != 0 ? f->last_real_ns : f->docker->begun_real_ns;
	snprintf(since, sizeof(since), "%llu", (unsigned long long)(since_ns / SECOND));
	if (aq_docker_request_begin(&f->events, f, AQ_DOCKER_EVENTS, since) < 0) {
		fail(f, "out of memory");
		return;
	}
	f->phase = AQ_DOCKER_OPENING;
	f->list_ns = aq_docker_now_ns(CLOCK_MONOTONIC) + OPEN_MS * 1000000ull;
}

static void list(struct aq_docker_feed *f)
{
	aq_json_items_reset(&f->items);
	f->listed = 0;
	aq_fact_store_list_begin(f->docker->store, f->number);
	if (aq_docker_request_begin(&f->ask, f, AQ_DOCKER_LIST, "") < 0 ||
	    aq_json_items_feed(&f->items, "{\"items\":", 9, NULL, NULL) < 0)
		fail(f, "out of memory");
	else
		f->phase = AQ_DOCKER_LISTING;
}

static void lower(uint64_t *wait_ns, uint64_t at_ns, uint64_t now_ns)
{
	uint64_t wait = at_ns > now_ns ? at_ns - now_ns : 0;

	if (wait < *wait_ns)
		*wait_ns = wait;
}

void aq_docker_feed_tick(struct aq_docker_feed *f, uint64_t *wait_ns)
{
	uint64_t now_ns = aq_docker_now_ns(CLOCK_MONOTONIC);
	long status = 0;

	if (f->phase == AQ_DOCKER_AWAY) {
		if (is_there(f, now_ns)) {
			f->phase = AQ_DOCKER_MEETING;
			if (aq_docker_request_begin(&f->ask, f, AQ_DOCKER_VERSION, "") < 0)
				fail(f, "out of memory");
		} else {
			tell_absence(f);
		}
	} else if (f->phase == AQ_DOCKER_OPENING) {
		curl_easy_getinfo(f->events.easy, CURLINFO_RESPONSE_CODE, &status);
		if (status == 200 || f->list_ns <= now_ns)
			list(f);
	}
	if (f->phase == AQ_DOCKER_AWAY)
		lower(wait_ns, f->next_ns > now_ns && f->next_ns < f->look_ns ? f->next_ns : f->look_ns, now_ns);
	else if (f->phase == AQ_DOCKER_OPENING)
		lower(wait_ns, f->list_ns, now_ns);
	if (f->phase != AQ_DOCKER_AWAY && aq_docker_request_stalled(&f->events))
		aq_docker_feed_done(f, &f->events, CURLE_OPERATION_TIMEDOUT);
}

static int take_listed(void *user, const cJSON *container)
{
	struct aq_docker_feed *f = user;
	struct aq_fact_store *store = f->docker->store;
	uint64_t known_ns = f->known_real_ns != 0 ? f->known_real_ns : f->docker->begun_real_ns;
	struct aq_containers_head head;
	struct aq_containers_about about = aq_docker_about(f, 0, 0);

	if (++f->listed > AQ_DOCKER_LISTED_MAX) {
		aq_docker_blame(&f->ask, "more than %d containers", AQ_DOCKER_LISTED_MAX);
		return -E2BIG;
	}
	if (aq_containers_head(container, &head) < 0)
		return 0;
	if (head.ended) { /* one of late may have done something that is recorded; the others are history */
		if (head.made_real_ns + RECENT_S * SECOND > known_ns)
			aq_docker_want(f, head.id, 0, true);
		return 0;
	}
	if (!aq_fact_store_seen(store, f->number, head.id)) { /* else more is known than a list tells */
		aq_fact_store_begin(store);
		aq_docker_commit(f, head.id, aq_containers_facts(container, &about, aq_fact_store_add, store), false,
				 aq_docker_now_ns(CLOCK_BOOTTIME));
	}
	aq_docker_want(f, head.id, 0, true);
	return f->docker->fatal;
}

/* What it is called by the event, from then on. */
static void tell_event(struct aq_docker_feed *f, const cJSON *doc, const char *id, uint64_t from_ns, uint64_t to_ns)
{
	const struct aq_containers_about about = aq_docker_about(f, from_ns, to_ns);
	struct aq_fact_store *store = f->docker->store;

	aq_fact_store_begin(store);
	aq_docker_commit(f, id, aq_containers_event_facts(doc, &about, aq_fact_store_add, store), to_ns != 0,
			 aq_docker_now_ns(CLOCK_BOOTTIME));
}

static void close_facts(struct aq_docker_feed *f, const char *id, uint64_t at_ns)
{
	aq_fact_store_begin(f->docker->store);
	aq_docker_commit(f, id, 0, true, at_ns);
}

static void take_event(struct aq_docker_feed *f, const cJSON *doc, const struct aq_containers_event *e)
{
	bool known = aq_fact_store_seen(f->docker->store, f->number, e->id);
	uint64_t at_ns = e->real_ns != 0 ? aq_docker_boot_ns(e->real_ns) : aq_docker_now_ns(CLOCK_BOOTTIME);

	switch (e->action) {
	case AQ_CONTAINERS_CREATE:
	case AQ_CONTAINERS_START:
		if (!known)
			tell_event(f, doc, e->id, at_ns, 0);
		aq_docker_want(f, e->id, known ? 0 : at_ns, false);
		break;
	case AQ_CONTAINERS_RENAME:
		if (!known) /* it doesn't run: when it is started it has its new name */
			break;
		close_facts(f, e->id, at_ns);
		tell_event(f, doc, e->id, at_ns, 0);
		aq_docker_want_renamed(f, e->id, at_ns);
		break;
	case AQ_CONTAINERS_DIE:
		if (known)
			close_facts(f, e->id, at_ns);
		else
			tell_event(f, doc, e->id, 0, at_ns);
		aq_docker_want_ended(f, e->id, at_ns);
		break;
	case AQ_CONTAINERS_REMOVE:
		if (known)
			close_facts(f, e->id, at_ns);
		aq_docker_want_ended(f, e->id, at_ns);
		break;
	case AQ_CONTAINERS_OTHER:
		break;
	}
}

static void take_line(struct aq_docker_feed *f, struct aq_docker_request *q)
{
	struct aq_containers_event e;
	cJSON *doc;

	if (q->body.len == 0 || (q->body.len == 1 && q->body.data[0] == '\r'))
		return;
	doc = aq_json_parse(q->body.data, q->body.len);
	if (!cJSON_IsObject(doc)) {
		aq_docker_blame(q, "an event that is none");
	} else if (aq_containers_event(doc, &e) == 0 && (e.real_ns == 0 || e.real_ns > f->known_real_ns)) {
		/* the future would hide all that happens until then */
		if (e.real_ns > f->last_real_ns && e.real_ns <= aq_docker_now_ns(CLOCK_REALTIME))
			f->last_real_ns = e.real_ns;
		take_event(f, doc, &e);
	}
	cJSON_Delete(doc);
	aq_buf_reset(&q->body);
}

static void take_lines(struct aq_docker_feed *f, struct aq_docker_request *q, const char *data, size_t n)
{
	while (n > 0 && q->reason[0] == '\0' && f->docker->fatal == 0) {
		const char *end = memchr(data, '\n', n);
		size_t size = end != NULL ? (size_t)(end - data) : n;

		aq_buf_put(&q->body, data, size);
		if (q->body.failed) {
			aq_docker_blame(q, "an event of more than %d MiB", AQ_DOCKER_LINE_MAX >> 20);
			return;
		}
		if (end == NULL) {
			if (q->line_ns == 0)
				q->line_ns = aq_docker_now_ns(CLOCK_MONOTONIC);
			return;
		}
		q->line_ns = 0;
		take_line(f, q);
		data += size + 1;
		n -= size + 1;
	}
}

bool aq_docker_feed_data(struct aq_docker_feed *f, struct aq_docker_request *q, const char *data, size_t n)
{
	int r = 0;

	if (q->question == AQ_DOCKER_EVENTS) {
		take_lines(f, q, data, n);
		return q->reason[0] == '\0' && f->docker->fatal == 0;
	}
	if (q->body_bytes > AQ_DOCKER_LIST_MAX)
		aq_docker_blame(q, "a list of more than %d MiB", AQ_DOCKER_LIST_MAX >> 20);
	else
		r = aq_json_items_feed(&f->items, data, n, take_listed, f);
	if (r < 0)
		aq_docker_blame(q, r == -EMSGSIZE ? "an object of more than 1 MiB" : r == -ENOMEM ? "out of memory" :
				"an answer that is no JSON, or too deep");
	return q->reason[0] == '\0';
}

static void version_done(struct aq_docker_feed *f)
{
	cJSON *doc = aq_json_parse(f->ask.body.data, f->ask.body.len);
	const char *engine = aq_containers_engine(doc);

	cJSON_Delete(doc);
	if (engine == NULL) {
		fail(f, "an answer that is no engine's");
		return;
	}
	f->source = engine;
	open_events(f);
}

static void list_done(struct aq_docker_feed *f)
{
	cJSON *rest;
	int r;

	r = aq_json_items_feed(&f->items, "}", 1, take_listed, f);
	rest = r == 0 ? aq_json_items_rest(&f->items) : NULL;
	if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(rest, "items"))) {
		fail(f, "an answer that is no list");
	} else {
		f->phase = AQ_DOCKER_FOLLOWING;
		f->failures = 0;
		say(f, NULL);
		r = aq_fact_store_list_end(f->docker->store, f->number, aq_docker_now_ns(CLOCK_BOOTTIME));
		if (r < 0 && r != -ENOMEM)
			f->docker->fatal = r;
	}
	cJSON_Delete(rest);
}

void aq_docker_feed_done(struct aq_docker_feed *f, struct aq_docker_request *q, CURLcode result)
{
	bool followed = f->phase == AQ_DOCKER_FOLLOWING, blamed = q->reason[0] != '\0', whole;
	uint64_t lasted_ns = aq_docker_now_ns(CLOCK_MONOTONIC) - q->started_ns;
	long status;

	whole = aq_docker_request_judge(q, result, &status);
	aq_docker_request_end(q);
	if (f->docker->fatal < 0)
		return;
	if (q->question == AQ_DOCKER_EVENTS) {
		/* that they break off is nothing to speak of, unless they can't be had again */
		if (!blamed && status == 200 && followed && lasted_ns > SECOND && result != CURLE_OPERATION_TIMEDOUT)
			part(f, SECOND / 10);
		else
			fail(f, whole ? "the events have ended at once" : q->reason);
	} else if (!whole) {
		fail(f, q->reason);
	} else if (q->question == AQ_DOCKER_VERSION) {
		version_done(f);
	} else {
		list_done(f);
	}
}
