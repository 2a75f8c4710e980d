/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the schema to what the kernel side needs to know about each raw system call: its event id and class, which of
 * its arguments point to text or addresses, whether its result is a file. Pure functions.
 */
#ifndef AQ_RECORDER_CALLS_H
#define AQ_RECORDER_CALLS_H

#include "bpf/wire.h"
#include "format/schema/schema.h"

enum { AQ_CALLS_UNKNOWN_CLASS = AQ_CLASS_ORDINARY }; /* of calls that the schema does not have (event id 0) */

/* Fills the rows of one ABI, indexed by raw number. skip: AQ_WIRE_EVENTS entries, or NULL. */
void aq_calls_fill(enum aq_abi abi, const bool *skip, struct aq_wire_call rows[AQ_WIRE_NR_MAX]);
/* Then, where data is asked for (--data): rows of one ABI that fetch it. */
void aq_calls_want_data(struct aq_wire_call rows[AQ_WIRE_NR_MAX]);
/* The class of each event id. */
void aq_calls_classes(uint8_t class_of_event[AQ_WIRE_EVENTS]);
/* The ABIs that this machine can run; returns how many (at most 3). */
unsigned aq_calls_abis(enum aq_abi abis[3]);

#endif
