/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread: begins what is due, waits for all servers at once, ends what is done or stands still.
 */
#include "recorder/enrich/kube.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/enrich/kube_internal.h"

enum { HINT_MIN_NS = 1000000000 };

bool aq_kube_find_owner(void *user, const char *kind, const char *namespace, const char *name, struct aq_pods_owner *ret)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	struct aq_kube *k = user;

	/* what isn't a name of Kubernetes has nobody to ask for */
	if (namespace[strspn(namespace, plain)] != '\0' || name[strspn(name, plain)] != '\0' || namespace[0] == '.' || name[0] == '.')
		return false;
	return aq_kube_owners_find(&k->owners, kind, namespace, name, ret);
}

/* Who watches needs no hints. */
static bool watched(const struct aq_kube *k)
{
	const struct aq_kube_stream *pods = &k->streams[AQ_KUBE_PODS];

	return pods->used && pods->phase == AQ_KUBE_WATCH && pods->said[0] == '\0';
}

/* A pod has appeared: the kubelet is asked at once, but at most once in a second, and not while it fails. */
static void take_hint(struct aq_kube *k)
{
	struct aq_kube_stream *s = &k->streams[AQ_KUBE_KUBELET];
	uint64_t soon_ns = s->started_ns + HINT_MIN_NS;

	if (s->failures > 0 || !atomic_exchange(&k->hinted, false) || watched(k))
		return;
	k->look_again = true;
	if (s->next_ns > soon_ns)
		s->next_ns = soon_ns;
}

static int begin_due(struct aq_kube *k, long *ret_wait_ms)
{
	struct aq_kube_question q;
	uint64_t now_ns = aq_kube_now_ns(CLOCK_MONOTONIC);

	*ret_wait_ms = 1000;
	for (unsigned i = 0; i < AQ_KUBE_STREAMS; i++) {
		struct aq_kube_stream *s = &k->streams[i];

		if (!s->used || s->busy || (i == AQ_KUBE_OWNERS && !aq_kube_owners_next(&k->owners, &q)))
			continue;
		if (i == AQ_KUBE_KUBELET)
			take_hint(k);
		if (s->next_ns <= now_ns) {
			aq_kube_stream_begin(s);
			if (s->fatal < 0)
				return s->fatal;
			*ret_wait_ms = s->busy ? *ret_wait_ms : 100;
		} else if ((s->next_ns - now_ns) / 1000000 + 1 < (uint64_t)*ret_wait_ms) {
			*ret_wait_ms = (long)((s->next_ns - now_ns) / 1000000 + 1);
		}
	}
	return 0;
}

static int end_done(struct aq_kube *k)
{
	CURLMsg *message;
	int left, r = 0;

	while (r == 0 && (message = curl_multi_info_read(k->multi, &left)) != NULL) {
		struct aq_kube_stream *s = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		r = aq_kube_stream_done(s, message->data.result);
	}
	for (unsigned i = 0; i < AQ_KUBE_STREAMS && r == 0; i++) {
		struct aq_kube_stream *s = &k->streams[i];

		if (s->busy && aq_kube_stream_stalled(s)) {
			s->aborted = true;
			r = aq_kube_stream_done(s, CURLE_OPERATION_TIMEDOUT);
		}
	}
	return r;
}

static void *run(void *user)
{
	struct aq_kube *k = user;
	long wait_ms;
	int running;

	while (!atomic_load(&k->stop)) {
		if (begin_due(k, &wait_ms) < 0 || curl_multi_perform(k->multi, &running) != CURLM_OK || end_done(k) < 0)
			break; /* the sink wants no more, or there is no memory for anything */
		if (begin_due(k, &wait_ms) < 0)
			break;
		curl_multi_poll(k->multi, NULL, 0, (int)wait_ms, NULL);
	}
	return NULL;
}

static int use_stream(struct aq_kube *k, enum aq_kube_kind kind, const struct aq_kube_access *access)
{
	struct aq_kube_stream *s = &k->streams[kind];

	s->access = access;
	s->easy = curl_easy_init();
	s->used = s->easy != NULL;
	return s->used ? 0 : -ENOMEM;
}

static int replace(char **to, const char *text)
{
	if (text == NULL)
		return 0;
	free(*to);
	*to = strdup(text);
	return *to != NULL ? 0 : -ENOMEM;
}

static int find_access(struct aq_kube *k, const struct aq_kube_options *o, struct aq_err *err)
{
	const char *account = o->service_account != NULL ? o->service_account : "/var/run/secrets/kubernetes.io/serviceaccount";
	int r = 0;

	if (o->kubeconfig != NULL && o->in_cluster)
		return aq_err_set(err, -EINVAL, "a kubeconfig and the service account of this pod exclude each other");
	if (o->kubeconfig == NULL && !o->in_cluster && o->kubelet == NULL)
		return aq_err_set(err, -EINVAL, "neither a kubeconfig nor a kubelet nor this pod's service account is given");
	if (o->kubeconfig != NULL)
		r = aq_kube_access_load(o->kubeconfig, &k->api, err);
	else if (o->in_cluster)
		r = aq_kube_access_in_cluster(account, &k->api, err);
	if (r < 0)
		return r;
	k->have_api = k->api.server != NULL;
	if (o->kubelet != NULL) {
		const char *u = o->kubelet;

		if ((strncmp(u, "https://", 8) != 0 && strncmp(u, "http://", 7) != 0) || strpbrk(u, "@?# \"<>\\") != NULL)
			return aq_err_set(err, -EINVAL, "the kubelet is https://HOST:10250 or http://HOST:10255");
		if (replace(&k->kubelet.server, u) < 0 || aq_kube_access_copy(&k->api, &k->kubelet) < 0)
			return aq_err_set(err, -ENOMEM, "out of memory");
		while (strlen(k->kubelet.server) > 8 && k->kubelet.server[strlen(k->kubelet.server) - 1] == '/')
			k->kubelet.server[strlen(k->kubelet.server) - 1] = '\0';
		k->have_kubelet = true;
	}
	for (int i = 0; i < 2; i++) {
		struct aq_kube_access *a = i == 0 ? &k->api : &k->kubelet;

		if (replace(&a->token_file, o->token_file) < 0 || replace(&a->ca_file, o->ca_file) < 0)
			return aq_err_set(err, -ENOMEM, "out of memory");
	}
	if (err != NULL && (k->api.insecure || k->kubelet.insecure))
		snprintf(err->text, sizeof(err->text), "the server's certificate is not checked (insecure-skip-tls-verify): "
			 "names may come from anybody, and the token goes to anybody");
	return 0;
}

static int copy_names(struct aq_kube *k, const struct aq_kube_options *o)
{
	const char *node = o->node_name != NULL ? o->node_name : getenv("NODE_NAME");
	char host[256] = "";

	if (node == NULL || node[0] == '\0') {
		if (gethostname(host, sizeof(host) - 1) < 0)
			return -errno;
		node = host;
	}
	k->node = strdup(node);
	k->annotations = calloc(o->annotation_count + 1, sizeof(*k->annotations));
	if (k->node == NULL || k->annotations == NULL)
		return -ENOMEM;
	for (; k->annotation_count < o->annotation_count; k->annotation_count++) {
		k->annotations[k->annotation_count] = strdup(o->annotations[k->annotation_count]);
		if (k->annotations[k->annotation_count] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int make_streams(struct aq_kube *k)
{
	int r = 0;

	for (unsigned i = 0; i < AQ_KUBE_STREAMS; i++) {
		k->streams[i].kube = k;
		k->streams[i].kind = (enum aq_kube_kind)i;
		aq_json_items_init(&k->streams[i].items, AQ_KUBE_LINE_MAX);
		aq_buf_init(&k->streams[i].line, AQ_KUBE_LINE_MAX);
	}
	k->multi = curl_multi_init();
	if (k->multi == NULL)
		return -ENOMEM;
	if (k->have_api) {
		r = use_stream(k, AQ_KUBE_PODS, &k->api);
		r = r < 0 ? r : use_stream(k, AQ_KUBE_NAMESPACES, &k->api);
		r = r < 0 ? r : use_stream(k, AQ_KUBE_OWNERS, &k->api);
		if (r == 0 && k->services)
			r = use_stream(k, AQ_KUBE_SERVICES, &k->api);
	}
	if (r == 0 && k->have_kubelet)
		r = use_stream(k, AQ_KUBE_KUBELET, &k->kubelet);
	return r;
}

int aq_kube_new(const struct aq_kube_options *o, aq_fact_sink *sink, void *user, struct aq_kube **ret, struct aq_err *err)
{
	struct aq_kube *k = calloc(1, sizeof(*k));
	int r;

	if (k == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	k->sink = sink;
	k->user = user;
	k->services = o->services;
	k->poll_ns = o->poll_ns != 0 ? o->poll_ns : 15000000000ull;
	k->stall_ns = o->stall_ns != 0 ? o->stall_ns : 20000000000ull;
	k->watch_ns = o->watch_ns != 0 ? o->watch_ns : 300000000000ull;
	k->seed = (unsigned)aq_kube_now_ns(CLOCK_REALTIME) ^ (unsigned)getpid();
	r = find_access(k, o, err);
	if (r == 0) {
		r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
		r = r < 0 ? r : copy_names(k, o);
		r = r < 0 ? r : aq_fact_store_new(o->memory_bytes != 0 ? o->memory_bytes : 64u << 20, sink, user, &k->store);
		r = r < 0 ? r : make_streams(k);
		if (r < 0)
			aq_err_set(err, r, "Kubernetes: %s", strerror(-r));
	}
	if (r < 0) {
		aq_kube_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int aq_kube_start(struct aq_kube *k)
{
	int r = pthread_create(&k->thread, NULL, run, k);

	k->started = r == 0;
	return -r;
}

void aq_kube_hint(struct aq_kube *k)
{
	if (k == NULL || !k->have_kubelet)
		return;
	atomic_store(&k->hinted, true);
	curl_multi_wakeup(k->multi);
}

void aq_kube_free(struct aq_kube *k)
{
	if (k == NULL)
		return;
	if (k->started) {
		atomic_store(&k->stop, true);
		curl_multi_wakeup(k->multi);
		pthread_join(k->thread, NULL);
	}
	for (unsigned i = 0; i < AQ_KUBE_STREAMS; i++)
		if (k->streams[i].kube != NULL)
			aq_kube_stream_release(&k->streams[i]);
	if (k->multi != NULL)
		curl_multi_cleanup(k->multi);
	aq_fact_store_free(k->store);
	aq_kube_owners_release(&k->owners);
	for (size_t i = 0; i < k->annotation_count; i++)
		free(k->annotations[i]);
	free(k->annotations);
	free(k->node);
	aq_kube_access_release(&k->api);
	aq_kube_access_release(&k->kubelet);
	free(k);
}
