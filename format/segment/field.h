/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoded fields of one event: arguments, attributes and the result, by number or by name, each with its value and
 * as text. Pure functions; what they give is borrowed from the event and lives as long as its data.
 */
#ifndef AQ_FORMAT_SEGMENT_FIELD_H
#define AQ_FORMAT_SEGMENT_FIELD_H

#include "format/segment/event.h"

#pragma GCC visibility push(default) /* what libaquila may export */

enum aq_field_kind {
	AQ_FIELD_NUMBER = 1, /* number, read as type says */
	AQ_FIELD_BYTES = 2,  /* data and len, read as aq_attr_type(attr) says */
	AQ_FIELD_MISSING = 3,/* the schema has a text here, the event has not: lost if it is degraded, else none was given */
	AQ_FIELD_RESULT = 4, /* number is the call's result as int64_t */
};

struct aq_event_field {
	const char *name;                /* "flags", "path", "ret" …; static */
	enum aq_field_kind kind;
	enum aq_type type;               /* of the argument or result; AQ_TYPE_NONE for an attribute that is no argument */
	enum aq_attr_key attr;           /* AQ_FIELD_BYTES and AQ_FIELD_MISSING, else 0 */
	const struct aq_flag_set *flags; /* names of the values, NULL: none */
	uint64_t number;
	const void *data;                /* not NUL-terminated */
	uint32_t len, true_len;          /* true_len: of a cut text if known, else 0 */
	uint16_t attr_flags;             /* enum aq_attr_flag */
};

/* Arguments in the order of the schema, then further attributes, then the result. Pointers that are 0 are left out. */
unsigned aq_event_field_count(const struct aq_event *ev);
/* -ENOENT beyond the last. */
int aq_event_field(const struct aq_event *ev, unsigned index, struct aq_event_field *ret_field);
/* -ENOENT if the event has none of that name. */
int aq_event_field_by_name(const struct aq_event *ev, const char *name, struct aq_event_field *ret_field);
/*
 * As text for people, like snprintf: NUL-terminated when size > 0, cut if too long; returns the length needed. Numbers
 * as aq_format_value() has them; texts with control characters escaped, vectors separated by blanks, addresses as
 * 192.0.2.1:80, [2001:db8::1]:443, unix:/run/x; other bytes in hexadecimal. Missing: empty.
 */
size_t aq_event_field_text(const struct aq_event *ev, const struct aq_event_field *field, char *buf, size_t size);

#pragma GCC visibility pop

#endif
