/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures that arguments of system calls point to: which ones the kernel side fetches (AQ_WIRE_FETCH_STRUCT), and
 * what their bytes mean: they become the arguments of the row that stand behind those of the call itself, or a name.
 * Pure functions; nothing in the bytes is trusted.
 */
#ifndef AQ_RECORDER_STRUCTS_H
#define AQ_RECORDER_STRUCTS_H

#include "bpf/wire.h"
#include "format/segment/event.h"

struct aq_struct_row {
	uint16_t event;
	uint8_t arg;        /* which argument points to it */
	uint8_t size_arg;   /* which argument holds its size, AQ_WIRE_NONE: size */
	uint8_t size, size32; /* bytes in programs of 64 and 32 bits */
	uint8_t when;       /* enum aq_wire_when */
};

/* The structures of an event, at most AQ_WIRE_ARGS, in the order of the table: the next one behind `row` (NULL: the first),
 * or NULL. */
const struct aq_struct_row *aq_struct_next(uint16_t event, const struct aq_struct_row *row);
/* Where in the event's row the arguments begin that come from structures; its arg_count if there are none. */
unsigned aq_struct_first(const struct aq_event_schema *schema);

struct aq_struct_bytes {
	const uint8_t *data; /* NULL: not there */
	uint32_t len;
};
/*
 * Sets the arguments of *ev behind those of the call. by_arg: the structures as they came, by the argument that led to
 * them. ret_name: a text inside of them that is the event's name, or length 0; it lives as long as the bytes.
 */
void aq_struct_decode(struct aq_event *ev, const struct aq_struct_bytes by_arg[AQ_WIRE_ARGS], struct aq_struct_bytes *ret_name);

#endif
