/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source whose rings live in plain memory and whose events the caller makes, one at a time, by the protocol that the
 * kernel side follows: sequence first, then space, then attributes, then the slot; what finds no space is counted.
 *
 * Threads: each CPU number may be produced for by one thread at a time, as in the kernel.
 */
#ifndef AQ_RECORDER_SOURCE_SYNTHETIC_H
#define AQ_RECORDER_SOURCE_SYNTHETIC_H

#include "recorder/source.h"

struct aq_synthetic_options {
	uint32_t cpu_count;
	uint32_t fixed_parts, attr_parts; /* per ring, powers of two */
	bool durations;                   /* slots are struct aq_wire_timed */
	uint64_t first_position;          /* rings start here, as if they had been in use for long; multiple of 8 */
};

struct aq_synthetic_attr {
	uint16_t key, flags;
	uint32_t len, true_len;
	const void *data;
};

struct aq_synthetic_event {
	uint32_t cpu, cls;
	struct aq_wire_fixed fixed;         /* seq and the attribute flags are filled in */
	uint64_t duration_ns;               /* with durations: or AQ_WIRE_DURATION_UNKNOWN */
	const struct aq_synthetic_attr *attrs;
	uint32_t attr_count;
};

int aq_synthetic_new(const struct aq_synthetic_options *options, struct aq_source **ret_source);
/* Returns true if the event was stored, false if it was counted as lost. */
bool aq_synthetic_produce(struct aq_source *src, const struct aq_synthetic_event *event);
/* True if an event with the longest attribute record would be stored now, attributes and all. */
bool aq_synthetic_has_room(struct aq_source *src, uint32_t cpu, uint32_t cls);
/* Counts events as lost. */
void aq_synthetic_lose(struct aq_source *src, uint32_t cpu, uint32_t cls, uint16_t event, uint64_t count, uint64_t time_ns);
/* Counts an event as left out by policy. */
void aq_synthetic_leave_out(struct aq_source *src, uint32_t cpu, uint32_t cls, uint16_t event);
/* What now_ns says from here on (any thread). */
void aq_synthetic_set_now(struct aq_source *src, uint64_t now_ns);
void aq_synthetic_set_skipped(struct aq_source *src, uint64_t skipped);

#endif
