/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the thread (docker.c), the engines that it follows (docker_feed.c), the containers that it looks at (docker_look.c)
 * and their requests (docker_request.c) share. Everything here belongs to the thread once it runs, but the flag.
 */
#ifndef AQ_RECORDER_ENRICH_DOCKER_INTERNAL_H
#define AQ_RECORDER_ENRICH_DOCKER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <curl/curl.h>

#include "format/base/buf.h"
#include "format/facts/containers.h"
#include "format/facts/json_items.h"
#include "recorder/enrich/docker.h"
#include "recorder/enrich/fact_store.h"

enum {
	AQ_DOCKER_LINE_MAX = 1 << 20,   /* bytes of an event, a list's element and any single document */
	AQ_DOCKER_LIST_MAX = 64 << 20,
	AQ_DOCKER_LISTED_MAX = 50000,   /* containers in a list */
	AQ_DOCKER_HEAD_MAX = 64 << 10,
	AQ_DOCKER_SPEED = 1 << 20,      /* bytes of events a second */
	AQ_DOCKER_LOOKS = 8,            /* containers and images that are asked for at a time, all sockets together */
	AQ_DOCKER_WAITING_MAX = 4096,   /* containers of an engine that wait for it */
	AQ_DOCKER_BUCKETS = 1024,
	AQ_DOCKER_IMAGES = 64,          /* whose digests are remembered */
};

_Static_assert((unsigned)AQ_DOCKER_SOCKETS_MAX <= (unsigned)AQ_FACT_STORE_KINDS, "each engine is a kind of object");

enum aq_docker_question { AQ_DOCKER_VERSION, AQ_DOCKER_LIST, AQ_DOCKER_EVENTS, AQ_DOCKER_INSPECT, AQ_DOCKER_IMAGE };

struct aq_docker_feed;

struct aq_docker_request {
	struct aq_docker *docker;
	struct aq_docker_feed *feed;    /* whom it asks, for as long as it is busy */
	enum aq_docker_question question;
	CURL *easy;
	bool busy;
	struct aq_buf body;             /* of a single document, or the present line of events */
	size_t head_bytes, body_bytes;
	uint64_t started_ns, line_ns;   /* CLOCK_MONOTONIC; line_ns: since when a line is incomplete; 0: none is */
	char reason[160];               /* why it can't go on; empty: nothing is wrong */
};

/* A container that is to be looked at, or is just now. */
struct aq_docker_box {
	struct aq_docker_box *hash_next, *next; /* next: that waits */
	uint64_t from_ns, to_ns;        /* of aq_containers_about */
	bool waits, busy;
	bool again, stale;              /* it has changed since it was asked for; so much that the answer is wrong */
	bool listed;                    /* its end may have been told before it was listed: the document knows */
	char id[AQ_CONTAINERS_ID_MAX];
};

struct aq_docker_look {
	struct aq_docker_request request;
	struct aq_docker_box *box;
	struct cJSON *container;        /* what was said of it, while its image is asked for; owned */
	struct aq_containers_head head; /* of it */
};

enum aq_docker_phase {
	AQ_DOCKER_AWAY,                 /* nothing is asked until next_ns, or until the socket is another one */
	AQ_DOCKER_MEETING,              /* /version */
	AQ_DOCKER_OPENING,              /* the events have been asked for, the list is to follow */
	AQ_DOCKER_LISTING,
	AQ_DOCKER_FOLLOWING,
};

struct aq_docker_feed {
	struct aq_docker *docker;
	unsigned number;                /* the kind of its objects in the store */
	bool usual;                     /* nobody has named it: that it isn't there is no news */
	char path[AQ_DOCKER_PATH_MAX];
	const char *source;             /* docker or podman; static */
	enum aq_docker_phase phase;
	struct aq_docker_request ask, events;
	struct aq_json_items items;     /* of the list */
	unsigned listed;
	uint64_t next_ns, look_ns;      /* CLOCK_MONOTONIC; look_ns: when the socket is looked at again */
	uint64_t list_ns;               /* when the list is asked for at the latest */
	unsigned failures;              /* in a row */
	int stat_errno;
	struct stat st;                 /* of the socket that was tried; st_ino 0: none was */
	uint64_t last_real_ns, known_real_ns; /* of events: the latest; those up to known were seen on the last connection */
	struct aq_docker_box *boxes[AQ_DOCKER_BUCKETS];
	struct aq_docker_box *first, *last; /* of those that wait */
	size_t box_count;
	char said[200];                 /* which reason stands as a fact */
	const char *said_source;
	uint64_t said_from_ns;
};

struct aq_docker_image {
	char id[AQ_CONTAINERS_ID_MAX], name[256];
	char digest[AQ_CONTAINERS_DIGEST_MAX]; /* empty: it has none */
};

struct aq_docker {
	aq_fact_sink *sink;
	void *user;
	struct aq_fact_store *store;
	uint64_t stall_ns, begun_real_ns;
	unsigned seed;
	CURLM *multi;
	struct aq_docker_feed *feeds[AQ_DOCKER_SOCKETS_MAX]; /* owned */
	unsigned feed_count, turn;      /* turn: whose container comes next */
	struct aq_docker_look looks[AQ_DOCKER_LOOKS];
	struct aq_docker_image images[AQ_DOCKER_IMAGES];
	unsigned next_image;
	int fatal;                      /* -errno that stops the thread */
	pthread_t thread;
	bool started;
	atomic_bool stop;
};

uint64_t aq_docker_now_ns(clockid_t clock);
/* Of a wall time; 0 stays 0, and what would be in the future is now. */
uint64_t aq_docker_boot_ns(uint64_t real_ns);
struct aq_containers_about aq_docker_about(const struct aq_docker_feed *f, uint64_t from_ns, uint64_t to_ns);
/* What was added to the store since aq_fact_store_begin. result: of what made it; -EINVAL and -ENOMEM cost these names only. */
void aq_docker_commit(struct aq_docker_feed *f, const char *id, int result, bool gone, uint64_t now_ns);

/* docker_request.c */
int aq_docker_request_init(struct aq_docker_request *q, struct aq_docker *d);
void aq_docker_request_release(struct aq_docker_request *q);
/* detail: an id, or the seconds since which events are wanted. -errno: it couldn't be begun. */
int aq_docker_request_begin(struct aq_docker_request *q, struct aq_docker_feed *f, enum aq_docker_question question, const char *detail);
/* It has ended or isn't wanted any more; what was read of it stays until the next one begins. */
void aq_docker_request_end(struct aq_docker_request *q);
/* Notes why it can't go on; the first reason is the cause. */
void aq_docker_blame(struct aq_docker_request *q, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From curl's result: why there is no use in what came; true: it has come with status 200. *ret_status as HTTP has it. */
bool aq_docker_request_judge(struct aq_docker_request *q, CURLcode result, long *ret_status);
bool aq_docker_request_stalled(const struct aq_docker_request *q);

/* docker_feed.c */
int aq_docker_feed_new(struct aq_docker *d, const char *path, bool usual, struct aq_docker_feed **ret);
void aq_docker_feed_free(struct aq_docker_feed *f); /* NULL is fine */
/* Begins what is due; lowers *wait_ns to when it must be called again at the latest. */
void aq_docker_feed_tick(struct aq_docker_feed *f, uint64_t *wait_ns);
void aq_docker_feed_done(struct aq_docker_feed *f, struct aq_docker_request *q, CURLcode result);
/* Of the list and of the events, as they come. false: no more of it, q is blamed. */
bool aq_docker_feed_data(struct aq_docker_feed *f, struct aq_docker_request *q, const char *data, size_t n);

/* docker_look.c */
/* It is to be looked at, again if it is being looked at. from_ns 0: nothing new about that. */
void aq_docker_want(struct aq_docker_feed *f, const char *id, uint64_t from_ns, bool listed);
/* Its name is another one from then on. */
void aq_docker_want_renamed(struct aq_docker_feed *f, const char *id, uint64_t from_ns);
/* It has ended; nothing if it neither waits nor is looked at. */
void aq_docker_want_ended(struct aq_docker_feed *f, const char *id, uint64_t to_ns);
void aq_docker_forget(struct aq_docker_feed *f); /* all of them */
void aq_docker_looks_begin(struct aq_docker *d);
void aq_docker_look_done(struct aq_docker_look *l, CURLcode result);

#endif
