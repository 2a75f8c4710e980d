/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread: begins what is due, waits for all engines at once, ends what is done or stands still.
 */
#include "recorder/enrich/docker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/enrich/docker_internal.h"

static const char *const usual[] = { "/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock" };

uint64_t aq_docker_now_ns(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t real_to_boot_ns(void)
{
	return (int64_t)aq_docker_now_ns(CLOCK_BOOTTIME) - (int64_t)aq_docker_now_ns(CLOCK_REALTIME);
}

uint64_t aq_docker_boot_ns(uint64_t real_ns)
{
	uint64_t now_ns = aq_docker_now_ns(CLOCK_BOOTTIME);
	int64_t boot_ns;

	if (real_ns == 0)
		return 0;
	if (real_ns > INT64_MAX || __builtin_add_overflow((int64_t)real_ns, real_to_boot_ns(), &boot_ns) ||
	    boot_ns > (int64_t)now_ns)
		return now_ns;
	return boot_ns > 0 ? (uint64_t)boot_ns : 1;
}

struct aq_containers_about aq_docker_about(const struct aq_docker_feed *f, uint64_t from_ns, uint64_t to_ns)
{
	return (struct aq_containers_about){ .source = f->source, .real_to_boot_ns = real_to_boot_ns(), .from_ns = from_ns, .to_ns = to_ns };
}

void aq_docker_commit(struct aq_docker_feed *f, const char *id, int result, bool gone, uint64_t now_ns)
{
	if (result == 0)
		result = aq_fact_store_commit(f->docker->store, f->number, id, gone, now_ns);
	if (result < 0 && result != -EINVAL && result != -ENOMEM)
		f->docker->fatal = result;
}

static void end_done(struct aq_docker *d)
{
	CURLMsg *message;
	int left;

	while (d->fatal == 0 && (message = curl_multi_info_read(d->multi, &left)) != NULL) {
		struct aq_docker_request *q = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&q);
		if (q->question == AQ_DOCKER_INSPECT || q->question == AQ_DOCKER_IMAGE) /* the first member of its look */
			aq_docker_look_done((struct aq_docker_look *)q, message->data.result);
		else
			aq_docker_feed_done(q->feed, q, message->data.result);
	}
}

static uint64_t begin_due(struct aq_docker *d)
{
	uint64_t wait_ns = 10000000000ull;

	for (unsigned i = 0; i < d->feed_count && d->fatal == 0; i++) {
		aq_docker_feed_tick(d->feeds[i], &wait_ns);
		if (d->feeds[i]->events.busy && wait_ns > d->stall_ns / 4)
			wait_ns = d->stall_ns / 4; /* a line that doesn't end has to be noticed */
	}
	aq_docker_looks_begin(d);
	return wait_ns;
}

static void *run(void *user)
{
	struct aq_docker *d = user;
	uint64_t wait_ns;
	int running;

	while (!atomic_load(&d->stop)) {
		(void)begin_due(d);
		if (d->fatal < 0 || curl_multi_perform(d->multi, &running) != CURLM_OK)
			break; /* the sink wants no more, or there is no memory for anything */
		end_done(d);
		if (d->fatal < 0)
			break;
		wait_ns = begin_due(d);
		curl_multi_poll(d->multi, NULL, 0, (int)(wait_ns / 1000000) + 1, NULL);
	}
	return NULL;
}

static int add_feed(struct aq_docker *d, const char *path, bool is_usual, struct aq_err *err)
{
	int r;

	if (path[0] != '/' || strlen(path) >= AQ_DOCKER_PATH_MAX)
		return aq_err_set(err, -EINVAL, "'%s' is no absolute path of less than %d bytes, as a socket needs", path, AQ_DOCKER_PATH_MAX);
	for (unsigned i = 0; i < d->feed_count; i++)
		if (strcmp(d->feeds[i]->path, path) == 0)
			return 0;
	if (d->feed_count == AQ_DOCKER_SOCKETS_MAX)
		return aq_err_set(err, -EINVAL, "more than %d sockets of container engines", AQ_DOCKER_SOCKETS_MAX);
	r = aq_docker_feed_new(d, path, is_usual, &d->feeds[d->feed_count]);
	if (r < 0)
		return aq_err_set(err, r, "container engines: %s", strerror(-r));
	d->feed_count++;
	return 0;
}

int aq_docker_new(const struct aq_docker_options *o, aq_fact_sink *sink, void *user, struct aq_docker **ret, struct aq_err *err)
{
	struct aq_docker *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	d->sink = sink;
	d->user = user;
	d->stall_ns = o->stall_ns != 0 ? o->stall_ns : 20000000000ull;
	d->begun_real_ns = aq_docker_now_ns(CLOCK_REALTIME);
	d->seed = (unsigned)d->begun_real_ns ^ (unsigned)getpid();
	r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
	r = r < 0 ? r : aq_fact_store_new(o->memory_bytes != 0 ? o->memory_bytes : 8u << 20, sink, user, &d->store);
	d->multi = r == 0 ? curl_multi_init() : NULL;
	for (unsigned i = 0; i < AQ_DOCKER_LOOKS && d->multi != NULL && r == 0; i++)
		r = aq_docker_request_init(&d->looks[i].request, d);
	if (d->multi == NULL || r < 0) {
		aq_docker_free(d);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < o->socket_count && r == 0; i++)
		r = add_feed(d, o->sockets[i], false, err);
	for (size_t i = 0; o->usual && i < sizeof(usual) / sizeof(usual[0]) && r == 0 && d->feed_count < AQ_DOCKER_SOCKETS_MAX; i++)
		r = add_feed(d, usual[i], true, err);
	if (r < 0) {
		aq_docker_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

int aq_docker_start(struct aq_docker *d)
{
	int r = pthread_create(&d->thread, NULL, run, d);

	d->started = r == 0;
	return -r;
}

void aq_docker_free(struct aq_docker *d)
{
	if (d == NULL)
		return;
	if (d->started) {
		atomic_store(&d->stop, true);
		curl_multi_wakeup(d->multi);
		pthread_join(d->thread, NULL);
	}
	for (unsigned i = 0; i < d->feed_count; i++)
		aq_docker_feed_free(d->feeds[i]);
	for (unsigned i = 0; i < AQ_DOCKER_LOOKS; i++)
		aq_docker_request_release(&d->looks[i].request);
	if (d->multi != NULL)
		curl_multi_cleanup(d->multi);
	aq_fact_store_free(d->store);
	free(d);
}
