/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empties the rings into the spool. It looks at them on its own clock (nobody wakes it), copies whole runs, gives the
 * space back to the kernel side and never waits for anything. What finds no room in the spool is counted by event and
 * dropped here.
 *
 * Threads: run is the drain thread; request_stop and the shed accounts may be used from any other.
 */
#ifndef AQ_RECORDER_DRAIN_H
#define AQ_RECORDER_DRAIN_H

#include <stdio.h>

#include "recorder/source.h"
#include "recorder/spool.h"

struct aq_drain;

struct aq_drain_options {
	uint32_t sleep_min_us, sleep_max_us; /* between passes: when rings fill, when they do not; less where they are small */
	FILE *dump;                          /* all that is taken is written there too (source_dump.h), for tests; or NULL */
	uint64_t slack_ns;                   /* a record may be published this long after its time was taken */
};

/* What was shed of one (cpu, class) since the last call. */
struct aq_shed {
	uint64_t first_ns, last_ns, count;
};

struct aq_drain_stats {
	uint64_t passes, bytes, damaged; /* damaged: attribute rings whose contents made no sense */
	uint64_t cpu_ns;                 /* the drain thread's own time, known after run */
};

/* src and spool are borrowed until free. */
int aq_drain_new(struct aq_source *src, struct aq_spool *spool, const struct aq_drain_options *options,
		 struct aq_drain **ret_drain);
void aq_drain_free(struct aq_drain *drain);

/* Drains until asked to stop, then once more until every ring is empty, then finishes the spool. */
void aq_drain_run(struct aq_drain *drain);
/* To be called once the source is stopped and settled. */
void aq_drain_request_stop(struct aq_drain *drain);
/* One pass over all rings; for tests. Returns the bytes moved or shed. */
uint64_t aq_drain_pass(struct aq_drain *drain);

/* Takes and zeroes the shed account of a ring; by_event[AQ_WIRE_EVENTS] is added to. */
struct aq_shed aq_drain_take_shed(struct aq_drain *drain, uint32_t ring, uint64_t *by_event);
struct aq_drain_stats aq_drain_stats(struct aq_drain *drain);

#endif
