/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account of what was produced, stored, lost and left out, per CPU and class, and the gaps that say when and which.
 * Where numbers are missing is seen in the sequence; how many of which event is told by counters that the kernel side
 * keeps apart; the two are compared at the end.
 *
 * What the kernel did not even show to the programs (recursion) is reported as a gap of its own, but is part of no row:
 * it was never produced, as the rings count it.
 *
 * Threads: one (the encoding thread), but for what source and drain allow.
 */
#ifndef AQ_RECORDER_LEDGER_H
#define AQ_RECORDER_LEDGER_H

#include "format/segment/event.h"
#include "recorder/drain.h"
#include "recorder/source.h"

struct aq_ledger;

struct aq_ledger_total {
	uint64_t produced, stored, lost, policy, degraded;
};

struct aq_ledger_summary {
	struct aq_ledger_total cls[AQ_CLASS_COUNT];
	uint64_t skipped;      /* runs of our programs that the kernel skipped */
	uint64_t shed;         /* of lost: by the spool */
	uint64_t unwritten;    /* of lost: taken from the rings, not written (disk) */
	bool balances;
	char text[160];        /* the first disagreement, if it does not balance */
};

/* class_of_event: AQ_WIRE_EVENTS entries, borrowed until free. The rings must not have been drained yet. */
int aq_ledger_new(struct aq_source *src, struct aq_drain *drain, const uint8_t *class_of_event,
		  uint64_t start_ns, struct aq_ledger **ret_ledger);
void aq_ledger_free(struct aq_ledger *ledger);

/* A record was given to the writer. */
void aq_ledger_stored(struct aq_ledger *ledger, uint32_t ring, const struct aq_event *ev);
/* A record was taken from a ring and could not be given to the writer. */
void aq_ledger_unwritten(struct aq_ledger *ledger, uint32_t ring, uint16_t event, uint64_t time_ns);
/* A record that was given to the writer (and told to _stored) could not be written after all. */
void aq_ledger_dropped(struct aq_ledger *ledger, uint32_t ring, uint16_t event, uint64_t time_ns, bool degraded);
/* `missing` numbers were not there between two records (aq_order_sink.jump). */
void aq_ledger_jump(struct aq_ledger *ledger, uint32_t ring, uint64_t before_ns, uint64_t after_ns, uint64_t missing);

/*
 * Turns what was lost since the last call into gaps. final: the rings are quiet and empty, the latest times are exact.
 * The gap and its counts are borrowed during the call. Stops at the first error of give and returns it.
 */
int aq_ledger_report(struct aq_ledger *ledger, bool final, int (*give)(void *user, const struct aq_gap *gap), void *user);

/*
 * Fills aq_rings_count() rows; stored_of (or our own count, if NULL) says what the writer has on disk.
 * Meaningful as a balance only when the rings are quiet and all is written.
 */
void aq_ledger_rows(const struct aq_ledger *ledger, const uint64_t (*stored_of)[AQ_CLASS_COUNT], uint32_t stored_cpus,
		    struct aq_ledger_row *rows);
void aq_ledger_sum(const struct aq_ledger *ledger, const struct aq_ledger_row *rows, struct aq_ledger_summary *ret_summary);

#endif
