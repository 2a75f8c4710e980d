/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the records of all rings into one order, by (time, cpu), up to a watermark; what is younger is carried over to
 * the next call. Ties attribute records to their fixed records by sequence number and notices where numbers are missing.
 *
 * Threads: one.
 */
#ifndef AQ_RECORDER_ORDER_H
#define AQ_RECORDER_ORDER_H

#include "recorder/rings.h"
#include "recorder/spool.h"

struct aq_order;

struct aq_order_sink {
	/* A record in order, record_bytes long: a struct aq_wire_fixed, or aq_wire_timed. attr (with the bytes of memory it lies in) is NULL if it has none. 0 or -errno. */
	int (*record)(void *user, uint32_t ring, const struct aq_wire_fixed *fixed, uint32_t record_bytes,
		      const struct aq_wire_attr_record *attr, uint32_t attr_bytes);
	/* `missing` numbers were not there between two records of a ring; before_ns is 0 if there was none before. */
	void (*jump)(void *user, uint32_t ring, uint64_t before_ns, uint64_t after_ns, uint64_t missing);
	void *user;
};

/* spool is borrowed: used up slabs go back to it. */
int aq_order_new(uint32_t ring_count, struct aq_spool *spool, struct aq_order **ret_order);
void aq_order_free(struct aq_order *order); /* gives all slabs back; NULL allowed */

/* The number that the first record of a ring will bear if nothing is lost before it; without it, no jump is seen there. */
void aq_order_expect(struct aq_order *order, uint32_t ring, uint32_t seq);
/* Takes over a list of slabs. */
void aq_order_add(struct aq_order *order, struct aq_slab *slabs);
/* Gives everything older than the watermark to the sink. Stops at the sink's first error and returns it. */
int aq_order_run(struct aq_order *order, uint64_t watermark_ns, const struct aq_order_sink *sink);
/* Gives everything there is of one class to the sink, ring by ring, however young. The sink may do so while it is given
 * a record of another class; new slabs may be added then as well. */
int aq_order_run_class(struct aq_order *order, uint32_t cls, const struct aq_order_sink *sink);
/* Time of the last record given of that ring; 0 if none. */
uint64_t aq_order_last_ns(const struct aq_order *order, uint32_t ring);
/* Attribute records that belonged to nothing. */
uint64_t aq_order_orphans(const struct aq_order *order);

#endif
