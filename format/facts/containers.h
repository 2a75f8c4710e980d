/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts from the Docker-compatible API: what /version, /containers/json, /containers/ID/json, /images/ID/json and a line of
 * /events say. Pure functions of documents that have been parsed, with a bounded depth, by aq_json_parse: what is in them is
 * anybody's word, and what isn't of its type is left out. Of the environment only names are taken.
 */
#ifndef AQ_FORMAT_FACTS_CONTAINERS_H
#define AQ_FORMAT_FACTS_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

struct cJSON;

enum { AQ_CONTAINERS_ID_MAX = 128, AQ_CONTAINERS_DIGEST_MAX = 160 }; /* with their NUL */

struct aq_containers_about {
	const char *source;             /* docker or podman */
	int64_t real_to_boot_ns;        /* added to a wall time it gives the boot clock */
	uint64_t from_ns;               /* boot clock: since when it is called so; 0: since it was made, as the document says */
	uint64_t to_ns;                 /* boot clock; 0: it isn't seen to end */
	const char *digest;             /* of its image, where the document doesn't say it; NULL */
};

/* What of a container matters to whoever asks. */
struct aq_containers_head {
	char id[AQ_CONTAINERS_ID_MAX];
	char image_id[AQ_CONTAINERS_ID_MAX];    /* sha256:…; empty: not known, or its digest is */
	char image[256];                /* its name; empty */
	bool ended;                     /* it has run and doesn't any more */
	uint64_t made_real_ns, ended_real_ns; /* 0: not known */
};

enum aq_containers_action {
	AQ_CONTAINERS_OTHER, AQ_CONTAINERS_CREATE, AQ_CONTAINERS_START, AQ_CONTAINERS_DIE, AQ_CONTAINERS_REMOVE,
	AQ_CONTAINERS_RENAME
};

struct aq_containers_event {
	enum aq_containers_action action;
	char id[AQ_CONTAINERS_ID_MAX];
	uint64_t real_ns;               /* 0: not said */
};

/* docker or podman; NULL: it is no such answer. */
const char *aq_containers_engine(const struct cJSON *version);

/* From an element of the list or a container's own document. -EINVAL: it is neither. */
int aq_containers_head(const struct cJSON *container, struct aq_containers_head *ret);

/* One fact of the container and one of each of its addresses. -EINVAL as above; -ENOMEM, or the sink's. */
int aq_containers_facts(const struct cJSON *container, const struct aq_containers_about *about, aq_fact_sink *sink, void *user);

/* -EINVAL: it is no event of a container. */
int aq_containers_event(const struct cJSON *event, struct aq_containers_event *ret);
/* What an event tells of its container: name, image and, among other things, its labels. As aq_containers_facts. */
int aq_containers_event_facts(const struct cJSON *event, const struct aq_containers_about *about, aq_fact_sink *sink, void *user);

/* The digest by which the image is known to the registry that its name (perhaps empty) leads to; false: none is said. */
bool aq_containers_digest(const struct cJSON *image, const char *name, char ret[AQ_CONTAINERS_DIGEST_MAX]);

#endif
