/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts of enrichment (event `fact`, format/facts/fact.h), joined when they are read: what was learned late is true of
 * earlier events too. A subject has facts of several sources and times; who asks names the subject and a time, and gets
 * the facts in the order in which they are to be believed. Which facts belong to an event is query/names.h's business.
 *
 * Memory: at most AQ_FACTS_MAX facts and AQ_FACTS_BYTES_MAX bytes of them; what replaces an earlier one takes no more.
 * Each fact is parsed once, when it is first needed. Threads: one at a time. Texts are borrowed until _free.
 */
#ifndef AQ_QUERY_FACTS_H
#define AQ_QUERY_FACTS_H

#include "format/facts/fact.h"
#include "format/segment/reader.h"

enum { AQ_FACTS_MAX = 2000000, AQ_FACTS_BYTES_MAX = 512 * 1024 * 1024 };

/* Members with one text; numbers and truth values are text here. */
enum aq_fact_member {
	AQ_FM_SOURCE, AQ_FM_UNKNOWN, AQ_FM_NAME, AQ_FM_IMAGE, AQ_FM_IMAGE_REPOSITORY, AQ_FM_IMAGE_TAG, AQ_FM_IMAGE_DIGEST,
	AQ_FM_START, AQ_FM_ENGINE, AQ_FM_POD_UID, AQ_FM_POD, AQ_FM_NAMESPACE, AQ_FM_CONTAINER, AQ_FM_RESTARTS,
	AQ_FM_OWNER_KIND, AQ_FM_OWNER_NAME, AQ_FM_WORKLOAD_KIND, AQ_FM_WORKLOAD_NAME, AQ_FM_NODE, AQ_FM_SERVICE_ACCOUNT,
	AQ_FM_PHASE, AQ_FM_KIND, AQ_FM_UID, AQ_FM_CGROUP, AQ_FM_COUNT
};
/* Members with rows; the columns of each. */
enum aq_fact_list { AQ_FL_LABELS, AQ_FL_ANNOTATIONS, AQ_FL_IPS, AQ_FL_ENV, AQ_FL_MOUNTS, AQ_FL_CONTAINERS, AQ_FL_COUNT };
enum { AQ_PAIR_KEY = 0, AQ_PAIR_VALUE = 1 };
enum { AQ_MOUNT_SOURCE = 0, AQ_MOUNT_DESTINATION, AQ_MOUNT_TYPE, AQ_MOUNT_RO };
enum { AQ_POD_CONTAINER_NAME = 0, AQ_POD_CONTAINER_ID, AQ_POD_CONTAINER_IMAGE, AQ_POD_CONTAINER_DIGEST,
       AQ_POD_CONTAINER_RESTARTS };

/* Where a fact comes from, in the order in which sources are believed; those nobody knows come last. */
enum aq_fact_origin {
	AQ_FO_DOCKER, AQ_FO_CONTAINERD, AQ_FO_CRIO, AQ_FO_PODMAN, AQ_FO_DOCKER_FILES, AQ_FO_PODMAN_FILES, AQ_FO_STORAGE,
	AQ_FO_RUNC, AQ_FO_CRUN,
	AQ_FO_KUBELET, AQ_FO_KUBERNETES, AQ_FO_DNS, AQ_FO_IMPORT, AQ_FO_OTHER,
	AQ_FO_COUNT
};

struct aq_fact_text {
	const char *s; /* NULL: nobody said; not NUL-terminated, any byte may be in it */
	uint32_t len;
};

struct aq_fact_doc; /* one parsed fact */
struct aq_fact_text aq_doc_text(const struct aq_fact_doc *d, enum aq_fact_member member);
uint32_t aq_doc_rows(const struct aq_fact_doc *d, enum aq_fact_list list);
struct aq_fact_text aq_doc_cell(const struct aq_fact_doc *d, enum aq_fact_list list, uint32_t row, unsigned column);
/* The value of a label or annotation. */
struct aq_fact_text aq_doc_value(const struct aq_fact_doc *d, enum aq_fact_list list, const char *key, size_t key_len);
/* -EBADMSG: no JSON object; -ENOMEM. What is of another type than it should be is left out. */
int aq_doc_parse(const char *json, size_t len, struct aq_fact_doc **ret_doc);
void aq_doc_free(struct aq_fact_doc *d); /* NULL allowed */

struct aq_facts;
struct aq_subject;

int aq_facts_new(struct aq_facts **ret_facts);
/* Copies it. What is refused (too long, no JSON object, too many) is counted and is no error. -ENOMEM. */
int aq_facts_add(struct aq_facts *f, const struct aq_fact *fact);
int aq_facts_finish(struct aq_facts *f); /* once, after the last _add and before any look-up; -ENOMEM */
/* All facts of a capture; only the chunks that have some are read. */
int aq_facts_load(struct aq_capture *c, struct aq_facts **ret_facts, struct aq_err *err);
void aq_facts_free(struct aq_facts *f); /* NULL allowed */
uint64_t aq_facts_refused(const struct aq_facts *f);

/* NULL: nobody said anything about it. Addresses in any spelling. */
struct aq_subject *aq_facts_find(struct aq_facts *f, const char *subject, size_t len);
/* All subjects with that prefix ("pod:"), in the order of their bytes: first with NULL, then with the last one. */
struct aq_subject *aq_facts_next(struct aq_facts *f, const char *prefix, struct aq_subject *last);
const char *aq_subject_name(const struct aq_facts *f, const struct aq_subject *s); /* NUL-terminated, with its prefix */
/* All its facts, by number; NULL: that one is no JSON object. to UINT64_MAX: not seen to end. */
uint32_t aq_subject_count(const struct aq_subject *s);
const struct aq_fact_doc *aq_subject_fact(struct aq_facts *f, const struct aq_subject *s, uint32_t number, uint64_t *ret_from_ns,
					  uint64_t *ret_to_ns);
/* From its first fact's beginning to its last one's end; 0: not known, UINT64_MAX: not seen to end. */
void aq_subject_span(const struct aq_facts *f, const struct aq_subject *s, uint64_t *ret_from_ns, uint64_t *ret_to_ns);
/* Narrows [*from, *to] around time_ns to where no fact of the subject begins or ends. */
void aq_subject_narrow(struct aq_facts *f, struct aq_subject *s, uint64_t time_ns, uint64_t *from_ns, uint64_t *to_ns);

/*
 * Facts of a subject in the order in which they are to be believed at a time: those whose span holds it, by origin and
 * then the latest first; after them, unless `strict`, the others, the latest first. Of the facts of one origin that begin
 * before the time only the latest AQ_FACT_STEPS are looked at, and so many of the others.
 */
enum { AQ_FACT_STEPS = 64 };
struct aq_fact_walk {
	struct aq_facts *facts;
	const struct aq_subject *subject;
	uint64_t time_ns;
	bool strict;
	/* its own */
	unsigned origin, pass, steps;
	uint32_t at[AQ_FO_COUNT];
	bool placed;
};
/* NULL at the end. *ret_origin may be NULL. */
const struct aq_fact_doc *aq_fact_walk_next(struct aq_fact_walk *w, enum aq_fact_origin *ret_origin);
/* The first of them that has the member. subject NULL: nobody said. */
struct aq_fact_text aq_facts_text(struct aq_facts *f, const struct aq_subject *s, enum aq_fact_member member,
				  uint64_t time_ns, bool strict);

#endif
