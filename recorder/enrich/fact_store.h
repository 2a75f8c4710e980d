/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was last said of each object, so that only changes are facts, and so that the end of an object that isn't there any
 * more can be said with its name. Bounded: beyond the bound facts go out as they come and nothing is remembered of them.
 */
#ifndef AQ_RECORDER_ENRICH_FACT_STORE_H
#define AQ_RECORDER_ENRICH_FACT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

struct aq_fact_store;

int aq_fact_store_new(size_t max_bytes, aq_fact_sink *sink, void *user, struct aq_fact_store **ret);
void aq_fact_store_free(struct aq_fact_store *s);

/* An object (key: its uid) begins: facts are added, then it is committed. kind: who lists it. */
void aq_fact_store_begin(struct aq_fact_store *s);
aq_fact_sink aq_fact_store_add;
/* Gives what has changed to the sink. gone: these were its last facts. */
int aq_fact_store_commit(struct aq_fact_store *s, unsigned kind, const char *key, bool gone, uint64_t now_ns);

/* Something is remembered of it; then it counts as committed since the list began. */
bool aq_fact_store_seen(struct aq_fact_store *s, unsigned kind, const char *key);

/* A list begins; at its end all objects of that kind that were not committed since have ended. */
void aq_fact_store_list_begin(struct aq_fact_store *s, unsigned kind);
int aq_fact_store_list_end(struct aq_fact_store *s, unsigned kind, uint64_t now_ns);

/* Whose pods' owner is KIND NAME of the namespace belong to that workload: mends what is kept and says so. */
int aq_fact_store_owner(struct aq_fact_store *s, const char *namespace, const char *kind, const char *name,
			const char *workload_kind, const char *workload_name);

enum { AQ_FACT_STORE_KINDS = 8 };

#endif
