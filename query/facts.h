/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts of enrichment (event `fact`), joined at read time: a name learned late is true of earlier events too. The
 * subject is "container:FULL-ID"; the fact is one JSON object whose text members are asked for by name: name, image,
 * pod, pod_uid, namespace.
 */
#ifndef AQ_QUERY_FACTS_H
#define AQ_QUERY_FACTS_H

#include "format/segment/reader.h"

struct aq_facts;

/* Reads all facts of a capture (only the chunks that have some). Bounded: the oldest 1,000,000 or 256 MiB. */
int aq_facts_load(struct aq_capture *c, struct aq_facts **ret_facts, struct aq_err *err);
void aq_facts_free(struct aq_facts *f); /* NULL allowed */
/* The member's text: of the fact valid at that time, else of the latest that has it. false: nobody said. */
bool aq_facts_get(const struct aq_facts *f, const char *subject, const char *member, uint64_t time_ns, char *buf,
		  size_t size, size_t *ret_len);
/* The text member of one JSON object, unescaped; false when it is missing, no text, or the JSON is broken. */
bool aq_json_member(const char *json, size_t len, const char *member, char *buf, size_t size, size_t *ret_len);

#endif
