/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request consists of before it goes out: address, credentials, whom to trust, which way to go. Files are read for
 * each, so that what is replaced (tokens, certificates) is used from then on.
 */
#include "recorder/enrich/kube_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const paths[AQ_KUBE_STREAMS] = {
	[AQ_KUBE_PODS] = "/api/v1/pods",
	[AQ_KUBE_NAMESPACES] = "/api/v1/namespaces",
	[AQ_KUBE_SERVICES] = "/api/v1/services",
	[AQ_KUBE_KUBELET] = "/pods",
	[AQ_KUBE_OWNERS] = "",
};

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

/* https://TLS-NAME/… where one is given: certificates are held against it; set_way leads to the server. */
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
	struct aq_kube_question q;
	char more[256];

	put_server(url, s->access);
	if (s->kind == AQ_KUBE_OWNERS) {
		if (!aq_kube_owners_next(&k->owners, &q))
			return -EINVAL;
		put(url, q.kind[0] == 'R' ? "/apis/apps/v1/namespaces/" : "/apis/batch/v1/namespaces/");
		put_escaped(url, q.namespace);
		put(url, q.kind[0] == 'R' ? "/replicasets/" : "/jobs/");
		put_escaped(url, q.name);
	} else {
		put(url, paths[s->kind]);
		if (s->kind != AQ_KUBE_KUBELET) {
			/* in one piece after pages that were gone before they were read: one piece can't be */
			snprintf(more, sizeof(more), s->phase == AQ_KUBE_WATCH ? "?watch=1&allowWatchBookmarks=true" :
				 s->whole ? "?limit=0" : "?limit=%d", AQ_KUBE_PAGE);
			put(url, more);
		}
		if (s->kind == AQ_KUBE_PODS && strcmp(k->node, "*") != 0) {
			put(url, "&fieldSelector=spec.nodeName%3D");
			put_escaped(url, k->node);
			/* the first list may be a little old: the server has it at hand, and the watch tells the rest */
			if (s->phase == AQ_KUBE_LIST && s->answer_continue == NULL && !s->listed)
				put(url, "&resourceVersion=0");
		}
		if (s->phase == AQ_KUBE_WATCH) {
			snprintf(more, sizeof(more), "&resourceVersion=%s&timeoutSeconds=%llu", s->version,
				 (unsigned long long)(k->watch_ns / 1000000000 + 1));
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
	char *header;
	size_t n;
	int r;

	if (strncmp(a->server, "https://", 8) != 0)
		return 0;
	if (a->token_file != NULL) {
		struct aq_err err = { 0 };

		if (aq_kube_read_file(a->token_file, &file, &err) < 0) {
			aq_kube_blame(s, "the token can't be read: %s", strerror(-err.code));
			return err.code;
		}
		token = file.data;
	}
	if (token == NULL)
		return 0;
	n = strcspn(token, " \t\r\n");
	if (n == 0) {
		aq_kube_blame(s, "the token's file is empty");
		r = -EINVAL;
	} else if (asprintf(&header, "Authorization: Bearer %.*s", (int)n, token) < 0) {
		r = -ENOMEM;
	} else {
		r = add_header(s, header);
		explicit_bzero(header, strlen(header));
		free(header);
	}
	aq_kube_blob_release(&file);
	return r;
}

/* What the file holds now, kept in `keep` for the request, else what was given as data. */
static int set_pem(struct aq_kube_stream *s, CURLoption option, const char *what, const char *path,
		   const struct aq_kube_blob *data, struct aq_kube_blob *keep)
{
	struct curl_blob blob = { data->data, data->len, CURL_BLOB_NOCOPY };
	struct aq_err err = { 0 };

	aq_kube_blob_release(keep);
	if (path != NULL) {
		if (aq_kube_read_file(path, keep, &err) < 0) {
			aq_kube_blame(s, "%s can't be read: %s", what, strerror(-err.code));
			return err.code;
		}
		blob.data = keep->data;
		blob.len = keep->len;
	}
	if (blob.data == NULL)
		return 0;
	return curl_easy_setopt(s->easy, option, &blob) == CURLE_OK ? 0 : -ENOMEM;
}

static int set_tls(struct aq_kube_stream *s)
{
	const struct aq_kube_access *a = s->access;
	int r = set_pem(s, CURLOPT_CAINFO_BLOB, "the CA's certificate", a->ca_file, &a->ca, &s->ca);

	if (r == 0)
		r = set_pem(s, CURLOPT_SSLCERT_BLOB, "the client's certificate", a->cert_file, &a->cert, &s->cert);
	if (r == 0)
		r = set_pem(s, CURLOPT_SSLKEY_BLOB, "the client's key", a->key_file, &a->key, &s->key);
	if (r < 0)
		return r;
	if (a->ca_file != NULL || a->ca.data != NULL)
		curl_easy_setopt(s->easy, CURLOPT_CAPATH, NULL); /* that authority alone, not the system's as well */
	curl_easy_setopt(s->easy, CURLOPT_SSLCERTTYPE, "PEM");
	curl_easy_setopt(s->easy, CURLOPT_SSLKEYTYPE, "PEM");
	curl_easy_setopt(s->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (a->insecure) {
		curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return 0;
}

/* The host of https://HOST:PORT/PREFIX, with its brackets. */
static const char *host_of(const struct aq_kube_access *a, size_t *ret_len)
{
	const char *host = strstr(a->server, "://") + 3;

	*ret_len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return host;
}

static bool on_loopback(const struct aq_kube_access *a)
{
	size_t n;
	const char *host = host_of(a, &n);

	return (n == 9 && strncasecmp(host, "localhost", n) == 0) || (n > 4 && strncmp(host, "127.", 4) == 0) ||
	       (n == 5 && strncmp(host, "[::1]", n) == 0);
}

/* The proxy that the kubeconfig names, whatever the environment says; else the environment's, but not on this host. */
static int set_way(struct aq_kube_stream *s)
{
	const struct aq_kube_access *a = s->access;

	if (a->tls_name != NULL && strncmp(a->server, "https://", 8) == 0) {
		struct curl_slist *list;
		char to[400];
		size_t n;
		const char *host = host_of(a, &n);

		/* ::HOST: any name of a URL, to that host and the same port */
		snprintf(to, sizeof(to), "::%.*s:", (int)n, host);
		list = curl_slist_append(NULL, to);
		if (list == NULL)
			return -ENOMEM;
		curl_easy_setopt(s->easy, CURLOPT_CONNECT_TO, list);
		curl_slist_free_all(s->connect_to);
		s->connect_to = list;
	}
	if (a->proxy != NULL) {
		curl_easy_setopt(s->easy, CURLOPT_PROXY, a->proxy);
		curl_easy_setopt(s->easy, CURLOPT_NOPROXY, "");
	} else if (s->kind == AQ_KUBE_KUBELET || on_loopback(a)) {
		curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
	}
	return 0;
}

void aq_kube_request_forget(struct aq_kube_stream *s)
{
	for (struct curl_slist *h = s->headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(s->headers);
	s->headers = NULL;
}

void aq_kube_request_release(struct aq_kube_stream *s)
{
	aq_kube_request_forget(s);
	curl_slist_free_all(s->connect_to);
	aq_kube_blob_release(&s->ca);
	aq_kube_blob_release(&s->cert);
	aq_kube_blob_release(&s->key);
}

static int set_url(struct aq_kube_stream *s)
{
	struct aq_buf url;
	int r;

	aq_buf_init(&url, 16384);
	r = put_url(s, &url);
	if (r == 0 && curl_easy_setopt(s->easy, CURLOPT_URL, (char *)url.data) != CURLE_OK)
		r = -ENOMEM;
	aq_buf_release(&url);
	return r;
}

int aq_kube_request_prepare(struct aq_kube_stream *s)
{
	struct aq_kube *k = s->kube;
	bool watch = s->phase == AQ_KUBE_WATCH;
	uint64_t limit_ns = watch ? k->watch_ns + k->stall_ns : 6 * k->stall_ns;
	int r;

	curl_easy_reset(s->easy);
	aq_kube_request_forget(s);
	r = set_url(s);
	if (r == 0) /* of an owner only the metadata matter */
		r = add_header(s, s->kind != AQ_KUBE_OWNERS ? "Accept: application/json" : "Accept: application/json;as="
				  "PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
	if (r == 0)
		r = add_token(s);
	if (r == 0)
		r = set_tls(s);
	if (r == 0)
		r = set_way(s);
	if (r < 0)
		return r;
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy sees none of them */
	curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(s->easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* a connection for each request: how fast one is read and how much of it waits is then said for it alone */
	curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(s->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(s->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "aquilad/" AQ_VERSION);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(k->stall_ns / 1000000));
	curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)(limit_ns / 1000000));
	if (watch) /* it has no end: what floods it may not take a processor */
		curl_easy_setopt(s->easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)AQ_KUBE_WATCH_SPEED);
	else
		curl_easy_setopt(s->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	return 0;
}
