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

enum { SECOND = 1000000000, BACKOFF_MAX_S = 60, RETRY_AFTER_MAX_S = 300 };

static const struct {
	const char *path, *kind, *fact, *source;
} kinds[AQ_KUBE_STREAMS] = {
	[AQ_KUBE_PODS] = { "/api/v1/pods", "Pod", "pod", "kubernetes" },
	[AQ_KUBE_NAMESPACES] = { "/api/v1/namespaces", "Namespace", "namespace", "kubernetes" },
	[AQ_KUBE_SERVICES] = { "/api/v1/services", "Service", "address", "kubernetes" },
	[AQ_KUBE_KUBELET] = { "/pods", "Pod", "pod", "kubelet" },
	[AQ_KUBE_OWNERS] = { "", "", "", "kubernetes" },
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

static void blame(struct aq_kube_stream *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void blame(struct aq_kube_stream *s, const char *format, ...)
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
	aq_kube_store_begin(k->store);
	r = aq_pods_facts(object, &o, aq_kube_store_add, k->store);
	if (r == 0)
		r = aq_kube_store_commit(k->store, s->kind, key, gone, now_ns);
	if (r < 0 && r != -EINVAL && r != -ENOMEM)
		s->fatal = r;
}

static int list_item(void *user, const cJSON *item)
{
	struct aq_kube_stream *s = user;

	take_object(s, item, false);
	return s->fatal;
}

static void keep_version(struct aq_kube_stream *s, const cJSON *object)
{
	const char *version = aq_pods_meta(object, "resourceVersion", sizeof(s->version));

	if (version != NULL && strspn(version, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") == strlen(version))
		snprintf(s->version, sizeof(s->version), "%s", version);
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
		blame(s, "a watch event that is none");
	} else if (strcmp(type->valuestring, "ERROR") == 0) {
		code = cJSON_GetObjectItemCaseSensitive(object, "code");
		if (cJSON_IsNumber(code) && code->valuedouble == 410)
			s->gone = true;
		else
			blame(s, "the watch ended with error %d", cJSON_IsNumber(code) ? code->valueint : 0);
	} else {
		if (strcmp(type->valuestring, "BOOKMARK") != 0)
			take_object(s, object, strcmp(type->valuestring, "DELETED") == 0);
		keep_version(s, object);
		s->failures = 0;
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
			blame(s, "a watch event of more than %d MiB", AQ_KUBE_LINE_MAX >> 20);
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
		blame(s, "a list of more than %d MiB", AQ_KUBE_ANSWER_MAX >> 20);
		return CURL_WRITEFUNC_ERROR;
	}
	if (s->kind == AQ_KUBE_OWNERS) {
		aq_buf_put(&s->line, data, n);
		return s->line.failed ? CURL_WRITEFUNC_ERROR : n;
	}
	r = aq_json_items_feed(&s->items, data, n, list_item, s);
	if (r < 0 && s->fatal == 0)
		blame(s, r == -EMSGSIZE ? "an object of more than 4 MiB" : r == -ENOMEM ? "out of memory" : "an answer that is no JSON, or too deep");
	return r < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	static const char name[] = "retry-after:";
	struct aq_kube_stream *s = user;
	size_t n = size * count;
	char number[16];

	if (n > sizeof(name) && n < 64 && strncasecmp(data, name, sizeof(name) - 1) == 0) {
		unsigned long seconds;

		snprintf(number, sizeof(number), "%.*s", (int)(n - sizeof(name) + 1), data + sizeof(name) - 1);
		seconds = strtoul(number, NULL, 10);
		s->retry_after_ns = (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * SECOND;
	}
	return n;
}

/* Names come from objects: only what may stand in a path goes there. */
static void put_escaped(struct aq_buf *url, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~";
	char hex[4];

	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL || (*text == '.' && text[1] != '.' )) {
			aq_buf_put(url, text, 1);
		} else {
			snprintf(hex, sizeof(hex), "%%%02X", (unsigned char)*text);
			aq_buf_put(url, hex, 3);
		}
	}
}

static void put(struct aq_buf *url, const char *text)
{
	aq_buf_put(url, text, strlen(text));
}

/* https://TLS-NAME/… where one is given: the name is what certificates are held against; on_connect_to leads to the server. */
static void put_server(struct aq_buf *url, const struct aq_kube_access *a)
{
	const char *host, *rest;

	if (a->tls_name == NULL || strncmp(a->server, "https://", 8) != 0) {
		put(url, a->server);
		return;
	}
	host = a->server + 8;
	rest = host[0] == '[' ? strchr(host, ']') : host;
	rest = rest != NULL ? strpbrk(rest, ":/") : NULL;
	put(url, "https://");
	put(url, a->tls_name);
	put(url, rest != NULL ? rest : "");
}

static int put_url(struct aq_kube_stream *s, struct aq_buf *url)
{
	struct aq_kube *k = s->kube;
	char more[256];

	put_server(url, s->access);
	if (s->kind == AQ_KUBE_OWNERS) {
		char kind[64], namespace[AQ_PODS_NAME_MAX], name[AQ_PODS_NAME_MAX];

		if (sscanf(k->owners[k->owner_next].key, "%63[^/]/%253[^/]/%253[^/]", kind, namespace, name) != 3)
			return -EINVAL;
		put(url, kind[0] == 'R' ? "/apis/apps/v1/namespaces/" : "/apis/batch/v1/namespaces/");
		put_escaped(url, namespace);
		put(url, kind[0] == 'R' ? "/replicasets/" : "/jobs/");
		put_escaped(url, name);
	} else {
		put(url, kinds[s->kind].path);
		if (s->kind != AQ_KUBE_KUBELET) {
			snprintf(more, sizeof(more), s->phase == AQ_KUBE_LIST ? "?limit=%d" : "?watch=1&allowWatchBookmarks=true",
				 AQ_KUBE_PAGE);
			put(url, more);
		}
		if (s->kind == AQ_KUBE_PODS && strcmp(k->node, "*") != 0) {
			put(url, "&fieldSelector=spec.nodeName%3D");
			put_escaped(url, k->node);
		}
		if (s->phase == AQ_KUBE_WATCH) {
			snprintf(more, sizeof(more), "&resourceVersion=%s&timeoutSeconds=%llu", s->version,
				 (unsigned long long)(k->watch_ns / SECOND + 1));
			put(url, more);
		} else if (s->answer_continue != NULL) {
			put(url, "&continue=");
			put_escaped(url, s->answer_continue);
		}
	}
	aq_buf_put_u8(url, 0);
	return url->failed ? -ENOMEM : 0;
}

static int add_header(struct aq_kube_stream *s, const char *text)
{
	struct curl_slist *more = curl_slist_append(s->headers, text);

	if (more == NULL)
		return -ENOMEM;
	s->headers = more;
	return 0;
}

/* The token goes nowhere but into the header, and never over a line that everybody reads. */
static int add_token(struct aq_kube_stream *s)
{
	const struct aq_kube_access *a = s->access;
	struct aq_kube_blob file = { NULL, 0 };
	const char *token = a->token;
	struct aq_buf header;
	int r = 0;

	if (strncmp(a->server, "https://", 8) != 0)
		return 0;
	if (a->token_file != NULL) {
		struct aq_err err = { 0 };

		if (aq_kube_read_file(a->token_file, &file, &err) < 0) {
			blame(s, "the token can't be read: %s", strerror(-err.code));
			return err.code;
		}
		token = file.data;
	}
	if (token != NULL) {
		size_t n = strcspn(token, " \t\r\n");

		aq_buf_init(&header, AQ_KUBE_FILE_MAX + 64);
		put(&header, "Authorization: Bearer ");
		aq_buf_put(&header, token, n);
		aq_buf_put_u8(&header, 0);
		r = header.failed ? -ENOMEM : add_header(s, (const char *)header.data);
		if (header.data != NULL)
			explicit_bzero(header.data, header.capacity);
		aq_buf_release(&header);
	}
	aq_kube_blob_release(&file);
	return r;
}

static void set_blob(CURL *easy, CURLoption option, const struct aq_kube_blob *b)
{
	struct curl_blob blob = { b->data, b->len, CURL_BLOB_NOCOPY };

	if (b->data != NULL)
		curl_easy_setopt(easy, option, &blob);
}

static int set_tls(struct aq_kube_stream *s)
{
	const struct aq_kube_access *a = s->access;

	if (a->ca_file != NULL) {
		struct aq_err err = { 0 };

		aq_kube_blob_release(&s->ca);
		if (aq_kube_read_file(a->ca_file, &s->ca, &err) < 0) {
			blame(s, "the CA's certificate can't be read: %s", strerror(-err.code));
			return err.code;
		}
	}
	set_blob(s->easy, CURLOPT_CAINFO_BLOB, a->ca_file != NULL ? &s->ca : &a->ca);
	if (a->cert.data != NULL) {
		set_blob(s->easy, CURLOPT_SSLCERT_BLOB, &a->cert);
		set_blob(s->easy, CURLOPT_SSLKEY_BLOB, &a->key);
		curl_easy_setopt(s->easy, CURLOPT_SSLCERTTYPE, "PEM");
		curl_easy_setopt(s->easy, CURLOPT_SSLKEYTYPE, "PEM");
	}
	if (a->insecure) {
		curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return 0;
}

static void free_headers(struct aq_kube_stream *s)
{
	for (struct curl_slist *h = s->headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(s->headers);
	s->headers = NULL;
}

static int prepare(struct aq_kube_stream *s)
{
	const struct aq_kube_access *a = s->access;
	struct aq_kube *k = s->kube;
	uint64_t limit_ns = s->phase == AQ_KUBE_WATCH ? k->watch_ns + k->stall_ns : 6 * k->stall_ns;
	struct aq_buf url;
	int r;

	curl_easy_reset(s->easy);
	free_headers(s);
	aq_buf_init(&url, 16384);
	r = put_url(s, &url);
	if (r == 0)
		curl_easy_setopt(s->easy, CURLOPT_URL, (char *)url.data);
	aq_buf_release(&url);
	if (r == 0)
		r = add_header(s, "Accept: application/json");
	if (r == 0)
		r = add_token(s);
	if (r == 0)
		r = set_tls(s);
	if (r < 0)
		return r;
	if (a->tls_name != NULL && strncmp(a->server, "https://", 8) == 0) {
		/* ::HOST: any name of a URL, to that host and the same port */
		char to[400];
		const char *host = a->server + 8;
		size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
		struct curl_slist *list;

		snprintf(to, sizeof(to), "::%.*s:", (int)n, host);
		list = curl_slist_append(NULL, to);
		if (list == NULL)
			return -ENOMEM;
		/* it is only read when the request begins: kept with the headers' life */
		curl_easy_setopt(s->easy, CURLOPT_CONNECT_TO, list);
		curl_slist_free_all(s->connect_to);
		s->connect_to = list;
	}
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(s->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(s->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "aquilad/" AQ_VERSION);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(k->stall_ns / 1000000));
	curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)(limit_ns / 1000000));
	if (a->proxy != NULL)
		curl_easy_setopt(s->easy, CURLOPT_PROXY, a->proxy);
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	return 0;
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

/* Says why names are missing, or that they aren't any more. */
static int tell(struct aq_kube_stream *s)
{
	struct aq_kube *k = s->kube;
	uint64_t now_ns = boot_now();
	int r = 0;

	if (s->kind == AQ_KUBE_OWNERS || strcmp(s->reason, s->said) == 0)
		return 0;
	if (s->said[0] != '\0')
		r = aq_pods_unknown(kinds[s->kind].source, kinds[s->kind].fact, s->said, s->said_from_ns, now_ns, k->sink, k->user);
	if (r == 0 && s->reason[0] != '\0')
		r = aq_pods_unknown(kinds[s->kind].source, kinds[s->kind].fact, s->reason, now_ns, 0, k->sink, k->user);
	memcpy(s->said, s->reason, sizeof(s->said));
	s->said_from_ns = now_ns;
	return r;
}

void aq_kube_stream_begin(struct aq_kube_stream *s)
{
	s->reason[0] = '\0';
	s->gone = s->aborted = false;
	s->answer_bytes = 0;
	s->line_ns = s->retry_after_ns = 0;
	aq_buf_reset(&s->line);
	aq_json_items_reset(&s->items);
	s->started_ns = aq_kube_now_ns(CLOCK_MONOTONIC);
	if (s->phase == AQ_KUBE_LIST && s->answer_continue == NULL && s->kind != AQ_KUBE_OWNERS)
		aq_kube_store_list_begin(s->kube->store, s->kind);
	if (prepare(s) < 0 || curl_multi_add_handle(s->kube->multi, s->easy) != CURLM_OK) {
		blame(s, "the request can't be made");
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
		blame(s, "an answer that is no list");
	} else if (more != NULL) {
		s->answer_continue = strdup(more);
		if (s->answer_continue == NULL)
			blame(s, "out of memory");
	} else {
		r = aq_kube_store_list_end(s->kube->store, s->kind, boot_now());
		s->version[0] = '\0';
		keep_version(s, rest);
		s->failures = 0;
		if (s->kind == AQ_KUBE_KUBELET) {
			s->next_ns = aq_kube_now_ns(CLOCK_MONOTONIC) + s->kube->poll_ns;
		} else if (s->version[0] == '\0') {
			blame(s, "a list without a version");
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
	struct aq_kube_owner *o = &k->owners[k->owner_next];
	char kind[64], namespace[AQ_PODS_NAME_MAX], name[AQ_PODS_NAME_MAX];
	cJSON *doc = status == 200 ? aq_json_parse(s->line.data, s->line.len) : NULL;
	int r = 0;

	if (status != 200 && status != 404 && s->failures < 5) {
		back_off(s); /* asked again; after five times the pod's own words have to do */
		return 0;
	}
	if (doc != NULL && aq_pods_controller(doc, &o->of) &&
	    sscanf(o->key, "%63[^/]/%253[^/]/%253[^/]", kind, namespace, name) == 3)
		r = aq_kube_store_owner(k->store, namespace, kind, name, o->of.kind, o->of.name);
	cJSON_Delete(doc);
	o->asked = true;
	k->owner_next++;
	s->failures = 0;
	if (status != 200 && status != 404)
		s->next_ns = aq_kube_now_ns(CLOCK_MONOTONIC) + BACKOFF_MAX_S * (uint64_t)SECOND;
	return r;
}

static void judge(struct aq_kube_stream *s, CURLcode result, long status)
{
	bool quiet_end = s->phase == AQ_KUBE_WATCH && status == 200;

	if (s->aborted)
		blame(s, "the answer doesn't go on");
	else if (status == 410)
		s->gone = true;
	else if (status != 0 && status != 200)
		blame(s, status == 401 ? "HTTP 401: the token or certificate isn't accepted" :
			 status == 403 ? "HTTP 403: not allowed to list them" : "HTTP %ld", status);
	else if (s->gone || s->fatal < 0)
		;
	else if (result != CURLE_OK && !(quiet_end && result == CURLE_OPERATION_TIMEDOUT))
		/* a watch that breaks off is nothing to speak of, unless it can't be had again */
		blame(s, "%s", quiet_end && s->failures == 0 ? "" : curl_easy_strerror(result));
}

int aq_kube_stream_done(struct aq_kube_stream *s, CURLcode result)
{
	uint64_t lasted_ns = aq_kube_now_ns(CLOCK_MONOTONIC) - s->started_ns;
	long status = 0;
	int r = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(s->kube->multi, s->easy);
	s->busy = false;
	free_headers(s);
	if (s->fatal < 0)
		return s->fatal;
	if (s->kind == AQ_KUBE_OWNERS)
		return owner_done(s, result == CURLE_OK ? status : 0);
	judge(s, result, status);
	if (s->gone) {
		s->phase = AQ_KUBE_LIST;
		free(s->answer_continue);
		s->answer_continue = NULL;
		s->reason[0] = '\0';
		if (s->failures++ > 0)
			back_off(s);
		return 0;
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

	if (s->line_ns != 0)
		return now_ns - s->line_ns > stall_ns;
	curl_easy_getinfo(s->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
	if (s->phase == AQ_KUBE_LIST) /* nothing yet, or less than 1000 bytes a second */
		return now_ns - s->started_ns > stall_ns && (first_us == 0 || s->answer_bytes < (now_ns - s->started_ns) / 1000000);
	return false;
}

void aq_kube_stream_release(struct aq_kube_stream *s)
{
	if (s->busy)
		curl_multi_remove_handle(s->kube->multi, s->easy);
	curl_easy_cleanup(s->easy);
	free_headers(s);
	curl_slist_free_all(s->connect_to);
	aq_kube_blob_release(&s->ca);
	free(s->answer_continue);
	aq_json_items_release(&s->items);
	aq_buf_release(&s->line);
}
