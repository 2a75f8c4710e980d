/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: asks a capture one question. It reads only the chunks and event ids that can matter: without state, those
 * that can match; with state, those and what changes the state, from the beginning of the capture.
 *
 * Threads: one query belongs to one thread; the capture may be shared.
 */
#ifndef AQ_QUERY_QUERY_H
#define AQ_QUERY_QUERY_H

#include "query/fields.h"
#include "query/filter.h"
#include "query/verdict.h"

struct aq_query;

struct aq_query_options {              /* borrowed during aq_query_new only; zeroed: everything */
	const char *filter;            /* NULL: all rows */
	uint64_t from_ns, to_ns;       /* boot clock, inclusive; to_ns 0: no end */
	uint64_t limit;                /* rows; 0: no limit */
	const char *const *fields;     /* compiled: aq_query_field(q, i) */
	size_t field_count;
	unsigned needs;                /* enum aq_need beyond those of filter and fields */
	bool gaps;                     /* gaps are rows of type `gap`, in time order; also when the filter names them */
	bool hidden;                   /* snap_* and fact events are rows too, not only when the filter names them */
	const uint64_t *event_set;     /* only these ids are rows (AQ_EVENT_ID_MAX bits); NULL: all */
};

/* err->offset is a position in the filter when the filter is wrong, in the field's text when a field is. */
int aq_query_new(struct aq_capture *c, const struct aq_query_options *options, struct aq_query **ret_query,
		 struct aq_err *err);
void aq_query_free(struct aq_query *q); /* NULL allowed */
/*
 * Whether a question is about the events of its window alone: nothing that happened before or after changes the answer,
 * so that the rest of the capture need not be opened (aq_open_options.window). Errors as those of aq_query_new.
 */
int aq_query_is_local(const struct aq_query_options *options, bool *ret_local, struct aq_err *err);

/* 1: *ret_row is the next row, borrowed until the next call; 0: end; negative: error. */
int aq_query_next(struct aq_query *q, struct aq_row **ret_row, struct aq_err *err);
/* Calls row for each; a non-zero return stops and is returned. */
int aq_query_run(struct aq_query *q, int (*on_row)(void *user, struct aq_row *row), void *user, struct aq_err *err);

size_t aq_query_field_count(const struct aq_query *q);
const struct aq_field *aq_query_field(const struct aq_query *q, size_t index); /* NULL beyond */
const struct aq_state *aq_query_state(const struct aq_query *q);               /* NULL: not followed */

/* The rest of the rows counted, without reading more than is needed. limit does not apply. */
int aq_query_count(struct aq_query *q, uint64_t *ret_count, struct aq_err *err);

struct aq_group {
	uint64_t count;
	const char *const *keys;       /* one text per field; NULL: unknown */
	const uint32_t *key_lens;
};
struct aq_groups {
	const struct aq_group *groups; /* largest first, then by key */
	size_t count;
	size_t key_count;
	uint64_t rows;                 /* counted in all */
	uint64_t other;                /* rows whose group did not fit any more */
};
/* Counts by the query's fields (at least one). max_groups 0: 1,000,000. limit does not apply. */
int aq_query_group(struct aq_query *q, size_t max_groups, struct aq_groups **ret_groups, struct aq_err *err);
void aq_groups_free(struct aq_groups *g); /* NULL allowed */

/* How complete the answer is; call after the last row (damage is found while reading). */
void aq_query_verdict(const struct aq_query *q, struct aq_verdict *ret_verdict);

/* What the planner decided, one line for people: "chunks 3 of 120, events 2, state no, strings no". */
size_t aq_query_plan(const struct aq_query *q, char *buf, size_t size);

#endif
