/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the wire form (bpf/wire.h) to struct aq_event. Nothing in the records is trusted: lengths, counts, keys and ids
 * are checked, and what makes no sense is left out with the event flagged as degraded.
 */
#ifndef AQ_RECORDER_DECODE_H
#define AQ_RECORDER_DECODE_H

#include "bpf/wire.h"
#include "format/segment/event.h"

/* Where paths are turned round: room for all attributes of one record. About 64 KiB; reused from event to event. */
struct aq_decode_scratch {
	const uint8_t *dns; /* the answer of a DNS server among the event's attributes, or NULL */
	uint32_t dns_len;
	uint32_t used;
	char text[2 * AQ_WIRE_ATTR_MAX];
};

/*
 * Fills *ret_event. attr is the record that belongs to fixed, attr_bytes the memory that it lies in, or NULL: then an
 * event that should have had one is degraded. The attributes point into attr and scratch and live as long as both stay
 * untouched.
 */
void aq_decode(const struct aq_wire_fixed *fixed, const struct aq_wire_attr_record *attr, uint32_t attr_bytes,
	       uint32_t cpu, uint32_t cls, struct aq_decode_scratch *scratch, struct aq_event *ret_event);
/* Then, where records have durations (struct aq_wire_timed): that of a system call, if it is known. */
void aq_decode_duration(const struct aq_wire_fixed *fixed, uint32_t record_bytes, struct aq_event *ev);

#endif
