/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kind of object from one server: list, watch, list again. Whatever an answer holds is either understood or it is the
 * reason why names are missing; the stream then waits and tries again.
 */
#include "recorder/enrich/kube_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

enum { SECOND = 1000000000, BACKOFF_MAX_S = 60, LOOK_AGAIN_S = 2, RETRY_AFTER_MAX_S = 300 };

static const struct {
	const char *kind, *fact, *source;
} kinds[AQ_KUBE_STREAMS] = {
	[AQ_KUBE_PODS] = { "Pod", "pod", "kubernetes" },
	[AQ_KUBE_NAMESPACES] = { "Namespace", "namespace", "kubernetes" },
	[AQ_KUBE_SERVICES] = { "Service", "address", "kubernetes" },
	[AQ_KUBE_KUBELET] = { "Pod", "pod", "kubelet" },
	[AQ_KUBE_OWNERS] = { "", "", "kubernetes" },
};

uint64_t aq_kube_now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t boot_now(void)
{
	return aq_kube_now_ns(CLOCK_BOOTTIME);
}

void aq_kube_blame(struct aq_kube_stream *s, const char *format, ...)
{
	va_list args;

	if (s->reason[0] != '\0')
		return; /* the first is the cause */
	va_start(args, format);
	vsnprintf(s->reason, sizeof(s->reason), format, args);
	va_end(args);
}

static void take_object(struct aq_kube_stream *s, const cJSON *object, bool gone)
{
	struct aq_kube *k = s->kube;
	uint64_t now_ns = boot_now();
	const struct aq_pods_options o = {
		.source = kinds[s->kind].source,
		.kind = kinds[s->kind].kind,
		.real_to_boot_ns = (int64_t)now_ns - (int64_t)aq_kube_now_ns(CLOCK_REALTIME),
		.annotations = (const char *const *)k->annotations,
		.annotation_count = k->annotation_count,
		.owner = k->have_api ? aq_kube_find_owner : NULL,
		.owner_user = k,
		.ended_ns = gone ? now_ns : 0,
	};
	const char *key = aq_pods_meta(object, "uid", 128);
	int r;

	if (key == NULL)
		key = aq_pods_meta(object, "name", AQ_PODS_NAME_MAX);
	if (key == NULL)
		return;
	s->objects++;
	aq_fact_store_begin(k->store);
	r = aq_pods_facts(object, &o, aq_fact_store_add, k->store);
	if (r == 0)
		r = aq_fact_store_commit(k->store, s->kind, key, gone, now_ns);
	if (r < 0 && r != -EINVAL && r != -ENOMEM)
		s->fatal = r;
}

static int list_item(void *user, const cJSON *item)
{
	struct aq_kube_stream *s = user;

	if (++s->answer_objects > AQ_KUBE_ANSWER_OBJECTS_MAX) {
		aq_kube_blame(s, "more than %d objects in one answer", AQ_KUBE_ANSWER_OBJECTS_MAX);
		return -E2BIG;
	}
	take_object(s, item, false);
	return s->fatal;
}

static void keep_version(struct aq_kube_stream *s, const cJSON *object)
{
	const char *version = aq_pods_meta(object, "resourceVersion", sizeof(s->version));

	if (version != NULL && strspn(version, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") == strlen(version))
		snprintf(s->version, sizeof(s->version), "%s", version);
}

/* Says why names are missing, or that they aren't any more. */
static int tell(struct aq_kube_stream *s)
{
	struct aq_kube *k = s->kube;
	uint64_t now_ns = boot_now();
	const char *reason = s->reason[0] != '\0' ? s->reason : s->note;
	int r = 0;

	if (s->kind == AQ_KUBE_OWNERS || strcmp(reason, s->said) == 0)
		return 0;
	if (s->said[0] != '\0')
		r = aq_pods_unknown(kinds[s->kind].source, kinds[s->kind].fact, s->said, s->said_from_ns, now_ns, k->sink, k->user);
	if (r == 0 && reason[0] != '\0')
		r = aq_pods_unknown(kinds[s->kind].source, kinds[s->kind].fact, reason, now_ns, 0, k->sink, k->user);
	memcpy(s->said, reason, sizeof(s->said));
	s->said_from_ns = now_ns;
	return r;
}

/* A line of a watch: {"type":…,"object":…}. */
static void take_line(struct aq_kube_stream *s)
{
	cJSON *doc;
	const cJSON *type, *object, *code;

	if (s->line.len == 0)
		return;
	doc = aq_json_parse(s->line.data, s->line.len);
	type = cJSON_GetObjectItemCaseSensitive(doc, "type");
	object = cJSON_GetObjectItemCaseSensitive(doc, "object");
	if (!cJSON_IsObject(doc) || !cJSON_IsString(type) || !cJSON_IsObject(object)) {
		aq_kube_blame(s, "a watch event that is none");
	} else if (strcmp(type->valuestring, "ERROR") == 0) {
		code = cJSON_GetObjectItemCaseSensitive(object, "code");
		if (cJSON_IsNumber(code) && code->valuedouble == 410)
			s->gone = true;
		else
			aq_kube_blame(s, "the watch ended with error %d", cJSON_IsNumber(code) ? code->valueint : 0);
	} else {
		if (strcmp(type->valuestring, "BOOKMARK") != 0)
			take_object(s, object, strcmp(type->valuestring, "DELETED") == 0);
		keep_version(s, object);
		s->failures = 0;
		if (s->note[0] != '\0' && s->objects > 0) {
			s->note[0] = '\0';
			if (s->fatal == 0)
				s->fatal = tell(s);
		}
	}
	cJSON_Delete(doc);
	aq_buf_reset(&s->line);
}

static void take_watch(struct aq_kube_stream *s, const char *data, size_t n)
{
	while (n > 0 && s->reason[0] == '\0' && !s->gone && s->fatal == 0) {
		const char *end = memchr(data, '\n', n);
		size_t part = end != NULL ? (size_t)(end - data) : n;

		aq_buf_put(&s->line, data, part);
		if (s->line.failed) {
			aq_kube_blame(s, "a watch event of more than %d MiB", AQ_KUBE_LINE_MAX >> 20);
			return;
		}
		if (end == NULL) {
			if (s->line_ns == 0)
				s->line_ns = aq_kube_now_ns(CLOCK_MONOTONIC);
			return;
		}
		s->line_ns = 0;
		take_line(s);
		data += part + 1;
		n -= part + 1;
	}
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct aq_kube_stream *s = user;
	size_t n = size * count;
	long status = 0;
	int r;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	s->answer_bytes += n;
	if (status != 200) /* what it says besides is of no use, and not for our files */
		return s->answer_bytes < 1 << 20 ? n : CURL_WRITEFUNC_ERROR;
	if (s->phase == AQ_KUBE_WATCH) {
		take_watch(s, data, n);
		return s->reason[0] == '\0' && !s->gone && s->fatal == 0 ? n : CURL_WRITEFUNC_ERROR;
	}
	if (s->answer_bytes > AQ_KUBE_ANSWER_MAX) {
		aq_kube_blame(s, "a list of more than %d MiB", AQ_KUBE_ANSWER_MAX >> 20);
		return CURL_WRITEFUNC_ERROR;
	}
	if (s->kind == AQ_KUBE_OWNERS) {
		aq_buf_put(&s->line, data, n);
		return s->line.failed ? CURL_WRITEFUNC_ERROR : n;
	}
	r = aq_json_items_feed(&s->items, data, n, list_item, s);
	if (r < 0 && s->fatal == 0)
		aq_kube_blame(s, r == -EMSGSIZE ? "an object of more than 4 MiB" : r == -ENOMEM ? "out of memory" : "an answer that is no JSON, or too deep");
	return r < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	static const char name[] = "retry-after:";
	struct aq_kube_stream *s = user;
	size_t n = size * count;
	uint64_t seconds = 0;
	size_t i = sizeof(name) - 1;

	if (n > sizeof(name) && strncasecmp(data, name, i) == 0) {
		while (i < n && data[i] == ' ')
			i++;
		/* a date, which the standard allows as well, counts as nothing */
		for (; i < n && data[i] >= '0' && data[i] <= '9' && seconds < RETRY_AFTER_MAX_S; i++)
			seconds = seconds * 10 + (uint64_t)(data[i] - '0');
		s->retry_after_ns = (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * SECOND;
	}
	return n;
}

/* Half to one and a half of 0.5 s, 1 s, 2 s … and of what the server asks for at least that. */
static void back_off(struct aq_kube_stream *s)
{
	struct aq_kube *k = s->kube;
	unsigned shift = s->failures < 7 ? s->failures : 7;
	uint64_t wait_ns = (SECOND / 2ull) << shift;

	if (wait_ns > BACKOFF_MAX_S * (uint64_t)SECOND)
		wait_ns = BACKOFF_MAX_S * (uint64_t)SECOND;
	wait_ns = wait_ns / 2 + (uint64_t)((double)wait_ns * rand_r(&k->seed) / ((double)RAND_MAX + 1));
	if (wait_ns < s->retry_after_ns)
		wait_ns = s->retry_after_ns + wait_ns / 8;
	s->failures++;
	s->next_ns = aq_kube_now_ns(CLOCK_MONOTONIC) + wait_ns;
}

void aq_kube_stream_begin(struct aq_kube_stream *s)
{
	bool ready;

	s->reason[0] = '\0';
	s->gone = s->aborted = false;
	s->answer_bytes = s->answer_objects = 0;
	s->line_ns = s->retry_after_ns = 0;
	aq_buf_reset(&s->line);
	aq_json_items_reset(&s->items);
	s->started_ns = aq_kube_now_ns(CLOCK_MONOTONIC);
	if (s->phase == AQ_KUBE_LIST && s->answer_continue == NULL && s->kind != AQ_KUBE_OWNERS) {
		aq_fact_store_list_begin(s->kube->store, s->kind);
		s->pages = s->objects = 0;
	}
	ready = aq_kube_request_prepare(s) == 0;
	if (ready) {
		curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_data);
		curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
		curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
		curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	}
	if (!ready || curl_multi_add_handle(s->kube->multi, s->easy) != CURLM_OK) {
		aq_kube_blame(s, "the request can't be made");
		s->fatal = tell(s);
		back_off(s);
		return;
	}
	s->busy = true;
}

static int list_done(struct aq_kube_stream *s)
{
	cJSON *rest = aq_json_items_rest(&s->items);
	const char *more = aq_pods_meta(rest, "continue", 8192);
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(rest, "kind");
	int r = 0;

	free(s->answer_continue);
	s->answer_continue = NULL;
	if (!cJSON_IsString(kind) || !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(rest, "items"))) {
		aq_kube_blame(s, "an answer that is no list");
	} else if (more != NULL && ++s->pages >= AQ_KUBE_PAGES_MAX) {
		aq_kube_blame(s, "a list of more than %d pages", AQ_KUBE_PAGES_MAX);
	} else if (more != NULL) {
		s->answer_continue = strdup(more);
		if (s->answer_continue == NULL)
			aq_kube_blame(s, "out of memory");
	} else {
		r = aq_fact_store_list_end(s->kube->store, s->kind, boot_now());
		s->version[0] = s->note[0] = '\0';
		keep_version(s, rest);
		s->failures = 0;
		s->listed = true;
		s->whole = false;
		if (s->objects == 0 && s->kind == AQ_KUBE_PODS) /* most often a name that isn't the node's */
			snprintf(s->note, sizeof(s->note), strcmp(s->kube->node, "*") == 0 ? "the API server has no pods" :
				 "the API server has no pod of node '%.100s'", s->kube->node);
		if (s->kind == AQ_KUBE_KUBELET) {
			s->next_ns = aq_kube_now_ns(CLOCK_MONOTONIC) + s->kube->poll_ns;
			/* what was hinted at may be there by now without its container */
			if (s->kube->look_again && s->kube->poll_ns > LOOK_AGAIN_S * (uint64_t)SECOND)
				s->next_ns = aq_kube_now_ns(CLOCK_MONOTONIC) + LOOK_AGAIN_S * (uint64_t)SECOND;
			s->kube->look_again = false;
		} else if (s->version[0] == '\0') {
			aq_kube_blame(s, "a list without a version");
		} else {
			s->phase = AQ_KUBE_WATCH;
		}
	}
	cJSON_Delete(rest);
	return r;
}

static int owner_done(struct aq_kube_stream *s, long status)
{
	struct aq_kube *k = s->kube;
	cJSON *doc = status == 200 ? aq_json_parse(s->line.data, s->line.len) : NULL;
	bool known = aq_pods_meta(doc, "name", AQ_PODS_NAME_MAX) != NULL, owned;
	struct aq_kube_question q;
	struct aq_pods_owner of;
	int r = 0;

	if (!aq_kube_owners_next(&k->owners, &q))
		;
	else if (known) {
		owned = aq_pods_controller(doc, &of);
		r = aq_fact_store_owner(k->store, q.namespace, q.kind, q.name, owned ? of.kind : q.kind, owned ? of.name : q.name);
		aq_kube_owners_answer(&k->owners, true, owned ? &of : NULL);
		s->failures = 0;
	} else if (status == 404) {
		aq_kube_owners_answer(&k->owners, false, NULL);
		s->failures = 0;
	} else { /* until then the pod's own words have to do */
		aq_kube_owners_later(&k->owners);
		back_off(s);
	}
	cJSON_Delete(doc);
	return r;
}

static void judge(struct aq_kube_stream *s, CURLcode result, long status)
{
	bool quiet_end = s->phase == AQ_KUBE_WATCH && status == 200;

	if (s->aborted)
		aq_kube_blame(s, "the answer doesn't go on");
	else if (status == 410)
		s->gone = true;
	else if (status != 0 && status != 200)
		aq_kube_blame(s, status == 401 ? "HTTP 401: the token or certificate isn't accepted" :
			 status == 403 ? "HTTP 403: not allowed to list them" : "HTTP %ld", status);
	else if (s->gone || s->fatal < 0)
		;
	else if (result != CURLE_OK && !(quiet_end && result == CURLE_OPERATION_TIMEDOUT))
		/* a watch that breaks off is nothing to speak of, unless it can't be had again */
		aq_kube_blame(s, "%s", quiet_end && s->failures == 0 ? "" : curl_easy_strerror(result));
}

int aq_kube_stream_done(struct aq_kube_stream *s, CURLcode result)
{
	uint64_t lasted_ns = aq_kube_now_ns(CLOCK_MONOTONIC) - s->started_ns;
	long status = 0;
	int r = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(s->kube->multi, s->easy);
	s->busy = false;
	aq_kube_request_forget(s);
	if (s->fatal < 0)
		return s->fatal;
	if (s->kind == AQ_KUBE_OWNERS)
		return owner_done(s, result == CURLE_OK ? status : 0);
	judge(s, result, status);
	if (s->gone) {
		s->whole = s->phase == AQ_KUBE_LIST && s->answer_continue != NULL;
		s->listed = true;
		s->phase = AQ_KUBE_LIST;
		free(s->answer_continue);
		s->answer_continue = NULL;
		s->reason[0] = '\0';
		if (s->failures >= 3)
			aq_kube_blame(s, "HTTP 410: what it lists is gone again and again");
		if (s->failures > 0)
			back_off(s);
		else
			s->failures++;
		return tell(s);
	}
	if (s->reason[0] == '\0' && s->phase == AQ_KUBE_LIST)
		r = list_done(s);
	else if (s->reason[0] == '\0' && (result != CURLE_OK || lasted_ns < SECOND))
		back_off(s); /* a watch that ends at once */
	if (r < 0)
		return r;
	if (s->reason[0] != '\0') {
		free(s->answer_continue);
		s->answer_continue = NULL;
		s->whole = false;
		if (status == 200 && s->phase == AQ_KUBE_WATCH)
			s->phase = AQ_KUBE_LIST; /* what of it was understood isn't certain */
		back_off(s);
	}
	return tell(s);
}

bool aq_kube_stream_stalled(const struct aq_kube_stream *s)
{
	uint64_t now_ns = aq_kube_now_ns(CLOCK_MONOTONIC), stall_ns = s->kube->stall_ns;
	curl_off_t first_us = 0;

	long status = 0;

	if (s->line_ns != 0)
		return now_ns - s->line_ns > stall_ns;
	if (s->phase == AQ_KUBE_WATCH) { /* its end may be far, its beginning isn't */
		curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
		return status == 0 && now_ns - s->started_ns > stall_ns;
	}
	curl_easy_getinfo(s->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
	/* nothing yet, or less than 1000 bytes a second */
	return now_ns - s->started_ns > stall_ns && (first_us == 0 || s->answer_bytes < (now_ns - s->started_ns) / 1000000);
}

void aq_kube_stream_release(struct aq_kube_stream *s)
{
	if (s->busy)
		curl_multi_remove_handle(s->kube->multi, s->easy);
	curl_easy_cleanup(s->easy);
	aq_kube_request_release(s);
	free(s->answer_continue);
	aq_json_items_release(&s->items);
	aq_buf_release(&s->line);
}
