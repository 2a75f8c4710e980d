/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts on their way from those who ask for names to the thread that writes the capture. Nobody waits: beyond the bound a
 * fact is refused and counted.
 */
#ifndef AQ_RECORDER_ENRICH_FACT_QUEUE_H
#define AQ_RECORDER_ENRICH_FACT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

struct aq_fact_queue;

int aq_fact_queue_new(size_t max_bytes, struct aq_fact_queue **ret);
void aq_fact_queue_free(struct aq_fact_queue *q); /* NULL is fine */

/* An aq_fact_sink with the queue as its user; any thread. Never fails: what doesn't fit is counted. */
aq_fact_sink aq_fact_queue_put;

/*
 * The oldest fact, taken out; NULL: there is none. The caller frees it with free(); its pointers lead into it.
 * Cheap when the queue is empty: no lock is taken.
 */
struct aq_fact *aq_fact_queue_take(struct aq_fact_queue *q);
uint64_t aq_fact_queue_refused(struct aq_fact_queue *q);

#endif
