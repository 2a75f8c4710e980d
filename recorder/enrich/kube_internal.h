/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the thread (kube.c) and its requests (kube_stream.c) share. Everything here belongs to the thread once it runs,
 * but the two flags.
 */
#ifndef AQ_RECORDER_ENRICH_KUBE_INTERNAL_H
#define AQ_RECORDER_ENRICH_KUBE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "format/base/buf.h"
#include "format/facts/json_items.h"
#include "format/facts/pods.h"
#include "recorder/enrich/kube.h"
#include "recorder/enrich/kube_config.h"
#include "recorder/enrich/kube_owners.h"
#include "recorder/enrich/fact_store.h"

enum {
	AQ_KUBE_LINE_MAX = 4 << 20,     /* bytes of an object, in a list or a line of a watch */
	AQ_KUBE_ANSWER_MAX = 64 << 20,  /* bytes of a page of a list */
	AQ_KUBE_ANSWER_OBJECTS_MAX = 50000,
	AQ_KUBE_PAGE = 500,
	AQ_KUBE_PAGES_MAX = 400,        /* 200,000 objects */
	AQ_KUBE_WATCH_SPEED = 4 << 20,  /* bytes a second */
};

enum aq_kube_kind { AQ_KUBE_PODS, AQ_KUBE_NAMESPACES, AQ_KUBE_SERVICES, AQ_KUBE_KUBELET, AQ_KUBE_OWNERS, AQ_KUBE_STREAMS };

enum aq_kube_phase { AQ_KUBE_LIST, AQ_KUBE_WATCH };

struct aq_kube_stream {
	struct aq_kube *kube;
	enum aq_kube_kind kind;
	const struct aq_kube_access *access;
	bool used, busy, aborted;
	enum aq_kube_phase phase;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct aq_kube_blob ca, cert, key; /* of files, for the present request */
	char *answer_continue;          /* where the next page begins; owned */
	char version[128];              /* resourceVersion that the watch goes on from */
	struct aq_json_items items;     /* of a list */
	struct aq_buf line;             /* of a watch, and a single object */
	size_t answer_bytes;
	unsigned answer_objects;
	unsigned pages, objects;        /* of the list, and of the watch that follows */
	uint64_t started_ns, line_ns;   /* line_ns: since when a line is incomplete; 0: none is */
	uint64_t next_ns;               /* when the next request may begin, CLOCK_MONOTONIC */
	uint64_t retry_after_ns;
	unsigned failures;              /* in a row */
	bool gone;                      /* 410: list again */
	bool listed, whole;             /* there was a list already; the next one shall not have pages */
	int fatal;                      /* -errno that stops the thread */
	char reason[200];               /* why the present request can't go on; empty: nothing is wrong */
	char note[200];                 /* likewise, but nothing has failed */
	char said[200];                 /* which of them stands as a fact */
	uint64_t said_from_ns;
};

struct aq_kube {
	struct aq_kube_access api, kubelet;
	bool have_api, have_kubelet, services;
	char *node;
	char **annotations;
	size_t annotation_count;
	uint64_t poll_ns, stall_ns, watch_ns;
	unsigned seed;
	aq_fact_sink *sink;
	void *user;
	struct aq_fact_store *store;
	CURLM *multi;
	struct aq_kube_stream streams[AQ_KUBE_STREAMS];
	struct aq_kube_owners owners;
	bool look_again;                /* at the kubelet */
	pthread_t thread;
	bool started;
	atomic_bool stop, hinted;
};

uint64_t aq_kube_now_ns(clockid_t clock);

/* Notes why the present request can't go on; the first reason is the cause. */
void aq_kube_blame(struct aq_kube_stream *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes s->easy ready for the next request of the stream, but for who takes the answer. -errno: blamed, or out of memory. */
int aq_kube_request_prepare(struct aq_kube_stream *s);
/* The token isn't needed any more. */
void aq_kube_request_forget(struct aq_kube_stream *s);
void aq_kube_request_release(struct aq_kube_stream *s);

/* Begins the next request of a stream that isn't busy; if that fails it is tried again later. */
void aq_kube_stream_begin(struct aq_kube_stream *s);
/* A request has ended: result is curl's. 0, or -errno of the sink. */
int aq_kube_stream_done(struct aq_kube_stream *s, CURLcode result);
/* Ends what has made no progress. */
bool aq_kube_stream_stalled(const struct aq_kube_stream *s);
void aq_kube_stream_release(struct aq_kube_stream *s);

/* For aq_pods_options: from the cache; what isn't there is asked for later. */
aq_pods_owner_of aq_kube_find_owner;

#endif
