/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter expressions, compiled to an immutable program:
 *
 *   expr   := and-expr ('or' and-expr)*          and-expr := term ('and' term)*
 *   term   := 'not' term | '(' expr ')' | FIELD 'exists' | FIELD OP value | FIELD ('in'|'pmatch') '(' value, … ')'
 *   OP     := = == != < <= > >= contains icontains startswith endswith glob pmatch
 *   value  := bare word | 'quoted' | "quoted", with \\ \' \" \n \r \t \xHH
 *
 * Words that are operators are also accepted in capitals. Numbers may be decimal, 0x, 0 octal, and carry k M G T (1024)
 * or ns us ms s m h d for durations; event types, errno names, flags, signals and true/false stand for their numbers.
 * IP fields take a prefix: fd.sip = 10.0.0.0/8. pmatch: the field's path is one of the values or lies below it.
 *
 * Unknown values: a comparison with an unknown value is unknown; `not` of unknown is unknown; the row matches only when
 * the whole is true. `exists` is never unknown, so `not FIELD exists` finds the unknown ones.
 *
 * Threads: a compiled filter is immutable and may be shared.
 */
#ifndef AQ_QUERY_FILTER_H
#define AQ_QUERY_FILTER_H

#include "query/fields.h"

enum {
	AQ_FILTER_MAX_BYTES = 64 * 1024,
	AQ_FILTER_MAX_DEPTH = 64,
	AQ_FILTER_MAX_NODES = 16384,
};

struct aq_filter;

/* -EINVAL with err->offset at the byte where it stopped making sense and what was expected. NULL or blank: all rows. */
int aq_filter_compile(const char *text, struct aq_filter **ret_filter, struct aq_err *err);
void aq_filter_free(struct aq_filter *f); /* NULL allowed */
bool aq_filter_match(const struct aq_filter *f, struct aq_row *row);
unsigned aq_filter_needs(const struct aq_filter *f); /* enum aq_need of all its fields */

/*
 * The event ids that can match, one bit each (AQ_EVENT_ID_MAX bits); a cleared bit is certain. Bit 0 stands for calls
 * that the schema does not know.
 */
void aq_filter_event_set(const struct aq_filter *f, uint64_t *ret_set);
/* The ids that it names outright (evt.type = …, in (…)): these are shown even when hidden by default. */
void aq_filter_named_events(const struct aq_filter *f, uint64_t *ret_set);
/* True when rows of type gap can match; *ret_named when it says evt.type=gap or uses a gap.* field. */
bool aq_filter_wants_gaps(const struct aq_filter *f, bool *ret_named);
/* True when the filter is decided by the event id alone: then the event set is exact. */
bool aq_filter_is_event_set(const struct aq_filter *f);

#endif
