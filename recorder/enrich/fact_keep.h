/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts that hold at present, so that each new segment can repeat them and be read alone. Bounded: beyond the bound a
 * fact is written as it comes but not repeated, which is counted. One thread.
 */
#ifndef AQ_RECORDER_ENRICH_FACT_KEEP_H
#define AQ_RECORDER_ENRICH_FACT_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

struct aq_fact_keep;

int aq_fact_keep_new(size_t max_bytes, struct aq_fact_keep **ret);
void aq_fact_keep_free(struct aq_fact_keep *k); /* NULL is fine */

/* A fact that has just been written. Replaces what the same source said before of the same time of the same subject. */
void aq_fact_keep_put(struct aq_fact_keep *k, const struct aq_fact *fact);

/* A new segment has begun: everything is to be repeated, but what ended a minute or more before now_ns is forgotten. */
void aq_fact_keep_restart(struct aq_fact_keep *k, uint64_t now_ns);

/* The next to be repeated, NULL when all are; what was put since the restart is not. Valid until the next call. */
const struct aq_fact *aq_fact_keep_next(struct aq_fact_keep *k);

uint64_t aq_fact_keep_count(const struct aq_fact_keep *k);
uint64_t aq_fact_keep_refused(const struct aq_fact_keep *k);

#endif
